"""`make bench`: AWS calls, writes and rounds beside a plain sequential loop; cold starts; a fleet; a month's cost."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as Grid

from chalicelib.bootstrap import Edge
from chalicelib.controller import Request, reconcile
from chalicelib.core.declaration import parse
from tests.bench import cost
from tests.bench.coldstart import cold_start
from tests.bench.fleet import fleet
from tests.network import add_private_tables, declaration, deploy, deploy_journal
from tests.world.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.world.wire import Call

SIZES = (1, 10, 100, 200)
LATENCIES = (0.03, 0.1)
BUCKET_SIZE = 80
OWN_TABLES = 2
"""Private tables that the example template brings."""


@dataclass(frozen=True)
class Measured:
    """One run: what the world served, and what the process that ran it says of itself."""

    calls: list[Call]
    seconds: float
    peak_mib: float
    said: str

    @property
    def ec2(self) -> list[Call]:
        """The EC2 calls; the rest is the journal's."""
        return [call for call in self.calls if call.service == "ec2"]

    @property
    def writes(self) -> int:
        """Changes asked of EC2, throttled tries included."""
        return sum(call.write for call in self.ec2)


def rounds(calls: Iterable[Call]) -> int:
    """Count the longest chain of calls that each began after the one before had ended."""
    chain, free_at = 0, 0.0
    for call in sorted(calls, key=lambda c: c.until):
        if call.at >= free_at:
            chain, free_at = chain + 1, call.until
    return chain


def run(world: World, document: bytes, verb: str) -> Measured:
    """Run one verb in a process of its own, as a Lambda would, and collect the calls it made once warm."""
    command = [sys.executable, "-m", "tests.bench.worker", verb]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=world.environment(),
    ) as worker:
        assert worker.stdin
        assert worker.stdout
        worker.stdin.write(json.dumps(document.decode()) + "\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "warm\n"
        world.forget_calls()
        worker.stdin.write("go\n")
        worker.stdin.flush()
        answer = json.loads(worker.stdout.readline())
    return Measured(list(world.calls), answer["seconds"], answer["peak_mib"], answer["said"])


def failover(world: World, size: int, latency: float, verb: str) -> Measured:
    """Build the network with `size` private tables, let it converge, terminate the router, and measure the repair."""
    document, router = build(world, size)
    world.client("ec2").terminate_instances(InstanceIds=[router])
    world.delay(latency)
    return run(world, document, verb)


def steady(world: World, size: int, latency: float) -> Measured:
    """Build the network with `size` private tables, let it converge, and measure a run that finds nothing to do."""
    document, _ = build(world, size)
    world.delay(latency)
    return run(world, document, "reconcile")


def build(world: World, size: int, more: str = "") -> tuple[bytes, str]:
    """Give a converged network with that many private tables, its topology, and its router's instance id."""
    world.reset()
    outputs = deploy(world, RouterCount="2")
    deploy_journal(world)
    more += add_private_tables(world, outputs["VpcId"], max(0, size - OWN_TABLES))
    document = declaration(outputs, more)
    edge = Edge(world.session, world.endpoint_url)
    report = reconcile(parse(document), edge.ports, Request("bench"))
    if report.verdict != "repaired" or report.router_id is None:
        raise RuntimeError(report.sentence)
    return document, report.router_id


def table_of_runs(world: World) -> Grid:
    """Measure steady runs and failovers at every size and latency."""
    grid = Grid(
        title="Reads and writes, beside a loop that describes each table and rewrites its routes in turn"
    )
    for column in (
        "private tables", "per call", "steady: calls", "writes", "rounds", "failover: writes", "EC2 rounds",
        "journal calls", "seconds", "loop: seconds", "faster", "peak MiB",
    ):  # fmt: skip
        grid.add_column(column, justify="right")
    for size in SIZES:
        for latency in LATENCIES:
            quiet = steady(world, size, latency)
            moved = failover(world, size, latency, "reconcile")
            plain = failover(world, size, latency, "replace-everything")
            grid.add_row(
                str(size),
                f"{latency * 1000:.0f} ms",
                str(len(quiet.calls)),
                str(quiet.writes),
                str(rounds(quiet.calls)),
                str(moved.writes),
                str(rounds(moved.ec2)),
                str(len(moved.calls) - len(moved.ec2)),
                f"{moved.seconds:.2f}",
                f"{plain.seconds:.2f}",
                f"{plain.seconds / moved.seconds:.1f}x",
                f"{max(quiet.peak_mib, moved.peak_mib):.0f}",
            )
    return grid


def bucket(world: World, size: int) -> Grid:
    """Measure a failover on EC2's token buckets: which routes were moved when the bucket ran dry."""
    document, router = build(world, size)
    world.client("ec2").terminate_instances(InstanceIds=[router])
    world.buckets(capacity=50, refill=5.0)
    moved = run(world, document, "reconcile")
    world.heal()
    replaced = [c for c in moved.ec2 if c.operation == "ReplaceRoute" and c.error is None]
    defaults = [n for n, c in enumerate(replaced) if c.params["DestinationCidrBlock"] == "0.0.0.0/0"]
    began = min(call.at for call in moved.calls)
    grid = Grid(
        title=f"Failover of {size} private tables on EC2's bucket (50 calls, then 5 a second per API)"
    )
    for column in (
        "default routes",
        "moved within",
        "other routes moved before the last of them",
        "throttled",
        "all within",
    ):
        grid.add_column(column)
    throttled = sum(c.error == "RequestLimitExceeded" for c in moved.ec2)
    last = replaced[defaults[-1]].until - began
    grid.add_row(
        str(len(defaults)),
        f"{last:.1f} s",
        str(defaults[-1] + 1 - len(defaults)),
        str(throttled),
        f"{moved.seconds:.1f} s",
    )
    return grid


def main() -> None:
    """Measure everything and print it."""
    console = Console(width=160)
    with World() as world:
        console.print(table_of_runs(world))
        console.print(bucket(world, BUCKET_SIZE))
    console.print(cold_start())
    for part in fleet():
        console.print(part, highlight=False, soft_wrap=isinstance(part, str))
    cost.main()


if __name__ == "__main__":
    main()
