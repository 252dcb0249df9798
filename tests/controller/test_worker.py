"""What the worker makes of a wish that is too old, and of a declaration that cannot be read: the last valid one is kept."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.controller.worker import Worker
from chalicelib.core.declaration import Kept, parse
from chalicelib.core.errors import ApplyError, ObservationError
from chalicelib.core.messages.message import Message
from chalicelib.core.network.notice import Hook, Notice
from chalicelib.core.network.report import as_json
from chalicelib.core.request import Request
from tests.builders import EIP, NOON, ROUTER, STANDBY, instance, seen, standby
from tests.core.documents import written
from tests.core.model import Model
from tests.fakes import FakeJournal, Fault, Scene
from tests.histories import remembered
from tests.ports import WorkersPorts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology

VALID = written()
LIMITED = VALID + b'\n[limits]\nrequest_age = "10m"\n'
BROKEN = b"name = 3"
ASKED = str(uuid.UUID(int=1))
SECOND = timedelta(seconds=1)
TO_STANDBY = Request("anna", "switchover", STANDBY)


@dataclass
class Records(FakeJournal):
    """The journal with its answers and the declaration that is kept; `denied` is whether the latter is out of reach."""

    kept_before: Kept | None = None
    denied: bool = False
    answers: list[tuple[str, Report | None]] = field(default_factory=list)
    writes: list[Kept] = field(default_factory=list)

    def answer(self, request_id: str, name: str, state: str, report: Report | None = None) -> None:
        """Note an answer."""
        assert (request_id, name) == (ASKED, "office")
        self.answers.append((state, report))

    def answered(self, request_id: str) -> dict[str, Any] | None:
        """Read the last answer."""
        return {"state": self.answers[-1][0]} if self.answers else None

    def timeline(self, name: str, limit: int) -> list[dict[str, Any]]:
        """Read the outcomes that were written down."""
        return [as_json(report) for report in reversed(self.outcomes[-limit:])]

    def keep(self, name: str, kept: Kept) -> None:
        """Keep a declaration."""
        if self.denied:
            raise ApplyError("dynamodb:PutItem failed: AccessDeniedException")
        self.writes.append(kept)
        self.kept_before = kept

    def kept(self, name: str) -> Kept | None:
        """Read the one that was kept."""
        if self.denied:
            raise ObservationError("dynamodb:GetItem failed: AccessDeniedException")
        return self.kept_before


@dataclass
class Declared:
    """What is declared, as it can be read, or why it cannot; None where it was withdrawn."""

    stored: bytes | ObservationError | None

    def names(self) -> list[str]:
        """List the one name."""
        return [] if self.stored is None else ["office"]

    def document(self, name: str) -> bytes | None:
        """Read what is declared."""
        assert name == "office"
        if isinstance(self.stored, ObservationError):
            raise self.stored
        return self.stored

    def read(self, name: str) -> Topology:
        """Read and parse it."""
        document = self.document(name)
        assert document
        return parse(document)

    def known(self, *, fresh: bool = False) -> dict[str, Topology | None]:
        """Read all."""
        return {name: self.read(name) for name in self.names()}

    def forget(self) -> None:
        """Nothing is remembered."""


@dataclass
class Surroundings:
    """All that the worker works with, and what it said and wrote."""

    stored: bytes | ObservationError | None = VALID
    kept_before: Kept | None = None
    denied: bool = False
    told: list[Report] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    let_go: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.topology = parse(VALID)
        model = Model.of(seen(self.topology, instance(), standby()))
        self.scene = Scene(self.topology, model)
        script, log = self.scene.script, self.scene.network.log
        self.records = Records(script, log, kept_before=self.kept_before, denied=self.denied)
        self.declared = Declared(self.stored)
        self.records.histories["office"] = remembered(self.topology)
        self.scene.journal = self.records
        self.worker = self.start()

    def start(self) -> Worker:
        """Begin a process that knows nothing yet."""
        scene = self.scene
        return Worker(
            WorkersPorts(
                scene.network,
                self.records,
                scene.clock,
                scene.machines,
                scene.executor,
                topologies=self.declared,
                queue=self,
                groups=self,
                telemetry=self,
            )
        )

    def complete(self, hook: Hook, instance_id: str) -> None:
        """Note who was let go."""
        self.let_go.append(instance_id)

    def send(self, messages: Sequence[Message], once: str | None = None) -> None:
        """Nothing is sent here."""

    def postpone(self, receipt: str) -> None:
        """Nothing fails here."""

    def run(self, report: Report, triggered_at: datetime) -> None:
        """Note a report."""
        self.told.append(report)

    def ignored(self, what: str, reason: str) -> None:
        """Note what was ignored."""
        self.dropped.append(reason)

    def failed(self, what: str, error: Exception) -> None:
        """Note a complaint."""
        self.complaints.append(f"{what}: {error}")

    def serve(self, request: Request | None = None, **more: Any) -> Report | None:  # noqa: ANN401 - of Message's fields
        """Handle a message of now, a minute later than the last one."""
        self.scene.clock.sleep(60)
        message = Message("office", self.scene.clock.now(), request or Request("anna"))
        return self.worker.handle(replace(message, **more))


UNREADABLE = ObservationError("ssm:GetParameter failed: ThrottlingException")


# -- requests that are too old --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wish", [TO_STANDBY, replace(TO_STANDBY, force=True), Request(force=True), Request()]
)
def test_request_that_is_too_old_is_answered_expired_and_nothing_moves(wish: Request) -> None:
    """Issue 9, 9: a switchover ran up to two hours after it was asked for; who still wants it asks again."""
    around = Surroundings()
    around.scene.model.put_address(EIP, None)
    asked = NOON + timedelta(minutes=1) - timedelta(seconds=120) - SECOND

    report = around.serve(wish, request_id=ASKED, at=asked)

    assert report
    assert (report.verdict, around.scene.network.log) == ("expired", [])
    assert report.error
    assert report.error.message == "it was asked 121 s ago, and limits.request_age allows 120 s"
    assert not report.retryable
    assert around.records.answers == [("running", None), ("done", report)]
    assert around.told == [report]
    assert around.scene.history == remembered(around.topology)


@pytest.mark.parametrize(
    ("declared", "age", "verdict"),
    [
        (VALID, timedelta(minutes=2), "repaired"),
        (VALID, timedelta(minutes=2) + SECOND, "expired"),
        (LIMITED, timedelta(minutes=10), "repaired"),
        (LIMITED, timedelta(minutes=10) + SECOND, "expired"),
    ],
)
def test_how_old_a_request_may_be_is_declared(declared: bytes, age: timedelta, verdict: str) -> None:
    """The limit itself is young enough."""
    around = Surroundings(declared)

    report = around.serve(TO_STANDBY, request_id=ASKED, at=NOON + timedelta(minutes=1) - age)

    assert report
    assert report.verdict == verdict
    assert around.scene.history.router == (STANDBY if verdict == "repaired" else ROUTER)


def test_wake_up_that_nobody_asked_for_never_expires() -> None:
    """An event only says that it is worth looking: an old one is a look like any other."""
    around = Surroundings()

    report = around.serve(at=NOON - timedelta(hours=2))

    assert report
    assert report.verdict == "converged"


def test_age_of_a_request_is_told_by_the_queues_clock() -> None:
    """The one who asked may be hours off; SQS notes when it got the message."""
    around = Surroundings()
    sent = NOON - timedelta(seconds=30)
    message = Message("office", NOON - timedelta(hours=3), TO_STANDBY, ASKED)
    attributes = {"MessageGroupId": "office", "SentTimestamp": str(int(sent.timestamp() * 1000))}
    record = {"messageId": "m", "receiptHandle": "r", "body": message.dumps(), "attributes": attributes}

    assert around.worker.handle_batch([record]) == []
    assert around.scene.history.router == STANDBY
    old = attributes | {"SentTimestamp": str(int((NOON - timedelta(minutes=3)).timestamp() * 1000))}
    fresh = Message("office", NOON, replace(TO_STANDBY, to=ROUTER), ASKED)
    assert around.worker.handle_batch([record | {"body": fresh.dumps(), "attributes": old}]) == []
    assert (around.told[-1].verdict, around.scene.history.router) == ("expired", STANDBY)


@pytest.mark.parametrize(("received", "told"), [("1", False), ("2", True)])
def test_request_that_comes_again_too_late_is_told_that_a_run_of_it_was_cut_off(
    received: str, *, told: bool
) -> None:
    """Nobody knows what that run did: the one who asked is sent to look."""
    around = Surroundings()
    sent = str(int((NOON - timedelta(minutes=3)).timestamp() * 1000))
    queue = {"MessageGroupId": "office", "SentTimestamp": sent, "ApproximateReceiveCount": received}
    body = Message("office", NOON, TO_STANDBY, ASKED).dumps()

    around.worker.handle_batch([{"messageId": "m", "receiptHandle": "r", "body": body, "attributes": queue}])

    assert around.told[-1].verdict == "expired"
    assert ("an earlier run of it was cut off" in around.told[-1].sentence) is told


# -- instances that wait to be let go -------------------------------------------------------------------------


def ending(instance_id: str) -> Notice:
    """Return the notice that an instance's group is ending it, and waits."""
    hook = Hook("routers", "mooring", str(uuid.UUID(int=2)))
    return Notice(instance_id, "is being terminated by its group", NOON, hook, "termination")


