"""Serves wake-ups: notes AWS's notices, reconciles, lets a terminating router go, and tells who asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from chalicelib.controller import Request, reconcile
from chalicelib.core.declaration import Kept, parse
from chalicelib.core.errors import ControllerError, Expired
from chalicelib.core.messages.message import loads
from chalicelib.core.network.history import History
from chalicelib.core.network.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from chalicelib.controller import Ports
    from chalicelib.core.messages.message import Hook, Wake
    from chalicelib.core.network.report import Verdict
    from chalicelib.core.network.topology import Topology


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

    def keep(self, name: str, kept: Kept) -> None:
        """Keep a valid declaration for the day when none can be read.

        Raises:
            ApplyError: it could not be written.
        """
        ...

    def kept(self, name: str) -> Kept | None:
        """Read the declaration that was kept last; None when none was.

        Raises:
            ObservationError: it could not be read.
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
class Known:
    """What a process knows of a declaration; `stored` is whether the journal keeps it, too."""

    kept: Kept
    topology: Topology
    stored: bool


@dataclass(frozen=True, slots=True)
class Bench:
    """What the worker works with; `known` is what this process has read of declarations, by topology."""

    ports: Ports
    ledger: Ledger
    groups: Groups
    queue: Queue
    voice: Voice
    document: Callable[[str], bytes | None]
    known: dict[str, Known] = field(default_factory=dict)


def take(records: Sequence[Mapping[str, Any]], bench: Bench, deadline: datetime | None = None) -> list[str]:
    """Serve a batch of SQS messages in their order; gives the ids of those that must come again.

    What follows a failed message of its group comes again with it: a group's order is kept. Shape of a record: Lambda
    developer guide, "Example Amazon SQS message event (FIFO queue)".
    """
    failed: list[Mapping[str, Any]] = []
    stuck: set[str] = set()
    for record in records:
        group = record["attributes"]["MessageGroupId"]
        if group in stuck or not _taken(record, group, bench, deadline):
            stuck.add(group)
            failed.append(record)
    for record in failed:
        try:
            bench.queue.postpone(record["receiptHandle"])
        except ControllerError as error:
            bench.voice.complain("a message comes again late", error)
    return [record["messageId"] for record in failed]


def _taken(record: Mapping[str, Any], group: str, bench: Bench, deadline: datetime | None) -> bool:
    """Serve one message; one that cannot be served comes again, and at last to the dead-letter queue."""
    try:
        wake = loads(record["body"])
        if wake.topology != group:
            raise ValueError("a message in another topology's group: two would write at once")  # noqa: TRY301
        serve(wake, bench, deadline, _receipt(record))
    except Exception as error:  # noqa: BLE001 - the outer edge of a process: it is logged, and the message stays
        bench.voice.complain("a message could not be served", error)
        return False
    return True


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the queue knows of a message: when it was sent, by its own clock, and whether it was handed out before."""

    sent_at: datetime
    again: bool = False


def _receipt(record: Mapping[str, Any]) -> Receipt | None:
    """Read a message's receipt; None where the queue says nothing of when it was sent."""
    attributes = record["attributes"]
    sent, received = attributes.get("SentTimestamp"), attributes.get("ApproximateReceiveCount")
    at = datetime.fromtimestamp(int(sent) / 1000, UTC) if sent else None
    return Receipt(at, again=int(received or 1) > 1) if at else None


def serve(
    wake: Wake, bench: Bench, deadline: datetime | None = None, receipt: Receipt | None = None
) -> Report | None:
    """Do what a wake-up asks, by `deadline`; None when its topology is declared no more.

    A note that cannot be written stops nothing: whatever it was about, the next tick looks again.
    """
    _answer(wake, bench, "running")
    if wake.notice is not None:
        notice = wake.notice
        _amend(wake.topology, lambda history: history.noticed(notice), bench)
    report = _run(wake, bench, deadline, receipt or Receipt(wake.at))
    if report is None:
        bench.voice.drop("wake-up ignored", f"{wake.topology} is declared no more")
    else:
        bench.voice.tell(report, wake.at)
        _let_go(report, bench)
    _answer(wake, bench, "done", report)
    return report


