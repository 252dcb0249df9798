"""Serves wake-ups: notes AWS's notices, reconciles, lets a terminating router go, and tells who asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from chalicelib.controller import Request, reconcile
from chalicelib.core.errors import ControllerError, UnknownTopology
from chalicelib.core.report import Report
from chalicelib.core.wake import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from chalicelib.controller import Ports
    from chalicelib.core.observation import History
    from chalicelib.core.topology import Topology
    from chalicelib.core.wake import Hook, Notice, Wake


class Groups(Protocol):
    """Auto Scaling, as far as it waits for us."""

    def complete(self, hook: Hook, instance_id: str) -> None:
        """Let a terminating instance go on; one that is gone already is no error.

        Raises:
            ApplyError: AWS refused or did not answer.
        """
        ...


class Ledger(Protocol):
    """The part of the journal that is not about one decision."""

    def amend(self, name: str, change: Callable[[History], History]) -> History:
        """Change a topology's history, whatever others write meanwhile.

        Raises:
            ObservationError: it could not be read.
            ApplyError: it could not be written.
        """
        ...

    def answer(self, request_id: str, name: str, state: str, report: Report | None = None) -> None:
        """Note how far a request has come: queued, running or done.

        Raises:
            ApplyError: it could not be written.
        """
        ...


class Queue(Protocol):
    """Where the messages come from."""

    def postpone(self, receipt: str) -> None:
        """Have a message come again in a moment.

        Raises:
            ApplyError: it comes again when the queue's own time is over.
        """
        ...


class Voice(Protocol):
    """What the outside hears."""

    def tell(self, report: Report, woken_at: datetime) -> None:
        """Log a run, and emit its metrics."""
        ...

    def drop(self, what: str, reason: str) -> None:
        """Log that something asks for nothing, and why."""
        ...

    def complain(self, what: str, error: Exception) -> None:
        """Log what went wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Bench:
    """What the worker works with."""

    ports: Ports
    ledger: Ledger
    groups: Groups
    queue: Queue
    voice: Voice
    read: Callable[[str], Topology]


def take(records: Sequence[Mapping[str, Any]], bench: Bench, deadline: datetime | None = None) -> list[str]:
    """Serve a batch of SQS messages in their order; gives the ids of those that must come again.

    What follows a failed message of its group comes again with it: a group's order is kept. Shape of a record: Lambda
    developer guide, "Example Amazon SQS message event (FIFO queue)".
    """
    failed: list[Mapping[str, Any]] = []
    stuck: set[str] = set()
    for record in records:
        group = record["attributes"]["MessageGroupId"]
        if group in stuck or not _taken(record, group, bench):
            stuck.add(group)
            failed.append(record)
    for record in failed:
        try:
            bench.queue.postpone(record["receiptHandle"])
        except ControllerError as error:
            bench.voice.complain("a message comes again late", error)
    return [record["messageId"] for record in failed]


def _taken(record: Mapping[str, Any], group: str, bench: Bench) -> bool:
    """Serve one message; one that cannot be served comes again, and at last to the dead-letter queue."""
    try:
        wake = loads(record["body"])
        if wake.topology != group:
            raise ValueError("a message in another topology's group: two would write at once")  # noqa: TRY301
        serve(wake, bench)
    except Exception as error:  # noqa: BLE001 - the outer edge of a process: it is logged, and the message stays
        bench.voice.complain("a message could not be served", error)
        return False
    return True


def serve(wake: Wake, bench: Bench) -> Report | None:
    """Do what a wake-up asks; None when its topology is declared no more.

    A note that cannot be written stops nothing: whatever it was about, the next tick looks again.
    """
    _answer(wake, bench, "running")
    if wake.notice is not None:
        _amend(wake.topology, _noted(wake.notice), bench)
    report = _run(wake, bench)
    if report is None:
        bench.voice.drop("wake-up ignored", f"{wake.topology} is declared no more")
    else:
        bench.voice.tell(report, wake.at)
        _let_go(report, bench)
    _answer(wake, bench, "done", report)
    return report


def _run(wake: Wake, bench: Bench) -> Report | None:
    started = bench.ports.clock.now()
    try:
        topology = bench.read(wake.topology)
    except UnknownTopology:
        return None
    except ControllerError as error:
        now = bench.ports.clock.now()
        return Report(wake.topology, "blind", wake.woken_by, started, now, error=error)
    request = Request(wake.woken_by, to=wake.to, force=wake.force, agreed=wake.agreed, order=wake.order)
    return reconcile(topology, bench.ports, request)


def _let_go(report: Report, bench: Bench) -> None:
    """Complete the hook of every terminating instance that nothing leads to any more; at worst its timeout does.

    A hook stays noted until it is completed, so that what fails here is done by the next run.
    """
    if not report.moored or report.election is None:
        return
    router = report.election.router.id
    for notice in report.notices:
        if notice.hook is None or notice.instance_id == router:
            continue
        try:
            bench.groups.complete(notice.hook, notice.instance_id)
        except ControllerError as error:
            bench.voice.complain(f"{notice.instance_id} could not be let go", error)
        else:
            _amend(report.topology, _completed(notice.hook), bench)


def _answer(wake: Wake, bench: Bench, state: str, report: Report | None = None) -> None:
    if wake.request_id is None:
        return
    try:
        bench.ledger.answer(wake.request_id, wake.topology, state, report)
    except ControllerError as error:
        bench.voice.complain(f"request {wake.request_id} could not be answered", error)


def _amend(name: str, change: Callable[[History], History], bench: Bench) -> None:
    try:
        bench.ledger.amend(name, change)
    except ControllerError as error:
        bench.voice.complain(f"a notice about {name} could not be noted", error)


def _noted(notice: Notice) -> Callable[[History], History]:
    """Give what notes a notice: the latest word on its instance counts, and a hook is not forgotten for another word."""

    def change(history: History) -> History:
        known = next((n for n in history.notices if n.instance_id == notice.instance_id), None)
        if known is None:
            return history.noticed(notice)
        if (known.at, known.reason) == (notice.at, notice.reason):
            return history  # the same word once more
        latest = max(notice, known, key=lambda n: n.at)
        return history.noticed(replace(latest, hook=notice.hook or known.hook))

    return change


def _completed(hook: Hook) -> Callable[[History], History]:
    def change(history: History) -> History:
        notices = (replace(n, hook=None) if n.hook == hook else n for n in history.notices)
        return replace(history, notices=tuple(notices))

    return change
