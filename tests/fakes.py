"""Fakes of the controller's ports over a model VPC; what goes wrong, and when, is data that hypothesis can draw.

A fault belongs to the n-th step of a kind, counted over a scene's whole life: the second observe, the fifth write.
"""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeAlias, TypeVar

from chalicelib.controller.reconcile import reconcile
from chalicelib.core.errors import ApplyError, ObservationError, PushError
from chalicelib.core.machines.machine import Invocation
from chalicelib.core.network.history import History
from chalicelib.core.network.report import Failure
from chalicelib.core.request import Request
from tests.builders import NOON
from tests.core.model import Model, Refused
from tests.ports import RunPorts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from chalicelib.core.machines.certificate import CertificateRecord
    from chalicelib.core.machines.machine import Agent
    from chalicelib.core.network.change import NetworkChange, PushConfig
    from chalicelib.core.network.observation import Instance, Observation
    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology

P = ParamSpec("P")
T = TypeVar("T")
Step: TypeAlias = Literal["observe", "instance", "read", "decide", "write", "amend", "close"]
Kind: TypeAlias = Literal["refuse", "lose", "stale", "cut-before", "cut-after", "happen"]


class CutOff(BaseException):
    """The run ends here, as a Lambda that is killed: no handler runs, nothing is tidied up."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at the n-th step of a kind, and at `times` - 1 more of them.

    refuse: nothing happens, and the port says so; for a reading, it fails.
    lose: it happens, and the port says that it failed; for a reading, it fails.
    stale: a reading is of the VPC as it was `age` changes ago.
    cut-before, cut-after: the run is cut off there.
    happen: something happens in the VPC just before.
    """

    step: Step
    nth: int
    kind: Kind
    times: int = 1
    age: int = 1
    code: str = "RequestLimitExceeded"
    event: Callable[[Model], None] | None = None


class Script:
    """The faults to come, until `stop`."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.faults = tuple(faults)
        self.steps: Counter[Step] = Counter()
        self.fired: list[Fault] = []
        self.stopped = False

    def stop(self) -> None:
        """End all faults."""
        self.stopped = True

    def at(self, step: Step) -> dict[Kind, Fault]:
        """Take the next step of a kind and give the faults it meets."""
        nth = self.steps[step]
        self.steps[step] += 1
        met = [f for f in self.faults if f.step == step and f.nth <= nth < f.nth + f.times]
        if self.stopped:
            return {}
        self.fired += met
        return {f.kind: f for f in met}


def _cut(met: dict[Kind, Fault], kind: Literal["cut-before", "cut-after"]) -> None:
    if kind in met:
        raise CutOff(kind)


class InPlace(Executor):
    """Runs what may run at the same time at once, in place: a run is the same each time."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run it now."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - a future holds whatever was raised
            future.set_exception(error)
        return future


class Late(Future[T]):
    """What began when it was asked for, and took its time on the clock: who wants it waits for what is left of that."""

    def __init__(self, clock: FakeClock, job: Callable[[], T]) -> None:
        super().__init__()
        self._clock, self._job, self._began = clock, job, clock.now()

    def result(self, timeout: float | None = None) -> T:
        """Wait, and no longer than that."""
        now = self._clock.now()
        if not self.done():
            self._clock.time = self._began
            try:
                self.set_result(self._job())
            except Exception as error:  # noqa: BLE001 - a future holds whatever was raised
                self.set_exception(error)
            self._began = self._clock.now()  # when it ended
        patient = self._began if timeout is None else now + timedelta(seconds=timeout)
        self._clock.time = max(now, min(self._began, patient))
        if self._began > patient:
            raise TimeoutError
        return super().result(0)


class Beside(Executor):
    """Runs what may run at the same time as time on a fake clock has it: what is slow keeps nobody who does not ask."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin it now."""
        return Late(self._clock, lambda: fn(*args, **kwargs))


class FakeClock:
    """Time that passes only when somebody waits."""

    def __init__(self, now: datetime = NOON) -> None:
        self.time = now

    def now(self) -> datetime:
        """Return the time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Sight:
    """One look: the VPC that was shown, which a stale one is no more."""

    shown: Model
    stale: bool


@dataclass(frozen=True, slots=True)
class Write:
    """One write: the VPC just before and just after, and what the port said."""

    change: NetworkChange
    before: Model
    after: Model
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision on record."""

    after: History
    decision: Report


Entry: TypeAlias = Sight | Write | Decided


