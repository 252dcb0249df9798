"""What an old reading can say against the incumbent, and why it does not move it: the journal is older than no reading."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.errors import ObservationError
from chalicelib.core.machines.readiness import Readiness
from chalicelib.core.network.election import Election, elect
from chalicelib.core.network.history import READ_LAG
from chalicelib.core.network.observation import ElasticIp
from tests.builders import (
    FOREIGN_EIP,
    NOON,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    PUBLIC,
    ROUTER,
    ROUTER_ENI,
    STANDBY_ENI,
    elastic_ip,
    instance,
    interface,
    seen,
    standby,
    table_in,
    topology,
    with_elastic_ip,
    with_table,
)
from tests.histories import lately, remembered

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Instance, Observation

LAUNCH = NOON - timedelta(days=1)
HOUR = timedelta(hours=1)


def elected(incumbent: Instance, history: History | None = None) -> Election:
    """Elect between the incumbent and a standby that nothing is wrong with."""
    observation = seen(None, incumbent, standby())
    return elect(topology(), observation, history or remembered(), Readiness())


def stays(election: Election) -> bool:
    """Return whether the journal's router is kept."""
    return election.router is not None and election.router.id == ROUTER and not election.moved


# -- the pins -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", list(product((True, False), repeat=3)))
def test_pins_that_an_old_reading_shows_elsewhere_move_nobody(moved: tuple[bool, ...]) -> None:
    """Tables and addresses are listed each by itself; a minute after a switchover any of them may be from before it."""
    before = seen(None, instance(), standby(), eni=STANDBY_ENI)
    observation = seen(None, instance(), standby())
    for table_id, old in zip((PUBLIC, PRIVATE_A), moved[:2], strict=True):
        observation = with_table(observation, table_in(before if old else observation, table_id))
    if moved[2]:
        observation = with_elastic_ip(observation, *before.elastic_ips)

    assert stays(elect(topology(), observation, lately(1), Readiness()))


@pytest.mark.parametrize("minutes", [0.0, 1, 5, 60 * 24])
def test_network_of_which_one_pin_leads_home_keeps_the_incumbent_for_ever(minutes: float) -> None:
    """A hand that moved all but one route is drift, which is put right."""
    observation = with_elastic_ip(seen(None, instance(), standby(), eni=STANDBY_ENI), elastic_ip())
    election = elect(topology(), observation, lately(minutes), Readiness())

    assert stays(election)
    assert election.sighting is None


# -- whether it runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["pending", "running", "stopping", "stopped", "shutting-down"])
def test_incumbent_shown_as_before_its_last_launch_is_not_left(state: str) -> None:
    """LaunchTime only grows: what shows an earlier one is old, whatever else it says."""
    old = replace(instance(state=state, launched=LAUNCH - HOUR), listed=False, checks="impaired")
    election = elected(old)

    assert stays(election)
    assert election.doubtful
    assert election.problems == (f"{ROUTER} was shown as it was before its last launch",)


def test_incumbent_shown_pending_in_a_launch_that_it_ran_in_is_not_left() -> None:
    """No instance runs before it is pending."""
    assert stays(elected(instance(state="pending")))


def test_incumbent_that_was_launched_anew_is_left_while_it_is_pending() -> None:
    """A later launch is news: it was stopped, and does not carry yet."""
    assert not stays(elected(instance(state="pending", launched=LAUNCH + HOUR)))


@pytest.mark.parametrize(("state", "kept"), [
    ("pending", True), ("stopping", True), ("stopped", True), ("shutting-down", False), ("terminated", False),
])  # fmt: skip
def test_incumbent_that_is_listed_as_running_and_not_at_once_is_doubted(state: str, *, kept: bool) -> None:
    """One of the two readings is old: which, another look may tell. Nobody comes back from a termination."""
    election = elected(replace(instance(state=state, launched=LAUNCH + HOUR), listed=True))

    assert (stays(election), election.doubtful) == (kept, kept)
    if kept:
        assert election.problems == (f"EC2 lists {ROUTER} as {state} and as running at once",)


@pytest.mark.parametrize("listed", [False, None])
def test_incumbent_that_nothing_shows_as_running_is_left(listed: bool | None) -> None:  # noqa: FBT001 - a value of a field
    """Where the other reading agrees, or failed, EC2's word on its state holds, also a moment after it became the router."""
    stopped = replace(instance(state="stopped"), listed=listed)
    for history in (remembered(), lately(0.5, launched_at=LAUNCH)):
        assert not stays(elected(stopped, history))


def test_incumbent_that_is_running_and_not_listed_as_such_stays() -> None:
    """The listing of those that run may be the old one, and nothing else speaks against it."""
    election = elected(replace(instance(), listed=False))

    assert stays(election)
    assert not election.doubtful


def test_doubt_about_a_router_that_lacks_its_interface_is_blindness() -> None:
    """There is nothing to pin to, and nothing to believe."""
    with pytest.raises(ObservationError, match="as it was before its last launch"):
        elected(replace(instance(launched=LAUNCH - HOUR), interfaces=()))


