"""`mooring declare` as a process: what it refuses, shows, stores and leaves alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.network import ROOT, TUNNEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Office
    from tests.stand_ins.command_line import Mooring

EXAMPLE = (ROOT / "examples" / "office.toml").read_bytes()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"", "(file): empty"),
        (b"name = ", "(file): not TOML: "),
        (b'name = "\xff"', "(file): not UTF-8"),
        (b"#" * 9000, "(file): 9000 bytes, but one parameter holds 8192"),
        (EXAMPLE.replace(b"10.100.30.0", b"10.100.300.0"), "octet 3 is 300"),
        (EXAMPLE.replace(b"cidr =", b"cdir ="), "did you mean cidr?"),
        (EXAMPLE.replace(b'"office"', b"1979-05-27", 1), "name = 1979-05-27: "),
        (EXAMPLE.replace(b"vpn_clients =", b"#"), "office.vpn_clients: missing"),
    ],
    ids=["empty", "not toml", "not utf-8", "too large", "octet 300", "unknown key", "wrong type", "missing"],
)
def test_a_bad_document_is_refused_before_aws_is_asked(offline: Mooring, document: bytes, words: str) -> None:
    """What is wrong is told from the file alone; nothing is stored."""
    (offline.folder / "office.toml").write_bytes(document)
    ran = offline("declare", "office.toml")
    assert (ran.code, ran.out) == (1, "")
    assert words in ran.err
    assert "hint: mend office.toml; nothing was stored" in ran.err


def test_every_flaw_is_told_at_once_on_a_line_of_its_own(offline: Mooring) -> None:
    """Key, value and what would be right, for a person and for a program."""
    document = EXAMPLE.replace(b"10.100.30.0", b"10.100.300.0").replace(b"10.0.0.0/16", b"10.0.0.1/16")
    ran = offline("declare", "-", stdin=document)
    assert (ran.code, ran.err.splitlines()) == (
        1,
        [
            "error: the topology has 2 flaws",
            '  vpc.cidr = "10.0.0.1/16": has host bits set; the network is 10.0.0.0/16',
            '  office.networks[2] = "10.100.300.0/24": octet 3 is 300; an octet is at most 255',
            "hint: mend standard input; nothing was stored",
        ],
    )
    flaws = offline("declare", "-", "--json", stdin=document).json["error"]["flaws"]
    assert [flaw["key"] for flaw in flaws] == ["vpc.cidr", "office.networks[2]"]


@pytest.mark.parametrize("file", ["nothing.toml", ".", "/proc/self/mem", "a\x1bb"])
def test_a_file_that_cannot_be_read_is_named(offline: Mooring, file: str) -> None:
    """Missing, a directory, unreadable even to root: the operator is told which and why."""
    ran = offline("declare", file)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: cannot read {file}: ".replace("\x1b", "\\x1b"))


def test_an_argument_that_is_no_text_is_told_escaped(offline: Mooring) -> None:
    """A file's name is bytes; what cannot be shown is escaped."""
    ran = offline("declare", os.fsdecode(b"\xff.toml"), LC_ALL="C.UTF-8")
    assert (ran.code, ran.err.splitlines()[0]) == (
        1,
        r"error: cannot read \udcff.toml: No such file or directory",
    )


def test_a_new_topology_is_stored_and_then_unchanged(office: Office, mooring: Mooring) -> None:
    """Without a terminal it is stored without asking; the same again stores nothing."""
    office.world.client("ssm").delete_parameter(Name="/mooring/topologies/office")
    ran = mooring("declare", "-", "--json", stdin=office.document)
    assert ran.code == 0
    assert (ran.json["name"], ran.json["changed"], ran.json["version"]) == ("office", True, 1)
    assert office.topologies.document("office") == office.document
    ran = mooring("declare", "-", stdin=office.document)
    assert (ran.code, ran.out) == (0, "office is unchanged\n")
    assert office.writes == ["PutParameter"]
    ran = mooring("declare", "-", "--json", stdin=office.document)
    assert ran.json == {
        "name": "office",
        "changed": False,
        "version": None,
        "diff": "",
        "problems": [],
        "advice": [],
        "unseen": None,
    }


