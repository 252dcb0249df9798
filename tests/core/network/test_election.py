"""Who becomes the router: the incumbent while nothing credible speaks against it, else the best, else nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from chalicelib.core.errors import ObservationError
from chalicelib.core.machines.readiness import Readiness
from chalicelib.core.network.election import Election, elect, hold, seat
from chalicelib.core.network.history import History
from chalicelib.core.network.observation import ElasticIp, Instance, Observation, Route
from chalicelib.core.network.topology import Tags, Topology
from tests.builders import (
    CANDIDATES,
    FOREIGN_EIP,
    NOON,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    ROUTER,
    ROUTER_ENI,
    ROUTER_TAGS,
    STANDBY,
    STANDBY_ENI,
    THIRD,
    elastic_ip,
    instance,
    interface,
    routed,
    seen,
    standby,
    topology,
    with_elastic_ip,
)
from tests.histories import remembered

PREFERRED = Tags((("mooring:preferred", "yes"),))
WARNED = "gets a Spot terminate in two minutes"


def elected(
    *instances: Instance, declared: Topology | None = None, said: Readiness | None = None
) -> Election:
    """Elect among instances, in the network that leads to the router, a day after that was decided."""
    declared = declared or topology()
    return elect(declared, seen(declared, *instances), remembered(declared), said or Readiness())


def who(election: Election) -> tuple[str | None, str | None, str]:
    """Return the router, the one before and the cause."""
    return election.router.id if election.router else None, election.previous, election.cause


# -- the incumbent ------------------------------------------------------------------------------------


def test_healthy_incumbent_stays_though_a_better_candidate_is_there() -> None:
    """A move is never worth it for its own sake."""
    better = instance(STANDBY, interface(STANDBY_ENI), tags={**ROUTER_TAGS, "mooring:preferred": "yes"})

    election = elected(instance(), better, declared=topology(candidates=(PREFERRED, CANDIDATES)))

    assert who(election) == (ROUTER, None, "none")
    assert (election.reason, election.problems, election.doubtful) == ("the incumbent is eligible", (), False)
    assert not election.moved


@pytest.mark.parametrize("state", ["pending", "stopping", "stopped", "shutting-down", "terminated"])
def test_incumbent_in_any_state_but_running_is_left_as_dead(state: str) -> None:
    """Only a running instance is alive; where EC2's other reading agrees, it is not doubted."""
    election = elected(instance(state=state, launched=NOON - timedelta(hours=1)), standby())

    assert who(election) == (STANDBY, ROUTER, "dead")
    assert election.reason == f"{ROUTER} is {state}"


def test_incumbent_that_is_listed_nowhere_is_left_as_dead() -> None:
    """EC2 lists a terminated instance under no VPC."""
    election = elected(standby())

    assert who(election) == (STANDBY, ROUTER, "dead")
    assert election.reason == f"{ROUTER} is terminated"


@pytest.mark.parametrize(
    ("incumbent", "reason"),
    [
        pytest.param(instance(checks="impaired"), f"{ROUTER} fails its status checks", id="impaired"),
        pytest.param(instance(notice=WARNED), f"{ROUTER} {WARNED}", id="notice"),
    ],
)
def test_incumbent_that_runs_and_is_unfit_is_left_as_such(incumbent: Instance, reason: str) -> None:
    """What AWS says of it is reason enough."""
    election = elected(incumbent, standby())

    assert who(election) == (STANDBY, ROUTER, "unfit")
    assert election.reason == reason


@pytest.mark.parametrize(
    ("incumbent", "reason"),
    [
        pytest.param(instance(tags={}), "is no candidate any more", id="tags"),
        pytest.param(
            instance(eni=interface(subnet=PRIVATE_SUBNET_A)), "no declared public subnet", id="subnet"
        ),
        pytest.param(replace(instance(), interfaces=()), "does not hold a network interface", id="interface"),
        pytest.param(
            instance(eni=replace(interface(), addresses=())), "has no IPv4 address", id="no address"
        ),
    ],
)
def test_incumbent_that_may_be_the_router_no_more_is_left_as_unwanted(
    incumbent: Instance, reason: str
) -> None:
    """Nothing is wrong with it; who took its tags off wants another one."""
    election = elected(incumbent, standby())

    assert who(election) == (STANDBY, ROUTER, "unwanted")
    assert reason in election.reason


def test_incumbent_with_a_risk_stays() -> None:
    """A rebalance recommendation has no end: it makes nobody leave."""
    assert (
        who(elected(replace(instance(), risk="has a Spot rebalance recommendation"), standby()))[0] == ROUTER
    )


