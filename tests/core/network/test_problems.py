"""What no change of Mooring's mends is told as a problem: by name, with the reason, and with what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.network.observation import ElasticIp, Interface, Skipped, Subnet
from chalicelib.core.network.problems import UNREAD, absent_subnets, find_problems
from chalicelib.core.network.topology import Tags
from tests.builders import (
    EIP,
    FOREIGN_EIP,
    FOREIGN_ENI,
    GATEWAY,
    GROUP,
    NOON,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    PRIVATE_SUBNET_B,
    PUBLIC,
    PUBLIC_SUBNET,
    ROUTER,
    ROUTER_ENI,
    ROUTER_TAGS,
    SECOND_PUBLIC_SUBNET,
    STANDBY,
    STANDBY_ENI,
    TAGGED,
    TUNNEL,
    VPC,
    an_id,
    elastic_ip,
    instance,
    interface,
    private_table,
    public_table,
    seen,
    standby,
    table_in,
    topology,
    with_elastic_ip,
    with_table,
)
from tests.core.strategies import models, topologies

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Instance, Observation
    from chalicelib.core.network.topology import Topology

PODS = an_id("subnet", 64)
SECONDARY = IPv4Network("100.64.0.0/16")
THERE = (
    Subnet(PUBLIC_SUBNET, "10.0.0.0/24"),
    Subnet(SECOND_PUBLIC_SUBNET, "10.0.10.0/24"),
    Subnet(PRIVATE_SUBNET_A, "10.0.1.0/24"),
    Subnet(PRIVATE_SUBNET_B, "10.0.2.0/24"),
)
TUNNELLED = topology(tunnel=TUNNEL)


def riding(observation: Observation, cidr: str | None, table_id: str = PRIVATE_A) -> Observation:
    """Return the network with one more subnet on a table; `cidr` None when its subnets were not read."""
    table = table_in(observation, table_id)
    observation = with_table(
        observation, replace(table, associations=table.associations | {PODS: an_id("rtbassoc", 64)})
    )
    return replace(observation, subnets=(*THERE, Subnet(PODS, cidr)) if cidr else None)


def following(*ranges: IPv4Network) -> Topology:
    """Declare that the router forwards for whatever rides on the first private table, of these ranges as well."""
    first = replace(private_table(), follow=True)
    tables = (public_table(), first, private_table("rtb-00000000000000003", (PRIVATE_SUBNET_B,)))
    return replace(topology(tables=tables, tunnel=TUNNEL), secondary_cidrs=ranges)


def test_network_that_is_as_declared_has_no_problem() -> None:
    """Nothing wrong, nothing said; whether its subnets were read or not."""
    for subnets in (None, THERE):
        observation = replace(seen(TUNNELLED, instance(), standby()), subnets=subnets)

        assert find_problems(TUNNELLED, observation) == ()


@pytest.mark.parametrize(
    ("cidr", "told", "remedy"),
    [
        pytest.param(
            "10.0.7.0/24",
            f"{PODS} (10.0.7.0/24)",
            f"list it under the subnets of {PRIVATE_A}, or declare follow = true there",
            id="of the declared range",
        ),
        pytest.param(
            "100.64.32.0/19",
            f"{PODS} (100.64.32.0/19)",
            f"declare 100.64.32.0/19 in vpc.secondary_cidrs, and list it under the subnets of {PRIVATE_A}, "
            "or declare follow = true there",
            id="of a range that nobody declared",
        ),
        pytest.param(
            None,
            PODS,
            f"list it under the subnets of {PRIVATE_A}, or declare follow = true there",
            id="of an unknown range",
        ),
    ],
)
def test_undeclared_subnet_on_a_private_table_is_told_with_what_to_declare(
    cidr: str | None, told: str, remedy: str
) -> None:
    """The routes lead it to a router that refuses it, in silence for whoever looks at routes alone."""
    assert find_problems(TUNNELLED, riding(seen(TUNNELLED), cidr)) == (
        (
            f"{told} rides on private table {PRIVATE_A} without being declared: "
            f"the router refuses its packets (MOORING-REFUSED); {remedy}"
        ),
    )


def test_range_to_declare_is_the_vpcs_own_where_a_local_route_shows_it() -> None:
    """A secondary range is declared whole, as the VPC has it, not subnet by subnet."""
    observation = riding(seen(TUNNELLED), "100.64.32.0/19")
    table = table_in(observation, PUBLIC)
    shown = replace(table.routes[0], destination=str(SECONDARY), target="local")

    (problem,) = find_problems(
        TUNNELLED, with_table(observation, replace(table, routes=(*table.routes, shown)))
    )

    assert "; declare 100.64.0.0/16 in vpc.secondary_cidrs, and list it" in problem


@pytest.mark.parametrize(
    ("declared", "cidr"),
    [
        pytest.param(following(), "10.0.7.0/24", id="followed"),
        pytest.param(following(SECONDARY), "100.64.32.0/19", id="followed in a secondary range"),
        pytest.param(topology(), "10.0.7.0/24", id="no tunnel: the router's rules are not Mooring's"),
    ],
)
def test_subnet_that_the_router_carries_or_that_is_not_its_business_is_no_problem(
    declared: Topology, cidr: str
) -> None:
    """What is followed is translated and forwarded like what is listed."""
    assert find_problems(declared, riding(seen(declared), cidr)) == ()


def test_subnet_outside_every_declared_range_is_told_although_its_table_is_followed() -> None:
    """To follow a table is to follow it within the ranges that are declared."""
    declared = following()

    (problem,) = find_problems(declared, riding(seen(declared), "100.64.32.0/19"))

    assert "declare 100.64.32.0/19 in vpc.secondary_cidrs" in problem


def test_subnet_without_an_ipv4_range_has_no_packets_to_refuse() -> None:
    """One of IPv6 alone is on the table and not among the subnets that were read."""
    observation = replace(riding(seen(TUNNELLED), "10.0.7.0/24"), subnets=THERE)

    assert find_problems(TUNNELLED, observation) == ()


def test_declared_subnet_that_is_gone_is_told_and_left_out_of_associations() -> None:
    """It is a sentence for a person, not a change that fails each minute."""
    observation = replace(seen(), subnets=THERE[:-1])

    assert absent_subnets(topology(), observation) == {PRIVATE_SUBNET_B}
    (problem,) = find_problems(topology(), observation)
    assert problem.startswith(f"{PRIVATE_SUBNET_B} is not in this VPC, but declared under private table rtb-")


def test_subnets_that_were_not_read_are_not_absent() -> None:
    """A failed reading never looks like an empty one."""
    assert absent_subnets(topology(), replace(seen(), subnets=None)) == frozenset()


def test_subnet_that_could_not_be_understood_is_not_called_absent() -> None:
    """It was listed, so it is there."""
    odd = Skipped("subnet", PRIVATE_SUBNET_B, "it has no CidrBlock")
    observation = replace(seen(), subnets=THERE[:-1], skipped=(odd,))

    assert absent_subnets(topology(), observation) == frozenset()
    assert find_problems(topology(), observation) == (
        f"subnet {PRIVATE_SUBNET_B} is declared and cannot be understood: it has no CidrBlock; it is left alone",
    )


def test_declared_cidr_that_differs_from_the_seen_one_is_told() -> None:
    """Router and office carry what is declared, which is another subnet's traffic."""
    observation = replace(seen(), subnets=(*THERE[:-1], Subnet(PRIVATE_SUBNET_B, "10.0.3.0/24")))

    (problem,) = find_problems(topology(), observation)

    assert problem.startswith(f"{PRIVATE_SUBNET_B} is 10.0.3.0/24, not the declared 10.0.2.0/24")
    assert absent_subnets(topology(), observation) == frozenset()


