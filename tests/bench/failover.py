"""How long a failover takes on what Lambda gives, beside two loops. `python -m tests.bench.failover`."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table as Grid

from tests.bench.share import Share
from tests.bench.site import Site, by_tls
from tests.bench.tls import Latency
from tests.fake_aws.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.bench.site import Measured
    from tests.bench.tls import TlsServer
    from tests.fake_aws.wire import Call

SIZES = (1, 2, 10, 100)
LATENCIES = (Latency(0.03, 0.03), Latency(0.1, 0.1), Latency(0.03, 0.01), Latency(0.1, 0.01))
"""Of every call alike; and with DynamoDB's own, which are milliseconds of one digit (its developer guide), doubled for a transaction."""

ROUNDS = 5
MEMORY = 512
"""Megabytes of the worker, as in .chalice/config.json."""

MOORING, LEANEST, PLAIN = "Mooring", "leanest loop", "plain loop"


def times(world: World, tls: TlsServer, memory: int = MEMORY) -> Grid:
    """Measure the three ways in turn, round after round, and give the medians; the plain loop runs once."""
    grid = Grid(title=f"Failover, in seconds, on {memory} MB, every connection new", box=MARKDOWN)
    for column in (
        "private tables", "per call", "way", "last private default", "last write", "verified", "processor time",
        "default, beside Mooring's",
    ):  # fmt: skip
        grid.add_column(column, justify="left" if column == "way" else "right")
    for size in SIZES:
        site = Site(world, tls, size)
        with ExitStack() as stack:
            workers = {way: stack.enter_context(site.worker(way)) for way in (MOORING, LEANEST, PLAIN)}
            for latency in LATENCIES:
                runs: dict[str, list[Measured]] = {way: [] for way in workers}
                for turn in range(ROUNDS):
                    for way, worker in workers.items():
                        if way != PLAIN or not turn:
                            runs[way].append(site.failover(worker, latency, Share(memory)))
                best = median(run.last_default(site.tables) for run in runs[MOORING])
                for way, measured in runs.items():
                    default = median(run.last_default(site.tables) for run in measured)
                    verified = median(run.verified for run in measured)
                    grid.add_row(
                        str(size),
                        str(latency),
                        way,
                        f"{default:.2f}",
                        f"{median(run.last_write for run in measured):.2f}",
                        f"{verified:.2f}" if way == MOORING else "never",
                        f"{median(run.processor for run in measured):.3f}",
                        f"{default / best:.1f}x",
                    )
    return grid


def calls(world: World, tls: TlsServer) -> Grid:
    """Count the calls and rounds of a quiet run and of a failover; they do not depend on the machine."""
    grid = Grid(title="Calls", box=MARKDOWN)
    for column in (
        "private tables", "quiet: calls", "writes", "rounds", "failover: writes", "EC2 rounds", "journal calls", "peak MiB",
    ):  # fmt: skip
        grid.add_column(column, justify="right")
    for size in (*SIZES, 200):
        site = Site(world, tls, size)
        with site.worker(MOORING) as worker:
            quiet = site.quiet(worker, LATENCIES[1], Share(MEMORY))
            moved = site.failover(worker, LATENCIES[1], Share(MEMORY))
        grid.add_row(
            str(size),
            str(len(quiet.calls)),
            str(quiet.writes),
            str(rounds(quiet.calls)),
            str(moved.writes),
            str(rounds(moved.ec2)),
            str(len(moved.calls) - len(moved.ec2)),
            f"{moved.peak_mib:.0f}",
        )
    return grid


def rounds(calls: Iterable[Call]) -> int:
    """Count the longest chain of calls that each began after the one before had ended."""
    chain, free_at = 0, 0.0
    for call in sorted(calls, key=lambda c: c.until):
        if call.at >= free_at:
            chain, free_at = chain + 1, call.until
    return chain


def bucket(world: World, tls: TlsServer, size: int = 80) -> Grid:
    """Measure a failover on EC2's token buckets: which routes were moved when the bucket ran dry."""
    site = Site(world, tls, size)
    with site.worker(MOORING) as worker:
        router = site.repair()
        world.client("ec2").stop_instances(InstanceIds=[router])
        world.settle()
        world.buckets(capacity=50, refill=5.0)
        moved = site.measure(worker, Latency(0.0, 0.0), Share(MEMORY))
    replaced = [c for c in moved.ec2 if c.operation == "ReplaceRoute" and c.error is None]
    defaults = [n for n, c in enumerate(replaced) if c.params["DestinationCidrBlock"] == "0.0.0.0/0"]
    grid = Grid(
        title=f"Failover of {size} private tables on EC2's bucket (50 calls, then 5 a second per API)",
        box=MARKDOWN,
    )
    for column in (
        "default routes", "moved within", "other routes moved before the last of them", "throttled", "all within",
    ):  # fmt: skip
        grid.add_column(column)
    grid.add_row(
        str(len(defaults)),
        f"{moved.last_default(site.tables):.1f} s",
        str(defaults[-1] + 1 - len(defaults)),
        str(sum(c.error == "RequestLimitExceeded" for c in moved.ec2)),
        f"{moved.verified:.1f} s",
    )
    return grid


def main() -> None:
    """Print the tables."""
    console = Console(width=160)
    with World() as world, by_tls(world) as tls:
        console.print(times(world, tls))
        console.print(calls(world, tls))
        console.print(bucket(world, tls))


if __name__ == "__main__":
    main()
