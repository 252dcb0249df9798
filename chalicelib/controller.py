"""The one path: observe, elect, plan, guard, apply, verify, report. Core and edge meet only here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from chalicelib import errands
from chalicelib.core.advice import advise, advise_on_machines
from chalicelib.core.change import AssociateRouteTable, DisableSourceDestCheck, digest, leans_on, subject
from chalicelib.core.election import elect
from chalicelib.core.errors import ApplyError, ControllerError, NoEligibleRouter, ObservationError, UnsafePlan
from chalicelib.core.guard import judge
from chalicelib.core.observation import Pause
from chalicelib.core.plan import Plan, make_plan
from chalicelib.core.push import check, plan_pushes, relevant
from chalicelib.core.report import Failure, Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from chalicelib.core.change import Change, NetworkChange, PushConfig
    from chalicelib.core.election import Election
    from chalicelib.core.guard import Refusal
    from chalicelib.core.machine import Order
    from chalicelib.core.observation import History, Instance, Observation
    from chalicelib.core.report import Result, Verdict
    from chalicelib.core.topology import Topology
    from chalicelib.errands import Machines

LOOK_SECONDS = 20.0
"""How long a look may take: four tries of a reading that EC2 throttles, and one that hangs."""

APPLY_SECONDS = 60.0
"""How long writes may take: 50 at once and then 5 a second leaves room for 350 routes on EC2's bucket."""

VERIFY_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each look after writing: EC2 is eventually consistent, and patience has an end."""


class Network(Protocol):
    """The VPC: looked at whole, changed one thing at a time."""

    def observe(self, topology: Topology, seconds: float = LOOK_SECONDS) -> Observation:
        """Take one snapshot within a time.

        Raises:
            ObservationError: when instances, route tables or addresses could not be read whole within `seconds`. Any other
                reading that failed is named in `Observation.unread`.
        """
        ...

    def instance(self, instance_id: str, seconds: float = LOOK_SECONDS) -> Instance | None:
        """Look for one instance by its id, wherever it is and if it has ended; None when EC2 knows none of that id.

        Raises:
            ObservationError: EC2 did not answer within `seconds`.
        """
        ...

    def apply(self, changes: Sequence[NetworkChange], seconds: float) -> Sequence[Failure | None]:
        """Attempt every change, the first ones first; give one failure, or None for done, per change.

        Never raises for a change that AWS refuses. What could not be attempted within `seconds` is a failure.
        """
        ...


class Journal(Protocol):
    """What is remembered between runs."""

    def read(self, name: str) -> History:
        """Read a topology's history; one never seen has an empty one.

        Raises:
            ObservationError: when it could not be read.
        """
        ...

    def decide(self, name: str, before: History, after: History, decision: Report) -> None:
        """Write a decision down before its first change.

        Raises:
            ObservationError: when `before` is no longer the latest: another run has decided since.
            ApplyError: when it could not be written.
        """
        ...

    def close(self, name: str, report: Report) -> None:
        """Write down what became of a decision.

        Raises:
            ApplyError: when it could not be written.
        """
        ...

    def amend(self, name: str, change: Callable[[History], History]) -> History:
        """Change a topology's history, whatever others write meanwhile.

        Raises:
            ObservationError: it could not be read.
            ApplyError: it could not be written.
        """
        ...


class Clock(Protocol):
    """Time, so that tests need none."""

    def now(self) -> datetime:
        """Give the time in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside the core that a run needs."""

    network: Network
    journal: Journal
    clock: Clock
    machines: Machines
    beside: Executor
    """Runs what may run at the same time; one that runs it at once, in place, makes a run deterministic."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, and by whom or what; with no wishes it is a plain wake-up.

    Attributes:
        woken_by: who or what asked, for the report and the journal.
        to: the instance an operator names as the router (a switchover).
        force: an operator overrules the blast radius and hold-down guards.
        order: what an operator asks of the candidates' machines.
        agreed: the `change.digest` of the plan an operator was shown and consented to; any other that would change
            something is refused.
        deadline: when the run must be over, UTC; None for the controller's own bound.
    """

    woken_by: str = "operator"
    to: str | None = None
    force: bool = False
    agreed: str | None = None
    order: Order | None = None
    deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a run sees and would do: nothing has been changed.

    `recorded` is the history that the journal has, `history` the same with the machines' latest answers; `unread` says why
    some could not be had. `network` and `pushes` are the plan's two halves.
    """

    observation: Observation
    recorded: History
    history: History
    election: Election
    network: Plan[NetworkChange]
    pushes: Plan[PushConfig]
    refusal: Refusal | None = None
    unread: str = ""

    @property
    def plan(self) -> Plan[Change]:
        """All that would be changed, the network first."""
        return self.network + self.pushes