@pytest.mark.parametrize("state", ["failed", "disassociating", "associating"])
def test_declared_association_that_is_not_in_force_is_told(state: str) -> None:
    """Listed is not associated: while AWS calls it anything else the subnet follows the main table."""
    observation = seen()
    table = table_in(observation, PRIVATE_A)
    broken = replace(table, associations={}, unsettled={PRIVATE_SUBNET_A: state})

    assert find_problems(topology(), with_table(observation, broken)) == (
        (
            f"the association of {PRIVATE_SUBNET_A} with {PRIVATE_A} is {state}: "
            "while it is, the subnet follows the main table"
        ),
    )


def test_association_that_ends_because_another_took_its_place_is_no_problem() -> None:
    """A move from table to table is listed twice for a while; what is in force counts."""
    observation = seen()
    old = replace(table_in(observation, PUBLIC), unsettled={PRIVATE_SUBNET_A: "disassociating"})

    assert find_problems(topology(), with_table(observation, old)) == ()


@pytest.mark.parametrize(
    "skipped",
    [
        pytest.param(Skipped("elastic ip", EIP, "odd"), id="elastic ip by id"),
        pytest.param(Skipped("route table", PRIVATE_A, "odd"), id="table by id"),
        pytest.param(Skipped("security group", GROUP, "odd"), id="group by id"),
        pytest.param(
            Skipped("security-group-rule", an_id("sgr", 7), "odd"), id="rule, since only ours are read"
        ),
        pytest.param(
            Skipped("route", PRIVATE_A, "odd", TAGGED), id="part of a table, named by the table's id"
        ),
        pytest.param(Skipped("internet gateway", GATEWAY, "odd"), id="gateway by id"),
        pytest.param(Skipped("instance", STANDBY, "odd", ROUTER_TAGS), id="candidate by its tags"),
        pytest.param(Skipped("instance", "", "odd", ROUTER_TAGS), id="candidate that has no id"),
        pytest.param(Skipped("route-table", "", "odd", {"role": "private"}), id="table that has no id"),
        pytest.param(Skipped("security-group-rule", "", "odd"), id="rule that has no id"),
        pytest.param(
            Skipped("route table", an_id("rtb", 77), "odd", {"role": "private"}), id="table by its tags"
        ),
    ],
)
def test_thing_of_ours_that_cannot_be_understood_is_told_by_name(skipped: Skipped) -> None:
    """Ours is what is declared, by id or by tag."""
    tagged = private_table(Tags((("role", "private"),)), ())
    declared = topology(tables=(public_table(), private_table(), tagged))
    observation = replace(seen(declared), skipped=(skipped,))

    assert find_problems(declared, observation) == (
        f"{skipped} is declared and cannot be understood: odd; it is left alone",
    )