def test_incumbent_that_says_it_does_not_forward_gives_way_to_one_that_does() -> None:
    """Routes right and no traffic is down; but no better standby is no reason to move."""
    idle = frozenset({ROUTER})
    election = elected(instance(), standby(), said=Readiness(forwarding=frozenset({STANDBY}), idle=idle))

    assert who(election) == (STANDBY, ROUTER, "unfit")
    assert election.reason == f"{ROUTER} says that it does not forward"
    assert not elected(instance(), standby(), said=Readiness(idle=idle)).moved


# -- who follows ----------------------------------------------------------------------------------------


def test_best_of_those_that_can_hold_the_pins_follows() -> None:
    """A standby with an Elastic IP of its own comes first by age, and cannot be the router."""
    free = standby(THIRD, "eni-3")
    taken = replace(standby(), launched_at=NOON - timedelta(days=3))
    free = replace(free, interfaces=(replace(free.interfaces[0], addresses=("10.0.10.10",)),))
    observation = seen(None, instance(state="stopped"), taken, free)
    foreign = ElasticIp(FOREIGN_EIP, "203.0.113.99", STANDBY_ENI, "10.0.10.9")

    def follower(observed: Observation) -> str | None:
        return who(elect(topology(), observed, remembered(), Readiness()))[0]

    assert follower(observation) == STANDBY
    assert follower(with_elastic_ip(observation, elastic_ip(), foreign)) == THIRD


def test_unready_candidate_follows_only_where_nobody_is_ready() -> None:
    """Not to be configured is no reason to leave an office without a router."""
    third = replace(standby(THIRD, "eni-3"), launched_at=NOON)
    unready = Readiness(unready=frozenset({STANDBY}))

    assert who(elected(instance(state="stopped"), standby(), third, said=unready))[0] == THIRD
    assert who(elected(instance(state="stopped"), standby(), said=unready))[0] == STANDBY


def test_candidate_that_the_network_follows_already_comes_first() -> None:
    """Where a hand was faster than the failover, what it did is not undone."""
    third = replace(standby(THIRD, "eni-3"), launched_at=NOON)
    observation = seen(None, instance(state="stopped"), standby(), third, eni="eni-3")

    assert who(elect(topology(), observation, remembered(), Readiness())) == (THIRD, ROUTER, "dead")


def test_replaced_instance_on_the_prepared_interface_takes_over() -> None:
    """The post's own way: the interface stays, and the new instance is what the network follows already."""
    declared = topology(private_address=IPv4Address("10.0.0.8"))

    election = elected(instance(STANDBY, interface(ROUTER_ENI, "10.0.0.8")), declared=declared)

    assert who(election) == (STANDBY, ROUTER, "dead")
    assert election.interface
    assert election.interface.id == ROUTER_ENI


def test_declared_private_address_chooses_the_interface() -> None:
    """With a declared address the prepared interface that holds it is pinned, not the primary one."""
    prepared = interface(STANDBY_ENI, "10.0.0.100")
    router = replace(instance(), interfaces=(interface(), prepared))

    assert elected(router, declared=topology(private_address=IPv4Address("10.0.0.100"))).interface == prepared


# -- nobody better --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("incumbent", "why"),
    [
        pytest.param(instance(checks="impaired"), f"{ROUTER} fails its status checks", id="impaired"),
        pytest.param(instance(notice=WARNED), f"{ROUTER} {WARNED}", id="notice"),
        pytest.param(instance(tags={}), f"{ROUTER} is no candidate any more", id="tags"),
    ],
)
def test_running_incumbent_stays_where_nobody_is_better_and_the_problem_says_why(
    incumbent: Instance, why: str
) -> None:
    """A router that may be bad is better than none; an operator is told what ails it."""
    election = elected(incumbent, replace(standby(), checks="impaired"))

    assert who(election) == (ROUTER, None, "none")
    assert election.reason == "it stays and is repaired in place"
    assert election.problems == (f"{why}, and no candidate is better",)


@pytest.mark.parametrize(
    "incumbent",
    [
        instance(state="stopped"),
        replace(instance(), interfaces=()),
        instance(eni=replace(interface(), addresses=())),
    ],
    ids=["stopped", "no interface", "no address"],
)
def test_nobody_is_elected_where_nobody_can_hold_the_pins(incumbent: Instance) -> None:
    """No router is an answer, not an error: each candidate's reason is told."""
    election = elected(incumbent, replace(standby(), state="stopped"))

    assert (election.router, election.interface, election.cause) == (None, None, "none")
    assert election.reason.startswith(f"no eligible router: {ROUTER} ")
    assert election.reason.count(f"{ROUTER} ") == 1
    assert f"; {STANDBY} is stopped" in election.reason


