"""`mooring router` and `mooring office` as processes: what they print is what is rendered, for people and for programs."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from chalicelib.core.declaration import parse
from tests.core.documents import tunnelled as document
from tests.office.backups import CONFIG, changed
from tests.stand_ins.command_line import Mooring

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Office

TUNNEL = """
[tunnel]
server = "vpn.example.com"
common_name = "aws-router"
server_name = "office-vpn"
address = "192.168.0.254"
"""


@pytest.fixture
def tunnelled(office: Office) -> Office:
    """The example network with a tunnel declared."""
    office.declare(after=TUNNEL)
    return office


def test_router_prints_the_current_routers_files(tunnelled: Office, mooring: Mooring) -> None:
    """Without an instance it is the router's; nothing is written, and the digest is of what was printed."""
    ran = mooring("router", "office", "--json")

    files = {file["path"]: {"mode": file["mode"], "text": file["text"]} for file in ran.json["files"]}
    canonical = json.dumps({"schema": 1, "files": files}, sort_keys=True, separators=(",", ":")).encode()
    assert (ran.code, ran.json["instance"]) == (0, tunnelled.router)
    assert ran.json["digest"] == hashlib.sha256(canonical).hexdigest()
    role = json.loads(files["/etc/mooring/role.json"]["text"])
    assert role["elastic_ip"] == tunnelled.outputs["ElasticIpAddress"]
    assert tunnelled.writes == []


def test_router_prints_a_named_candidates_files(tunnelled: Office, mooring: Mooring) -> None:
    """A standby's files differ by its address alone, and are told by its id."""
    ran = mooring("router", "office", "--instance", tunnelled.standby)

    assert ran.code == 0
    assert ran.said[-1].startswith(f"{tunnelled.standby}: sha256 ")
    assert "==> /etc/mooring/rules.v4 0644" in ran.said
    assert mooring("router", "office").said[-1] != ran.said[-1]


def test_router_of_no_candidate_names_those_that_are(tunnelled: Office, mooring: Mooring) -> None:
    """A stranger's id is an error that says whose it could have been."""
    ran = mooring("router", "office", "--instance", "i-0123456789abcdef0")

    assert ran.code == 1
    assert "i-0123456789abcdef0 is no candidate of office" in ran.err
    assert tunnelled.router in ran.err


@pytest.mark.parametrize("verb", ["router", "office"])
def test_topology_without_a_tunnel_is_told_what_to_add(office: Office, mooring: Mooring, verb: str) -> None:
    """There is nothing to print, and it is said why."""
    assert office.topologies.names() == ["office"]

    ran = mooring(verb, "office")

    assert ran.code == 1
    assert "office declares no tunnel" in ran.err
    assert "[tunnel] as in examples/office.toml" in ran.err


def test_office_prints_fields_by_the_guis_labels_with_a_why(tunnelled: Office, mooring: Mooring) -> None:
    """A person reads where to go, what to enter and why."""
    ran = mooring("office", "office")

    assert ran.code == 0
    assert "VPN > OpenVPN > Client Specific Overrides > Edit > Tunnel Settings" in ran.said
    assert any(line.split() == ["IPv4", "Tunnel", "Network", "192.168.0.254/24"] for line in ran.said)
    assert tunnelled.writes == []


def test_office_prints_lines_of_openvpn(tunnelled: Office, mooring: Mooring) -> None:
    """A plain server's engineer pastes them; comments say why."""
    ran = mooring("office", "office", "--format", "openvpn")

    directives = [line for line in ran.said if line and not line.startswith("#")]
    assert tunnelled.writes == []
    assert "server 192.168.0.0 255.255.255.0 nopool" in directives
    assert "ifconfig-push 192.168.0.254 255.255.255.0" in directives
    assert all(
        word in " ".join(directives) for word in ("iroute 10.0.1.0", "route 10.0.1.0", 'push "route 10.0.1.0')
    )


def test_office_prints_one_json_document_either_way(tunnelled: Office, mooring: Mooring) -> None:
    """`--json` and `--format json` say the same."""
    assert mooring("office", "office", "--json").json == mooring("office", "office", "--format", "json").json
    assert tunnelled.writes == []


