"""Somebody moved the whole network: it stays there once looks that no lag can explain agree, and never by one of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.core.machines.readiness import Readiness
from chalicelib.core.network.election import AGREEING, Election, elect
from chalicelib.core.network.history import READ_LAG, Sighting
from chalicelib.core.network.observation import Route
from chalicelib.core.network.plan import make_plan
from tests.builders import (
    NOON,
    PRIVATE_A,
    PUBLIC,
    ROUTER,
    ROUTER_ENI,
    STANDBY,
    STANDBY_ENI,
    THIRD,
    instance,
    routed,
    seen,
    standby,
    topology,
    unrouted,
)
from tests.histories import lately, remembered

if TYPE_CHECKING:
    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Observation

SECOND = timedelta(seconds=1)


def moved(eni: str = STANDBY_ENI) -> Observation:
    """Return the network that a hand moved whole."""
    third = replace(standby(THIRD, "eni-3"), launched_at=NOON)
    return seen(None, instance(), standby(), third, eni=eni)


def elected(history: History, observation: Observation | None = None) -> Election:
    """Elect in it."""
    return elect(topology(), observation or moved(), history, Readiness())


def sighted(ago: timedelta, router: str = STANDBY, **other: Any) -> History:  # noqa: ANN401 - of History's fields
    """Return a history in which an earlier look saw it."""
    return remembered(sighting=Sighting(router, NOON - ago), **other)


def test_first_look_that_sees_it_records_it_and_writes_no_pin() -> None:
    """Two listings in one breath are one witness: the router is the journal's, and nothing is moved back either."""
    election = elected(remembered())
    plan = make_plan(topology(), moved(), election)

    assert election.router
    assert (election.router.id, election.previous) == (ROUTER, None)
    assert election.sighting == Sighting(STANDBY, NOON)
    assert plan.changes == ()
    assert plan.waiting == (f"the whole network leads to {STANDBY}: it is adopted if the next look agrees",)


def test_first_look_that_sees_it_still_keeps_what_is_no_pin() -> None:
    """Whoever may be the router, the public tables lead to the internet gateway."""
    election = elected(remembered())
    plan = make_plan(topology(), unrouted(moved(), PUBLIC, "0.0.0.0/0"), election)

    assert [change.destination for change in plan.changes if hasattr(change, "destination")] == ["0.0.0.0/0"]
    assert len(plan.changes) == 1


@pytest.mark.parametrize(
    ("ago", "adopted"), [(AGREEING, True), (AGREEING - SECOND, False), (timedelta(hours=3), True)]
)
def test_later_look_that_agrees_adopts_it(ago: timedelta, *, adopted: bool) -> None:
    """Half a minute apart at least; the sighting keeps its first moment meanwhile."""
    election = elected(sighted(ago))

    assert (election.cause == "adopted") is adopted
    assert election.sighting == (None if adopted else Sighting(STANDBY, NOON - ago))
    if adopted:
        assert election.router
        assert (election.router.id, election.previous) == (STANDBY, ROUTER)
        assert f"the whole network was moved to {STANDBY}" in election.reason
        assert make_plan(topology(), moved(), election).changes == ()
    assert timedelta(seconds=30) == AGREEING


def test_look_that_sees_another_candidate_begins_anew() -> None:
    """What agrees is who and where, not that something is odd."""
    election = elected(sighted(timedelta(hours=1), THIRD))

    assert election.cause == "none"
    assert election.sighting == Sighting(STANDBY, NOON)


def test_look_that_sees_the_network_at_home_forgets_it() -> None:
    """One of the looks was old: there is no evidence left."""
    election = elected(sighted(timedelta(hours=1)), moved(ROUTER_ENI))

    assert (election.cause, election.sighting) == ("none", None)


@pytest.mark.parametrize(("minutes", "evidence"), [(5, False), (5.01, True), (0, False)])
def test_look_that_may_be_older_than_the_decision_is_no_evidence(minutes: float, *, evidence: bool) -> None:
    """Within the age of a reading the decision may not be in it: what is seen is moved back."""
    election = elected(lately(minutes))

    assert (election.sighting is not None) is evidence
    if not evidence:
        assert election.router
        assert election.router.id == ROUTER
        assert len(make_plan(topology(), moved(), election).changes) == 6
    assert timedelta(minutes=5) == READ_LAG


def test_decision_beside_a_sighting_does_not_start_the_clock_anew() -> None:
    """What is decided while the network is watched moves no pin; what does, forgets the sighting."""
    history = sighted(timedelta(hours=1), decided_at=NOON - timedelta(minutes=4))

    assert elected(history).cause == "adopted"
    assert history.decided(standby(), NOON, "operator", insisted=False).sighting is None


def test_network_moved_but_for_one_pin_is_moved_back() -> None:
    """Half a move is a mistake or drift; the incumbent is healthy."""
    partly = routed(moved(), PRIVATE_A, Route("0.0.0.0/0", ROUTER_ENI))
    election = elected(sighted(timedelta(hours=1)), partly)

    assert (election.cause, election.sighting) == ("none", None)
    assert len(make_plan(topology(), partly, election).changes) == 5


def test_network_moved_to_whom_cannot_be_the_router_is_moved_back() -> None:
    """An adopted router is eligible like any other."""
    stopped = seen(None, instance(), replace(standby(), state="stopped"), eni=STANDBY_ENI)
    election = elected(sighted(timedelta(hours=1)), stopped)

    assert (election.cause, election.sighting) == ("none", None)


def test_network_moved_to_somebody_elses_instance_is_moved_back() -> None:
    """What carries no declared tags is nobody to adopt."""
    stranger = replace(standby(), tags={"Name": "web"})
    election = elected(sighted(timedelta(hours=1)), seen(None, instance(), stranger, eni=STANDBY_ENI))

    assert (election.cause, election.sighting) == ("none", None)


def test_network_with_a_missing_pin_is_not_moved_whole() -> None:
    """A pin that leads nowhere is repaired to the incumbent, with all others."""
    partly = unrouted(moved(), PRIVATE_A, "0.0.0.0/0")

    assert elected(sighted(timedelta(hours=1)), partly).cause == "none"


def test_history_that_knows_no_decision_adopts_nobody() -> None:
    """How old a look is cannot be told without one."""
    assert elected(sighted(timedelta(hours=1), decided_at=None)).cause == "none"
