"""What is proposed of a VPC: facts, guesses with their reason, and lines that only an operator can fill in."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from chalicelib.cli.init.draft import Draft, Entry, Fact, Guess, Section, Unknown
from chalicelib.cli.init.propose import Seen, Told, find_router, propose
from chalicelib.core.declaration import parse
from chalicelib.core.errors import TopologyError
from chalicelib.core.network.observation import ElasticIp, Instance, Interface, Observation, Route, RouteTable
from chalicelib.core.network.problems import find_problems
from tests.builders import (
    EIP,
    GATEWAY,
    GROUP,
    MAIN,
    NOON,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    PUBLIC,
    PUBLIC_SUBNET,
    ROUTER,
    ROUTER_ENI,
    STANDBY,
    STANDBY_ENI,
    TUNNEL,
    VPC,
    table_in,
    with_table,
)

_LOCAL = Route("10.0.0.0/16", "local", origin="CreateRouteTable")
_DEFAULT = Route("0.0.0.0/0", ROUTER_ENI)
_KNOWN = Told("office", ("10.100.30.0/24",), "192.168.0.0/24")


def _router(**tags: str) -> Instance:
    interface = Interface(ROUTER_ENI, PUBLIC_SUBNET, ("10.0.0.8",), source_dest_check=False)
    return Instance(ROUTER, "running", NOON, tags or {"Name": "nat"}, (interface,))


def _seen(*private: Route, public: tuple[Route, ...] = (), **more: object) -> Seen:
    """A VPC of one public and one private table, whose router is alive; `more` replaces parts."""
    tables = (
        RouteTable(MAIN, main=True, routes=(_LOCAL,)),
        RouteTable(
            PUBLIC,
            routes=(_LOCAL, Route("0.0.0.0/0", GATEWAY), *public),
            associations={PUBLIC_SUBNET: "rtbassoc-1"},
        ),
        RouteTable(PRIVATE_A, routes=(_LOCAL, *private), associations={PRIVATE_SUBNET_A: "rtbassoc-2"}),
    )
    addresses = (ElasticIp(EIP, "203.0.113.1", ROUTER_ENI, "10.0.0.8"),)
    observation = Observation(NOON, tables, (_router(),), addresses)
    subnets = {PUBLIC_SUBNET: "10.0.0.0/24", PRIVATE_SUBNET_A: "10.0.1.0/24"}
    seen = Seen(VPC, "Office", ("10.0.0.0/16",), GATEWAY, subnets, observation)
    kept = {key: value for key, value in more.items() if key in {"tables", "instances", "elastic_ips"}}
    seen = replace(seen, observation=replace(observation, **kept))  # type: ignore[arg-type]  # a test's own words
    return replace(seen, **{k: v for k, v in more.items() if k not in kept})  # type: ignore[arg-type]  # same


def _proposed(seen: Seen, told: Told = _KNOWN) -> str:
    return propose(seen, told, find_router(seen), (GROUP,)).toml()


def _line(document: str, key: str) -> str:
    """The last line of a key."""
    return [one for one in document.splitlines() if one.startswith(f"{key} = ")][-1]


def test_a_network_that_a_router_serves_is_proposed_valid() -> None:
    """What is known in full can be declared as it is."""
    topology = parse(_proposed(_seen(_DEFAULT)).encode())
    assert (topology.elastic_ip, topology.security_group, topology.ssh) == (EIP, GROUP, "unmanaged")
    assert [(t.kind, t.selector) for t in topology.tables] == [("public", PUBLIC), ("private", PRIVATE_A)]


@pytest.mark.parametrize(
    ("route", "why"),
    [
        (Route("0.0.0.0/0", "nat-1"), "guessed: private, since its default route leads to nat-1"),
        (Route("0.0.0.0/0", "nat-1", "blackhole"), "leads to nat-1, a blackhole"),
        (None, "guessed: private, since it has no default route"),
        (_DEFAULT, None),
    ],
)
def test_a_private_table_is_a_guess_unless_the_router_is_its_way_out(
    route: Route | None, why: str | None
) -> None:
    """To declare such a table moves its way out to the router: the operator must see that."""
    said = _line(_proposed(_seen(*([route] if route else []))), "table")
    assert said.endswith(why) if why and "since it has no" not in why else ("#" in said) is bool(why)


@pytest.mark.parametrize("target", ["tgw-1", "vgw-1", "pcx-1"])
def test_a_table_that_leads_out_of_moorings_care_is_left_out(target: str) -> None:
    """A default route to a transit gateway is somebody's design."""
    document = _proposed(_seen(Route("0.0.0.0/0", target), public=(Route("10.8.0.0/16", ROUTER_ENI),)))
    assert f"# Left out: {PRIVATE_A} sends 0.0.0.0/0 to {target}." in document
    assert "# unknown: no table looks private" in document
    with pytest.raises(TopologyError, match="private: missing"):
        parse(document.encode())