def test_xml_that_is_printed_has_all_that_it_is_checked_for(
    tunnelled: Office, mooring: Mooring, tmp_path: Path
) -> None:
    """Round trip: with a TLS key, which only the firewall has, our own XML has no finding."""
    printed = mooring("office", "office", "--format", "pfsense-xml").out
    ET.fromstring(printed)  # noqa: S314 - our own
    backup = tmp_path / "office.xml"
    backup.write_text(printed.replace("<vpnid>", "<tls>key</tls><vpnid>"))

    ran = mooring("office", "office", "--check", str(backup))

    assert (ran.code, ran.said[-1]) == (0, "the backup has all that office needs")
    assert tunnelled.writes == []


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_check_of_a_backup_exits_with_2_for_findings_and_shows_no_secret(
    tunnelled: Office, mooring: Mooring, tmp_path: Path, how: tuple[str, ...]
) -> None:
    """A finding says kind, page and what to enter; nothing secret of the backup is anywhere in the answer."""
    backup = tmp_path / "config.xml"
    backup.write_text(changed(("<common_name>aws-router</common_name>", "<common_name>CANARY</common_name>")))

    ran = mooring("office", "office", "--check", str(backup), *how)

    assert ran.code == 2
    assert "there is no override of aws-router" in ran.out
    assert "Client Specific Overrides > Edit > Override Configuration > Common Name" in ran.out
    assert "CANARY" not in ran.out + ran.err
    assert tunnelled.writes == []


def test_check_reads_standard_input_and_exits_with_0_when_all_is_there(
    tunnelled: Office, mooring: Mooring
) -> None:
    """A whole backup of an office that has everything."""
    ran = mooring("office", "office", "--check", "-", stdin=CONFIG.read_bytes())

    assert (ran.code, ran.err) == (0, "")
    assert ran.said[-1] == "the backup has all that office needs, as far as it tells: 3 unclear"
    assert tunnelled.writes == []


def test_check_of_what_is_no_backup_is_one_line_and_exits_with_1(tunnelled: Office, mooring: Mooring) -> None:
    """Broken XML is an error, not a finding."""
    ran = mooring("office", "office", "--check", "-", stdin=b"<pfsense><openvpn>")

    assert ran.code == 1
    assert ran.err.startswith(
        "error: standard input is no whole XML: it stops making sense at line 1, column "
    )
    assert tunnelled.writes == []


def test_tunnel_that_init_proposes_is_one_without_its_comment_signs(office: Office, mooring: Mooring) -> None:
    """What only the operator knows is to be filled in; the rest is right as it stands."""
    assert office.writes == []

    proposed = mooring("init", "--stack", "office", "--output", "-").out

    before, header, after = proposed.partition("# [tunnel]")
    section, blank, rest = after.partition("\n\n")
    lines = [line.removeprefix("# ") for line in section.splitlines() if " = " in line]
    filled = "\n".join(["[tunnel]", *lines]).replace("TO FILL IN", "vpn.example.com")
    topology = parse(f"{before}{filled}{blank}{rest}".encode())
    assert header
    assert topology.tunnel is not None
    assert str(topology.tunnel.address) == "192.168.0.254"
    assert parse(proposed.encode()).tunnel is None


def test_effective_prints_both_files_that_the_firewall_writes(
    tunnelled: Office, mooring: Mooring, tmp_path: Path
) -> None:
    """An engineer reads what pfSense makes of the fields, less what may be secret."""
    backup = tmp_path / "config.xml"
    backup.write_text(
        changed(("; route 10.0.10.0", "; setenv-safe TOKEN CANARY;secret-word CANARY; route 10.0.10.0"))
    )

    ran = mooring("office", "office", "--check", str(backup), "--effective")

    assert "==> /var/etc/openvpn/server1/config.ovpn" in ran.said
    assert "==> /var/etc/openvpn/server1/csc/aws-router" in ran.said
    assert {"setenv-safe [left out]", "… [left out]", "iroute 10.0.1.0 255.255.255.0"} <= set(ran.said)
    assert "CANARY" not in ran.out + ran.err
    assert tunnelled.writes == []


def test_effective_without_a_backup_says_what_is_missing(tunnelled: Office, mooring: Mooring) -> None:
    """There is nothing to write it of."""
    ran = mooring("office", "office", "--effective")

    assert (ran.code, "--check config.xml --effective" in ran.err) == (1, True)
    assert tunnelled.writes == []


