"""Histories as the journal has them after a quiet day, so that a test names only what matters to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.core.network.guard import scope
from chalicelib.core.network.history import History
from tests.builders import NOON, ROUTER, seen, topology

if TYPE_CHECKING:
    from chalicelib.core.network.topology import Topology

DAY = timedelta(days=1)


def remembered(declared: Topology | None = None, **other: Any) -> History:  # noqa: ANN401 - of History's fields
    """Return the history of a router that was decided on a day ago for all that is declared, and seen running since."""
    declared, at = declared or topology(), NOON - DAY
    kept = scope(declared, seen(declared))
    known = History(1, ROUTER, since=at, decided_at=at, launched_at=at, kept=kept)
    return replace(known, **other)


def lately(minutes: float, declared: Topology | None = None, **other: Any) -> History:  # noqa: ANN401 - see above
    """Return the history of a router that was decided on only some minutes ago."""
    at = NOON - timedelta(minutes=minutes)
    return remembered(declared, **{"since": at, "decided_at": at, **other})