def test_a_difference_is_shown_and_a_dry_run_stores_nothing(office: Office, mooring: Mooring) -> None:
    """The difference is from what is declared now."""
    (mooring.folder / "office.toml").write_bytes(office.document.replace(b"10.100.30.0", b"10.100.31.0"))
    ran = mooring("declare", "office.toml", "--dry-run")
    assert (ran.code, office.writes) == (0, [])
    assert ran.said[:2] == ["--- declared now", "+++ office.toml"]
    assert [one[0] for one in ran.said if "10.100.3" in one] == ["-", "+"]
    assert ran.said[-1] == "dry run: nothing was stored"
    ran = mooring("declare", "office.toml", "--dry-run", "--json")
    assert (ran.json["changed"], ran.json["version"]) == (True, None)
    assert "+++ office.toml" in ran.json["diff"]


def test_a_thing_that_another_topology_keeps_is_refused(office: Office, mooring: Mooring) -> None:
    """Two keepers would fight: nothing is stored."""
    ran = mooring("declare", "-", stdin=office.document.replace(b'"office"\n', b'"branch"\n', 1))
    assert (ran.code, office.writes) == (1, [])
    assert f"elastic ip {office.outputs['ElasticIpAllocationId']} is kept by office" in ran.err
    assert f"route table {office.outputs['PrivateRouteTableAId']} is kept by office" in ran.err


def test_a_denied_write_is_told_with_awss_code(office: Office, mooring: Mooring) -> None:
    """What could not be stored is an error that names the call."""
    office.world.deny("PutParameter")
    ran = mooring("declare", "-", "--json", stdin=office.document + b"\n")
    assert (ran.code, ran.json["error"]["code"]) == (1, "ApplyError")
    assert "ssm:PutParameter" in ran.json["error"]["message"]
    assert office.topologies.document("office") == office.document


FLEET = """
[[private]]
table = { fleet = "x" }
office_routes = true
"""
MANY = 30
"""So many tables carry the tag that one line of the declaration selects them by."""


@pytest.fixture
def fleet(office: Office) -> Iterator[None]:
    """Many tables, selected by one tag."""
    made = [
        office.ec2.create_route_table(
            VpcId=office.outputs["VpcId"],
            TagSpecifications=[
                {"ResourceType": "route-table", "Tags": [{"Key": "fleet", "Value": "x"}]},
            ],
        )["RouteTable"]["RouteTableId"]
        for _ in range(MANY)
    ]
    office.world.forget_calls()
    yield
    for table_id in made:
        office.ec2.delete_route_table(RouteTableId=table_id)


@pytest.mark.usefixtures("fleet")
def test_limits_that_the_network_seen_could_not_fail_over_within_are_refused(
    office: Office, mooring: Mooring
) -> None:
    """Tables selected by tag are counted as they are: each flaw names the key, the number, and the least that would do."""
    limits = "[limits]\nchanges = 100\ntables = 20\n"
    document = office.document + f"{FLEET}\n{limits}".encode()
    # each of the fleet has a default and four remote networks; the public table four, the two others a default each
    least = 2 + MANY * 5 + 4 + 2
    ran = mooring("declare", "-", stdin=document)
    assert (ran.code, office.writes) == (1, [])
    assert ran.err.splitlines() == [
        "error: the topology has 2 flaws",
        f"  limits.changes = 100: to take over, or fail over, the network seen needs {least}; declare at least that",
        f"  limits.tables = 20: to take over, or fail over, the network seen needs {MANY + 3}; declare at least that",
        "hint: mend standard input; nothing was stored",
    ]
    flaws = mooring("declare", "-", "--json", "--dry-run", stdin=document).json["error"]["flaws"]
    assert [flaw["key"] for flaw in flaws] == ["limits.changes", "limits.tables"]