def test_odd_thing_of_somebody_elses_is_no_problem() -> None:
    """Tags of a table make no candidate of an instance, nor the other way round."""
    odd = (
        Skipped("elastic ip", FOREIGN_EIP, "odd", ROUTER_TAGS),
        Skipped("instance", an_id("i", 9), "odd", {"role": "private"}),
    )
    tagged = private_table(Tags((("role", "private"),)))
    declared = topology(tables=(public_table(), tagged))

    assert find_problems(declared, replace(seen(declared), skipped=odd)) == ()


@pytest.mark.parametrize("call", [*UNREAD, "ec2:SomethingNew"])
def test_part_that_could_not_be_read_is_told_with_what_is_unknown_now(call: str) -> None:
    """What a failed reading would have shown is unknown, and said to be."""
    observation = replace(seen(), unread={call: "RequestLimitExceeded: slow down"})

    (problem,) = find_problems(topology(), observation)

    assert f" could not be read ({call}: RequestLimitExceeded: slow down): " in problem
    assert problem.endswith(UNREAD[call][1] if call in UNREAD else "what it would show is unknown")


FOREIGN_ADDRESS = ElasticIp(FOREIGN_EIP, "203.0.113.99", STANDBY_ENI, "10.0.10.9")


def test_standby_that_holds_somebody_elses_elastic_ip_is_told_before_it_is_needed() -> None:
    """The declared address could not come to it without throwing the other off."""
    observation = with_elastic_ip(seen(None, instance(), standby()), elastic_ip(), FOREIGN_ADDRESS)

    assert find_problems(topology(), observation) == (
        (
            f"{STANDBY} could not take over: elastic ip {FOREIGN_EIP} (203.0.113.99), which is not declared, sits on "
            f"{STANDBY_ENI} 10.0.10.9; disassociate it so that the declared one can come"
        ),
    )


@pytest.mark.parametrize(
    ("card", "why"),
    [
        pytest.param(
            Interface(STANDBY_ENI, SECOND_PUBLIC_SUBNET, ()), "has no IPv4 address", id="no IPv4 address"
        ),
        pytest.param(
            interface(STANDBY_ENI, "10.0.1.9", PRIVATE_SUBNET_A),
            f"sits in {PRIVATE_SUBNET_A}, no declared public subnet",
            id="in a private subnet",
        ),
    ],
)
def test_standby_that_could_not_hold_the_pins_is_told(card: Interface, why: str) -> None:
    """What makes a standby useless is told while there is time, running or stopped."""
    for state in ("running", "stopped"):
        (problem,) = find_problems(topology(), seen(None, instance(), instance(STANDBY, card, state=state)))

        assert problem.startswith(f"{STANDBY} could not take over: {STANDBY_ENI} {why}")


