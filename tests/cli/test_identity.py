"""What is judged of the four files together, and how it is told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from chalicelib.cli.errors import UnfitSecrets
from chalicelib.cli.secrets.identity import judge
from chalicelib.core.machines.certificate import PARTS
from chalicelib.core.network.topology import Tunnel
from tests.stand_ins.pki import DAY, SERVER, YEAR, Kit, ca, issue, kit, static_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.cli.secrets.identity import Identity
    from chalicelib.core.machines.certificate import Part

TUNNEL = Tunnel("vpn.example.com", "aws-router", "office-vpn", IPv4Address("192.168.0.254"))
NAMES: Mapping[Part, str] = {part: f"--{part}" for part in PARTS}


def judged(files: Kit) -> Identity:
    """Judge them now."""
    return judge(files.files, NAMES, TUNNEL, datetime.now(UTC))


def problems(files: Kit) -> list[str]:
    """Return what is wrong with them; no content of theirs may be in it."""
    with pytest.raises(UnfitSecrets) as unfit:
        judged(files)
    said = str(unfit.value)
    for content in files.files.values():
        lines = (one for one in content.decode("latin-1").splitlines() if len(one) >= 16 and "---" not in one)
        assert [one for one in lines if one in said] == []
    return list(unfit.value.problems)


def one(files: Kit) -> str:
    """Return the one thing that is wrong with them."""
    (problem,) = problems(files)
    return problem


# -- what fits ---------------------------------------------------------------------------------------


def test_router_that_could_connect_is_told_by_what_may_be_known_of_it() -> None:
    """Name, issuer, both expiries and the fingerprint; the texts are not in its repr."""
    files = kit(lasts=YEAR)
    identity = judged(files)
    assert (identity.common_name, identity.issuer) == ("aws-router", "office-ca")
    assert 364 <= identity.record(dict.fromkeys(PARTS, 1)).days_left(datetime.now(UTC)) <= 365
    assert identity.ca_expires > identity.expires
    assert re.fullmatch("[0-9a-f]{64}", identity.fingerprint)
    assert "BEGIN" not in repr(identity)


@pytest.mark.parametrize(
    "more",
    [
        {"uses": ()},
        {"usage": None},
        {"authority": None},
        {"key": rsa.generate_private_key(65537, 2048)},
        {"key": ed25519.Ed25519PrivateKey.generate()},
    ],
    ids=["no extended key usage", "no key usage", "no basic constraints", "RSA", "Ed25519"],
)
def test_certificate_that_a_server_takes_is_taken(more: dict[str, Any]) -> None:
    """What is not there cannot forbid; any kind of key that TLS has is one."""
    judged(kit(**more))


def test_what_stands_around_the_blocks_is_left_out() -> None:
    """easy-rsa's page of prose, Windows' line ends, EC parameters: the texts are the blocks alone."""
    files = kit()
    prose = b"Certificate:\n    Data:\n" + b"        Version: 3 (0x2)\n" * 300
    crlf = files.ca.replace(b"\n", b"\r\n")
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    messy = files.but(cert=prose + files.cert, ca=crlf, key=parameters + files.key)
    assert judged(messy).texts == judged(files).texts
    assert judged(files).texts["cert"].encode() == files.cert
    assert "#" not in judged(files).texts["tls-crypt"]


def test_one_exported_profile_holds_all_four() -> None:
    """PfSense's client export writes them between tags into one file."""
    files = kit()
    tags = b"".join(
        b"<%s>\n%s</%s>\n" % (part.encode(), text, part.encode()) for part, text in files.files.items()
    )
    profile = b"client\nremote vpn.example.com 1194\n" + tags
    assert judged(Kit(profile, profile, profile, profile)).texts == judged(files).texts


def test_certificate_of_an_intermediate_ca_is_followed_to_the_one_given() -> None:
    """The chain may stand in either file; what ends first is when it ends."""
    root = ca("root-ca")
    middle = issue("middle-ca", root, authority=True, uses=(), lasts=40 * DAY)
    files = kit(by=middle)
    below = judged(files.but(ca=root.pem, cert=files.cert + middle.pem))
    assert (below.ca_expires - datetime.now(UTC)).days == 39
    assert judged(files.but(ca=root.pem + middle.pem)).issuer == "middle-ca"
    assert "did not sign" in one(files.but(ca=root.pem))


def test_certificate_signed_by_one_that_is_no_ca_is_refused() -> None:
    """Any holder of a client's certificate could sign another: OpenSSL would refuse the chain."""
    root = ca("root-ca")
    client = issue("laptop", root)
    files = kit(by=client)
    assert "did not sign" in one(files.but(ca=root.pem, cert=files.cert + client.pem))


# -- what does not -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": "laptop"}, '--cert: common name "laptop", but the topology declares tunnel.common_name'),
        ({"name": "office-vpn"}, "the server's certificate, common name"),
        ({"uses": SERVER}, "its extended key usage lacks clientAuth"),
        ({"usage": False}, "its key usage has neither digitalSignature nor keyAgreement"),
        ({"lasts": -timedelta(hours=1)}, "--cert: expired on "),
        ({"since": -DAY}, "--cert: not valid before "),
        ({"key": rsa.generate_private_key(65537, 1024)}, "an RSA key of 1024 bits"),  # noqa: S505 - that is the point
        ({"authority": True, "usage": None}, "--cert: a CA's certificate"),
    ],
)
def test_certificate_that_a_server_refuses_is_refused(more: dict[str, Any], words: str) -> None:
    """Each reason by itself, at the file it concerns."""
    assert words in one(kit(**more))


