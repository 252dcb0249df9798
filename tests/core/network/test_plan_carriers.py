"""What a plan takes from what carries, and when; and what it keeps where nobody may be the router."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.machines.readiness import Readiness
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateRouteTable,
    CreateRoute,
    ReplaceRoute,
    depends_on,
    line,
    resource_key,
)
from chalicelib.core.network.election import elect
from chalicelib.core.network.history import History
from chalicelib.core.network.observation import ElasticIp, Route
from chalicelib.core.network.plan import make_plan
from tests.builders import (
    BOOTSTRAP,
    EIP,
    FOREIGN_EIP,
    FOREIGN_ENI,
    GATEWAY,
    GROUP,
    MAIN,
    OPTIONS,
    PRIVATE_A,
    PRIVATE_B,
    PRIVATE_SUBNET_A,
    PRIVATE_SUBNET_B,
    PUBLIC,
    PUBLIC_SUBNET,
    ROUTER_ENI,
    STANDBY_ENI,
    VPC,
    an_id,
    elastic_ip,
    instance,
    interface,
    routed,
    seen,
    ssh_rule,
    standby,
    table_in,
    topology,
    unrouted,
    with_elastic_ip,
    with_table,
)
from tests.histories import remembered

if TYPE_CHECKING:
    from chalicelib.core.network.change import NetworkChange
    from chalicelib.core.network.observation import Instance, Observation
    from chalicelib.core.network.plan import Plan
    from chalicelib.core.network.topology import Topology

NAT = an_id("nat", 1)
ADDRESS = f"elastic ip {EIP}"
DEFAULT = "0.0.0.0/0"


def plan_for(observation: Observation, declared: Topology | None = None) -> Plan[NetworkChange]:
    """Elect and plan, a day after the router became the router."""
    declared = declared or topology()
    return make_plan(declared, observation, elect(declared, observation, remembered(declared), Readiness()))


def carried(*targets: str, observation: Observation | None = None) -> Observation:
    """Return a network whose private defaults lead elsewhere."""
    observation = observation or seen()
    for table_id, target in zip((PRIVATE_A, PRIVATE_B), targets, strict=False):
        observation = routed(observation, table_id, Route(DEFAULT, target))
    return observation


def nowhere(observation: Observation) -> Observation:
    """Return the same network with the Elastic IP nowhere."""
    return with_elastic_ip(observation, elastic_ip(None, None))


def waits(plan: Plan[NetworkChange]) -> dict[str, str | None]:
    """Return what each replaced route waits for."""
    return {c.table_id: c.waits_for for c in plan.changes if isinstance(c, ReplaceRoute)}


# -- what carries -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("carrier", [NAT, an_id("tgw", 1), "vpce-00000000000000001"])
def test_route_leaves_what_carries_only_for_a_router_that_has_its_address(carrier: str) -> None:
    """A NAT gateway carries; a router without a public address does not: the address comes first, then the route."""
    plan = plan_for(nowhere(carried(carrier)))

    assert waits(plan) == {PRIVATE_A: ADDRESS}
    (route,) = (c for c in plan.changes if isinstance(c, ReplaceRoute))
    assert depends_on(route) == (f"source/dest check {ROUTER_ENI}", ADDRESS)


def test_route_to_an_interface_of_no_instance_is_taken_at_once() -> None:
    """It was a router's that has ended, though an old listing of the tables still calls its route active."""
    assert waits(plan_for(nowhere(carried("eni-of-nobody-in-this-vpc")))) == {PRIVATE_A: None}


@pytest.mark.parametrize("target", [NAT, GATEWAY])
def test_route_to_the_office_leaves_what_leads_to_the_internet_at_once(target: str) -> None:
    """Nothing reaches the office there, whoever has the Elastic IP."""
    observation = nowhere(routed(seen(), PUBLIC, Route("10.100.100.0/24", target)))

    assert waits(plan_for(observation)) == {PUBLIC: None}


def test_route_leaves_somebody_elses_instance_only_for_a_router_that_has_its_address() -> None:
    """A firewall of somebody's may carry as well as a NAT gateway."""
    stranger = instance(an_id("i", 9), interface(FOREIGN_ENI, "10.0.0.99"), tags={"Name": "firewall"})

    assert waits(plan_for(nowhere(carried(FOREIGN_ENI, observation=seen(None, instance(), stranger))))) == {
        PRIVATE_A: ADDRESS
    }