def test_candidate_without_the_declared_address_is_told() -> None:
    """Where an address is declared only the instance that holds it may be the router."""
    declared = topology(private_address=IPv4Address("10.0.0.8"))

    assert find_problems(declared, seen(declared, instance(), standby())) == (
        (
            f"{STANDBY} could not take over: it does not hold 10.0.0.8; "
            "attach the interface that does, or remove its tag"
        ),
    )


def test_candidate_without_an_interface_is_told() -> None:
    """EC2 lists such an instance while its interfaces are taken away."""
    (problem,) = find_problems(topology(), seen(None, instance(), replace(standby(), interfaces=())))

    assert problem == f"{STANDBY} could not take over: it has no network interface; launch it anew"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(
            instance(STANDBY, Interface(STANDBY_ENI, SECOND_PUBLIC_SUBNET, ()), state=state), id=state
        )
        for state in ("pending", "stopping", "shutting-down", "terminated")
    ]
    + [pytest.param(instance(STANDBY, interface(STANDBY_ENI, "10.0.1.9", "subnet-x"), tags={}), id="no tag")],
)
def test_instance_that_comes_or_goes_or_is_no_candidate_is_not_told(other: Instance) -> None:
    """A candidate on its way is not complete yet, and one that leaves will not be needed."""
    assert find_problems(topology(), seen(None, instance(), other)) == ()


def test_secondary_address_of_a_standby_may_hold_anybodys_elastic_ip() -> None:
    """Only the address that is to be pinned must be free."""
    beside = replace(FOREIGN_ADDRESS, private_address="10.0.10.10")

    assert (
        find_problems(topology(), with_elastic_ip(seen(None, instance(), standby()), elastic_ip(), beside))
        == ()
    )


def test_declared_elastic_ip_on_an_interface_of_no_instance_is_told() -> None:
    """A NAT gateway's address is given up only when the gateway is deleted: EC2 answers AuthFailure."""
    observation = with_elastic_ip(seen(), elastic_ip(FOREIGN_ENI, "10.0.0.77"))

    assert find_problems(topology(), observation) == (
        (
            f"elastic ip {EIP} (203.0.113.8) sits on {FOREIGN_ENI}, which belongs to no instance in {VPC}; if that is a "
            "NAT gateway's or a load balancer's, EC2 gives it up only when that is deleted (AuthFailure)"
        ),
    )


@pytest.mark.parametrize(
    "observation",
    [
        pytest.param(with_elastic_ip(seen(), elastic_ip(None, None)), id="nowhere"),
        pytest.param(with_elastic_ip(seen()), id="not seen"),
        pytest.param(
            replace(seen(None, standby()), elastic_ips=(elastic_ip(ROUTER_ENI),)),
            id="on a dead router's interface, where routes still lead",
        ),
        pytest.param(
            with_elastic_ip(
                replace(seen(), skipped=(Skipped("instance", an_id("i", 9), "odd"),)),
                elastic_ip(FOREIGN_ENI),
            ),
            id="on what may be the instance that could not be understood",
        ),
    ],
)
def test_declared_elastic_ip_that_ec2_would_move_is_no_problem(observation: Observation) -> None:
    """An address that is free, or on an interface that was a router's, comes when it is asked."""
    assert find_problems(topology(), observation) == ()


def test_problems_come_in_one_order_whatever_the_order_of_the_listing() -> None:
    """AWS lists in any order; the same network is told in the same words."""
    pair = (
        replace(standby(), interfaces=()),
        replace(standby(an_id("i", 5), an_id("eni", 5)), interfaces=()),
    )
    observation = seen(None, instance(), *pair)

    told = find_problems(topology(), observation)

    assert len(told) == 2
    assert find_problems(topology(), replace(observation, instances=observation.instances[::-1])) == told


@given(st.data())
def test_whatever_is_seen_is_told_without_an_exception(data: st.DataObject) -> None:
    """A run ends with a report, whatever somebody did to the network."""
    declared = data.draw(topologies())
    observation = data.draw(models(declared, awkward=True)).observe(declared, NOON + timedelta(hours=1))
    subnets = data.draw(st.none() | st.sets(st.sampled_from(THERE)).map(tuple))

    told = find_problems(
        replace(declared, tunnel=TUNNEL), replace(observation, subnets=subnets, unread={ROUTER: "x"})
    )

    assert len(set(told)) == len(told)
    assert told[0] == f"a part of the look could not be read ({ROUTER}: x): what it would show is unknown"
