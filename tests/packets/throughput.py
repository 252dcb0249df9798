"""What the rendered configuration carries, beside the same path without a tunnel and OpenVPN as it comes.

    python -m tests.packets throughput      the table of docs/how-it-is-tested.md

Everything shares one machine's cores, so only ratios say anything; the ways take turns, so that noise meets all alike.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core.tunnel.render import SECRETS
from tests.packets import net
from tests.packets.beyond import OFFICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.packets.lab import Lab

PLAIN, DEFAULTS, RENDERED = "the path without a tunnel", "OpenVPN's defaults", "as rendered"
"""Ways from the router to the office."""

_PORT = 1195


@contextlib.contextmanager
def defaults(lab: Lab) -> Iterator[None]:
    """Have a second tunnel between the two, run as the first is, with nothing in its files that can be left out."""
    box, beyond, unit = lab.machines[lab.router], lab.beyond, "openvpn-client@defaults.service"
    name = beyond.tunnel.server_name
    server = lab.folder / "defaults.conf"
    server.write_text(
        f"""dev tun-defaults
dev-type tun
port {_PORT}
server 192.168.99.0 255.255.255.0
topology subnet
dh none
ca {beyond.secret("ca.crt")}
cert {beyond.secret(f"{name}.crt")}
key {beyond.secret(f"{name}.key")}
"""
    )
    client = box.disk / "etc/openvpn/client/defaults.conf"
    client.write_text(
        f"""client
dev tun-defaults
dev-type tun
remote {beyond.wan} {_PORT}
ca {SECRETS["ca"]}
cert {SECRETS["cert"]}
key {SECRETS["key"]}
"""
    )
    office = net.start(*net.inside(OFFICE, "openvpn", "--config", str(server)))
    began = time.monotonic()
    try:
        box.run("systemctl", "start", unit)
        lab.until(lambda: box.said("Initialization Sequence Completed", began), "the second tunnel is up")
        yield
    finally:
        box.run("systemctl", "stop", unit)
        office.kill()
        office.wait()
        client.unlink()


@dataclass(frozen=True)
class Speed:
    """Bits per second, towards the office and back: the median of the rounds."""

    there: float
    back: float


def measure(lab: Lab, seconds: float, rounds: int) -> dict[str, Speed]:
    """Measure every way, in turns."""
    lab.recover()
    ways = {PLAIN: lab.beyond.wan, DEFAULTS: "192.168.99.1", RENDERED: "192.168.0.1"}
    found: dict[tuple[str, bool], list[float]] = {}
    server = net.start(*net.inside(OFFICE, "iperf3", "--server"))
    try:
        with defaults(lab):
            time.sleep(0.2)
            for _ in range(rounds):
                for way, address in ways.items():
                    for back in (False, True):
                        found.setdefault((way, back), []).append(_iperf(lab, address, seconds, back=back))
    finally:
        server.kill()
        server.wait()
    return {way: Speed(*(statistics.median(found[way, back]) for back in (False, True))) for way in ways}


def _iperf(lab: Lab, address: str, seconds: float, *, back: bool) -> float:
    command = (
        "iperf3",
        "--client",
        address,
        "--time",
        str(seconds),
        "--json",
        *(["--reverse"] if back else []),
    )
    said = json.loads(net.run(*net.inside(lab.router, *command)).stdout)
    return float(said["end"]["sum_received"]["bits_per_second"])


def table(speeds: dict[str, Speed]) -> str:
    """Write ratios as a table in Markdown."""
    rows: list[Iterable[str]] = [
        ("TCP between router and office", "towards the office", "back"),
        ("---",) * 3,
    ]
    ours = speeds[RENDERED]
    for way, speed in speeds.items():
        if way != RENDERED:
            rows.append(
                (f"as rendered ÷ {way}", f"{ours.there / speed.there:.2f}", f"{ours.back / speed.back:.2f}")
            )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
