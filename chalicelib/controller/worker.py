"""Handles messages: notes AWS's notices, reconciles, lets a terminating router go, and answers who asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.controller.reconcile import reconcile
from chalicelib.core.declaration import Kept, parse
from chalicelib.core.errors import ControllerError, Expired
from chalicelib.core.messages.message import loads
from chalicelib.core.network.history import History
from chalicelib.core.network.report import Report, Standing, verdict_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from chalicelib.controller.ports import WorkerPorts
    from chalicelib.core.messages.message import Message
    from chalicelib.core.network.topology import Topology


@dataclass(frozen=True, slots=True)
class Known:
    """What a process knows of a declaration; `stored` is whether the journal keeps it, too."""

    kept: Kept
    topology: Topology
    stored: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the queue knows of a message: when it was sent, by its own clock, and whether it was handed out before."""

    sent_at: datetime
    again: bool = False


@dataclass(frozen=True, slots=True)
class Worker:
    """The one writer of each topology; `known` is what this process has read of declarations, by topology."""

    ports: WorkerPorts
    known: dict[str, Known] = field(default_factory=dict)

    def handle_batch(
        self, records: Sequence[Mapping[str, Any]], deadline: datetime | None = None
    ) -> list[str]:
        """Handle a batch of SQS messages in their order; return the ids of those that must come again.

        What follows a failed message of its group comes again with it: a group's order is kept. Shape of a record: Lambda
        developer guide, "Example Amazon SQS message event (FIFO queue)".
        """
        failed: list[Mapping[str, Any]] = []
        stuck: set[str] = set()
        for record in records:
            group = record["attributes"]["MessageGroupId"]
            if group in stuck or not self._handled(record, group, deadline):
                stuck.add(group)
                failed.append(record)
        for record in failed:
            try:
                self.ports.queue.postpone(record["receiptHandle"])
            except ControllerError as error:
                self.ports.telemetry.failed("a message comes again late", error)
        return [record["messageId"] for record in failed]

    def _handled(self, record: Mapping[str, Any], group: str, deadline: datetime | None) -> bool:
        """Handle one message; one that cannot be handled comes again, and at last to the dead-letter queue."""
        try:
            message = loads(record["body"])
            if message.topology != group:
                raise ValueError("a message in another topology's group: two would write at once")  # noqa: TRY301
            self.handle(message, deadline, _receipt(record))
        except Exception as error:  # noqa: BLE001 - the outer edge of a process: it is logged, and the message stays
            self.ports.telemetry.failed("a message could not be served", error)
            return False
        return True

    def handle(
        self, message: Message, deadline: datetime | None = None, receipt: Receipt | None = None
    ) -> Report | None:
        """Do what a message asks, by `deadline`; None when its topology is declared no more.

        A note that cannot be written stops nothing: whatever it was about, the next tick looks again.
        """
        self._answer(message, "running")
        if message.notice is not None:
            notice = message.notice
            self._amend(message.topology, lambda history: history.noticed(notice))
        report = self._run(message, deadline, receipt or Receipt(message.at))
        if report is None:
            self.ports.telemetry.ignored("wake-up ignored", f"{message.topology} is declared no more")
        else:
            self.ports.telemetry.run(report, message.at)
            self._let_go(report)
        self._answer(message, "done", report)
        return report

    def _run(self, message: Message, deadline: datetime | None, receipt: Receipt) -> Report | None:
        started, request = self.ports.clock.now(), message.request
        try:
            read = self._declared(message.topology, started)
            if read is None:
                return None
            topology, problems = read
            if message.request_id is not None:
                _check_age(receipt, started, topology.limits.request_age)
        except ControllerError as error:
            verdict, finished = verdict_of(Standing(ended=error)), self.ports.clock.now()
            return Report(message.topology, verdict, request.woken_by, started, finished, error=error)
        return reconcile(topology, self.ports, request, deadline=deadline, problems=problems)

    def _declared(self, name: str, now: datetime) -> tuple[Topology, tuple[str, ...]] | None:
        """Read what is declared, else what was declared when it could be read last, and the problem that this is.

        Raises:
            ObservationError, TopologyError: it cannot be read, or is not valid, and nothing was kept.
        """
        before = self.known.get(name)
        try:
            document = self.ports.topologies.document(name)
            if document is None:
                return None
            same = before is not None and before.kept.document == document
            topology = before.topology if before and same else parse(document)
        except ControllerError as error:
            known = before or self._kept(name)
            if known is None:
                raise
            at = f"{known.kept.at:%Y-%m-%d %H:%M} UTC"
            return known.topology, (f"{error.message}; what was declared by {at} is kept until then",)
        kept = Kept(document, now)
        stored = bool(before and same and before.stored) or self._keep(name, kept)
        self.known[name] = Known(kept, topology, stored)
        return topology, ()

    def _keep(self, name: str, kept: Kept) -> bool:
        """Have the journal keep a declaration; return whether it does, else the next run tries again."""
        try:
            self.ports.journal.keep(name, kept)
        except ControllerError as error:
            self.ports.telemetry.failed(f"the declaration of {name} could not be kept", error)
            return False
        return True

    def _kept(self, name: str) -> Known | None:
        """Read from the journal what an earlier process kept; None when there is none, or none that can be read."""
        try:
            kept = self.ports.journal.kept(name)
            return Known(kept, parse(kept.document), stored=True) if kept else None
        except ControllerError as error:
            self.ports.telemetry.failed(f"no earlier declaration of {name} could be read", error)
            return None

    def _let_go(self, report: Report) -> None:
        """Complete the hook of every terminating instance that nothing leads to any more; at worst its timeout does.

        A hook stays noted until it is completed, so that what fails here is done by the next run.
        """
        if not report.moored:
            return
        for notice in report.notices:
            if notice.hook is None or notice.instance_id == report.router_id:
                continue
            try:
                self.ports.groups.complete(notice.hook, notice.instance_id)
            except ControllerError as error:
                self.ports.telemetry.failed(f"{notice.instance_id} could not be let go", error)
            else:
                self._amend(report.topology, partial(History.completed, hook=notice.hook))

    def _answer(self, message: Message, state: str, report: Report | None = None) -> None:
        if message.request_id is None:
            return
        try:
            self.ports.journal.answer(message.request_id, message.topology, state, report)
        except ControllerError as error:
            self.ports.telemetry.failed(f"request {message.request_id} could not be answered", error)

    def _amend(self, name: str, change: Callable[[History], History]) -> None:
        try:
            self.ports.journal.amend(name, change)
        except ControllerError as error:
            self.ports.telemetry.failed(f"a notice about {name} could not be noted", error)


def _receipt(record: Mapping[str, Any]) -> Receipt | None:
    """Read a message's receipt; None where the queue says nothing of when it was sent."""
    attributes = record["attributes"]
    sent, received = attributes.get("SentTimestamp"), attributes.get("ApproximateReceiveCount")
    at = datetime.fromtimestamp(int(sent) / 1000, UTC) if sent else None
    return Receipt(at, again=int(received or 1) > 1) if at else None


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
