"""What an operator declares is read whole, or every flaw in it is named: key, value, and what would be right."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.declaration import MAX_BYTES, parse
from chalicelib.core.errors import Flaw, TopologyError
from chalicelib.core.network.topology import Limits, Table, Tags
from chalicelib.core.toml_reader import read_duration, write_duration
from tests.core.documents import DOCUMENT, written

NETWORK = "10.100.30.0/24"
CIDR = 'cidr = "10.0.0.0/16"'
SUBNET = 'subnet-00000000000000003 = "10.0.1.0/24"'


def flaws_in(document: bytes) -> tuple[Flaw, ...]:
    """Parse what must not be valid."""
    with pytest.raises(TopologyError) as caught:
        parse(document)
    return caught.value.flaws


def test_valid_document_reads_as_what_it_says() -> None:
    """Everything that is written is in the topology; what may be left out has its default."""
    topology = parse(written())

    assert topology.name == "office"
    assert topology.cidr == IPv4Network("10.0.0.0/16")
    assert topology.remote_networks == tuple(
        map(IPv4Network, ("10.100.100.0/24", "10.100.200.0/24", "10.100.30.0/24", "192.168.0.0/24"))
    )
    assert topology.candidates == (Tags((("mooring:router", "office"),)),)
    assert topology.tables == (
        Table(
            "public",
            "rtb-00000000000000001",
            {
                "subnet-00000000000000001": IPv4Network("10.0.0.0/24"),
                "subnet-00000000000000002": IPv4Network("10.0.10.0/24"),
            },
        ),
        Table(
            "private",
            "rtb-00000000000000002",
            {"subnet-00000000000000003": IPv4Network("10.0.1.0/24")},
            office_routes=False,
        ),
        Table(
            "private",
            Tags((("mooring:role", "private"),)),
            {"subnet-00000000000000004": IPv4Network("10.0.2.0/24")},
            office_routes=True,
        ),
    )
    assert (topology.ssh, topology.security_group) == ("closed", "sg-00000000000000001")
    assert (topology.private_address, topology.dhcp_options) == (None, None)
    assert (topology.limits, topology.paused) == (Limits(), False)


def test_optional_keys_read_as_what_they_say() -> None:
    """Each thing that may be left out can be declared."""
    topology = parse(
        written(
            ('name = "office"', 'name = "office"\npaused = true'),
            (CIDR, f'{CIDR}\ndhcp_options = "dopt-00000000000000001"'),
            ('ssh = "closed"', 'ssh = "unmanaged"\nprivate_address = "10.0.0.8"'),
            ('{ "mooring:router" = "office" }', '[{ a = "1", b = "2" }, { c = "3" }]'),
            (
                "office_routes = true",
                '[limits]\nchanges = 50\ntables = 20\nmoves_per_hour = 0\nrequest_age = "90s"',
            ),
        )
    )

    assert topology.paused
    assert topology.dhcp_options == "dopt-00000000000000001"
    assert (topology.ssh, topology.private_address) == ("unmanaged", IPv4Address("10.0.0.8"))
    assert topology.candidates == (Tags((("a", "1"), ("b", "2"))), Tags((("c", "3"),)))
    assert topology.limits == Limits(50, 20, 0, timedelta(seconds=90))


def test_secondary_ranges_hold_subnets_like_the_primary_one() -> None:
    """A subnet of any declared range can be declared; every range is the VPC's."""
    topology = parse(
        written(
            (CIDR, f'{CIDR}\nsecondary_cidrs = ["100.64.0.0/16", "100.65.0.0/16"]'),
            (SUBNET, f'{SUBNET}, subnet-00000000000000064 = "100.64.32.0/19"'),
        )
    )

    assert [str(cidr) for cidr in topology.cidrs] == ["10.0.0.0/16", "100.64.0.0/16", "100.65.0.0/16"]
    assert topology.subnets["subnet-00000000000000064"] == IPv4Network("100.64.32.0/19")
    assert IPv4Network("100.64.32.0/19") in topology.private_networks
    assert IPv4Network("100.64.32.0/19") in topology.vpc_networks


