"""What Mooring sees and does not own is told, and never changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.machines.advice import advise_on_machines
from chalicelib.core.machines.machine import FRESH, Inspection, Machine
from chalicelib.core.network.advice import advise
from chalicelib.core.network.history import History
from chalicelib.core.network.observation import (
    IngressRule,
    Route,
    RouteTable,
    ScheduledEvent,
    Skipped,
    Subnet,
)
from chalicelib.core.network.topology import Limits, Tags
from tests.builders import (
    EIP,
    FOREIGN,
    GATEWAY,
    MAIN,
    NOON,
    OFFICE,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    PUBLIC,
    ROUTER,
    ROUTER_ENI,
    SECOND_PUBLIC_SUBNET,
    STANDBY,
    TAGGED,
    TUNNEL,
    VPC,
    an_id,
    elastic_ip,
    instance,
    interface,
    local,
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

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Observation

WEB, RIDER = an_id("i", 9), an_id("subnet", 64)


def test_network_that_is_as_declared_needs_no_advice() -> None:
    """Nothing strange, nothing said."""
    assert advise(topology(), seen()) == ()


def test_main_table_with_more_than_local_routes_is_told() -> None:
    """The main table should hold local routes only."""
    observation = routed(seen(), MAIN, Route("0.0.0.0/0", GATEWAY), Route("10.100.0.0/16", "tgw-1"))

    assert advise(topology(), observation) == (
        f"main table {MAIN} should hold local routes only, but has 0.0.0.0/0 -> {GATEWAY}, 10.100.0.0/16 -> tgw-1",
    )


@pytest.mark.parametrize("table_id", [FOREIGN, PRIVATE_A])
def test_blackhole_outside_the_declared_set_is_told(table_id: str) -> None:
    """A dead route of somebody else's is told wherever it is."""
    observation = seen()
    if table_id == FOREIGN:
        observation = with_table(observation, RouteTable(FOREIGN, routes=(local(),)))
    observation = routed(observation, table_id, Route("172.16.0.0/12", "eni-gone", "blackhole"))

    assert advise(topology(), observation) == (f"route {table_id} 172.16.0.0/12 -> eni-gone is a blackhole",)


def test_blackhole_of_a_declared_route_is_the_plans_business() -> None:
    """What a plan repairs or calls a problem is not told twice."""
    assert advise(topology(), routed(seen(), PUBLIC, Route("10.100.100.0/24", "eni-gone", "blackhole"))) == ()


@pytest.mark.parametrize(
    ("route", "shadowed"),
    [
        pytest.param(
            Route("10.100.100.128/25", "tgw-1"), "10.100.100.0/24", id="more specific than an office route"
        ),
        pytest.param(
            propagated("192.168.0.0/28"), "192.168.0.0/24", id="propagated into the VPN clients' network"
        ),
    ],
)
def test_foreign_route_that_shadows_a_declared_one_is_told(route: Route, shadowed: str) -> None:
    """The longest prefix wins, so a narrower foreign route takes traffic away."""
    (advice,) = advise(topology(), routed(seen(), PUBLIC, route))

    assert (
        advice == f"route {PUBLIC} {route.destination} -> {route.target} takes traffic meant for {shadowed}"
    )


@pytest.mark.parametrize("destination", ["10.0.0.0/8", "10.100.100.0/24", "192.168.0.7/32"])
def test_foreign_route_that_undercuts_a_private_default_is_told(destination: str) -> None:
    """Where only the default leads to the office, every route for an office network takes its traffic."""
    (advice,) = advise(topology(), routed(seen(), PRIVATE_A, Route(destination, "tgw-1")))

    assert advice.startswith(f"route {PRIVATE_A} {destination} -> tgw-1 takes traffic meant for")


def test_foreign_route_that_shadows_several_networks_names_them_all() -> None:
    """Whoever removes it wants to know all that comes back."""
    declared = topology(office=(*OFFICE, IPv4Network("10.100.200.0/24")))
    (advice,) = advise(declared, routed(seen(declared), PRIVATE_A, Route("10.0.0.0/8", "tgw-1")))

    assert advice == (
        f"route {PRIVATE_A} 10.0.0.0/8 -> tgw-1 takes traffic meant for "
        "10.100.100.0/24, 10.100.30.0/24, 10.100.200.0/24"
    )


def test_prefix_list_that_leads_elsewhere_is_told_with_what_is_not_known_of_it() -> None:
    """A look does not see what a prefix list holds; the office's networks may be in it."""
    (advice,) = advise(topology(), routed(seen(), PRIVATE_A, Route("pl-0123456789abcdef0", "tgw-1")))

    assert advice == (
        f"route {PRIVATE_A} pl-0123456789abcdef0 -> tgw-1 may take traffic meant for the office: "
        "what that prefix list holds is unknown, and its more specific ranges win"
    )