def look(topology: Topology, ports: Ports, request: Request) -> Look:
    """Observe, elect, plan and judge; never writes.

    Raises:
        ObservationError: the network or the journal could not be read whole, or another run decided meanwhile.
        NoEligibleRouter: nobody, or not the instance named, may be the router.
        UnsafePlan: the plan is not the one agreed to, or what is asked of a machine cannot be done.
    """
    remembered = ports.beside.submit(_remember, topology, ports)
    agents = ports.beside.submit(errands.agents, topology, ports.machines)
    observation = ports.network.observe(topology)
    recorded, (history, unread) = remembered.result()
    if history.decided_at and observation.taken_at < history.decided_at <= ports.clock.now():
        raise ObservationError(
            f"another run decided about {topology.name} during this look", hint="look again"
        )
    observation = agents.result()(observation.with_notices(history.notices))
    history = relevant(topology, observation, history)
    if request.order:
        check(topology, observation, history, request.order)
    election = elect(topology, observation, history, request.to)
    network = make_plan(topology, observation, election)
    pushes = plan_pushes(topology, observation, history, election, request.order)
    plan = network + pushes
    if request.agreed is not None and network.changes and request.agreed != digest(network.changes):
        raise UnsafePlan(
            "the network changed since the plan was shown", hint="look at the new plan and apply that"
        )
    refusal = judge(topology, observation, history, election, plan, force=request.force)
    return Look(observation, recorded, history, election, network, pushes, refusal, unread)


def _remember(topology: Topology, ports: Ports) -> tuple[History, tuple[History, str]]:
    """Read the history as it is on record, and as it is once the machines' answers are heard, as far as they can be."""
    recorded = ports.journal.read(topology.name)
    return recorded, errands.heard(recorded, ports.machines, ports.clock.now())


def preview(topology: Topology, ports: Ports, request: Request) -> Report:
    """Report what a run would do; never writes, and never raises for what it saw or could not see."""
    started = ports.clock.now()
    try:
        return _draft(topology, request, look(topology, ports, request), ports.clock.now())
    except ControllerError as error:
        return _stopped(topology, request, error, started, ports.clock.now())


def reconcile(topology: Topology, ports: Ports, request: Request) -> Report:
    """Make the network as declared, prove it, and report; whatever happens, the answer is a report."""
    started = ports.clock.now()
    try:
        seen = look(topology, ports, request)
    except ControllerError as error:
        return _stopped(topology, request, error, started, ports.clock.now())
    draft = _draft(topology, request, seen, ports.clock.now())
    if seen.refusal or not (seen.plan.changes or seen.election.router.id != seen.history.router):
        return _settle(topology, ports, request, seen, draft)
    survivors = seen.history.surviving(seen.observation)
    after = survivors.decided(seen.election.router.id, ports.clock.now(), counted=seen.election.counted)
    draft = replace(draft, since=after.since)
    try:
        ports.journal.decide(topology.name, seen.recorded, after, draft)
    except ControllerError as error:  # the decision is not on record, so it is not carried out
        return replace(draft, verdict="drifting", error=error, finished_at=ports.clock.now())
    decided = replace(seen, recorded=after, history=after)
    if not seen.plan.changes:
        return _settle(topology, ports, request, decided, draft)
    report = replace(draft, verdict="drifting" if draft.problems else "converged", outcomes=())
    if seen.network.changes:
        report = _verify(topology, ports, decided, draft, _apply(ports, seen.network))
    decided, report = _push(topology, ports, decided, report)
    report = _settle(topology, ports, request, decided, report)
    try:
        ports.journal.close(topology.name, report)
    except ApplyError as error:
        report = replace(report, error=report.error or error)
    return report


