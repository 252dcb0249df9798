"""Bundles, envelopes and secrets that are hostile or broken: each ends wholly old, and says so."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from chalicelib.core.tunnel.bundle import deflated, seal
from chalicelib.core.tunnel.render import CLIENT, ROLE, RULES, Bundle, File
from tests.router_os import testbed
from tests.router_os.router import COMMON_NAME, PATH, bundle, changed
from tests.stand_ins.pki import Authority, static_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tests.router_os.router import Pushed, Router

FIREWALL = "/usr/local/lib/mooring/firewall"
FIREWALL_UNIT = "/etc/systemd/system/mooring-firewall.service"
ROLE_SCRIPT = "/usr/local/lib/mooring/role"
DROP_IN = "/etc/systemd/system/openvpn-client@mooring.service.d/mooring.conf"


def text(path: str) -> str:
    """Return a file's text in the example's bundle."""
    return next(one.text for one in bundle().files if one.path == path)


def edited(path: str, old: str, new: str) -> Bundle:
    """Return the example's bundle with one word of one file otherwise."""
    assert old in text(path)
    return changed(bundle(), path, text(path).replace(old, new, 1))


def more(path: str, lines: str) -> Bundle:
    """Return the example's bundle with lines at the end of a file."""
    return changed(bundle(), path, text(path) + lines)


