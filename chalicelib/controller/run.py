"""Carries a run out: decide, apply, verify, report; whatever happens, the answer is a report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib import errands
from chalicelib.controller.look import PROOF_SECONDS, Look, deadline_of, heard, left, look, look_until_sure
from chalicelib.controller.outcome import outcome_of, planned, report_of, stopped
from chalicelib.core.candidates import unable
from chalicelib.core.change import (
    AssociateAddress,
    AssociateRouteTable,
    DisableSourceDestCheck,
    depends_on,
    subject,
)
from chalicelib.core.election import seat
from chalicelib.core.errors import ApplyError, ControllerError
from chalicelib.core.guard import Judgement, judge, paused, scope
from chalicelib.core.plan import Plan, make_plan
from chalicelib.core.push import plan_pushes, relevant
from chalicelib.core.report import Failure, Outcome, Report

if TYPE_CHECKING:
    from concurrent.futures import Future
    from datetime import datetime

    from chalicelib.controller.look import Request
    from chalicelib.controller.ports import Ports
    from chalicelib.core.change import Change, NetworkChange, PushConfig
    from chalicelib.core.topology import Topology
    from chalicelib.errands import Words

JOURNAL_SECONDS = 6.0
"""What is kept of a run's time for the journal, while it looks again: a table that hangs is given up after that."""

