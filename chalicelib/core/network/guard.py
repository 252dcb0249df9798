"""Decides which changes may be made: each one that is refused has its reason and names the way out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

from chalicelib.core.network.candidates import candidates
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    Change,
    CreateRoute,
    DisableSourceDestCheck,
    PushConfig,
    ReplaceRoute,
    RevokeIngress,
    line,
    resource_key,
)
from chalicelib.core.network.interface import router_interface
from chalicelib.core.network.topology import DEFAULT_ROUTE
from chalicelib.core.once import once

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from chalicelib.core.network.election import Election
    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.plan import Plan
    from chalicelib.core.network.topology import Topology

HOLD_DOWN = timedelta(hours=1)
"""How far back moves are counted."""

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (0, 0, 1, 2, 4, 8, 15))
"""How long to wait after the last leave of an unfit router, by how many there were within `HOLD_DOWN`; the last one holds
for all that follow. Two in a row are a failover and its way back; more is flapping."""

GuardName: TypeAlias = Literal["paused", "blast-radius", "hold-down", "flapping", "foreign"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a change was not made; `forceable` says that an operator may insist."""

    guard: GuardName
    reason: str
    remedy: str
    forceable: bool = True


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the guards made of a plan: the refusal of each change that was refused, by the change's subject."""

    refused: Mapping[str, Refusal] = field(default_factory=dict)

    @property
    def first(self) -> Refusal | None:
        """The refusal to tell first."""
        return next(iter(self.refused.values()), None)

    def allows(self, change: Change) -> bool:
        """Whether a change may be made."""
        return resource_key(change) not in self.refused


def judge(
    topology: Topology,
    observation: Observation,
    history: History,
    election: Election,
    plan: Plan[Change],
    *,
    force: bool = False,
) -> Judgement:
    """Judge every change of a plan; what nothing speaks against is made, whatever is refused beside it.

    `force` overrides the guard that an operator may overrule here: the blast radius.
    """
    if pause := paused(topology, history, observation.taken_at):
        return Judgement({resource_key(change): pause for change in plan.changes})
    if not plan.changes:
        return Judgement()
    refused = _foreign(topology, observation, election, plan.changes)
    if not force:
        refused |= _blast_radius(topology, observation, history, plan.changes)
    return Judgement(refused)


def hold_down(topology: Topology, history: History, election: Election, at: datetime) -> Refusal | None:
    """Return why the router may not be left now, though an election left it.

    A router that does not run is never held on to, an operator's own moves neither count nor wait, and leaving one that
    is unfit is only slowed when it happens again and again.
    """
    if election.cause == "unwanted":
        return _too_many_moves(topology, history, election, at)
    return _flapping(history, election, at) if election.cause == "unfit" else None


def _too_many_moves(topology: Topology, history: History, election: Election, at: datetime) -> Refusal | None:
    recent = [moment for moment in history.moves if moment > at - HOLD_DOWN]
    limit = topology.limits.moves_per_hour
    if len(recent) < limit:
        return None
    again = f"; the next is made at {recent[-limit] + HOLD_DOWN:%H:%M:%S} UTC at the soonest" if limit else ""
    reason = (
        f"{len(recent)} moves off a running router within the hour; limits.moves_per_hour allows {limit} "
        f"({election.previous} still runs, and {election.reason}){again}"
    )
    return Refusal("hold-down", reason, "find out why it moves, then apply with --force, or wait")


def _flapping(history: History, election: Election, at: datetime) -> Refusal | None:
    recent = [moment for moment in history.leaves if moment > at - HOLD_DOWN]
    until = recent[-1] + PAUSES[min(len(recent), len(PAUSES) - 1)] if recent else at
    if until <= at:
        return None
    reason = (
        f"{len(recent)} routers were left as unfit within the hour; the next is left at {until:%H:%M:%S} UTC at the "
        f"soonest ({election.reason})"
    )
    return Refusal("flapping", reason, "find out what ails the candidates, then apply with --force, or wait")


