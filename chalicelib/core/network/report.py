"""What one run saw, decided, did and proved: one value, one sentence, one JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from chalicelib.core.errors import Expired, NoEligibleRouter, UnsafePlan
from chalicelib.core.network.change import line, resource_key

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.core.errors import ControllerError
    from chalicelib.core.machines.machine import Machine
    from chalicelib.core.network.change import Change
    from chalicelib.core.network.election import Election
    from chalicelib.core.network.guard import Refusal
    from chalicelib.core.network.history import Pause
    from chalicelib.core.network.notice import Notice

SCHEMA = 1
"""The version of `as_json`: grows when a key changes its meaning or goes."""

Verdict: TypeAlias = Literal[
    "converged", "repaired", "pending", "drifting", "paused", "refused", "no-router", "blind", "expired"
]
"""`pending`: something declared is on its way to a machine, whose answer a later run brings; all else is as declared."""

Result: TypeAlias = Literal["verified", "sent", "unseen", "unneeded", "failed", "held", "refused", "planned"]

RESULTS: dict[Result, str] = {
    "verified": "done and seen",
    "sent": "sent",
    "unseen": "done but not yet seen",
    "unneeded": "not needed any more",
    "failed": "failed",
    "held": "held back",
    "refused": "refused",
    "planned": "not attempted",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a change was not made: AWS's code and message, and whether another attempt can help."""

    code: str
    message: str
    retryable: bool