def _run(wake: Wake, bench: Bench, deadline: datetime | None, receipt: Receipt) -> Report | None:
    started = bench.ports.clock.now()
    try:
        read = _declared(wake.topology, started, bench)
        if read is None:
            return None
        topology, problems = read
        if wake.request_id is not None:
            _check_age(receipt, started, topology.limits.request_age)
    except ControllerError as error:
        verdict: Verdict = "expired" if isinstance(error, Expired) else "blind"
        return Report(wake.topology, verdict, wake.woken_by, started, bench.ports.clock.now(), error=error)
    request = Request(
        wake.woken_by,
        to=wake.to,
        force=wake.force,
        agreed=wake.agreed,
        order=wake.order,
        deadline=deadline,
        problems=problems,
    )
    return reconcile(topology, bench.ports, request)


def _declared(name: str, now: datetime, bench: Bench) -> tuple[Topology, tuple[str, ...]] | None:
    """Read what is declared, else what was declared when it could be read last, and the problem that this is.

    Raises:
        ObservationError, TopologyError: it cannot be read, or is not valid, and nothing was kept.
    """
    before = bench.known.get(name)
    try:
        document = bench.document(name)
        if document is None:
            return None
        same = before is not None and before.kept.document == document
        topology = before.topology if before and same else parse(document)
    except ControllerError as error:
        known = before or _kept(name, bench)
        if known is None:
            raise
        at = f"{known.kept.at:%Y-%m-%d %H:%M} UTC"
        return known.topology, (f"{error.message}; what was declared by {at} is kept until then",)
    kept = Kept(document, now)
    stored = bool(before and same and before.stored) or _keep(name, kept, bench)
    bench.known[name] = Known(kept, topology, stored)
    return topology, ()


def _keep(name: str, kept: Kept, bench: Bench) -> bool:
    """Have the journal keep a declaration; says whether it does, else the next run tries again."""
    try:
        bench.ledger.keep(name, kept)
    except ControllerError as error:
        bench.voice.complain(f"the declaration of {name} could not be kept", error)
        return False
    return True


def _kept(name: str, bench: Bench) -> Known | None:
    """Read from the journal what an earlier process kept; None when there is none, or none that can be read."""
    try:
        kept = bench.ledger.kept(name)
        return Known(kept, parse(kept.document), stored=True) if kept else None
    except ControllerError as error:
        bench.voice.complain(f"no earlier declaration of {name} could be read", error)
        return None


def _check_age(receipt: Receipt, now: datetime, limit: timedelta) -> None:
    """Refuse what somebody asked too long ago: who still wants it asks again.

    Raises:
        Expired: the request is older than is declared.
    """
    age = now - receipt.sent_at
    if age <= limit:
        return
    waited = f"it was asked {age.total_seconds():.0f} s ago"
    if receipt.again:
        waited += ", an earlier run of it was cut off (what that did, the history tells)"
    raise Expired(
        f"{waited}, and limits.request_age allows {limit.total_seconds():.0f} s",
        hint="look at the plan as it is now, and ask again",
    )


def _let_go(report: Report, bench: Bench) -> None:
    """Complete the hook of every terminating instance that nothing leads to any more; at worst its timeout does.

    A hook stays noted until it is completed, so that what fails here is done by the next run.
    """
    if not report.moored:
        return
    for notice in report.notices:
        if notice.hook is None or notice.instance_id == report.router_id:
            continue
        try:
            bench.groups.complete(notice.hook, notice.instance_id)
        except ControllerError as error:
            bench.voice.complain(f"{notice.instance_id} could not be let go", error)
        else:
            _amend(report.topology, partial(History.completed, hook=notice.hook), bench)


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