@pytest.fixture
def alone(tmp_path: Path) -> Mooring:
    """The command as an office's engineer has it: no credentials, no region, and nobody at AWS's end."""
    return Mooring({"AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, tmp_path)


@pytest.mark.parametrize("how", [("{}",), ("--file", "{}")])
@pytest.mark.parametrize("verb", [("office",), ("router",), ("office", "--check", str(CONFIG))])
def test_topology_in_a_file_is_enough_without_aws(
    alone: Mooring, tmp_path: Path, verb: tuple[str, ...], how: tuple[str, ...]
) -> None:
    """The office's engineer has a file and no account."""
    file = tmp_path / "office.toml"
    file.write_bytes(document())

    ran = alone(verb[0], *(part.format(file) for part in how), *verb[1:])

    assert (ran.code, ran.err) == (0, "")


def test_router_of_a_file_takes_its_addresses_from_the_command_line(alone: Mooring, tmp_path: Path) -> None:
    """What only AWS knows is given, or stands for an example that is named as such."""
    file = tmp_path / "office.toml"
    file.write_bytes(document())

    example = alone("router", str(file))
    given = alone("router", str(file), "--private-address", "10.0.0.9", "--elastic-ip", "203.0.113.9")

    assert example.said[-1].startswith("a router at 10.0.0.4 with the Elastic IP 192.0.2.1: sha256 ")
    assert given.said[-1].startswith("a router at 10.0.0.9 with the Elastic IP 203.0.113.9: sha256 ")
    assert '  "elastic_ip": "203.0.113.9",' in given.said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("office", "none.toml"), "cannot read none.toml"),
        (("office", "office", "--file", "office.toml"), "office and --file office.toml are two topologies"),
        (("office", "a.toml", "--file", "office.toml"), "a.toml and --file office.toml are two files"),
        (("router", "office.toml", "--instance", "i-0123456789abcdef0"), "--instance is AWS's"),
        (("router", "office.toml", "--elastic-ip", "1.2.3"), "--elastic-ip is '1.2.3'"),
    ],
)
def test_file_that_cannot_be_meant_is_told_of(
    alone: Mooring, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    """One clear line, and nothing is asked of AWS."""
    (tmp_path / "office.toml").write_bytes(document())

    ran = alone(*arguments)

    assert (ran.code, why in ran.err) == (1, True), ran.err


def test_merged_backup_is_printed_after_what_changes_in_it(alone: Mooring, tmp_path: Path) -> None:
    """The backup goes to standard output byte for byte; the difference and what is left go to standard error."""
    (tmp_path / "office.toml").write_bytes(document())
    (tmp_path / "config.xml").write_text(changed(("<tls>CANARY-tls-key</tls>", "<tls></tls>")))
    (tmp_path / "tls-crypt.key").write_text("-----BEGIN OpenVPN Static key V1-----\n00\n")

    ran = alone("office", "office.toml", "--into", "config.xml", "--tls-crypt", "tls-crypt.key")
    only = alone("office", "office.toml", "--into", "config.xml", "--diff")
    (tmp_path / "new.xml").write_text(ran.out)

    assert (ran.code, only.code) == (0, 0)
    assert "<keepalive_timeout>5</keepalive_timeout>" in ran.err
    assert "<keepalive_timeout>5</keepalive_timeout>" in only.out
    assert "CANARY" not in ran.err + only.out
    assert "LS0tLS1CRUdJTiBPcGVuVlBO" not in ran.err
    assert "CANARY-server-key" in ran.out
    assert alone("office", "office.toml", "--check", "new.xml").code == 0


def test_merging_what_cannot_be_merged_is_one_clear_line(alone: Mooring, tmp_path: Path) -> None:
    """Nothing is printed that somebody could restore."""
    (tmp_path / "office.toml").write_bytes(document())
    (tmp_path / "config.xml").write_text(changed(("<mode>server_tls</mode>", "<mode>server_user</mode>")))

    ran = alone("office", "office.toml", "--into", "config.xml")
    no_key = alone("office", "office.toml", "--into", "config.xml", "--tls-crypt", "config.xml")

    assert (ran.code, ran.out) == (1, "")
    assert "config.xml has its laptops type passwords at that server" in ran.err
    assert "config.xml is no tls-crypt key" in no_key.err


def test_fields_are_on_the_pages_of_the_release_that_is_named(alone: Mooring, tmp_path: Path) -> None:
    """Sections and labels differ from release to release."""
    (tmp_path / "office.toml").write_bytes(document())

    early = alone("office", "office.toml", "--release", "2.4.5").said
    late = alone("office", "office.toml", "--release", "2.8").said

    assert "VPN > OpenVPN > Servers > Edit > General Information" in early
    assert any(line.strip().startswith("NCP Algorithms") for line in early)
    assert "VPN > OpenVPN > Servers > Edit > Mode Configuration" in late
    assert any(line.strip().startswith("Fallback Data Encryption Algorithm") for line in late)


def test_plain_server_is_checked_by_its_own_files(alone: Mooring, tmp_path: Path) -> None:
    """What is printed for it has no finding; without the router's file it does not work."""
    (tmp_path / "office.toml").write_bytes(document())
    printed = alone("office", "office.toml", "--format", "openvpn").out
    server, _, own = printed.partition("# client-config-dir, file aws-router")
    (tmp_path / "server.conf").write_text(f"{server}\ntls-crypt tls.key\n")
    (tmp_path / "ccd").mkdir()
    (tmp_path / "ccd" / "aws-router").write_text(own)
    (tmp_path / "none").mkdir()

    whole = alone("office", "office.toml", "--check", "server.conf", "--ccd", "ccd")
    without = alone("office", "office.toml", "--check", "server.conf", "--ccd", "none", "--json")

    assert (whole.code, whole.said[-1]) == (0, "the backup has all that office needs")
    assert (without.code, without.json["verdict"]) == (2, "does not work")
    assert without.json["findings"][0]["page"] == "client-config-dir, file aws-router"
