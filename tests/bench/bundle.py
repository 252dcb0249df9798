"""What the bundle's preset dictionary saves: the size of a router's parameter with it and without. `python -m tests.bench.bundle`."""

from __future__ import annotations

import base64
import sys
import zlib
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.core.declaration import parse
from chalicelib.core.network.topology import Network
from chalicelib.core.tunnel.bundle import deflated, seal
from chalicelib.core.tunnel.render import Box, render

if TYPE_CHECKING:
    from chalicelib.core.network.topology import Topology

EXAMPLE = Path(__file__).parents[2] / "examples" / "office.toml"
BOX = Box(IPv4Address("10.0.0.8"), IPv4Address("203.0.113.9"))


def sizes(topology: Topology) -> tuple[int, int]:
    """Count the characters of a candidate's parameter, with the dictionary and without."""
    canonical = render(topology, BOX).canonical
    value = len(seal(canonical, probe=None))
    packed = len(base64.b85encode(deflated(canonical)))
    return value, value - packed + len(base64.b85encode(zlib.compress(canonical, 9)))


def table() -> str:
    """Show the example, and the same with more and more office networks."""
    example = parse(EXAMPLE.read_bytes())
    lines = ["| office networks | with the dictionary | without |", "|---|---|---|"]
    for count in (len(example.office_networks), 20, 50, 100):
        networks = tuple(Network(f"10.100.{n}.0/24") for n in range(count))
        grown = (
            example if count == len(example.office_networks) else replace(example, office_networks=networks)
        )
        with_it, without = sizes(grown)
        lines.append(f"| {count} | {with_it:,} | {without:,} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