# -- status checks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "dated", "kept"),
    [
        pytest.param(4.99, None, True, id="undated, younger than a reading may be old"),
        pytest.param(5, None, False, id="undated, older than any reading"),
        pytest.param(4, NOON - timedelta(minutes=4, seconds=1), True, id="from before it was the router"),
        pytest.param(4, NOON - timedelta(minutes=4), False, id="from the moment it became the router"),
        pytest.param(1, NOON - timedelta(seconds=30), False, id="from since it is the router"),
        pytest.param(60, NOON - HOUR * 2, False, id="from before, and still so after an hour"),
    ],
)
def test_failing_checks_count_when_they_cannot_be_from_before(
    minutes: float, dated: datetime | None, *, kept: bool
) -> None:
    """AWS's own date tells at once; without one it takes as long as a reading may be old."""
    election = elected(replace(instance(checks="impaired"), impaired_since=dated), lately(minutes))

    assert stays(election) is kept
    assert election.cause == ("none" if kept else "unfit")
    doubt = f"{ROUTER} was shown as failing its status checks, as it may have been before"
    assert election.problems == ((doubt,) if kept else ())


def test_failing_checks_of_an_earlier_launch_do_not_count() -> None:
    """It was impaired, was stopped and started, and is the router since: the date is from before."""
    history = lately(4, launched_at=NOON - timedelta(minutes=2))
    impaired = instance(checks="impaired", launched=NOON - timedelta(minutes=2))

    for seconds, kept in ((121, True), (120, False)):
        since = NOON - timedelta(seconds=seconds)
        assert stays(elected(replace(impaired, impaired_since=since), history)) is kept


def test_doubt_about_its_checks_is_no_contradiction() -> None:
    """Another look in a second shows the same: nobody waits for it."""
    assert not elected(instance(checks="impaired"), lately(1)).doubtful


# -- what makes it a candidate --------------------------------------------------------------------------


MISPLACED: dict[str, tuple[Instance, str]] = {
    "tags": (instance(tags={}), "is no candidate any more"),
    "subnet": (instance(eni=interface(subnet=PRIVATE_SUBNET_A)), "no declared public subnet"),
    "elastic ip": (instance(), f"holds the elastic ip {FOREIGN_EIP}"),
}


def misplaced(kind: str) -> Observation:
    """Return the network whose router may be the router no more."""
    observation = seen(None, MISPLACED[kind][0], standby())
    if kind != "elastic ip":
        return observation
    foreign = ElasticIp(FOREIGN_EIP, "203.0.113.99", ROUTER_ENI, "10.0.0.8")
    return with_elastic_ip(observation, elastic_ip(), foreign)


@pytest.mark.parametrize("kind", MISPLACED)
def test_what_makes_no_candidate_of_it_counts_when_it_cannot_be_from_before(kind: str) -> None:
    """Tags, subnet and addresses are read as late as all else: within five minutes they are a doubt, later a reason."""
    young = elect(topology(), misplaced(kind), lately(4.99), Readiness())
    settled = elect(topology(), misplaced(kind), lately(5), Readiness())

    assert stays(young)
    (doubt,) = young.problems
    assert MISPLACED[kind][1] in doubt
    assert doubt.endswith(", as it may have been before it was the router")
    assert (stays(settled), settled.cause) == (False, "unwanted")
    assert MISPLACED[kind][1] in settled.reason


@pytest.mark.parametrize(
    "bare", [replace(instance(), interfaces=()), instance(eni=replace(interface(), addresses=()))]
)
def test_young_router_that_lacks_what_to_pin_to_is_blindness(bare: Instance) -> None:
    """It had an interface with an address when it was decided on: a look that lacks it is from before, and no ground."""
    with pytest.raises(ObservationError, match="as it may have been before it was the router"):
        elected(bare, lately(1))
    assert elected(bare, lately(6)).cause == "unwanted"


# -- what is not a reading of EC2 -----------------------------------------------------------------------


def test_notice_counts_at_once() -> None:
    """It is AWS's own word with its own date, and no reading: `History.mark` leaves out what is not in force."""
    election = elected(instance(notice="gets a Spot stop in two minutes"), lately(0.1))

    assert (stays(election), election.cause) == (False, "unfit")


def test_notice_counts_though_its_state_is_doubted() -> None:
    """A doubt takes nothing away from what else is known."""
    old = instance(state="pending", notice="gets a Spot stop in two minutes")

    assert elected(old).cause == "unfit"


def test_reading_is_taken_to_be_as_old_as_ec2_says() -> None:
    """Its developer guide has those who poll wait up to five minutes, by reason of eventual consistency."""
    assert timedelta(minutes=5) == READ_LAG


def test_history_without_dates_settles_at_once() -> None:
    """One that an earlier version wrote knows no launch: what is read then counts."""
    history = remembered(since=None, launched_at=None)

    assert not stays(elected(instance(state="pending", launched=LAUNCH - HOUR), history))
    assert elected(instance(checks="impaired"), history).cause == "unfit"
    assert elected(instance(tags={}), history).previous == ROUTER
