"""Who may be the router: whoever can carry and hold every pin; and in which order they come."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from chalicelib.core.network.candidates import candidates, follows, ineligible, unable
from chalicelib.core.network.observation import ElasticIp, Instance, Observation, Route
from chalicelib.core.network.topology import Tags, Topology
from tests.builders import (
    CANDIDATES,
    FOREIGN_EIP,
    NOON,
    PRIVATE_A,
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
    unrouted,
    with_elastic_ip,
)

PREFERRED = Tags((("mooring:preferred", "yes"),))
WARNED = "gets a Spot terminate in two minutes"


def reason(candidate: Instance, declared: Topology | None = None) -> str | None:
    """Return why a candidate may not be the router of a converged network."""
    declared = declared or topology()
    return ineligible(declared, seen(declared, candidate), candidate)


def ranked(
    *instances: Instance, declared: Topology | None = None, unready: tuple[str, ...] = ()
) -> list[str]:
    """List who comes first."""
    return [c.id for c in candidates(declared or topology(), seen(None, *instances), unready)]


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        pytest.param(instance(state="pending"), "is pending", id="pending"),
        pytest.param(instance(state="stopping"), "is stopping", id="stopping"),
        pytest.param(instance(state="stopped"), "is stopped", id="stopped"),
        pytest.param(instance(state="shutting-down"), "is shutting-down", id="shutting down"),
        pytest.param(instance(checks="impaired"), "fails its status checks", id="impaired"),
        pytest.param(instance(tags={}), "is no candidate any more", id="no tags"),
        pytest.param(
            replace(instance(), interfaces=()), "does not hold a network interface", id="no interface"
        ),
        pytest.param(
            instance(eni=interface(subnet=PRIVATE_SUBNET_A)),
            f"sits in {PRIVATE_SUBNET_A}, no declared public subnet",
            id="private subnet",
        ),
        pytest.param(
            instance(eni=replace(interface(), addresses=())),
            f"has no IPv4 address on {ROUTER_ENI}",
            id="no IPv4 address",
        ),
        pytest.param(instance(notice=WARNED), WARNED, id="notice"),
    ],
)
def test_candidate_that_cannot_carry_is_not_eligible(candidate: Instance, why: str) -> None:
    """Each thing that speaks against a candidate is told in its own words."""
    assert reason(candidate) == f"{ROUTER} {why}"


@pytest.mark.parametrize("checks", ["ok", "initializing", "insufficient-data", "not-applicable", "unknown"])
def test_checks_that_say_nothing_speak_against_nobody(checks: str) -> None:
    """Only `impaired` is a verdict."""
    assert reason(instance(checks=checks)) is None


def test_candidate_without_the_declared_address_is_not_eligible() -> None:
    """Whoever does not hold the declared address cannot hold the pins."""
    declared = topology(private_address=IPv4Address("10.0.0.100"))
    assert reason(instance(), declared) == f"{ROUTER} does not hold 10.0.0.100"


@pytest.mark.parametrize(("address", "eligible"), [("10.0.10.9", False), ("10.0.10.10", True)])
def test_elastic_ip_of_somebody_else_on_the_pinned_address_makes_a_candidate_ineligible(
    address: str, *, eligible: bool
) -> None:
    """Associating ours would throw the other one off; on another address of the interface it is in nobody's way."""
    foreign = ElasticIp(FOREIGN_EIP, "203.0.113.99", STANDBY_ENI, address)
    observation = with_elastic_ip(seen(None, instance(), standby()), elastic_ip(), foreign)
    why = ineligible(topology(), observation, standby())
    expected = f"{STANDBY} holds the elastic ip {FOREIGN_EIP} (203.0.113.99), which is not declared"
    assert why == (None if eligible else expected)


def test_declared_elastic_ip_stands_in_nobodys_way() -> None:
    """The incumbent holds it: that is what it is for."""
    assert ineligible(topology(), seen(), instance()) is None


def test_notice_is_no_inability() -> None:
    """What AWS says can be overruled by an operator; what is cannot."""
    observation = seen()
    assert unable(topology(), observation, instance(notice=WARNED)) is None
    assert unable(topology(), observation, instance(checks="impaired")) is not None


def test_risk_makes_nobody_ineligible_and_others_preferred() -> None:
    """A rebalance recommendation is an elevated risk without an end: it only ranks."""
    risky = replace(instance(), risk="has a Spot rebalance recommendation")
    assert reason(risky) is None
    assert ranked(risky, standby()) == [STANDBY, ROUTER]


