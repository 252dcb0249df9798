"""Reads a firewall's backup: XML from elsewhere, so nothing in it is trusted, and nothing secret in it is kept."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Literal, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from chalicelib.office.backup import Backup, Certificate, Entry, Revocations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

_SERVER = (
    "vpnid disable mode authmode protocol dev_mode interface ipaddr local_port custom_options tls_type tlsauth_keydir caref"
    " crlref certref dh_length ecdh_curve cert_depth strictusercn remote_cert_tls data_ciphers data_ciphers_fallback crypto"
    " ncp_enable ncp-ciphers digest engine tunnel_network tunnel_networkv6 remote_network remote_networkv6 gwredir gwredir6"
    " local_network local_networkv6 maxclients connlimit allow_compression compression compression_push passtos client2client"
    " duplicate_cn dynamic_ip topology topology_subnet serverbridge_dhcp username_as_common_name exit_notify sndrcvbuf"
    " udp_fast_io verbosity_level ping_method keepalive_interval keepalive_timeout ping_seconds ping_push ping_action"
    " ping_action_seconds ping_action_push inactive_seconds dns_domain dns_server1 dns_server2 dns_server3 dns_server4"
    " push_blockoutsidedns push_register_dns ntp_server1 ntp_server2 netbios_enable dhcp_nbttype dhcp_nbtscope wins_server1"
    " wins_server2 nbdd_server1 dns_add tlsmode push_register_dns reneg-sec verbosity_level"
)
_OVERRIDE = (
    "common_name server_list disable block push_reset keep_minimal remove_route remove_options tunnel_network"
    " tunnel_networkv6 local_network local_networkv6 remote_network remote_networkv6 gateway gateway6 inactive_seconds"
    " ping_seconds ping_action ping_action_seconds gwredir gwredir6 custom_options dns_domain dns_server1 dns_server2"
    " dns_server3 dns_server4 push_blockoutsidedns push_register_dns ntp_server1 ntp_server2 netbios_enable dhcp_nbttype"
    " dhcp_nbtscope wins_server1 wins_server2 nbdd_server1 ovpn_servers"
)
_INSTANCE = (
    "vpnid enabled dev_type verb proto port local topology role server nopool route push_route cert ca crl verify_client_cert"
    " remote_cert_tls data-ciphers data-ciphers-fallback auth tls_key authmode various_flags various_push_flags maxclients"
    " keepalive_interval keepalive_timeout redirect_gateway compress_migrate push_inactive username_as_common_name tun_mtu"
    " fragment mssfix provision_exclusive reneg-sec"
)
_END = "any network address port not"
READ = {
    "openvpn/openvpn-server": _SERVER,
    "openvpn/openvpn-client": "vpnid disable mode protocol interface ipaddr local_port remote_network tunnel_network custom_options",
    "openvpn/openvpn-csc": _OVERRIDE,
    "OPNsense/OpenVPN/Instances/Instance": _INSTANCE,
    "OPNsense/OpenVPN/Overwrites/Overwrite": "enabled servers common_name block push_reset tunnel_network local_networks"
    " remote_networks redirect_gateway route_gateway",
    "OPNsense/OpenVPN/StaticKeys/StaticKey": "mode",
    "OPNsense/Firewall/Alias/aliases/alias": "enabled name type content",
    "aliases/alias": "name type address",
    "staticroutes/route": "network gateway disabled",
    "gateways/gateway_item": "name interface gateway disabled defaultgw",
    "virtualip/vip": "mode interface subnet subnet_bits uniqid",
    "ipsec/phase1": "ikeid disabled",
    "ipsec/phase2": "ikeid disabled mode localid/type localid/address localid/netbits remoteid/type remoteid/address"
    " remoteid/netbits",
    "filter/rule": "type interface ipprotocol protocol disabled floating quick direction gateway "
    + " ".join(f"{side}/{what}" for side in ("source", "destination") for what in _END.split()),
    "nat/rule": "interface protocol disabled target local-port destination/port destination/any destination/network"
    " destination/address",
    "nat/outbound": "mode",
    "nat/outbound/rule": "interface disabled nonat source/network source/any destination/any destination/address"
    " destination/network target",
    "system": "domain disablenegate",
    "unbound": "enable regovpnclients",
}
"""The elements that are read, list by list; all others, keys and passwords among them, never leave the parser."""

_INTERFACE = "enable if descr ipaddr subnet ipaddrv6 gateway mtu"
_PRESENT_ONLY = ("tls", "shared_key", "key")
"""Read as present or not: their text is a key."""

_USES: dict[x509.ObjectIdentifier, Literal["server", "client"]] = {
    ExtendedKeyUsageOID.SERVER_AUTH: "server",
    ExtendedKeyUsageOID.CLIENT_AUTH: "client",
}


class NoBackup(Exception):  # noqa: N818 - it names what the document is
    """A document is no backup that can be read; says why, and shows nothing of it."""


def read(document: bytes) -> Backup:
    """Read a backup of pfSense or OPNsense, whole or of its OpenVPN area alone.

    Raises:
        NoBackup: it is none.
    """
    root = _root(document)
    if root.tag not in ("pfsense", "opnsense", "openvpn"):
        raise NoBackup(
            f"is {'a backup of m0n0wall' if root.tag == 'm0n0wall' else 'XML'}, but none of pfSense or OPNsense"
        )
    lists = {path: tuple(_entries(root, path, names.split())) for path, names in READ.items()}
    if root.tag == "opnsense":
        lists["aliases/alias"] = lists["OPNsense/Firewall/Alias/aliases/alias"]
    return Backup(
        servers=lists["openvpn/openvpn-server"],
        overrides=lists["openvpn/openvpn-csc"],
        clients=lists["openvpn/openvpn-client"],
        lists=lists,
        interfaces=_interfaces(root),
        certificates=tuple(_certificates(root)),
        revocations=tuple(_revocations(root)),
        version=_version(root.findtext("version", "")),
        product="OPNsense" if root.tag == "opnsense" else "pfSense",
        whole=root.tag != "openvpn",
    )


def _root(document: bytes) -> Element:
    if not document.strip():
        raise NoBackup("is empty")
    if document.lstrip()[:9] == b"---- BEGI":
        raise NoBackup("is encrypted")
    try:
        root: Element = fromstring(document, forbid_dtd=True)
    except ParseError as error:
        line, column = error.position
        raise NoBackup(f"is no whole XML: it stops making sense at line {line}, column {column}") from None
    except DefusedXmlException:
        raise NoBackup("declares entities or a document type, which no backup of a firewall does") from None
    except (ValueError, LookupError):
        raise NoBackup("is XML in an encoding that cannot be read") from None
    return root


def _entries(root: Element, path: str, names: list[str]) -> Iterator[Entry]:
    if root.tag == "openvpn":
        path = path.removeprefix("openvpn/")
    for element in root.findall(path):
        yield _entry(element, names)


def _entry(element: Element, names: list[str]) -> Entry:
    """Keep the elements that are judged; the last of one name is in force, as in pfSense."""
    flat = dict(_flat(element))
    kept = {name: flat[name] for name in names if name in flat}
    # A key is there or not: what it says is nobody's concern here. An empty one is none.
    kept |= {name: "" for name in _PRESENT_ONLY if flat.get(name, "").strip()}
    if uuid := element.get("uuid"):
        kept["uuid"] = uuid
    return Entry(kept)


def _flat(element: Element) -> Iterator[tuple[str, str]]:
    for child in element:
        yield str(child.tag), child.text or ""
        for inner in child:
            yield f"{child.tag}/{inner.tag}", inner.text or ""


def _interfaces(root: Element) -> dict[str, Entry]:
    found = root.find("interfaces")
    return {} if found is None else {str(e.tag): _entry(e, _INTERFACE.split()) for e in found}


def _version(text: str) -> tuple[int, int] | None:
    numbers = re.fullmatch(r"\s*([0-9]{1,3})(?:\.([0-9]{1,3}))?\s*", text)
    return (int(numbers[1]), int(numbers[2] or 0)) if numbers else None


def _certificates(root: Element) -> Iterator[Certificate]:
    for element in root.findall("cert"):
        try:
            found = x509.load_pem_x509_certificate(base64.b64decode(element.findtext("crt", "")))
            names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            yield Certificate(
                element.findtext("refid", ""),
                str(names[0].value) if names else "",
                found.not_valid_before_utc,
                found.not_valid_after_utc,
                found.serial_number,
                _uses(found),
                element.findtext("caref", ""),
            )
        except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
            continue  # not there, or no certificate: then nothing can be said of it


def _uses(certificate: x509.Certificate) -> frozenset[Literal["server", "client", "other"]] | None:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return None
    return frozenset(
        cast('Literal["server", "client", "other"]', _USES.get(use, "other")) for use in extension.value
    )


def _revocations(root: Element) -> Iterator[Revocations]:
    for element in root.findall("crl"):
        references = {cert.findtext("refid", "") for cert in element.findall("cert")} - {""}
        serials = set(_listed_serials(element))
        try:
            listed = x509.load_pem_x509_crl(base64.b64decode(element.findtext("text", "")))
            serials |= {revoked.serial_number for revoked in listed}
        except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
            pass  # pfSense keeps lists of its own as certificates, and writes the text when it needs it
        yield Revocations(element.findtext("refid", ""), frozenset(references), frozenset(serials))


def _listed_serials(element: Element) -> Iterator[int]:
    for cert in element.findall("cert"):
        try:
            yield x509.load_pem_x509_certificate(base64.b64decode(cert.findtext("crt", ""))).serial_number
        except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
            continue