def _push(topology: Topology, ports: Ports, decided: Look, report: Report) -> tuple[Look, Report]:
    """Send what the candidates should have; what becomes of it a later run hears."""
    pushes = decided.pushes.changes
    history, failures = errands.push(
        topology, ports.machines, pushes, decided.history, decided.observation, ports.clock.now()
    )
    sent = [
        Outcome(c, ("held" if f.code == "Held" else "failed") if f else "sent", f)
        for c, f in zip(pushes, failures, strict=True)
    ]
    verdict = report.verdict
    if verdict in ("converged", "repaired") and pushes:
        verdict = "drifting" if any(failures) else "pending"
    report = replace(report, verdict=verdict, outcomes=(*report.outcomes, *sent))
    return replace(decided, history=history), replace(report, finished_at=ports.clock.now())


def _settle(topology: Topology, ports: Ports, request: Request, seen: Look, report: Report) -> Report:
    """Ask the machines that are due how they stand, and write down what is known of them; the next run makes up for it."""
    history, error = errands.ask(topology, ports.machines, seen.observation, seen.history, request.order)
    advice = (*report.advice, f"machines could not be asked: {error.message}") if error else report.advice
    recorded, machines = seen.recorded.machines, history.machines
    anew = [machine for machine in machines if machine not in recorded]
    gone = {machine.instance_id for machine in recorded} - {machine.instance_id for machine in machines}
    if anew or gone:
        try:
            ports.journal.amend(topology.name, lambda latest: latest.learned(anew, gone))
        except ControllerError as unwritten:
            advice = (*advice, f"what machines said could not be kept: {unwritten.message}")
    return replace(report, machines=machines, advice=advice)


def _draft(topology: Topology, request: Request, seen: Look, finished: datetime) -> Report:
    """Report a look: what was seen and would be done."""
    verdict: Verdict = "pending" if seen.plan.waiting else "converged"
    if seen.plan.changes or seen.plan.problems:
        verdict = "drifting"
    if seen.refusal:
        verdict = "paused" if seen.refusal.guard == "paused" else "refused"
    return Report(
        topology=topology.name,
        verdict=verdict,
        woken_by=request.woken_by,
        started_at=seen.observation.taken_at,
        finished_at=finished,
        election=seen.election,
        since=seen.history.since if seen.history.router == seen.election.router.id else None,
        outcomes=tuple(Outcome(change, "planned") for change in seen.plan.changes),
        problems=seen.plan.problems,
        advice=_advice(topology, seen),
        refusal=seen.refusal,
        notices=seen.history.notices,
        waiting=seen.plan.waiting,
        machines=seen.history.machines,
        certificate_ends=seen.observation.certificate.ends if seen.observation.certificate else None,
        moored=not (seen.network.changes or seen.network.problems or seen.refusal),
        pause=_pause(topology, seen),
    )


def _advice(topology: Topology, seen: Look) -> tuple[str, ...]:
    said = advise_on_machines(topology, seen.observation, seen.history, seen.election.router.id)
    return (*advise(topology, seen.observation), *said, *([seen.unread] if seen.unread else []))


def _pause(topology: Topology, seen: Look) -> Pause | None:
    """Give the pause in force, be it declared or ordered."""
    if topology.paused:
        return Pause("it is declared paused")
    return seen.history.paused(seen.observation.taken_at)


def _stopped(
    topology: Topology, request: Request, error: ControllerError, started: datetime, finished: datetime
) -> Report:
    """Report a run that ended before it had a plan to carry out: nothing was changed."""
    verdict: Verdict = "blind"
    if isinstance(error, UnsafePlan) or (request.to and isinstance(error, NoEligibleRouter)):
        verdict = "refused"
    elif isinstance(error, NoEligibleRouter):
        verdict = "no-router"
    return Report(topology.name, verdict, request.woken_by, started, finished, error=error)


