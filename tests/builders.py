"""Valid values of the declared and the observed network, so that a test names only what matters to it.

Everything is about one network: a public table with two subnets, two private tables, one router and its Elastic IP,
all as declared. `seen()` is that network converged; a test changes what its situation is about.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from chalicelib.core.network.observation import (
    ElasticIp,
    IngressRule,
    Instance,
    Interface,
    Observation,
    Route,
    RouteTable,
)
from chalicelib.core.network.topology import DEFAULT_ROUTE, Limits, Table, Tags, Topology, Tunnel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal


def an_id(kind: str, number: int) -> str:
    """Return an id as AWS writes them: `an_id("rtb", 10)` is `rtb-0000000000000000a`."""
    return f"{kind}-{number:017x}"


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
VPC, GATEWAY, GROUP = an_id("vpc", 1), an_id("igw", 1), an_id("sg", 1)
PUBLIC, PRIVATE_A, PRIVATE_B, MAIN, FOREIGN = (an_id("rtb", n) for n in range(1, 6))
PUBLIC_SUBNET, SECOND_PUBLIC_SUBNET, PRIVATE_SUBNET_A, PRIVATE_SUBNET_B = (
    an_id("subnet", n) for n in range(1, 5)
)
ROUTER, STANDBY, THIRD = (an_id("i", n) for n in range(1, 4))
ROUTER_ENI, STANDBY_ENI, THIRD_ENI, FOREIGN_ENI = (an_id("eni", n) for n in (1, 2, 3, 9))
EIP, FOREIGN_EIP = an_id("eipalloc", 1), an_id("eipalloc", 9)
BOOTSTRAP = an_id("sgr", 1)
OPTIONS = an_id("dopt", 1)
OFFICE = (IPv4Network("10.100.100.0/24"), IPv4Network("10.100.30.0/24"))
CLIENTS = IPv4Network("192.168.0.0/24")
TUNNEL = Tunnel("vpn.example.com", "aws-router", "office-vpn", IPv4Address("192.168.0.254"))
TAGGED = {"mooring:topology": "office"}
ROUTER_TAGS = {"mooring:router": "office"}
CANDIDATES = Tags((("mooring:router", "office"),))


def public_table(
    table: str | Tags = PUBLIC, subnets: Iterable[str] = (PUBLIC_SUBNET, SECOND_PUBLIC_SUBNET)
) -> Table:
    """Declare a public table that serves both public subnets."""
    cidrs = {PUBLIC_SUBNET: IPv4Network("10.0.0.0/24"), SECOND_PUBLIC_SUBNET: IPv4Network("10.0.10.0/24")}
    return Table("public", table, {s: cidrs[s] for s in subnets})


def private_table(
    table: str | Tags = PRIVATE_A,
    subnets: Iterable[str] = (PRIVATE_SUBNET_A,),
    *,
    office_routes: bool = False,
) -> Table:
    """Declare a private table that serves the first private subnet."""
    cidrs = {PRIVATE_SUBNET_A: IPv4Network("10.0.1.0/24"), PRIVATE_SUBNET_B: IPv4Network("10.0.2.0/24")}
    return Table("private", table, {s: cidrs[s] for s in subnets}, office_routes=office_routes)


def topology(  # noqa: PLR0913 - each is one thing that can be declared otherwise
    *,
    tables: tuple[Table, ...] | None = None,
    candidates: tuple[Tags, ...] = (CANDIDATES,),
    office: tuple[IPv4Network, ...] = OFFICE,
    ssh: Literal["closed", "unmanaged"] = "closed",
    private_address: IPv4Address | None = None,
    dhcp_options: str | None = None,
    limits: Limits | None = None,
    paused: bool = False,
    tunnel: Tunnel | None = None,
) -> Topology:
    """Declare the network."""
    standard = (public_table(), private_table(), private_table(PRIVATE_B, (PRIVATE_SUBNET_B,)))
    return Topology(
        name="office",
        vpc_id=VPC,
        cidr=IPv4Network("10.0.0.0/16"),
        internet_gateway=GATEWAY,
        office_networks=office,
        vpn_clients=CLIENTS,
        candidates=candidates,
        elastic_ip=EIP,
        tables=standard if tables is None else tables,
        security_group=GROUP,
        ssh=ssh,
        private_address=private_address,
        dhcp_options=dhcp_options,
        limits=limits or Limits(),
        paused=paused,
        tunnel=tunnel,
    )


def interface(
    eni: str = ROUTER_ENI,
    address: str = "10.0.0.8",
    subnet: str = PUBLIC_SUBNET,
    *,
    check: bool = False,
) -> Interface:
    """Return an interface that may forward."""
    return Interface(eni, subnet, (address,), source_dest_check=check)


def instance(  # noqa: PLR0913 - each is one thing an election looks at
    instance_id: str = ROUTER,
    eni: Interface | None = None,
    *,
    state: str = "running",
    checks: str = "ok",
    notice: str | None = None,
    tags: dict[str, str] | None = None,
    launched: datetime = NOON - timedelta(days=1),
) -> Instance:
    """Return a healthy candidate; the router, unless told otherwise. Both of EC2's readings agree whether it runs."""
    return Instance(
        id=instance_id,
        state=state,
        launched_at=launched,
        tags=ROUTER_TAGS if tags is None else tags,
        interfaces=(eni or interface(),),
        checks=checks,
        public_address="203.0.113.8",
        notice=notice,
        listed=state == "running",
    )