def test_terminating_router_is_let_go_when_nothing_leads_to_it_any_more() -> None:
    """A failed write keeps it for a run longer."""
    around = Surroundings()
    around.scene.script.faults = (Fault("write", 0, "refuse"),)

    around.serve(notice=ending(ROUTER))
    assert around.let_go == []
    around.serve()

    assert around.let_go == [ROUTER]
    assert [notice.hook for notice in around.scene.history.notices] == [None]


def test_terminating_router_that_nobody_can_follow_is_kept() -> None:
    """It is the router for as long as the group's own timeout lets it."""
    around = Surroundings()
    around.scene.model.terminate(STANDBY)

    report = around.serve(notice=ending(ROUTER))

    assert report
    assert (report.router_id, report.moored, around.let_go) == (ROUTER, True, [])


# -- declarations that cannot be read -----------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [UNREADABLE, BROKEN], ids=["unreadable", "invalid"])
@pytest.mark.parametrize("process", ["the same", "another"])
def test_network_is_kept_by_the_last_valid_declaration(
    trouble: ObservationError | bytes, process: str
) -> None:
    """Issue 9, 7: Parameter Store away, and a dead router stayed the router; the age of what is kept is told."""
    around = Surroundings()
    assert around.serve()
    around.declared.stored = trouble
    if process == "another":
        around.worker = around.start()
    around.scene.model.terminate(ROUTER)

    report = around.serve()

    assert report
    assert (report.router_id, report.verdict, report.moored) == (STANDBY, "drifting", True)
    (problem,) = report.problems
    why = "ssm:GetParameter failed: ThrottlingException" if trouble is UNREADABLE else "the topology has"
    assert problem.startswith(why)
    assert problem.endswith("; what was declared by 2026-11-23 12:01 UTC is kept until then")


