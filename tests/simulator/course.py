"""The course of things: virtual time, what is due when, what goes wrong at which call, and who is running."""

from __future__ import annotations

import heapq
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeAlias, TypeVar, cast

from tests.simulator.vpc import moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from random import Random

    from chalicelib.core.messages.message import Message
    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology
    from tests.simulator.vpc import Vpc

P = ParamSpec("P")
T = TypeVar("T")
Kind: TypeAlias = Literal["throttle", "refuse", "lose", "hang"]
CODES: dict[str, str] = {
    "throttle": "RequestLimitExceeded",
    "refuse": "UnauthorizedOperation",
    "lose": "ReadTimeoutError",
    "hang": "ReadTimeoutError",
}
LATENCY = 0.03
"""Seconds that a call takes."""


class CutOff(BaseException):
    """The run ends here, as a Lambda that is killed: no handler runs, nothing is tidied up."""


@dataclass(slots=True)
class Fault:
    """What goes wrong with an API, or with one resource of it, while it lasts.

    throttle, refuse: nothing happens, and AWS says so. lose: it happens, and the answer is lost. hang: nobody answers
    until the caller's patience ends. `share` is how often, of the calls that it concerns.
    """

    api: str
    kind: Kind
    since: float
    until: float
    resource: str = ""
    share: float = 1.0


@dataclass(slots=True)
class Run:
    """One run of the controller as it was seen from outside; `report` is None while it lasts, or when it was cut off.

    `calm` says that reads were fresh and nothing happened beside it, `failed` are the APIs of which a call failed, `late` those that were shown as of earlier.
    `stolen` are the seconds that other runs took in the middle of it. `paused` says that a pause was in force for all of it, `maybe_paused` for some.
    """

    number: int
    kind: Literal["worker", "here"]
    skew: float
    started: float
    deadline: float
    message: Message | None = None
    force: bool = False
    topology: Topology | None = None
    to: str | None = None
    expired: bool = False
    report: Report | None = None
    calm: bool = True
    failed: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    waited: float = 0.0
    in_turn: bool = False
    looked: bool = False
    blind: bool = False
    stolen: float = 0.0
    version: int = 0
    noted: int = 0
    heard: bool = False
    looks: int = 0
    writes: int = 0
    pushes: int = 0
    decided: bool = False
    overtaken: bool = False
    paused: bool = False
    maybe_paused: bool = False
    left_nat: list[str] = field(default_factory=list)


class Clock:
    """One function's clock, which goes wrong by so many seconds."""

    def __init__(self, course: Course, skew: float) -> None:
        self._course, self._skew = course, skew

    def now(self) -> datetime:
        """Return the time as this function has it."""
        return moment(self._course.vpc.now + self._skew)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._course.spend(seconds)


class InPlace(Executor):
    """Runs what may run at the same time at once, in place: a run is the same each time."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run it now."""
        future: _Answer[T] = _Answer()
        future.work_out(lambda: fn(*args, **kwargs))
        return future


class _Answer(Future[T]):
    """An answer, or what was raised instead, without the locks that a future of several threads needs."""

    def __init__(self) -> None:
        self._worked_out = False
        self._value: T | None = None
        self._raised: Exception | None = None

    def work_out(self, work: Callable[[], T]) -> None:
        """Have it from now on."""
        try:
            self._value = work()
        except Exception as error:  # noqa: BLE001 - a future holds whatever was raised
            self._raised = error
        self._worked_out = True

    def result(self, timeout: float | None = None) -> T:
        """Return it."""
        if self._raised:
            raise self._raised
        return cast("T", self._value)


class _Later(_Answer[T]):
    """An answer that is worked out when somebody asks for it, as far as that takes no longer than may be."""

    def __init__(self, course: Course, work: Callable[[], T]) -> None:
        super().__init__()
        self._course, self._work = course, work

    def result(self, timeout: float | None = None) -> T:
        """Work it out, once."""
        if not self._worked_out:
            course = self._course
            before, limit = course.limit, course.vpc.now + timeout if timeout is not None else course.limit
            course.limit = min(before, limit)
            try:
                self.work_out(self._work)
            finally:
                course.limit = before
        return super().result(timeout)


