"""Reads a pfSense backup: an XML file from elsewhere, so nothing in it is trusted, and nothing secret in it is kept."""

from __future__ import annotations

import base64
import binascii
import sys
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from chalicelib.cli.errors import FileUnusable
from chalicelib.office.backup import PRESENT_ONLY, READ, Backup, Entry

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MOST = 32 << 20
"""Bytes read: far more than a firewall's settings take. Graphs (RRD data) can be left out of a backup."""

_HINT = "Diagnostics > Backup & Restore > Download configuration as XML, without encryption"


def read_backup(name: str) -> Backup:
    """Read what concerns the tunnel of a backup of pfSense, whole or of its OpenVPN area alone.

    Raises:
        FileUnusable: there is no such file, or it is no such backup; one line says why, and shows nothing of it.
    """
    document = _bytes(name)
    shown = "standard input" if name == "-" else name
    if len(document) > MOST:
        raise FileUnusable(
            f"{shown} is larger than {MOST >> 20} MB", hint="leave RRD data and packages out of the backup"
        )
    if document.lstrip()[:9] == b"---- BEGI":
        raise FileUnusable(f"{shown} is encrypted", hint=_HINT)
    root = _root(shown, document)
    if root.tag not in ("pfsense", "openvpn"):
        known = {"opnsense": "OPNsense", "m0n0wall": "m0n0wall"}.get(root.tag)
        raise FileUnusable(
            f"{shown} is {f'a backup of {known}' if known else 'XML'}, but none of pfSense", hint=_HINT
        )
    return _backup(root)


def _bytes(name: str) -> bytes:
    try:
        if name != "-":
            with Path(name).open("rb") as stream:
                return stream.read(MOST + 1)
        return sys.stdin.buffer.read(MOST + 1) if sys.stdin else b""
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        why = error.strerror if isinstance(error, OSError) else error
        raise FileUnusable(f"cannot read {name}: {why}", hint=_HINT) from error


def _root(shown: str, document: bytes) -> Element:
    if not document.strip():
        raise FileUnusable(f"{shown} is empty", hint=_HINT)
    try:
        root: Element = fromstring(document, forbid_dtd=True)
    except ParseError as error:
        line, column = error.position
        raise FileUnusable(
            f"{shown} is no whole XML: it stops making sense at line {line}, column {column}", hint=_HINT
        ) from None
    except DefusedXmlException:
        raise FileUnusable(
            f"{shown} declares entities or a document type, which no backup of pfSense does", hint=_HINT
        ) from None
    except (ValueError, LookupError):
        raise FileUnusable(f"{shown} is XML in an encoding that cannot be read", hint=_HINT) from None
    return root


def _backup(root: Element) -> Backup:
    openvpn = root if root.tag == "openvpn" else root.find("openvpn")
    lists = {tag: [] if openvpn is None else openvpn.findall(tag) for tag in READ}
    servers, overrides, clients = (tuple(_entry(e, tag) for e in found) for tag, found in lists.items())
    names = {}
    for place, element in enumerate(lists["openvpn-server"]):
        if (name := _common_name(root, element.findtext("certref", ""))) is not None:
            names[place] = name
    return Backup(servers, overrides, clients, tuple(_static_routes(root)), names)


def _entry(element: Element, tag: str) -> Entry:
    """Keep the elements that are judged; the last of one name is in force, as in pfSense."""
    kept = {child.tag: child.text or "" for child in element if child.tag in READ[tag]}
    # A key is there or not: what it says is nobody's concern here. An empty one is none.
    kept |= {child.tag: "" for child in element if child.tag in PRESENT_ONLY and (child.text or "").strip()}
    return Entry(kept)


def _static_routes(root: Element) -> list[IPv4Network]:
    networks = []
    for route in root.findall("staticroutes/route"):
        if route.find("disabled") is None:
            try:
                networks.append(IPv4Network(route.findtext("network", ""), strict=False))
            except ValueError:  # an alias, or IPv6
                continue
    return networks


def _common_name(root: Element, refid: str) -> str | None:
    """Read the common name of a certificate of the backup; None when it is not there or cannot be read."""
    for cert in root.findall("cert"):
        if refid and cert.findtext("refid") == refid:
            try:
                certificate = x509.load_pem_x509_certificate(base64.b64decode(cert.findtext("crt", "")))
                names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            except (ValueError, binascii.Error):
                return None
            return str(names[0].value) if names else None
    return None
