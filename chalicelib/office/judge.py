"""Judges one server by what OpenVPN does with its configuration and with the router's file, whoever wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.office.life import life
from chalicelib.office.session import session
from chalicelib.office.starting import starting
from chalicelib.office.travel import travel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.office.case import Case
    from chalicelib.office.finding import Finding


def judge(case: Case) -> Iterator[Finding]:
    """Find what keeps the tunnel from working, and what makes it weak."""
    yield from starting(case)
    yield from session(case)
    yield from travel(case)
    yield from life(case)