class InTurn(Executor):
    """Runs what may run at the same time when its answer is asked for: what is slow keeps nobody waiting until then."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run it later."""
        return _Later(self._course, lambda: fn(*args, **kwargs))


class Course:
    """Time, agenda and faults of one schedule; `random` is all its chance."""

    def __init__(self, random: Random, vpc: Vpc, *, trace: bool) -> None:
        self.random, self.vpc = random, vpc
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.faults: list[Fault] = []
        self.crashes: dict[int, str] = {}
        self.calls = 0
        self.running: list[Run] = []
        self.limit = float("inf")
        self.lag: Callable[[str], float] | None = None
        self.idle: Callable[[], None] | None = None
        self.lines: list[str] | None = [] if trace else None
        self._order = count()

    # -- chance --------------------------------------------------------------------------------------

    def pick(self, choices: tuple[T, ...] | list[T]) -> T:
        """Choose one."""
        return choices[int(self.random.random() * len(choices))]

    def chance(self, share: float) -> bool:
        """Return yes that often."""
        return self.random.random() < share

    def between(self, low: float, high: float) -> float:
        """Choose a number."""
        return low + (high - low) * self.random.random()

    # -- time ----------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Write a line of the trace."""
        if self.lines is not None:
            depth = "  " * len(self.running)
            self.lines.append(f"{moment(self.vpc.now):%H:%M:%S.%f}"[:-3] + f"  {depth}{text}")

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Have something happen at a moment."""
        heapq.heappush(self.agenda, (when, next(self._order), what))

    def wait(self, until: float) -> None:
        """Let time pass, and happen what is due on the way."""
        while self.agenda and self.agenda[0][0] <= until:
            when, _, what = heapq.heappop(self.agenda)
            self.vpc.now = max(self.vpc.now, when)
            what()
            if self.idle and not self.running:
                self.idle()
        self.vpc.now = max(self.vpc.now, until)

    def spend(self, seconds: float) -> None:
        """Let time pass within a run; at its deadline it is cut off."""
        run, before = self.running[-1], self.vpc.version
        self.wait(min(self.vpc.now + seconds, run.deadline + run.stolen))
        if self.vpc.version != before:
            run.calm = False
        if self.vpc.now >= run.deadline + run.stolen:
            self.say("the function is killed at its deadline")
            raise CutOff

    # -- calls ---------------------------------------------------------------------------------------

    def call(self, api: str, resource: str = "", patience: float = 6.0) -> Kind | None:
        """Begin a call of the run in hand: time passes; returns what goes wrong with it, if anything does."""
        kind = self.met(api, resource)
        takes = patience if kind == "hang" else LATENCY
        if self.vpc.now + takes > self.limit:
            self.spend(max(0.0, self.limit - self.vpc.now))
            raise TimeoutError
        self.spend(takes)
        return kind

    def met(self, api: str, resource: str = "") -> Kind | None:
        """Count a call, cut the run off before it where that is due, and give the fault it meets."""
        self.calls += 1
        run = self.running[-1]
        if self.crashes.get(self.calls) == "before":
            self.say(f"cut off before {api} {resource}")
            raise CutOff
        if not self.faults:
            return None
        now = self.vpc.now
        for fault in self.faults:
            if (
                fault.api in (api, "")
                and fault.since <= now < fault.until
                and fault.resource in ("", resource)
                and (fault.share == 1.0 or self.random.random() < fault.share)
            ):
                run.failed.add(api)
                self.say(f"{fault.kind}: {api} {resource}")
                return fault.kind
        return None

    def done(self, api: str) -> None:
        """End a call; cut the run off after it where that is due."""
        if self.crashes and self.crashes.get(self.calls) == "after":
            self.say(f"cut off after {api}")
            raise CutOff
