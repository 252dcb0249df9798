"""Finds in a file what a part of the tunnel's secrets is made of, and leaves the rest: text before it, other blocks.

What goes on is the blocks alone. easy-rsa writes a page of prose above each certificate, which would not fit a
standard parameter, and pfSense exports a whole profile in one file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.core.machines.certificate import Part

_BLOCK = re.compile(r"-----BEGIN ([A-Za-z0-9 -]+?)-----\n.*?-----END \1-----", re.DOTALL)

_KINDS = {
    "CERTIFICATE": "a certificate",
    "X509 CERTIFICATE": "a certificate",
    "PRIVATE KEY": "a private key",
    "RSA PRIVATE KEY": "a private key",
    "EC PRIVATE KEY": "a private key",
    "ENCRYPTED PRIVATE KEY": "a private key",
    "OpenVPN Static key V1": "a static key",
    "OpenVPN tls-crypt-v2 client key": "a tls-crypt-v2 key",
    "OpenVPN tls-crypt-v2 server key": "a tls-crypt-v2 key",
    "CERTIFICATE REQUEST": "a certificate request",
    "NEW CERTIFICATE REQUEST": "a certificate request",
    "X509 CRL": "a revocation list",
    "DH PARAMETERS": "Diffie-Hellman parameters",
    "PUBLIC KEY": "a public key",
    "OPENSSH PRIVATE KEY": "an ssh key",
}
WANTED: dict[Part, str] = {
    "ca": "a certificate",
    "cert": "a certificate",
    "key": "a private key",
    "tls-crypt": "a static key",
}
_INSTEAD = {
    "a certificate request": "have the CA sign it, and give the certificate",
    "a tls-crypt-v2 key": "pfSense speaks tls-crypt v1: give the server's static key",
    "an ssh key": "this is no key of a certificate",
}


def blocks(part: Part, data: bytes) -> tuple[list[str], list[str]]:
    """Return the blocks of the kind that a part is made of, and the kinds of all that were found."""
    text = data.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
    inline = re.search(rf"<{part}>\n(.*?)</{part}>", text, re.DOTALL)
    found = list(_BLOCK.finditer(inline[1] if inline else text))
    fitting = [one[0] for one in found if _KINDS.get(one[1]) == WANTED[part]]
    return fitting, [_KINDS.get(one[1], f"a block {one[1]}") for one in found]


def misplaced(files: Mapping[Part, bytes], names: Mapping[Part, str]) -> list[str]:
    """Describe, for each file that cannot be the part it was given as, what it is instead, or with which it was swapped."""
    kinds = {part: blocks(part, data)[1] for part, data in files.items()}
    wrong = [part for part, found in kinds.items() if WANTED[part] not in found]
    return [f"{names[part]}: {_what(part, files[part], kinds, wrong)}" for part in wrong]


def _what(part: Part, data: bytes, kinds: Mapping[Part, list[str]], wrong: list[Part]) -> str:
    found, wanted = kinds[part], WANTED[part]
    for other in wrong:
        if other != part and WANTED[other] in found and wanted in kinds[other]:
            return f"this is {WANTED[other]}: it and the one given as {other} are swapped"
    if found:
        instead = next((_INSTEAD[kind] for kind in found if kind in _INSTEAD), f"give {wanted}")
        return f"this is {found[0]}, not {wanted}; {instead}"
    if not data.strip():
        return "empty"
    if b"<tls-auth>" in data and part == "tls-crypt":
        return "this profile has tls-auth; let the server use TLS encryption and authentication (tls-crypt)"
    if b"-----BEGIN " in data:
        return "its end is missing: the file was cut short"
    if data[:1] == b"0":  # DER's SEQUENCE
        return "not PEM; openssl pkcs12 -nodes -in FILE, or openssl x509 -inform der -in FILE, gives that"
    return f"not PEM: no -----BEGIN in it, where {wanted} should be"