def test_range_that_is_no_range_hides_no_other_flaw_and_brings_none_of_its_own() -> None:
    """Whether a subnet lies in the VPC is asked only when its ranges are known."""
    flaws = flaws_in(
        written(
            (CIDR, f'{CIDR}\nsecondary_cidrs = ["100.64.300.0/16"]'),
            (SUBNET, f'{SUBNET}, subnet-00000000000000064 = "100.64.32.0/19"'),
        )
    )

    assert [flaw.key for flaw in flaws] == ["vpc.secondary_cidrs[0]"]


def test_table_by_id_that_is_followed_may_list_no_subnet() -> None:
    """Whatever rides on it is carried: all of the VPC that is not public, in every range."""
    topology = parse(
        written(
            (CIDR, f'{CIDR}\nsecondary_cidrs = ["100.64.0.0/16"]'),
            (f"subnets = {{ {SUBNET} }}", "follow = true"),
        )
    )

    assert topology.tables[1] == Table("private", "rtb-00000000000000002", office_routes=False, follow=True)
    assert topology.vpc_networks == topology.cidrs
    assert IPv4Network("100.64.0.0/16") in topology.private_networks
    covered = sum(n.num_addresses for n in (*topology.private_networks, *topology.public_subnets.values()))
    assert covered == 2 * 2**16


def test_followed_table_keeps_the_subnets_it_lists() -> None:
    """What is listed is associated by Mooring; what is followed is carried besides."""
    topology = parse(written((SUBNET + " }", SUBNET + " }\nfollow = true")))

    assert list(topology.tables[1].subnets) == ["subnet-00000000000000003"]
    assert topology.vpc_networks == (IPv4Network("10.0.0.0/16"),)


@pytest.mark.parametrize(("text", "age"), [("10s", timedelta(seconds=10)), ("1h", timedelta(hours=1))])
def test_request_age_may_be_as_short_and_as_long_as_its_bounds(text: str, age: timedelta) -> None:
    """Both bounds of a duration are allowed."""
    limits = parse(written(("office_routes = true", f'[limits]\nrequest_age = "{text}"'))).limits

    assert limits.request_age == age


@given(st.integers(1, 999_999), st.sampled_from("smhd"))
def test_duration_is_written_as_it_reads(number: int, unit: str) -> None:
    """What is written in the largest unit that holds it reads as the same duration."""
    duration, _ = read_duration(f"{number}{unit}")

    assert duration is not None
    assert read_duration(write_duration(duration))[0] == duration


def test_example_of_the_documentation_is_valid() -> None:
    """The file that newcomers copy is one that Mooring accepts."""
    assert parse(Path("examples/office.toml").read_bytes()).name == "office"


