"""Decides how much one run must be allowed to do, so that no limit refuses a takeover or a failover of the network seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.network.interface import router_interface
from chalicelib.core.network.topology import DEFAULT_ROUTE

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Observation, RouteTable
    from chalicelib.core.network.topology import Table, Topology


def failover_needs(topology: Topology, observation: Observation | None = None) -> dict[str, int]:
    """Count what moves with the router, by the limit it is held against: every pinned route, the Elastic IP, one check.

    Without an observation each declaration counts as one table, which is the least it can be.
    """
    counted = [(entry, len(_tables(observation, entry)) if observation else 1) for entry in topology.tables]
    return {
        "changes": 2 + sum(count * len(topology.router_destinations(entry)) for entry, count in counted),
        "tables": sum(count for _, count in counted),
    }


def takeover_needs(topology: Topology, observation: Observation) -> dict[str, int]:
    """Count what a run may have to change at once in the network seen, when the router moves and all else is put right."""
    needs = failover_needs(topology, observation)
    needs["changes"] += (
        sum(_defaults_to_mend(topology, t) for e in topology.tables for t in _public(observation, e))
        + sum(_subnets_to_move(observation, entry) for entry in topology.tables)
        + _checks_to_switch_off(topology, observation)
        + (topology.dhcp_options not in (None, observation.dhcp_options))
        + _rules_to_revoke(topology, observation)
    )
    return needs


def _tables(observation: Observation, entry: Table) -> list[RouteTable]:
    """Return the tables that a declaration may write: never the main one."""
    return [table for table in observation.select(entry.selector) if not table.main]


def _public(observation: Observation, entry: Table) -> list[RouteTable]:
    return _tables(observation, entry) if entry.kind == "public" else []


def _defaults_to_mend(topology: Topology, table: RouteTable) -> bool:
    default = table.static(str(DEFAULT_ROUTE))
    return default is None or default.target != topology.internet_gateway


def _subnets_to_move(observation: Observation, entry: Table) -> int:
    tables = _tables(observation, entry)
    return sum(s not in tables[0].associations for s in entry.subnets) if len(tables) == 1 else 0


def _checks_to_switch_off(topology: Topology, observation: Observation) -> int:
    """Count the candidates whose check is on, less the one that a failover counts anyway."""
    found = (i for i in observation.instances if topology.preference(i.tags) is not None)
    pinned = (router_interface(topology, instance) for instance in found)
    return max(0, sum(interface is not None and interface.source_dest_check for interface in pinned) - 1)


def _rules_to_revoke(topology: Topology, observation: Observation) -> int:
    """Count the bootstrap rules, where ssh is declared closed."""
    return sum(rule.bootstrap for rule in observation.ingress) if topology.ssh == "closed" else 0
