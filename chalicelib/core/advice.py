"""Decides what to tell the operator about things that Mooring sees, does not own and never changes."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from chalicelib.core.certificate import RENEW_WITHIN
from chalicelib.core.topology import DEFAULT_ROUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.core.history import History
    from chalicelib.core.machine import Inspection
    from chalicelib.core.observation import Observation, Route
    from chalicelib.core.topology import Table, Topology


TAG = "mooring:topology"
"""What the worker's role asks of everything it writes; any value will do (.chalice/policy-reconcile.json)."""


def advise(topology: Topology, observation: Observation) -> tuple[str, ...]:
    """List what looks wrong outside the declared set, in a fixed order."""
    found = [
        *_main_table(observation),
        *_undeclared_routes(topology, observation),
        *_cidr(topology, observation),
        *_unreachable_instances(topology, observation),
        *_open_ingress(topology, observation),
        *_tight_limits(topology, observation),
        *_untagged(topology, observation),
    ]
    return tuple(sorted(set(found)))


def advise_on_machines(
    topology: Topology, observation: Observation, history: History, router_id: str
) -> tuple[str, ...]:
    """List what the candidates said of themselves, and what is stored for them, that Mooring cannot mend."""
    at = observation.taken_at
    words = {m.instance_id: word for m in history.machines if (word := m.fresh(at))}
    found = list(_tunnel(router_id, words[router_id])) if router_id in words else []
    ends = [(word.expires, f"the certificate on {i}") for i, word in words.items() if word.expires]
    if observation.certificate:
        ends.append((observation.certificate.ends, "the certificate that is stored, or its CA,"))
    for moment, what in ends:
        if moment - at <= RENEW_WITHIN:
            days = (moment - at).days
            when = f"ends in {days} day{'s' * (days > 1)}" if days > 0 else "has ended, or ends today"
            found.append(f"{what} {when}: mooring secrets put {topology.name}")
    return tuple(found)


def _tunnel(router_id: str, word: Inspection) -> Iterator[str]:
    if word.holds_address and word.tunnel != "CONNECTED":
        state = f"OpenVPN says {word.tunnel}" if word.tunnel else "OpenVPN does not run"
        yield f"{router_id} is the router and its tunnel is down: {state}; is the office's server up?"
    if word.tunnel == "CONNECTED" and word.grown == 0:
        yield f"{router_id} is connected, and nothing comes through the tunnel"


def _main_table(observation: Observation) -> Iterator[str]:
    for table in observation.tables:
        extra = [r for r in table.routes if r.target != "local"] if table.main else []
        if extra:
            routes = ", ".join(sorted(f"{r.destination} -> {r.target}" for r in extra))
            yield f"main table {table.id} should hold local routes only, but has {routes}"


def _undeclared_routes(topology: Topology, observation: Observation) -> Iterator[str]:
    declared = {t.id: entry for entry in topology.tables for t in observation.select(entry.selector)}
    for table in observation.tables:
        entry = declared.get(table.id)
        pinned = _pinned(topology, entry) if entry else frozenset()
        for route in table.routes:
            if route.destination in pinned and route.origin == "CreateRoute":
                continue
            if route.state == "blackhole":
                yield f"route {table.id} {route.destination} -> {route.target} is a blackhole"
            if entry and (shadowed := _shadowed(topology, pinned, route)):
                yield f"route {table.id} {route.destination} -> {route.target} takes traffic meant for {shadowed}"


def _pinned(topology: Topology, entry: Table) -> frozenset[str]:
    default = {str(DEFAULT_ROUTE)} if entry.kind == "public" else set()
    return frozenset(default | {str(d) for d in topology.router_destinations(entry)})


def _shadowed(topology: Topology, pinned: frozenset[str], route: Route) -> str | None:
    """Find the office or VPN client network that an undeclared route takes traffic from: the longest prefix wins."""
    network = _ipv4(route.destination)
    if network is None or network == DEFAULT_ROUTE or route.target == "local":
        return None
    for remote in topology.remote_networks:
        covered = str(remote) in pinned
        wins = network.subnet_of(remote) and network != remote if covered else network.overlaps(remote)
        if wins:
            return str(remote)
    return None


def _cidr(topology: Topology, observation: Observation) -> Iterator[str]:
    local = {r.destination for t in observation.tables for r in t.routes if r.target == "local"}
    if local and str(topology.cidr) not in local:
        seen = ", ".join(sorted(local))
        yield f"vpc {topology.vpc_id} has {seen}, not the declared {topology.cidr}"


def _unreachable_instances(topology: Topology, observation: Observation) -> Iterator[str]:
    for instance in observation.instances:
        subnets = {i.subnet_id for i in instance.interfaces[:1]}
        public = subnets & topology.public_subnets.keys()
        if instance.state == "running" and public and instance.public_address is None:
            yield f"{instance.id} sits in a public subnet without a public address: it has no internet"


def _open_ingress(topology: Topology, observation: Observation) -> Iterator[str]:
    for rule in observation.ingress:
        bootstrap = (rule.protocol, rule.from_port, rule.to_port) == ("tcp", 22, 22)
        ssh = rule.protocol == "-1" or (rule.protocol == "tcp" and rule.from_port <= 22 <= rule.to_port)
        if topology.ssh == "closed" and rule.source in ("0.0.0.0/0", "::/0") and ssh:
            if bootstrap and rule.source == "0.0.0.0/0":
                continue
            yield f"security group rule {rule.id} opens ssh to {rule.source} by a rule wider than the bootstrap one"


def _tight_limits(topology: Topology, observation: Observation) -> Iterator[str]:
    """Tell of a limit that would refuse a failover while there is still time to raise it."""
    selected = [(t, len(observation.select(t.selector))) for t in topology.tables]
    changes = 2 + sum(count * len(topology.router_destinations(t)) for t, count in selected)
    tables = sum(count for _, count in selected)
    limits = topology.limits
    for what, need, limit in (("changes", changes, limits.changes), ("tables", tables, limits.tables)):
        if need > limit:
            yield f"limits.{what} is {limit}, but a failover needs {need}: it would be refused"


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
    """Give the command that lets the deployed worker write these resources for a topology, or command these instances."""
    return f"aws ec2 create-tags --resources {' '.join(resource_ids)} --tags Key={tag},Value={name}"


def _ipv4(destination: str) -> IPv4Network | None:
    return IPv4Network(destination) if "." in destination else None
