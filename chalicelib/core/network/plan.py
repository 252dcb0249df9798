"""Decides what must change so that the observed network becomes the declared one, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from chalicelib.core.network.candidates import candidates, ineligible, squatter_on
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    Change,
    CreateRoute,
    DisableSourceDestCheck,
    NetworkChange,
    ReplaceRoute,
    RevokeIngress,
    resource_key,
)
from chalicelib.core.network.interface import pinned_on, router_interface
from chalicelib.core.network.problems import absent_subnets, find_problems
from chalicelib.core.network.topology import DEFAULT_ROUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.core.network.election import Election
    from chalicelib.core.network.observation import Interface, Observation, Route, RouteTable
    from chalicelib.core.network.topology import Table, Topology

_DEFAULT = str(DEFAULT_ROUTE)

GATEWAYS = ("igw-", "eigw-", "cagw-")
"""Targets that carry nothing for who has no public address of its own."""

_Declared: TypeAlias = "list[tuple[Table, list[RouteTable]]]"
"""Each declaration with the tables it may write."""


Kind_co = TypeVar("Kind_co", bound=Change, covariant=True)
Other = TypeVar("Other", bound=Change)


@dataclass(frozen=True, slots=True)
class Plan(Generic[Kind_co]):
    """What to change, most valuable first; `problems`: what is declared but cannot be kept, and why; `waiting`: on its way."""

    changes: tuple[Kind_co, ...] = ()
    problems: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    def __add__(self, other: Plan[Other]) -> Plan[Kind_co | Other]:
        """Return both plans as one, this one's changes first."""
        if not (other.changes or other.problems or other.waiting):
            return self
        return Plan(
            (*self.changes, *other.changes),
            (*self.problems, *other.problems),
            (*self.waiting, *other.waiting),
        )

    @property
    def tables(self) -> frozenset[str]:
        """The route tables whose routes the plan changes."""
        return frozenset(c.table_id for c in self.changes if isinstance(c, CreateRoute | ReplaceRoute))


def make_plan(topology: Topology, observation: Observation, election: Election) -> Plan[NetworkChange]:
    """Compare declared with observed; the same arguments always give the same plan.

    The order is by value: the router's source/dest check, since routes lean on it; private default routes; the
    Elastic IP; other routes; then what no packet waits for; last the bootstrap rule, since it was a way in.
    Where nobody may be the router, what needs none is kept all the same.
    """
    declared, unkept = _resolve(topology, observation)
    seat = None if election.sighting or not election.interface else election.interface
    address = list(_elastic_ip(topology, observation, election, seat))
    pins = _Pins(topology, observation, election, seat, _arrives(topology, observation, seat, address))
    defaults = list(_routes(pins, declared, defaults=True))
    others = list(_routes(pins, declared, defaults=False))
    steps: list[NetworkChange | str] = [
        *unkept,
        *_check(seat),
        *defaults,
        *address,
        *others,
        *_standbys(topology, observation, election),
        *_associations(topology, observation, declared, [*defaults, *others]),
        *_dhcp_options(topology, observation),
        *_ingress(topology, observation),
    ]
    problems = dict.fromkeys(
        (*find_problems(topology, observation), *(s for s in steps if isinstance(s, str)))
    )
    changes = tuple(step for step in steps if not isinstance(step, str))
    return Plan(changes, (*election.problems, *problems), _waiting(election))


def _waiting(election: Election) -> tuple[str, ...]:
    if election.sighting is None:
        return ()
    return (f"the whole network leads to {election.sighting.router}: it is adopted if the next look agrees",)


@dataclass(frozen=True, slots=True)
class _Pins:
    """What routes are planned with: `seat` is the interface they lead to, None where they stay as they are.

    `arrives` is whether the Elastic IP is there: yes, with the change of that resource_key, or not at all.
    """

    topology: Topology
    observation: Observation
    election: Election
    seat: Interface | None
    arrives: bool | str