def standby(instance_id: str = STANDBY, eni: str = STANDBY_ENI, *, check: bool = False) -> Instance:
    """Return a second candidate in the second public subnet, younger than the router."""
    card = interface(eni, "10.0.10.9", SECOND_PUBLIC_SUBNET, check=check)
    return instance(instance_id, card, launched=NOON - timedelta(hours=1))


def local() -> Route:
    """Return the route every table of the VPC has."""
    return Route("10.0.0.0/16", "local", origin="CreateRouteTable")


def propagated(destination: str, gateway: str = "vgw-00000000000000001") -> Route:
    """Return a route that a virtual private gateway propagated."""
    return Route(destination, gateway, origin="EnableVgwRoutePropagation")


def pinned(declared: Topology, table: Table, eni: str = ROUTER_ENI) -> tuple[Route, ...]:
    """Return the routes of a table that is as declared, with a router's interface."""
    default = [Route(str(DEFAULT_ROUTE), declared.internet_gateway)] if table.kind == "public" else []
    return (local(), *default, *(Route(str(d), eni) for d in declared.router_destinations(table)))


def seen(
    declared: Topology | None = None, *instances: Instance, eni: str = ROUTER_ENI, at: datetime = NOON
) -> Observation:
    """Return the network converged on an interface; with the router alone unless instances are given."""
    declared = declared or topology()
    tables = [RouteTable(MAIN, main=True, routes=(local(),))]
    for number, table in enumerate(declared.tables, start=1):
        known = isinstance(table.selector, str)
        tags = TAGGED | ({} if isinstance(table.selector, str) else dict(table.selector.pairs))
        associations = {s: an_id("rtbassoc", 16 * number + n) for n, s in enumerate(table.subnets)}
        table_id = str(table.selector) if known else an_id("rtb", 100 + number)
        routes = pinned(declared, table, eni)
        tables.append(RouteTable(table_id, tags=tags, routes=routes, associations=associations))
    present = instances or (instance(),)
    holder = next((i for p in present for i in p.interfaces if i.id == eni), interface())
    address = str(declared.private_address or next(iter(holder.addresses), "10.0.0.8"))
    return Observation(at, tuple(tables), present, (elastic_ip(eni, address),), (), declared.dhcp_options)


def routed(observation: Observation, table_id: str, *routes: Route) -> Observation:
    """Return the same network with these routes in a table instead of those for the same destinations."""
    changed = {r.destination for r in routes}
    kept = (r for r in table_in(observation, table_id).routes if r.destination not in changed)
    return with_table(observation, replace(table_in(observation, table_id), routes=(*kept, *routes)))


def unrouted(observation: Observation, table_id: str, destination: str) -> Observation:
    """Return the same network without a table's routes for a destination."""
    kept = (r for r in table_in(observation, table_id).routes if r.destination != destination)
    return with_table(observation, replace(table_in(observation, table_id), routes=tuple(kept)))


def table_in(observation: Observation, table_id: str) -> RouteTable:
    """Find a table by its id."""
    return next(t for t in observation.tables if t.id == table_id)


def with_table(observation: Observation, table: RouteTable) -> Observation:
    """Return the same network with a table added, or in the place of the one with its id."""
    others = (t for t in observation.tables if t.id != table.id)
    return replace(observation, tables=(*others, table))


def with_elastic_ip(observation: Observation, *elastic_ips: ElasticIp) -> Observation:
    """Return the same network with these Elastic IPs and no others."""
    return replace(observation, elastic_ips=elastic_ips)


def elastic_ip(eni: str | None = ROUTER_ENI, address: str | None = "10.0.0.8") -> ElasticIp:
    """Return the declared Elastic IP."""
    return ElasticIp(EIP, "203.0.113.8", eni, address, TAGGED)


def ssh_rule(
    rule_id: str = BOOTSTRAP, source: str = "0.0.0.0/0", ports: tuple[int, int] = (22, 22)
) -> IngressRule:
    """Return the bootstrap rule, or one like it."""
    return IngressRule(rule_id, "tcp", *ports, source)
