"""The journal: strongly consistent and never late; every change of what it remembers is judged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.core.errors import ApplyError, ObservationError
from chalicelib.core.network.history import History
from chalicelib.core.network.report import as_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from chalicelib.core.declaration import Kept
    from chalicelib.core.network.report import Report
    from tests.simulator.course import Course
    from tests.simulator.judge import Judge

AMENDS = 10


class Desk:
    """The journal as an operator's own hand reaches it: no run is cut off there, and nothing fails."""

    def __init__(self, journal: SimulatedJournal) -> None:
        self._journal = journal

    def amend(self, name: str, change: Callable[[History], History]) -> History:
        """Change a topology's history."""
        before = self._journal.history(name)
        changed = change(before)
        if changed != before:
            self._journal.histories[name] = replace(changed, revision=before.revision + 1)
        return self._journal.history(name)

    def answer(self, request_id: str, name: str, state: str, report: Report | None = None) -> None:
        """Note how far a request has come."""
        self._journal.answers[request_id] = state

    def keep(self, name: str, kept: Kept) -> None:
        """Keep a valid declaration."""
        self._journal.documents[name] = kept

    def kept(self, name: str) -> Kept | None:
        """Read the declaration that was kept last."""
        return self._journal.documents.get(name)


class SimulatedJournal:
    """Implements `ports.OperatorJournal` in memory, with `aws.journal`'s rules of who was first."""

    def __init__(self, course: Course, judge: Judge) -> None:
        self._course, self._judge = course, judge
        self.histories: dict[str, History] = {}
        self.answers: dict[str, str] = {}
        self.documents: dict[str, Kept] = {}
        self.reports: list[Report] = []

    def history(self, name: str) -> History:
        """Return what is on record, without a call."""
        return self.histories.get(name) or History()

    def read(self, name: str) -> History:
        """Read a topology's history."""
        if kind := self._course.call("GetItem"):
            raise ObservationError(f"dynamodb:GetItem failed: {kind}")
        found = self.history(name)
        self._course.done("GetItem")
        return found

    def decide(self, name: str, before: History, after: History, decision: Report) -> None:
        """Write a decision down, unless somebody wrote since `before` was read."""
        kind = self._course.call("TransactWriteItems")
        if kind in ("throttle", "refuse", "hang"):
            raise ApplyError(f"dynamodb:TransactWriteItems failed: {kind}")
        latest = self.history(name)
        if latest.revision != before.revision:
            raise ObservationError("another run has decided since", hint="look again")
        self._put(name, latest, after)
        self._judge.decided(self._course.running[-1], latest, after, decision)
        self._course.done("TransactWriteItems")
        if kind == "lose":
            raise ApplyError("dynamodb:TransactWriteItems failed: ReadTimeoutError")

    def amend(self, name: str, change: Callable[[History], History]) -> History:
        """Change a topology's history, whatever others write meanwhile."""
        for _ in range(AMENDS):
            before = self.read(name)
            changed = change(before)
            if changed == before:
                return before
            kind = self._course.call("PutItem", "state")
            if kind in ("throttle", "refuse", "hang"):
                raise ApplyError(f"dynamodb:PutItem failed: {kind}")
            latest = self.history(name)
            if latest.revision != before.revision:
                continue
            after = replace(changed, revision=before.revision + 1)
            self._put(name, latest, after)
            self._judge.amended(self._course.running[-1], latest, after)
            self._course.done("PutItem")
            if kind == "lose":
                raise ApplyError("dynamodb:PutItem failed: ReadTimeoutError")
            return after
        raise ObservationError(f"others keep deciding about {name}", hint="try again in a moment")

    def _put(self, name: str, before: History, after: History) -> None:
        self.histories[name] = after
        if after.router != before.router:
            self._course.say(f"the journal's router is {after.router} now, and was {before.router}")

    def close(self, name: str, report: Report) -> None:
        """Write down what became of a decision."""
        if kind := self._course.call("PutItem", "run"):
            raise ApplyError(f"dynamodb:PutItem failed: {kind}")
        self.reports.append(report)
        self._course.done("PutItem")

    def answer(self, request_id: str, name: str, state: str, report: Report | None = None) -> None:
        """Note how far a request has come."""
        if kind := self._course.call("PutItem", "request"):
            raise ApplyError(f"dynamodb:PutItem failed: {kind}")
        self.answers[request_id] = state
        self._course.done("PutItem")

    def answered(self, request_id: str) -> dict[str, Any] | None:
        """Read how far a request has come."""
        state = self.answers.get(request_id)
        return {"state": state} if state else None

    def timeline(self, name: str, limit: int) -> list[dict[str, Any]]:
        """Read the latest reports that were written down."""
        return [as_json(report) for report in reversed(self.reports[-limit:])]

    def keep(self, name: str, kept: Kept) -> None:
        """Keep a valid declaration."""
        if kind := self._course.call("PutItem", "declaration"):
            raise ApplyError(f"dynamodb:PutItem failed: {kind}")
        self.documents[name] = kept
        self._course.done("PutItem")

    def kept(self, name: str) -> Kept | None:
        """Read the declaration that was kept last."""
        if kind := self._course.call("GetItem", "declaration"):
            raise ObservationError(f"dynamodb:GetItem failed: {kind}")
        return self.documents.get(name)
