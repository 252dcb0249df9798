"""Says which instances may be the router, what speaks against each, and in which order they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.network.interface import pinned_on, router_interface
from chalicelib.core.once import once

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from chalicelib.core.network.observation import Instance, Interface, Observation
    from chalicelib.core.network.topology import Topology


def candidates(
    topology: Topology, observation: Observation, unready: Collection[str] = ()
) -> Sequence[Instance]:
    """List the instances that may be elected when eligible, the best first.

    By declared order; then without a risk that AWS told of, configured and online (`unready` names those that are not),
    prepared (the source/dest check is off already), oldest launch, id.
    """
    return _ranked(topology, observation, unready) if unready else _as_seen(topology, observation)


@once
def _as_seen(topology: Topology, observation: Observation) -> Sequence[Instance]:
    return _ranked(topology, observation, ())


def _ranked(topology: Topology, observation: Observation, unready: Collection[str]) -> Sequence[Instance]:
    def rank(instance: Instance) -> tuple[int, bool, bool, bool, datetime, str]:
        interface = router_interface(topology, instance)
        unprepared = interface is None or interface.source_dest_check
        late, unsure = instance.id in unready, instance.risk is not None
        return places[instance.id], unsure, late, unprepared, instance.launched_at, instance.id

    places = chosen(topology, observation)
    return tuple(sorted([i for i in observation.instances if i.id in places], key=rank))


@once
def chosen(topology: Topology, observation: Observation) -> dict[str, int]:
    """Return the instances that are declared as candidates, by id, each with the place of its selector."""
    places = ((i.id, topology.preference(i.tags)) for i in observation.instances)
    return {instance_id: place for instance_id, place in places if place is not None}


def ineligible(topology: Topology, observation: Observation, instance: Instance) -> str | None:
    """Return why a candidate may not be the router, or None when it may.

    An operator may overrule a notice, and none of the rest.
    """
    return unable(topology, observation, instance) or _unlisted(instance) or noticed(instance)


def _unlisted(instance: Instance) -> str | None:
    """Name a running instance that EC2's other listing does not have: one of them is old, and which is unknown."""
    return f"{instance.id} is running in one of EC2's listings alone" if instance.listed is False else None


def unable(topology: Topology, observation: Observation, instance: Instance) -> str | None:
    """Return why an instance cannot carry: it does not run, fails its checks, or cannot hold every pin."""
    if instance.state != "running":
        return f"{instance.id} is {instance.state}"
    if instance.checks == "impaired":
        return f"{instance.id} fails its status checks"
    return misplaced(topology, observation, instance)


def misplaced(topology: Topology, observation: Observation, instance: Instance) -> str | None:
    """Return why a running instance cannot hold every pin, however healthy it is."""
    if topology.preference(instance.tags) is None:
        return f"{instance.id} is no candidate any more"
    interface = router_interface(topology, instance)
    if interface is None:
        return f"{instance.id} does not hold {topology.private_address or 'a network interface'}"
    if interface.subnet_id not in topology.public_subnets:
        return f"{instance.id} sits in {interface.subnet_id}, no declared public subnet"
    if not interface.addresses:
        return f"{instance.id} has no IPv4 address on {interface.id}"
    if squatter := squatter_on(topology, observation, interface):
        return f"{instance.id} holds the elastic ip {squatter}, which is not declared"
    return None


def noticed(instance: Instance) -> str | None:
    """Return why AWS is about to take an instance, or None."""
    return f"{instance.id} {instance.notice}" if instance.notice else None


def squatter_on(topology: Topology, observation: Observation, interface: Interface) -> str | None:
    """Find somebody else's Elastic IP where the declared one belongs: associating ours would throw it off."""
    for elastic_ip in observation.elastic_ips:
        if elastic_ip.interface_id != interface.id or elastic_ip.allocation_id == topology.elastic_ip:
            continue
        if elastic_ip.private_address == pinned_on(topology, interface):
            return f"{elastic_ip.allocation_id} ({elastic_ip.public_address})"
    return None


@once
def follows(topology: Topology, observation: Observation) -> dict[str, int]:
    """Count the pins that lead to each interface: the routes through the router, and the Elastic IP; "" for those missing."""
    held: dict[str, int] = {}
    for declared in topology.tables:
        destinations = topology.pinned(declared)
        for table in observation.select(declared.selector):
            for destination in destinations:
                route = table.static(destination)
                target = route.target if route else ""
                held[target] = held.get(target, 0) + 1
    elastic_ip = observation.elastic_ip(topology.elastic_ip)
    where = (elastic_ip and elastic_ip.interface_id) or ""
    held[where] = held.get(where, 0) + 1
    return held
