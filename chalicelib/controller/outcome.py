"""Says what became of a run: of each change, and of the whole, as its report tells it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.core.advice import advise, advise_on_machines
from chalicelib.core.candidates import follows
from chalicelib.core.change import subject
from chalicelib.core.errors import ControllerError, NoEligibleRouter, UnsafePlan
from chalicelib.core.history import Pause
from chalicelib.core.report import Failure, Outcome, Report, verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from chalicelib.controller.look import Look, Request
    from chalicelib.core.change import Change
    from chalicelib.core.guard import Judgement
    from chalicelib.core.plan import Plan
    from chalicelib.core.report import Result, Verdict
    from chalicelib.core.topology import Topology


def planned(plan: Plan[Change], judgement: Judgement) -> tuple[Outcome, ...]:
    """Give the outcome of every change of a plan before any is made; in a pause none is attempted."""
    return tuple(_draft(change, judgement) for change in plan.changes)


def _draft(change: Change, judgement: Judgement) -> Outcome:
    refusal = judgement.refused.get(subject(change))
    if refusal is None or refusal.guard == "paused":
        return Outcome(change, "planned")
    return Outcome(change, "refused", Failure(refusal.guard, refusal.reason, retryable=False))


def report_of(
    topology: Topology,
    request: Request,
    seen: Look,
    outcomes: tuple[Outcome, ...],
    times: tuple[datetime, datetime],
    error: ControllerError | None = None,
) -> Report:
    """Report a look and what became of its changes; `times` are the run's start, its name in the journal, and its end.

    It advises nothing yet: see `advised`.
    """
    router, interface = seen.election.router, seen.election.interface
    if router is None:
        error = error or NoEligibleRouter(
            seen.election.reason, hint="start or repair a candidate; what needs no router is kept"
        )
    problems = (*request.problems, *seen.plan.problems)
    waiting = seen.plan.waiting
    attempted = {subject(o.change) for o in outcomes if o.result in ("sent", "verified", "unneeded")}
    wanted = [c for c in seen.plan.changes if seen.judgement.allows(c) and subject(c) not in attempted]
    return Report(
        topology=topology.name,
        verdict=verdict_of(
            outcomes,
            nobody=router is None,
            refusal=seen.refusal,
            drifting=bool(wanted or problems or (error and router)),
            waiting=bool(waiting),
        ),
        woken_by=request.woken_by,
        started_at=times[0],
        finished_at=times[1],
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


def advised(report: Report, topology: Topology, seen: Look, undone: Iterable[str] = ()) -> Report:
    """Give a report with what an operator should know beside what Mooring keeps; `undone` is told after it."""
    said = seen.words and seen.words.unread
    router_id = seen.election.router.id if seen.election.router else ""
    machines = advise_on_machines(topology, seen.observation, seen.history, router_id)
    advice = (*advise(topology, seen.observation), *machines, *([said] if said else []), *undone)
    return replace(report, advice=advice) if advice else report


def _pause(topology: Topology, seen: Look) -> Pause | None:
    """Give the pause in force, be it declared or ordered."""
    if topology.paused:
        return Pause("it is declared paused")
    return seen.history.paused(seen.observation.taken_at)


def stopped(
    topology: Topology, request: Request, error: ControllerError, started: datetime, finished: datetime
) -> Report:
    """Report a run that ended before it had a plan to carry out: nothing was changed."""
    refused = isinstance(error, UnsafePlan | NoEligibleRouter)
    verdict: Verdict = "refused" if refused else "blind"
    return Report(
        topology.name, verdict, request.woken_by, started, finished, error=error, problems=request.problems
    )


def outcome_of(before: Outcome, failures: dict[str, Failure | None], wanted: set[str] | None) -> Outcome:
    """Say what became of a change; `wanted` is what a fresh look still asks for, None if there was none."""
    name = subject(before.change)
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
    return "held" if failure.code == "Held" else "failed"
