"""Judges the four secrets of a tunnel together: whether a router could connect with them, before any router tries."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chalicelib.cli.errors import UnfitSecrets
from chalicelib.cli.secrets.pem import blocks, misplaced
from chalicelib.core.machines.certificate import PARTS, CertificateRecord, Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from chalicelib.core.network.topology import Tunnel

LARGEST = 8192
"""Bytes that one parameter holds, in its advanced tier."""

_E = TypeVar("_E", bound=x509.ExtensionType)

_STATIC_BYTES = 256
_WEAK = (hashes.MD5, hashes.SHA1)
_RSA_BITS = 2048


@dataclass(frozen=True)
class Identity:
    """What a router is to the office: four texts that belong together, and what may be said of them."""

    texts: Mapping[Part, str] = field(repr=False)
    common_name: str
    issuer: str
    expires: datetime
    ca_expires: datetime
    fingerprint: str

    def record(self, versions: dict[Part, int]) -> CertificateRecord:
        """Return what may be known of it, once it is stored as these versions."""
        return CertificateRecord(self.common_name, self.expires, self.ca_expires, self.fingerprint, versions)


def judge(files: Mapping[Part, bytes], names: Mapping[Part, str], tunnel: Tunnel, now: datetime) -> Identity:
    """Find out whether the office's server would take a router with these, and the router the server.

    Args:
        files: the content of each part, as PEM with anything around it.
        names: what to call each part in a problem.
        tunnel: who the router is declared to be.
        now: the time, in UTC.

    Raises:
        UnfitSecrets: it would not, for every reason that is named; no content is.
    """
    problems = misplaced(files, names)
    found = {part: blocks(part, files[part])[0] for part in PARTS}
    reading = _Reading(names, problems)
    chain, cas = (reading.certificates(part, found[part]) for part in ("cert", "ca"))
    key = reading.key(found["key"])
    reading.static_key(found["tls-crypt"])
    texts: dict[Part, str] = {part: "\n".join(found[part]) + "\n" for part in PARTS}
    problems += [
        f"{names[part]}: {len(text)} bytes, but one parameter holds {LARGEST}; leave certificates out that nobody needs"
        for part, text in texts.items()
        if len(text) > LARGEST
    ]
    if chain and cas and _is_ca(chain[0]) and not any(map(_is_ca, cas)):
        problems.append(f"{names['ca']} and {names['cert']} are swapped: only the latter is a CA's")
        raise UnfitSecrets(tuple(problems))
    signers = _signers(chain[0], chain[1:], cas) if chain else []
    for own in chain[:1]:
        problems += [f"{names['cert']}: {one}" for one in _unfit_client(own, tunnel, now)]
        problems += _unfit_together(own, key, signers if cas else None, names)
    problems += [f"{names['ca']}: {one}" for ca in cas for one in _unfit_ca(ca, now)]
    if problems:
        raise UnfitSecrets(tuple(problems))
    own = chain[0]
    return Identity(
        texts=texts,
        common_name=_common_name(own.subject),
        issuer=_common_name(own.issuer),
        expires=own.not_valid_after_utc,
        ca_expires=min(one.not_valid_after_utc for one in signers),
        fingerprint=own.fingerprint(hashes.SHA256()).hex(),
    )


@dataclass(frozen=True)
class _Reading:
    """Parses what the files hold; what cannot be parsed is a problem, told without what OpenSSL says of it."""

    names: Mapping[Part, str]
    problems: list[str]

    def certificates(self, part: Part, texts: Sequence[str]) -> list[x509.Certificate]:
        try:
            read = [x509.load_pem_x509_certificate(text.encode("latin-1")) for text in texts]
            for one in read:
                _ = (one.extensions, one.public_key())
        except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
            self.problems.append(
                f"{self.names[part]}: not a certificate that can be read: damaged, or of an unknown kind"
            )
            return []
        return read

    def key(self, texts: Sequence[str]) -> PrivateKeyTypes | None:
        name = self.names["key"]
        if not texts:
            return None
        if len(texts) > 1:
            self.problems.append(f"{name}: holds {len(texts)} private keys; give the certificate's alone")
        elif "ENCRYPTED" in texts[0]:
            self.problems.append(
                f"{name}: the key is encrypted, and nobody types a passphrase on a router; Parameter Store encrypts it. "
                "Decrypt it: (umask 077; openssl pkey -in FILE -out PLAIN)"
            )
        else:
            try:
                return serialization.load_pem_private_key(texts[0].encode("latin-1"), password=None)
            except (ValueError, TypeError, UnsupportedAlgorithm):
                self.problems.append(
                    f"{name}: not a private key that can be read: damaged, or of an unknown kind"
                )
        return None

    def static_key(self, texts: Sequence[str]) -> None:
        name = self.names["tls-crypt"]
        if not texts:
            return
        if len(texts) > 1:
            self.problems.append(f"{name}: holds {len(texts)} static keys; give the server's alone")
            return
        digits = re.sub(r"-----.*?-----|\s", "", texts[0])
        if not re.fullmatch(r"[0-9a-fA-F]*", digits):
            self.problems.append(f"{name}: not a static key: something in it is no hexadecimal digit")
        elif len(digits) != _STATIC_BYTES * 2:
            self.problems.append(
                f"{name}: {len(digits) / 2:g} bytes long, but a static key has {_STATIC_BYTES}"
            )
        elif len(set(digits)) == 1:
            self.problems.append(f"{name}: all its digits are the same: it keeps nothing secret")


# -- judging -----------------------------------------------------------------------------------------


def _unfit_client(own: x509.Certificate, tunnel: Tunnel, now: datetime) -> Iterator[str]:
    """Return why the server would not take it. OpenVPN 2.6 manual, --remote-cert-tls client; OpenSSL 3's security level 2."""
    common_name = _common_name(own.subject)
    if common_name != tunnel.common_name:
        whose = "the server's certificate, " if common_name == tunnel.server_name else ""
        yield f'{whose}common name "{common_name}", but the topology declares tunnel.common_name = "{tunnel.common_name}"'
    if _is_ca(own):
        yield "a CA's certificate; give the one that it signed for the router"
    uses = _extension(own, x509.ExtendedKeyUsage)
    if uses is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in uses:
        yield "not a client's certificate: its extended key usage lacks clientAuth"
    usage = _extension(own, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.key_agreement):
        yield "not for TLS: its key usage has neither digitalSignature nor keyAgreement"
    if isinstance(own.signature_hash_algorithm, _WEAK):
        yield f"signed with {own.signature_hash_algorithm.name.upper()}, which OpenSSL 3 refuses; have it signed with SHA-256"
    key = own.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS:
        yield f"an RSA key of {key.key_size} bits, which OpenSSL 3 refuses; make one of {_RSA_BITS} or more"
    yield from _untimely(own, now)