def test_router_that_is_gone_is_named_first_where_nobody_follows() -> None:
    """What happened to it is why there is no router; what ails the others comes after."""
    election = elected(replace(standby(), state="stopped"))

    assert election.reason == f"no eligible router: {ROUTER} is terminated; {STANDBY} is stopped"


def test_empty_vpc_elects_nobody() -> None:
    """No instance at all is no router, and says which tags were looked for."""
    for history, why in ((History(), "no instance is tagged mooring:router=office"),
                         (remembered(), f"{ROUTER} is terminated")):  # fmt: skip
        election = elect(topology(), Observation(NOON, (), (), ()), history, Readiness())
        assert (election.router, election.reason) == (None, f"no eligible router: {why}")


@pytest.mark.parametrize("state", ["stopped", "shutting-down"])
def test_only_a_router_that_runs_is_held(state: str) -> None:
    """Holding on to what is dead would be an outage by order."""
    observation = seen(None, instance(state=state), standby())
    assert hold(topology(), observation, remembered(), "why") is None
    stays = hold(topology(), seen(None, instance(), standby()), remembered(), "why")
    assert stays
    assert (who(stays), stays.problems) == ((ROUTER, None, "none"), ("why",))


# -- the first look -------------------------------------------------------------------------------------


def first(observation: Observation) -> Election:
    """Elect where the journal is empty."""
    return elect(topology(), observation, History(), Readiness())


def test_first_look_adopts_the_candidate_that_most_leads_to() -> None:
    """An empty journal moves nothing that works."""
    observation = routed(seen(topology(), standby(), instance()), PRIVATE_A, Route("0.0.0.0/0", STANDBY_ENI))

    election = first(observation)

    assert who(election) == (ROUTER, None, "none")
    assert election.reason == f"the network already follows {ROUTER}"


def test_first_look_at_a_network_that_follows_nobody_takes_the_best() -> None:
    """A network that was never moored gets the best candidate."""
    election = first(seen(topology(), standby(), eni="eni-gone"))

    assert (who(election), election.reason) == ((STANDBY, None, "none"), "there was no router")


def test_elastic_ip_alone_tells_whom_a_network_follows() -> None:
    """The Elastic IP is a pin like any route."""
    nowhere = seen(topology(), instance(), standby(), eni="eni-gone")

    assert who(first(with_elastic_ip(nowhere, elastic_ip(STANDBY_ENI, "10.0.10.9"))))[0] == STANDBY


def test_first_look_leaves_a_dead_router_that_the_network_follows() -> None:
    """It is a failover like any other, and its reason is told."""
    election = first(seen(None, instance(state="stopped"), standby()))

    assert who(election) == (STANDBY, ROUTER, "dead")
    assert election.reason == f"{ROUTER} is stopped"


def test_first_look_keeps_a_running_router_where_nobody_is_better() -> None:
    """Also without a journal a bad router is better than none."""
    election = first(seen(None, instance(checks="impaired")))

    assert who(election)[0] == ROUTER
    assert election.problems == (f"{ROUTER} fails its status checks, and no candidate is better",)
    assert first(seen(None, instance(state="stopped"))).router is None


# -- looking again --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "doubtful"),
    [(replace(standby(), listed=False), True), (replace(standby(), state="stopped"), False)],
)
def test_candidate_that_one_listing_lacks_is_not_elected_and_worth_another_look(
    other: Instance, *, doubtful: bool
) -> None:
    """One of the listings is old, and the next may agree; of one that is stopped nothing is unclear."""
    shown = seen(None, instance(state="stopped"), other)
    election = elect(topology(), shown, remembered(), Readiness())

    assert (election.router, election.doubtful) == (None, doubtful)


def test_seat_is_the_decided_router_as_a_later_look_shows_it() -> None:
    """Verifying judges nobody anew, however the router looks meanwhile."""
    impaired = instance(checks="impaired")
    assert seat(topology(), seen(None, impaired, standby()), ROUTER).router == impaired
    assert seat(topology(), seen(), None).router is None


@pytest.mark.parametrize("present", [(standby(),), (replace(instance(), interfaces=()),)])
def test_seat_that_is_not_to_be_seen_is_blindness(present: tuple[Instance, ...]) -> None:
    """A look that lacks the router proves nothing."""
    with pytest.raises(ObservationError, match=f"{ROUTER}, the router, is not to be seen"):
        seat(topology(), seen(None, *present), ROUTER)
