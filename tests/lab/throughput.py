"""What the rendered configuration carries, beside the same path without a tunnel and OpenVPN as it comes.

    python -m tests.lab throughput      the table of docs/how-it-is-tested.md

Everything shares one machine's cores, so only ratios say anything; the ways take turns, so that noise meets all alike.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.lab import net
from tests.lab.beyond import OFFICE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Self

    from tests.lab.lab import Lab

PLAIN, DEFAULTS, RENDERED = "the path without a tunnel", "OpenVPN's defaults", "as rendered"
"""Ways from the router to the office."""

_PORT = 1195


class Defaults:
    """A second tunnel between the two, with nothing in its configuration that can be left out."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._runs = lab, list[subprocess.Popen[str]]()

    def __enter__(self) -> Self:
        folder, beyond = self._lab.folder, self._lab.beyond
        common = [f"ca {beyond.secret('ca.crt')}", f"port {_PORT}", "dev-type tun"]
        ends = {
            OFFICE: [
                *(
                    "dev tun-defaults",
                    "server 192.168.99.0 255.255.255.0",
                    "topology subnet",
                    "dh none",
                    *common,
                ),
                *_identity(self._lab, beyond.tunnel.server_name),
            ],
            self._lab.router: [
                *(
                    "client",
                    "dev tun-defaults",
                    "nobind",
                    f"remote {beyond.wan} {_PORT}",
                    common[0],
                    common[2],
                ),
                *_identity(self._lab, beyond.tunnel.common_name),
            ],
        }
        for namespace, lines in ends.items():
            path = folder / f"defaults-{namespace}.conf"
            path.write_text("\n".join(lines) + "\n")
            log = path.with_suffix(".log")
            with log.open("w") as out:
                run = net.start(*net.inside(namespace, "openvpn", "--config", str(path)), stdout=out.fileno())
            self._runs.append(run)
            self._lab.until(partial(_is_up, log), "the second tunnel is up")
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs:
            run.kill()
            run.wait()


def _is_up(log: Path) -> bool:
    return "Initialization Sequence Completed" in log.read_text()


def _identity(lab: Lab, name: str) -> tuple[str, str]:
    return f"cert {lab.beyond.secret(f'{name}.crt')}", f"key {lab.beyond.secret(f'{name}.key')}"


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
        with Defaults(lab):
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