@pytest.mark.parametrize(
    ("table_id", "route"),
    [
        pytest.param(PRIVATE_A, Route("pl-1", ROUTER_ENI), id="to the router, as the pinned routes"),
        pytest.param(PRIVATE_A, Route("pl-6da54004", "vpce-1"), id="to a gateway endpoint"),
        pytest.param(MAIN, Route("pl-1", "local"), id="in a table that is not declared"),
    ],
)
def test_prefix_list_that_takes_nothing_away_is_not_told(table_id: str, route: Route) -> None:
    """What leads where the pinned routes lead, or to AWS's own addresses, is nobody's worry."""
    assert advise(topology(), routed(seen(), table_id, route)) == ()


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(Route("10.100.0.0/16", "tgw-1"), id="wider than the declared routes"),
        pytest.param(Route("172.16.0.0/12", "tgw-1"), id="elsewhere"),
        pytest.param(Route("pl-6da54004", "vpce-1"), id="prefix list"),
        pytest.param(Route("::/0", GATEWAY), id="IPv6"),
        pytest.param(propagated("10.100.100.0/24"), id="propagated, and so weaker than the declared one"),
    ],
)
def test_foreign_route_that_takes_nothing_away_is_not_told(route: Route) -> None:
    """A route that loses against the declared ones, or leads elsewhere, is nobody's worry."""
    observation = seen()
    table = next(t for t in observation.tables if t.id == PUBLIC)
    observation = with_table(observation, replace(table, routes=(*table.routes, route)))

    assert advise(topology(), observation) == ()


def test_vpc_of_another_cidr_than_declared_is_told() -> None:
    """A declaration that contradicts the VPC's own local route is wrong somewhere."""
    observation = seen()
    for table in observation.tables:
        observation = unrouted(observation, table.id, "10.0.0.0/16")
        observation = routed(observation, table.id, Route("10.1.0.0/16", "local", origin="CreateRouteTable"))

    assert advise(topology(), observation) == (f"vpc {VPC} has 10.1.0.0/16, not the declared 10.0.0.0/16",)


def secondary(observation: Observation, cidr: str) -> Observation:
    """Return the network whose VPC has one more range, as the local route of a table shows it."""
    return routed(observation, PUBLIC, Route(cidr, "local", origin="CreateRouteTable"))


def test_secondary_range_that_the_vpc_does_not_have_is_told() -> None:
    """Every declared range is one of the VPC's own."""
    declared = replace(topology(), secondary_cidrs=(IPv4Network("100.64.0.0/16"),))

    assert advise(declared, seen()) == (f"vpc {VPC} has 10.0.0.0/16, not the declared 100.64.0.0/16",)
    assert advise(declared, secondary(seen(), "100.64.0.0/16")) == ()


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (
            "10.100.0.0/16",
            "10.100.100.0/24 overlaps 10.100.0.0/16, a range of the VPC's own: what is meant for it never leaves the VPC",
        ),
        (
            "10.100.100.128/28",
            (
                "10.100.100.0/24 overlaps 10.100.100.128/28, a range of the VPC's own: "
                "what is meant for that part of it never leaves the VPC"
            ),
        ),
    ],
)
def test_office_network_in_a_range_of_the_vpcs_own_is_told(own: str, told: str) -> None:
    """A `local` route keeps its packets in the VPC; the declaration alone cannot know."""
    assert told in advise(topology(), secondary(seen(), own))


def test_range_that_holds_no_office_network_is_not_told() -> None:
    """A secondary range that nobody declared harms nobody by itself."""
    assert advise(topology(), secondary(seen(), "100.64.0.0/16")) == ()


def with_rider(observation: Observation, table_id: str) -> Observation:
    """Return the network with one more subnet on a table."""
    table = table_in(observation, table_id)
    riding = replace(table, associations=table.associations | {RIDER: an_id("rtbassoc", 64)})
    return replace(with_table(observation, riding), subnets=(Subnet(RIDER, "10.0.64.0/24"),))


def test_undeclared_subnet_on_a_public_table_is_told_that_the_office_cannot_answer() -> None:
    """It has its own way to the internet; the office has no route back to it."""
    declared = topology(tunnel=TUNNEL)

    assert advise(declared, with_rider(seen(declared), PUBLIC)) == (
        (
            f"{RIDER} (10.0.64.0/24) rides on public table {PUBLIC} without being declared: "
            f"the office has no way back to it; list it under the subnets of {PUBLIC}"
        ),
    )


def test_undeclared_subnet_on_a_private_table_of_a_router_that_is_not_mooring_s_is_told() -> None:
    """Without a tunnel nobody knows whether that router forwards for it."""
    assert advise(topology(), with_rider(seen(), PRIVATE_A)) == (
        (
            f"{RIDER} (10.0.64.0/24) rides on private table {PRIVATE_A} without being declared: "
            "whether the router forwards for it is not Mooring's to say"
        ),
    )


