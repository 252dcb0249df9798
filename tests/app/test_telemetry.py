"""What the outside hears of a run: one line, and metrics that CloudWatch takes from standard output (EMF)."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.aws import telemetry
from chalicelib.core.errors import ApplyError, NoEligibleRouter, ObservationError
from chalicelib.core.network.change import CreateRoute
from chalicelib.core.network.election import Election
from chalicelib.core.network.guard import Refusal
from chalicelib.core.network.report import Outcome, Report
from tests.app.emf import directive_of, metrics_in, values_of
from tests.builders import NOON, PRIVATE_A, ROUTER, ROUTER_ENI, STANDBY, instance, interface
from tests.stand_ins.functions import Log, sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.core.errors import ControllerError
    from chalicelib.core.network.report import Result, Verdict
    from tests.app.office import Office
    from tests.stand_ins.functions import Functions

COUNTS = {
    "Drift",
    "Repaired",
    "RepairFailed",
    "RouterMoved",
    "NoEligibleRouter",
    "Blind",
    "Converged",
}
LONG_AGO = NOON - timedelta(seconds=30)


@pytest.fixture
def log() -> Iterator[Log]:
    """What is logged."""
    logger = logging.getLogger("mooring")
    log = Log()
    logger.addHandler(log)
    yield log
    logger.removeHandler(log)


def _report(
    verdict: Verdict,
    *results: Result,
    moved: bool = False,
    problems: int = 0,
    refusal: Refusal | None = None,
    error: ControllerError | None = None,
) -> Report:
    """Return the report of a run that took two seconds."""
    outcomes = [
        Outcome(CreateRoute(PRIVATE_A, f"10.9.{n}.0/24", ROUTER_ENI, "it is missing"), result)
        for n, result in enumerate(results)
    ]
    previous = STANDBY if moved else None
    return Report(
        "office",
        verdict,
        "tick",
        NOON,
        NOON + timedelta(seconds=2),
        election=Election(instance(), interface(), "the incumbent is eligible", previous),
        outcomes=tuple(outcomes),
        problems=("look",) * problems,
        refusal=refusal,
        error=error,
    )


def _blind() -> Report:
    return Report("office", "blind", "tick", NOON, NOON, error=ObservationError("fog"))


PAUSED = Refusal("paused", "paused: lunch", "resume it")
FAR = Refusal("blast-radius", "2 changes at once", "force it")

# Every verdict, and what is not zero of it.
SAID: list[tuple[Report, dict[str, float]]] = [
    (_report("converged"), {"Converged": 1}),
    (_report("converged", moved=True), {"Converged": 1, "RouterMoved": 1}),  # its interface was kept
    (_report("converged", problems=1), {"Converged": 1, "Drift": 1}),
    (
        _report("repaired", "verified", "unneeded", moved=True),
        {"Converged": 1, "Repaired": 2, "Drift": 2, "RouterMoved": 1},
    ),
    (_report("repaired", "verified"), {"Converged": 1, "Repaired": 1, "Drift": 1}),
    (
        _report("drifting", "verified", "failed", "held", "unseen", moved=True),
        {"Drift": 4, "Repaired": 1, "RepairFailed": 3, "RouterMoved": 1},
    ),
    (_report("drifting", "planned", moved=True, error=ApplyError("no journal")), {"Drift": 1}),
    (_report("drifting", moved=True, error=ApplyError("no journal")), {}),
    (_report("drifting", problems=2), {"Drift": 2}),
    (_report("pending"), {}),  # somebody is waited for
    (_report("pending", "verified", "sent"), {"Drift": 2, "Repaired": 1}),
    (_report("paused", "planned", moved=True, refusal=PAUSED), {"Drift": 1}),
    (_report("refused", "planned", "planned", moved=True, refusal=FAR), {"Drift": 2}),
    (
        Report("office", "no-router", "tick", NOON, NOON, error=NoEligibleRouter("nobody")),
        {"NoEligibleRouter": 1},
    ),
    (_blind(), {"Blind": 1}),
]


@pytest.mark.parametrize(("report", "expected"), SAID, ids=lambda value: getattr(value, "verdict", ""))
def test_every_count_is_taken(report: Report, expected: dict[str, float]) -> None:
    """What a run did is counted once, and what it did not is 0."""
    measured = telemetry.measures(report, LONG_AGO)
    assert {name: measured[name][0] for name in COUNTS} == {name: expected.get(name, 0.0) for name in COUNTS}
    assert measured.keys() - COUNTS - {"SecondsFromEventToVerified"} == {"ReconcileSeconds"}
    assert ("SecondsFromEventToVerified" in measured) is (report.verdict == "repaired")


def test_seconds_run_from_the_event_to_the_repair_that_was_seen() -> None:
    """Not from when the run began: what an office waited counts; a clock that is ahead makes it no less than 0."""
    repaired = _report("repaired", "verified")
    assert telemetry.measures(repaired, LONG_AGO)["SecondsFromEventToVerified"][0] == 32
    ahead = NOON + timedelta(minutes=1)
    assert telemetry.measures(repaired, ahead)["SecondsFromEventToVerified"][0] == 0
    assert telemetry.measures(repaired, LONG_AGO)["ReconcileSeconds"][0] == 2


@pytest.mark.parametrize(("report", "expected"), SAID, ids=lambda value: getattr(value, "verdict", ""))
def test_what_alarms_watch_is_told_by_every_run(
    capsys: pytest.CaptureFixture[str], report: Report, expected: dict[str, float]
) -> None:
    """Over all topologies an alarm must see 0 and not silence, and nothing is told that no alarm watches."""
    telemetry.run(report, LONG_AGO)
    whole, _ = metrics_in(capsys.readouterr().out)
    assert directive_of(whole)["Dimensions"] == [["service"]]
    assert values_of(whole) == {name: expected.get(name, 0.0) for name in telemetry.ALARMING}


@pytest.mark.parametrize(("report", "expected"), SAID, ids=lambda value: getattr(value, "verdict", ""))
def test_topology_is_told_of_only_what_happened(
    capsys: pytest.CaptureFixture[str], report: Report, expected: dict[str, float]
) -> None:
    """Each metric of a topology costs money in the hours in which it is told: a 0 is told of the verdict alone."""
    telemetry.run(report, LONG_AGO)
    _, own = metrics_in(capsys.readouterr().out)
    told = values_of(own)
    seconds = {name: told.pop(name) for name in list(told) if name.endswith(("Seconds", "Verified"))}
    assert directive_of(own)["Dimensions"] == [["service", "topology"]]
    assert told == {"Converged": 0.0} | expected
    assert ("SecondsFromEventToVerified" in seconds) is (report.verdict == "repaired")
    assert "ReconcileSeconds" in seconds


def test_metrics_name_no_instance(capsys: pytest.CaptureFixture[str]) -> None:
    """An id of an instance as a dimension would be a new metric at each failover; units are CloudWatch's."""
    telemetry.run(_report("repaired", "verified"), LONG_AGO)
    for emitted in metrics_in(capsys.readouterr().out):
        directive = directive_of(emitted)
        assert directive["Namespace"] == "Mooring"
        assert emitted["service"] == "mooring"
        assert emitted.get("topology") in (None, "office")
        units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
        assert units == {name: "Count" if name in COUNTS else "Seconds" for name in units}
        assert ROUTER not in json.dumps(emitted)


