"""What the outside hears: one log line per run and its metrics (EMF), and of what went wrong what no secret can be in."""

from __future__ import annotations

import traceback
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from chalicelib.core.errors import ControllerError
from chalicelib.core.network.report import as_json

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.core.network.report import Report

NAMESPACE = "Mooring"
SERVICE = "mooring"

SHOWN = 50
"""The most changes of a run that are logged: a log event holds 256 KB, and the journal has them all."""

ALARMING = ("Drift", "RepairFailed", "NoEligibleRouter", "Blind", "RouterMoved")
"""What alarms watch, over all topologies: told by every run, so that an alarm sees 0 and not silence."""

MACHINES = ("TunnelUp", "TunnelSilent", "ConfigDrift", "PushFailed", "CertificateDays")
"""What alarms watch of machines, over all topologies; told where it is known, and but for `TunnelUp` only when it is bad."""

ALWAYS = ("Converged", "ReconcileSeconds", "TunnelUp", "CertificateDays")
"""What every run that knows it tells of its topology; the rest only when it is not 0: CloudWatch charges for a metric by the hours in
which it was told ("Amazon CloudWatch Pricing"), and those of a large fleet are most of what Mooring costs."""

SOON = 60
"""Days before a certificate's end from which on they are counted: a metric that is not told costs nothing."""

logger = Logger(service=SERVICE)


def run(report: Report, triggered_at: datetime) -> None:
    """Log a report and emit its metrics; `triggered_at` is when what triggered the run happened, UTC."""
    level = (
        logger.info if report.verdict in ("converged", "repaired", "pending", "paused") else logger.warning
    )
    # an operator's own words stay in the journal, unless they are why a run was held back
    pause = report.pause and replace(report.pause, reason="the journal has it")
    shown = replace(report, outcomes=report.outcomes[:SHOWN], pause=pause)
    level(report.sentence, report=as_json(shown) | {"sentence": report.sentence})
    measured = measures(report, triggered_at)
    told = {name: (value, unit) for name, (value, unit) in measured.items() if value or name in ALWAYS}
    _emit({n: measured[n] for n in ALARMING} | {n: told[n] for n in MACHINES if n in told})
    _emit(told, topology=report.topology)


def ignored(what: str, reason: str) -> None:
    """Log that something asks for nothing, and why."""
    logger.info(what, reason=reason)


def failed(what: str, error: Exception) -> None:
    """Log an error: ours as it is, another's by its kind and place alone, since it may quote what it choked on."""
    if isinstance(error, ControllerError):
        logger.warning(what, error=error.message, code=error.code, aws_code=error.aws_code, hint=error.hint)
    else:
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        logger.error(what, error=type(error).__name__, where=where)


def measures(report: Report, triggered_at: datetime) -> dict[str, tuple[float, MetricUnit]]:
    """Return every metric of a run: all counts, and the seconds; those from the event on if something was repaired."""
    results = [outcome.result for outcome in report.outcomes]
    counts = {
        "Drift": len(results) + len(report.problems),
        "Repaired": results.count("verified") + results.count("unneeded"),
        "RepairFailed": sum(results.count(result) for result in ("failed", "held", "unseen")),
        "RouterMoved": _moved(report),
        "NoEligibleRouter": report.verdict == "no-router",
        "Blind": report.verdict == "blind",
        "Converged": report.verdict in ("converged", "repaired"),
    }
    found = {name: (float(count), MetricUnit.Count) for name, count in counts.items()}
    found["ReconcileSeconds"] = ((report.finished_at - report.started_at).total_seconds(), MetricUnit.Seconds)
    if report.verdict == "repaired":
        since = (report.finished_at - triggered_at).total_seconds()
        found["SecondsFromEventToVerified"] = (max(0.0, since), MetricUnit.Seconds)
    return found | _machines(report)


def _machines(report: Report) -> dict[str, tuple[float, MetricUnit]]:
    """Return what machines said of late: of the router its tunnel, of all candidates the rest; nothing where nothing is known."""
    if not (report.machines or report.certificate_ends):
        return {}
    words = {m.instance_id: word for m in report.machines if (word := m.fresh(report.started_at))}
    found = {
        "ConfigDrift": sum(len(word.drift) for word in words.values()),
        "PushFailed": sum(m.failed is not None for m in report.machines),
    }
    router = words.get(report.router_id or "")
    if router and router.holds_address:
        up = router.tunnel == "CONNECTED"
        found["TunnelUp"] = up
        found["TunnelSilent"] = up and router.grown == 0
    measured = {name: (float(count), MetricUnit.Count) for name, count in found.items()}
    if router and router.grown is not None:
        measured["TunnelBytes"] = (float(router.grown), MetricUnit.Bytes)
    ends = [*(word.expires for word in words.values()), report.certificate_ends]
    days = [(moment - report.started_at) / timedelta(days=1) for moment in ends if moment]
    if days and min(days) <= SOON:
        measured["CertificateDays"] = (round(min(days), 2), MetricUnit.Count)
    return measured


def _emit(measured: dict[str, tuple[float, MetricUnit]], **dimensions: str) -> None:
    metrics = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service=SERVICE)
    for dimension, said in {"service": SERVICE, **dimensions}.items():
        metrics.add_dimension(dimension, said)
    for name, (value, unit) in measured.items():
        metrics.add_metric(name, unit, value)
    metrics.flush_metrics()


def _moved(report: Report) -> bool:
    """Return whether this run took the network to another router; one change that failed does not undo that."""
    if report.election is None or not report.election.moved:
        return False
    if report.verdict not in ("converged", "repaired", "drifting"):
        return False
    attempted = any(outcome.result != "planned" for outcome in report.outcomes)
    return attempted or (not report.outcomes and report.error is None)