def test_undeclared_subnet_that_a_run_calls_a_problem_is_not_told_twice() -> None:
    """What the router refuses is a problem, not advice."""
    declared = topology(tunnel=TUNNEL)

    assert advise(declared, with_rider(seen(declared), PRIVATE_A)) == ()


def test_association_of_somebody_elses_subnet_that_is_not_in_force_is_told() -> None:
    """Declared ones are problems; what became of others on the same table is told."""
    observation = seen()
    states = {RIDER: "failed", PRIVATE_SUBNET_A: "disassociating"}
    table = replace(table_in(observation, PRIVATE_A), unsettled=states)

    assert advise(topology(), with_table(observation, table)) == (
        f"the association of {RIDER} with {PRIVATE_A} is failed",
    )


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            ScheduledEvent("instance-retirement", datetime(2026, 12, 5, 12, tzinfo=UTC)),
            "instance-retirement scheduled from 2026-12-05 12:00 UTC: AWS stops or terminates it then; replace it before",
        ),
        (
            ScheduledEvent("something-new"),
            "something-new scheduled: it may be away then; replace it before",
        ),
    ],
)
def test_what_aws_has_scheduled_for_a_candidate_is_told_with_its_date(
    event: ScheduledEvent, told: str
) -> None:
    """There is time to replace it, and the standby is as good as gone then too."""
    for candidate in (instance(), standby()):
        other = standby() if candidate.id == ROUTER else instance()
        observation = seen(None, replace(candidate, events=(event,)), other)

        assert advise(topology(), observation) == (f"{candidate.id} has {told}",)


def test_what_aws_has_scheduled_for_somebody_elses_instance_is_not_told() -> None:
    """It is nobody's business here."""
    web = replace(instance(WEB, interface("eni-9", "10.0.1.9", PRIVATE_SUBNET_A), tags={}))

    assert (
        advise(topology(), seen(None, instance(), replace(web, events=(ScheduledEvent("system-reboot"),))))
        == ()
    )


def test_odd_thing_of_somebody_elses_is_one_line() -> None:
    """It was listed, could not be understood, and is left out; what is ours is a problem."""
    odd = (Skipped("elastic ip", "eipalloc-9", "it has no PublicIp"), Skipped("elastic ip", EIP, "odd"))

    assert advise(topology(), replace(seen(), skipped=odd)) == (
        "elastic ip eipalloc-9 was left out: it has no PublicIp",
    )


def test_public_instance_without_a_public_address_is_told() -> None:
    """In a public subnet the default leads to the internet gateway, which needs a public address to translate."""
    card = interface("eni-9", "10.0.10.20", SECOND_PUBLIC_SUBNET)
    web = replace(instance(WEB, card, tags={}), public_address=None)

    assert advise(topology(), seen(None, instance(), web)) == (
        f"{WEB} sits in a public subnet without a public address: it has no internet",
    )


@pytest.mark.parametrize(
    ("subnet", "state", "address"),
    [
        (PRIVATE_SUBNET_A, "running", None),
        (SECOND_PUBLIC_SUBNET, "stopped", None),
        (SECOND_PUBLIC_SUBNET, "running", "203.0.113.20"),
    ],
)
def test_instance_that_lacks_nothing_is_not_told(subnet: str, state: str, address: str | None) -> None:
    """Private instances go through the router, stopped ones nowhere."""
    card = interface("eni-9", "10.0.10.20", subnet)
    web = replace(instance(WEB, card, tags={}, state=state), public_address=address)

    assert advise(topology(), seen(None, instance(), web)) == ()


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(ssh_rule(ports=(0, 65535)), id="all ports"),
        pytest.param(IngressRule(an_id("sgr", 3), "-1", -1, -1, "0.0.0.0/0"), id="everything"),
        pytest.param(ssh_rule(source="::/0"), id="IPv6"),
    ],
)
def test_rule_wider_than_the_bootstrap_one_is_told_when_ssh_is_closed(rule: IngressRule) -> None:
    """Ssh stays open by a rule that is not Mooring's to revoke."""
    observation = replace(seen(), ingress=(rule,))

    (advice,) = advise(topology(), observation)

    assert advice.startswith(f"security group rule {rule.id} opens ssh to {rule.source}")
    assert advise(topology(ssh="unmanaged"), observation) == ()


@pytest.mark.parametrize("rule", [ssh_rule(), ssh_rule(source="10.100.0.0/16"), ssh_rule(ports=(443, 443))])
def test_rule_that_is_revoked_or_harmless_is_not_told(rule: IngressRule) -> None:
    """The bootstrap rule is the plan's business, others do not open ssh to the world."""
    assert advise(topology(), replace(seen(), ingress=(rule,))) == ()


