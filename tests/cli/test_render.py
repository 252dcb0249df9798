"""What a report, an error and a span of time look like in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.cli.render import (
    ago,
    error_json,
    error_lines,
    exit_code,
    now_lines,
    plan_lines,
    run_lines,
    status_line,
    status_lines,
    story_lines,
)
from chalicelib.cli.terminal import line
from chalicelib.core.errors import Flaw, NoEligibleRouter, ObservationError, TopologyError
from chalicelib.core.machines.machine import Inspection, Machine
from chalicelib.core.network.change import CreateRoute, ReplaceRoute
from chalicelib.core.network.election import Election
from chalicelib.core.network.guard import Refusal
from chalicelib.core.network.history import Pause
from chalicelib.core.network.observation import Instance, Interface
from chalicelib.core.network.report import Failure, Outcome, Report, as_json
from tests.builders import NOON, PRIVATE_A, PUBLIC_SUBNET, ROUTER, ROUTER_ENI, STANDBY, THIRD

_INTERFACE = Interface(ROUTER_ENI, PUBLIC_SUBNET, ("10.0.0.8",))
_ELECTION = Election(
    Instance(ROUTER, "running", NOON, interfaces=(_INTERFACE,)), _INTERFACE, "the incumbent is eligible"
)
_ROUTE = CreateRoute(PRIVATE_A, "0.0.0.0/0", ROUTER_ENI, "it is missing")
_CONVERGED = Report(
    "office", "converged", "operator", NOON, NOON, election=_ELECTION, since=NOON - timedelta(hours=3)
)
_DRIFTING = replace(_CONVERGED, verdict="drifting", outcomes=(Outcome(_ROUTE, "planned"),))


def test_plan_prints_changes_then_remarks_then_the_sentence() -> None:
    """The order is fixed: what, what stands in the way, the total."""
    refusal = Refusal("blast-radius", "9 changes at once; limits.changes allows 8", "apply with --force")
    report = replace(_DRIFTING, verdict="refused", problems=("p",), advice=("a",), refusal=refusal)
    assert [one.plain for one in plan_lines(report)] == [
        f"+ route {PRIVATE_A} 0.0.0.0/0 -> {ROUTER_ENI}   because it is missing",
        "problem  p",
        "advice   a",
        "refused  9 changes at once; limits.changes allows 8",
        "way out  apply with --force",
        report.sentence,
    ]


def test_status_of_drift_puts_the_verdict_first() -> None:
    """Who is the router, since when, what is drifting."""
    assert [one.plain for one in status_lines(_DRIFTING)] == [
        "office: drifting",
        f"router   {ROUTER} ({ROUTER_ENI}) since 2026-11-23 09:00:00 UTC, 3 hours ago",
        "drift    1 change to make",
        f"         + route {PRIVATE_A} 0.0.0.0/0 -> {ROUTER_ENI}   because it is missing",
    ]


def test_status_of_a_failover_to_come_names_both_routers() -> None:
    """A router that would take over is not said to be the router."""
    election = replace(_ELECTION, previous=STANDBY, reason=f"{STANDBY} is terminated")
    would, *_ = list(status_lines(replace(_DRIFTING, election=election, since=None)))[1:]
    assert would.plain == (
        f"router   {ROUTER} ({ROUTER_ENI}) would take over from {STANDBY}   because {STANDBY} is terminated"
    )


def test_status_without_a_router_tells_the_error_and_the_hint() -> None:
    """Nothing is made up about what could not be seen."""
    error = NoEligibleRouter("no eligible router: no instance is tagged x", hint="start one")
    report = Report("office", "no-router", "operator", NOON, NOON, error=error)
    assert [one.plain for one in status_lines(report)] == [
        "office: no-router",
        "error    no eligible router: no instance is tagged x",
        "hint: start one",
    ]
    assert status_line(report).plain.startswith("no-router office: no eligible router: ")


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome(_ROUTE, "verified"), ("done and seen ", "because it is missing")),
        (Outcome(_ROUTE, "unseen"), ("done but not yet seen ", "because it is missing")),
        (
            Outcome(_ROUTE, "unneeded", Failure("RouteAlreadyExists", "exists", retryable=False)),
            ("not needed any more ", "because it is missing"),
        ),
        (
            Outcome(_ROUTE, "failed", Failure("UnauthorizedOperation", "You are\nnot", retryable=False)),
            ("failed ", "UnauthorizedOperation: You are not"),
        ),
        (
            Outcome(_ROUTE, "held", Failure("Held", "the check is still on", retryable=True)),
            ("held back ", "   the check is still on"),
        ),
    ],
)
def test_each_outcome_is_one_line_with_its_reason(outcome: Outcome, words: tuple[str, str]) -> None:
    """Done and seen, done but not yet seen, not needed, failed with AWS's code, held back."""
    first, *_ = run_lines(as_json(replace(_DRIFTING, outcomes=(outcome,))))
    start, end = words
    assert first.plain.startswith(start)
    assert first.plain.endswith(end)
    assert f"+ route {PRIVATE_A} 0.0.0.0/0" in first.plain


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        ("converged", 0),
        ("repaired", 0),
        ("drifting", 2),
        ("paused", 2),
        ("refused", 2),
        ("no-router", 1),
        ("blind", 1),
    ],
)
def test_every_verdict_has_its_exit_code(verdict: str, code: int) -> None:
    """A script tells drift from an error by the code alone."""
    assert exit_code(replace(_CONVERGED, verdict=verdict)) == code  # type: ignore[arg-type]  # parametrised


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"),
        (4, "just now"),
        (59, "59 seconds ago"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (86_400 * 3, "3 days ago"),
    ],
)
def test_a_time_span_is_told_in_its_largest_unit(seconds: int, words: str) -> None:
    """A person reads one number; a clock that is behind gives no negative one."""
    assert ago(timedelta(seconds=seconds)) == words