@pytest.mark.usefixtures("fleet")
def test_limits_that_hold_what_the_network_seen_needs_are_declared(office: Office, mooring: Mooring) -> None:
    """Exactly what a failover needs is enough."""
    limits = f"[limits]\nchanges = {2 + MANY * 5 + 4 + 2}\ntables = {MANY + 3}\n"
    ran = mooring("declare", "-", stdin=office.document + f"{FLEET}\n{limits}".encode())
    assert (ran.code, ran.said[-1]) == (0, "office is declared, version 2")


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("operation", ["DescribeRouteTables", "DescribeInstances"])
def test_a_network_that_cannot_be_seen_is_said_to_be_and_declared_all_the_same(
    office: Office, mooring: Mooring, operation: str
) -> None:
    """Whoever declares may have no right to look; the worker tells in each run what this look could not."""
    office.world.deny(operation)
    document = office.document + f"{FLEET}\n[limits]\nchanges = 100\ntables = 20\n".encode()
    ran = mooring("declare", "-", "--dry-run", stdin=document)
    (told,) = (one for one in ran.said if one.startswith("unseen"))
    assert told.startswith("unseen   the network was not seen, so only the file was judged: ")
    assert operation in told
    ran = mooring("declare", "-", "--json", stdin=document)
    assert (ran.code, ran.json["version"], ran.json["problems"]) == (0, 2, [])
    assert operation in ran.json["unseen"]


def test_a_subnet_that_rides_undeclared_is_told_by_name(office: Office, mooring: Mooring) -> None:
    """Declared all the same: it was refused by the router before, and is a problem of every run from now on."""
    table_id = office.outputs["PrivateRouteTableAId"]
    made = office.ec2.create_subnet(VpcId=office.outputs["VpcId"], CidrBlock="10.0.77.0/24")
    subnet = made["Subnet"]["SubnetId"]
    association = office.ec2.associate_route_table(RouteTableId=table_id, SubnetId=subnet)["AssociationId"]
    try:
        ran = mooring("declare", "-", "--dry-run", stdin=office.document + TUNNEL.encode())
        (told,) = (one for one in ran.said if one.startswith("problem"))
        assert told.startswith(f"problem  {subnet} ")
        assert f"rides on private table {table_id} without being declared" in told
        assert told.endswith(f"list it under the subnets of {table_id}, or declare follow = true there")
        bare = mooring("declare", "-", "--dry-run", stdin=office.document + b"\n").said
        assert [one for one in bare if subnet in one and one.startswith("advice")], bare
        told_json = mooring("declare", "-", "--json", stdin=office.document + TUNNEL.encode()).json
        assert (told_json["version"], len(told_json["problems"])) == (2, 1)
    finally:
        office.ec2.disassociate_route_table(AssociationId=association)
        office.ec2.delete_subnet(SubnetId=subnet)


def test_a_network_that_is_as_declared_has_nothing_to_tell(office: Office, mooring: Mooring) -> None:
    """No line more than the difference and the answer."""
    ran = mooring("declare", "-", "--json", stdin=office.document + TUNNEL.encode())
    assert (ran.code, ran.json["problems"], ran.json["advice"], ran.json["unseen"]) == (0, [], [], None)


def test_what_is_declared_otherwise_than_the_vpc_is_told(office: Office, mooring: Mooring) -> None:
    """A range that the VPC does not have is a slip of the hand, told before anything leans on it."""
    document = office.document.replace(b"[office]", b'secondary_cidrs = ["100.64.0.0/16"]\n[office]', 1)
    ran = mooring("declare", "-", "--dry-run", stdin=document)
    told = f"advice   vpc {office.outputs['VpcId']} has 10.0.0.0/16, not the declared 100.64.0.0/16"
    assert (ran.code, [one for one in ran.said if one.startswith("advice")]) == (0, [told])