@pytest.mark.parametrize(
    ("old", "new", "key", "value", "wanted"),
    [
        pytest.param(
            NETWORK, "10.100.300.0/24", "office.networks[2]", "10.100.300.0/24",
            "octet 3 is 300; an octet is at most 255", id="octet 300, as in the post",
        ),
        pytest.param(
            NETWORK, "10.100.30.0/33", "office.networks[2]", "10.100.30.0/33", "from /0 to /32", id="prefix 33",
        ),
        pytest.param(NETWORK, "10.100.30.0", "office.networks[2]", "10.100.30.0", "prefix length", id="no prefix"),
        pytest.param(
            NETWORK, "10.100.30.0/255.255.255.0", "office.networks[2]", "10.100.30.0/255.255.255.0",
            "prefix length", id="netmask",
        ),
        pytest.param(
            NETWORK, f"10.100.30.0/{'9' * 5000}", "office.networks[2]", f"10.100.30.0/{'9' * 5000}",
            "prefix length", id="prefix of 5000 digits",
        ),
        pytest.param(
            NETWORK, f"10.100.{'9' * 5000}.0/24", "office.networks[2]", f"10.100.{'9' * 5000}.0/24",
            "octet 3 is 999999999; an octet is at most 255", id="octet of 5000 digits",
        ),
        pytest.param(
            NETWORK, "10.100.30.7/24", "office.networks[2]", "10.100.30.7/24",
            "has host bits set; the network is 10.100.30.0/24", id="host bits",
        ),
        pytest.param(
            NETWORK, "10.100.030.0/24", "office.networks[2]", "10.100.030.0/24",
            "octet 3 is 030; write it without leading zeros", id="leading zero",
        ),
        pytest.param(
            NETWORK, "10.100.٣٠.0/24", "office.networks[2]", "10.100.٣٠.0/24", "four decimal octets",
            id="digits of another script",
        ),
        pytest.param(
            NETWORK, "fd00::/64", "office.networks[2]", "fd00::/64", "four decimal octets", id="IPv6",
        ),
        pytest.param(
            NETWORK, "10.100.200.0/25", "office.networks[2]", "10.100.200.0/25",
            "overlaps office.networks[1] (10.100.200.0/24)", id="office networks overlap",
        ),
        pytest.param(
            NETWORK, "10.100.100.0/24", "office.networks[2]", "10.100.100.0/24",
            "declared twice: office.networks[0] is the same", id="one destination twice",
        ),
        pytest.param(
            NETWORK, "10.0.128.0/24", "office.networks[2]", "10.0.128.0/24", "overlaps vpc.cidr (10.0.0.0/16)",
            id="office network in the VPC",
        ),
        pytest.param(
            '"192.168.0.0/24"', '"10.100.30.128/25"', "office.vpn_clients", "10.100.30.128/25",
            "overlaps office.networks[2] (10.100.30.0/24)", id="VPN clients in an office network",
        ),
        pytest.param(
            '"192.168.0.0/24"', '"10.100.30.0/24"', "office.vpn_clients", "10.100.30.0/24",
            "declared twice: office.networks[2] is the same", id="VPN clients are an office network",
        ),
        pytest.param(CIDR, "cidr = 10", "vpc.cidr", 10, "must be a CIDR in quotes", id="no text for a CIDR"),
        pytest.param(CIDR, 'cidr = "10.0.0.0/15"', "vpc.cidr", "10.0.0.0/15", "between /16 and /28", id="VPC /15"),
        pytest.param(
            SUBNET, 'subnet-00000000000000003 = "10.1.1.0/24"', "private[0].subnets.subnet-00000000000000003",
            "10.1.1.0/24", "lies outside the VPC 10.0.0.0/16", id="subnet outside the VPC",
        ),
        pytest.param(
            SUBNET, 'subnet-00000000000000003 = "10.0.0.128/25"', "private[0].subnets.subnet-00000000000000003",
            "10.0.0.128/25", "overlaps public[0].subnets.subnet-00000000000000001 (10.0.0.0/24)",
            id="subnets overlap across tables",
        ),
        pytest.param(
            SUBNET, 'subnet-00000000000000003 = "10.0.10.0/24"', "private[0].subnets.subnet-00000000000000003",
            "10.0.10.0/24", "declared twice: public[0].subnets.subnet-00000000000000002 is the same",
            id="one CIDR twice",
        ),
        pytest.param(
            SUBNET, 'subnet-3 = "10.0.1.0/24"', "private[0].subnets.subnet-3", None,
            "must be an id such as subnet-0123456789abcdef0", id="no subnet id",
        ),
        pytest.param(
            '"rtb-00000000000000002"', '"rtb-00000000000000001"', "private[0].table", "rtb-00000000000000001",
            "both public and private: public[0].table is the same", id="table both public and private",
        ),
        pytest.param(
            '{ "mooring:role" = "private" }', '"rtb-00000000000000002"', "private[1].table",
            "rtb-00000000000000002", "declared twice: private[0].table is the same", id="table twice",
        ),
        pytest.param(
            '"rtb-00000000000000002"', '"rtb-2"', "private[0].table", "rtb-2", "rtb-0123456789abcdef0",
            id="malformed id",
        ),
        pytest.param(
            '"rtb-00000000000000002"', "{}", "private[0].table", {}, "must be one or more tags", id="no tags",
        ),
        pytest.param('"vpc-00000000000000001"', "7", "vpc.id", 7, "must be an id such as vpc-", id="wrong type"),
        pytest.param(
            'name = "office"', 'name = "topologies"', "name", "topologies", "is taken", id="reserved name",
        ),
        pytest.param('name = "office"', 'name = "Das Büro"', "name", "Das Büro", "1 to 40 of a-z", id="bad name"),
        pytest.param(
            'name = "office"', 'name = "office"\npaused = "false"', "paused", "false", "must be true or false",
            id="text for a boolean",
        ),
        pytest.param(
            'name = "office"', 'name = "office"\npaused = 0', "paused", 0, "must be true or false",
            id="number for a boolean",
        ),
        pytest.param(
            'ssh = "closed"', 'ssh = "open"', "router.ssh", "open", "must be closed or unmanaged", id="unknown word",
        ),
        pytest.param(
            'security_group = "sg-00000000000000001"\n', "", "router.security_group", None, 'ssh = "closed" needs',
            id="closed, but no group to look at",
        ),
        pytest.param(
            'ssh = "closed"', 'ssh = "closed"\nprivate_address = "10.0.1.8"', "router.private_address", "10.0.1.8",
            "lies in no declared public subnet", id="private address in a private subnet",
        ),
        pytest.param(
            'ssh = "closed"', 'ssh = "closed"\nprivate_address = "10.0.0.256"', "router.private_address",
            "10.0.0.256", "octet 4 is 256", id="no address",
        ),
        pytest.param('{ "mooring:router" = "office" }', "[]", "router.candidates", [], "one or more tags", id="nobody"),
        pytest.param(
            'networks = ["10.100.100.0/24", "10.100.200.0/24", "10.100.30.0/24"]', "networks = []",
            "office.networks", [], "at least one entry", id="no office network",
        ),
        pytest.param(
            'elastic_ip = "eipalloc-00000000000000001"\n', "", "router.elastic_ip", None, "missing", id="missing key",
        ),
        pytest.param(
            "elastic_ip = ", 'elastik_ip = "x"\nelastic_ip = ', "router.elastik_ip", None,
            "unknown key; did you mean elastic_ip?", id="unknown key with the nearest known one",
        ),
        pytest.param(
            "elastic_ip = ", 'colour = "x"\nelastic_ip = ', "router.colour", None, "unknown key (known here: candidates",
            id="unknown key near none",
        ),
        pytest.param(
            "[[public]]", "[[public]]\noffice_routes = true", "public[0].office_routes", None, "unknown key",
            id="office routes of a public table",
        ),
        pytest.param(
            CIDR, f'{CIDR}\nsecondary_cidrs = ["100.64.0.0/10"]', "vpc.secondary_cidrs[0]", "100.64.0.0/10",
            "between /16 and /28", id="secondary range larger than a VPC's",
        ),
        pytest.param(
            CIDR, f'{CIDR}\nsecondary_cidrs = ["100.64.0.0/16", "10.0.128.0/20"]', "vpc.secondary_cidrs[1]",
            "10.0.128.0/20", "overlaps vpc.cidr (10.0.0.0/16)", id="secondary range in the primary one",
        ),
        pytest.param(
            CIDR, f'{CIDR}\nsecondary_cidrs = ["10.100.16.0/20"]', "office.networks[2]", "10.100.30.0/24",
            "overlaps vpc.secondary_cidrs[0] (10.100.16.0/20)", id="office network in a secondary range",
        ),
        pytest.param(
            CIDR, f'{CIDR}\nsecondary_cidrs = ["192.168.0.0/16"]', "office.vpn_clients", "192.168.0.0/24",
            "overlaps vpc.secondary_cidrs[0] (192.168.0.0/16)", id="VPN clients in a secondary range",
        ),
        pytest.param(
            CIDR, f"{CIDR}\nsecondary_cidrs = []", "vpc.secondary_cidrs", [], "at least one entry",
            id="no secondary range",
        ),
        pytest.param(
            SUBNET, 'subnet-00000000000000003 = "100.64.0.0/24"', "private[0].subnets.subnet-00000000000000003",
            "100.64.0.0/24", "lies outside the VPC 10.0.0.0/16; another range of it goes in vpc.secondary_cidrs",
            id="subnet of a range that is not declared",
        ),
        pytest.param(
            "[[public]]", "[[public]]\nfollow = true", "public[0].follow", None, "unknown key",
            id="public table that is followed",
        ),
        pytest.param(
            "office_routes = true", 'office_routes = true\nfollow = "yes"', "private[1].follow", "yes",
            "must be true or false", id="text for whether a table is followed",
        ),
        pytest.param(
            'subnets = { subnet-00000000000000004 = "10.0.2.0/24" }', "follow = false", "private[1].subnets", None,
            "missing; a table that lists none is followed, whatever is declared",
            id="table by tag that lists none and is not to be followed",
        ),
        pytest.param(
            f"subnets = {{ {SUBNET} }}", "follow = false", "private[0].subnets", None, "missing",
            id="table by id that lists none and is not to be followed",
        ),
        pytest.param(
            "office_routes = true", "[limits]\nmoves_per_hour = true", "limits.moves_per_hour", True,
            "must be a whole number", id="boolean for a number",
        ),
        pytest.param(
            "office_routes = true", "[limits]\nchanges = -1", "limits.changes", -1, "0 or more", id="negative",
        ),
        pytest.param(
            "office_routes = true", "[limits]\nchanges = 7", "limits.changes", 7,
            "a failover alone needs 8; declare at least that", id="limit below a failover",
        ),
        pytest.param(
            "office_routes = true", "[limits]\ntables = 2", "limits.tables", 2, "a failover alone needs 3",
            id="table limit below a failover",
        ),
        pytest.param(
            "office_routes = true", '[limits]\nrequest_age = "9s"', "limits.request_age", "9s",
            "must be a duration from 10s to 1h", id="request age too short to be met",
        ),
        pytest.param(
            "office_routes = true", '[limits]\nrequest_age = "61m"', "limits.request_age", "61m",
            "must be a duration from 10s to 1h", id="request age of more than an hour",
        ),
        pytest.param(
            "office_routes = true", "[limits]\nrequest_age = 120", "limits.request_age", 120,
            "must be a duration from 10s to 1h, such as 90s or 5m", id="request age without a unit",
        ),
    ],
)  # fmt: skip
def test_bad_value_is_refused_with_its_key_and_what_would_be_right(
    old: str, new: str, key: str, value: object, wanted: str
) -> None:
    """Each flaw names the key's path, the value found there, and what would be right; nothing else is flawed."""
    flaws = flaws_in(written((old, new)))

    assert [(flaw.key, flaw.value) for flaw in flaws] == [(key, value)]
    assert wanted in flaws[0].wanted


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(b" \n\t\n", "empty", id="blank"),
        pytest.param(b'name = "office"\n[vpc\n', "(at line 2, column 5)", id="in the middle"),
        pytest.param(b'name = "office"\ncidr =', "at line 2, column 7, the end", id="at the end"),
        pytest.param(b'name = "office"\nname = "office"\n', "(at line 2, column 16)", id="one key twice"),
        pytest.param(b"x = " + b"9" * 5000, "a number is too long", id="number of 5000 digits"),
        pytest.param(b"x = " + b"[" * 5000, "nested too deep", id="5000 lists"),
        pytest.param("name = 'Büro'".encode("latin-1"), "not UTF-8 at byte 9", id="latin-1"),
        pytest.param(
            b"#" * (MAX_BYTES + 1),
            f"{MAX_BYTES + 1} bytes, but one parameter holds {MAX_BYTES}",
            id="too large",
        ),
    ],
)
def test_unreadable_document_is_refused_with_the_place(document: bytes, wanted: str) -> None:
    """What is no TOML at all has one flaw, in the file, that tells where."""
    (flaw,) = flaws_in(document)

    assert flaw.key == ""
    assert wanted in str(flaw)