def test_process_that_read_it_lately_tells_that_age() -> None:
    """It was valid a minute ago, though it was stored long before."""
    around = Surroundings()
    for _ in range(3):
        around.serve()
    around.declared.stored = UNREADABLE

    report = around.serve()

    assert report
    assert "declared by 2026-11-23 12:03 UTC" in report.problems[0]


def test_declaration_is_kept_once_and_anew_when_it_changes() -> None:
    """A quiet network writes nothing."""
    around = Surroundings()
    for _ in range(3):
        around.serve()
    around.declared.stored = LIMITED
    for _ in range(3):
        around.serve()
    around.declared.stored = BROKEN
    around.serve()

    assert [kept.document for kept in around.records.writes] == [VALID, LIMITED]
    assert [kept.at for kept in around.records.writes] == [NOON + timedelta(minutes=n) for n in (1, 4)]


@pytest.mark.parametrize("trouble", [UNREADABLE, BROKEN], ids=["unreadable", "invalid"])
@pytest.mark.parametrize("kept", [None, Kept(BROKEN, NOON)], ids=["nothing kept", "kept invalid"])
def test_run_without_any_declaration_is_blind(trouble: ObservationError | bytes, kept: Kept | None) -> None:
    """What is not known is not guessed at, and the answer says why."""
    around = Surroundings(trouble, kept)

    report = around.serve(request_id=ASKED)

    assert report
    assert (report.verdict, around.scene.network.log) == ("blind", [])
    assert around.records.answers[-1] == ("done", report)


def test_journal_that_neither_keeps_nor_gives_stops_nothing() -> None:
    """It is said, and the process's own memory is enough for as long as it lasts."""
    around = Surroundings(denied=True)
    first = around.serve()
    around.declared.stored = UNREADABLE
    second = around.serve()
    around.worker = around.start()
    third = around.serve()

    assert [report and report.verdict for report in (first, second, third)] == [
        "converged",
        "drifting",
        "blind",
    ]
    assert [c.split(":")[0] for c in around.complaints] == [
        "the declaration of office could not be kept",
        "no earlier declaration of office could be read",
    ]


def test_topology_that_is_declared_no_more_ends() -> None:
    """That it is not there was read: nothing is kept of it, however lately it was."""
    around = Surroundings()
    around.serve()
    around.declared.stored = None
    around.scene.model.terminate(ROUTER)

    assert around.serve(request_id=ASKED) is None
    assert around.dropped == ["office is declared no more"]
    assert around.records.answers == [("running", None), ("done", None)]
    assert around.scene.network.writes == []


def test_kept_declaration_has_an_age_limit_of_its_own_for_requests() -> None:
    """What was declared of requests is part of what is kept."""
    around = Surroundings(LIMITED)
    around.serve()
    around.declared.stored = UNREADABLE

    report = around.serve(TO_STANDBY, request_id=ASKED, at=NOON - timedelta(minutes=7))

    assert report
    assert report.router_id == STANDBY
