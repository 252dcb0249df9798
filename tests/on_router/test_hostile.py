"""No declared value adds a directive or runs a command: the parser refuses it, or bash, OpenVPN and iptables take it as a value."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core.declaration import parse
from chalicelib.core.errors import TopologyError
from chalicelib.core.tunnel.render import render
from chalicelib.office.required import office
from tests.core.documents import DOCUMENT, TUNNEL
from tests.on_router.box import install, needs, run
from tests.on_router.rendered import BOX, rendered, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.core.network.topology import Topology

HOSTILE = (
    "x\nup /bin/sh", 'x" "y', "x' y", "$(touch canary)", "`touch canary`", "x;touch canary", "x|touch canary", "x&touch canary",
    "x\\", "x\0y", "x\ry", "x\ty", "x y", "-x", "--up", "#x", "x#y", "<ca>", "]]>", "&xxe;", "x,y", "x/../y", "../../etc/passwd",
    "*", "~", "!x", "{x,y}", "%n", "{{ x }}", "\u202eevil", "\uff58", "x\u2028y", "é", "\u0000", "a" * 500, "", " ", "x\u00a0y",
)  # fmt: skip
"""What shells, OpenVPN, iptables, XML and SSM documents give a meaning to."""

FIELDS = {
    "name": ('"office"', 'name = "office"'),
    "server": ('"vpn.example.com"', 'server = "vpn.example.com"'),
    "common_name": ('"aws-router"', 'common_name = "aws-router"'),
    "server_name": ('"office-vpn"', 'server_name = "office-vpn"'),
    "address": ('"192.168.0.254"', 'address = "192.168.0.254"'),
    "protocol": (None, "protocol"),
    "port": (None, "port"),
    "poll_seconds": (None, "poll_seconds"),
    "probe": (None, "probe"),
    "networks": ('"10.100.30.0/24"', '"10.100.30.0/24"'),
    "vpn_clients": ('"192.168.0.0/24"', 'vpn_clients = "192.168.0.0/24"'),
    "cidr": ('"10.0.0.0/16"', 'cidr = "10.0.0.0/16"'),
    "subnet": ('"10.0.1.0/24"', '= "10.0.1.0/24"'),
}
"""Every field whose value reaches a file: the value that is exchanged, and the text that it stands in."""


def document(field: str, value: str) -> bytes:
    """Write a value where a field's is, quoted as TOML wants it."""
    quoted = '"' + "".join(f"\\U{ord(c):08X}" for c in value) + '"'
    old, text = FIELDS[field]
    whole = DOCUMENT + TUNNEL
    if old is None:
        return f"{whole}{text} = {quoted}\n".encode()
    assert whole.count(text) == 1
    return whole.replace(text, text.replace(old, quoted)).encode()


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_value_is_refused_where_it_was_written(field: str, value: str) -> None:
    """Each is a flaw of its own field, so nothing of it is ever rendered."""
    written = document(field, value)
    assert (
        value in str(tomllib.loads(written.decode()))
        or not value.isprintable()
        or "'" in value
        or "\\" in value
    )

    with pytest.raises(TopologyError) as caught:
        parse(written)

    assert any(
        flaw.key.split(".")[-1].startswith(field.replace("subnet", "subnet-")) for flaw in caught.value.flaws
    )


ALPHABET = "abcXYZ019.-_" + " \t\n\r\"'`$();|&<>\\#*?~!%{}[]/:,=+@^é\u2028\0"
NAMED = ("name", "server", "common_name", "server_name")


def accepted(field: str, value: str) -> Topology | None:
    """Parse a document with a value in it; None when it is refused."""
    try:
        return parse(document(field, value))
    except TopologyError:
        return None


names = st.text(ALPHABET, max_size=12) | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,60}", fullmatch=True)


@given(st.sampled_from(NAMED), names)
@settings(max_examples=300, deadline=None)
def test_whatever_is_accepted_is_one_word_of_every_line_it_stands_in(field: str, value: str) -> None:
    """A value takes the place of another, and no line, word or character more."""
    topology = accepted(field, value)
    if topology is None:
        return
    plain = accepted(field, "q0q0q0")
    assert plain is not None
    for was, now in zip(render(plain, BOX).files, render(topology, BOX).files, strict=True):
        assert was.path == now.path
        assert now.text == was.text.replace("q0q0q0", value)
    lines = [line.text for line in (*office(topology).server, *office(topology).override)]
    assert all(line == line.strip() and "\n" not in line for line in lines)