def _apply(ports: Ports, plan: Plan[NetworkChange]) -> list[Failure | None]:
    """Attempt every change of a plan; what leans on another change waits for it, and is held back when that fails."""
    deadline = ports.clock.now() + timedelta(seconds=APPLY_SECONDS)
    results: dict[str, Failure | None] = {}
    for stage in _stages(plan):
        held = {subject(c): _held(on) for c in stage if (on := leans_on(c)) and results.get(on)}
        ready = [change for change in stage if subject(change) not in held]
        results |= held | _attempt(ports, ready, deadline)
    return [results[subject(change)] for change in plan.changes]


def _stages(plan: Plan[NetworkChange]) -> tuple[list[NetworkChange], ...]:
    """Part a plan: the checks that routes lean on, then all else, then the subnets whose tables get their way out."""
    needed = {leans_on(change) for change in plan.changes}
    touched = {subject(change) for change in plan.changes}
    first: list[NetworkChange] = [
        c for c in plan.changes if isinstance(c, DisableSourceDestCheck) and subject(c) in needed
    ]
    last: list[NetworkChange] = [
        c for c in plan.changes if isinstance(c, AssociateRouteTable) and leans_on(c) in touched
    ]
    return first, [c for c in plan.changes if c not in first and c not in last], last


def _held(on: str) -> Failure:
    return Failure("Held", f"it waits for {on}, which is not as declared yet", retryable=True)


def _attempt(ports: Ports, changes: Sequence[NetworkChange], deadline: datetime) -> dict[str, Failure | None]:
    seconds = max(0.0, (deadline - ports.clock.now()).total_seconds())
    failures = ports.network.apply(changes, seconds) if changes else []
    return dict(zip(map(subject, changes), failures, strict=True))


def _verify(
    topology: Topology, ports: Ports, decided: Look, draft: Report, failures: Sequence[Failure | None]
) -> Report:
    """Look again until what was done is seen, or patience ends; nothing is called done that was not re-read."""
    attempts = list(zip(decided.network.changes, failures, strict=True))
    done = {subject(change) for change, failure in attempts if failure is None}
    again: Look | ControllerError = decided
    for pause in VERIFY_PAUSES:
        ports.clock.sleep(pause)
        again = _look_again(topology, ports, decided)
        if isinstance(again, Look) and not done & _subjects(again.network):
            break
    if isinstance(again, ControllerError):
        report = replace(draft, verdict="drifting", error=again)
        outcomes = [Outcome(change, _result(failure, wanted=None), failure) for change, failure in attempts]
    else:
        wanted, problems = _subjects(again.network), (*again.network.problems, *decided.pushes.problems)
        report = replace(
            draft,
            verdict="drifting" if wanted or problems else "pending" if draft.waiting else "repaired",
            problems=problems,
            advice=_advice(topology, again),
            moored=not (wanted or again.network.problems),
        )
        outcomes = [Outcome(c, _result(f, wanted=subject(c) in wanted), f) for c, f in attempts]
    return replace(report, outcomes=tuple(outcomes), finished_at=ports.clock.now())


def _look_again(topology: Topology, ports: Ports, decided: Look) -> Look | ControllerError:
    """Observe and plan anew for the router that was decided on, whoever a stale read would elect."""
    try:
        observation = ports.network.observe(topology).with_notices(decided.history.notices)
        election = elect(topology, observation, decided.history, to=decided.election.router.id)
    except ControllerError as error:
        return error
    return replace(
        decided,
        observation=observation,
        election=election,
        network=make_plan(topology, observation, election),
    )


def _subjects(plan: Plan[Change]) -> set[str]:
    return {subject(change) for change in plan.changes}


def _result(failure: Failure | None, *, wanted: bool | None) -> Result:
    """Name what became of a change; `wanted` says whether a fresh look still asks for it, None if blind."""
    if failure is None:
        return "verified" if wanted is False else "unseen"
    if wanted is False:
        return "unneeded"
    return "held" if failure.code == "Held" else "failed"
