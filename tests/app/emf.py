"""Metrics as CloudWatch reads them out of a log: its embedded metric format."""

from __future__ import annotations

import json
from typing import Any


def metrics_in(printed: str) -> list[dict[str, Any]]:
    """Read the metrics out of what was printed, as CloudWatch does."""
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return [line for line in lines if "_aws" in line]


def directive_of(emitted: dict[str, Any]) -> dict[str, Any]:
    """Return what says which of its values are metrics."""
    (directive,) = emitted["_aws"]["CloudWatchMetrics"]
    return dict(directive)


def values_of(emitted: dict[str, Any]) -> dict[str, float]:
    """Return the one value of each metric."""
    return {m["Name"]: value for m in directive_of(emitted)["Metrics"] for value in emitted[m["Name"]]}