def test_limit_that_would_refuse_a_failover_is_told_while_there_is_time() -> None:
    """One declaration may select many tables by tag, so only a look can tell what a failover needs."""
    declared = topology(
        tables=(public_table(), private_table(Tags((("role", "private"),)), ())),
        limits=Limits(changes=6, tables=2),
    )
    observation = with_table(seen(declared), RouteTable(an_id("rtb", 7), tags=TAGGED | {"role": "private"}))

    assert advise(declared, observation) == (
        "limits.changes is 6, but a failover needs 7: declare at least that",
        "limits.tables is 2, but a failover needs 3: declare at least that",
    )


def test_what_lacks_the_workers_tag_is_told_with_the_command_that_tags_it() -> None:
    """The deployed worker may write only what carries it; a network of another template has to be given it."""
    observation = seen()
    for table in (PUBLIC, PRIVATE_A, MAIN):
        observation = with_table(observation, replace(table_in(observation, table), tags={"Name": "x"}))
    observation = with_elastic_ip(observation, replace(elastic_ip(), tags={}))

    (advice,) = advise(topology(), observation)
    assert advice == (
        "the deployed worker may not write what lacks the tag mooring:topology: aws ec2 create-tags "
        f"--resources {EIP} {PUBLIC} {PRIVATE_A} --tags Key=mooring:topology,Value=office"
    )


def test_tag_of_any_value_is_enough() -> None:
    """The role asks whether the tag is there, not what it says."""
    table = table_in(seen(), PRIVATE_A)

    assert advise(topology(), with_table(seen(), replace(table, tags={"mooring:topology": ""}))) == ()


UP = Inspection(
    NOON - timedelta(minutes=1), "1" * 64, forwarding=True, holds_address=True, tunnel="CONNECTED", grown=400
)
"""The word of a router whose tunnel works."""


def _advised(*machines: Machine) -> tuple[str, ...]:
    return advise_on_machines(topology(), seen(), History(machines=machines), ROUTER)


def _of_router(**other: object) -> Machine:
    return Machine(ROUTER, inspection=replace(UP, **other))  # type: ignore[arg-type] # a test names what it means


def test_router_whose_tunnel_works_needs_no_advice() -> None:
    """Connected and something comes; nor does a machine that nobody has asked, or a standby without a tunnel."""
    beside = Inspection(NOON, "2" * 64, forwarding=True)
    assert _advised(_of_router(), Machine(STANDBY, inspection=beside), Machine(an_id("i", 8))) == ()
    assert _advised(_of_router(grown=None)) == ()


@pytest.mark.parametrize(
    ("state", "words"),
    [(None, "OpenVPN does not run"), ("RECONNECTING", "OpenVPN says RECONNECTING")],
)
def test_tunnel_that_is_down_is_told_with_openvpns_word(state: str | None, words: str) -> None:
    """What Mooring cannot mend may be the office's; so it is where to look."""
    assert _advised(_of_router(tunnel=state)) == (
        f"{ROUTER} is the router and its tunnel is down: {words}; is the office's server up?",
    )


def test_tunnel_of_who_does_not_hold_the_address_is_not_expected() -> None:
    """The tunnel follows the Elastic IP: a standby has none, nor has a router that has yet to see its address."""
    assert _advised(_of_router(tunnel=None, holds_address=False)) == ()
    assert _advised(Machine(STANDBY, inspection=replace(UP, tunnel=None))) == ()


def test_tunnel_through_which_nothing_comes_is_told() -> None:
    """Connected, and not a byte since the inspection before: the routes at the office's end, most likely."""
    assert _advised(_of_router(grown=0)) == (f"{ROUTER} is connected, and nothing comes through the tunnel",)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=30), "ends in 30 days"),
        (timedelta(days=1, hours=3), "ends in 1 day"),
        (timedelta(hours=3), "has ended, or ends today"),
        (-timedelta(days=3), "has ended, or ends today"),
    ],
)
def test_certificate_that_ends_soon_is_told_of_any_machine(left: timedelta, words: str) -> None:
    """A standby's as well: it would take over with it. How to renew it is told."""
    beside = Machine(STANDBY, inspection=replace(UP, expires=NOON + left))
    assert _advised(_of_router(), beside) == (
        f"the certificate on {STANDBY} {words}: mooring secrets put office",
    )


def test_certificate_that_lasts_is_not_told() -> None:
    """A day over the month."""
    assert _advised(_of_router(expires=NOON + timedelta(days=31))) == ()


def test_stale_word_of_a_machine_is_not_advised_on() -> None:
    """What it was then says nothing of now; that it is silent is a problem of its own."""
    old = {"at": NOON - FRESH - timedelta(seconds=1), "tunnel": None, "expires": NOON}
    assert _advised(_of_router(**old)) == ()