ODD = {
    "name": "0-" + "9" * 38,
    "server": f"{'x-' * 30}x.{'a' * 63}.xn--bcher-kva.example",
    "common_name": "A" + "._-" * 21,
    "server_name": "0" + "." * 63,
}
"""The oddest values that are accepted."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key, a certificate that signs itself, and a tls-crypt key, where OpenVPN's directives are made to look."""
    folder = tmp_path_factory.mktemp("keys")
    curve = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        *curve,
        "-subj",
        "/CN=x",
        "-keyout",
        "router.key",
        "-out",
        "router.crt",
    ]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)  # noqa: S603 - fixed words
    shutil.copy(folder / "router.crt", folder / "ca.crt")
    openvpn = shutil.which("openvpn", path="/usr/sbin:/usr/bin")
    assert openvpn is not None
    subprocess.run([openvpn, "--genkey", "secret", "tls-crypt.key"], cwd=folder, check=True)  # noqa: S603 - same
    return folder


def settings_of(topology: Topology, keys: Path, folder: Path) -> dict[str, list[str]]:
    """Have OpenVPN read the client's configuration, and print every setting it has then."""
    root = install(render(topology, BOX), folder / "root")
    shutil.copytree(keys, root / "etc/openvpn/client/mooring", dirs_exist_ok=True)
    said = run(
        root,
        "mkdir openvpn-client; cd /etc/openvpn/client\n"
        "openvpn --config mooring.conf --verb 4 --suppress-timestamps --connect-retry-max 1 --resolv-retry 0 --dev null || true",
    )
    assert "Current Parameter Settings:" in said, said
    listed: dict[str, list[str]] = {}
    for line in said.partition("Current Parameter Settings:")[2].splitlines():
        if line.startswith("  route "):
            listed.setdefault("routes", []).append(line.removeprefix("  route "))
        elif match := re.match(r"  (?P<key>.*?) = (?P<value>.*)", line):
            listed.setdefault(match["key"], []).append(match["value"])
    return listed


@needs("openvpn", "openssl")
@pytest.mark.parametrize("field", ["server", "common_name", "server_name"])
def test_openvpn_reads_the_oddest_accepted_value_as_that_value_alone(
    field: str, keys: Path, tmp_path: Path
) -> None:
    """Of all of OpenVPN's settings only the field's own differs from those of a plain configuration."""
    plain = settings_of(parse(DOCUMENT.encode() + TUNNEL.encode()), keys, tmp_path / "plain")
    topology = accepted(field, ODD[field])
    assert topology is not None

    odd = settings_of(topology, keys, tmp_path / "odd")

    changed = {key: value for key, value in odd.items() if plain.get(key) != value}
    expected = {
        "server": {"remote": [f"'{ODD['server']}'"]},
        "server_name": {"verify_x509_name": [f"'{ODD['server_name']}'"]},
    }
    assert odd.keys() == plain.keys()
    assert changed == expected.get(field, {})


@needs("openvpn", "openssl")
def test_openvpn_takes_every_line_that_is_rendered(keys: Path, tmp_path: Path) -> None:
    """The client's settings are what was meant, for both protocols, and nothing is run by OpenVPN."""
    udp = settings_of(parse(document("name", "office")), keys, tmp_path / "udp")
    tcp = settings_of(parse(document("protocol", "tcp4")), keys, tmp_path / "tcp")

    assert udp["proto"] == ["udp4"]
    assert tcp["proto"] == ["tcp4-client"]
    assert udp["remote_port"] == ["'1194'"]
    assert udp["ifconfig_local"] == ["'192.168.0.254'"]
    assert set(udp["routes"]) == {
        f"{network}/255.255.255.0/default (not set)/default (not set)"
        for network in ("10.100.100.0", "10.100.200.0", "10.100.30.0")
    }
    assert udp["client"] == ["ENABLED"]
    assert udp["pull"] == ["ENABLED"]
    assert all(udp[key] == ["'[UNDEF]'"] for key in udp if key.endswith("script") or key == "plugin")


@needs("iptables-restore")
def test_bash_and_iptables_read_what_is_rendered_as_data(tmp_path: Path) -> None:
    """The loader's lists are lists, and every rule is one that was meant."""
    topology = accepted("name", ODD["name"])
    assert topology is not None
    root = install(render(topology, BOX), tmp_path)
    head = root / "usr/local/lib/mooring/firewall"
    first = "\n".join(head.read_text().splitlines()[:4])

    said = run(
        root,
        f"({first}\nPATH= declare -p REMOTE PRIVATE)\niptables-restore --test --noflush </etc/mooring/rules.v4 && echo taken",
    )

    assert said.splitlines() == [
        'declare -a REMOTE=([0]="10.100.100.0/24" [1]="10.100.200.0/24" [2]="10.100.30.0/24" [3]="192.168.0.0/24")',
        'declare -a PRIVATE=([0]="10.0.1.0/24" [1]="10.0.2.0/24")',
        "taken",
    ]


def test_roles_settings_are_the_three_that_were_meant() -> None:
    """JSON in, the same values out."""
    assert json.loads(text_of(rendered(), "role.json")) == {
        "elastic_ip": "203.0.113.1",
        "private_address": "10.0.0.4",
        "poll_seconds": 0.5,
    }