def test_what_a_terminal_would_obey_is_shown_escaped() -> None:
    """Tags and stored text are strangers' words: they may not move the cursor."""
    change = ReplaceRoute(PRIVATE_A, "0.0.0.0/0", ROUTER_ENI, "eni-1", "\x1b[2Jgone\nand more")
    (first, *_) = plan_lines(replace(_DRIFTING, outcomes=(Outcome(change, "planned"),)))
    assert first.plain.endswith(r"because \x1b[2Jgone\nand more")
    assert line("\udcff").plain == r"\udcff"


def test_an_error_is_told_with_its_hint_in_words_and_in_json() -> None:
    """Both forms carry the same."""
    error = ObservationError("ec2:DescribeVpcs failed", hint="allow it")
    assert [one.plain for one in error_lines(error)] == ["error: ec2:DescribeVpcs failed", "hint: allow it"]
    assert error_json(error) == {
        "error": {"code": "ObservationError", "message": "ec2:DescribeVpcs failed", "hint": "allow it"}
    }


def test_a_flaw_whose_value_json_does_not_know_becomes_text() -> None:
    """TOML has dates and infinities; JSON has not."""
    flaws = (Flaw("name", NOON.date(), "must be a name"), Flaw("limits.tables", float("inf"), "must be less"))
    document = error_json(TopologyError(flaws))["error"]
    assert isinstance(document, dict)
    assert [flaw["value"] for flaw in document["flaws"]] == ["2026-11-23", "inf"]


def test_status_of_a_paused_network_tells_the_pause_once() -> None:
    """As its own line while nothing has drifted; as the refusal when something has."""
    pause = Pause("lunch (anna)", NOON)
    told = "paused   until 2026-11-23 12:00:00 UTC: lunch (anna)"
    assert [one.plain for one in status_lines(replace(_CONVERGED, pause=pause))][2] == told
    refusal = Refusal("paused", str(pause), "mooring resume office", forceable=False)
    lines = [
        one.plain for one in status_lines(replace(_DRIFTING, verdict="paused", pause=pause, refusal=refusal))
    ]
    assert told not in lines
    assert "refused  paused until 2026-11-23 12:00 UTC: lunch (anna)" in lines


def test_story_is_told_from_its_beginning_whatever_order_it_comes_in() -> None:
    """The latest run stands next to the prompt; a run of an older version lacks what it did not know."""
    first = as_json(replace(_CONVERGED, woken_by="tick"))
    later = replace(_DRIFTING, woken_by="anna", started_at=NOON + timedelta(hours=1), problems=("p",))
    last = as_json(later)
    first.pop("pause")
    assert [one.plain for one in story_lines([last, first])] == [
        "2026-11-23 12:00:00 UTC  tick",
        f"  {_CONVERGED.sentence}",
        "2026-11-23 13:00:00 UTC  anna",
        f"  {later.sentence}",
        f"    not attempted           + route {PRIVATE_A} 0.0.0.0/0 -> {ROUTER_ENI}   because it is missing",
        "    problem  p",
    ]
    assert list(now_lines(first))


def test_status_tells_what_each_machine_last_said() -> None:
    """What it has, whether its tunnel is up where it matters, and what somebody changed; how old the word is."""
    word = Inspection(
        NOON - timedelta(minutes=2),
        "5ea73374e20e" + "0" * 52,
        forwarding=True,
        holds_address=True,
        tunnel="CONNECTED",
    )
    bare = Inspection(NOON, None)
    idle = replace(word, forwarding=False, holds_address=False, drift=("net.ipv4.ip_forward is 0",))
    machines = (
        Machine(ROUTER, inspection=word),
        Machine(STANDBY, inspection=bare),
        Machine(THIRD, inspection=idle),
        Machine("i-0000000000000000f"),
    )
    said = [
        one.plain for one in status_lines(replace(_CONVERGED, machines=machines)) if "machine" in one.plain
    ]
    assert said == [
        f"machine  {ROUTER} has configuration 5ea73374e20e, tunnel CONNECTED   said 2 minutes ago",
        f"machine  {STANDBY} has no configuration   said just now",
        (
            f"machine  {THIRD} has configuration 5ea73374e20e, does not forward, drift: net.ipv4.ip_forward is 0"
            "   said 2 minutes ago"
        ),
        "machine  i-0000000000000000f has not said anything yet",
    ]


def test_run_that_an_earlier_version_wrote_is_told_all_the_same() -> None:
    """The journal keeps runs for ninety days, and knows nothing of what came later."""
    run = {
        key: value for key, value in as_json(_DRIFTING).items() if key not in ("waiting", "machines", "pause")
    }
    assert list(story_lines([run]))
    assert list(now_lines(run))