def test_route_leaves_at_once_where_the_router_has_its_address() -> None:
    """There is nothing to wait for."""
    assert waits(plan_for(carried(NAT, an_id("tgw", 1)))) == {PRIVATE_A: None, PRIVATE_B: None}


def test_route_leaves_at_once_what_carries_nothing() -> None:
    """A blackhole loses every packet, and a candidate that is left is ours to leave."""
    black = routed(carried(NAT), PRIVATE_A, Route(DEFAULT, NAT, state="blackhole"))
    ours = carried(STANDBY_ENI, observation=seen(None, instance(), standby()))

    for observation in (black, ours):
        plan = plan_for(nowhere(observation))
        assert waits(plan) == {PRIVATE_A: None}
        assert ADDRESS in map(resource_key, plan.changes)


def test_missing_route_waits_for_nothing() -> None:
    """Nothing carries there."""
    (route,) = (
        c
        for c in plan_for(nowhere(unrouted(seen(), PRIVATE_A, DEFAULT))).changes
        if isinstance(c, CreateRoute)
    )

    assert depends_on(route) == (f"source/dest check {ROUTER_ENI}",)


def test_failover_waits_for_no_address() -> None:
    """What leads to the dead router carries nothing: its routes and the Elastic IP move at once."""
    plan = plan_for(seen(None, instance(state="stopped"), standby()))

    assert set(waits(plan).values()) == {None}
    assert any(isinstance(c, AssociateAddress) for c in plan.changes)


@pytest.mark.parametrize("why", ["it does not exist", "somebody else's is in its place"])
def test_route_stays_with_what_carries_where_the_address_cannot_come(why: str) -> None:
    """It is told, and not tried: what carries must not be given up for nothing."""
    observation = carried(NAT)
    squatter = ElasticIp(FOREIGN_EIP, "203.0.113.99", ROUTER_ENI, "10.0.0.8")
    gone = why == "it does not exist"
    observation = with_elastic_ip(observation, *(() if gone else (squatter, elastic_ip(None, None))))

    plan = plan_for(observation)

    assert plan.changes == ()
    assert f"what leads to {NAT} stays there until the elastic ip can come to the router" in plan.problems


def test_what_does_not_carry_is_mended_though_the_address_cannot_come() -> None:
    """A router without its address is better than a route that is missing."""
    observation = with_elastic_ip(unrouted(carried(an_id("nat", 2)), PRIVATE_B, DEFAULT))

    assert [line(c) for c in plan_for(observation).changes] == [
        f"+ route {PRIVATE_B} {DEFAULT} -> {ROUTER_ENI}"
    ]


def test_elastic_ip_of_somebody_else_beside_the_pinned_address_stops_nothing() -> None:
    """The interface has another address that it sits on."""
    other = ElasticIp(FOREIGN_EIP, "203.0.113.99", ROUTER_ENI, "10.0.0.7")
    plan = plan_for(with_elastic_ip(carried(NAT), other, elastic_ip(None, None)))

    assert waits(plan) == {PRIVATE_A: ADDRESS}


# -- nobody may be the router -----------------------------------------------------------------------------


def orphaned(*instances: Instance, declared: Topology | None = None) -> Observation:
    """Return a network whose one candidate is stopped, or as given."""
    return seen(declared, *(instances or (instance(state="stopped"),)))


def test_what_needs_no_router_is_kept_where_nobody_may_be_it() -> None:
    """The public default, the subnets of tables that have their way out, DHCP options and the ssh rule."""
    declared = topology(dhcp_options=OPTIONS)
    observation = unrouted(orphaned(declared=declared), PUBLIC, DEFAULT)
    for table_id in (PUBLIC, PRIVATE_A):
        observation = with_table(observation, replace(table_in(observation, table_id), associations={}))
    observation = replace(observation, ingress=(ssh_rule(),), dhcp_options="dopt-other")

    plan = plan_for(observation, declared)

    assert [line(c) for c in plan.changes] == [
        f"+ route {PUBLIC} {DEFAULT} -> {GATEWAY}",
        f"~ subnet {PUBLIC_SUBNET}: {MAIN} -> {PUBLIC}",
        f"~ subnet {an_id('subnet', 2)}: {MAIN} -> {PUBLIC}",
        f"~ subnet {PRIVATE_SUBNET_A}: {MAIN} -> {PRIVATE_A}",
        f"~ dhcp options {VPC}: dopt-other -> {OPTIONS}",
        f"- ingress {GROUP} {BOOTSTRAP}: tcp/22 from {DEFAULT}",
    ]


