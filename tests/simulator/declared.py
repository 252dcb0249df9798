"""What is declared: a few topologies of one VPC, and the network as each wants it; made once, since making them is slow."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from chalicelib.core.declaration import parse
from chalicelib.core.network.guard import scope
from chalicelib.core.network.observation import Interface, Subnet
from chalicelib.core.network.topology import Limits, Tags
from tests import builders
from tests.builders import (
    NOON,
    OPTIONS,
    PRIVATE_A,
    PRIVATE_B,
    PRIVATE_SUBNET_B,
    ROUTER_TAGS,
    TUNNEL,
    an_id,
    private_table,
    public_table,
    topology,
)
from tests.simulator.vpc import Vpc

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.topology import Topology

SPARE_TAGS = {"mooring:router": "office", "rank": "spare"}
PREFERRED = Tags((("mooring:router", "office"), ("rank", "first")))
ANY = Tags((("mooring:router", "office"),))
OTHER_OFFICE = IPv4Network("10.100.77.0/24")
SUBNETS = tuple(
    Subnet(subnet_id, cidr)
    for subnet_id, cidr in (
        (builders.PUBLIC_SUBNET, "10.0.0.0/24"),
        (builders.SECOND_PUBLIC_SUBNET, "10.0.10.0/24"),
        (builders.PRIVATE_SUBNET_A, "10.0.1.0/24"),
        (builders.PRIVATE_SUBNET_B, "10.0.2.0/24"),
    )
)
PRIVATE = Tags((("mooring:role", "private"),))
LARGE = 3
"""The place of the topology whose limits are tight."""
TIGHT = Limits(changes=7, tables=2)
"""Limits that a failover does not fit into where one declaration selects three tables by their tag."""


@cache
def topologies() -> tuple[Topology, ...]:
    """Return what may be declared of the VPC; the first are drawn most."""
    one = (public_table(), private_table(PRIVATE_A))
    two = (
        public_table(),
        private_table(PRIVATE_A),
        private_table(PRIVATE_B, (PRIVATE_SUBNET_B,), office_routes=True),
    )
    return _read(
        topology(tables=one),
        topology(tables=two, dhcp_options=OPTIONS),
        topology(tables=one, candidates=(PREFERRED, ANY)),
        topology(tables=(public_table(), private_table(PRIVATE, ())), limits=TIGHT),
    )


def _read(*declared: Topology) -> tuple[Topology, ...]:
    """Return topologies as they are read from what an operator writes."""
    return tuple(parse(_written(one).encode()) for one in declared)


@cache
def tunnelled() -> tuple[Topology, ...]:
    """Return the same with a tunnel, so that machines are configured too."""
    return _read(*(replace(one, tunnel=TUNNEL) for one in topologies()[:2]))


def variants(declared: Topology) -> tuple[Topology, ...]:
    """Return what somebody may declare instead."""
    return _variants(id(declared)) if id(declared) in _known() else (declared,)


def larger(declared: Topology) -> Topology:
    """Return the same with routes to the office in every private table, too."""
    return _larger(id(declared)) if id(declared) in _known() else declared


@cache
def _larger(key: int) -> Topology:
    declared = _known()[key]
    tables = tuple(replace(t, office_routes=True) for t in declared.tables)
    needed = declared.limits.changes + 2  # a failover moves these routes, too
    limits = replace(declared.limits, changes=needed)
    return _read(replace(declared, tables=tables, limits=limits))[0]


@cache
def _known() -> dict[int, Topology]:
    return {id(one): one for one in (*topologies(), *tunnelled())}


@cache
def _variants(key: int) -> tuple[Topology, ...]:
    declared = _known()[key]
    return _read(
        replace(declared, office_networks=(*declared.office_networks, OTHER_OFFICE)),
        replace(declared, paused=True),
        replace(declared, candidates=(PREFERRED, ANY)),
        replace(declared, office_networks=declared.office_networks[:1]),
        declared,
    )


@cache
def _seen(place: int, tunnel: bool, standbys: int) -> Observation:  # noqa: FBT001 - a key of the cache
    declared = (tunnelled() if tunnel else topologies())[place]
    second = builders.standby()
    third = builders.standby(builders.THIRD, builders.THIRD_ENI)
    card = Interface(builders.THIRD_ENI, builders.PUBLIC_SUBNET, ("10.0.0.33",), source_dest_check=True)
    third = replace(third, interfaces=(card,), tags=SPARE_TAGS)
    everybody = (builders.instance(tags=ROUTER_TAGS), second, third)[: standbys + 1]
    seen = builders.seen(declared, *everybody)
    for table in list(seen.tables):
        if not table.main and PRIVATE.match(table.tags):
            for number in (1, 2):
                more = replace(table, id=an_id("rtb", 200 + number), associations={})
                seen = builders.with_table(seen, more)
    foreign = builders.table_in(seen, builders.MAIN)
    other = replace(
        foreign,
        id=builders.FOREIGN,
        main=False,
        routes=(*foreign.routes, builders.propagated("172.30.0.0/16")),
    )
    return replace(builders.with_table(seen, other), taken_at=NOON, dhcp_options=OPTIONS)


@cache
def kept(place: int, *, tunnel: bool, standbys: int) -> str:
    """Return what the journal remembers of a declaration that was carried out."""
    declared = (tunnelled() if tunnel else topologies())[place]
    return scope(declared, _seen(place, tunnel, standbys))


@cache
def _documents() -> dict[int, tuple[Topology, bytes]]:
    return {}


def document(declared: Topology) -> bytes:
    """Write a topology as an operator does, so that it may be read again; written once."""
    written = _documents()
    if id(declared) not in written:
        written[id(declared)] = (declared, _written(declared).encode())
    return written[id(declared)][1]


def _written(declared: Topology) -> str:
    lines = [
        f'name = "{declared.name}"',
        f"paused = {str(declared.paused).lower()}",
        "[vpc]",
        f'id = "{declared.vpc_id}"',
        f'cidr = "{declared.cidr}"',
        f'internet_gateway = "{declared.internet_gateway}"',
        *([f'dhcp_options = "{declared.dhcp_options}"'] if declared.dhcp_options else []),
        "[office]",
        f"networks = [{', '.join(_quoted(n) for n in declared.office_networks)}]",
        f'vpn_clients = "{declared.vpn_clients}"',
        "[router]",
        f"candidates = [{', '.join(_tags(tags) for tags in declared.candidates)}]",
        f'elastic_ip = "{declared.elastic_ip}"',
        *([f'security_group = "{declared.security_group}"'] if declared.security_group else []),
        f'ssh = "{declared.ssh}"',
        "[limits]",
        f"changes = {declared.limits.changes}",
        f"tables = {declared.limits.tables}",
    ]
    for table in declared.tables:
        selector = _quoted(table.selector) if isinstance(table.selector, str) else _tags(table.selector)
        subnets = ", ".join(f"{subnet} = {_quoted(network)}" for subnet, network in table.subnets.items())
        lines += [f"[[{table.kind}]]", f"table = {selector}", f"subnets = {{ {subnets} }}"]
        lines += [f"office_routes = {str(table.office_routes).lower()}"] if table.kind == "private" else []
    if declared.tunnel:
        lines += [
            "[tunnel]",
            f'server = "{declared.tunnel.server}"',
            f'common_name = "{declared.tunnel.common_name}"',
            f'server_name = "{declared.tunnel.server_name}"',
            f'address = "{declared.tunnel.address}"',
        ]
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    return f'"{value}"'


def _tags(tags: Tags) -> str:
    return "{ " + ", ".join(f'"{key}" = "{value}"' for key, value in tags.pairs) + " }"


def network(place: int, *, tunnel: bool, standbys: int) -> tuple[Topology, Vpc]:
    """Return a declared topology and its VPC, as declared, with so many standbys."""
    declared = (tunnelled() if tunnel else topologies())[place]
    return declared, Vpc(_seen(place, tunnel, standbys), SUBNETS, OPTIONS)


def other_options() -> str:
    """Return a set of DHCP options that nobody declares."""
    return an_id("dopt", 50)