def test_declared_order_comes_before_all_else() -> None:
    """The first declared selector wins, whatever the age, the risk and the check."""
    young = instance(THIRD, interface("eni-3", check=True), launched=NOON, tags={"mooring:preferred": "yes"})
    young = replace(young, risk="has instance-stop scheduled")
    declared = topology(candidates=(PREFERRED, CANDIDATES))
    assert ranked(instance(), standby(), young, declared=declared) == [THIRD, ROUTER, STANDBY]


@pytest.mark.parametrize(
    ("worse", "unready"),
    [
        pytest.param({"risk": "has a Spot rebalance recommendation"}, (), id="risk"),
        pytest.param({}, (ROUTER,), id="not ready"),
        pytest.param({"interfaces": (interface(check=True),)}, (), id="check still on"),
        pytest.param({"launched_at": NOON}, (), id="launched later"),
    ],
)
def test_older_candidate_comes_first_unless_something_is_worse_about_it(
    worse: dict[str, object], unready: tuple[str, ...]
) -> None:
    """Each rank by itself turns the order round, which age alone would give."""
    assert ranked(instance(), standby()) == [ROUTER, STANDBY]
    assert ranked(replace(instance(), **worse), standby(), unready=unready) == [STANDBY, ROUTER]  # type: ignore[arg-type]


def test_ranks_count_in_the_order_in_which_they_cost() -> None:
    """A risk is worse than not to be ready, and that than one write more."""
    risky = replace(instance("i-risky"), risk="has a Spot rebalance recommendation")
    unready = instance("i-unready")
    checked = instance("i-checked", interface(check=True))
    good = instance("i-young", launched=NOON)
    order = ranked(risky, unready, checked, good, unready=("i-unready",))
    assert order == ["i-young", "i-checked", "i-unready", "i-risky"]


@pytest.mark.parametrize(("listed", "fit"), [(True, True), (None, True), (False, False)])
def test_candidate_that_one_listing_alone_has_running_is_not_eligible(
    *, listed: bool | None, fit: bool
) -> None:
    """One of two readings that contradict each other is old; one that could not be read says nothing."""
    candidate = replace(standby(), listed=listed)

    assert (ineligible(topology(), seen(None, candidate), candidate) is None) is fit


def test_status_that_could_not_be_read_ranks_nobody_down() -> None:
    """What is unknown of all tells nobody apart."""
    assert ranked(replace(instance(), listed=None), standby()) == [ROUTER, STANDBY]


def test_id_breaks_the_last_tie() -> None:
    """The order is total: two launched in the same second are told apart."""
    assert ranked(replace(instance(), id=THIRD), replace(instance(), id=STANDBY)) == [STANDBY, THIRD]


def test_instance_without_declared_tags_is_no_candidate() -> None:
    """However healthy, it is somebody else's."""
    assert ranked(instance(tags={"Name": "web"}), standby()) == [STANDBY]
    assert dict(CANDIDATES.pairs) == ROUTER_TAGS


def follow(observation: Observation) -> dict[str, int]:
    """Count the pins of the declared network."""
    return follows(topology(), observation)


def test_pins_are_the_routes_through_the_router_and_the_elastic_ip() -> None:
    """Three remote networks, two private defaults and the address."""
    assert follow(seen()) == {ROUTER_ENI: 6}
    assert follow(with_elastic_ip(seen(), elastic_ip(STANDBY_ENI))) == {ROUTER_ENI: 5, STANDBY_ENI: 1}


def test_missing_pins_lead_nowhere() -> None:
    """A network that lacks one does not lead anywhere whole."""
    assert follow(unrouted(seen(), PRIVATE_A, "0.0.0.0/0")) == {ROUTER_ENI: 5, "": 1}
    assert follow(with_elastic_ip(seen())) == {ROUTER_ENI: 5, "": 1}


def test_propagated_and_undeclared_routes_are_no_pins() -> None:
    """Only what Mooring pins tells whom the network follows."""
    observation = routed(seen(), PUBLIC, Route("172.16.0.0/12", STANDBY_ENI))
    observation = routed(observation, PRIVATE_A, Route("0.0.0.0/0", ROUTER_ENI), propagated("10.9.0.0/16"))
    assert follow(observation) == {ROUTER_ENI: 6}
