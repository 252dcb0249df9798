"""Who becomes the router: the incumbent while it is eligible, else the best candidate, else nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from chalicelib.core.election import Election, elect
from chalicelib.core.errors import NoEligibleRouter
from chalicelib.core.history import History
from chalicelib.core.observation import Instance, Observation, Route
from chalicelib.core.topology import Tags, Topology
from tests.builders import (
    CANDIDATES,
    NOON,
    PRIVATE_A,
    PRIVATE_B,
    PRIVATE_SUBNET_A,
    PUBLIC,
    ROUTER,
    ROUTER_ENI,
    ROUTER_TAGS,
    STANDBY,
    STANDBY_ENI,
    THIRD,
    elastic_ip,
    instance,
    interface,
    propagated,
    routed,
    seen,
    standby,
    topology,
    with_elastic_ip,
)

REMEMBERED = History(revision=3, router=ROUTER, since=NOON - timedelta(days=1))
PREFERRED = Tags((("mooring:preferred", "yes"),))


def elected(
    *instances: Instance,
    declared: Topology | None = None,
    history: History = REMEMBERED,
    to: str | None = None,
) -> Election:
    """Elect among instances, in the network that leads to the router."""
    declared = declared or topology()
    return elect(declared, seen(declared, *instances), history, to)


def nobody(*instances: Instance, declared: Topology | None = None, to: str | None = None) -> str:
    """Elect where nobody may be elected, and give the reason."""
    with pytest.raises(NoEligibleRouter) as caught:
        elected(*instances, declared=declared, to=to)
    return caught.value.message


def test_healthy_incumbent_stays_though_a_better_candidate_is_there() -> None:
    """The incumbent stays while it is eligible: a move is never worth it for its own sake."""
    better = instance(STANDBY, interface(STANDBY_ENI), tags={**ROUTER_TAGS, "mooring:preferred": "yes"})

    election = elected(instance(), better, declared=topology(candidates=(PREFERRED, CANDIDATES)))

    assert election.router.id == ROUTER
    assert election.reason == "the incumbent is eligible"
    assert not election.moved


@pytest.mark.parametrize("state", ["pending", "stopping", "stopped", "shutting-down", "terminated"])
def test_incumbent_in_any_state_but_running_is_left(state: str) -> None:
    """Only a running instance is alive; one on its way out is not."""
    election = elected(instance(state=state), standby())

    assert (election.router.id, election.previous) == (STANDBY, ROUTER)
    assert election.reason == f"{ROUTER} is {state}"
    assert not election.counted


def test_incumbent_that_fails_its_checks_is_left_and_the_move_counts() -> None:
    """A running incumbent that is moved off counts for the hold-down."""
    election = elected(instance(checks="impaired"), standby())

    assert election.router.id == STANDBY
    assert election.reason == f"{ROUTER} fails its status checks"
    assert election.counted


@pytest.mark.parametrize("checks", ["initializing", "insufficient-data", "not-applicable"])
def test_incumbent_whose_checks_say_nothing_yet_stays(checks: str) -> None:
    """Only `impaired` is a verdict; a check that has not finished is none."""
    assert elected(instance(checks=checks), standby()).router.id == ROUTER


def test_incumbent_with_a_notice_is_left() -> None:
    """An instance that AWS is about to take is left before it goes."""
    election = elected(instance(notice="is about to be reclaimed by Spot"), standby())

    assert election.router.id == STANDBY
    assert election.reason == f"{ROUTER} is about to be reclaimed by Spot"


def test_incumbent_outside_the_public_subnets_is_left() -> None:
    """A router sits in a declared public subnet."""
    election = elected(instance(eni=interface(subnet=PRIVATE_SUBNET_A)), standby())

    assert election.router.id == STANDBY
    assert "no declared public subnet" in election.reason


def test_incumbent_that_lost_its_tags_is_no_candidate_any_more() -> None:
    """Tags make a candidate: who takes them off the router wants another one."""
    election = elected(instance(tags={}), standby())

    assert election.router.id == STANDBY
    assert election.reason == f"{ROUTER} is no candidate any more"


def test_incumbent_that_is_not_listed_any_more_is_terminated() -> None:
    """EC2 lists a terminated instance under no VPC."""
    election = elected(standby())

    assert (election.router.id, election.previous) == (STANDBY, ROUTER)
    assert election.reason == f"{ROUTER} is terminated"
    assert not election.counted


def test_instance_that_is_no_candidate_is_never_elected() -> None:
    """However healthy, what carries no declared tags is somebody else's."""
    assert "no instance is tagged mooring:router=office" in nobody(instance(tags={"Name": "web"}))


