"""The arithmetic of fleets: what a bucket gives, found out by emptying one call by call."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tests.bench.fleet import Bucket, Use, unthrottled


@given(
    capacity=st.integers(1, 60), refill=st.integers(1, 20), look=st.integers(1, 3), pace=st.integers(1, 60)
)
def test_fleet_said_to_be_unthrottled_never_finds_the_bucket_empty(
    capacity: int, refill: int, look: int, pace: int
) -> None:
    """Calls that come at a steady pace: the fleet that is said to fit does, and one a little larger does not."""
    most = unthrottled(Use(Bucket(capacity, refill), look, 0), pace)
    if math.isinf(most):
        assert pace * look <= refill
        return
    level = capacity - most * look + refill * most / pace
    assert math.isclose(level, 0, abs_tol=1e-6)
    assert capacity - (most + 1) * look + refill * (most + 1) / pace < 0
