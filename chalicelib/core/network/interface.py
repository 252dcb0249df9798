"""Which of an instance's interfaces is pinned, and which of its addresses."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Instance, Interface
    from chalicelib.core.network.topology import Topology


def router_interface(topology: Topology, instance: Instance) -> Interface | None:
    """Find the interface to pin: the one with the declared private address, else the primary."""
    wanted = topology.router_address
    for interface in instance.interfaces:
        if wanted is None or wanted in interface.addresses:
            return interface
    return None


def pinned_address(topology: Topology, interface: Interface) -> IPv4Address:
    """Return the private address that the Elastic IP belongs on, and that NAT leaves from."""
    return topology.private_address or address_of(interface.addresses[0])


def pinned_on(topology: Topology, interface: Interface) -> str:
    """Return the same address as it is written."""
    return topology.router_address or _written(interface.addresses[0])


@lru_cache(maxsize=256)
def _written(text: str) -> str:
    return str(address_of(text))


@lru_cache(maxsize=256)
def address_of(text: str) -> IPv4Address:
    """Read an address as AWS lists it: a look asks for the same few many times."""
    return IPv4Address(text)
