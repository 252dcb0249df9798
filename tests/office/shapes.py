"""Shapes of backup: small changes of the one that has everything, what packets do with each, and what is found.

Each is judged, held against its golden files, and run by real OpenVPN in `tests/packets`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.office.finding import Verdict

MODE = "<mode>server_tls</mode>"
PORT = "<local_port>1194</local_port>\n\t\t\t<description><![CDATA[Laptops and AWS]]>"
NETWORK = "<tunnel_network>192.168.0.0/24</tunnel_network>"
OVERRIDE = "<common_name>aws-router</common_name>"
BLOCK = f"{OVERRIDE}\n\t\t\t<block></block>"
IROUTES = "<remote_network>10.0.0.0/24,10.0.1.0/24,10.0.2.0/24,10.0.10.0/24</remote_network>"
OWN = "<tunnel_network>192.168.0.254/24</tunnel_network>"
RESET = "<push_reset></push_reset>"
OPTIONS = f"{RESET}\n\t\t\t<custom_options></custom_options>"
LAPTOP = "<common_name>ada-laptop</common_name>"
LAPTOPS_OWN = "<tunnel_network>192.168.0.20/24</tunnel_network>"
OLD_BRANCH = "<disable></disable>\n\t\t\t<mode>p2p_shared_key</mode>"
COMPRESSION = "<compression></compression>"
PUSH = "<compression_push></compression_push>"
ALLOW = "<allow_compression>no</allow_compression>"
CIPHERS = "<data_ciphers>AES-256-GCM,AES-128-GCM,CHACHA20-POLY1305</data_ciphers>"
FALLBACK = "<data_ciphers_fallback>AES-256-CBC</data_ciphers_fallback>"
NCP = "<ncp_enable>enabled</ncp_enable>"
LOCAL = "<local_network>10.100.100.0/24,10.100.200.0/24,10.100.30.0/24,10.0.0.0/16</local_network>"
FIRST_ROUTE = "route 10.0.0.0 255.255.255.0;"
LAST_ROUTE = "; route 10.0.10.0 255.255.255.0"
ROUTES = (
    "route 10.0.0.0 255.255.255.0;route 10.0.1.0 255.255.255.0;\n"
    "route 10.0.2.0 255.255.255.0; route 10.0.10.0 255.255.255.0"
)
REMOTE = "<remote_network></remote_network>"
INTERVAL = "<keepalive_interval>2</keepalive_interval>"
TIMEOUT = "<keepalive_timeout>10</keepalive_timeout>"
METHOD = "<ping_method>keepalive</ping_method>"
PING_PUSH = "<ping_push></ping_push>"
ACTION_PUSH = "<ping_action_push></ping_action_push>"
INACTIVE = "<inactive_seconds>0</inactive_seconds>"
TOPOLOGY = "<topology>subnet</topology>"
TLS = "<tls>CANARY-tls-key</tls>"
TLS_TYPE = "<tls_type>crypt</tls_type>"
USE = "<remote_cert_tls></remote_cert_tls>"
PROTOCOL = "<protocol>UDP4</protocol>\n\t\t\t<dev_mode>tun</dev_mode>\n\t\t\t<interface>wan</interface>\n\t\t\t<ipaddr>"
DEVICE = "<dev_mode>tun</dev_mode>\n\t\t\t<interface>wan</interface>\n\t\t\t<ipaddr>"
VERSION = "<version>23.3</version>"
GWREDIR = "<gwredir></gwredir>\n\t\t\t<gwredir6>"
V24 = (
    (VERSION, "<version>19.1</version>"),
    (FALLBACK, "<crypto>AES-256-CBC</crypto>"),
    (CIPHERS, "<ncp-ciphers>AES-256-GCM,AES-128-GCM</ncp-ciphers>"),
)
V25, V26, V28 = ((VERSION, f"<version>{number}</version>") for number in ("21.7", "22.2", "24.5"))
ALIASES = (
    "<staticroutes>",
    "<aliases><alias><name>VPC</name><type>network</type><address>10.0.0.0/16</address></alias>"  # noqa: ISC004 - one text
    "<alias><name>VPN</name><type>network</type><address>192.168.0.0/24</address></alias></aliases><staticroutes>",
)

GOOD: Verdict = "works"
WEAK: Verdict = "works, weakly"
BAD: Verdict = "does not work"


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape: its name, the changes, what packets do, and what is found: kind and a phrase of each finding."""

    name: str
    changes: tuple[tuple[str, str], ...]
    verdict: Verdict
    found: tuple[tuple[str, str], ...] = ()


