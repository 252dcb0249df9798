"""What must change so that the observed network becomes the declared one: each kind, each reason, the order."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.machines.readiness import Readiness
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    CreateRoute,
    DisableSourceDestCheck,
    NetworkChange,
    ReplaceRoute,
    RevokeIngress,
    line,
)
from chalicelib.core.network.election import elect
from chalicelib.core.network.observation import ElasticIp, Observation, Route
from chalicelib.core.network.plan import Plan, make_plan
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
    PUBLIC,
    PUBLIC_SUBNET,
    ROUTER,
    ROUTER_ENI,
    STANDBY,
    STANDBY_ENI,
    VPC,
    an_id,
    elastic_ip,
    instance,
    interface,
    private_table,
    propagated,
    public_table,
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
    from chalicelib.core.network.topology import Topology


def plan_for(observation: Observation, declared: Topology | None = None) -> Plan[NetworkChange]:
    """Elect and plan, a day after the router became the router."""
    declared = declared or topology()
    return make_plan(declared, observation, elect(declared, observation, remembered(declared), Readiness()))


def test_converged_network_needs_nothing() -> None:
    """As declared: no change, no problem."""
    assert plan_for(seen()) == Plan()


def test_missing_private_default_is_created() -> None:
    """A declared route that is missing is added."""
    plan = plan_for(unrouted(seen(), PRIVATE_A, "0.0.0.0/0"))

    assert plan.changes == (CreateRoute(PRIVATE_A, "0.0.0.0/0", ROUTER_ENI, "it is missing"),)


def test_route_pointed_elsewhere_is_replaced_in_place() -> None:
    """A wrong route is replaced, never deleted, and the change carries the old value."""
    plan = plan_for(routed(seen(), PRIVATE_A, Route("0.0.0.0/0", FOREIGN_ENI)))

    reason = f"{FOREIGN_ENI} is not the router's interface"
    assert plan.changes == (ReplaceRoute(PRIVATE_A, "0.0.0.0/0", ROUTER_ENI, FOREIGN_ENI, reason),)


def test_public_default_not_to_the_internet_gateway_is_replaced() -> None:
    """A public table leads to the internet gateway, never to the router."""
    plan = plan_for(routed(seen(), PUBLIC, Route("0.0.0.0/0", ROUTER_ENI)))

    reason = f"{ROUTER_ENI} is not the declared target"
    assert plan.changes == (ReplaceRoute(PUBLIC, "0.0.0.0/0", GATEWAY, ROUTER_ENI, reason),)


@pytest.mark.parametrize("destination", ["10.100.100.0/24", "10.100.30.0/24", "192.168.0.0/24"])
def test_public_table_leads_each_remote_network_to_the_router(destination: str) -> None:
    """The office's networks and the VPN clients are reached through the router."""
    plan = plan_for(unrouted(seen(), PUBLIC, destination))

    assert plan.changes == (CreateRoute(PUBLIC, destination, ROUTER_ENI, "it is missing"),)


def test_private_table_has_office_routes_only_where_declared() -> None:
    """Office networks follow a private default; explicit routes are declared per table."""
    declared = topology(tables=(public_table(), private_table(office_routes=True)))
    observation = seen(topology(tables=(public_table(), private_table())))

    destinations = [
        c.destination for c in plan_for(observation, declared).changes if isinstance(c, CreateRoute)
    ]

    assert destinations == ["10.100.100.0/24", "10.100.30.0/24", "192.168.0.0/24"]


def test_propagated_route_does_not_stand_in_for_a_declared_one() -> None:
    """A propagated route is not ours: it is neither counted nor changed, the declared one is created beside it."""
    observation = routed(unrouted(seen(), PRIVATE_A, "0.0.0.0/0"), PRIVATE_A, propagated("0.0.0.0/0"))

    assert plan_for(observation).changes == (
        CreateRoute(PRIVATE_A, "0.0.0.0/0", ROUTER_ENI, "it is missing"),
    )


def test_undeclared_route_is_left_alone() -> None:
    """What nobody declared is nobody's business here, whatever it leads to."""
    assert plan_for(routed(seen(), PRIVATE_A, Route("172.16.0.0/12", "eni-gone", "blackhole"))) == Plan()


def test_blackhole_to_a_dead_interface_is_replaced() -> None:
    """A route that leads to what is gone is pointed at the router."""
    (change,) = plan_for(routed(seen(), PRIVATE_B, Route("0.0.0.0/0", "eni-gone", "blackhole"))).changes

    assert line(change) == f"~ route {PRIVATE_B} 0.0.0.0/0: eni-gone -> {ROUTER_ENI}"


def test_blackhole_to_the_router_itself_is_a_problem() -> None:
    """What is as declared and still dead cannot be repaired by writing it again."""
    plan = plan_for(routed(seen(), PRIVATE_A, Route("0.0.0.0/0", ROUTER_ENI, "blackhole")))

    assert plan.changes == ()
    assert plan.problems == (
        f"route {PRIVATE_A} 0.0.0.0/0 leads to {ROUTER_ENI} as declared, but AWS calls it a blackhole",
    )


