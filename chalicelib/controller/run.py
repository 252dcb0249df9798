"""What a run does once it has looked: decide, apply, verify, push, report; each step says what it leaves to the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.controller import run_command
from chalicelib.controller.assessment import PROOF_SECONDS, Assessment, Task, heard
from chalicelib.controller.outcome import advised, outcome_of, planned, report_of, sent_of
from chalicelib.core.errors import ApplyError, ControllerError
from chalicelib.core.machines.rollout import plan_pushes, relevant
from chalicelib.core.network.candidates import unable
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateRouteTable,
    DisableSourceDestCheck,
    depends_on,
    resource_key,
)
from chalicelib.core.network.election import seat
from chalicelib.core.network.guard import Judgement, judge, paused, scope
from chalicelib.core.network.plan import make_plan
from chalicelib.core.network.report import Blocked, Failure, Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Collection
    from concurrent.futures import Future

    from chalicelib.controller.ports import Ports
    from chalicelib.controller.run_command import Words
    from chalicelib.core.machines.machine import Machine
    from chalicelib.core.network.change import NetworkChange, PushConfig
    from chalicelib.core.network.history import History
    from chalicelib.core.network.plan import Plan

JOURNAL_SECONDS = 6.0
"""What is kept of a run's time for the journal, while it looks again: a table that hangs is given up after that."""