def test_certificate_signed_with_sha_1_is_refused() -> None:
    """OpenSSL 3 refuses it at the security level of Debian and Amazon Linux."""
    old = (Path(__file__).parent / "data" / "sha1.pem").read_bytes()
    assert any(
        "signed with SHA1, which OpenSSL 3 refuses" in problem for problem in problems(kit().but(cert=old))
    )


def test_ca_that_cannot_be_one_is_refused() -> None:
    """No CA by its constraints, no right to sign, expired."""
    for more, words in (
        ({"authority": False}, "is not a CA's certificate"),
        ({"authority": True, "usage": False}, "may not sign certificates"),
        ({"authority": True, "lasts": -timedelta(hours=1)}, '--ca: "another" expired on '),
    ):
        files = kit(by=issue("another", None, uses=(), **more))
        assert any(words in problem for problem in problems(files)), words


def test_ca_of_the_same_name_that_did_not_sign_is_refused() -> None:
    """The signature is verified, not the name."""
    files = kit()
    other = issue("office-ca", None, authority=True, uses=())
    assert one(files.but(ca=other.pem)) == (
        '--ca: did not sign the certificate of --cert, whose issuer is "office-ca"'
    )


def test_key_of_another_certificate_is_refused() -> None:
    """Also one of another kind."""
    files = kit()
    for other in (kit(), kit(key=rsa.generate_private_key(65537, 2048))):
        assert "does not fit the certificate" in one(files.but(key=other.key))


@pytest.mark.parametrize("traditional", [False, True])
def test_encrypted_key_is_refused_with_the_way_out(*, traditional: bool) -> None:
    """PKCS #8 and OpenSSL's older form; nobody types a passphrase on a router."""
    router = issue("aws-router", ca())
    files = Kit(ca().pem, router.pem, router.key_pem(b"sesame", traditional=traditional), static_key())
    assert "the key is encrypted" in one(files)
    assert "openssl pkey" in one(files)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (lambda k: k.but(cert=k.key, key=k.cert), ["given as key are swapped", "given as cert are swapped"]),
        (lambda k: k.but(ca=k.cert, cert=k.ca), ["are swapped: only the latter is a CA's"]),
        (lambda k: k.but(key=k.tls_crypt, tls_crypt=k.key), ["are swapped"] * 2),
        (lambda k: k.but(key=k.cert), ["--key: this is a certificate, not a private key"]),
        (lambda k: k.but(ca=b""), ["--ca: empty"]),
        (lambda k: k.but(ca=b"\x30\x82\x01"), ["--ca: not PEM; openssl pkcs12"]),
        (lambda k: k.but(ca=b"hello"), ["--ca: not PEM: no -----BEGIN in it"]),
        (lambda k: k.but(cert=k.cert[:-30]), ["--cert: its end is missing"]),
        (
            lambda k: k.but(cert=k.cert.replace(b"CERTIFICATE", b"CERTIFICATE REQUEST")),
            ["have the CA sign it"],
        ),
        (
            lambda k: k.but(
                tls_crypt=k.tls_crypt.replace(b"Static key V1", b"tls-crypt-v2 client key")
            ),
            ["pfSense speaks tls-crypt v1"],
        ),
        (lambda k: k.but(tls_crypt=b"<tls-auth>\n</tls-auth>"), ["this profile has tls-auth"]),
    ],
)  # fmt: skip
def test_file_given_as_another_is_named_as_what_it_is(files: Any, words: list[str]) -> None:  # noqa: ANN401 - a lambda
    """Swapped, empty, binary, cut short, of another kind."""
    said = problems(files(kit()))
    assert len(said) == len(words)
    assert all(word in problem for word, problem in zip(words, said, strict=True)), said


@pytest.mark.parametrize(
    ("tls_crypt", "words"),
    [
        (static_key(size=128), "128 bytes long, but a static key has 256"),
        (static_key(size=255), "255 bytes long"),
        (static_key().replace(b"\nd9", b"\ng9"), "something in it is no hexadecimal digit"),
        (re.sub(rb"(?m)^[0-9a-f]{32}$", b"0" * 32, static_key()), "all its digits are the same"),
        (static_key() + static_key(8), "holds 2 static keys"),
    ],
)
def test_static_key_that_is_none_is_refused(tls_crypt: bytes, words: str) -> None:
    """256 bytes in hex. OpenVPN 2.6 manual, --tls-crypt."""
    assert words in one(kit().but(tls_crypt=tls_crypt))


def test_damaged_file_is_refused_without_a_word_of_it() -> None:
    """OpenSSL's own words, which may quote it, are not told."""
    files = kit()
    for part in ("cert", "ca", "key"):
        content = getattr(files, part)
        damaged = content.replace(b"\nM", b"\nA", 1)
        assert "that can be read" in one(files.but(**{part: damaged}))


def test_file_larger_than_a_parameter_is_refused() -> None:
    """8 KB, of what is left when the prose is gone."""
    files = kit()
    assert "but one parameter holds 8192" in one(
        files.but(ca=files.ca + b"".join(ca(f"c{n}").pem for n in range(20)))
    )


def test_everything_wrong_is_told_at_once() -> None:
    """A name, an expiry and a key in one go."""
    said = problems(kit("laptop", lasts=-timedelta(hours=1)).but(key=kit().key))
    assert [problem.partition(":")[0] for problem in said] == ["--cert", "--cert", "--key"]
    assert [one.partition(":")[0] for one in problems(kit("laptop").but(tls_crypt=b""))] == [
        "--tls-crypt",
        "--cert",
    ]
