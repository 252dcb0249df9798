"""A backup of OPNsense that has everything, by instances and by a server of before, and shapes of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.office.findings import check
from chalicelib.office.reading import read
from tests.office.backups import AT, CONFIG
from tests.office.shapes import BAD, GOOD, WEAK
from tests.on_router.rendered import declared

if TYPE_CHECKING:
    from chalicelib.office.finding import Judged

CERT = CONFIG.read_text().partition("<crt>LS0")[2].partition("</crt>")[0]
INSTANCES = f"""<?xml version="1.0"?>
<opnsense>
  <interfaces><wan><enable>1</enable><if>igb0</if><ipaddr>198.51.100.10</ipaddr><subnet>24</subnet></wan></interfaces>
  <filter><rule><type>pass</type><interface>wan</interface><protocol>udp</protocol><source><any>1</any></source>
    <destination><any>1</any></destination></rule></filter>
  <cert><refid>c1</refid><caref>a1</caref><crt>LS0{CERT}</crt><prv>CANARY</prv></cert>
  <OPNsense><OpenVPN version="1.0.1">
    <Overwrites><Overwrite uuid="o1"><enabled>1</enabled><servers>i1</servers><common_name>aws-router</common_name>
      <block>0</block><push_reset>0</push_reset><tunnel_network>192.168.0.254/24</tunnel_network>
      <remote_networks>10.0.0.0/24,10.0.1.0/24,10.0.2.0/24,10.0.10.0/24</remote_networks></Overwrite></Overwrites>
    <Instances><Instance uuid="i1"><vpnid>1</vpnid><enabled>1</enabled><dev_type>tun</dev_type><verb>3</verb><proto>udp4</proto>
      <port>1194</port><local/><topology>subnet</topology><role>server</role><server>192.168.0.0/24</server>
      <route>10.0.0.0/16</route><push_route>10.100.100.0/24,10.100.200.0/24,10.100.30.0/24,10.0.0.0/16</push_route>
      <cert>c1</cert><crl/><ca/><remote_cert_tls>1</remote_cert_tls><verify_client_cert>require</verify_client_cert>
      <auth>SHA256</auth><data-ciphers/><data-ciphers-fallback/><tls_key>k1</tls_key><authmode/><various_flags/>
      <keepalive_interval>2</keepalive_interval><keepalive_timeout>10</keepalive_timeout></Instance></Instances>
    <StaticKeys><StaticKey uuid="k1"><mode>crypt</mode><key>CANARY</key></StaticKey></StaticKeys>
  </OpenVPN></OPNsense>
</opnsense>
"""
LEGACY = f"""<opnsense>
  <cert><refid>c1</refid><caref>a1</caref><crt>LS0{CERT}</crt></cert>
  <openvpn>
    <openvpn-server><vpnid>1</vpnid><mode>server_tls</mode><protocol>UDP4</protocol><dev_mode>tun</dev_mode>
      <interface>any</interface><local_port>1194</local_port><tls>CANARY</tls><tlsmode>crypt</tlsmode><caref>a1</caref>
      <certref>c1</certref><crypto>AES-256-GCM</crypto><digest>SHA256</digest><tunnel_network>192.168.0.0/24</tunnel_network>
      <remote_network>10.0.0.0/16</remote_network><topology_subnet>yes</topology_subnet>
      <local_network>10.100.100.0/24,10.100.200.0/24,10.100.30.0/24,10.0.0.0/16</local_network></openvpn-server>
    <openvpn-csc><common_name>aws-router</common_name><tunnel_network>192.168.0.254/24</tunnel_network>
      <remote_network>10.0.0.0/16</remote_network></openvpn-csc>
  </openvpn>
</opnsense>
"""
SHAPES = {
    "has everything": (INSTANCES, (), GOOD, ""),
    "a server of before": (LEGACY, (), WEAK, "60 s"),
    "a server of before, net30": (LEGACY, (("<topology_subnet>yes</topology_subnet>", ""),), BAD, "another address"),
    "net30 with its pair": (INSTANCES, (("<topology>subnet<", "<topology>net30<"), ("192.168.0.254/24", "192.168.0.252/30")), GOOD, ""),
    "another topology": (INSTANCES, (("<topology>subnet<", "<topology>net30<"),), BAD, "another address"),
    "passwords": (INSTANCES, (("<authmode/>", "<authmode>Local Database</authmode>"),), BAD, "asks for a user's password"),
    "tls-auth": (INSTANCES, (("<mode>crypt<", "<mode>auth<"),), BAD, "speaks tls-auth"),
    "no key": (INSTANCES, (("<tls_key>k1</tls_key>", "<tls_key/>"),), BAD, "has no TLS key"),
    "no route": (INSTANCES, (("<route>10.0.0.0/16</route>", "<route/>"),), BAD, "does not route"),
    "no inner route": (INSTANCES, (("<remote_networks>10.0.0.0/24,", "<remote_networks>"),), BAD, "lacks 10.0.0.0/24"),
    "override for another": (INSTANCES, (("<servers>i1<", "<servers>i2<"),), BAD, "is for other servers"),
    "override off": (INSTANCES, (('"o1"><enabled>1', '"o1"><enabled>0'),), BAD, "is disabled"),
    "blocked": (INSTANCES, (("<block>0", "<block>1"),), BAD, "blocks its connection"),
    "push reset": (INSTANCES, (("<push_reset>0", "<push_reset>1"),), WEAK, "takes back the server's pings"),
    "keepalive never set": (INSTANCES, (("<keepalive_interval>2</keepalive_interval>", ""),), WEAK, "does not tell the router"),
    "fragments": (INSTANCES, (("<authmode/>", "<authmode/><fragment>1300</fragment>"),), BAD, "fragments"),
    "migrates compression": (INSTANCES, (("<authmode/>", "<authmode/><compress_migrate>1</compress_migrate>"),), GOOD, ""),
    "TCP": (INSTANCES, (("<proto>udp4", "<proto>tcp4"),), BAD, "does not speak udp4"),
    "instance off": (INSTANCES, (('"i1"><vpnid>1</vpnid><enabled>1', '"i1"><vpnid>1</vpnid><enabled>0'),), BAD, "is disabled"),
    "twice": (INSTANCES, (("<various_flags/>", "<various_flags>duplicate-cn,float</various_flags>"),), WEAK, "two clients of one name"),
}  # fmt: skip
"""By name: the backup, what is changed in it, the verdict, and a phrase of what is found."""


def judged(name: str) -> Judged:
    """Judge a shape."""
    text, changes, _, _ = SHAPES[name]
    for old, new in changes:
        assert text.count(old) == 1, (name, old, text.count(old))
        text = text.replace(old, new)
    return check(declared(), read(text.encode()), AT)