def _arrives(
    topology: Topology, observation: Observation, seat: Interface | None, address: list[NetworkChange | str]
) -> bool | str:
    """Return whether the Elastic IP is where packets will leave from: it is, it comes with a change, or it cannot come."""
    coming = next((resource_key(step) for step in address if not isinstance(step, str)), None)
    elastic_ip = observation.elastic_ip(topology.elastic_ip)
    return coming or (elastic_ip is not None and seat is not None and elastic_ip.interface_id == seat.id)


def _check(seat: Interface | None) -> Iterator[NetworkChange]:
    if seat and seat.source_dest_check:
        yield DisableSourceDestCheck(seat.id, "the router forwards for others")


def _standbys(topology: Topology, observation: Observation, election: Election) -> Iterator[NetworkChange]:
    """Switch the check off on every standby before it is needed: one round less at failover."""
    router_id = election.router.id if election.router else None
    for standby in candidates(topology, observation):
        interface = router_interface(topology, standby)
        if standby.id == router_id or interface is None or not interface.source_dest_check:
            continue
        if not ineligible(topology, observation, standby):
            yield DisableSourceDestCheck(interface.id, f"{standby.id} stands by")


def _resolve(topology: Topology, observation: Observation) -> tuple[_Declared, list[str]]:
    """Find the tables that each declaration selects and Mooring may write: never the main one, nor one claimed twice."""
    selected = [(declared, observation.select(declared.selector)) for declared in topology.tables]
    claims: dict[str, int] = {}
    for table in (table for _, tables in selected for table in tables):
        claims[table.id] = claims.get(table.id, 0) + 1
    writable, problems = [], []
    for declared, tables in selected:
        writable.append((declared, [t for t in tables if not t.main and claims[t.id] == 1]))
        if tables and len(writable[-1][1]) == len(tables):
            continue
        what = f"{declared.kind} table {declared.selector}"
        problems += [] if tables else [f"{what} is not in this VPC"]
        problems += [
            f"{what} selects the VPC's main table {t.id}, which is never written" for t in tables if t.main
        ]
        problems += [
            f"{what} selects {t.id}, which another declaration selects too"
            for t in tables
            if claims[t.id] > 1
        ]
    return writable, problems


def _routes(pins: _Pins, declared: _Declared, *, defaults: bool) -> Iterator[NetworkChange | str]:
    """Walk the pinned routes of every declared table: the private defaults, or all others."""
    for entry, tables in declared:
        if not tables:
            continue
        wanted: list[tuple[str, str]] = []
        if entry.kind == "public" and not defaults:
            wanted = [(_DEFAULT, pins.topology.internet_gateway)]
        if pins.seat:
            through = pins.topology.pinned(entry)
            private = entry.kind == "private"
            wanted += [(d, pins.seat.id) for d in through if (private and d == _DEFAULT) is defaults]
        for table in tables:
            for destination, target in wanted:
                present = table.static(destination)
                if present is None or present.target != target or present.state == "blackhole":
                    yield from _route(pins, table, destination, target)


def _route(pins: _Pins, table: RouteTable, destination: str, target: str) -> Iterator[NetworkChange | str]:
    """Mend a route that is not as it should be, or say what keeps it so."""
    present = table.static(destination)
    if present is None:
        yield CreateRoute(table.id, destination, target, "it is missing")
    elif present.target != target:
        reason = f"{present.target} is not the declared target"
        waits_for = None
        if pins.seat and target == pins.seat.id:
            election = pins.election
            reason = election.reason if election.moved else f"{present.target} is not the router's interface"
            if pins.arrives is not True and _carries(pins, destination, present):
                if not pins.arrives:
                    yield f"what leads to {present.target} stays there until the elastic ip can come to the router"
                    return
                waits_for = str(pins.arrives)
        yield ReplaceRoute(table.id, destination, target, present.target, reason, waits_for)
    else:
        yield f"route {table.id} {destination} leads to {target} as declared, but AWS calls it a blackhole"


