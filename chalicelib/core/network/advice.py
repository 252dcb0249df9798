"""Decides what to tell the operator about things that Mooring sees, does not own and never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.network.candidates import chosen
from chalicelib.core.network.limits import failover_needs
from chalicelib.core.network.problems import is_ours
from chalicelib.core.network.topology import DEFAULT_ROUTE
from chalicelib.core.network.undeclared import own_ranges, refused, remedy, unanswered
from chalicelib.core.once import once
from chalicelib.core.toml_reader import as_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.core.network.observation import Observation, Route, RouteTable, ScheduledEvent
    from chalicelib.core.network.topology import Table, Topology


TAG = "mooring:topology"
"""What the worker's role asks of everything it writes; any value will do (.chalice/policy-reconcile.json)."""


def advise(topology: Topology, observation: Observation) -> tuple[str, ...]:
    """List what looks wrong outside the declared set, in a fixed order."""
    found = [
        *_main_table(observation),
        *_undeclared_routes(topology, observation),
        *_prefix_lists(topology, observation),
        *_ranges(topology, observation),
        *_riders(topology, observation),
        *_associations(topology, observation),
        *_scheduled(topology, observation),
        *_left_out(topology, observation),
        *_unreachable_instances(topology, observation),
        *_open_ingress(topology, observation),
        *_tight_limits(topology, observation),
        *_untagged(topology, observation),
    ]
    return tuple(sorted(set(found)))


def advise_on_declaration(topology: Topology, observation: Observation) -> tuple[str, ...]:
    """List, of all that, what a declaration says otherwise than the network is, or leaves out of it: ranges and subnets."""
    return tuple(sorted({*_ranges(topology, observation), *_riders(topology, observation)}))


def _main_table(observation: Observation) -> Iterator[str]:
    for table in observation.tables:
        extra = [r for r in table.routes if r.target != "local"] if table.main else []
        if extra:
            routes = ", ".join(sorted(f"{r.destination} -> {r.target}" for r in extra))
            yield f"main table {table.id} should hold local routes only, but has {routes}"


def _undeclared_routes(topology: Topology, observation: Observation) -> Iterator[str]:
    declared = _declared(topology, observation)
    for table in observation.tables:
        entry = declared.get(table.id)
        pinned = topology.kept(entry) if entry else frozenset()
        for route in table.routes:
            if route.destination in pinned and route.origin == "CreateRoute":
                continue
            if route.state == "blackhole":
                yield f"route {table.id} {route.destination} -> {route.target} is a blackhole"
            if entry is None or route.target == "local":
                continue
            if shadowed := ", ".join(_shadowed(topology, pinned, route)):
                yield f"route {table.id} {route.destination} -> {route.target} takes traffic meant for {shadowed}"


@once
def _declared(topology: Topology, observation: Observation) -> dict[str, Table]:
    """Return each table that a declaration selects, by id, with the declaration."""
    return {t.id: entry for entry in topology.tables for t in observation.select(entry.selector)}


def _shadowed(topology: Topology, pinned: frozenset[str], route: Route) -> Iterator[str]:
    """Find the office and VPN client networks that an undeclared route takes traffic from: the longest prefix wins."""
    network = as_network(route.destination)
    if network is None or network == DEFAULT_ROUTE:
        return
    for remote in topology.remote_networks:
        covered = str(remote) in pinned
        wins = network.subnet_of(remote) and network != remote if covered else network.overlaps(remote)
        if wins:
            yield str(remote)


