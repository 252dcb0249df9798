"""How large a fleet may grow: one tick for a thousand topologies, and what each of them costs AWS's request buckets."""

from __future__ import annotations

import collections
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from moto.sqs.models import Queue
from rich.table import Table as Grid

from chalicelib.aws.ssm import PATH
from chalicelib.cli.package import build
from tests.package.e2e import ON_EVENT, WORKER, Stage
from tests.world.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.package.e2e import Office
    from tests.world.wire import Call

TOPOLOGIES = 1000
LATENCY = 0.03
"""Seconds that each call takes beyond the embedded AWS's own time."""

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


def fleet() -> Grid:
    """Measure one quiet run, one failover and one tick over the fleet; set the calls against the buckets."""
    with (
        World() as world,
        tempfile.TemporaryDirectory(prefix="mooring-bench-") as folder,
        Stage(world, build(Path(folder) / "package"), Path(folder) / "lambda") as stage,
    ):
        office = stage.open("office")
        look, seconds = _look(stage)
        failover = _failover(stage, office)
        tick = _tick(stage, office)
    return _table(_uses(look, failover, tick), tick, seconds)


def bucket(calls: list[Call]) -> Bucket:
    """Say which bucket the calls of one EC2 API take from: the smallest that any of them does."""
    operation = calls[0].operation
    if operation == "ModifyNetworkInterfaceAttribute":
        return MODIFY
    if calls[0].write:
        return WRITES
    narrowed = (any(key.startswith(("Filter", "MaxResults")) for key in call.params) for call in calls)
    return READS if operation not in COSTLY or all(narrowed) else UNFILTERED


def _look(stage: Stage) -> tuple[list[Call], float]:
    """Serve one tick that finds nothing to do; give its calls, and the seconds of the run."""
    stage.router.tick()
    stage.forget()
    delay = stage.world.delay(LATENCY)
    stage.router.settle()
    delay.stop()
    (served,) = stage.served(WORKER)
    return _asked(stage), served.answer.seconds


def _failover(stage: Stage, office: Office) -> list[Call]:
    """Serve one tick that finds the router dead, as if its events were lost."""
    office.terminate_router()
    stage.router.take()
    stage.router.tick()
    stage.forget()
    stage.router.settle()
    assert office.complaints == []
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


def _uses(look: list[Call], failover: list[Call], tick: Tick) -> dict[str, Use]:
    """Count what one topology takes from each bucket; a tick's reading of all parameters is shared by all."""
    by_api: dict[str, list[Call]] = {}
    for call in (*look, *failover):
        if call.service == "ec2":
            by_api.setdefault(call.operation, []).append(call)
    uses = {
        f"ec2:{operation}": Use(bucket(calls), _count(look, operation), _count(failover, operation))
        for operation, calls in sorted(by_api.items())
    }
    pages = tick.calls["GetParametersByPath"] / tick.woken
    reads = (_count(run, "GetParameter") for run in (look, failover))
    return uses | {"ssm:Get*": Use(PARAMETERS, next(reads) + pages, next(reads))}


def _count(calls: list[Call], operation: str) -> int:
    return sum(call.operation == operation for call in calls)


def _table(uses: dict[str, Use], tick: Tick, seconds: float) -> Grid:
    grid = Grid(title="A fleet in one account and region", caption=_words(uses, tick, seconds))
    for column in (
        "bucket", "tokens", "a second", "calls of a look", "looks a minute", "at once",
        "calls of a failover", "failovers a minute", "at once ",
    ):  # fmt: skip
        grid.add_column(column, justify="left" if column == "bucket" else "right", no_wrap=column == "bucket")
    for name, use in uses.items():
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


def _words(uses: dict[str, Use], tick: Tick, seconds: float) -> str:
    """Say what the table means: when to shard, and how many workers the buckets feed."""
    narrowest = min(uses.values(), key=lambda use: use.looks_a_minute)
    name = ", ".join(n for n, use in uses.items() if use.looks_a_minute == narrowest.looks_a_minute)
    calls = ", ".join(f"{count} {operation}" for operation, count in sorted(tick.calls.items()))
    pace = narrowest.bucket.refill / narrowest.look
    return (
        f"One tick put {tick.queued:,} wake-ups for {tick.woken:,} topologies on the queue in {tick.seconds:.1f} s "
        f"of {tick.timeout:.0f} s: {calls}; peak {tick.peak_mib:.0f} MiB.\n"
        f"More than {narrowest.looks_a_minute:,.0f} topologies must be split over regions or accounts, or have these "
        f"quotas raised: {name}.\n"
        f"A look takes {seconds:.2f} s at {LATENCY * 1000:.0f} ms a call: {max(2, round(pace * seconds))} workers at "
        f"once take no more than flows back; more of them empty the buckets of a fleet of more than "
        f"{narrowest.bucket.capacity / narrowest.look:,.0f}."
    )


def _of(calls: int, each: float) -> str:
    """Say how many times that many calls are enough."""
    return f"{int(calls / each):,}" if each else ""