def test_office_networks_are_guessed_from_routes_to_the_router() -> None:
    """Routes of the public table tell where the tunnel leads; the default route tells nothing."""
    routes = (
        Route("10.100.30.0/24", ROUTER_ENI),
        Route("2001:db8::/32", ROUTER_ENI),
        Route("10.7.0.0/16", "pcx-1"),
    )
    document = _proposed(_seen(_DEFAULT, public=routes), Told())
    assert _line(document, "networks").startswith('networks = ["10.100.30.0/24"]  ')
    assert f"guessed: routes to them lead to {ROUTER_ENI}" in document


def test_what_only_the_operator_knows_fails_with_its_key() -> None:
    """An unknown value is never a silent default."""
    with pytest.raises(TopologyError) as refused:
        parse(_proposed(_seen(_DEFAULT), Told()).encode())
    assert {flaw.key for flaw in refused.value.flaws} == {"office.networks", "office.vpn_clients"}
    assert {flaw.value for flaw in refused.value.flaws} == {"TO FILL IN"}


@pytest.mark.parametrize(
    ("tags", "candidates"),
    [
        ({"Name": "nat", "mooring:router": "office"}, '{ "mooring:router" = "office" }'),
        ({"Name": "nat", "aws:autoscaling:groupName": "g"}, '{ "aws:autoscaling:groupName" = "g" }'),
        ({"Name": 'the "nat"'}, '{ Name = "the \\"nat\\"" }'),
        ({"team": "net"}, '"TO FILL IN"'),
    ],
)
def test_candidates_are_whoever_carries_the_routers_best_tag(tags: dict[str, str], candidates: str) -> None:
    """Mooring's own tag, else its Auto Scaling group's, which its successor will carry, else its name."""
    said = _line(_proposed(_seen(_DEFAULT, instances=(_router(**tags),))), "candidates")
    assert said.startswith(f"candidates = {candidates}")


def test_routes_to_a_dead_router_leave_the_candidates_unknown() -> None:
    """The interface is gone with its instance: where the office is, is still known from its routes."""
    document = _proposed(
        _seen(Route("0.0.0.0/0", ROUTER_ENI, "blackhole"), instances=(), elastic_ips=()), _KNOWN
    )
    assert 'candidates = "TO FILL IN"' in document
    assert f"{ROUTER_ENI}, where the routes lead, belongs to no instance" in document
    assert 'elastic_ip = "TO FILL IN"' in document


def test_without_routes_the_router_is_what_forwards_under_an_elastic_ip() -> None:
    """A fresh router is found before anything leads to it."""
    lead = find_router(_seen())
    assert lead is not None
    assert (lead.interface_id, lead.why) == (ROUTER_ENI, "it forwards under an Elastic IP")
    assert find_router(_seen(elastic_ips=())) is None


def test_a_living_router_is_preferred_to_a_dead_one() -> None:
    """Most routes may still lead to a corpse."""
    dead = tuple(Route(f"10.{n}.0.0/16", STANDBY_ENI, "blackhole") for n in range(5, 8))
    lead = find_router(_seen(_DEFAULT, public=dead))
    assert lead is not None
    assert lead.interface_id == ROUTER_ENI


def test_a_secondary_interface_is_pinned_by_its_address() -> None:
    """Mooring pins the primary address unless told which."""
    first = Interface(STANDBY_ENI, PUBLIC_SUBNET, ("10.0.0.7",))
    router = replace(_router(), interfaces=(first, *_router().interfaces))
    document = _proposed(_seen(_DEFAULT, instances=(router,)))
    assert _line(document, "private_address").startswith('private_address = "10.0.0.8"  ')


def test_the_only_free_elastic_ip_is_a_guess() -> None:
    """One that is free could be meant; of two, neither."""
    free = ElasticIp(EIP, "203.0.113.1")
    one = _proposed(_seen(_DEFAULT, elastic_ips=(free,)))
    assert _line(one, "elastic_ip").endswith("# guessed: 203.0.113.1 is the only one that is free")
    two = _proposed(_seen(_DEFAULT, elastic_ips=(free, replace(free, allocation_id=f"{EIP[:-1]}7"))))
    assert _line(two, "elastic_ip").startswith('elastic_ip = "TO FILL IN"')