def _prefix_lists(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell of routes by prefix list that lead elsewhere than the pinned ones: a look does not see what the list holds.

    Those to a gateway endpoint are left out: their lists hold AWS's own public addresses.
    """
    declared = _declared(topology, observation)
    for table in observation.tables:
        lists = [route for route in table.routes if route.destination.startswith("pl-")]
        if not lists or table.id not in declared:
            continue
        targets = _pinned_targets(topology, table, declared[table.id])
        for route in lists:
            if route.target not in targets and not route.target.startswith("vpce-"):
                yield (
                    f"route {table.id} {route.destination} -> {route.target} may take traffic meant for the office: "
                    "what that prefix list holds is unknown, and its more specific ranges win"
                )


def _pinned_targets(topology: Topology, table: RouteTable, entry: Table) -> set[str]:
    found = map(table.static, topology.pinned(entry))
    return {route.target for route in found if route}


def _ranges(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell of ranges that are declared otherwise than the VPC has them, and of office networks that lie in its own."""
    local = own_ranges(observation)
    missing = [str(cidr) for cidr in topology.cidrs if local and cidr not in local]
    if missing:
        has = ", ".join(map(str, local))
        yield f"vpc {topology.vpc_id} has {has}, not the declared {', '.join(missing)}"
    for own in (own for own in local if own not in topology.cidrs):
        for remote in topology.remote_networks:
            if own.overlaps(remote):
                part = "it" if remote.subnet_of(own) else "that part of it"
                yield f"{remote} overlaps {own}, a range of the VPC's own: what is meant for {part} never leaves the VPC"


def _riders(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell of subnets nobody declared, where they ride on declared tables and nothing refuses them."""
    if topology.tunnel is None:
        for rider in refused(topology, observation):
            yield f"{rider}: whether the router forwards for it is not Mooring's to say"
        return
    for rider in unanswered(topology, observation):
        yield f"{rider}: the office has no way back to it; {remedy(topology, observation, rider)}"


def _associations(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell of other subnets' associations with declared tables that are in force no more, or not yet."""
    declared = _declared(topology, observation)
    unsettled = [table for table in observation.tables if table.unsettled and table.id in declared]
    settled = {subnet for table in observation.tables for subnet in table.associations} if unsettled else ()
    for table in unsettled:
        for subnet, state in table.unsettled.items():
            if subnet not in settled and subnet not in topology.subnets:
                yield f"the association of {subnet} with {table.id} is {state}"


_MEANS = {
    "instance-retirement": "AWS stops or terminates it then",
    "instance-stop": "AWS stops it then",
    "instance-reboot": "it is away while it reboots",
    "system-reboot": "it is away while its host reboots",
    "system-maintenance": "it may lose its network or its power for a while",
}
"""Of each code of DescribeInstanceStatus, what it means for a router."""


def _scheduled(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell what AWS has scheduled for a candidate, while there is time to replace it."""
    ours = chosen(topology, observation)
    for instance in (i for i in observation.instances if i.events and i.id in ours):
        for event in instance.events:
            means = _MEANS.get(event.code, "it may be away then")
            yield f"{instance.id} has {_when(event)}: {means}; replace it before"


def _when(event: ScheduledEvent) -> str:
    begins = f" from {event.not_before:%Y-%m-%d %H:%M} UTC" if event.not_before else ""
    return f"{event.code} scheduled{begins}"


def _left_out(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell of what was listed, could not be understood, and is not declared."""
    for skipped in observation.skipped:
        if not is_ours(topology, skipped):
            yield f"{skipped} was left out: {skipped.why}"


def _unreachable_instances(topology: Topology, observation: Observation) -> Iterator[str]:
    for instance in observation.instances:
        if instance.state != "running" or instance.public_address is not None or not instance.interfaces:
            continue
        if instance.interfaces[0].subnet_id in topology.public_subnets:
            yield f"{instance.id} sits in a public subnet without a public address: it has no internet"


def _open_ingress(topology: Topology, observation: Observation) -> Iterator[str]:
    for rule in observation.ingress:
        ssh = rule.protocol == "-1" or (rule.protocol == "tcp" and rule.from_port <= 22 <= rule.to_port)
        if topology.ssh == "closed" and rule.source in ("0.0.0.0/0", "::/0") and ssh:
            if rule.bootstrap:
                continue
            yield f"security group rule {rule.id} opens ssh to {rule.source} by a rule wider than the bootstrap one"


def _tight_limits(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell of a limit that is below what a failover changes while there is still time to raise it."""
    limits = {"changes": topology.limits.changes, "tables": topology.limits.tables}
    for what, need in failover_needs(topology, observation).items():
        if need > limits[what]:
            yield f"limits.{what} is {limits[what]}, but a failover needs {need}: declare at least that"


def _untagged(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell of what the deployed worker may not write: its role goes by a tag.

    Only of tables and the Elastic IP: a look sees no tags of subnets, interfaces and groups.
    """
    tables = {t.id: t.tags for d in topology.tables for t in observation.select(d.selector) if not t.main}
    address = observation.elastic_ip(topology.elastic_ip)
    tags = tables | ({address.allocation_id: address.tags} if address else {})
    if bare := sorted(resource_id for resource_id in tags if TAG not in tags[resource_id]):
        yield (
            f"the deployed worker may not write what lacks the tag {TAG}: {create_tags(bare, topology.name)}"
        )


def create_tags(resource_ids: Iterable[str], name: str, tag: str = TAG) -> str:
    """Return the command that lets the deployed worker write these resources for a topology, or command these instances."""
    return f"aws ec2 create-tags --resources {' '.join(resource_ids)} --tags Key={tag},Value={name}"
