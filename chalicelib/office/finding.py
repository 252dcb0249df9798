"""What is found in a backup, and the questions that every judgement of it asks."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import collapse_addresses
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Network

    from chalicelib.core.topology import Topology, Tunnel
    from chalicelib.office.backup import Backup, Entry

Kind = Literal["missing", "wrong", "shadowed", "weak"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be: what, where in pfSense's pages, and what to enter there."""

    kind: Kind
    what: str
    page: str
    mend: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a backup."""

    topology: Topology
    tunnel: Tunnel
    backup: Backup


def spoken(tunnel: Tunnel) -> tuple[str, str]:
    """Give the protocols of pfSense that answer the router's; without a number it listens on IPv4 and IPv6."""
    return ("UDP4", "UDP") if tunnel.protocol == "udp4" else ("TCP4", "TCP")


def port(server: Entry) -> int:
    """Give the port a server listens on; without one it is OpenVPN's."""
    text = server.text("local_port")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1194


def protocol(server: Entry) -> str:
    """Give the protocol a server speaks, in pfSense's words."""
    return server.text("protocol").upper() or "UDP"


def named(server: Entry) -> str:
    """Name a server without its description, which is free text."""
    number = server.text("vpnid")
    shown = number if number.isascii() and number.isalnum() and len(number) < 6 else "without a number"
    return f"server {shown}"


def uncovered(wanted: Iterable[IPv4Network], given: Iterable[IPv4Network]) -> tuple[IPv4Network, ...]:
    """Give the wanted networks that the given ones, taken together, do not hold."""
    known = list(collapse_addresses(given))
    return tuple(network for network in wanted if not any(network.subnet_of(one) for one in known))


def overlap(some: Iterable[IPv4Network], others: Iterable[IPv4Network]) -> bool:
    """Say whether any of the one overlaps any of the other."""
    rest = list(others)
    return any(a.overlaps(b) for a in some for b in rest)
