"""Schedules of trouble: the judge finds nothing to say of any."""

from __future__ import annotations

import os

import pytest

from tests.simulator.play import play

SCHEDULES = int(os.environ.get("MOORING_SCHEDULES", "100000"))
CHUNK = 2000


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_whatever_goes_wrong_every_invariant_holds(first: int) -> None:
    """Each schedule that breaks something is named with the command that plays it again."""
    tally = play(first, min(CHUNK, SCHEDULES - first))
    assert not tally.found, tally.told()