def test_check_of_the_router_is_switched_off() -> None:
    """The router forwards packets that are neither from nor to it."""
    plan = plan_for(seen(None, instance(eni=interface(check=True))))

    assert plan.changes == (DisableSourceDestCheck(ROUTER_ENI, "the router forwards for others"),)


def test_check_of_a_standby_is_switched_off_before_it_is_needed() -> None:
    """A standby that is ready costs a failover one round less."""
    plan = plan_for(seen(None, instance(), standby(check=True)))

    assert plan.changes == (DisableSourceDestCheck(STANDBY_ENI, f"{STANDBY} stands by"),)


def test_check_of_an_ineligible_standby_is_left_alone() -> None:
    """Who could not be the router anyway is not touched."""
    stopped = replace(standby(check=True), state="stopped")

    assert plan_for(seen(None, instance(), stopped)) == Plan()


def test_check_of_somebody_elses_instance_is_left_alone() -> None:
    """Only candidates are ours."""
    stranger = instance(an_id("i", 9), interface(FOREIGN_ENI, check=True), tags={"Name": "web"})

    assert plan_for(seen(None, instance(), stranger)) == Plan()


@pytest.mark.parametrize(
    ("holder", "address", "reason"),
    [
        pytest.param(None, None, "it is nowhere", id="nowhere"),
        pytest.param(
            FOREIGN_ENI, "10.0.0.99", f"{FOREIGN_ENI} is not the router's interface", id="elsewhere"
        ),
        pytest.param(ROUTER_ENI, "10.0.0.7", "it sits on 10.0.0.7, not on 10.0.0.8", id="second address"),
    ],
)
def test_elastic_ip_that_wandered_off_is_brought_back(
    holder: str | None, address: str | None, reason: str
) -> None:
    """The Elastic IP sits on the router's interface, on its declared or primary address."""
    plan = plan_for(with_elastic_ip(seen(), elastic_ip(holder, address)))

    assert plan.changes == (AssociateAddress(EIP, ROUTER_ENI, "10.0.0.8", holder, reason),)


def test_elastic_ip_goes_to_the_declared_private_address() -> None:
    """A declared address wins over the primary one."""
    declared = topology(private_address=IPv4Address("10.0.0.100"))
    card = replace(interface(), addresses=("10.0.0.8", "10.0.0.100"))
    observation = with_elastic_ip(seen(declared, instance(eni=card)), elastic_ip())

    (change,) = plan_for(observation, declared).changes

    assert isinstance(change, AssociateAddress)
    assert change.private_address == "10.0.0.100"


def test_elastic_ip_that_does_not_exist_is_a_problem() -> None:
    """What is not there cannot be associated."""
    plan = plan_for(with_elastic_ip(seen()))

    assert plan == Plan((), (f"elastic ip {EIP} is not in this account and region",))


def test_foreign_elastic_ip_in_the_way_is_never_thrown_off() -> None:
    """Associating ours would disassociate the other one, which is not ours to touch."""
    squatter = ElasticIp(FOREIGN_EIP, "203.0.113.99", ROUTER_ENI, "10.0.0.8")

    plan = plan_for(with_elastic_ip(seen(), squatter, elastic_ip(None, None)))

    assert plan.changes == ()
    assert plan.problems[0] == (
        f"{ROUTER} holds the elastic ip {FOREIGN_EIP} (203.0.113.99), which is not declared, and no candidate is better"
    )
    assert any("disassociate it so that the declared one can come" in problem for problem in plan.problems)


def test_foreign_elastic_ip_on_another_address_of_the_router_is_not_in_the_way() -> None:
    """One interface holds an Elastic IP per private address."""
    other = ElasticIp(FOREIGN_EIP, "203.0.113.99", ROUTER_ENI, "10.0.0.7")

    plan = plan_for(with_elastic_ip(seen(), other, elastic_ip(None, None)))

    assert [type(change) for change in plan.changes] == [AssociateAddress]


def test_bootstrap_rule_is_revoked_when_ssh_is_declared_closed() -> None:
    """The rule that let the first engineer in goes."""
    observation = replace(seen(), ingress=(ssh_rule(),))

    assert plan_for(observation).changes == (
        RevokeIngress(GROUP, BOOTSTRAP, "tcp/22 from 0.0.0.0/0", 'ssh is declared "closed"'),
    )


