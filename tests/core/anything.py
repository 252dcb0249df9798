"""Draws any JSON whatever, with a taste for what an event's envelope is made of."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.builders import NOON

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
JSON = st.recursive(
    _SCALARS | st.sampled_from([NOON.isoformat(), "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["detail", "time", "source", "detail-type", "account"]) | st.text(max_size=8),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)
