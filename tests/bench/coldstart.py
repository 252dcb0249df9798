"""How long each function takes to start: beside a function that makes an EC2 client and nothing else, in the same run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table as Grid

from tests.fake_aws.world import World
from tests.package.e2e import API, ON_EVENT, WORKER, Stage
from tests.package.runtime import Environment
from tools.package import build

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.package.runtime import Settings

ROUNDS = 11
"""Starts of each function, one after another in turn, so that what else the machine does meets all of them alike."""

MOST_MIB = 110.0
MOST: Mapping[str, float | None] = {ON_EVENT: 0.8, WORKER: 1.35, API: None}
"""The ratio that a function may take; who calls the API waits anyway."""

BARE, REFERENCE = "nothing", "an EC2 client"

_PLAIN = {
    BARE: "def handler(event, context): pass\n",
    REFERENCE: 'import boto3\nboto3.client("ec2")\ndef handler(event, context): pass\n',
}


@dataclass(frozen=True)
class Start:
    """One function's starts: seconds on the clock and of the processor."""

    wall: list[float]
    cpu: list[float]


def cold_start() -> Grid:
    """Start every function of the package, serve one event with each, and give the times, ratios and peaks."""
    with (
        World() as world,
        tempfile.TemporaryDirectory(prefix="mooring-bench-") as folder,
        Stage(world, build(Path(folder) / "package"), Path(folder) / "lambda") as stage,
    ):
        _serve(stage)
        known = {logical: stage.function(logical).settings for logical in MOST}
        plain = {name: _plain(known[ON_EVENT], name, Path(folder)) for name in _PLAIN}
        starts = measure({**plain, **known}, ROUNDS)
        peaks = {logical: stage.function(logical).peak_mib for logical in MOST}
    return _table(starts, peaks)


def measure(functions: Mapping[str, Settings], rounds: int) -> dict[str, Start]:
    """Start each function in turn, that many times; the first round warms the machine's caches and is not counted."""
    starts = {name: Start([], []) for name in functions}
    for turn in range(1 + rounds):
        for name, settings in functions.items():
            environment = Environment(settings)
            environment.close()
            if turn:
                starts[name].wall.append(environment.init_seconds)
                starts[name].cpu.append(environment.init_cpu_seconds)
    return starts


def ratio(starts: Mapping[str, Start], name: str, clock: str) -> float:
    """Return what a function's start costs beyond the interpreter's, as a multiple of the reference's."""
    own, bare, reference = (median(getattr(starts[n], clock)) for n in (name, BARE, REFERENCE))
    return float((own - bare) / (reference - bare))


def _serve(stage: Stage) -> None:
    """Have every function do its work once, which takes more memory than its start."""
    office = stage.open("office")
    office.terminate_router()
    stage.router.settle()
    stage.router.tick()
    stage.router.settle()
    assert stage.router.call("GET", "/topologies/office").body["now"]["verdict"] == "converged"


def _plain(like: Settings, name: str, folder: Path) -> Settings:
    task = folder / name.replace(" ", "-")
    task.mkdir()
    (task / "app.py").write_text(_PLAIN[name])
    return replace(like, handler="app.handler", task=task)


def _table(starts: Mapping[str, Start], peaks: Mapping[str, float]) -> Grid:
    grid = Grid(
        title=f"Cold start: medians of {ROUNDS} starts in turn; ratios to an EC2 client's, bare start taken off"
    )
    for column in ("function", "ms", "CPU ms", "ratio", "CPU ratio", "at most", "peak MiB", "at most"):
        grid.add_column(column, justify="left" if column == "function" else "right")
    for name, start in starts.items():
        most = MOST.get(name)
        ratios = [f"{ratio(starts, name, clock):.2f}" for clock in ("wall", "cpu")]
        grid.add_row(
            name,
            f"{median(start.wall) * 1000:.0f}",
            f"{median(start.cpu) * 1000:.0f}",
            *ratios,
            "" if most is None else f"{most:.2f}",
            f"{peaks[name]:.0f}" if name in peaks else "",
            f"{MOST_MIB:.0f}" if name in peaks else "",
        )
    return grid