def _carries(pins: _Pins, destination: str, present: Route) -> bool:
    """Whether a route leads to something alive that is no candidate of ours and may carry there, such as a NAT gateway.

    An interface of no instance here is a dead router's, whatever an old listing calls its route; no gateway carries for
    private subnets, and a NAT gateway nothing to the office.
    """
    if present.state == "blackhole" or present.target.startswith(GATEWAYS):
        return False
    if present.target.startswith("nat-"):
        return destination == _DEFAULT
    owner = pins.observation.owner_of(present.target)
    if owner is None:
        return not present.target.startswith("eni-")
    return pins.topology.preference(owner.tags) is None


def _elastic_ip(
    topology: Topology, observation: Observation, election: Election, seat: Interface | None
) -> Iterator[NetworkChange | str]:
    elastic_ip = observation.elastic_ip(topology.elastic_ip)
    if elastic_ip is None:
        yield f"elastic ip {topology.elastic_ip} is not in this account and region"
        return
    if seat is None:
        return
    address = pinned_on(topology, seat)
    if (elastic_ip.interface_id, elastic_ip.private_address) == (seat.id, address):
        return
    if squatter_on(
        topology, observation, seat
    ):  # associating ours would throw the other one off: it is not ours to touch
        return
    if elastic_ip.interface_id == seat.id:
        reason = f"it sits on {elastic_ip.private_address}, not on {address}"
    elif election.moved:
        reason = election.reason
    else:
        reason = (
            f"{elastic_ip.interface_id} is not the router's interface"
            if elastic_ip.interface_id
            else "it is nowhere"
        )
    yield AssociateAddress(topology.elastic_ip, seat.id, address, elastic_ip.interface_id, reason)


def _associations(
    topology: Topology, observation: Observation, declared: _Declared, steps: Iterable[NetworkChange | str]
) -> Iterator[NetworkChange | str]:
    """Return subnets their declared tables, as soon as those have a way out."""
    absent = absent_subnets(topology, observation)
    made = {
        step.table_id: step
        for step in steps
        if isinstance(step, CreateRoute | ReplaceRoute) and step.destination == _DEFAULT
    }
    for entry, tables in declared:
        if entry.subnets and len(tables) > 1:
            yield f"{entry.kind} table {entry.selector} selects {len(tables)} tables, but its subnets need one"
        if len(tables) != 1:
            continue
        for subnet_id in entry.subnets:
            current = observation.table_of(subnet_id)
            if subnet_id in absent or (current and current.id == tables[0].id):
                continue
            default = made.get(tables[0].id)
            if default is None and tables[0].static(_DEFAULT) is None:
                yield f"subnet {subnet_id} waits for {tables[0].id}, which has no default route yet"
                continue
            was = current.id if current else None
            association = current.associations.get(subnet_id) if current else None
            carries = (
                isinstance(default, ReplaceRoute) and default.waits_for
            )  # what it leads to now stays a way out
            waits_for = resource_key(default) if default and not carries else None
            reason = f"{was or 'no table'} is not its declared table"
            yield AssociateRouteTable(subnet_id, tables[0].id, association, was, reason, waits_for)


def _dhcp_options(topology: Topology, observation: Observation) -> Iterator[NetworkChange]:
    unread = "ec2:DescribeVpcs" in observation.unread
    if topology.dhcp_options and topology.dhcp_options != observation.dhcp_options and not unread:
        was = observation.dhcp_options
        yield AssociateDhcpOptions(
            topology.vpc_id, topology.dhcp_options, was, f"{was or 'no set'} is not the declared set"
        )


def _ingress(topology: Topology, observation: Observation) -> Iterator[NetworkChange | str]:
    """Close the bootstrap rule, exactly tcp/22 from everywhere; anything wider is somebody's decision.

    A group holds no two rules that allow the same.
    """
    unread = "ec2:DescribeSecurityGroupRules" in observation.unread
    if topology.ssh != "closed" or topology.security_group is None or unread:
        return
    if not observation.group_seen:
        yield (
            f"security group {topology.security_group} has no rule and is on no interface in {topology.vpc_id}: "
            "it does not exist, or is not the router's"
        )
    if found := sorted(rule.id for rule in observation.ingress if rule.bootstrap):
        yield RevokeIngress(
            topology.security_group, found[0], "tcp/22 from 0.0.0.0/0", 'ssh is declared "closed"'
        )