VERIFY_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each look after writing: EC2 is eventually consistent, and patience has an end."""


@dataclass(slots=True)
class Run:
    """One run that has looked: its steps, in their order, and what it knows by then.

    Attributes:
        task: what the run is about.
        ports: the outside.
        seen: what was seen last, and is to be done.
        outcomes: what became of the network's changes.
        sent: what became of the pushes.
        attempted: the network's changes that were attempted, by their key, each with its failure or None.
        decided: whether the journal has the decision.
        error: what ended the run early.
    """

    task: Task
    ports: Ports
    seen: Assessment
    outcomes: tuple[Outcome, ...] = ()
    sent: tuple[Outcome, ...] = ()
    attempted: dict[str, Failure | None] = field(default_factory=dict)
    decided: bool = False
    error: ControllerError | None = None

    def __post_init__(self) -> None:
        self.outcomes = planned(self.seen.network, self.seen.judgement)

    @property
    def decides(self) -> bool:
        """Whether what was seen is decided on: it changes something, the router is another, or more is declared than kept."""
        seen, topology = self.seen, self.task.topology
        router, history = seen.election.router, seen.history
        if paused(topology, history, seen.observation.taken_at):
            return False
        if seen.allowed.plan.changes:
            return True
        if router is None or seen.election.held or seen.election.sighting:
            return False
        if router.id != history.router:
            return True
        anew = not seen.refusal and scope(topology, seen.observation) != history.kept
        return anew or (seen.election.against is not None and self.task.request.force)

    def decide(self) -> None:
        """Write down what is decided before the first change; what is not on record is not carried out.

        Nothing is advised yet: the network waits, and the whole report takes this one's place.
        """
        seen, now = self.seen, self.ports.clock.now()
        router = seen.election.router
        cause = "none" if self.decided else seen.election.cause
        after = seen.history.decided(router, now, cause, insisted=bool(seen.election.against))
        if router and not any(r.guard == "blast-radius" for r in seen.judgement.refused.values()):
            after = replace(after, kept=scope(self.task.topology, seen.observation))
        decided = replace(seen, recorded=after, history=after)
        draft = report_of(self.task, decided, (*self.outcomes, *planned(seen.pushes, seen.judgement)), now)
        try:
            self.ports.journal.decide(self.task.topology.name, seen.recorded, after, draft)
        except ControllerError as error:
            self.error = error
        else:
            self.seen, self.decided = decided, True

    def apply(self) -> None:
        """Attempt every change that is allowed; what depends on another waits for it, and is blocked when that fails."""
        if self.error:
            return
        for stage in _stages(self.seen.allowed.network):
            blocked = {
                resource_key(c): _blocked(on[0])
                for c in stage
                if (on := [dependency for dependency in depends_on(c) if self.attempted.get(dependency)])
            }
            ready = [change for change in stage if resource_key(change) not in blocked]
            seconds = max(0.0, self.task.left(self.ports.clock) - PROOF_SECONDS)
            failures = self.ports.network.apply(ready, seconds) if ready else []
            self.attempted |= blocked | dict(zip(map(resource_key, ready), failures, strict=True))

    def verify(self) -> None:
        """Look again until what was done is seen, or patience or time ends; nothing is called done that was not re-read."""
        if not self.attempted:
            return
        done = {attempted for attempted, failure in self.attempted.items() if failure is None}
        wanted: set[str] | None = None
        for pause in VERIFY_PAUSES:
            if self.task.left(self.ports.clock) <= pause + JOURNAL_SECONDS:
                break
            self.ports.clock.sleep(pause)
            try:
                self.seen = self._look_again()
            except ControllerError as error:
                self.error, wanted = error, None
            else:
                self.error, wanted = None, set(map(resource_key, self.seen.network.changes))
            if wanted is not None and not done & wanted:
                break
        self.outcomes = tuple(outcome_of(o, self.attempted, wanted) for o in self.outcomes)

    def hear(self, words: Future[Words]) -> None:
        """Hear what machines said while the network was mended, as far as there is time, and plan their pushes."""
        seen, task = self.seen, self.task
        if self.error or seen.words:
            return
        said = heard(task, self.ports, words)
        observation, history = said.told(seen.observation, seen.history)
        history = relevant(task.topology, observation, history)
        pushes = plan_pushes(task.topology, observation, history, seen.election, task.request)
        refused = judge(
            task.topology, observation, history, seen.election, pushes, force=task.request.force
        ).refused
        judgement = Judgement({**seen.judgement.refused, **refused})
        self.seen = replace(
            seen, observation=observation, history=history, pushes=pushes, judgement=judgement, words=said
        )
        if self.seen.allowed.pushes.changes:
            self.decide()

    def push(self) -> None:
        """Send what candidates should have; a later run hears what they say."""
        seen = self.seen
        if self.error or seen.words is None:
            return
        failures = {resource_key(change): self._send(change) for change in seen.allowed.pushes.changes}
        drafts = planned(seen.pushes, seen.judgement)
        self.sent = tuple(sent_of(draft, failures) for draft in drafts)

    def report(self) -> Report:
        """Ask after machines, write down what is known of them and what became of the decision, and report."""
        undone = [] if self.error else self._settle()
        outcomes = (*self.outcomes, *self.sent)
        report = report_of(self.task, self.seen, outcomes, self.ports.clock.now(), self.error)
        report = advised(report, self.task.topology, self.seen, undone)
        if self.decided:
            try:
                self.ports.journal.close(self.task.topology.name, report)
            except ApplyError as error:
                report = replace(report, error=report.error or error)
        return report

    def _send(self, change: PushConfig) -> Failure | None:
        """Send one push, if there is time, and remember it."""
        if self.task.left(self.ports.clock) <= 0:
            return Failure("OutOfTime", "there was no time left to send it", retryable=True)
        seen, ports = self.seen, self.ports
        history, failure = run_command.push(
            self.task.topology, ports.machines, change, seen.history, seen.observation, ports.clock.now()
        )
        self.seen = replace(seen, history=history)
        return failure

    def _look_again(self) -> Assessment:
        """Observe and plan anew for the router that was decided on, whoever a stale read would elect.

        What ails it by then is told: nothing is called repaired that leads to a router that has gone meanwhile.

        Raises:
            ControllerError: the network could not be read, or the router is not in it.
        """
        seen, topology = self.seen, self.task.topology
        router_id = seen.election.router.id if seen.election.router else None
        seconds = max(0.0, self.task.left(self.ports.clock) - JOURNAL_SECONDS)
        observation = seen.history.mark(self.ports.network.observe(topology, seconds))
        seated = seat(topology, observation, router_id)
        ailing = seated.router and unable(topology, observation, seated.router)
        problems = seen.election.problems or ((ailing,) if ailing else ())
        election = replace(seen.election, router=seated.router, interface=seated.interface, problems=problems)
        known = seen.observation
        observation = replace(
            observation, agents=known.agents, unheard=known.unheard, certificate=known.certificate
        )
        network = make_plan(topology, observation, election)
        return replace(seen, observation=observation, election=election, network=network)

    def _settle(self) -> list[str]:
        """Ask the machines that are due how they stand, and write down what is known; return what could not be done."""
        seen, undone = self.seen, []
        history = seen.history
        if seen.words is not None and self.task.left(self.ports.clock) > 0:
            history, error = run_command.ask(
                self.task.topology, self.ports.machines, seen.observation, history, self.task.request
            )
            undone += [f"machines could not be asked: {error.message}"] if error else []
        if seen.election.router:
            history = history.met(seen.election.router)
        adopted = seen.election.cause == "adopted" and not self.decided  # in a pause nothing is decided
        sighting = seen.recorded.sighting if adopted else seen.election.sighting
        if sighting != history.sighting:
            history = replace(history, sighting=sighting)
        if history is not seen.history:
            self.seen = replace(seen, history=history)
        recorded = seen.recorded
        anew = [machine for machine in history.machines if machine not in recorded.machines]
        gone = {m.instance_id for m in recorded.machines} - {m.instance_id for m in history.machines}
        moved = (history.sighting, history.launched_at) != (recorded.sighting, recorded.launched_at)
        if anew or gone or moved:
            try:
                self.ports.journal.amend(
                    self.task.topology.name, partial(_with, history, recorded, anew, gone)
                )
            except ControllerError as unwritten:
                undone.append(f"what was seen and said could not be kept: {unwritten.message}")
        return undone


def _with(
    history: History, recorded: History, anew: Collection[Machine], gone: Collection[str], latest: History
) -> History:
    """Return the latest history with what this run learned; of the router only where nobody decided since."""
    after = latest.learned(anew, gone)
    if (latest.router, latest.decided_at) != (history.router, recorded.decided_at):
        return after
    return replace(after, sighting=history.sighting, launched_at=history.launched_at)


def _stages(plan: Plan[NetworkChange]) -> tuple[list[NetworkChange], ...]:
    """Part a plan: what other changes wait for, then all else, then the subnets whose tables get their way out."""
    needed = {dependency for change in plan.changes for dependency in depends_on(change)}
    first: list[NetworkChange] = []
    then: list[NetworkChange] = []
    last: list[NetworkChange] = []
    for change in plan.changes:
        if isinstance(change, DisableSourceDestCheck | AssociateAddress) and resource_key(change) in needed:
            first.append(change)
        elif isinstance(change, AssociateRouteTable) and depends_on(change):
            last.append(change)
        else:
            then.append(change)
    return first, then, last


def _blocked(on: str) -> Blocked:
    return Blocked(f"it waits for {on}, which is not as declared yet")
