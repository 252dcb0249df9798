"""AWS's word on an instance: it belongs to one launch, has an end, and takes away or only ranks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.machines.rollout import relevant
from chalicelib.core.network.history import NOTICED, SCHEDULED, History
from chalicelib.core.network.notice import TOO_OLD, Hook, Notice
from chalicelib.core.network.observation import Instance, ScheduledEvent
from tests.builders import NOON, ROUTER, STANDBY, TUNNEL, instance, seen, standby, topology
from tests.histories import lately, remembered

if TYPE_CHECKING:
    from chalicelib.core.network.notice import NoticeKind
    from chalicelib.core.network.topology import Topology

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
HOOK = Hook("office-routers", "handover", "00000000-0000-0000-0000-000000000001")
REASONS: dict[NoticeKind, str] = {
    "interruption": "gets a Spot stop in two minutes",
    "rebalance": "has a Spot rebalance recommendation",
    "termination": "is being terminated by its Auto Scaling group",
    "in-service": "is in service in its Auto Scaling group",
}


def word(
    kind: NoticeKind, at: datetime = NOON, instance_id: str = ROUTER, hook: Hook | None = None
) -> Notice:
    """Return AWS's word of a kind."""
    return Notice(instance_id, REASONS[kind], at, hook, kind)


def marked(
    history: History, *, at: datetime = NOON, shown: Instance | None = None
) -> tuple[str | None, str | None]:
    """Return what takes the router away and what only ranks it, as a look at a moment is marked."""
    found = history.mark(seen(None, shown or instance(), standby(), at=at)).instance(ROUTER)
    assert found
    return found.notice, found.risk


def told(*notices: Notice) -> History:
    """Return a history that was told these, in this order."""
    history = remembered()
    for notice in notices:
        history = history.noticed(notice)
    return history


# -- what each kind does, and for how long ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "lasts"), [("interruption", timedelta(minutes=15)), ("termination", timedelta(hours=2))]
)
def test_notice_takes_an_instance_away_until_its_time_is_over(kind: NoticeKind, lasts: timedelta) -> None:
    """Spot takes it in two minutes, a hook holds an hour: what runs on long after is not being taken."""
    history = told(word(kind))

    assert marked(history, at=NOON + lasts) == (REASONS[kind], None)
    assert marked(history, at=NOON + lasts + SECOND) == (None, None)
    assert NOTICED[kind] == lasts


def test_rebalance_recommendation_only_ranks_however_old_it_is() -> None:
    """An elevated risk has no end date, and is no reason to leave."""
    assert marked(told(word("rebalance")), at=NOON + timedelta(days=7)) == (None, REASONS["rebalance"])


def test_word_that_it_serves_marks_nothing() -> None:
    """It is good news."""
    assert marked(told(word("in-service"))) == (None, None)


@pytest.mark.parametrize("kind", ["interruption", "termination", "rebalance"])
def test_notice_belongs_to_the_launch_in_which_it_was_given(kind: NoticeKind) -> None:
    """A start after a Spot stop is another launch; one of before the notice is the one that it is about."""
    history = told(word(kind))

    assert marked(history, shown=instance(launched=NOON)) != (None, None)
    assert marked(history, shown=instance(launched=NOON + SECOND), at=NOON + MINUTE) == (None, None)


def test_old_reading_of_the_launch_brings_no_notice_back() -> None:
    """The journal has seen the router run in a later launch than the one that is shown."""
    history = replace(told(word("interruption")), launched_at=NOON + SECOND)

    assert marked(history, shown=instance(), at=NOON + MINUTE) == (None, None)


def test_notice_marks_its_own_instance_alone() -> None:
    """Each word is about one instance."""
    observation = told(word("interruption", instance_id=STANDBY)).mark(seen(None, instance(), standby()))

    assert [i.notice for i in observation.instances] == [None, REASONS["interruption"]]


def test_look_at_instances_of_which_nothing_was_said_is_left_as_it_is() -> None:
    """Nothing is copied for nothing."""
    observation = seen()
    assert remembered().mark(observation) is observation


# -- what AWS has scheduled ------------------------------------------------------------------------------


def scheduled(at: datetime | None) -> Instance:
    """Return the router with an event that AWS has scheduled."""
    return replace(instance(), events=(ScheduledEvent("instance-retirement", at),))


@pytest.mark.parametrize(
    ("begins", "taken"),
    [
        (NOON + SCHEDULED, True),
        (NOON + SCHEDULED + SECOND, False),
        (NOON - timedelta(days=1), True),
        (NOON + timedelta(days=14), False),
    ],
)
def test_scheduled_event_takes_away_within_the_hour_and_only_ranks_before(
    begins: datetime, *, taken: bool
) -> None:
    """There is time to move by day; when its hour comes, the network is away."""
    said = f"has instance-retirement scheduled from {begins:%Y-%m-%d %H:%M} UTC"

    assert marked(remembered(), shown=scheduled(begins)) == ((said, None) if taken else (None, said))


def test_scheduled_event_without_a_date_only_ranks() -> None:
    """Nobody knows when."""
    assert marked(remembered(), shown=scheduled(None)) == (None, "has instance-retirement scheduled")


@pytest.mark.parametrize(("minutes", "told"), [(4, False), (5, True)])
def test_scheduled_event_counts_once_no_reading_can_be_of_the_launch_before(
    minutes: int, *, told: bool
) -> None:
    """A stop and a start end an event, and the calendar may be as old as any reading."""
    launched = replace(scheduled(NOON), launched_at=NOON - timedelta(minutes=minutes))

    assert (marked(remembered(launched_at=None), shown=launched) != (None, None)) is told


