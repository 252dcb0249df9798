"""What the journal remembers: decisions, launches, moves and pauses, and how each of them ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import get_args

import pytest

from chalicelib.core.machines.machine import Command, Machine
from chalicelib.core.network.history import REMEMBERED, Cause, History, Pause, Sighting
from tests.builders import NOON, ROUTER, STANDBY, instance, seen, standby
from tests.histories import DAY, lately, remembered

MINUTE = timedelta(minutes=1)
CAUSES = get_args(Cause)


# -- decisions ------------------------------------------------------------------------------------------


def test_decision_for_another_router_begins_its_time() -> None:
    """`since` is when it became the router, and the launch it was seen in is remembered."""
    after = remembered().decided(standby(), NOON, "dead", insisted=False)

    assert (after.router, after.since, after.decided_at) == (STANDBY, NOON, NOON)
    assert after.launched_at == standby().launched_at
    assert after.revision == 2


@pytest.mark.parametrize("launched", [NOON - 9 * DAY, NOON - MINUTE])
def test_launch_that_is_known_is_that_of_the_router(launched: datetime) -> None:
    """Not that of the one before, which may have been launched later: what is seen of an older router would be outdated."""
    chosen = replace(standby(), launched_at=launched)
    after = remembered().decided(chosen, NOON, "operator", insisted=False)

    assert after.launched_at == launched
    assert not after.outdates(chosen)
    unseen = replace(chosen, state="stopped")
    assert remembered().decided(unseen, NOON, "operator", insisted=False).launched_at is None


def test_decision_for_the_same_router_keeps_its_time() -> None:
    """A repair is a decision; the router is the router since before."""
    after = remembered().decided(instance(), NOON, "none", insisted=False)

    assert (after.router, after.since, after.decided_at) == (ROUTER, NOON - DAY, NOON)


def test_decision_without_a_router_keeps_the_one_that_was() -> None:
    """What needs no router is repaired all the same; who was the router stays on record."""
    before = remembered()
    after = before.decided(None, NOON, "none", insisted=False)

    assert after == replace(before, revision=2, decided_at=NOON)


def test_every_decision_ends_a_sighting() -> None:
    """Evidence from before a decision is none after it."""
    before = remembered(sighting=Sighting(STANDBY, NOON - MINUTE))
    for router in (instance(), None):
        assert before.decided(router, NOON, "none", insisted=False).sighting is None


@pytest.mark.parametrize("cause", CAUSES)
def test_only_moves_off_a_router_that_ran_are_counted_each_for_itself(cause: Cause) -> None:
    """`unwanted` counts for the hold-down, `unfit` for the pauses; an operator's moves and failovers for neither."""
    after = remembered().decided(standby(), NOON, cause, insisted=False)

    assert after.moves == ((NOON,) if cause == "unwanted" else ())
    assert after.leaves == ((NOON,) if cause == "unfit" else ())


def test_moves_are_forgotten_after_a_day() -> None:
    """No guard looks further back."""
    old = (NOON - REMEMBERED, NOON - REMEMBERED + MINUTE)
    after = remembered(moves=old, leaves=old).decided(standby(), NOON, "unfit", insisted=False)

    assert (after.moves, after.leaves) == (old[1:], (old[1], NOON))


def test_insistence_is_remembered_while_the_router_stays() -> None:
    """An operator who chose it against a notice is not overruled by the next run, nor by a repair."""
    insisted = remembered().decided(standby(), NOON, "operator", insisted=True)
    repaired = insisted.decided(standby(), NOON + MINUTE, "none", insisted=False)
    again = repaired.decided(standby(), NOON + 2 * MINUTE, "none", insisted=True)
    left = again.decided(instance(), NOON + 3 * MINUTE, "dead", insisted=False)

    assert [h.insisted_at for h in (insisted, repaired, again, left)] == [NOON, NOON, NOON + 2 * MINUTE, None]


# -- what may be old ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "settled"), [(4.99, False), (5, True), (60, True)])
def test_router_is_settled_when_no_reading_can_be_from_before_it(minutes: float, *, settled: bool) -> None:
    """The limit itself is old enough."""
    assert lately(minutes).settled(NOON) is settled


