"""A small PKI for tests: CAs, certificates, keys and static keys as pfSense or easy-rsa would make them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chalicelib.core.machines.certificate import PARTS, Part

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

YEAR = timedelta(days=365)
DAY = timedelta(days=1)
PEM = serialization.Encoding.PEM

CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)


@dataclass(frozen=True)
class Holder:
    """A key and its certificate."""

    key: CertificateIssuerPrivateKeyTypes
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(PEM)

    def key_pem(self, passphrase: bytes | None = None, *, traditional: bool = False) -> bytes:
        """The key, in PKCS #8 or in OpenSSL's older form."""
        form = serialization.PrivateFormat
        return self.key.private_bytes(
            PEM,
            form.TraditionalOpenSSL if traditional else form.PKCS8,
            serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption(),
        )


@cache
def ca(name: str = "office-ca", lasts: timedelta = 10 * YEAR) -> Holder:
    """Make a CA that signs itself, once for all tests of a process."""
    return issue(name, None, authority=True, uses=(), lasts=lasts)


def issue(  # noqa: PLR0913 - whatever a test wants to be otherwise
    name: str,
    by: Holder | None,
    *,
    authority: bool | None = False,
    uses: tuple[x509.ObjectIdentifier, ...] = CLIENT,
    usage: bool | None = True,
    lasts: timedelta = 2 * YEAR,
    since: timedelta = DAY,
    key: CertificateIssuerPrivateKeyTypes | None = None,
    hosts: tuple[x509.GeneralName, ...] = (),
) -> Holder:
    """Make a certificate for a new key, signed by its issuer; None or nothing for an extension leaves it out."""
    key, now = key or ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - since)
        .not_valid_after(now + lasts)
    )
    if authority is not None:
        constraints = x509.BasicConstraints(ca=authority, path_length=None)
        builder = builder.add_extension(constraints, critical=True)
    if uses:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    if usage is not None:
        signs = bool(authority)
        builder = builder.add_extension(
            _usage(digital=usage and not signs, signs=usage and signs), critical=True
        )
    signer = by.key if by else key
    return Holder(key, builder.sign(signer, hashes.SHA256()))


def _usage(*, digital: bool, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=not (digital or signs),
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def static_key(seed: int = 7, size: int = 256) -> bytes:
    """Make what `openvpn --genkey tls-crypt` writes."""
    digits = "".join(f"{(seed * 31 + place * place) % 256:02x}" for place in range(size))
    rows = "\n".join(digits[at : at + 32] for at in range(0, len(digits), 32))
    head, tail = (f"-----{word} OpenVPN Static key V1-----" for word in ("BEGIN", "END"))
    return f"#\n# 2048 bit OpenVPN static key\n#\n{head}\n{rows}\n{tail}\n".encode()


@dataclass(frozen=True)
class Kit:
    """The four files of a router."""

    ca: bytes
    cert: bytes
    key: bytes
    tls_crypt: bytes

    @property
    def files(self) -> Mapping[Part, bytes]:
        """By part."""
        return dict(zip(PARTS, (self.ca, self.cert, self.key, self.tls_crypt), strict=True))

    def but(self, **other: bytes) -> Kit:
        """Return the same with other files."""
        return replace(self, **other)


def kit(name: str = "aws-router", by: Holder | None = None, seed: int = 7, **more: Any) -> Kit:  # noqa: ANN401 - see `issue`
    """Make a router's four files, which fit."""
    authority = by or ca()
    router = issue(name, authority, **more)
    return Kit(authority.pem, router.pem, router.key_pem(), static_key(seed))


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as text."""

    certificate: str
    key: str

    def write(self, folder: Path, name: str) -> None:
        """Write `name.crt` and `name.key`."""
        (folder / f"{name}.crt").write_text(self.certificate)
        _write_secret(folder / f"{name}.key", self.key)


@dataclass(frozen=True)
class Authority:
    """An office's CA and the tls-crypt key of its server, as text; its own, so that another's is a stranger's."""

    holder: Holder = field(default_factory=lambda: issue("office CA", None, authority=True, uses=()))
    tls_crypt: str = field(default_factory=lambda: static_key().decode())

    @property
    def certificate(self) -> str:
        """The CA's certificate."""
        return self.holder.pem.decode()

    def issue(self, name: str, *, days: float = 20, server: bool = False) -> Identity:
        """Issue a certificate for a client or a server; days below 0 have passed."""
        uses, lasts = SERVER if server else CLIENT, timedelta(days=days)
        holder = issue(name, self.holder, uses=uses, lasts=lasts, since=60 * DAY)
        return Identity(holder.pem.decode(), holder.key_pem().decode())

    def write(self, folder: Path) -> None:
        """Write `ca.crt` and `tls-crypt.key` into a folder that may be missing."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.crt").write_text(self.certificate)
        _write_secret(folder / "tls-crypt.key", self.tls_crypt)


def _write_secret(path: Path, text: str) -> None:
    """Write what nobody else may read: OpenVPN warns of a key that others can."""
    path.touch(0o600)
    path.write_text(text)
