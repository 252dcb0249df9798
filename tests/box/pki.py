"""Makes a CA, certificates and a tls-crypt key on the fly; every private key is a canary to be searched for."""

from __future__ import annotations

import datetime as dt
import secrets
import textwrap
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


def static_key() -> str:
    """Make what `openvpn --genkey tls-crypt` makes."""
    lines = "\n".join(textwrap.wrap(secrets.token_hex(256), 32))
    return f"-----BEGIN OpenVPN Static key V1-----\n{lines}\n-----END OpenVPN Static key V1-----\n"


@dataclass
class Authority:
    """A CA of its own, and the tls-crypt key of the server it stands for."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    tls_crypt: str = field(default_factory=static_key)

    def __post_init__(self) -> None:
        name = _name("office CA")
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = (
            _builder(name, self.key, name, 30)
            .add_extension(constraints, critical=True)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def certificate(self) -> str:
        """The CA's certificate, in PEM."""
        return _pem(self._certificate)

    def issue(self, common_name: str, *, days: float = 20, server: bool = False) -> Identity:
        """Issue a certificate for a client or a server; days below 0 have passed."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        certificate = (
            _builder(_name(common_name), key, self._certificate.subject, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(_usage(), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        return Identity(_pem(certificate), private(key))


def private(key: ec.EllipticCurvePrivateKey) -> str:
    """Write a private key in PEM."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, days: float
) -> x509.CertificateBuilder:
    until = dt.datetime.now(dt.UTC) + days * _DAY
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - 60 * _DAY)
        .not_valid_after(until)
    )


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=True,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
