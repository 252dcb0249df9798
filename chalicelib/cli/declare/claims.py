"""Decides whether two declared topologies would fight over something: each thing has one keeper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.declaration import parse
from chalicelib.core.errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.core.network.topology import Topology


def conflicts(topology: Topology, others: dict[str, bytes]) -> tuple[str, ...]:
    """List what a topology claims that another declared one claims already.

    A stored topology that nobody can read keeps nothing, so it claims nothing.
    """
    wanted = list(_claims(topology))
    found = []
    for name, document in others.items():
        try:
            taken = set(_claims(parse(document)))
        except TopologyError:
            continue
        if name != topology.name:
            found += [f"{claim} is kept by {name}" for claim in wanted if claim in taken]
    return tuple(found)


def _claims(topology: Topology) -> Iterator[str]:
    """Name everything that Mooring writes for a topology; tags mean resources of its VPC only."""
    within = f" in {topology.vpc_id}"
    yield f"elastic ip {topology.elastic_ip}"
    for tags in topology.candidates:
        yield f"candidates {tags}{within}"
    if topology.security_group:
        yield f"security group {topology.security_group}"
    if topology.dhcp_options:
        yield f"dhcp options of {topology.vpc_id}"
    for table in topology.tables:
        yield f"route table {table.selector}" + ("" if isinstance(table.selector, str) else within)
        yield from (f"subnet {subnet_id}" for subnet_id in table.subnets)