@dataclass
class FakeNetwork:
    """The network port: everything it did is in `log`, in order.

    `turn` shifts the order in which the changes of one `apply` are attempted, since the edge makes them in parallel.
    `write_seconds` is how long each takes, `look_seconds` how long a look: one that there is no time for fails when that
    is over. `unread` are the readings that every look lacks, and why.
    """

    model: Model
    clock: FakeClock = field(default_factory=FakeClock)
    script: Script = field(default_factory=Script)
    turn: int = 0
    write_seconds: float = 0.0
    look_seconds: float = 0.0
    unread: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    log: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.past = [self.model.copy()]

    @property
    def writes(self) -> list[Write]:
        """Every write so far."""
        return [entry for entry in self.log if isinstance(entry, Write)]

    @property
    def sights(self) -> list[Sight]:
        """Every look so far."""
        return [entry for entry in self.log if isinstance(entry, Sight)]

    def instance(self, instance_id: str, seconds: float = 20.0) -> Instance | None:
        """Look for one instance by its id, as it is now."""
        self.asked.append(instance_id)
        met = self.script.at("instance")
        _cut(met, "cut-before")
        if failed := met.get("refuse") or met.get("lose"):
            raise ObservationError(f"ec2:DescribeInstances failed: {failed.code}", aws_code=failed.code)
        _cut(met, "cut-after")
        return self.model.instance(instance_id)

    def observe(self, topology: Topology, seconds: float = 20.0) -> Observation:
        """Look, maybe at the past."""
        met = self.script.at("observe")
        self._happen(met)
        _cut(met, "cut-before")
        at = self.clock.now()
        self.clock.sleep(min(self.look_seconds, seconds))
        if self.look_seconds > seconds:
            raise ObservationError("ec2:DescribeRouteTables did not answer in time")
        if failed := met.get("refuse") or met.get("lose"):
            raise ObservationError(f"ec2:DescribeRouteTables failed: {failed.code}", aws_code=failed.code)
        shown = self.model.copy()
        if stale := met.get("stale"):
            shown = self.past[max(0, len(self.past) - 1 - stale.age)]
        self.log.append(Sight(shown, stale is not None))
        _cut(met, "cut-after")
        return shown.observe(topology, at, self.unread)

    def apply(self, changes: Sequence[NetworkChange], seconds: float) -> Sequence[Failure | None]:
        """Attempt the changes one by one."""
        deadline = self.clock.now() + timedelta(seconds=seconds)
        failures: dict[int, Failure | None] = {}
        for place in range(len(changes)):
            index = (place + self.turn) % len(changes)
            if self.clock.now() >= deadline:
                failures[index] = Failure("OutOfTime", "there was no time left to attempt it", retryable=True)
                continue
            failures[index] = self._write(changes[index])
            self.clock.sleep(self.write_seconds)
        return [failures[index] for index in range(len(changes))]

    def _write(self, change: NetworkChange) -> Failure | None:
        met = self.script.at("write")
        self._happen(met)
        _cut(met, "cut-before")
        before, failure = self.model.copy(), None
        if refused := met.get("refuse"):
            failure = Failure(refused.code, "refused", retryable=True)
        else:
            try:
                self.model.apply(change)
            except Refused as refusal:
                failure = Failure(refusal.code, refusal.message, retryable=False)
            else:
                self._remember()
                failure = Failure("ReadTimeoutError", "no reply", retryable=True) if "lose" in met else None
        self.log.append(Write(change, before, self.model.copy(), failure))
        _cut(met, "cut-after")
        return failure

    def happen(self, event: Callable[[Model], None]) -> None:
        """Let something happen in the VPC."""
        event(self.model)
        self._remember()

    def _happen(self, met: dict[Kind, Fault]) -> None:
        if (fault := met.get("happen")) and fault.event:
            self.happen(fault.event)

    def _remember(self) -> None:
        self.past.append(self.model.copy())


@dataclass
class FakeJournal:
    """The journal port: the history of each topology, every decision (in `log`) and every outcome."""

    script: Script = field(default_factory=Script)
    log: list[Entry] = field(default_factory=list)
    histories: dict[str, History] = field(default_factory=dict)
    outcomes: list[Report] = field(default_factory=list)

    def read(self, name: str) -> History:
        """Return a topology's history."""
        met = self.script.at("read")
        _cut(met, "cut-before")
        if "refuse" in met or "lose" in met:
            raise ObservationError("dynamodb:GetItem failed: InternalServerError")
        _cut(met, "cut-after")
        return self.histories.get(name, History())

    def decide(self, name: str, before: History, after: History, decision: Report) -> None:
        """Write a decision down, unless another run was faster."""
        met = self.script.at("decide")
        _cut(met, "cut-before")
        if "refuse" in met:
            raise ApplyError("dynamodb:PutItem failed: InternalServerError")
        if self.histories.get(name, History()) != before:
            raise ObservationError("another run has decided since")
        self.histories[name] = after
        self.log.append(Decided(after, decision))
        if "lose" in met:
            raise ApplyError("dynamodb:PutItem failed: ReadTimeoutError")
        _cut(met, "cut-after")

    def amend(self, name: str, change: Callable[[History], History]) -> History:
        """Change a topology's history."""
        met = self.script.at("amend")
        _cut(met, "cut-before")
        if "refuse" in met:
            raise ApplyError("dynamodb:PutItem failed: InternalServerError")
        before = self.histories.get(name, History())
        changed = change(before)
        self.histories[name] = before if changed == before else replace(changed, revision=before.revision + 1)
        if "lose" in met:
            raise ApplyError("dynamodb:PutItem failed: ReadTimeoutError")
        _cut(met, "cut-after")
        return self.histories[name]

    def close(self, name: str, report: Report) -> None:
        """Write an outcome down."""
        met = self.script.at("close")
        _cut(met, "cut-before")
        if "refuse" in met:
            raise ApplyError("dynamodb:UpdateItem failed: InternalServerError")
        self.outcomes.append(report)
        if "lose" in met:
            raise ApplyError("dynamodb:UpdateItem failed: ReadTimeoutError")
        _cut(met, "cut-after")


