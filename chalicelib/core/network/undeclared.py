"""Decides which subnets ride on declared tables without being declared, and what becomes of their packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core.toml_reader import as_network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network

    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.topology import Table, Topology


@dataclass(frozen=True, slots=True)
class UndeclaredSubnet:
    """A subnet that is associated with a declared table and that no declaration names; `cidr` is None when it was not seen."""

    subnet_id: str
    cidr: IPv4Network | None
    table_id: str
    entry: Table

    def __str__(self) -> str:
        """The subnet with its CIDR, and the table it rides on."""
        cidr = f" ({self.cidr})" if self.cidr else ""
        return (
            f"{self.subnet_id}{cidr} rides on {self.entry.kind} table {self.table_id} without being declared"
        )


def refused(topology: Topology, observation: Observation) -> list[UndeclaredSubnet]:
    """List those on private tables that the router has no rule for: the routes lead to it, and it refuses them."""
    riders = list(_riders(topology, observation, "private"))
    carried = topology.private_networks if riders else ()
    return [rider for rider in riders if not _within(rider.cidr, carried)]


def unanswered(topology: Topology, observation: Observation) -> list[UndeclaredSubnet]:
    """List those on public tables that the office routes nothing to: what they ask there is never answered."""
    riders = list(_riders(topology, observation, "public"))
    routed = topology.vpc_networks if riders else ()
    return [rider for rider in riders if not _within(rider.cidr, routed)]


def remedy(topology: Topology, observation: Observation, rider: UndeclaredSubnet) -> str:
    """Return what to declare, so that a subnet is carried."""
    listed = f"list it under the subnets of {rider.entry.selector}"
    follow = ", or declare follow = true there" if rider.entry.kind == "private" else ""
    if rider.cidr is None or _within(rider.cidr, topology.cidrs):
        return listed + follow
    home = next((r for r in own_ranges(observation) if rider.cidr.subnet_of(r)), rider.cidr)
    return f"declare {home} in vpc.secondary_cidrs, and {listed}{follow}"


def own_ranges(observation: Observation) -> list[IPv4Network]:
    """List the VPC's own IPv4 ranges, as its tables' `local` routes show them."""
    local = {r.destination for t in observation.tables for r in t.routes if r.target == "local"}
    return sorted(network for network in map(as_network, local) if network)


def _riders(topology: Topology, observation: Observation, kind: str) -> Iterator[UndeclaredSubnet]:
    """Walk them in order; one that was not seen among the subnets read has no IPv4 range, and so no such packets."""
    declared = topology.subnets
    seen = None if observation.subnets is None else observation.ranges
    for entry in topology.tables:
        for table in observation.select(entry.selector) if entry.kind == kind else ():
            for subnet_id in sorted(table.associations.keys() - declared.keys()):
                if seen is None or subnet_id in seen:
                    yield UndeclaredSubnet(
                        subnet_id, as_network(seen[subnet_id]) if seen else None, table.id, entry
                    )


def _within(cidr: IPv4Network | None, networks: tuple[IPv4Network, ...]) -> bool:
    return cidr is not None and any(cidr.subnet_of(network) for network in networks)
