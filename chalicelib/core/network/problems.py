"""Decides what is wrong with a declared network that no change of Mooring's mends, and what a person can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.network.candidates import chosen
from chalicelib.core.network.interface import pinned_on, router_interface
from chalicelib.core.network.topology import Tags
from chalicelib.core.network.undeclared import refused, remedy
from chalicelib.core.once import once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.core.network.observation import Instance, Observation, Skipped
    from chalicelib.core.network.topology import Topology

UNREAD = {
    "ec2:DescribeInstanceStatus": (
        "status checks",
        "whether AWS calls a candidate impaired, or has scheduled anything for it, is unknown",
    ),
    "ec2:DescribeSecurityGroupRules": (
        "the security group's rules",
        "whether the bootstrap rule is gone was not looked at",
    ),
    "ec2:DescribeSubnets": (
        "subnets",
        "whether the declared ones are there, and which ranges others on declared tables have, was not looked at",
    ),
    "ec2:DescribeVpcs": (
        "the VPC",
        "whether it has the declared set of DHCP options was not looked at",
    ),
}
"""By the calls that may stand in `Observation.unread`: what could not be read, and what is not known then."""


_PREFIXES = {"instance": "i", "route-table": "rtb", "security-group-rule": "sgr"}
"""By the kinds of what may lack its id."""


def find_problems(topology: Topology, observation: Observation) -> tuple[str, ...]:
    """List what is declared and cannot be kept or relied on, in a fixed order, each once and with what to do."""
    found = [
        *_unread(observation),
        *_not_understood(topology, observation),
        *_subnets(topology, observation),
        *_unsettled(topology, observation),
        *_riders(topology, observation),
        *_candidates(topology, observation),
        *_held_elsewhere(topology, observation),
    ]
    return tuple(dict.fromkeys(found))


@once
def absent_subnets(topology: Topology, observation: Observation) -> frozenset[str]:
    """Return the declared subnets that are not in this VPC, and so cannot be associated; none when subnets were not read."""
    if observation.subnets is None:
        return frozenset()
    there = observation.ranges.keys() | {s.id for s in observation.skipped}
    return frozenset(topology.subnets.keys() - there)


def is_ours(topology: Topology, skipped: Skipped) -> bool:
    """Return whether something that could not be understood is declared: by its id, or by the tags of a table or a candidate.

    Of rules only those of the declared security group are read.
    """
    prefix = _prefix(skipped)
    named = {
        topology.elastic_ip,
        topology.internet_gateway,
        topology.security_group,
        topology.dhcp_options,
        topology.vpc_id,
        *topology.subnets,
        *(t.selector for t in topology.tables if isinstance(t.selector, str)),
    }
    selectors = {
        "rtb": [t.selector for t in topology.tables if isinstance(t.selector, Tags)],
        "i": list(topology.candidates),
    }
    chosen = selectors.get(prefix, [])
    return prefix == "sgr" or skipped.id in named or any(tags.match(skipped.tags) for tags in chosen)


def _prefix(skipped: Skipped) -> str:
    """Return what its id begins with, or would begin with if it had one."""
    return skipped.id.partition("-")[0] or _PREFIXES.get(skipped.kind, "")


def _unread(observation: Observation) -> Iterator[str]:
    for call, why in sorted(observation.unread.items()):
        what, unknown = UNREAD.get(call, ("a part of the look", "what it would show is unknown"))
        yield f"{what} could not be read ({call}: {why}): {unknown}"


def _not_understood(topology: Topology, observation: Observation) -> Iterator[str]:
    for skipped in observation.skipped:
        if is_ours(topology, skipped):
            yield f"{skipped} is declared and cannot be understood: {skipped.why}; it is left alone"


def _subnets(topology: Topology, observation: Observation) -> Iterator[str]:
    absent = absent_subnets(topology, observation)
    seen = observation.ranges
    for entry in topology.tables:
        for subnet_id, cidr in entry.subnets.items():
            if subnet_id in absent:
                yield (
                    f"{subnet_id} is not in this VPC, but declared under {entry.kind} table {entry.selector}; "
                    "declare the network without it, or with what took its place"
                )
            elif seen.get(subnet_id, str(cidr)) != str(cidr):
                yield (
                    f"{subnet_id} is {seen[subnet_id]}, not the declared {cidr}, which is what router and office carry; "
                    f"declare it as {seen[subnet_id]}"
                )


def _unsettled(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell of declared subnets whose association is in force no more, or not yet, and that have no other."""
    unsettled = [table for table in observation.tables if table.unsettled]
    settled = {s for table in observation.tables for s in table.associations} if unsettled else set()
    for table in unsettled:
        for subnet_id, state in sorted(table.unsettled.items()):
            if subnet_id in topology.subnets and subnet_id not in settled:
                yield (
                    f"the association of {subnet_id} with {table.id} is {state}: "
                    "while it is, the subnet follows the main table"
                )


def _riders(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell of subnets that the routes lead to a router which refuses them; without a tunnel its rules are not ours."""
    for rider in refused(topology, observation) if topology.tunnel else ():
        yield (
            f"{rider}: the router refuses its packets (MOORING-REFUSED); {remedy(topology, observation, rider)}"
        )


def _candidates(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell of candidates that could not take over, before one of them must; those that come or go are left out."""
    there = ("running", "stopped")
    ours = chosen(topology, observation)
    found = [i for i in observation.instances if i.state in there and i.id in ours]
    for instance in sorted(found, key=lambda i: i.id):
        if why := _useless(topology, observation, instance):
            yield f"{instance.id} could not take over: {why}"


def _useless(topology: Topology, observation: Observation, instance: Instance) -> str | None:
    interface = router_interface(topology, instance)
    if interface is None:
        if topology.private_address:
            return f"it does not hold {topology.private_address}; attach the interface that does, or remove its tag"
        return "it has no network interface; launch it anew"
    if interface.subnet_id not in topology.public_subnets:
        return (
            f"{interface.id} sits in {interface.subnet_id}, no declared public subnet; "
            "declare that one in a [[public]], or launch the instance in one that is"
        )
    if not interface.addresses:
        return (
            f"{interface.id} has no IPv4 address, which the Elastic IP needs; assign one, or launch it anew"
        )
    address = pinned_on(topology, interface)
    for other in observation.elastic_ips:
        if other.interface_id != interface.id or other.private_address != address:
            continue
        if other.allocation_id != topology.elastic_ip:
            return (
                f"elastic ip {other.allocation_id} ({other.public_address}), which is not declared, "
                f"sits on {interface.id} {address}; disassociate it so that the declared one can come"
            )
    return None


def _held_elsewhere(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell when the declared Elastic IP sits where EC2 may not give it up.

    An interface that routes lead to is no NAT gateway's: AWS routes to those by their own id. It is a dead router's.
    """
    elastic_ip = observation.elastic_ip(topology.elastic_ip)
    if elastic_ip is None or elastic_ip.interface_id is None:
        return
    holder = elastic_ip.interface_id
    if observation.owner_of(holder):
        return
    routed = any(route.target == holder for table in observation.tables for route in table.routes)
    unclear = any(_prefix(skipped) == "i" for skipped in observation.skipped)
    if not routed and not unclear:
        yield (
            f"elastic ip {elastic_ip.allocation_id} ({elastic_ip.public_address}) sits on {holder}, which belongs to no "
            f"instance in {topology.vpc_id}; if that is a NAT gateway's or a load balancer's, EC2 gives it up only when "
            "that is deleted (AuthFailure)"
        )