REFUSED_BUNDLES = {
    "a directive that OpenVPN does not know": more(CLIENT, "frobnicate 1\n"),
    "a directive with too few words": more(CLIENT, "remote\n"),
    "a CA file that is not there": edited(CLIENT, "/mooring/ca.crt", "/mooring/no.crt"),
    "a cipher that nobody has": edited(CLIENT, "data-ciphers AES-256-GCM", "data-ciphers ROT13"),
    "a compression that would drop every packet": more(CLIENT, "comp-lzo yes\nallow-compression maybe\n"),
    "a rule that iptables cannot parse": edited(RULES, "-j TCPMSS --set-mss", "-j TCPMSS --frobnicate"),
    "a jump to a chain that is not there": edited(
        RULES, "-j REJECT --reject-with icmp-admin-prohibited", "-j NOWHERE"
    ),
    "a table that no kernel has": edited(RULES, "*mangle", "*mongle"),
    "an address that is none": edited(RULES, testbed.ROUTER_ADDRESS, "10.0.0.800"),
    "rules that were cut off": changed(bundle(), RULES, text(RULES)[: len(text(RULES)) // 2]),
    "a unit without anything to start": changed(bundle(), FIREWALL_UNIT, "[Unit]\nDescription=nothing\n"),
    "a unit that starts what is not there": edited(
        FIREWALL_UNIT, f"ExecStart={FIREWALL}", "ExecStart=/no/such/thing"
    ),
    "a unit with a key that systemd does not know": edited(
        DROP_IN, "[Service]", "[Service]\nRestartForever=yes"
    ),
    "a loader that bash cannot parse": more(FIREWALL, "if then fi (\n"),
    "a loader that fails": more(FIREWALL, "exit 3\n"),
    "a role that Python cannot parse": more(ROLE_SCRIPT, "def (:\n"),
    "a file outside of Mooring's rooms": changed(bundle(), "/etc/cron.d/mooring", "* * * * * root reboot\n"),
    "a path that climbs": changed(bundle(), "/etc/mooring/../cron.d/x", "* * * * * root reboot\n"),
    "a key in the bundle": changed(
        bundle(), "/etc/openvpn/client/mooring/router.key", "-----BEGIN PRIVATE KEY-----\n"
    ),
    "a file that would run as somebody else": changed(bundle(), FIREWALL, mode=0o4755),
    "far too many files": Bundle(tuple(File(f"/etc/mooring/{n}", 0o644, "x") for n in range(100))),
}


def envelope(**other: Any) -> str:  # noqa: ANN401 - JSON
    """Write the example's envelope with something otherwise."""
    return json.dumps(json.loads(seal(bundle().canonical, probe=None)) | other)


def packed(content: bytes) -> str:
    """Pack bytes as an envelope does."""
    return base64.b85encode(deflated(content)).decode().replace("{", ".")


REFUSED_ENVELOPES = {
    "no JSON": "Mooring",
    "a list": "[]",
    "a schema of the future": envelope(schema=2),
    "packed as nothing known": envelope(packed="$(reboot)"),
    "packed and cut off": envelope(packed=packed(bundle().canonical)[:1000]),
    "a bomb of 5 MB": envelope(packed=packed(b" " * 5_000_000)),
    "no object inside": envelope(packed=packed(b"[]")),
    "another form of the same JSON": envelope(
        packed=packed(json.dumps(json.loads(bundle().canonical)).encode())
    ),
    "a probe that is an option": envelope(probe="-f"),
    "a confirmation of a thousand years": envelope(confirm_within=10**12),
    "a confirmation in words": envelope(confirm_within="soon"),
}


def unchanged_by(router: Router, push: Callable[[], Pushed], result: str) -> Pushed:
    """Push, and judge: the report's word, the exit code, and every byte of what was in force before."""
    before = router.in_force()
    pushed = push()
    assert pushed.result == result, pushed
    assert pushed.ended.code == {"refused": 20, "rolled-back": 21}[result]
    assert pushed.report["digest"] == bundle().digest
    assert pushed.report["reason"]
    assert len(pushed.ended.stdout.splitlines()[-1]) < 2400
    assert router.in_force() == before
    assert "mooring-new" not in router.machine.shell(
        "find / -xdev -name '*.mooring-*' -o -path /run/mooring/sandbox -print"
    )
    assert router.reaches()
    return pushed


@pytest.mark.parametrize("wanted", REFUSED_BUNDLES.values(), ids=REFUSED_BUNDLES)
def test_broken_bundle_is_refused_before_anything_is_touched(router: Router, wanted: Bundle) -> None:
    """What the box's own tools would not take is never put where they would find it."""
    unchanged_by(router, lambda: router.push(wanted), "refused")


@pytest.mark.parametrize("value", REFUSED_ENVELOPES.values(), ids=REFUSED_ENVELOPES)
def test_broken_envelope_is_refused(router: Router, value: str) -> None:
    """A parameter that Mooring did not write is opened with care."""
    version = int(
        router.ssm.put_parameter(Name=PATH, Value=value, Type="String", Tier="Advanced", Overwrite=True)[
            "Version"
        ]
    )

    unchanged_by(router, lambda: router.configure(version, bundle().digest), "refused")


def test_digest_that_does_not_fit_is_refused(router: Router) -> None:
    """What was asked for is what is pushed, or nothing is."""
    version = router.keep(seal(bundle().canonical, probe=None))

    pushed = unchanged_by(router, lambda: router.configure(version, "0" * 64), "refused")

    assert "was asked for" in pushed.report["reason"]


def test_version_or_path_that_is_not_there_is_refused(router: Router) -> None:
    """A parameter that is gone is named with AWS's own code."""
    for version, path in ((999, PATH), (1, "/mooring/office/router/10.9.9.9")):
        push = functools.partial(router.configure, version, bundle().digest, path=path)
        pushed = unchanged_by(router, push, "refused")
        assert f"no parameter {path}" in pushed.report["reason"]


def identities(router: Router) -> dict[str, dict[str, str]]:
    """Return sets of secrets of which one is wrong."""
    authority, stranger = router.testbed.authority, Authority()
    other, expired = authority.issue(COMMON_NAME), authority.issue(COMMON_NAME, days=-1)
    foreign, server = stranger.issue(COMMON_NAME), authority.issue(COMMON_NAME, server=True)
    key = serialization.load_pem_private_key(other.key.encode(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    ).decode()
    return {
        "does not fit": {"key": other.key},
        "is expired": {"cert": expired.certificate, "key": expired.key},
        "of ca.crt's": {"cert": foreign.certificate, "key": foreign.key},
        "no client certificate": {"cert": server.certificate, "key": server.key},
        "passphrase": {"cert": other.certificate, "key": locked},
        "no certificate": {"cert": "hello"},
        "OpenVPN refuses": {"tls_crypt": static_key(8).decode()[:200]},
    }


@pytest.mark.parametrize(
    "complaint",
    [
        "does not fit",
        "is expired",
        "of ca.crt's",
        "no client certificate",
        "passphrase",
        "no certificate",
        "OpenVPN refuses",
    ],
)
def test_secret_that_would_not_connect_is_refused(router: Router, complaint: str) -> None:
    """Key, certificate and CA are held against each other, and the certificate against the clock, before they are used."""
    with secrets(router, **identities(router)[complaint]):
        pushed = unchanged_by(router, lambda: router.push(bundle()), "refused")
    assert complaint in pushed.report["reason"]


def test_secret_that_is_missing_is_refused(router: Router) -> None:
    """A secret that nobody stored is named, with the command that stores it."""
    router.ssm.delete_parameter(Name="/mooring/office/tunnel/key")
    try:
        pushed = unchanged_by(router, lambda: router.push(bundle()), "refused")
    finally:
        router.keep_secrets()
    assert "/mooring/office/tunnel/key" in pushed.report["reason"]
    assert "mooring secrets put" in pushed.report["reason"]


def test_secret_that_aws_denies_is_refused(router: Router) -> None:
    """A role that may not read its secrets is told so in AWS's words."""
    router.world.deny("GetParameters")
    try:
        pushed = unchanged_by(router, lambda: router.push(bundle()), "refused")
    finally:
        router.world.heal()

    assert "AccessDenied" in pushed.report["reason"]


def test_names_that_do_not_resolve_refuse_the_push(router: Router) -> None:
    """Without DNS the bundle cannot be had, and what runs goes on running."""
    hosts = router.machine.shell("cat /etc/hosts")
    router.machine.write("/etc/hosts", "127.0.0.1 localhost\n")
    try:
        unchanged_by(router, lambda: router.push(bundle()), "refused")
    finally:
        router.machine.write("/etc/hosts", hosts)


def test_disk_without_room_refuses_or_undoes_the_push(router: Router) -> None:
    """A disk that fills before or within the swap leaves the old files, whole."""
    wanted = more(RULES, ("# " + "x" * 70 + "\n") * 800)
    for left in (60, 110):  # the agent's script takes 40 KB of it
        before = router.in_force()
        router.machine.shell(
            f"cat /dev/zero >/filler 2>/dev/null; truncate -s -{left}K /filler; sync", check=False
        )
        try:
            pushed = router.push(wanted)
        finally:
            router.machine.shell("rm -f /filler")
        assert pushed.result in ("refused", "rolled-back"), pushed
        assert "No space left" in pushed.report["reason"]
        assert (pushed.report["digest"], router.in_force()) == (bundle().digest, before)


ROLLED_BACK = {
    "a server of another name": edited(
        CLIENT, "verify-x509-name office-vpn", "verify-x509-name somebody-else"
    ),
    "a server that does not resolve": edited(CLIENT, "remote vpn.example.com", "remote nowhere.example.com"),
    "no routes to the office": edited(CLIENT, "route 10.100.100.0", "route 10.100.101.0"),
    "rules that shut Systems Manager out": edited(
        RULES, "-A MOORING-INPUT", f"-A MOORING-INPUT -s {testbed.AWS_ADDRESS} -j DROP\n-A MOORING-INPUT"
    ),
    "a loader that leaves forwarding off": more(
        FIREWALL,
        '[ "$(hostname)" != "$HOSTNAME" ] || [ -e /run/testbed ] || sleep 0\n[ ! -e /run/mooring/sandbox ] && echo 0 >$FORWARDING\ntrue\n',
    ),
    "a role that dies at once": edited(
        ROLE_SCRIPT, "def main() -> None:", "sys.exit(1)\ndef main() -> None:"
    ),
    "a role that believes the address elsewhere": edited(ROLE, testbed.ELASTIC_IP, "203.0.113.99"),
}


@pytest.mark.parametrize("wanted", ROLLED_BACK.values(), ids=ROLLED_BACK)
def test_bundle_that_breaks_the_way_home_is_undone(router: Router, wanted: Bundle) -> None:
    """What parses and loads, and cuts the router off, is undone by the router itself."""
    unchanged_by(router, lambda: router.push(wanted), "rolled-back")


def test_tls_crypt_key_of_another_server_is_undone(router: Router) -> None:
    """A key that parses and is not the office's is seen only by trying; the old one comes back."""
    with secrets(router, tls_crypt=static_key(8).decode()):
        unchanged_by(router, lambda: router.push(bundle()), "rolled-back")


@contextlib.contextmanager
def secrets(router: Router, **other: str) -> Iterator[None]:
    """Have AWS keep other secrets for a while."""
    router.keep_secrets(**other)
    try:
        yield
    finally:
        router.keep_secrets()