def test_document_as_large_as_a_parameter_is_read() -> None:
    """The limit is what an advanced parameter holds, to the byte."""
    padding = b"#" * (MAX_BYTES - len(written()))

    assert parse(written() + padding).name == "office"


def test_subnet_of_two_tables_is_refused() -> None:
    """A subnet has one table: the same id twice is told, and so is the same CIDR."""
    flaws = flaws_in(written((SUBNET, 'subnet-00000000000000002 = "10.0.10.0/24"')))

    assert {flaw.key for flaw in flaws} == {"private[0].subnets.subnet-00000000000000002"}
    assert "declared twice: public[0].subnets has it too" in [flaw.wanted for flaw in flaws]


def test_topology_without_a_public_subnet_is_refused() -> None:
    """A router sits in a declared public subnet, so there must be one."""
    subnets = '{ subnet-00000000000000001 = "10.0.0.0/24", subnet-00000000000000002 = "10.0.10.0/24" }'

    assert [flaw.key for flaw in flaws_in(written((subnets, "{}")))] == ["public[0].subnets"]


def test_number_too_long_to_print_is_refused_all_the_same() -> None:
    """A number of any notation and length is a flaw like another."""
    (flaw,) = flaws_in(written(('name = "office"', f"name = 0x{'f' * 5000}")))

    assert flaw.key == "name"
    assert len(str(flaw)) < 200


