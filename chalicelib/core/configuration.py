"""Decides which configuration a candidate should have, and whether it is known to have it and to work."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from chalicelib.core.router import Box, render

if TYPE_CHECKING:
    from chalicelib.core.observation import History, Interface, Observation
    from chalicelib.core.router import Bundle
    from chalicelib.core.topology import Topology


def pinned_address(topology: Topology, interface: Interface) -> str:
    """Give the private address that the Elastic IP belongs on, and NAT leaves from."""
    return str(topology.private_address or interface.addresses[0])


def wanted(topology: Topology, observation: Observation, interface: Interface) -> Bundle | None:
    """Give the configuration that the machine of an interface should have; None when none is declared, or none can be known."""
    elastic_ip = observation.elastic_ip(topology.elastic_ip)
    if topology.tunnel is None or elastic_ip is None:
        return None
    address = IPv4Address(pinned_address(topology, interface))
    return render(topology, Box(address, IPv4Address(elastic_ip.public_address)))


def ready(
    topology: Topology, observation: Observation, history: History, instance_id: str, interface: Interface
) -> bool:
    """Say whether a machine has said of late that it is configured as declared; so it is where nothing is declared."""
    if topology.tunnel is None:
        return True
    word = history.machine(instance_id).fresh(observation.taken_at)
    bundle = wanted(topology, observation, interface)
    agent = (observation.agents or {}).get(instance_id)
    online = observation.agents is None or (agent is not None and agent.online)
    return bool(word and bundle and online and word.digest == bundle.digest and not word.drift)


def forwards(topology: Topology, observation: Observation, history: History, instance_id: str) -> bool | None:
    """Say whether a machine has said of late that it forwards; None when nobody knows."""
    word = history.machine(instance_id).fresh(observation.taken_at)
    return None if topology.tunnel is None or word is None or word.digest is None else word.forwarding
