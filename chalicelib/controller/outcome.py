"""Says what became of a run: of each change, and of the whole, as its report tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.errors import ControllerError, NoEligibleRouter, UnsafePlan
from chalicelib.core.network.advice import advise, advise_on_machines
from chalicelib.core.network.candidates import follows
from chalicelib.core.network.change import subject
from chalicelib.core.network.history import Pause
from chalicelib.core.network.report import Failure, Outcome, Report, verdict_of

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.controller.look import Look, Task
    from chalicelib.core.network.change import Change
    from chalicelib.core.network.guard import Judgement
    from chalicelib.core.network.report import Result, Verdict
    from chalicelib.core.network.topology import Topology


def planned(seen: Look) -> tuple[Outcome, ...]:
    """Give the outcome of every change before any is made; in a pause none is attempted."""
    return tuple(_draft(change, seen.judgement) for change in seen.plan.changes)


def _draft(change: Change, judgement: Judgement) -> Outcome:
    refusal = judgement.refused.get(subject(change))
    if refusal is None or refusal.guard == "paused":
        return Outcome(change, "planned")
    return Outcome(change, "refused", Failure(refusal.guard, refusal.reason, retryable=False))


def report_of(
    task: Task,
    seen: Look,
    outcomes: tuple[Outcome, ...],
    finished_at: datetime,
    error: ControllerError | None = None,
) -> Report:
    """Report a look and what became of its changes."""
    topology = task.topology
    router, interface = seen.election.router, seen.election.interface
    if router is None:
        error = error or NoEligibleRouter(
            seen.election.reason, hint="start or repair a candidate; what needs no router is kept"
        )
    problems = (*task.problems, *seen.plan.problems)
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
        woken_by=task.request.woken_by,
        started_at=task.started_at,
        finished_at=finished_at,
        election=seen.election if router else None,
        since=seen.history.since if router and seen.history.router == router.id else None,
        outcomes=outcomes,
        problems=problems,
        advice=_advice(topology, seen),
        refusal=seen.refusal,
        error=error,
        notices=seen.history.notices,
        waiting=waiting,
        machines=tuple(m for m in seen.history.machines if seen.observation.instance(m.instance_id)),
        certificate_ends=seen.observation.certificate.ends if seen.observation.certificate else None,
        moored=interface is not None and set(follows(topology, seen.observation)) == {interface.id},
        pause=_pause(topology, seen),
    )


def _advice(topology: Topology, seen: Look) -> tuple[str, ...]:
    said = seen.words and seen.words.unread
    router_id = seen.election.router.id if seen.election.router else ""
    machines = advise_on_machines(topology, seen.observation, seen.history, router_id)
    return (*advise(topology, seen.observation), *machines, *([said] if said else []))


def _pause(topology: Topology, seen: Look) -> Pause | None:
    """Give the pause in force, be it declared or ordered."""
    if topology.paused:
        return Pause("it is declared paused")
    return seen.history.paused(seen.observation.taken_at)


def stopped(task: Task, error: ControllerError, finished_at: datetime) -> Report:
    """Report a run that ended before it had a plan to carry out: nothing was changed."""
    refused = isinstance(error, UnsafePlan | NoEligibleRouter)
    verdict: Verdict = "refused" if refused else "blind"
    return Report(
        task.topology.name,
        verdict,
        task.request.woken_by,
        task.started_at,
        finished_at,
        error=error,
        problems=task.problems,
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
