"""Decides what must change so that the observed network becomes the declared one, and in which order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from chalicelib.core.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    Change,
    CreateRoute,
    DisableSourceDestCheck,
    NetworkChange,
    ReplaceRoute,
    RevokeIngress,
)
from chalicelib.core.configuration import pinned_address, router_interface
from chalicelib.core.election import candidates, ineligible
from chalicelib.core.topology import DEFAULT_ROUTE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network

    from chalicelib.core.election import Election
    from chalicelib.core.observation import Observation, RouteTable
    from chalicelib.core.topology import Table, Topology

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
        """Give both plans as one, this one's changes first."""
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
    """
    declared, unkept = _resolve(topology, observation)
    steps: list[NetworkChange | str] = [
        *unkept,
        *_check(election),
        *_routes(topology, declared, election, defaults=True),
        *_elastic_ip(topology, observation, election),
        *_routes(topology, declared, election, defaults=False),
        *_standbys(topology, observation, election),
        *_associations(observation, declared),
        *_dhcp_options(topology, observation),
        *_ingress(topology, observation),
    ]
    problems = dict.fromkeys(step for step in steps if isinstance(step, str))
    return Plan(tuple(step for step in steps if not isinstance(step, str)), tuple(problems))


def _check(election: Election) -> Iterator[NetworkChange]:
    if election.interface.source_dest_check:
        yield DisableSourceDestCheck(election.interface.id, "the router forwards for others")


def _standbys(topology: Topology, observation: Observation, election: Election) -> Iterator[NetworkChange]:
    """Switch the check off on every standby before it is needed: one round less at failover."""
    for standby in candidates(topology, observation):
        interface = router_interface(topology, standby)
        if standby.id == election.router.id or interface is None or ineligible(topology, standby):
            continue
        if interface.source_dest_check:
            yield DisableSourceDestCheck(interface.id, f"{standby.id} stands by")


def _resolve(topology: Topology, observation: Observation) -> tuple[_Declared, list[str]]:
    """Find the tables that each declaration selects and Mooring may write: never the main one, nor one claimed twice."""
    selected = [(declared, observation.select(declared.selector)) for declared in topology.tables]
    claims = Counter(table.id for _, tables in selected for table in tables)
    problems = []
    for declared, tables in selected:
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
    writable = [(d, [t for t in tables if not t.main and claims[t.id] == 1]) for d, tables in selected]
    return writable, problems


def _routes(
    topology: Topology, declared: _Declared, election: Election, *, defaults: bool
) -> Iterator[NetworkChange | str]:
    """Walk the pinned routes of every declared table: the private defaults, or all others."""
    for entry, tables in declared:
        pins = [(d, election.interface.id) for d in topology.router_destinations(entry)]
        if entry.kind == "public":
            pins = [(DEFAULT_ROUTE, topology.internet_gateway), *pins]
        wanted = [p for p in pins if (entry.kind == "private" and p[0] == DEFAULT_ROUTE) is defaults]
        for table in tables:
            for destination, target in wanted:
                yield from _route(table, destination, target, election)


def _route(
    table: RouteTable, destination: IPv4Network, target: str, election: Election
) -> Iterator[NetworkChange | str]:
    present = table.static(str(destination))
    if present is None:
        yield CreateRoute(table.id, str(destination), target, "it is missing")
    elif present.target != target:
        reason = f"{present.target} is not the declared target"
        if target == election.interface.id:
            reason = election.reason if election.moved else f"{present.target} is not the router's interface"
        yield ReplaceRoute(table.id, str(destination), target, present.target, reason)
    elif present.state == "blackhole":
        yield f"route {table.id} {destination} leads to {target} as declared, but AWS calls it a blackhole"


def _elastic_ip(
    topology: Topology, observation: Observation, election: Election
) -> Iterator[NetworkChange | str]:
    elastic_ip = observation.elastic_ip(topology.elastic_ip)
    if elastic_ip is None:
        yield f"elastic ip {topology.elastic_ip} is not in this account and region"
        return
    interface = election.interface
    address = str(pinned_address(topology, interface))
    if (elastic_ip.interface_id, elastic_ip.private_address) == (interface.id, address):
        return
    squatter = next(
        (
            e
            for e in observation.elastic_ips
            if (e.interface_id, e.private_address) == (interface.id, address)
        ),
        None,
    )
    if squatter:  # associating ours would throw the other one off: it is not ours to touch
        yield (
            f"elastic ip {squatter.allocation_id} ({squatter.public_address}), which is not declared, "
            f"sits on {interface.id} {address}; disassociate it so that the declared one can come"
        )
        return
    if elastic_ip.interface_id == interface.id:
        reason = f"it sits on {elastic_ip.private_address}, not on {address}"
    elif election.moved:
        reason = election.reason
    else:
        reason = (
            f"{elastic_ip.interface_id} is not the router's interface"
            if elastic_ip.interface_id
            else "it is nowhere"
        )
    yield AssociateAddress(topology.elastic_ip, interface.id, address, elastic_ip.interface_id, reason)


def _associations(observation: Observation, declared: _Declared) -> Iterator[NetworkChange | str]:
    for entry, tables in declared:
        if entry.subnets and len(tables) > 1:
            yield f"{entry.kind} table {entry.selector} selects {len(tables)} tables, but its subnets need one"
        if len(tables) != 1:
            continue
        for subnet_id in entry.subnets:
            current = observation.table_of(subnet_id)
            if current and current.id == tables[0].id:
                continue
            was = current.id if current else None
            association = current.associations.get(subnet_id) if current else None
            yield AssociateRouteTable(
                subnet_id, tables[0].id, association, was, f"{was or 'no table'} is not its declared table"
            )


def _dhcp_options(topology: Topology, observation: Observation) -> Iterator[NetworkChange]:
    if topology.dhcp_options and topology.dhcp_options != observation.dhcp_options:
        was = observation.dhcp_options
        yield AssociateDhcpOptions(
            topology.vpc_id, topology.dhcp_options, was, f"{was or 'no set'} is not the declared set"
        )


def _ingress(topology: Topology, observation: Observation) -> Iterator[NetworkChange | str]:
    """Close the bootstrap rule, exactly tcp/22 from everywhere; anything wider is somebody's decision."""
    if topology.ssh != "closed" or topology.security_group is None:
        return
    if not observation.group_seen:
        yield (
            f"security group {topology.security_group} has no rule and is on no interface in {topology.vpc_id}: "
            "it does not exist, or is not the router's"
        )
    for rule in sorted(observation.ingress, key=lambda rule: rule.id):
        if (rule.protocol, rule.from_port, rule.to_port, rule.source) == ("tcp", 22, 22, "0.0.0.0/0"):
            yield RevokeIngress(
                topology.security_group, rule.id, "tcp/22 from 0.0.0.0/0", 'ssh is declared "closed"'
            )
