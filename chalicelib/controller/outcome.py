"""Says what became of a run: of each change, and of the whole, as its report tells it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.core.errors import ControllerError, NoEligibleRouter
from chalicelib.core.machines.advice import advise_on_machines
from chalicelib.core.network.advice import advise
from chalicelib.core.network.candidates import follows
from chalicelib.core.network.change import resource_key
from chalicelib.core.network.history import Pause
from chalicelib.core.network.report import Blocked, Failure, Outcome, Report, Standing, verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from chalicelib.controller.assessment import Assessment, Task
    from chalicelib.core.network.change import Change
    from chalicelib.core.network.guard import Judgement
    from chalicelib.core.network.plan import Plan
    from chalicelib.core.network.report import Result
    from chalicelib.core.network.topology import Topology


def planned(plan: Plan[Change], judgement: Judgement) -> tuple[Outcome, ...]:
    """Return the outcome of every change of a plan before any is made; in a pause none is attempted."""
    return tuple(_draft(change, judgement) for change in plan.changes)


def _draft(change: Change, judgement: Judgement) -> Outcome:
    refusal = judgement.refused.get(resource_key(change))
    if refusal is None or refusal.guard == "paused":
        return Outcome(change, "planned")
    return Outcome(change, "refused", Failure(refusal.guard, refusal.reason, retryable=False))


def report_of(
    task: Task,
    seen: Assessment,
    outcomes: tuple[Outcome, ...],
    finished_at: datetime,
    error: ControllerError | None = None,
) -> Report:
    """Report what was seen and what became of its changes; it advises nothing yet: see `advised`."""
    topology = task.topology
    router, interface = seen.election.router, seen.election.interface
    if router is None:
        error = error or NoEligibleRouter(
            seen.election.reason, hint="start or repair a candidate; what needs no router is kept"
        )
    problems = (*task.problems, *seen.plan.problems)
    waiting = seen.plan.waiting
    attempted = {resource_key(o.change) for o in outcomes if o.result in ("sent", "verified", "unneeded")}
    wanted = [c for c in seen.plan.changes if seen.judgement.allows(c) and resource_key(c) not in attempted]
    return Report(
        topology=topology.name,
        verdict=verdict_of(
            Standing(
                nobody=router is None,
                refusal=seen.refusal,
                drifting=bool(wanted or problems or (error and router)),
                waiting=bool(waiting),
                results=frozenset(outcome.result for outcome in outcomes),
            )
        ),
        woken_by=task.request.woken_by,
        started_at=task.started_at,
        finished_at=finished_at,
        election=seen.election if router else None,
        since=seen.history.since if router and seen.history.router == router.id else None,
        outcomes=outcomes,
        problems=problems,
        refusal=seen.refusal,
        error=error,
        notices=seen.history.notices,
        waiting=waiting,
        machines=tuple(m for m in seen.history.machines if seen.observation.instance(m.instance_id)),
        certificate_ends=seen.observation.certificate.ends if seen.observation.certificate else None,
        moored=interface is not None and set(follows(topology, seen.observation)) == {interface.id},
        pause=_pause(topology, seen),
    )


def advised(report: Report, topology: Topology, seen: Assessment, undone: Iterable[str] = ()) -> Report:
    """Return a report with what an operator should know beside what Mooring keeps; `undone` is told after it."""
    said = seen.words and seen.words.unread
    router_id = seen.election.router.id if seen.election.router else ""
    machines = advise_on_machines(topology, seen.observation, seen.history, router_id)
    advice = (*advise(topology, seen.observation), *machines, *([said] if said else []), *undone)
    return replace(report, advice=advice) if advice else report


def _pause(topology: Topology, seen: Assessment) -> Pause | None:
    """Return the pause in force, be it declared or ordered."""
    if topology.paused:
        return Pause("it is declared paused")
    return seen.history.paused(seen.observation.taken_at)


def stopped(task: Task, error: ControllerError, finished_at: datetime) -> Report:
    """Report a run that ended before it had a plan to carry out: nothing was changed."""
    return Report(
        task.topology.name,
        verdict_of(Standing(ended=error)),
        task.request.woken_by,
        task.started_at,
        finished_at,
        error=error,
        problems=task.problems,
    )


def outcome_of(before: Outcome, failures: dict[str, Failure | None], wanted: set[str] | None) -> Outcome:
    """Return what became of a change; `wanted` is what a fresh look still asks for, None if there was none."""
    name = resource_key(before.change)
    if name not in failures:
        return before
    still = None if wanted is None else name in wanted
    return Outcome(before.change, _result(failures[name], wanted=still), failures[name])


def _result(failure: Failure | None, *, wanted: bool | None) -> Result:
    """Name what became of a change; `wanted` says whether a fresh look still asks for it, None if blind."""
    if failure is None:
        return "verified" if wanted is False else "unseen"
    if wanted is False:
        return "unneeded"
    return _undone(failure)


def sent_of(before: Outcome, failures: dict[str, Failure | None]) -> Outcome:
    """Return what became of a push: only the machine itself will say whether it took it."""
    name = resource_key(before.change)
    if name not in failures:
        return before
    failure = failures[name]
    return Outcome(before.change, _undone(failure) if failure else "sent", failure)


def _undone(failure: Failure) -> Result:
    return "held" if isinstance(failure, Blocked) else "failed"