def test_bootstrap_rule_stays_when_ssh_is_unmanaged() -> None:
    """Unmanaged means what it says."""
    assert plan_for(replace(seen(), ingress=(ssh_rule(),)), topology(ssh="unmanaged")) == Plan()


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(ssh_rule(source="10.100.0.0/16"), id="from the office"),
        pytest.param(ssh_rule(ports=(0, 65535)), id="all ports"),
        pytest.param(ssh_rule(ports=(22, 23)), id="one port more"),
        pytest.param(replace(ssh_rule(), protocol="udp"), id="another protocol"),
        pytest.param(replace(ssh_rule(ports=(-1, -1)), protocol="-1"), id="everything"),
        pytest.param(ssh_rule(source="::/0"), id="IPv6"),
    ],
)
def test_any_other_rule_is_somebodys_decision(rule: object) -> None:
    """Only exactly tcp/22 from everywhere is the bootstrap rule."""
    assert plan_for(replace(seen(), ingress=(rule,))) == Plan()  # type: ignore[arg-type]


def test_dhcp_options_are_associated_when_declared() -> None:
    """The VPC gets the options that are declared, and the change carries the old ones."""
    declared = topology(dhcp_options=OPTIONS)
    plan = plan_for(replace(seen(), dhcp_options="dopt-other"), declared)

    reason = "dopt-other is not the declared set"
    assert plan.changes == (AssociateDhcpOptions(VPC, OPTIONS, "dopt-other", reason),)


def test_what_could_not_be_read_is_neither_changed_nor_called_missing() -> None:
    """An empty answer and none at all look the same; only the first says that something is not as declared."""
    declared = topology(dhcp_options=OPTIONS)
    unread = dict.fromkeys(("ec2:DescribeVpcs", "ec2:DescribeSecurityGroupRules"), "AccessDenied")
    observation = replace(seen(declared), dhcp_options=None, group_seen=False, unread=unread)

    plan = plan_for(observation, declared)

    assert plan.changes == ()
    assert not any("does not exist" in problem for problem in plan.problems)


def test_failover_moves_every_pin_for_one_reason() -> None:
    """When the router dies, each pin's change says so."""
    plan = plan_for(seen(None, instance(state="stopped"), standby()))

    assert {change.reason for change in plan.changes} == {f"{ROUTER} is stopped"}
    assert len(plan.changes) == 3 + 1 + 2
    assert plan.tables == {PUBLIC, PRIVATE_A, PRIVATE_B}


def test_everything_wrong_is_put_right_most_valuable_first() -> None:
    """Check, private defaults, Elastic IP, other routes, standbys, then what no packet waits for, ssh last."""
    declared = topology(dhcp_options=OPTIONS)
    observation = seen(declared, instance(eni=interface(check=True)), standby(check=True), eni="eni-gone")
    observation = with_table(observation, replace(table_in(observation, PRIVATE_A), associations={}))
    observation = routed(observation, PUBLIC, Route("0.0.0.0/0", "igw-other"))
    observation = replace(observation, ingress=(ssh_rule(),), dhcp_options="dopt-other")

    assert [line(change) for change in plan_for(observation, declared).changes] == [
        f"~ source/dest check {ROUTER_ENI}: on -> off",
        f"~ route {PRIVATE_A} 0.0.0.0/0: eni-gone -> {ROUTER_ENI}",
        f"~ route {PRIVATE_B} 0.0.0.0/0: eni-gone -> {ROUTER_ENI}",
        f"~ elastic ip {EIP}: eni-gone -> {ROUTER_ENI} 10.0.0.8",
        f"~ route {PUBLIC} 0.0.0.0/0: igw-other -> {GATEWAY}",
        f"~ route {PUBLIC} 10.100.100.0/24: eni-gone -> {ROUTER_ENI}",
        f"~ route {PUBLIC} 10.100.30.0/24: eni-gone -> {ROUTER_ENI}",
        f"~ route {PUBLIC} 192.168.0.0/24: eni-gone -> {ROUTER_ENI}",
        f"~ source/dest check {STANDBY_ENI}: on -> off",
        f"~ subnet {PRIVATE_SUBNET_A}: {MAIN} -> {PRIVATE_A}",
        f"~ dhcp options {VPC}: dopt-other -> {OPTIONS}",
        f"- ingress {GROUP} {BOOTSTRAP}: tcp/22 from 0.0.0.0/0",
    ]


def test_security_group_that_nothing_showed_is_a_problem_and_not_closed() -> None:
    """Of a group that does not exist EC2 lists no rules, as of one that is closed."""
    unseen = replace(seen(), group_seen=False)
    problem = (
        f"security group {GROUP} has no rule and is on no interface in {VPC}: "
        "it does not exist, or is not the router's"
    )

    assert plan_for(unseen).problems == (problem,)
    assert plan_for(unseen, topology(ssh="unmanaged")).problems == ()


def test_replaced_instance_on_the_prepared_interface_needs_no_route_write() -> None:
    """The post's own way: Elastic IP and routes stay on the prepared interface, so a new instance finds all as declared."""
    declared = topology(private_address=IPv4Address("10.0.0.8"))
    successor = instance(STANDBY, interface(ROUTER_ENI, "10.0.0.8", PUBLIC_SUBNET))

    assert plan_for(seen(declared, successor), declared) == Plan()