class Blocked(Failure):
    """A change that was not attempted: it depends on one that is not as declared, or is not this process's to make."""

    __slots__ = ()

    def __init__(self, message: str) -> None:
        super().__init__("Held", message, retryable=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change."""

    change: Change
    result: Result
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One run, whole. `outcomes` keep the plan's order; `since` is when the router became the router.

    `election` is None where there is no router. `moored` says that every pin leads to the router, whatever else is wrong.
    """

    topology: str
    verdict: Verdict
    woken_by: str
    started_at: datetime
    finished_at: datetime
    election: Election | None = None
    since: datetime | None = None
    outcomes: tuple[Outcome, ...] = ()
    problems: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    refusal: Refusal | None = None
    error: ControllerError | None = None
    notices: tuple[Notice, ...] = ()
    waiting: tuple[str, ...] = ()
    machines: tuple[Machine, ...] = ()
    certificate_ends: datetime | None = None
    moored: bool = False
    pause: Pause | None = None

    @property
    def router_id(self) -> str | None:
        """The router's instance id; None where there is none."""
        return self.election.router.id if self.election and self.election.router else None

    @property
    def sentence(self) -> str:
        """Sum the run up in one sentence, the same for log, journal, CLI and API."""
        return f"{self.topology}: {_head(self)}{_tail(self)}"

    @property
    def to_make(self) -> tuple[Change, ...]:
        """The changes that a run would make: what was planned and not refused."""
        if self.verdict == "paused":
            return ()
        return tuple(outcome.change for outcome in self.outcomes if outcome.result == "planned")

    @property
    def retryable(self) -> bool:
        """Whether another attempt soon can help."""
        failures = (o.failure.retryable for o in self.outcomes if o.failure and o.result != "unneeded")
        return any(failures) or (self.error is not None and self.error.retryable)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a run's verdict follows from.

    Attributes:
        ended: what ended the run before it had a plan; None where it looked.
        nobody: whether there is no router.
        refusal: the refusal to tell.
        drifting: whether something is not as declared.
        waiting: whether a machine's answer or another look is awaited.
        results: what became of its changes.
    """

    ended: ControllerError | None = None
    nobody: bool = False
    refusal: Refusal | None = None
    drifting: bool = False
    waiting: bool = False
    results: frozenset[Result] = frozenset()


def verdict_of(run: Standing) -> Verdict:
    """Sum a run up in one word: the first that holds, what needs a person before what does not."""
    if run.ended:
        if isinstance(run.ended, Expired):
            return "expired"
        return "refused" if isinstance(run.ended, UnsafePlan | NoEligibleRouter) else "blind"
    refusal, results = run.refusal, run.results
    if refusal and refusal.guard == "paused":
        return "paused"
    if run.nobody:
        return "no-router"
    if refusal:
        return "refused"
    if run.drifting:
        return "drifting"
    if run.waiting or "sent" in results:
        return "pending"
    return "repaired" if results & {"verified", "unneeded"} else "converged"


def _head(report: Report) -> str:
    match report.verdict:
        case "blind" | "expired":
            return f"{report.verdict}, so nothing was changed: {_error(report)}"
        case "no-router":
            kept = "what needs none is kept" if report.outcomes else "the network is left as it is"
            return f"{_error(report)}; {kept}"
        case "paused" | "refused":
            why = report.refusal.reason if report.refusal else _error(report)
            nothing = report.verdict == "paused" or all(o.result == "refused" for o in report.outcomes)
            return (
                f"{report.verdict}, so nothing was changed: {why}" if nothing else f"refused in part: {why}"
            )
        case "converged" | "repaired" | "pending" | "drifting":
            return _router(report)


def _router(report: Report) -> str:
    election = report.election
    if election is None or election.router is None:
        return report.verdict
    if not election.moved:
        return f"{election.router.id} is the router"
    moves = (
        "would move" if report.outcomes and all(o.result == "planned" for o in report.outcomes) else "moved"
    )
    return f"router {moves} from {election.previous} to {election.router.id} because {election.reason}"


def _tail(report: Report) -> str:
    parts = ["everything is as declared"] if report.verdict == "converged" else _counted(report)
    if report.waiting:
        parts.append(
            report.waiting[0]
            if len(report.waiting) == 1
            else f"{len(report.waiting)} machines are waited for"
        )
    if report.problems:
        parts.append(f"{_count(len(report.problems), 'problem')} for an operator")
    if report.error and (report.verdict == "drifting" or report.refusal):
        parts.append(_error(report))
    if report.pause and report.verdict == "converged":
        parts.append(report.pause.state)
    return "".join(f"; {part}" for part in parts)


def _counted(report: Report) -> list[str]:
    """Count the changes by what became of them; where none was attempted, those that may be are still to make."""
    planned, refused = _of(report, "planned"), _of(report, "refused")
    settled = len(report.outcomes) - planned - refused - _of(report, "sent")
    parts = []
    if planned + refused == len(report.outcomes):
        parts += [f"{_count(planned, 'change')} to make"] if planned else []
    else:
        good = _of(report, "verified") + _of(report, "unneeded")
        parts += [f"{good} of {_count(settled, 'change')} verified"] if settled else []
        told: tuple[Result, ...] = ("sent", "unseen", "failed", "held", "planned")
        parts += [f"{n} {RESULTS[result]}" for result in told if (n := _of(report, result))]
    return [*parts, *([f"{_count(refused, 'change')} refused"] if refused else [])]


def pause_json(pause: Pause) -> dict[str, str | None]:
    """Return a pause as JSON values."""
    return {"reason": pause.reason, "until": pause.until.isoformat() if pause.until else None}


def _of(report: Report, result: str) -> int:
    return sum(o.result == result for o in report.outcomes)


def _error(report: Report) -> str:
    return report.error.message if report.error else ""


def _count(number: int, noun: str) -> str:
    plural = noun in ("change", "problem") and number != 1
    return f"{number} {noun}{'s' if plural else ''}"


def as_json(report: Report) -> dict[str, object]:
    """Return the report as JSON values; times are UTC in ISO 8601, seconds are floats."""
    refusal, error = report.refusal, report.error
    return {
        "schema": SCHEMA,
        "topology": report.topology,
        "verdict": report.verdict,
        "sentence": report.sentence,
        "woken_by": report.woken_by,
        "started_at": report.started_at.isoformat(),
        "seconds": round((report.finished_at - report.started_at).total_seconds(), 3),
        "router": _router_json(report),
        "changes": [_outcome_json(o) for o in report.outcomes],
        "problems": list(report.problems),
        "waiting": list(report.waiting),
        "advice": list(report.advice),
        "certificate_ends": report.certificate_ends and report.certificate_ends.isoformat(),
        "machines": [_machine_json(machine) for machine in report.machines],
        "pause": report.pause and pause_json(report.pause),
        "refusal": refusal and {"guard": refusal.guard, "reason": refusal.reason, "way_out": refusal.remedy},
        "error": error
        and {
            "code": error.code,
            "aws_code": error.aws_code,
            "message": error.message,
            "hint": error.hint,
            "retryable": error.retryable,
        },
    }


def _router_json(report: Report) -> dict[str, object] | None:
    election = report.election
    if election is None or election.router is None or election.interface is None:
        return None
    return {
        "instance_id": election.router.id,
        "interface_id": election.interface.id,
        "since": report.since and report.since.isoformat(),
        "previous": election.previous,
        "reason": election.reason,
    }


def _outcome_json(outcome: Outcome) -> dict[str, object]:
    failure = outcome.failure
    return {
        "subject": resource_key(outcome.change),
        "line": line(outcome.change),
        "because": outcome.change.reason,
        "result": outcome.result,
        "failure": failure
        and {"code": failure.code, "message": failure.message, "retryable": failure.retryable},
    }


def _machine_json(machine: Machine) -> dict[str, object]:
    """Return what is known of a candidate's operating system; its digests are those of whole configurations."""
    word, command, failed = machine.inspection, machine.command, machine.failed
    provisional = machine.provisional
    return {
        "instance_id": machine.instance_id,
        "said": word
        and {
            "at": word.at.isoformat(),
            "digest": word.digest,
            "drift": list(word.drift),
            "hooks": list(word.hooks),
            "forwarding": word.forwarding,
            "holds_address": word.holds_address,
            "tunnel": word.tunnel,
            "received": word.received,
            "certificate_expires": word.expires and word.expires.isoformat(),
        },
        "command": command
        and {"id": command.id, "kind": command.kind, "sent_at": command.sent_at.isoformat()},
        "setback": failed
        and {
            "digest": failed.digest,
            "reason": failed.reason,
            "tries": failed.tries,
            "again_at": failed.again_at and failed.again_at.isoformat(),
        },
        "trial": provisional and {"digest": provisional.digest, "until": provisional.until.isoformat()},
    }
