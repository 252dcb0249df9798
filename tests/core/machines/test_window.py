"""When a change window is open."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.machines.window import DAYS, Window, read_window

SATURDAY = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("declared", "at", "is_open"),
    [
        ("Sat,Sun 02:00-04:30", SATURDAY + timedelta(hours=2), True),
        ("Sat,Sun 02:00-04:30", SATURDAY + timedelta(hours=4, minutes=29, seconds=59), True),
        ("Sat,Sun 02:00-04:30", SATURDAY + timedelta(hours=4, minutes=30), False),
        ("Sun 02:00-04:30", SATURDAY + timedelta(hours=2), False),
        ("Fri 23:00-01:00", SATURDAY + timedelta(minutes=59), True),
        ("Fri 23:00-01:00", SATURDAY + timedelta(hours=23, minutes=30), False),
        ("Sat 23:00-01:00", SATURDAY + timedelta(minutes=59), False),
        ("daily 00:00-23:59", SATURDAY + timedelta(hours=12), True),
        ("Sat 02:00-04:30", (SATURDAY + timedelta(hours=2)).astimezone(timezone(timedelta(hours=9))), True),
    ],
)
def test_a_window_is_open_on_its_days_from_its_first_minute_to_before_its_last(
    declared: str, at: datetime, *, is_open: bool
) -> None:
    """One that ends before it begins ends on the next day; all times are UTC, whatever zone a moment is given in."""
    window, _ = read_window(declared)
    assert window
    assert window.contains(at) is is_open


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Sat",
        "sat 02:00-04:00",
        "Sat 2:00-4:00",
        "Sat 02:00-24:00",
        "Sat 02:00-02:00",
        "Foo 01:00-02:00",
        7,
        None,
        "Sat 02:00-04:00 CET",
        "Sat, Sun 02:00-04:00",
        "Sat 02:00-04:00\n",
        "daily,Sat 02:00-04:00",
    ],
)
def test_what_is_no_window_is_refused_with_what_would_be_right(value: object) -> None:
    """Another zone than UTC cannot be named: it would move twice a year."""
    window, wanted = read_window(value)
    assert window is None
    assert wanted.startswith("must")


_TIMES = st.times().map(lambda t: t.replace(second=0, microsecond=0))


@given(st.frozensets(st.integers(0, 6), min_size=1), _TIMES, _TIMES)
def test_a_window_prints_as_it_is_declared(days: frozenset[int], opens: time, closes: time) -> None:
    """What is shown can be declared."""
    if opens != closes:
        window = Window(days, opens, closes)
        assert read_window(str(window).removesuffix(" UTC")) == (window, read_window("daily 00:00-01:00")[1])


@given(st.datetimes(), st.sampled_from(range(len(DAYS))), _TIMES, _TIMES)
def test_two_windows_that_meet_are_open_all_day(at: datetime, day: int, opens: time, closes: time) -> None:
    """A window and the one that begins where it ends leave no gap and do not overlap, on a day that both name."""
    if opens == closes:
        return
    every = frozenset(range(7))
    first, second = Window(every, opens, closes), Window(every, closes, opens)
    moment = at.replace(tzinfo=UTC)
    assert first.contains(moment) != second.contains(moment)