def test_no_pin_is_written_where_nobody_may_be_the_router() -> None:
    """What leads to the dead one stays: there is nowhere to lead it to."""
    broken = unrouted(nowhere(orphaned()), PUBLIC, "10.100.100.0/24")
    broken = routed(unrouted(broken, PRIVATE_A, DEFAULT), PRIVATE_B, Route(DEFAULT, "eni-gone", "blackhole"))

    assert plan_for(broken).changes == ()


def test_subnet_waits_for_its_tables_default_route() -> None:
    """On a table without a way out it would lose what it has where it is; a route that is coming is one."""
    observation = unrouted(orphaned(), PRIVATE_B, DEFAULT)
    observation = with_table(observation, replace(table_in(observation, PRIVATE_B), associations={}))

    plan = plan_for(observation)
    assert plan.changes == ()
    assert f"subnet {PRIVATE_SUBNET_B} waits for {PRIVATE_B}, which has no default route yet" in plan.problems

    mended = plan_for(replace(observation, instances=(instance(),)))
    assert [type(c) for c in mended.changes] == [CreateRoute, AssociateRouteTable]
    assert depends_on(mended.changes[1]) == (f"route {PRIVATE_B} {DEFAULT}",)


def test_subnet_does_not_wait_where_its_table_keeps_a_way_out() -> None:
    """The default route waits for the Elastic IP; a subnet does not, since what the route leads to until then carries."""
    observation = nowhere(carried(NAT))
    observation = with_table(observation, replace(table_in(observation, PRIVATE_A), associations={}))

    plan = plan_for(observation)

    assert waits(plan)[PRIVATE_A] == ADDRESS
    assert [depends_on(c) for c in plan.changes if isinstance(c, AssociateRouteTable)] == [()]


def test_default_route_of_another_table_is_none_of_a_subnets() -> None:
    """Each table has its own way out."""
    observation = unrouted(unrouted(orphaned(), PRIVATE_B, DEFAULT), PUBLIC, DEFAULT)
    observation = with_table(observation, replace(table_in(observation, PRIVATE_B), associations={}))

    assert [line(c) for c in plan_for(observation).changes] == [f"+ route {PUBLIC} {DEFAULT} -> {GATEWAY}"]


def test_standby_that_may_follow_is_prepared_where_nobody_else_may() -> None:
    """Its check is off before it is needed; one that may not be the router is left alone."""
    observation = orphaned(instance(state="stopped"), replace(standby(check=True), notice="is about to go"))

    assert plan_for(observation).changes == ()


@pytest.mark.parametrize(
    "incumbent",
    [
        instance(checks="impaired", eni=interface(check=True)),
        instance(notice="gets a Spot stop in two minutes", eni=interface(check=True)),
        instance(tags={}, eni=interface(check=True)),
    ],
    ids=["impaired", "noticed", "untagged"],
)
def test_running_router_is_repaired_in_place_where_nobody_is_better(incumbent: Instance) -> None:
    """Whatever ails it, it may carry: the deleted default comes back, and the problem says what is wrong."""
    observation = nowhere(unrouted(seen(None, incumbent), PRIVATE_A, DEFAULT))

    plan = plan_for(observation)

    assert [resource_key(c) for c in plan.changes] == [
        f"source/dest check {ROUTER_ENI}",
        f"route {PRIVATE_A} {DEFAULT}",
        ADDRESS,
    ]
    assert plan.problems[0].endswith(", and no candidate is better")


def test_first_look_at_a_network_without_candidates_keeps_what_needs_none() -> None:
    """An empty journal changes nothing about that."""
    observation = unrouted(orphaned(), PUBLIC, DEFAULT)
    election = elect(topology(), observation, History(), Readiness())

    assert [line(c) for c in make_plan(topology(), observation, election).changes] == [
        f"+ route {PUBLIC} {DEFAULT} -> {GATEWAY}"
    ]
