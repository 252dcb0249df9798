"""The way to the worker: events that may be lost, doubled, late; a FIFO queue whose group is blocked by what is in flight."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.controller.ingest import ingest
from chalicelib.controller.worker import Known
from chalicelib.core.declaration import Kept
from chalicelib.core.errors import ApplyError, ObservationError
from chalicelib.core.messages.concern import Whereabouts
from chalicelib.core.messages.event import Ignored
from tests.builders import VPC
from tests.ports import EventsPorts
from tests.simulator.declared import document
from tests.simulator.vpc import moment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from chalicelib.core.messages.message import Message
    from chalicelib.core.network.topology import Topology
    from tests.simulator.course import Course
    from tests.simulator.journal import SimulatedJournal
    from tests.simulator.judge import Judge

ACCOUNT, REGION = "111122223333", "eu-central-1"
_CHALICE = Path(__file__).parents[2] / ".chalice"
_CONFIG = json.loads((_CHALICE / "config.json").read_text(encoding="utf-8"))
_TEMPLATE = (_CHALICE / "resources.yaml").read_text(encoding="utf-8")
FUNCTION_SECONDS = float(_CONFIG["stages"]["prod"]["lambda_functions"]["reconcile"]["lambda_timeout"])
"""The worker's timeout, as it is deployed."""
VISIBILITY = float(_found[1] if (_found := re.search(r"VisibilityTimeout: (\d+)", _TEMPLATE)) else 0)
"""The queue's visibility timeout, as it is deployed."""
MOST = 5
"""How often a message is received before it goes to the dead letters."""

AGAIN = 5.0
"""Seconds until a message that could not be served comes again."""