def test_a_router_in_no_public_subnet_is_remarked() -> None:
    """It could not be elected, and the operator should know before the first plan."""
    inside = replace(_router().interfaces[0], subnet_id=PRIVATE_SUBNET_A)
    document = _proposed(_seen(_DEFAULT, instances=(replace(_router(), interfaces=(inside,)),)))
    assert f"# {ROUTER} sits in {PRIVATE_SUBNET_A}, no public subnet below" in document


def test_explicit_office_routes_of_a_private_table_are_kept() -> None:
    """What leads to the router today is declared to lead there."""
    document = _proposed(_seen(_DEFAULT, Route("10.100.30.0/24", ROUTER_ENI)))
    assert "office_routes = true" in document
    assert parse(document.encode()).tables[1].office_routes


def test_every_range_and_each_subnet_that_rides_on_a_table_is_proposed() -> None:
    """A range of EKS's own is the VPC's like the first: what rides on a table is declared with it, and carried."""
    pods = "subnet-0000000f"
    seen = _seen(_DEFAULT, cidrs=("10.0.0.0/16", "100.64.0.0/16"))
    table = table_in(seen.observation, PRIVATE_A)
    riding = replace(table, associations=table.associations | {pods: "rtbassoc-3"})
    seen = replace(
        seen,
        observation=with_table(seen.observation, riding),
        subnets={**seen.subnets, pods: "100.64.32.0/19"},
    )

    topology = parse(_proposed(seen).encode())

    assert [str(cidr) for cidr in topology.cidrs] == ["10.0.0.0/16", "100.64.0.0/16"]
    assert topology.tables[1].subnets[pods] in topology.private_networks
    assert find_problems(replace(topology, tunnel=TUNNEL), seen.observation) == ()


def test_what_is_left_out_is_listed() -> None:
    """Subnets of the main table, and what lies in no range that the VPC has for good, are named, not forgotten."""
    subnets = {
        PUBLIC_SUBNET: "10.0.0.0/24",
        PRIVATE_SUBNET_A: "10.1.1.0/24",
        "subnet-0000000f": "10.0.9.0/24",
        "subnet-0000000e": "10.2.0.0/24",
    }
    seen = _seen(_DEFAULT, subnets=subnets, cidrs=("10.0.0.0/16", "10.1.0.0/16"))
    public = table_in(seen.observation, PUBLIC)
    riding = replace(public, associations=public.associations | {"subnet-0000000e": "rtbassoc-3"})
    document = _proposed(replace(seen, observation=with_table(seen.observation, riding)))
    assert f"# Left out: subnet-0000000e = 10.2.0.0/24 rides on {PUBLIC}" in document
    assert "# Left out: subnet-0000000f = 10.0.9.0/24 follows the main table" in document
    assert f"# Left out: {PRIVATE_A} serves no subnet that can be declared." in _proposed(
        replace(seen, cidrs=("10.0.0.0/16",))
    )


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("Old VPC (Paris)", "old-vpc-paris"),
        ("", VPC),
        ("***", VPC),
        ("x" * 60, "x" * 40),
        ("Zürich", "z-rich"),
    ],
)
def test_a_name_is_made_of_the_vpcs_name_tag(tag: str, name: str) -> None:
    """A topology's name is a-z, 0-9 and -."""
    assert parse(_proposed(_seen(_DEFAULT, name=tag), replace(_KNOWN, name=None)).encode()).name == name


def test_a_draft_is_toml_whatever_is_in_it() -> None:
    """Strangers' tags and comments cannot break out of their line."""
    entries: dict[str, Entry] = {
        "text": Fact('a "quoted" \\ tag', "two\nlines\x1b"),
        "table": Guess({"a b": "c", "empty": {}}, "why"),
        "list": Fact([1, True]),
        "none": Unknown("ask"),
    }
    draft = Draft(("title\n[injected]",), (Section("[[private]]", entries),), ("end",))
    assert tomllib.loads(draft.toml()) == {
        "private": [
            {
                "text": 'a "quoted" \\ tag',
                "table": {"a b": "c", "empty": {}},
                "list": [1, True],
                "none": "TO FILL IN",
            }
        ]
    }
    assert (draft.keys(Guess), draft.keys(Unknown)) == (["private.table"], ["private.none"])
    assert STANDBY not in draft.toml()