VERIFY_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each look after writing: EC2 is eventually consistent, and patience has an end."""


def preview(topology: Topology, ports: Ports, request: Request) -> Report:
    """Report what a run would do; never writes, and never raises for what it saw or could not see."""
    started = ports.clock.now()
    try:
        seen = look(topology, ports, request)
    except ControllerError as error:
        return stopped(topology, request, error, started, ports.clock.now())
    return report_of(topology, request, seen, planned(seen), (started, ports.clock.now()))


def reconcile(topology: Topology, ports: Ports, request: Request) -> Report:
    """Make the network as declared, prove it, and report; whatever happens, the answer is a report."""
    started, deadline = ports.clock.now(), deadline_of(ports, request)
    try:
        seen, words = look_until_sure(topology, ports, request, deadline)
    except ControllerError as error:
        return stopped(topology, request, error, started, ports.clock.now())
    run = _Run(topology, ports, request, started, deadline, seen)
    run.keep_network()
    run.listen(words)
    run.keep_machines()
    return run.close()


@dataclass(slots=True)
class _Run:
    """One run that has looked: what it does, in the order of its methods, and what it knows by then.

    `outcomes` are those of the network's changes, `sent` those of the pushes; `error` is what ended the run early.
    """

    topology: Topology
    ports: Ports
    request: Request
    started: datetime
    deadline: datetime
    seen: Look
    outcomes: tuple[Outcome, ...] = ()
    sent: tuple[Outcome, ...] = ()
    decided: bool = False
    error: ControllerError | None = None

    def keep_network(self) -> None:
        """Write the decision down, change what is allowed, and look until it is seen."""
        todo = self.seen.allowed
        self.outcomes = planned(replace(self.seen, pushes=Plan()))
        if not _decides(self.topology, self.request, todo):
            return
        self._decide()
        if todo.network.changes and self.error is None:
            self._verify(
                dict(zip(map(subject, todo.network.changes), self._apply(todo.network), strict=True))
            )

    def listen(self, words: Future[Words]) -> None:
        """Hear what machines said while the network was mended, as far as there is time, and plan their pushes."""
        seen = self.seen
        if self.error or seen.words:
            return
        told = heard(self.ports, words, self.deadline)
        observation, history = told.told(seen.observation, seen.history)
        history = relevant(self.topology, observation, history)
        pushes = plan_pushes(self.topology, observation, history, seen.election, self.request.order)
        refused = judge(
            self.topology, observation, history, seen.election, pushes, force=self.request.force
        ).refused
        judgement = Judgement({**seen.judgement.refused, **refused})
        self.seen = replace(
            seen, observation=observation, history=history, pushes=pushes, judgement=judgement, words=told
        )
        if self.seen.allowed.pushes.changes:
            self._decide()

    def keep_machines(self) -> None:
        """Send what candidates should have, and ask those that are due how they stand; a later run hears what they say."""
        seen, pushes = self.seen, self.seen.allowed.pushes.changes
        if self.error or seen.words is None:
            return
        self.sent = planned(replace(seen, network=Plan()))
        if pushes:
            failures = [self._push(change) for change in pushes]
            results = {
                subject(c): Outcome(c, ("held" if f.code == "Held" else "failed") if f else "sent", f)
                for c, f in zip(pushes, failures, strict=True)
            }
            self.sent = tuple(results.get(subject(o.change), o) for o in self.sent)

    def close(self) -> Report:
        """Ask after machines, write down what is known of them and what became of the decision, and report."""
        advice = [] if self.error else self._settle()
        report = report_of(
            self.topology,
            self.request,
            self.seen,
            (*self.outcomes, *self.sent),
            (self.started, self.ports.clock.now()),
            self.error,
        )
        report = replace(report, advice=(*report.advice, *advice))
        if self.decided:
            try:
                self.ports.journal.close(self.topology.name, report)
            except ApplyError as error:
                report = replace(report, error=report.error or error)
        return report

    def _push(self, change: PushConfig) -> Failure | None:
        """Send one push, if there is time, and remember it."""
        if left(self.ports, self.deadline) <= 0:
            return Failure("OutOfTime", "there was no time left to send it", retryable=True)
        seen, ports = self.seen, self.ports
        history, (failure,) = errands.push(
            self.topology, ports.machines, [change], seen.history, seen.observation, ports.clock.now()
        )
        self.seen = replace(seen, history=history)
        return failure

    def _decide(self) -> None:
        """Write down what is decided before the first change; what is not on record is not carried out."""
        seen, now = self.seen, self.ports.clock.now()
        router = seen.election.router
        cause = "none" if self.decided else seen.election.cause
        after = seen.history.decided(router, now, cause, insisted=bool(seen.election.against))
        if router and not any(r.guard == "blast-radius" for r in seen.judgement.refused.values()):
            after = replace(after, kept=scope(self.topology, seen.observation))
        decided = replace(seen, recorded=after, history=after)
        draft = report_of(
            self.topology,
            self.request,
            decided,
            (*self.outcomes, *planned(replace(seen, network=Plan()))),
            (self.started, now),
        )
        try:
            self.ports.journal.decide(self.topology.name, seen.recorded, after, draft)
        except ControllerError as error:
            self.error = error
        else:
            self.seen, self.decided = decided, True

    def _apply(self, plan: Plan[NetworkChange]) -> list[Failure | None]:
        """Attempt every change of a plan; what depends on another change waits for it, and is held back when that fails."""
        deadline = self.deadline - timedelta(seconds=PROOF_SECONDS)
        results: dict[str, Failure | None] = {}
        stages = _stages(plan)
        for stage in stages:
            held = {
                subject(c): _held(on[0])
                for c in stage
                if (on := [dependency for dependency in depends_on(c) if results.get(dependency)])
            }
            ready = [change for change in stage if subject(change) not in held]
            seconds = left(self.ports, deadline)
            if stage is stages[0] and len(stage) < len(plan.changes):
                seconds /= 2  # one of these that hangs leaves time for what needs none of them
            failures = self.ports.network.apply(ready, seconds) if ready else []
            results |= held | dict(zip(map(subject, ready), failures, strict=True))
        return [results[subject(change)] for change in plan.changes]

    def _verify(self, failures: dict[str, Failure | None]) -> None:
        """Look again until what was done is seen, or patience or time ends; nothing is called done that was not re-read."""
        done = {attempted for attempted, failure in failures.items() if failure is None}
        wanted: set[str] | None = None
        for pause in VERIFY_PAUSES:
            if left(self.ports, self.deadline) <= pause + JOURNAL_SECONDS:
                break
            self.ports.clock.sleep(pause)
            again = self._look_again()
            self.error, wanted = (
                (again, None) if isinstance(again, ControllerError) else (None, _subjects(again.network))
            )
            if isinstance(again, Look):
                self.seen = again
            if wanted is not None and not done & wanted:
                break
        self.outcomes = tuple(outcome_of(o, failures, wanted) for o in self.outcomes)

    def _look_again(self) -> Look | ControllerError:
        """Observe and plan anew for the router that was decided on, whoever a stale read would elect.

        What ails it by then is told: nothing is called repaired that leads to a router that has gone meanwhile.
        """
        seen = self.seen
        router_id = seen.election.router.id if seen.election.router else None
        try:
            seconds = max(0.0, left(self.ports, self.deadline) - JOURNAL_SECONDS)
            observation = self.ports.network.observe(self.topology, seconds)
            observation = seen.history.mark(observation)
            election = seat(self.topology, observation, router_id)
        except ControllerError as error:
            return error
        ailing = election.router and unable(self.topology, observation, election.router)
        problems = seen.election.problems or ((ailing,) if ailing else ())
        election = replace(
            seen.election, router=election.router, interface=election.interface, problems=problems
        )
        return replace(
            seen,
            observation=replace(
                observation,
                agents=seen.observation.agents,
                unheard=seen.observation.unheard,
                certificate=seen.observation.certificate,
            ),
            election=election,
            network=make_plan(self.topology, observation, election),
        )

    def _settle(self) -> list[str]:
        """Ask the machines that are due how they stand, and write down what is known; gives what could not be done."""
        seen, advice = self.seen, []
        history = seen.history
        if seen.words is not None and left(self.ports, self.deadline) > 0:
            history, error = errands.ask(
                self.topology, self.ports.machines, seen.observation, history, self.request.order
            )
            advice += [f"machines could not be asked: {error.message}"] if error else []
        if seen.election.router:
            history = history.met(seen.election.router)
        adopted = seen.election.cause == "adopted" and not self.decided  # in a pause nothing is decided
        sighting = seen.recorded.sighting if adopted else seen.election.sighting
        known, recorded, machines = seen.recorded, seen.recorded.machines, history.machines
        anew = [machine for machine in machines if machine not in recorded]
        gone = {machine.instance_id for machine in recorded} - {machine.instance_id for machine in machines}
        self.seen = replace(seen, history=history)
        launched = history.launched_at
        if anew or gone or sighting != seen.recorded.sighting or launched != seen.recorded.launched_at:
            try:
                self.ports.journal.amend(
                    self.topology.name,
                    lambda latest: (
                        replace(latest.learned(anew, gone), sighting=sighting, launched_at=launched)
                        if (latest.router, latest.decided_at) == (history.router, known.decided_at)
                        else latest.learned(anew, gone)
                    ),
                )
            except ControllerError as unwritten:
                advice.append(f"what was seen and said could not be kept: {unwritten.message}")
        return advice


def _decides(topology: Topology, request: Request, todo: Look) -> bool:
    """Whether a look is to be decided on: it changes something, the router is another, or more is declared than was kept."""
    router = todo.election.router
    if paused(topology, todo.history, todo.observation.taken_at):
        return False
    if todo.plan.changes:
        return True
    if router is None or todo.election.held or todo.election.sighting:
        return False
    if router.id != todo.history.router:
        return True
    anew = not todo.refusal and scope(topology, todo.observation) != todo.history.kept
    return anew or (todo.election.against is not None and request.force)


def _stages(plan: Plan[NetworkChange]) -> tuple[list[NetworkChange], ...]:
    """Part a plan: what other changes wait for, then all else, then the subnets whose tables get their way out."""
    needed = {dependency for change in plan.changes for dependency in depends_on(change)}
    first: list[NetworkChange] = []
    then: list[NetworkChange] = []
    last: list[NetworkChange] = []
    for change in plan.changes:
        if isinstance(change, DisableSourceDestCheck | AssociateAddress) and subject(change) in needed:
            first.append(change)
        elif isinstance(change, AssociateRouteTable) and depends_on(change):
            last.append(change)
        else:
            then.append(change)
    return first, then, last


def _held(on: str) -> Failure:
    return Failure("Held", f"it waits for {on}, which is not as declared yet", retryable=True)


def _subjects(plan: Plan[Change]) -> set[str]:
    return {subject(change) for change in plan.changes}