@dataclass
class FakeMachines:
    """The machines port: agents by instance, what each command brings, and every command that was sent, in order."""

    online: dict[str, Agent] = field(default_factory=dict)
    answers: dict[str, Invocation | None] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    stored: CertificateRecord | None = None
    deaf: bool = False
    broken: bool = False
    commands: bool = True
    slow: Callable[[], None] | None = None

    def agents(self, topology: Topology) -> dict[str, Agent]:
        """Return the agents, unless Systems Manager is deaf; `slow` is what each call waits for."""
        if self.slow:
            self.slow()
        if self.deaf:
            raise ObservationError("ssm:DescribeInstanceInformation failed: InternalServerError")
        return dict(self.online)

    def certificate(self, topology: Topology) -> CertificateRecord | None:
        """Return the record of the stored secrets."""
        return self.stored

    def answer(self, command_id: str, instance_id: str) -> Invocation | None:
        """Return what a command brought."""
        self.asked.append(command_id)
        if self.deaf:
            raise ObservationError("ssm:GetCommandInvocation failed: InternalServerError")
        return self.answers.get(f"{command_id} {instance_id}", Invocation("InProgress"))

    def push(self, topology: Topology, change: PushConfig) -> str:
        """Take a push."""
        return self._send(Sent("push", (change.instance_id,), change.bundle.digest, change.confirm_within))

    def inspect(self, instance_ids: Sequence[str]) -> str:
        """Take an inspection."""
        return self._send(Sent("inspect", tuple(instance_ids)))

    def confirm(self, instance_id: str, digest: str) -> str:
        """Take a confirmation."""
        return self._send(Sent("confirm", (instance_id,), digest))

    def _send(self, sent: Sent) -> str:
        if self.slow:
            self.slow()
        if self.broken:
            raise PushError("ssm:SendCommand failed: AccessDeniedException", aws_code="AccessDeniedException")
        self.sent.append(sent)
        return f"command-{len(self.sent)}"

    def say(self, number: int, instance_id: str, status: str = "Success", **said: object) -> None:
        """Have the n-th command (from 1) end on a machine, which says this."""
        document = json.dumps({"mooring": 1, **said})
        self.answers[f"command-{number} {instance_id}"] = Invocation(status, f"some noise\n{document}\n")


@dataclass(frozen=True, slots=True)
class Sent:
    """One command that was sent."""

    kind: str
    instance_ids: tuple[str, ...]
    digest: str | None = None
    confirm_within: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it was seen from outside; `report` is None when it was cut off."""

    topology: Topology
    request: Request
    history: History
    entries: tuple[Entry, ...]
    report: Report | None

    @property
    def writes(self) -> list[Write]:
        """Its writes, in order."""
        return [entry for entry in self.entries if isinstance(entry, Write)]

    @property
    def sights(self) -> list[Sight]:
        """Its looks, in order."""
        return [entry for entry in self.entries if isinstance(entry, Sight)]


class Scene:
    """A topology, a VPC, a journal, a clock and what will go wrong: a stage for runs."""

    def __init__(self, topology: Topology, model: Model, faults: Iterable[Fault] = (), turn: int = 0) -> None:
        self.topology = topology
        self.model = model
        self.script = Script(faults)
        self.clock = FakeClock()
        self.network = FakeNetwork(model, self.clock, self.script, turn)
        self.journal = FakeJournal(self.script, self.network.log)
        self.machines = FakeMachines()
        self.executor: Executor = InPlace()
        self.runs: list[Run] = []

    def __repr__(self) -> str:
        """Show what hypothesis drew."""
        return f"Scene({self.topology}, faults={self.script.faults}, turn={self.network.turn})"

    @property
    def ports(self) -> RunPorts:
        """Return the ports a run needs."""
        return RunPorts(self.network, self.journal, self.clock, self.machines, self.executor)

    @property
    def history(self) -> History:
        """What the journal remembers."""
        return self.journal.histories.get(self.topology.name, History())

    def run(self, request: Request | None = None, deadline: datetime | None = None) -> Run:
        """Reconcile once, a minute later."""
        self.clock.sleep(60)
        request, history, start = request or Request("schedule"), self.history, len(self.network.log)
        try:
            report = reconcile(self.topology, self.ports, request, deadline=deadline)
        except CutOff:
            report = None
        self.runs.append(Run(self.topology, request, history, tuple(self.network.log[start:]), report))
        return self.runs[-1]

    def reconcile(self, request: Request | None = None, deadline: datetime | None = None) -> Report:
        """Reconcile once, where nothing cuts the run off."""
        report = self.run(request, deadline).report
        assert report is not None
        return report