def _shape(name: str, verdict: Verdict, found: str, *changes: tuple[str, str]) -> Shape:
    """Make a shape; findings are written as `kind: phrase`, parted by bars."""
    pairs = (one.split(": ", 1) for one in found.split(" | ") if one)
    return Shape(name, changes, verdict, tuple((kind, phrase) for kind, phrase in pairs))


def _with(text: str, more: str) -> tuple[str, str]:
    return (text, text + more)


def _custom(option: str) -> tuple[str, str]:
    return (LAST_ROUTE, f"{LAST_ROUTE};{option}")


def _own(option: str) -> tuple[str, str]:
    return (OPTIONS, f"{RESET}<custom_options>{option}</custom_options>")


SHAPES = (
    _shape("has everything", GOOD, ""),
    _shape("has everything, of 2.4.5", WEAK, "weak: takes a server's certificate", *V24),
    _shape("has everything, of 2.5.2", GOOD, "", V25),
    _shape("has everything, of 2.6.0", GOOD, "", V26),
    _shape("push reset stored anew, of 2.8", WEAK, "weak: takes back the server's pings", V28),
    _shape("no push reset, of 2.8", GOOD, "", V28, (RESET, "")),
    _shape("ping action removed, of 2.8", WEAK, "weak: takes back the server's pings", V28, (RESET, "<remove_options>remove_ping_action</remove_options>")),
    _shape("ping of its own, of 2.8", WEAK, "weak: given up for dead only after 3600 s", V28, (RESET, "<ping_action>ping_restart</ping_action><ping_action_seconds>3600</ping_action_seconds>")),
    _shape("push reset", WEAK, "weak: takes back the server's pings", (RESET, "<push_reset>yes</push_reset>")),
    _shape("push reset by hand", WEAK, "weak: takes back the server's pings", _own("push-reset")),
    _shape("pings removed by hand", WEAK, "weak: takes back the server's pings", _own("push-remove ping")),
    _shape("peers, with remote networks", GOOD, "", (MODE, "<mode>p2p_tls</mode>"), (ROUTES, ""), (REMOTE, "<remote_network>10.0.0.0/16</remote_network>")),
    _shape("laptops, with remote networks", BAD, "missing: its remote networks are ignored in this mode", (ROUTES, ""), (REMOTE, "<remote_network>10.0.0.0/16</remote_network>")),
    _shape("static key", BAD, "wrong: uses a static key", (MODE, "<mode>p2p_shared_key</mode>")),
    _shape("passwords beside certificates", BAD, "wrong: asks for a user's password", (MODE, "<mode>server_tls_user</mode>")),
    _shape("passwords alone", BAD, "wrong: asks for a user's password", (MODE, "<mode>server_user</mode>")),
    _shape("bridge", BAD, "wrong: bridges (tap)", (DEVICE, DEVICE.replace("tun", "tap"))),
    _shape("another port", BAD, "wrong: listens on port 1195", (PORT, PORT.replace("1194", "1195"))),
    _shape("TCP", BAD, "wrong: explicit-exit-notify is for UDP alone | wrong: does not speak udp4", (PROTOCOL, "<protocol>TCP4</protocol><ipaddr>"), _custom("explicit-exit-notify 1")),
    _shape("both families", GOOD, "", (PROTOCOL, PROTOCOL.replace("UDP4", "UDP"))),
    _shape("no TLS key", BAD, "missing: has no TLS key", (TLS, "<tls></tls>")),
    _shape("tls-auth", BAD, "wrong: speaks tls-auth", (TLS_TYPE, "<tls_type>auth</tls_type>")),
    _shape("tls_type never stored", BAD, "wrong: speaks tls-auth", (TLS_TYPE, "")),
    _shape("no key usage", WEAK, "weak: takes a server's certificate", (USE, "")),
    _shape("list of ciphers empty", BAD, "wrong: offers no cipher", (CIPHERS, "<data_ciphers></data_ciphers>")),
    _shape("list of ciphers absent", BAD, "wrong: offers no cipher", (CIPHERS, "")),
    _shape("list of ciphers empty, good fallback", GOOD, "", (CIPHERS, ""), (FALLBACK, FALLBACK.replace("CBC", "GCM"))),
    _shape("CBC alone", BAD, "wrong: offers no cipher", (CIPHERS, "<data_ciphers>AES-256-CBC</data_ciphers>")),
    _shape("CBC, good fallback", WEAK, "weak: old ciphers", (CIPHERS, "<data_ciphers>AES-256-CBC</data_ciphers>"), (FALLBACK, FALLBACK.replace("CBC", "GCM"))),
    _shape("no fallback", BAD, "wrong: takes data-ciphers with 1 words | wrong: takes data-ciphers-fallback with 1 words", (FALLBACK, ""), (CIPHERS, "<data_ciphers>AES-256-GCM, AES-128-GCM</data_ciphers>")),
    _shape("Blowfish among others", BAD, "wrong: unknown to OpenSSL 3", (CIPHERS, "<data_ciphers>AES-256-GCM,BF-CBC</data_ciphers>")),
    _shape("Blowfish as fallback", BAD, "wrong: unknown to OpenSSL 3", (FALLBACK, "<data_ciphers_fallback>BF-CBC</data_ciphers_fallback>")),
    _shape("negotiation off, left over in 2.7.2", GOOD, "", (NCP, "<ncp_enable>disabled</ncp_enable>")),
    _shape("small letters", GOOD, "", (CIPHERS, "<data_ciphers>aes-256-gcm</data_ciphers>")),
    _shape("SHA1", GOOD, "", ("<digest>SHA256</digest>", "<digest></digest>")),
    _shape("compression none, allowed one way", BAD, "wrong: does not tell the router: no packet is understood", (ALLOW, "<allow_compression>asym</allow_compression>"), (COMPRESSION, "<compression>none</compression>")),
    _shape("compression none, nothing said", BAD, "wrong: does not tell the router", (ALLOW, ""), (COMPRESSION, "<compression>none</compression>")),
    _shape("compression none, pushed", WEAK, "weak: frames packets", (ALLOW, "<allow_compression>asym</allow_compression>"), (COMPRESSION, "<compression>none</compression>"), (PUSH, "<compression_push>yes</compression_push>")),
    _shape("compression none, refused", GOOD, "", (COMPRESSION, "<compression>none</compression>")),
    _shape("lz4", BAD, "wrong: does not tell the router", (ALLOW, "<allow_compression>yes</allow_compression>"), (COMPRESSION, "<compression>lz4</compression>")),
    _shape("lz4, pushed", BAD, "wrong: has clients compress: the router refuses that", (ALLOW, "<allow_compression>yes</allow_compression>"), (COMPRESSION, "<compression>lz4</compression>"), (PUSH, "<compression_push>yes</compression_push>")),
    _shape("stub-v2", WEAK, "weak: allows compression", (ALLOW, "<allow_compression>asym</allow_compression>"), (COMPRESSION, "<compression>stub-v2</compression>")),
    _shape("comp-lzo no", BAD, "wrong: does not tell the router", (ALLOW, "<allow_compression>asym</allow_compression>"), (COMPRESSION, "<compression>no</compression>")),
    _shape("compression allowed", WEAK, "weak: allows compression", (ALLOW, "<allow_compression>asym</allow_compression>")),
    _shape("comp-lzo by hand", BAD, "wrong: does not start: it compresses | wrong: does not tell the router", _custom("comp-lzo adaptive")),
    _shape("fragments", BAD, "wrong: cuts packets into fragments", _custom("fragment 1300")),
    _shape("net30, with its pair", GOOD, "", (TOPOLOGY, "<topology>net30</topology>"), (OWN, "<tunnel_network>192.168.0.252/30</tunnel_network>")),
    _shape("net30, with the whole network", BAD, "wrong: gives another address than 192.168.0.254", (TOPOLOGY, "<topology>net30</topology>")),
    _shape("topology never stored", BAD, "wrong: gives another address than 192.168.0.254", (TOPOLOGY, "<topology></topology>")),
    _shape("another mask", GOOD, "", (OWN, "<tunnel_network>192.168.0.254/30</tunnel_network>")),
    _shape("another address", BAD, "wrong: gives another address", (OWN, "<tunnel_network>192.168.0.77/24</tunnel_network>")),
    _shape("no address", BAD, "missing: gives no address", (OWN, "<tunnel_network></tunnel_network>")),
    _shape("address by hand", GOOD, "", (OWN, "<tunnel_network></tunnel_network>"), _own("ifconfig-push 192.168.0.254 255.255.255.0")),
    _shape("another address by hand", BAD, "wrong: gives another address", (OWN, "<tunnel_network></tunnel_network>"), _own("ifconfig-push 192.168.0.77 255.255.255.0")),
    _shape("disabled by hand", BAD, "wrong: blocks its connection", _own("disable")),
    _shape("blocked", BAD, "wrong: blocks its connection", (BLOCK, f"{OVERRIDE}<block>yes</block>")),
    _shape("unknown option in the override", GOOD, "", _own("no-such-option 1")),
    _shape("inner routes by hand", GOOD, "", (IROUTES, ""), _own("iroute 10.0.0.0 255.255.0.0")),
    _shape("inner route missing", BAD, "missing: lacks 10.0.0.0/24", (IROUTES, IROUTES.replace("10.0.0.0/24,", ""))),
    _shape("inner routes by an alias", GOOD, "", ALIASES, (IROUTES, "<remote_network>VPC</remote_network>")),
    _shape("inner routes by an alias, of 2.5.2", BAD, "missing: lacks", V25, ALIASES, (IROUTES, "<remote_network>VPC</remote_network>")),
    _shape("tunnel network by an alias", GOOD, "", ALIASES, (NETWORK, "<tunnel_network>VPN</tunnel_network>")),
    _shape("route missing", BAD, "missing: does not route 10.0.0.0/24", (FIRST_ROUTE, "")),
    _shape("route past the tunnel", BAD, "missing: does not route 10.0.0.0/24 | shadowed: itself routes part of the VPC past", (FIRST_ROUTE, "route 10.0.0.0 255.255.255.0 net_gateway;")),
    _shape("laptops not told", BAD, "missing: does not tell laptops of 10.100.100.0/24", (LOCAL, LOCAL.replace("10.100.100.0/24,", ""))),
    _shape("laptops send everything", GOOD, "", (LOCAL, "<local_network></local_network>"), (GWREDIR, "<gwredir>yes</gwredir><gwredir6>")),
    _shape("no override of that name", BAD, "missing: there is no override of aws-router; without it", (OVERRIDE, "<common_name>aws-routr</common_name>")),
    _shape("capital letters", BAD, "missing: differs by capital letters", (OVERRIDE, "<common_name>AWS-Router</common_name>")),
    _shape("override disabled", BAD, "missing: the override of aws-router is disabled", _with(OVERRIDE, "<disable></disable>")),
    _shape("override of another server", BAD, "wrong: is for other servers than server 1", (f"<server_list>1</server_list>\n\t\t\t{OVERRIDE}", f"<server_list>2,7</server_list>{OVERRIDE}")),
    _shape("a disabled override comes last", BAD, "missing: comes after the other, and removes it", (LAPTOP, f"{OVERRIDE}<disable></disable>")),
    _shape("two overrides", BAD, "shadowed: 2 overrides are named aws-router | wrong: gives another address | missing: lacks", (LAPTOP, OVERRIDE)),
    _shape("override for everybody", GOOD, "", (OVERRIDE, "<common_name>DEFAULT</common_name>")),
    _shape("idle limit", WEAK, "weak: drops a router that was idle for 300 s", (INACTIVE, "<inactive_seconds>300</inactive_seconds>")),
    _shape("default timeout", WEAK, "weak: given up for dead only after 60 s", (TIMEOUT, ""), (INTERVAL, "")),
    _shape("timeout below twice the interval", BAD, "wrong: at least twice its interval", (INTERVAL, "<keepalive_interval>6</keepalive_interval>")),
    _shape("pings not pushed", WEAK, "weak: does not tell the router when", (METHOD, "<ping_method>ping</ping_method>")),
    _shape("pings rarer than the timeout", WEAK, "weak: an idle router dials again and again", (METHOD, "<ping_method>ping</ping_method>"), (PING_PUSH, "<ping_push>yes</ping_push>"), (ACTION_PUSH, "<ping_action_push>yes</ping_action_push>"), ("<ping_action_seconds>60<", "<ping_action_seconds>5<")),
    _shape("two of a name may stay", WEAK, "weak: lets two clients of one name stay", _with(MODE, "<duplicate_cn></duplicate_cn>")),
    _shape("only clients with a file", GOOD, "", _custom("ccd-exclusive")),
    _shape("clients' files elsewhere", BAD, "wrong: reads clients' files in another folder", _custom("client-config-dir /usr/local/ccd")),
    _shape("another name asked for", BAD, "wrong: takes certificates of another name", _custom("verify-x509-name laptop name")),
    _shape("unknown option", BAD, "wrong: knows no option of that name", _custom("no-such-option 1")),
    _shape("client's option in the server", BAD, "wrong: knows iroute in a client's file alone", _custom("iroute 10.0.0.0 255.255.0.0")),
    _shape("quotation without an end", BAD, "wrong: has no end of a quotation", _custom('push "route 10.9.0.0 255.255.0.0')),
    _shape("quoted and commented", GOOD, "", _custom('push "dhcp-option DOMAIN office.example.com" # names;# nothing')),
    _shape("packets without numbers", BAD, "wrong: does not number packets", _custom("no-replay")),
    _shape("room for one client", BAD, "wrong: has no room for the router beside a laptop", ("<maxclients></maxclients>", "<maxclients>1</maxclients>")),
    _shape("no bind", BAD, "wrong: is to listen, and not to bind", _custom("nobind")),
    _shape("client's directive", BAD, "wrong: remote is a client's", _custom("remote 203.0.113.1")),
    _shape("pool beside the pool", BAD, "wrong: has a pool of its own", _custom("ifconfig-pool 192.168.0.100 192.168.0.200")),
    _shape("no pool", BAD, "missing: has no pool", _custom("server 192.168.0.0 255.255.255.0 nopool"), (LAPTOPS_OWN, "")),
    _shape("routes not set", BAD, "wrong: sets no routes of its own", _custom("route-noexec")),
    _shape("compression allowed after all", BAD, "wrong: allows no compression first | weak: allows compression", _custom("allow-compression asym")),
    _shape("port shared over UDP", BAD, "wrong: port-share is for TCP alone", _custom("port-share 10.100.100.1 443")),
    _shape("removed option", BAD, "wrong: knows no option of that name", _custom("client-cert-not-required")),
    _shape("option of 2.4, of 2.4.5", WEAK, "weak: takes a server's certificate", *V24, _custom("key-method 2")),
    _shape("TLS 1.1 at most", BAD, "wrong: speaks TLS below 1.2", _custom("tls-version-max 1.1")),
)  # fmt: skip
"""All of them; what is found is of each every finding."""

BY_NAME = {shape.name: shape for shape in SHAPES}

OF_ITS_TIME = ("option of 2.4, of 2.4.5",)
"""Shapes that the OpenVPN of their own release takes, and 2.6 does not."""