class SimulatedQueue:
    """Implements `ports.Queue`, and serves nobody while a message is in flight."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self.messages: list[tuple[int, str, Message]] = []
        self._once: set[str] = set()
        self._received: dict[int, int] = {}
        self.blocked_until = 0.0
        self._number = 0

    def send(self, messages: Sequence[Message], once: str | None = None) -> None:
        """Put every message on the queue, of the same `once` one."""
        self._fail("SendMessageBatch")
        if once is not None and once in self._once:
            return
        self._once.add(once or "")
        for message in messages:
            self.put(message)

    def put(self, message: Message) -> None:
        """Put one on the queue, without a call that could fail."""
        self._number += 1
        self.messages.append((self._number, message.dumps(), message))

    def postpone(self, _: str) -> None:
        """Have the message in flight come again soon."""
        self._fail("ChangeMessageVisibility")
        self.blocked_until = self._course.vpc.now + AGAIN

    def received(self) -> tuple[dict[str, Any], Message] | None:
        """Receive the next message; until it is deleted, or its time is over, nobody else of its group is served."""
        if not self.messages or self._course.vpc.now < self.blocked_until:
            return None
        number, body, message = self.messages[0]
        self._received[number] = self._received.get(number, 0) + 1
        if self._received[number] > MOST:
            self._course.say(f"message {number} goes to the dead letters")
            del self.messages[0]
            return self.received()
        self.blocked_until = self._course.vpc.now + VISIBILITY
        sent = str(int(message.at.timestamp() * 1000))
        attributes = {"MessageGroupId": "office", "SentTimestamp": sent}
        record = {
            "messageId": str(number),
            "receiptHandle": str(number),
            "body": body,
            "attributes": attributes,
        }
        return record, message

    def delete(self, message_id: str) -> None:
        """Delete a message that was served."""
        self.messages = [m for m in self.messages if str(m[0]) != message_id]
        self.blocked_until = self._course.vpc.now

    def _fail(self, api: str) -> None:
        course = self._course
        if course.running and (kind := course.call(api)):
            raise ApplyError(f"sqs:{api} failed: {kind}")


class Parameters:
    """Implements `ports.Topologies`.

    `known_here` is what the worker's process knows of it; a process that is killed forgets it.
    """

    def __init__(self, course: Course, declared: Topology, journal: SimulatedJournal) -> None:
        self._course, self.declared, self.last, self._journal = course, declared, declared, journal
        self._written = {document(declared): declared}
        self.known_here = {"office": Known(Kept(document(declared), moment(0.0)), declared, stored=False)}

    def names(self) -> list[str]:
        """List the one name."""
        return ["office"]

    def read(self, name: str) -> Topology:
        """Read the one topology."""
        return self.declared

    def known(self, *, fresh: bool = False) -> Mapping[str, Topology | None]:
        """Return the one topology."""
        return {"office": self.declared}

    def forget(self) -> None:
        """Nothing is kept."""

    def document(self, name: str) -> bytes | None:
        """Read it for the worker, as it is written; what cannot be read leaves the worker with what it read last."""
        run = self._course.running[-1]
        run.topology = self._remembered(name)
        if kind := self._course.call("GetParameter", name):
            if run.topology is not self.declared and not (run.topology and run.topology.paused):
                run.paused = False  # a pause that nobody could read is none
            raise ObservationError(f"ssm:GetParameter failed: {kind}")
        run.topology = self.last = self.declared
        self._written[document(self.declared)] = self.declared
        return document(self.declared)

    def _remembered(self, name: str) -> Topology | None:
        """Return what the worker has where it cannot read: what its process read last, else what the journal kept."""
        if name in self.known_here:
            return self.last
        kept = self._journal.documents.get(name)
        return self._written.get(kept.document) if kept else None


class Events:
    """EventBridge and `on_event`: an event becomes messages on the queue, by `ingest`."""

    def __init__(self, course: Course, parameters: Parameters, queue: SimulatedQueue, judge: Judge) -> None:
        self._course, self.queue, self._judge = course, queue, judge
        self._ports = EventsPorts(parameters, self, queue, self)
        self.fate = (0.0, 0.0, 0.0)
        """How often an event is lost, doubled, and late."""

    def now(self) -> Any:  # noqa: ANN401 - a datetime, for `ports.Clock`
        """Return the time."""
        return moment(self._course.vpc.now)

    def sleep(self, seconds: float) -> None:
        """Nobody waits here."""

    def locate(self, mentioned: Collection[str]) -> dict[str, Whereabouts]:
        """Find instances, interfaces, tables and public addresses, as they are."""
        found = {name: self._place(name) for name in sorted(mentioned)}
        return {name: place for name, place in found.items() if place}

    def _place(self, name: str) -> Whereabouts | None:
        vpc = self._course.vpc
        match name.partition("-")[0]:
            case "i":
                instance = vpc.by_id(name, vpc.now)
                return Whereabouts(VPC, instance.tags) if instance else None
            case "eni":
                return Whereabouts(VPC) if vpc.owner_of(name) else None
            case "rtb":
                return Whereabouts(VPC) if name in vpc.tables else None
            case _:
                owned = (e for e in vpc.elastic_ips.values() if e.public_address == name)
                return next((Whereabouts(allocation_id=e.allocation_id) for e in owned), None)

    def emit(self, source: str, kind: str, detail: dict[str, Any], *, ours: str = "") -> None:
        """Have AWS tell of something: soon, late, twice, never; `ours` is what it concerns of what is declared."""
        course = self._course
        lost, doubled, late = self.fate
        if course.chance(lost):
            course.say(f"the event is lost: {kind}")
            return
        event = {
            "account": ACCOUNT,
            "region": REGION,
            "source": source,
            "detail-type": kind,
            "time": moment(course.vpc.now).isoformat(),
            "detail": detail,
        }
        for _ in range(2 if course.chance(doubled) else 1):
            delay = course.between(1, 800) if course.chance(late) else course.between(0.5, 5)
            course.at(course.vpc.now + delay, lambda: self.deliver(event, ours))

    def deliver(self, event: dict[str, Any], ours: str = "") -> None:
        """Pass an event on as the deployed function does."""
        try:
            ingest(event, self._ports, ACCOUNT, REGION)
        except Ignored as reason:
            self._course.say(f"an event wakes nobody: {reason}")
            if ours:
                self._judge.blame("I15 an event that concerns us wakes nobody", f"{ours}: {reason}")

    def tick(self) -> None:
        """Have the minute's schedule trigger."""
        at = moment(self._course.vpc.now)
        event = {"account": ACCOUNT, "region": REGION, "source": "aws.events", "time": at.isoformat()}
        self.deliver(event | {"detail-type": "Scheduled Event", "detail": {}})