def test_metrics_of_one_run_are_not_those_of_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    """A warm function serves many topologies: nothing of one stays for another."""
    telemetry.run(_report("repaired", "verified"), LONG_AGO)
    telemetry.run(_blind(), LONG_AGO)
    whole, own, second_whole, second_own = metrics_in(capsys.readouterr().out)
    assert (values_of(whole)["Blind"], values_of(own)["Repaired"]) == (0.0, 1.0)
    assert values_of(second_whole)["Blind"] == 1.0
    assert values_of(second_own) == {"Blind": 1.0, "Converged": 0.0, "ReconcileSeconds": 0.0}


@pytest.mark.parametrize(
    ("report", "level"),
    [
        (_report("converged"), "INFO"),
        (_report("pending", "sent"), "INFO"),
        (_report("repaired", "verified"), "INFO"),
        (_report("paused", "planned", refusal=PAUSED), "INFO"),
        (_report("drifting", "failed"), "WARNING"),
        (_report("refused", "planned", refusal=FAR), "WARNING"),
        (_blind(), "WARNING"),
    ],
    ids=lambda value: getattr(value, "verdict", ""),
)
def test_run_is_one_line_with_its_sentence(log: Log, report: Report, level: str) -> None:
    """The line says what the journal, the CLI and the API say, and holds the report to be queried."""
    telemetry.run(report, LONG_AGO)
    (line,) = log.lines
    assert (line["level"], line["message"], line["service"]) == (level, report.sentence, "mooring")
    assert line["report"]["sentence"] == report.sentence
    assert line["report"]["verdict"] == report.verdict


def test_large_run_fits_into_a_log_event(log: Log) -> None:
    """A thousand changes are summed up whole and listed in part: CloudWatch holds 256 KB of a line."""
    results: list[Result] = ["verified"] * 1000
    report = _report("repaired", *results)
    telemetry.run(report, LONG_AGO)
    assert len(log.text[0]) < 64_000
    (line,) = log.lines
    assert line["message"] == line["report"]["sentence"]
    assert "1000 of 1000 changes verified" in line["message"]
    assert len(line["report"]["changes"]) == telemetry.SHOWN


def test_deployed_run_says_and_counts_once(
    functions: Functions, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the tick to standard output: one line per run, and its metrics for all and for the topology."""
    office.delete_default_route()
    capsys.readouterr()
    functions.deliver(sample("scheduled", at=datetime.now(UTC) - timedelta(minutes=2)))
    _, emitted = metrics_in(capsys.readouterr().out)
    assert (emitted["Drift"], emitted["Repaired"], emitted["Converged"]) == ([1.0], [1.0], [1.0])
    assert 120 <= emitted["SecondsFromEventToVerified"][0] < 180
    (line,) = functions.log.lines
    assert line["message"] == office.runs()[0]["sentence"]
    assert line["function_name"] == "mooring-reconcile"
