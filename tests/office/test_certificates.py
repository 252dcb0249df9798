"""Certificates that a backup holds are judged: each end refuses the other's when it is not good."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.office.backups import AT, judged
from tests.office.shapes import USE

KEY = ec.generate_private_key(ec.SECP256R1())
ISSUER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Office CA")])
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
END = "\t<revision>"


def made(
    name: str, uses: list[x509.ObjectIdentifier] | None, days: tuple[int, int] = (-10, 10), serial: int = 77
) -> str:
    """Make a certificate as a backup stores it, good for days around the moment of the check."""
    begins, ends = (AT + timedelta(days=day) for day in days)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(ISSUER).public_key(KEY.public_key())
    builder = builder.serial_number(serial).not_valid_before(begins).not_valid_after(ends)
    if uses is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    pem = builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return base64.b64encode(pem).decode()


def revoked(serial: int) -> str:
    """Make a revocation list as a backup stores it."""
    at = datetime(2026, 11, 1, tzinfo=UTC)
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
    builder = x509.CertificateRevocationListBuilder().issuer_name(ISSUER).last_update(at)
    builder = builder.next_update(at + timedelta(days=9000)).add_revoked_certificate(entry)
    return base64.b64encode(
        builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    ).decode()


def of_router(crt: str, authority: str = "5f0000000002") -> tuple[str, str]:
    """Put the router's certificate into the backup."""
    return (END, f"<cert><refid>77</refid><caref>{authority}</caref><crt>{crt}</crt></cert>{END}")


def server_with(crt: str) -> list[tuple[str, str]]:
    """Have the server a certificate, which is another entry of the backup."""
    return [
        ("<certref>5f0000000003</certref>", "<certref>88</certref>"),
        (END, f"<cert><refid>88</refid><crt>{crt}</crt></cert>{END}"),
    ]


@pytest.mark.parametrize(
    ("crt", "what"),
    [
        (made("office-vpn", [SERVER]), ""),
        (made("office-vpn", [SERVER, CLIENT]), ""),
        (made("office-vpn", [CLIENT]), "is none for servers"),
        (made("office-vpn", [SERVER], (-20, -10)), "expired on 2026-11-21"),
        (made("office-vpn", [SERVER], (10, 20)), "is good from 2026-12-11 on alone"),
        (made("another", [SERVER]), "another name than office-vpn"),
        ("bm90aGluZw==", ""),
    ],
)
def test_servers_certificate_is_one_that_the_router_takes(crt: str, what: str) -> None:
    """Name, time and use; what cannot be read says nothing."""
    found = judged(*server_with(crt))

    assert [(f.kind, what in f.what) for f in found.findings] == ([("wrong", True)] if what else [])
    assert found.unclear == tuple(f for f in found.unclear if "certificate" not in f.what)


@pytest.mark.parametrize(
    ("crt", "authority", "what"),
    [
        (made("aws-router", [CLIENT]), "5f0000000002", ""),
        (made("aws-router", None), "5f0000000002", ""),
        (made("aws-router", [SERVER]), "5f0000000002", "is none for clients, and server 1 enforces that"),
        (made("aws-router", [CLIENT], (-20, -10)), "5f0000000002", "expired on 2026-11-21"),
        (made("aws-router", [CLIENT]), "5f00000000ff", "is of another authority"),
    ],
)
def test_routers_certificate_is_one_that_the_server_takes(crt: str, authority: str, what: str) -> None:
    """Time, use and authority."""
    found = judged(of_router(crt, authority)).findings

    assert [(f.kind, what in f.what) for f in found] == ([("wrong", True)] if what else [])


def test_use_of_the_routers_certificate_counts_where_the_server_enforces_it() -> None:
    """Without that it is weak for another reason."""
    found = judged(of_router(made("aws-router", [SERVER])), (USE, "")).findings

    assert [f.kind for f in found] == ["weak"]


def test_one_good_certificate_of_the_router_is_enough() -> None:
    """An old one may stay in the list; which of them the router has, the backup does not say."""
    old = f"<cert><refid>76</refid><crt>{made('aws-router', [CLIENT], (-20, -10))}</crt></cert>"
    end, good = of_router(made("aws-router", [CLIENT]))

    assert judged((end, old + good)).findings == ()


@pytest.mark.parametrize(
    ("crl", "found"),
    [
        ("<refid>crl</refid><cert><refid>77</refid></cert>", ["wrong"]),
        (f"<refid>crl</refid><text>{revoked(77)}</text>", ["wrong"]),
        (
            f"<refid>crl</refid><cert><refid>1</refid><crt>{made('aws-router', [CLIENT])}</crt></cert>",
            ["wrong"],
        ),
        (f"<refid>crl</refid><text>{revoked(78)}</text>", []),
        ("<refid>another</refid><cert><refid>77</refid></cert>", []),
    ],
)
def test_revoked_certificate_of_the_router_is_refused(crl: str, found: list[str]) -> None:
    """By reference or by serial number, on the list that the server uses."""
    end, router = of_router(made("aws-router", [CLIENT]))
    listed = judged(
        ("<crlref></crlref>", "<crlref>crl</crlref>"), (end, f"<crl>{crl}</crl>{router}")
    ).findings

    assert [f.kind for f in listed] == found
    assert all("revocation list" in f.what for f in listed)
