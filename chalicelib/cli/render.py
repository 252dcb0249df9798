"""Turns a report into lines: the same words everywhere, colour only where a terminal shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from chalicelib.cli.errors import UnfitSecrets
from chalicelib.cli.terminal import line
from chalicelib.core.errors import TopologyError
from chalicelib.core.network.change import short
from chalicelib.core.network.report import RESULTS, as_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.text import Text

    from chalicelib.core.errors import ControllerError, Flaw
    from chalicelib.core.network.report import Report, Result, Verdict

Run: TypeAlias = Mapping[str, Any]
"""A report as `report.as_json` gives it, or one of the changes in it."""

_VERDICTS: dict[Verdict, str] = {
    "converged": "green",
    "repaired": "green",
    "pending": "cyan",
    "drifting": "yellow",
    "paused": "yellow",
    "refused": "red",
    "no-router": "red",
    "blind": "red",
    "expired": "red",
}
_RESULTS: dict[Result, str] = {
    "verified": "green",
    "unneeded": "green",
    "sent": "cyan",
    "unseen": "yellow",
    "held": "yellow",
    "failed": "red",
    "refused": "red",
    "planned": "",
}
_SIGNS = {"+": "green", "~": "yellow", "-": "red"}
_WIDEST = max(map(len, RESULTS.values()))


def exit_code(report: Report) -> int:
    """Return a look's exit code: 0 as declared, 2 drifting, 1 nothing could be said."""
    match report.verdict:
        case "converged" | "repaired":
            return 0
        case "blind" | "no-router" | "expired":
            return 1
        case "pending" | "drifting" | "paused" | "refused":
            return 2


def plan_lines(report: Report) -> Iterator[Text]:
    """Print what would be done, what stands in the way, and the report's sentence."""
    run: Run = as_json(report)
    for change in run["changes"]:
        yield _change(line(), change)
    yield from _ending(run)


def run_lines(run: Run) -> Iterator[Text]:
    """Print what became of each change, and the report's sentence; a report's JSON is what journal and API have, too."""
    yield from map(_outcome, run["changes"])
    yield from _ending(run)


def status_lines(report: Report) -> Iterator[Text]:
    """Print the verdict first, then who is the router since when, what is drifting, and what else is to know."""
    return now_lines(as_json(report))


def now_lines(run: Run) -> Iterator[Text]:
    """Print a look as `status_lines` does, from the report's JSON."""
    yield line(f"{run['topology']}: ", (run["verdict"], f"bold {_VERDICTS[run['verdict']]}"))
    yield from _router(run)
    refused = run["refusal"] and run["refusal"]["guard"]
    if run.get("pause") and refused != "paused":  # else that line tells it
        yield line(("paused   ", "yellow"), pause_text(run["pause"]))
    if run["error"]:
        yield line(("error    ", "red"), run["error"]["message"])
    if run["changes"]:
        count = len(run["changes"])
        yield line(f"drift    {count} change{'s' * (count != 1)} to make")
    elif run["router"]:
        yield line("drift    none")
    for change in run["changes"]:
        yield _change(line("         "), change)
    yield from (_machine(one, run) for one in run.get("machines", ()))
    yield from _remarks(run)
    yield from _hint(run)


def status_line(report: Report) -> Text:
    """Print a topology of many on one line: the verdict, then the report's sentence."""
    return line((f"{report.verdict:<10}", _VERDICTS[report.verdict])).append_text(line(report.sentence))


def story_lines(runs: Sequence[Run]) -> Iterator[Text]:
    """Tell runs as a story, the oldest first: when, woken by what, what became of it, and each change."""
    for run in sorted(runs, key=lambda run: str(run["started_at"])):
        yield line((moment(run["started_at"]), "bold"), f"  {run['woken_by']}")
        yield line("  ").append_text(_sentence(run))
        for change in run["changes"]:
            yield line("    ").append_text(_outcome(change))
        for one in (*_remarks(run, advice=False), *_hint(run)):
            yield line("    ").append_text(one)


def pause_text(pause: Mapping[str, Any]) -> str:
    """Return until when and why, from a pause's JSON."""
    return f"until {moment(pause['until'])}: {pause['reason']}" if pause["until"] else str(pause["reason"])