@once
def scope(topology: Topology, observation: Observation) -> str:
    """Return 32 hex digits that stand for what is declared to be pinned, and in which tables it is: what a decision covers."""
    parts = [topology.elastic_ip, topology.dhcp_options or "", topology.internet_gateway]
    for declared in topology.tables:
        tables = ",".join(table.id for table in observation.select(declared.selector))
        destinations = ",".join(topology.pinned(declared))
        parts.append(f"{declared.kind} {tables} {destinations} {','.join(sorted(declared.subnets))}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def paused(topology: Topology, history: History, at: datetime) -> Refusal | None:
    """Return the refusal of everything while a pause is in force, be it declared or ordered."""
    if topology.paused:
        remedy = "declare it again with paused = false"
        return Refusal("paused", "the topology is declared paused", remedy, forceable=False)
    if pause := history.paused(at):
        return Refusal("paused", str(pause), f"mooring resume {topology.name}", forceable=False)
    return None


def _blast_radius(
    topology: Topology,
    observation: Observation,
    history: History,
    changes: Iterable[Change],
) -> dict[str, Refusal]:
    """Refuse to take over more at once than is declared: all of it, and nothing else.

    What was decided for what is declared now is only mended, however much of it drifted; and what a failover or an operator
    moves from the router before is moved, however much that is.
    """
    if history.kept == scope(topology, observation):
        return {}
    before = _left(topology, observation)
    taken = [change for change in changes if _takes_over(change, before)]
    tables = {change.table_id for change in taken if isinstance(change, CreateRoute | ReplaceRoute)}
    limits = topology.limits
    for what, count, limit in (
        ("changes", len(taken), limits.changes),
        ("tables", len(tables), limits.tables),
    ):
        if count > limit:
            reason = f"{count} {what} at once; limits.{what} allows {limit}"
            remedy = f"read the plan, then apply with --force or raise limits.{what}"
            return {resource_key(change): Refusal("blast-radius", reason, remedy) for change in taken}
    return {}


def _left(topology: Topology, observation: Observation) -> set[str | None]:
    """Find where nothing is taken from anybody: candidates, of which one was decided on before, and what leads nowhere."""
    routes = (route for table in observation.tables for route in table.routes)
    dead = (route.target for route in routes if route.state == "blackhole")
    ours = (i for i in observation.instances if topology.preference(i.tags) is not None)
    return {None, *dead, *(interface.id for instance in ours for interface in instance.interfaces)}


def _takes_over(change: Change, before: set[str | None]) -> bool:
    """Whether a change moves packets that no decision has moved so far; `before` is where none of anybody's are."""
    match change:
        case ReplaceRoute() | AssociateAddress():
            return change.was not in before
        case CreateRoute() | AssociateRouteTable() | AssociateDhcpOptions():
            return True
        case DisableSourceDestCheck() | RevokeIngress() | PushConfig():
            return False
        case _:
            assert_never(change)


def _foreign(
    topology: Topology, observation: Observation, election: Election, changes: Iterable[Change]
) -> dict[str, Refusal]:
    """Refuse what touches anything that is not declared: the planner plans none, and nobody trusts one mind alone."""
    tables = {t.id for d in topology.tables for t in observation.select(d.selector) if not t.main}
    found = candidates(topology, observation)
    owned = {c.id for c in found} | {i.id for c in found if (i := router_interface(topology, c))}
    owned |= {election.interface.id} if election.interface else set()
    pinned = {str(DEFAULT_ROUTE), *(d for t in topology.tables for d in topology.pinned(t))}
    remedy = "this is a fault of Mooring's: report it with this plan"
    return {
        resource_key(change): Refusal(
            "foreign", f"{line(change)} touches what {topology.name} does not own", remedy, forceable=False
        )
        for change in changes
        if not _ours(topology, election, change, tables, owned, pinned)
    }


def _ours(
    topology: Topology,
    election: Election,
    change: Change,
    tables: set[str],
    owned: set[str],
    pinned: set[str],
) -> bool:
    """Return whether a change touches only what is declared.

    `owned` are the candidates and their interfaces, `pinned` the declared destinations.
    """
    match change:
        case DisableSourceDestCheck():
            return change.interface_id in owned
        case CreateRoute() | ReplaceRoute():
            targets = {election.interface and election.interface.id, topology.internet_gateway}
            ours = change.table_id in tables and change.target in targets
            return ours and change.destination in pinned
        case AssociateAddress():
            wanted = (topology.elastic_ip, election.interface and election.interface.id)
            return (change.allocation_id, change.interface_id) == wanted
        case AssociateRouteTable():
            return change.table_id in tables and any(change.subnet_id in t.subnets for t in topology.tables)
        case AssociateDhcpOptions():
            return (change.vpc_id, change.options_id) == (topology.vpc_id, topology.dhcp_options)
        case RevokeIngress():
            return change.group_id == topology.security_group and topology.ssh == "closed"
        case PushConfig():
            return change.instance_id in owned
        case _:
            assert_never(change)
