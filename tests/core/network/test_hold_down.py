"""How often the router may be left: what is dead at once, what is unfit ever slower, what nothing is wrong with seldom."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, get_args

import pytest

from chalicelib.core.network.election import Election
from chalicelib.core.network.guard import HOLD_DOWN, PAUSES, hold_down
from chalicelib.core.network.history import Cause
from chalicelib.core.network.topology import Limits
from tests.builders import NOON, ROUTER, standby, topology
from tests.histories import remembered

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.core.network.guard import Refusal
    from chalicelib.core.network.history import History

WHY = f"{ROUTER} is no candidate any more"


def leaving(cause: Cause) -> Election:
    """Return an election that leaves the router for the standby."""
    return Election(standby(), standby().interfaces[0], WHY, ROUTER, cause)


def ago(*minutes: float) -> tuple[datetime, ...]:
    """Return moments some minutes ago."""
    return tuple(NOON - timedelta(minutes=m) for m in minutes)


def asked(cause: Cause, history: History, moves_per_hour: int = 2) -> Refusal | None:
    """Ask whether the router may be left now."""
    declared = topology(limits=Limits(moves_per_hour=moves_per_hour))
    return hold_down(declared, history, leaving(cause), NOON)


@pytest.mark.parametrize("cause", [c for c in get_args(Cause) if c not in ("unfit", "unwanted")])
def test_leaving_for_any_other_cause_is_never_held_down(cause: Cause) -> None:
    """A dead router is left at once, whatever was before; an operator's moves are theirs."""
    busy = remembered(moves=ago(4, 3, 2, 1), leaves=ago(4, 3, 2, 1))
    assert asked(cause, busy, moves_per_hour=0) is None


@pytest.mark.parametrize(
    ("moves", "held"),
    [
        pytest.param((5,), False, id="one move, two allowed"),
        pytest.param((50, 5), True, id="two moves, two allowed"),
        pytest.param((61, 5), False, id="one of the two is over an hour old"),
        pytest.param((60, 5), False, id="one of the two is exactly an hour old"),
        pytest.param((59.99, 5), True, id="one of the two is not quite an hour old"),
    ],
)
def test_router_that_nothing_is_wrong_with_is_left_at_most_so_often_an_hour(
    moves: tuple[float, ...], *, held: bool
) -> None:
    """The limit is declared, and the refusal names it and the way out."""
    refusal = asked("unwanted", remembered(moves=ago(*moves)))

    assert (refusal is not None) is held
    if refusal:
        assert (refusal.guard, refusal.forceable) == ("hold-down", True)
        assert "limits.moves_per_hour allows 2" in refusal.reason
        assert WHY in refusal.reason
        assert "--force" in refusal.remedy
    assert timedelta(hours=1) == HOLD_DOWN


@pytest.mark.parametrize(("moves", "until"), [((50, 5), "12:10:00"), ((50, 40, 30, 5), "12:30:00")])
def test_held_move_says_until_when(moves: tuple[float, ...], until: str) -> None:
    """Where more moves were made than are allowed now, it is when the last that is one too many is an hour old."""
    refusal = asked("unwanted", remembered(moves=ago(*moves)))

    assert refusal
    assert refusal.reason.endswith(f"; the next is made at {until} UTC at the soonest")
    hour, minute, _ = map(int, until.split(":"))
    then = NOON.replace(hour=hour, minute=minute)
    declared, history = topology(limits=Limits(moves_per_hour=2)), remembered(moves=ago(*moves))
    assert hold_down(declared, history, leaving("unwanted"), then) is None
    assert hold_down(declared, history, leaving("unwanted"), then - timedelta(seconds=1)) is not None


def test_move_that_is_never_allowed_says_no_time() -> None:
    """No move an hour is allowed: only an operator makes one."""
    refusal = asked("unwanted", remembered(), moves_per_hour=0)

    assert refusal
    assert "soonest" not in refusal.reason


@pytest.mark.parametrize("leaves", range(9))
def test_unfit_router_is_left_after_a_pause_that_grows_with_the_number_of_leaves(leaves: int) -> None:
    """The first two are a failover and its way back; what follows is flapping, and slowed."""
    pause = timedelta(minutes=(0, 0, 1, 2, 4, 8, 15, 15, 15)[leaves])
    earlier = tuple(NOON - timedelta(minutes=20 + n) for n in range(leaves - 1, 0, -1))

    def held(since_the_last: timedelta) -> Refusal | None:
        last = (NOON - since_the_last,) if leaves else ()
        return asked("unfit", remembered(leaves=(*earlier, *last)), moves_per_hour=0)

    assert held(pause) is None
    if pause:
        refusal = held(pause - timedelta(seconds=1))
        assert refusal
        assert (refusal.guard, refusal.forceable) == ("flapping", True)
        assert f"{leaves} routers were left as unfit within the hour" in refusal.reason
        assert "the next is left at 12:00:01 UTC at the soonest" in refusal.reason
        assert WHY in refusal.reason
    assert tuple(timedelta(minutes=m) for m in (0, 0, 1, 2, 4, 8, 15)) == PAUSES


def test_leaves_of_over_an_hour_ago_slow_nothing() -> None:
    """It is flapping within the hour that is slowed."""
    assert asked("unfit", remembered(leaves=ago(63, 62, 61, 60, 0))) is None
    assert asked("unfit", remembered(leaves=ago(63, 62, 61, 59.9, 0))) is not None


def test_moves_and_leaves_do_not_count_for_each_other() -> None:
    """What nothing was wrong with says nothing of what is unfit."""
    assert asked("unfit", remembered(moves=ago(4, 3, 2, 1))) is None
    assert asked("unwanted", remembered(leaves=ago(4, 3, 2, 1))) is None