@pytest.mark.parametrize(("minutes", "told"), [(4, False), (5, True)])
def test_scheduled_event_of_the_router_counts_once_it_is_settled(minutes: int, *, told: bool) -> None:
    """What was shown may be from before somebody chose it."""
    assert (marked(lately(minutes), shown=scheduled(NOON)) != (None, None)) is told


# -- an operator who insists ------------------------------------------------------------------------------


def test_operator_who_insists_has_heard_what_was_said_by_then() -> None:
    """The next run does not undo what was forced; a later word is news."""
    insisted = replace(told(word("interruption")), insisted_at=NOON)

    assert marked(insisted) == (None, None)
    assert marked(insisted.noticed(word("termination", NOON + SECOND)), at=NOON + MINUTE)[0] is not None


def test_insistence_is_about_the_router_alone() -> None:
    """What was said of a standby still holds."""
    history = replace(told(word("interruption", instance_id=STANDBY)), insisted_at=NOON)

    assert [i.notice for i in history.mark(seen(None, instance(), standby())).instances][1] is not None


def test_operator_who_insists_has_heard_of_an_event_that_was_due_by_then() -> None:
    """Within the hour before it, it had to be overruled; what comes later had not, and takes away when its time comes."""
    insisted = remembered(insisted_at=NOON)

    assert marked(insisted, shown=scheduled(NOON + SCHEDULED)) == (None, None)
    later = NOON + SCHEDULED + SECOND
    assert marked(insisted, shown=scheduled(later))[1] is not None
    assert marked(insisted, shown=scheduled(later), at=NOON + SECOND)[0] is not None


# -- how words follow each other --------------------------------------------------------------------------


def test_same_word_twice_is_one() -> None:
    """EventBridge delivers at least once; what changes nothing is not written."""
    once = told(word("interruption"))
    assert once.noticed(word("interruption")) is once
    assert once.noticed(word("interruption", NOON - MINUTE)) is once


def test_later_word_of_a_kind_takes_the_place_of_the_earlier() -> None:
    """The latest is the one whose time runs."""
    assert told(word("interruption"), word("interruption", NOON + MINUTE)).notices == (
        word("interruption", NOON + MINUTE),
    )


def test_words_of_other_kinds_stand_beside_each_other() -> None:
    """A rebalance recommendation does not end a termination, nor take its hook."""
    history = told(word("termination", hook=HOOK), word("rebalance", NOON + SECOND))

    assert {n.kind for n in history.notices} == {"termination", "rebalance"}
    assert marked(history, at=NOON + MINUTE) == (REASONS["termination"], REASONS["rebalance"])


def test_word_of_the_second_in_which_an_instance_came_into_service_counts() -> None:
    """EventBridge's times are whole seconds: a young router that Spot takes is left, whichever was told first."""
    served, warned = word("in-service"), word("interruption")
    assert marked(told(served, warned)) == marked(told(warned, served)) == marked(told(warned))
    assert marked(told(warned))[0]


@pytest.mark.parametrize("kind", ["interruption", "termination", "rebalance"])
def test_word_that_it_serves_ends_what_was_said_before(kind: NoticeKind) -> None:
    """Its group took it back: what was said is over, in whichever order the two arrive."""
    before, served, after = word(kind), word("in-service", NOON + MINUTE), word(kind, NOON + 2 * MINUTE)

    assert told(before, served).notices == (served,)
    assert told(served, before).notices == (served,)
    assert set(told(served, after).notices) == {served, after}
    assert set(told(before, served, after).notices) == {served, after}


def test_word_that_it_serves_is_about_its_instance_alone() -> None:
    """Another one that is being terminated still is."""
    other = word("termination", instance_id=STANDBY)
    assert other in told(other, word("in-service", NOON + MINUTE)).notices


# -- how long words are kept ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "lasts"), [("interruption", NOTICED["interruption"]), ("termination", NOTICED["termination"]),
                        ("in-service", TOO_OLD)],
)  # fmt: skip
def test_word_whose_time_is_over_is_forgotten(kind: NoticeKind, lasts: timedelta) -> None:
    """An `in-service` is kept for as long as an older word may still arrive."""
    history = told(word(kind))

    assert history.surviving(seen(at=NOON + lasts)).notices == history.notices
    assert history.surviving(seen(at=NOON + lasts + SECOND)).notices == ()


def test_recommendation_is_kept_while_its_instance_is_listed_or_a_listing_may_be_older() -> None:
    """It ends with its instance."""
    history = told(word("rebalance"))

    assert history.surviving(seen(at=NOON + timedelta(days=30))).notices != ()
    assert history.surviving(seen(None, standby(), at=NOON + 5 * MINUTE)).notices != ()
    assert history.surviving(seen(None, standby(), at=NOON + 5 * MINUTE + SECOND)).notices == ()


def test_completed_hook_is_waited_for_no_more_and_its_word_stands() -> None:
    """The instance is still being terminated."""
    history = told(word("termination", hook=HOOK)).completed(HOOK)

    assert history.notices == (word("termination"),)
    other = replace(HOOK, token="00000000-0000-0000-0000-000000000002")
    kept = told(word("termination", hook=HOOK))
    assert kept.completed(other) == kept


@pytest.mark.parametrize("declared", [topology(), topology(tunnel=TUNNEL)], ids=["no tunnel", "tunnel"])
def test_run_forgets_what_is_over_whether_or_not_machines_are_its_own(declared: Topology) -> None:
    """A journal without a tunnel must not grow with every notice there ever was."""
    history = told(word("interruption", NOON - timedelta(hours=1)))

    assert relevant(declared, seen(declared), history).notices == ()
