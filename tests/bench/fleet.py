"""How large a fleet may grow: one tick for a thousand topologies, and what each of them takes from AWS's request buckets.

`python -m tests.bench.fleet` prints what docs/fleet.md shows.
"""

from __future__ import annotations

import collections
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from moto.sqs.models import Queue
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table as Grid

from chalicelib.aws.ssm.topologies import PATH
from tests.fake_aws.world import World
from tests.package.e2e import ON_EVENT, WORKER, Stage
from tools.package import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fake_aws.wire import Call
    from tests.package.e2e import Office

TOPOLOGIES = 1000
LATENCY = 0.03
"""Seconds that each call takes beyond the embedded AWS's own time."""

WORKERS, LOOKS = (2, 5, 10, 20, 100), (0.12, 0.3, 0.5)
"""Worker concurrencies, and seconds of a look, to set against the buckets."""

MINUTE = 60


@dataclass(frozen=True)
class Bucket:
    """A request bucket, one for each account, region and API; of Parameter Store's, one for all reads."""

    capacity: int
    refill: int


READS, UNFILTERED, WRITES, MODIFY = Bucket(100, 20), Bucket(50, 10), Bucket(50, 5), Bucket(100, 5)
"""EC2 developer guide, "Request throttling for the Amazon EC2 API"."""

COSTLY = (
    "DescribeInstances", "DescribeInstanceStatus", "DescribeNetworkInterfaces", "DescribeSecurityGroups",
)  # fmt: skip
"""Reads that have a smaller bucket when neither a filter nor a page narrows them (same page)."""

PARAMETERS = Bucket(40, 40)
"""AWS general reference, "AWS Systems Manager endpoints and quotas": Get* share 40 a second."""


@dataclass(frozen=True)
class Tick:
    """One tick over the whole fleet."""

    woken: int
    queued: int
    calls: collections.Counter[str]
    seconds: float
    timeout: float
    peak_mib: float


@dataclass(frozen=True)
class Use:
    """What one topology takes from one bucket: calls of a look that changes nothing, and of a failover."""

    bucket: Bucket
    look: float
    failover: float

    @property
    def looks_a_minute(self) -> float:
        """How many topologies a look each minute is possible for, on and on."""
        return MINUTE * self.bucket.refill / self.look if self.look else float("inf")


def fleet() -> Iterator[Grid | str]:
    """Measure one quiet run, one failover and one tick over the fleet; set the calls against the buckets."""
    with (
        World() as world,
        tempfile.TemporaryDirectory(prefix="mooring-bench-") as folder,
        Stage(world, build(Path(folder) / "package"), Path(folder) / "lambda") as stage,
    ):
        office = stage.open("office")
        quiet, seconds = look(stage)
        moved = failover(stage, office)
        tick = _tick(stage, office)
    taken = uses(quiet, moved) | {"ssm:Get*": _parameters(quiet, moved, tick)}
    yield _buckets(taken)
    yield from _words(taken, tick, seconds)
    yield _workers(_narrowest(taken))


def bucket(calls: list[Call]) -> Bucket:
    """Return which bucket the calls of one EC2 API take from: the smallest that any of them does."""
    operation = calls[0].operation
    if operation == "ModifyNetworkInterfaceAttribute":
        return MODIFY
    if calls[0].write:
        return WRITES
    narrowed = (any(key.startswith(("Filter", "MaxResults")) for key in call.params) for call in calls)
    return READS if operation not in COSTLY or all(narrowed) else UNFILTERED


def look(stage: Stage) -> tuple[list[Call], float]:
    """Serve one tick that finds nothing to do; give its calls, and the seconds of the run."""
    stage.router.tick()
    stage.forget()
    delay = stage.world.delay(LATENCY)
    stage.router.settle()
    delay.stop()
    (served,) = stage.served(WORKER)
    return _asked(stage), served.answer.seconds


def failover(stage: Stage, office: Office) -> list[Call]:
    """Serve one tick that finds the router dead, as if its events were lost."""
    office.terminate_router()
    stage.router.take()
    stage.router.tick()
    stage.forget()
    stage.router.settle()
    assert office.complaints() == []
    return _asked(stage)


