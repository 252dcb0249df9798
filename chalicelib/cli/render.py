"""Turns a report into lines: the same words everywhere, colour only where a terminal shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.cli.errors import UnfitSecrets
from chalicelib.cli.terminal import line
from chalicelib.core.change import line as change_line
from chalicelib.core.errors import TopologyError
from chalicelib.core.report import RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from rich.text import Text

    from chalicelib.core.change import Change
    from chalicelib.core.errors import ControllerError, Flaw
    from chalicelib.core.report import Outcome, Report, Result, Verdict

_VERDICTS: dict[Verdict, str] = {
    "converged": "green",
    "repaired": "green",
    "drifting": "yellow",
    "paused": "yellow",
    "refused": "red",
    "no-router": "red",
    "blind": "red",
}
_RESULTS: dict[Result, str] = {
    "verified": "green",
    "unneeded": "green",
    "unseen": "yellow",
    "held": "yellow",
    "failed": "red",
    "planned": "",
}
_SIGNS = {"+": "green", "~": "yellow", "-": "red"}
_WIDEST = max(map(len, RESULTS.values()))


def exit_code(report: Report) -> int:
    """Give a look's exit code: 0 as declared, 2 drifting, 1 nothing could be said."""
    match report.verdict:
        case "converged" | "repaired":
            return 0
        case "blind" | "no-router":
            return 1
        case "drifting" | "paused" | "refused":
            return 2


def plan_lines(report: Report) -> Iterator[Text]:
    """Print what would be done, what stands in the way, and the report's sentence."""
    for outcome in report.outcomes:
        yield _change(outcome.change)
    yield from _remarks(report)
    yield _sentence(report)
    yield from _hint(report)


def outcome_lines(report: Report) -> Iterator[Text]:
    """Print what became of each change, and the report's sentence."""
    for outcome in report.outcomes:
        yield _outcome(outcome)
    yield from _remarks(report)
    yield _sentence(report)
    yield from _hint(report)


def status_lines(report: Report) -> Iterator[Text]:
    """Print the verdict first, then who is the router since when, what is drifting, and what else is to know."""
    yield line(f"{report.topology}: ", (report.verdict, f"bold {_VERDICTS[report.verdict]}"))
    yield from _router(report)
    if report.error:
        yield line(("error    ", "red"), report.error.message)
    if report.outcomes:
        count = len(report.outcomes)
        yield line(f"drift    {count} change{'s' * (count != 1)} to make")
    elif report.election:
        yield line("drift    none")
    for outcome in report.outcomes:
        yield line("         ").append_text(_change(outcome.change))
    yield from _remarks(report)
    yield from _hint(report)


def status_line(report: Report) -> Text:
    """Print a topology of many on one line: the verdict, then the report's sentence."""
    return line((f"{report.verdict:<10}", _VERDICTS[report.verdict])).append_text(line(report.sentence))


def error_lines(error: ControllerError) -> Iterator[Text]:
    """Print what was wrong, each flaw of a topology on its own line, and what to do next."""
    label = ("error: ", "bold red")
    if isinstance(error, TopologyError):
        yield line(label, error.message.partition(": ")[0])
        for flaw in error.flaws:
            yield line(f"  {flaw}")
    elif isinstance(error, UnfitSecrets):
        yield line(label, error.message.partition(": ")[0])
        yield from (line(f"  {problem}") for problem in error.problems)
    else:
        yield line(label, error.message)
    if error.hint:
        yield line(("hint: ", "bold"), error.hint)


def error_json(error: ControllerError) -> dict[str, object]:
    """Give an error as JSON values; a topology's flaws one by one."""
    document: dict[str, object] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, TopologyError):
        document["flaws"] = [flaw_json(flaw) for flaw in error.flaws]
    if isinstance(error, UnfitSecrets):
        document["problems"] = list(error.problems)
    return {"error": document}


def flaw_json(flaw: Flaw) -> dict[str, object]:
    """Give a flaw as JSON values; TOML knows dates and more that JSON does not, and they become text."""
    plain = flaw.value is None or isinstance(flaw.value, str | int)
    return {"key": flaw.key, "value": flaw.value if plain else str(flaw.value), "wanted": flaw.wanted}


def ago(time: timedelta) -> str:
    """Say how long ago something was, in its largest unit."""
    seconds = max(0, int(time.total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' * (count != 1)} ago"
    return "just now" if seconds < 5 else f"{seconds} seconds ago"


def _router(report: Report) -> Iterator[Text]:
    election = report.election
    if election is None:
        return
    router = f"{election.router.id} ({election.interface.id})"
    if election.moved:
        verb = "would take over" if report.outcomes else "took over"
        yield line(f"router   {router} {verb} from {election.previous}", _because(election.reason))
    elif report.since:
        since = f"since {report.since:%Y-%m-%d %H:%M:%S} UTC, {ago(report.finished_at - report.since)}"
        yield line(f"router   {router} {since}")
    else:
        yield line(f"router   {router}, not on record yet", _because(election.reason))


def _because(reason: str) -> tuple[str, str]:
    return f"   because {reason}", "dim"


def _change(change: Change) -> Text:
    text = change_line(change)
    return line((text[:1], _SIGNS[text[:1]]), text[1:], _because(change.reason))


def _outcome(outcome: Outcome) -> Text:
    word = (f"{RESULTS[outcome.result]:<{_WIDEST}}   ", _RESULTS[outcome.result])
    said = line(word, change_line(outcome.change))
    if outcome.failure is None or outcome.result == "unneeded":
        return said.append_text(line(_because(outcome.change.reason)))
    code = "" if outcome.result == "held" else f"{outcome.failure.code}: "
    message = " ".join(outcome.failure.message.split())
    return said.append_text(line((f"   {code}{message}", _RESULTS[outcome.result])))


def _remarks(report: Report) -> Iterator[Text]:
    for problem in report.problems:
        yield line(("problem  ", "red"), problem)
    for advice in report.advice:
        yield line(("advice   ", "cyan"), advice)
    if report.refusal:
        yield line(("refused  ", "red"), report.refusal.reason)
        yield line(("way out  ", "bold"), report.refusal.way_out)


def _sentence(report: Report) -> Text:
    return line((report.sentence, _VERDICTS[report.verdict]))


def _hint(report: Report) -> Iterator[Text]:
    if report.error and report.error.hint:
        yield line(("hint: ", "bold"), report.error.hint)