def test_many_flaws_are_told_at_once_each_under_the_key_it_was_written_at() -> None:
    """A flaw never hides another, nor shifts its place in a list."""
    flaws = flaws_in(
        written(
            (CIDR, 'cidr = "10.300.0.0/16"'),
            ("10.100.100.0/24", "10.100.300.0/24"),
            ("10.100.200.0/24", "10.100.30.128/25"),
            ('subnet-00000000000000001 = "10.0.0.0/24"', 'subnet-00000000000000001 = "10.0.0.1/24"'),
            (SUBNET, 'subnet-00000000000000003 = "10.0.2.0/25"'),
            ('table = { "mooring:role" = "private" }', 'tabel = { "mooring:role" = "private" }'),
            ('ssh = "closed"', 'ssh = "shut"'),
        )
    )

    assert {flaw.key for flaw in flaws} == {
        "vpc.cidr",
        "office.networks[0]",
        "office.networks[2]",
        "router.ssh",
        "public[0].subnets.subnet-00000000000000001",
        "private[1].subnets.subnet-00000000000000004",
        "private[1].table",
        "private[1].tabel",
    }


def test_document_of_nothing_but_a_name_lacks_every_section() -> None:
    """Each missing key is told, also those of sections that are missing as a whole."""
    keys = [flaw.key for flaw in flaws_in(b'name = "office"')]

    assert {"vpc", "vpc.cidr", "office.networks", "router.elastic_ip", "public", "private"} <= set(keys)


def test_error_sums_all_flaws_up() -> None:
    """The error's own text is enough for a log."""
    with pytest.raises(TopologyError, match=r"2 flaws: .*octet 3 is 300.*; router\.ssh = \"shut\": must be"):
        parse(written((NETWORK, "10.100.300.0/24"), ('ssh = "closed"', 'ssh = "shut"')))


@given(
    place=st.integers(0, len(DOCUMENT)),
    length=st.integers(0, 40),
    text=st.text(max_size=12)
    | st.sampled_from(("0", "[", "]]", '"', "{}", "= 1\n", "true", "1979-05-27", "inf")),
)
def test_any_mutilated_document_is_read_or_refused_and_nothing_else(
    place: int, length: int, text: str
) -> None:
    """Whatever somebody types, the only error is the one that names the flaws."""
    document = DOCUMENT[:place] + text + DOCUMENT[place + length :]

    with contextlib.suppress(TopologyError):
        parse(document.encode())