def moment(iso: str) -> str:
    """Show a time of a report as people write it, in UTC."""
    return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


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
    """Return an error as JSON values; a topology's flaws one by one."""
    document: dict[str, object] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, TopologyError):
        document["flaws"] = [flaw_json(flaw) for flaw in error.flaws]
    if isinstance(error, UnfitSecrets):
        document["problems"] = list(error.problems)
    return {"error": document}


def flaw_json(flaw: Flaw) -> dict[str, object]:
    """Return a flaw as JSON values; TOML knows dates and more that JSON does not, and they become text."""
    plain = flaw.value is None or isinstance(flaw.value, str | int)
    return {"key": flaw.key, "value": flaw.value if plain else str(flaw.value), "wanted": flaw.wanted}


def ago(time: timedelta) -> str:
    """Return how long ago something was, in its largest unit."""
    seconds = max(0, int(time.total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' * (count != 1)} ago"
    return "just now" if seconds < 5 else f"{seconds} seconds ago"


def _router(run: Run) -> Iterator[Text]:
    router = run["router"]
    if router is None:
        return
    who = f"{router['instance_id']} ({router['interface_id']})"
    if router["previous"]:
        verb = "would take over" if run["changes"] else "took over"
        yield line(f"router   {who} {verb} from {router['previous']}", _because(router["reason"]))
    elif router["since"]:
        lasted = datetime.fromisoformat(run["started_at"]) - datetime.fromisoformat(router["since"])
        since = f"since {moment(router['since'])}, {ago(lasted + timedelta(seconds=run['seconds']))}"
        yield line(f"router   {who} {since}")
    else:
        yield line(f"router   {who}, not on record yet", _because(router["reason"]))


def _machine(machine: Mapping[str, Any], run: Run) -> Text:
    """Return what a machine last said of itself, and when."""
    said, name = machine["said"], machine["instance_id"]
    if said is None:
        return line(f"machine  {name} has not said anything yet")
    when = ago(datetime.fromisoformat(run["started_at"]) - datetime.fromisoformat(said["at"]))
    has = f"configuration {short(said['digest'])}" if said["digest"] else "no configuration"
    parts = [f"{name} has {has}"]
    parts += [f"tunnel {said['tunnel']}"] if said["holds_address"] and said["tunnel"] else []
    parts += [] if said["forwarding"] or not said["digest"] else ["does not forward"]
    parts += [f"drift: {said['drift'][0]}"] if said["drift"] else []
    parts += [f"stopped: {said['hooks'][0]}"] if said.get("hooks") else []
    return line("machine  ", ", ".join(parts), (f"   said {when}", "dim"))


def _because(reason: str) -> tuple[str, str]:
    return f"   because {reason}", "dim"


def _change(indent: Text, change: Run) -> Text:
    text = str(change["line"])
    return indent.append_text(line((text[:1], _SIGNS[text[:1]]), text[1:], _because(change["because"])))


def _outcome(change: Run) -> Text:
    result: Result = change["result"]
    word = (f"{RESULTS[result]:<{_WIDEST}}   ", _RESULTS[result])
    said = line(word, change["line"])
    failure = change["failure"]
    if failure is None or result == "unneeded":
        return said.append_text(line(_because(change["because"])))
    code = "" if result == "held" else f"{failure['code']}: "
    message = " ".join(failure["message"].split())
    return said.append_text(line((f"   {code}{message}", _RESULTS[result])))


def _ending(run: Run) -> Iterator[Text]:
    yield from _remarks(run)
    yield _sentence(run)
    yield from _hint(run)


def _remarks(run: Run, *, advice: bool = True) -> Iterator[Text]:
    for problem in run["problems"]:
        yield line(("problem  ", "red"), problem)
    for one in run.get("waiting", ()):
        yield line(("waiting  ", "cyan"), one)
    for one in run["advice"] if advice else ():
        yield line(("advice   ", "cyan"), one)
    if run["refusal"]:
        yield line(("refused  ", "red"), run["refusal"]["reason"])
        yield line(("way out  ", "bold"), run["refusal"]["way_out"])


def _sentence(run: Run) -> Text:
    return line((run["sentence"], _VERDICTS[run["verdict"]]))


def _hint(run: Run) -> Iterator[Text]:
    if run["error"] and run["error"]["hint"]:
        yield line(("hint: ", "bold"), run["error"]["hint"])
