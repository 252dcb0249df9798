"""Decides whether a plan may be carried out; a refusal says why and names the way out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Literal, assert_never

from chalicelib.core.change import (
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
)
from chalicelib.core.configuration import router_interface
from chalicelib.core.election import candidates
from chalicelib.core.topology import DEFAULT_ROUTE

if TYPE_CHECKING:
    from chalicelib.core.election import Election
    from chalicelib.core.observation import History, Observation
    from chalicelib.core.plan import Plan
    from chalicelib.core.topology import Topology

HOLD_DOWN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a plan was not carried out; `forceable` says that an operator may insist."""

    guard: Literal["paused", "blast-radius", "hold-down", "foreign"]
    reason: str
    way_out: str
    forceable: bool = True


def judge(
    topology: Topology,
    observation: Observation,
    history: History,
    election: Election,
    plan: Plan[Change],
    *,
    force: bool = False,
) -> Refusal | None:
    """Find the first guard that refuses a plan; an empty plan is refused by none.

    `force` overrides the guards an operator may overrule: blast radius and hold-down.
    """
    if not plan.changes:
        return None
    refusals = (
        _foreign(topology, observation, election, plan),
        _paused(topology, observation, history),
        _blast_radius(topology, plan),
        _hold_down(topology, observation, history, election),
    )
    return next((r for r in refusals if r and not (force and r.forceable)), None)


def _paused(topology: Topology, observation: Observation, history: History) -> Refusal | None:
    if topology.paused:
        way_out = "declare it again with paused = false"
        return Refusal("paused", "the topology is declared paused", way_out, forceable=False)
    if pause := history.paused(observation.taken_at):
        return Refusal("paused", str(pause), f"mooring resume {topology.name}", forceable=False)
    return None


def _blast_radius(topology: Topology, plan: Plan[Change]) -> Refusal | None:
    limits = topology.limits
    for what, count, limit in (
        ("changes", sum(not isinstance(c, PushConfig) for c in plan.changes), limits.changes),
        ("tables", len(plan.tables), limits.tables),
    ):
        if count > limit:
            reason = f"{count} {what} at once; limits.{what} allows {limit}"
            return Refusal(
                "blast-radius", reason, f"read the plan, then apply with --force or raise limits.{what}"
            )
    return None


def _hold_down(
    topology: Topology, observation: Observation, history: History, election: Election
) -> Refusal | None:
    if not election.counted:
        return None
    recent = [at for at in history.moves if at > observation.taken_at - HOLD_DOWN]
    limit = topology.limits.moves_per_hour
    if len(recent) < limit:
        return None
    reason = (
        f"{len(recent)} moves off a running router within the hour; limits.moves_per_hour allows {limit} "
        f"({election.previous} still runs)"
    )
    return Refusal("hold-down", reason, "find out why it moves, then apply with --force, or wait")


def _foreign(
    topology: Topology, observation: Observation, election: Election, plan: Plan[Change]
) -> Refusal | None:
    """Refuse a plan that touches what is not declared: the planner makes none, and nobody trusts one mind alone."""
    tables = {t.id for d in topology.tables for t in observation.select(d.selector) if not t.main}
    found = candidates(topology, observation)
    owned = {c.id for c in found} | {i.id for c in found if (i := router_interface(topology, c))}
    foreign = [line(c) for c in plan.changes if not _ours(topology, election, c, tables, owned)]
    if not foreign:
        return None
    reason = f"{len(foreign)} changes touch what {topology.name} does not own: {'; '.join(foreign)}"
    return Refusal(
        "foreign", reason, "this is a fault of Mooring's: report it with this plan", forceable=False
    )


def _ours(topology: Topology, election: Election, change: Change, tables: set[str], owned: set[str]) -> bool:
    """Say whether a change touches only what is declared; `owned` are the candidates and their interfaces."""
    match change:
        case DisableSourceDestCheck():
            return change.interface_id in owned
        case CreateRoute() | ReplaceRoute():
            declared = {d for t in topology.tables for d in topology.router_destinations(t)} | {DEFAULT_ROUTE}
            targets = {election.interface.id, topology.internet_gateway}
            ours = change.table_id in tables and change.target in targets
            return ours and IPv4Network(change.destination) in declared
        case AssociateAddress():
            wanted = (topology.elastic_ip, election.interface.id)
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