def _tick(stage: Stage, office: Office) -> Tick:
    """Declare the fleet, and let the schedule's time come once."""
    ssm, sqs = stage.world.client("ssm"), stage.world.client("sqs")
    document = ssm.get_parameter(Name=PATH + office.name)["Parameter"]["Value"]
    for number in range(1, TOPOLOGIES):
        name = f"{office.name}-{number}"
        renamed = document.replace(f'name = "{office.name}"', f'name = "{name}"')
        ssm.put_parameter(Name=PATH + name, Value=renamed, Type="String")
    stage.router.take()
    stage.forget()
    delay = stage.world.delay(LATENCY)
    with _cheap_counts():
        stage.router.tick()
    delay.stop()
    (served,) = stage.served(ON_EVENT)
    function = stage.function(ON_EVENT)
    attributes = sqs.get_queue_attributes(
        QueueUrl=stage.deployment.outputs["QueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    return Tick(
        woken=len(set(served.answer.payload["woken"])),
        queued=int(attributes["Attributes"]["ApproximateNumberOfMessages"]),
        calls=collections.Counter(call.operation for call in _asked(stage)),
        seconds=served.answer.seconds,
        timeout=function.settings.timeout,
        peak_mib=function.peak_mib,
    )


@contextmanager
def _cheap_counts() -> Iterator[None]:
    """Keep moto from counting the whole queue, three times over, at each message that is put on it."""
    with mock.patch.multiple(
        Queue,
        approximate_number_of_messages=0,
        approximate_number_of_messages_delayed=0,
        approximate_number_of_messages_not_visible=0,
    ):
        yield


def _asked(stage: Stage) -> list[Call]:
    return [call for call in stage.world.calls if call.by == "product"]


def uses(quiet: list[Call], moved: list[Call]) -> dict[str, Use]:
    """Count what a look and a failover of one topology take from each of EC2's buckets."""
    by_api: dict[str, list[Call]] = {}
    for call in (*quiet, *moved):
        if call.service == "ec2":
            by_api.setdefault(call.operation, []).append(call)
    return {
        f"ec2:{operation}": Use(bucket(calls), _count(quiet, operation), _count(moved, operation))
        for operation, calls in sorted(by_api.items())
    }


def _parameters(quiet: list[Call], moved: list[Call], tick: Tick) -> Use:
    """Count what one topology takes of Parameter Store; a tick's reading of all parameters is shared by all."""
    pages = tick.calls["GetParametersByPath"] / tick.woken
    return Use(PARAMETERS, _count(quiet, "GetParameter") + pages, _count(moved, "GetParameter"))


def _count(calls: list[Call], operation: str) -> int:
    return sum(call.operation == operation for call in calls)


def _buckets(taken: dict[str, Use]) -> Grid:
    grid = Grid(box=MARKDOWN)
    for column in (
        "bucket", "tokens", "a second", "calls of a look", "looks a minute", "at once",
        "calls of a failover", "failovers in a minute", "at once",
    ):  # fmt: skip
        grid.add_column(column, justify="left" if column == "bucket" else "right", no_wrap=True)
    for name, use in taken.items():
        held = use.bucket
        first_minute = held.capacity + MINUTE * held.refill
        grid.add_row(
            name,
            str(held.capacity),
            str(held.refill),
            f"{use.look:g}",
            _of(MINUTE * held.refill, use.look),
            _of(held.capacity, use.look),
            f"{use.failover:g}",
            _of(first_minute, use.failover),
            _of(held.capacity, use.failover),
        )
    return grid


def _narrowest(taken: dict[str, Use]) -> Use:
    return min(taken.values(), key=lambda use: use.looks_a_minute)


def _words(taken: dict[str, Use], tick: Tick, seconds: float) -> Iterator[str]:
    """Return what the table means: when to shard, and how long a tick over the fleet and one look took."""
    most = _narrowest(taken).looks_a_minute
    names = ", ".join(name for name, use in taken.items() if use.looks_a_minute == most)
    calls = ", ".join(f"{count} {operation}" for operation, count in sorted(tick.calls.items()))
    yield (
        f"One tick put {tick.queued:,} wake-ups for {tick.woken:,} topologies on the queue in {tick.seconds:.1f} s "
        f"of {tick.timeout:.0f} s: {calls}; peak {tick.peak_mib:.0f} MiB."
    )
    yield (
        f"More than {most:,.0f} topologies must be split over regions or accounts, or have these quotas raised: {names}."
    )
    yield f"A look took {seconds:.2f} s at {LATENCY * 1000:.0f} ms a call."


def _workers(use: Use) -> Grid:
    """Return for each number of workers how many looks a minute they serve, and from which fleet on calls are throttled."""
    grid = Grid(box=MARKDOWN)
    for column in (
        "workers at once",
        *(f"looks of {seconds:g} s: a minute, unthrottled" for seconds in LOOKS),
    ):
        grid.add_column(column, justify="right", no_wrap=True)
    for workers in WORKERS:
        cells = []
        for seconds in LOOKS:
            pace = workers / seconds
            served = min(MINUTE * pace, use.looks_a_minute)
            cells.append(f"{served:,.0f}, {min(unthrottled(use, pace), served):,.0f}")
        grid.add_row(str(workers), *cells)
    return grid


def unthrottled(use: Use, pace: float) -> float:
    """Return the largest fleet whose looks, begun at that pace a second, never find the bucket empty."""
    surplus = pace * use.look - use.bucket.refill
    return use.bucket.capacity * pace / surplus if surplus > 0 else float("inf")


def _of(calls: int, each: float) -> str:
    """Return how many times that many calls are enough."""
    return f"{int(calls / each):,}" if each else ""


def main() -> None:
    """Print what docs/fleet.md shows."""
    console = Console(width=160)
    for part in fleet():
        console.print(part, highlight=False, soft_wrap=isinstance(part, str))


if __name__ == "__main__":
    main()