def test_declared_order_comes_first() -> None:
    """Among the eligible the first declared selector wins, whatever the age."""
    young = instance(THIRD, interface("eni-3"), launched=NOON, tags={"mooring:preferred": "yes"})

    election = elected(
        instance(state="stopped"), standby(), young, declared=topology(candidates=(PREFERRED, CANDIDATES))
    )

    assert election.router.id == THIRD


def test_prepared_candidate_comes_next() -> None:
    """Of two alike, the one whose check is off already costs a failover one write less, whatever its age."""
    young = instance(THIRD, interface("eni-3"), launched=NOON)

    assert elected(instance(state="stopped"), standby(check=True), young).router.id == THIRD


def test_oldest_launch_comes_next() -> None:
    """Of two alike, the one that has been up for longer wins."""
    young = instance(THIRD, interface("eni-3"), launched=NOON)

    assert elected(instance(state="stopped"), young, standby()).router.id == STANDBY


def test_id_breaks_the_last_tie() -> None:
    """The order is total: two launched in the same second are told apart by id."""
    twin = replace(standby(), id=THIRD)

    assert elected(instance(state="stopped"), twin, standby()).router.id == STANDBY


def test_nobody_eligible_names_each_candidate_and_its_reason() -> None:
    """Without a router to elect, an operator learns what is wrong with each."""
    message = nobody(instance(checks="impaired"), replace(standby(), state="stopped"))

    assert f"{ROUTER} fails its status checks" in message
    assert f"{STANDBY} is stopped" in message


def test_first_look_adopts_the_candidate_the_network_follows() -> None:
    """An empty journal moves nothing: the candidate that most things lead to is the incumbent."""
    observation = routed(seen(topology(), standby(), instance()), PRIVATE_A, Route("0.0.0.0/0", STANDBY_ENI))

    election = elect(topology(), observation, History())

    assert election.router.id == ROUTER
    assert election.previous is None
    assert election.reason == f"the network already follows {ROUTER}"


def test_first_look_at_a_network_that_follows_nobody_takes_the_best() -> None:
    """A network that was never moored gets the best candidate."""
    election = elect(topology(), seen(topology(), standby(), eni="eni-gone"), History())

    assert (election.router.id, election.reason) == (STANDBY, "there was no router")


def test_incumbent_that_one_last_thing_leads_to_stays() -> None:
    """A hand that moved all but one route does not move the router."""
    observation = seen(topology(), instance(), standby(), eni=STANDBY_ENI)
    observation = routed(observation, PRIVATE_B, Route("0.0.0.0/0", ROUTER_ENI))

    assert elect(topology(), observation, REMEMBERED).router.id == ROUTER


def test_network_that_was_moved_whole_to_another_candidate_stays_there() -> None:
    """What somebody moved whole, stays: the journal follows, and nothing is written."""
    election = elect(topology(), seen(topology(), instance(), standby(), eni=STANDBY_ENI), REMEMBERED)

    assert (election.router.id, election.previous) == (STANDBY, ROUTER)
    assert election.reason == f"the network already follows {STANDBY}"
    assert not election.counted


def test_elastic_ip_alone_tells_who_the_incumbent_is() -> None:
    """The Elastic IP is a pin like any route."""
    nowhere = seen(topology(), instance(), standby(), eni="eni-gone")
    observation = with_elastic_ip(nowhere, elastic_ip(STANDBY_ENI, "10.0.10.9"))

    assert elect(topology(), observation, REMEMBERED).router.id == STANDBY


