"""One schedule: a network, its controller, and a course of things that one seed decides."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from chalicelib.controller.reconcile import reconcile
from chalicelib.controller.worker import Worker
from chalicelib.core.errors import ApplyError, ControllerError
from chalicelib.core.network.history import History
from tests.builders import ROUTER
from tests.ports import WorkersPorts
from tests.simulator import declared, nemesis
from tests.simulator.course import Clock, Course, CutOff, InPlace, InTurn, Run
from tests.simulator.journal import Desk, SimulatedJournal
from tests.simulator.judge import Judge
from tests.simulator.liveness import RUN_SECONDS, Liveness
from tests.simulator.machines import SimulatedMachines
from tests.simulator.network import SimulatedNetwork
from tests.simulator.queue import FUNCTION_SECONDS, Events, Parameters, SimulatedQueue
from tests.simulator.truth import Truth
from tests.simulator.vpc import moment, seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any

    from chalicelib.core.messages.message import Message
    from chalicelib.core.network.notice import Hook
    from chalicelib.core.network.report import Report
    from chalicelib.core.request import Request

REQUEST_AGE = 120.0
"""Seconds that a request may wait for; what is a few seconds older or younger is not judged by it."""

FOREVER = float("inf")


class Schedule:
    """A stage for one schedule; the ports, what is judged, and what happens."""

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        random = Random(seed)  # noqa: S311 - no secret
        self.features = nemesis.features(random)
        tunnel = bool(self.features & nemesis.MACHINES)
        places = len(declared.tunnelled() if tunnel else declared.topologies())
        place, standbys = int(random.random() ** 2 * places), int(random.random() * 3)
        if "large" in self.features and not tunnel:
            place = declared.LARGE
        topology, vpc = declared.network(place, tunnel=tunnel, standbys=standbys)
        self.vpc = vpc
        self.course = Course(random, vpc, trace=trace)
        self.truth = Truth(vpc, topology)
        self.judge = Judge(self.course, self.truth)
        self.journal = SimulatedJournal(self.course, self.judge)
        self.desk = Desk(self.journal)
        self.liveness = Liveness(self.course, self.judge, self.journal)
        self.machines = SimulatedMachines(self.course, self.judge)
        self.network = SimulatedNetwork(self.course, self.judge)
        self.queue = SimulatedQueue(self.course)
        self.parameters = Parameters(self.course, topology, self.journal)
        self.events = Events(self.course, self.parameters, self.queue, self.judge)
        self.first = topology
        self.hooks: dict[str, str] = {}
        self.flight: tuple[dict[str, Any], Message] | None = None
        self.deeds: list[Callable[[Schedule], object]] = []
        self.runs = self.writes = 0
        self.skew = self.lasts = 0.0
        self._blocked = self.over = False
        self.course.idle = self.drain
        if random.random() < 0.95:
            self._begin_settled(declared.kept(place, tunnel=tunnel, standbys=standbys))
        else:
            self.liveness.redeclared = 0.0

    def _begin_settled(self, kept: str) -> None:
        """Begin as a network that has been kept for a while."""
        since = moment(-86400.0)
        self.journal.histories["office"] = History(1, ROUTER, since, decided_at=since, kept=kept)
        self.judge.router, self.judge.since, self.judge.decided_at = ROUTER, -86400.0, -86400.0
        self.journal.documents["office"] = self.parameters.known_here["office"].kept

    # -- runs ----------------------------------------------------------------------------------------

    def ports(self, run: Run) -> WorkersPorts:
        """Return what a run works with, on its own clock; what may run at the same time runs at once or when it is needed."""
        run.in_turn, skew = self.course.chance(0.5), run.skew
        beside = InTurn(self.course) if run.in_turn else InPlace()
        return WorkersPorts(
            self.network,
            self.journal,
            Clock(self.course, skew),
            self.machines,
            beside,
            self.parameters,
            self.queue,
            groups=self,
            telemetry=self,
        )

    def drain(self) -> None:
        """Serve what is on the queue; what is blocked comes when it may."""
        while received := self.queue.received():
            self.serve(*received)
        if self.queue.messages and not self._blocked:
            self._blocked = True
            self.course.at(self.queue.blocked_until, self._unblock)

    def _unblock(self) -> None:
        self._blocked = False

    def serve(self, record: dict[str, Any], message: Message) -> None:
        """Have the worker serve a message."""
        now = self.vpc.now
        run = Run(
            self._number(),
            "worker",
            self._drawn_skew(),
            now,
            now + FUNCTION_SECONDS,
            message,
            force=message.request.force,
            to=message.request.next_router,
        )
        age = now - seconds(message.at)
        run.expired = message.request_id is not None and age > REQUEST_AGE + 10
        self.course.say(f"run {run.number}: the worker, triggered by {message.request.woken_by}")
        worker = Worker(self.ports(run), self.parameters.known_here)
        deadline = moment(now + run.skew + RUN_SECONDS)
        failed: list[str] = []
        self.flight = (record, message)

        def work() -> None:
            failed.extend(worker.handle_batch([record], deadline))

        if self._go(run, work) and not failed:
            self.queue.delete(record["messageId"])

    def here(self, request: Request) -> None:
        """Have an operator reconcile from where they sit."""
        now = self.vpc.now
        run = Run(
            self._number(),
            "here",
            self._drawn_skew(),
            now,
            FOREVER,
            force=request.force,
            to=request.next_router,
        )
        run.topology = self.parameters.declared
        self.course.say(f"run {run.number}: {request.woken_by}, here")

        def work() -> None:
            run.report = reconcile(self.parameters.declared, self.ports(run), request)

        self._go(run, work)

    def _go(self, run: Run, work: Callable[[], None]) -> bool:
        """Run something to its end; says whether it reached it."""
        course, outer = self.course, self.course.running[-1] if self.course.running else None
        run.version = self.vpc.version
        run.noted = self.judge.noted
        run.paused, run.maybe_paused = self._paused()
        run.calm = outer is None
        self.judge.forgetful |= outer is not None
        course.running.append(run)
        whole = False
        try:
            work()
            whole = True
        except CutOff:
            self._killed(run)
            self.parameters.known_here.clear()
            self.judge.forgetful = True
        except Exception as error:  # noqa: BLE001 - that one gets out is what is judged
            self.judge.blame("I10 an exception gets out of a run", f"{type(error).__name__}: {error}")
        finally:
            if whole and course.lines is not None:
                course.say(f"ends: {run.report.sentence}" if run.report else "ends")
            course.running.pop()
            if outer:
                outer.stolen += self.vpc.now - run.started
                outer.calm = False
        self.writes += run.writes
        if whole:
            self.liveness.ended(run)
        else:
            self.liveness.cut()
        return whole

    def _killed(self, run: Run) -> None:
        """Judge what a run that was cut off costs: none lasts until its function ends it, nor keeps the next waiting."""
        now = self.vpc.now
        if now >= run.deadline + run.stolen:
            self.judge.blame("I14 a run lasts until its function is ended", f"{now - run.started:.0f} s")
        waits = self.queue.blocked_until - now
        if run.kind == "worker" and waits > FUNCTION_SECONDS + 10:
            self.judge.blame("I14 a run that was cut off blocks the queue", f"{waits:.0f} s")

    def _paused(self) -> tuple[bool, bool]:
        """Return whether a pause is in force for as long as a run may take, and whether one is for a part of it."""
        pause, declared = self.journal.history("office").pause, self.parameters.declared.paused
        later = moment(self.vpc.now + FUNCTION_SECONDS + 10)
        whole = pause is not None and (pause.until is None or pause.until > later)
        return whole or declared, pause is not None or declared

    def _number(self) -> int:
        self.runs += 1
        return self.runs

    def _drawn_skew(self) -> float:
        return self.course.between(-self.skew, self.skew) if self.skew else 0.0

    # -- the worker's other ports ----------------------------------------------------------------------

    def complete(self, hook: Hook, instance_id: str) -> None:
        """Let a terminating instance go: Auto Scaling ends it."""
        if kind := self.course.call("CompleteLifecycleAction", instance_id):
            raise ApplyError(f"autoscaling:CompleteLifecycleAction failed: {kind}")
        self.judge.completed(instance_id)
        if self.hooks.pop(hook.token, None):
            self.course.at(self.vpc.now + 2, lambda: nemesis.end(self, instance_id))

    def run(self, report: Report, triggered_at: datetime) -> None:
        """Hear what a run reports."""
        self.course.running[-1].report = report

    def ignored(self, what: str, reason: str) -> None:
        """Hear that something asks for nothing."""
        self.course.say(f"{what}: {reason}")

    def failed(self, what: str, error: Exception) -> None:
        """Hear what went wrong; what is no error of Mooring's own got out of a run."""
        self.course.say(f"{what}: {error}")
        if not isinstance(error, ControllerError):
            self.judge.blame("I10 an exception gets out of a run", f"{type(error).__name__}: {error}")

    # -- the course ------------------------------------------------------------------------------------

    def play(self) -> Schedule:
        """Let everything happen, then have trouble stop and see that all is well."""
        course = self.course
        nemesis.begin(self)
        for _ in range(1 + int(course.random.random() * 3.5)):
            gap = 60.0 if course.chance(0.7) else course.pick((180.0, 400.0, 1200.0, 4000.0, 8000.0))
            until = self.vpc.now + gap
            nemesis.minute(self, until)
            course.wait(until)
            if course.chance(0.9) or not self.features & nemesis.LOSSES:
                self.tick()
        course.wait(max(self.vpc.now, self.lasts + 1))  # what was begun is told to its end
        self._settle()
        return self

    def tick(self) -> None:
        """Have the minute's schedule ring, and the queue served."""
        self.events.tick()
        self.drain()

    def _settle(self) -> None:
        """Stop all trouble: one tick after the lag has passed converges, and one more finds nothing to do."""
        course = self.course
        course.say("all trouble stops")
        lagged = course.lag is not None
        nemesis.stop(self)
        course.wait(self.vpc.now + (310.0 if lagged or course.chance(0.5) else 60.0))
        while self.queue.messages and self.vpc.now < self.queue.blocked_until:
            course.wait(self.queue.blocked_until)
        self.tick()
        if course.chance(0.5):
            course.wait(self.vpc.now + 60.0)
            self.tick()
        if self.vpc.now - self.judge.since < 310.0:
            course.wait(self.judge.since + 310.0)
            self.tick()