def _unfit_ca(ca: x509.Certificate, now: datetime) -> Iterator[str]:
    """Return why nobody may trust it. RFC 5280, 4.2.1.3 and 4.2.1.9."""
    who = f'"{_common_name(ca.subject)}" '
    usage = _extension(ca, x509.KeyUsage)
    if not _is_ca(ca):
        yield f"{who}is not a CA's certificate: its basic constraints do not say so"
    elif usage is not None and not usage.key_cert_sign:
        yield f"{who}may not sign certificates: its key usage lacks keyCertSign"
    yield from (who + one for one in _untimely(ca, now))


def _unfit_together(
    own: x509.Certificate,
    key: PrivateKeyTypes | None,
    signers: Sequence[x509.Certificate] | None,
    names: Mapping[Part, str],
) -> Iterator[str]:
    """Return what does not belong together; None could not be read, which is a problem of its own."""
    if key is not None and _public(key.public_key()) != _public(own.public_key()):
        yield f"{names['key']}: does not fit the certificate of {names['cert']}: it is another certificate's key"
    if signers is not None and not signers:
        yield (
            f'{names["ca"]}: did not sign the certificate of {names["cert"]}, whose issuer is "{_common_name(own.issuer)}"'
        )


def _untimely(one: x509.Certificate, now: datetime) -> Iterator[str]:
    if now > one.not_valid_after_utc:
        yield f"expired on {one.not_valid_after_utc:%Y-%m-%d}"
    if now < one.not_valid_before_utc:
        yield f"not valid before {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; is this machine's clock right?"


def _signers(
    own: x509.Certificate, between: Sequence[x509.Certificate], cas: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """Return who signed it, up to a CA that was given as one; nobody if that is not reached."""
    path, left = [own], list(between)
    while True:
        for ca in cas:
            if _signed(path[-1], ca):
                return [*path[1:], ca]
        signer = next((one for one in left if _is_ca(one) and _signed(path[-1], one)), None)
        if signer is None:
            return []
        left.remove(signer)
        path.append(signer)


def _signed(one: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_ca(one: x509.Certificate) -> bool:
    constraints = _extension(one, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _extension(one: x509.Certificate, kind: type[_E]) -> _E | None:
    try:
        return one.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _common_name(name: x509.Name) -> str:
    return ", ".join(str(one.value) for one in name.get_attributes_for_oid(NameOID.COMMON_NAME))


def _public(key: object) -> bytes:
    der, info = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_bytes(der, info))  # type: ignore[attr-defined] # every kind of public key has it