def test_router_of_whom_nobody_knows_since_when_is_settled() -> None:
    """An earlier version did not write it down."""
    assert remembered(since=None).settled(NOON)


@pytest.mark.parametrize(
    ("state", "hours", "outdated"),
    [
        ("running", 0, False), ("running", -1, True), ("running", 1, False),
        ("pending", 0, True), ("pending", -1, True), ("pending", 1, False),
        ("stopped", 0, False), ("stopped", -1, True),
    ],
)  # fmt: skip
def test_reading_is_outdated_when_it_shows_what_was_before_what_is_known(
    state: str, hours: int, *, outdated: bool
) -> None:
    """An instance goes through its states in one order, and LaunchTime only grows."""
    shown = instance(state=state, launched=NOON - DAY + timedelta(hours=hours))
    assert remembered().outdates(shown) is outdated
    assert not remembered(launched_at=None).outdates(shown)


def test_only_the_routers_launches_are_known() -> None:
    """Of the others nothing is on record that a reading could contradict."""
    assert not remembered().outdates(replace(standby(), launched_at=NOON - 2 * DAY, state="pending"))


def test_router_is_met_where_it_is_seen_running_in_a_later_launch() -> None:
    """What was seen cannot be unseen by an older reading, by a state that does not run, or by another instance."""
    known, later = remembered(), NOON - MINUTE

    assert known.met(instance(launched=later)).launched_at == later
    for other in (
        instance(launched=NOON - 2 * DAY),
        instance(state="pending", launched=later),
        replace(standby(), launched_at=later),
    ):
        assert known.met(other) == known


# -- pauses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "paused"),
    [(None, True), (NOON + timedelta(seconds=1), True), (NOON, False), (NOON - MINUTE, False)],
)
def test_pause_holds_until_its_end(until: datetime | None, *, paused: bool) -> None:
    """One that ran out is none."""
    pause = Pause("maintenance", until)
    assert remembered(pause=pause).paused(NOON) == (pause if paused else None)
    assert remembered().paused(NOON) is None


def test_pause_outlives_a_decision() -> None:
    """A decision never resumes what an operator paused."""
    pause = Pause("maintenance")
    assert remembered(pause=pause).decided(standby(), NOON, "dead", insisted=False).paused(NOON) == pause


def test_pause_says_why_and_until_when() -> None:
    """Whoever reads it learns what it is for."""
    assert str(Pause("maintenance")) == "paused: maintenance"
    until = Pause("maintenance", NOON)
    assert (str(until), until.state) == (
        "paused until 2026-11-23 12:00 UTC: maintenance",
        "paused until 2026-11-23 12:00 UTC",
    )


# -- machines -------------------------------------------------------------------------------------------


def test_words_on_machines_take_the_place_of_earlier_ones() -> None:
    """Each machine is known once, and those that are gone not at all."""
    first = remembered().learned([Machine(STANDBY), Machine(ROUTER)])
    sent = Machine(ROUTER, Command("c-1", "inspect", NOON))
    after = first.learned([sent], gone={STANDBY})

    assert [m.instance_id for m in first.machines] == [ROUTER, STANDBY]
    assert after.machines == (sent,)
    assert after.machine(ROUTER) == sent
    assert after.machine(STANDBY) == Machine(STANDBY)


@pytest.mark.parametrize(("minutes", "kept"), [(5, True), (5.01, False)])
def test_machine_that_is_listed_no_more_is_forgotten_once_no_listing_can_be_older(
    minutes: float, *, kept: bool
) -> None:
    """It may be younger than the listing that leaves it out."""
    sent = Machine(STANDBY, Command("c-1", "inspect", NOON - timedelta(minutes=minutes)))
    history = remembered(machines=(Machine(ROUTER), sent))

    assert (sent in history.surviving(seen()).machines) is kept
    assert history.surviving(seen(None, instance(), standby())).machines == history.machines


def test_history_of_a_topology_never_seen_is_empty() -> None:
    """It settles, pauses and outdates nothing."""
    assert History().settled(NOON)
    assert History().paused(NOON) is None
    assert not History().outdates(instance(state="pending"))