def test_propagated_and_undeclared_routes_tell_nothing_of_the_incumbent() -> None:
    """Only what Mooring pins is a pin."""
    observation = seen(topology(), instance(), standby(), eni="eni-gone")
    observation = routed(observation, PUBLIC, Route("172.16.0.0/12", STANDBY_ENI))
    observation = routed(observation, PRIVATE_A, propagated("0.0.0.0/0", STANDBY_ENI))

    assert elect(topology(), observation, History()).reason == "there was no router"


def test_switchover_to_an_eligible_candidate_moves() -> None:
    """An operator may move off a healthy incumbent; the move counts."""
    election = elected(instance(), standby(), to=STANDBY)

    assert (election.router.id, election.previous) == (STANDBY, ROUTER)
    assert election.reason == "an operator chose it"
    assert election.counted


def test_switchover_to_the_incumbent_is_no_move() -> None:
    """Asking for the router that is there changes nothing."""
    election = elected(instance(), standby(), to=ROUTER)

    assert not election.moved
    assert not election.counted


@pytest.mark.parametrize(
    ("to", "why"),
    [
        pytest.param(THIRD, f"{THIRD} is no candidate of office", id="unknown"),
        pytest.param(STANDBY, f"{STANDBY} is stopped", id="stopped"),
    ],
)
def test_switchover_to_an_ineligible_instance_is_refused(to: str, why: str) -> None:
    """An operator's choice must be eligible; the refusal names who would be."""
    stopped = replace(standby(), state="stopped")
    with pytest.raises(NoEligibleRouter) as caught:
        elected(instance(), stopped, to=to)

    assert caught.value.message == f"{to} cannot be the router: {why}"
    assert caught.value.hint == f"eligible now: {ROUTER}"


def test_move_that_has_to_be_attempted_again_counts_once() -> None:
    """A decision that could not be carried out is continued, and is no second move."""
    decided = REMEMBERED.decided(STANDBY, NOON, counted=True)

    election = elected(instance(checks="impaired"), standby(), history=decided)

    assert (election.router.id, election.previous) == (STANDBY, ROUTER)
    assert not election.counted


def test_declared_private_address_chooses_the_interface() -> None:
    """With a declared address the prepared interface that holds it is pinned, not the primary one."""
    prepared = interface(STANDBY_ENI, "10.0.0.100")
    declared = topology(private_address=IPv4Address("10.0.0.100"))
    router = replace(instance(), interfaces=(interface(), prepared))

    assert elected(router, declared=declared).interface == prepared


def test_candidate_without_the_declared_address_is_not_eligible() -> None:
    """Whoever does not hold the declared address cannot be the router."""
    declared = topology(private_address=IPv4Address("10.0.0.100"))

    assert f"{ROUTER} does not hold 10.0.0.100" in nobody(instance(), declared=declared)


def test_replaced_instance_on_the_prepared_interface_takes_over_without_a_move_of_routes() -> None:
    """The post's own way: the interface stays, so the new instance is already what the network follows."""
    declared = topology(private_address=IPv4Address("10.0.0.8"))
    successor = instance(STANDBY, interface(ROUTER_ENI, "10.0.0.8"))

    election = elected(successor, declared=declared)

    assert (election.router.id, election.previous) == (STANDBY, ROUTER)
    assert election.interface.id == ROUTER_ENI
    assert not election.counted


def test_instance_without_interfaces_is_not_eligible() -> None:
    """An instance that EC2 lists before its interface cannot carry anything yet."""
    assert "does not hold a network interface" in nobody(replace(instance(), interfaces=()))


def test_empty_vpc_elects_nobody() -> None:
    """No instance at all is no router, and says which tags were looked for."""
    empty = Observation(NOON, (), (), ())
    with pytest.raises(NoEligibleRouter, match="no instance is tagged mooring:router=office"):
        elect(topology(), empty, History())
