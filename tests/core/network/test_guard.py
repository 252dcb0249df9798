"""Guards judge changes, one by one: what nothing speaks against is made, whatever is refused beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Network

import pytest

from chalicelib.core.machines.readiness import Readiness
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    Change,
    CreateRoute,
    DisableSourceDestCheck,
    PushConfig,
    ReplaceRoute,
    RevokeIngress,
    resource_key,
)
from chalicelib.core.network.election import elect
from chalicelib.core.network.guard import Judgement, Refusal, judge, scope
from chalicelib.core.network.history import History, Pause
from chalicelib.core.network.observation import Observation, Route
from chalicelib.core.network.plan import Plan, make_plan
from chalicelib.core.network.topology import Limits, Tags, Topology
from chalicelib.core.tunnel.render import Bundle
from tests.builders import (
    EIP,
    FOREIGN,
    FOREIGN_EIP,
    FOREIGN_ENI,
    GATEWAY,
    GROUP,
    MAIN,
    NOON,
    OFFICE,
    OPTIONS,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    PUBLIC,
    ROUTER,
    ROUTER_ENI,
    STANDBY_ENI,
    VPC,
    an_id,
    instance,
    interface,
    private_table,
    public_table,
    routed,
    seen,
    ssh_rule,
    standby,
    table_in,
    topology,
    with_table,
)
from tests.core.model import Model
from tests.histories import remembered

TIGHT = topology(limits=Limits(changes=1, tables=1))
ANEW = "what was declared before"
GOOD = DisableSourceDestCheck(ROUTER_ENI, "")


def judged(
    observation: Observation,
    declared: Topology | None = None,
    history: History | None = None,
    *,
    plan: Plan[Change] | None = None,
    force: bool = False,
) -> Judgement:
    """Elect, plan unless a plan is given, and ask the guards."""
    declared = declared or topology()
    history = history or remembered(declared)
    election = elect(declared, observation, history, Readiness())
    return judge(
        declared,
        observation,
        history,
        election,
        plan or make_plan(declared, observation, election),
        force=force,
    )


def failover() -> Observation:
    """Return a network whose router is dead: six changes in three tables."""
    return seen(None, instance(state="stopped"), standby())


def unmoored() -> Observation:
    """Return a network whose routes and Elastic IP lead elsewhere, and whose bootstrap rule is open: seven changes."""
    return replace(seen(eni="eni-elsewhere"), ingress=(ssh_rule(),))


# -- pauses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [False, True])
def test_pause_refuses_every_change_and_cannot_be_forced(*, force: bool) -> None:
    """Paused means look and do not touch, whoever asks (invariant 13)."""
    for declared, history, remedy in (
        (topology(paused=True), remembered(), "declare it again with paused = false"),
        (topology(), remembered(pause=Pause("maintenance")), "mooring resume office"),
    ):
        judgement = judged(failover(), declared, history, force=force)
        assert len(judgement.refused) == 6
        assert {(r.guard, r.remedy, r.forceable) for r in judgement.refused.values()} == {
            ("paused", remedy, False)
        }


def test_pause_that_ran_out_refuses_nothing() -> None:
    """It is over at its end, not after it."""
    assert judged(failover(), history=remembered(pause=Pause("x", NOON))).first is None
    later = Pause("x", NOON + timedelta(seconds=1))
    assert judged(failover(), history=remembered(pause=later)).first is not None


def test_empty_plan_is_refused_by_nothing() -> None:
    """Where nothing is to be done, nothing is refused."""
    assert judged(seen(), topology(paused=True)) == Judgement()


# -- the blast radius ------------------------------------------------------------------------------------


def test_taking_over_more_than_is_declared_is_refused_and_the_rest_is_made() -> None:
    """What moves nobody's packets is no part of it: the bootstrap rule is closed all the same."""
    judgement = judged(unmoored(), topology(limits=Limits(changes=5)), remembered(kept=ANEW))

    assert len(judgement.refused) == 6
    assert {r.guard for r in judgement.refused.values()} == {"blast-radius"}
    assert judgement.first == Refusal(
        "blast-radius",
        "6 changes at once; limits.changes allows 5",
        "read the plan, then apply with --force or raise limits.changes",
    )
    assert not any(name.startswith("ingress") for name in judgement.refused)


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        (Limits(changes=6), False),
        (Limits(changes=5), True),
        (Limits(tables=3), False),
        (Limits(tables=2), True),
    ],
)
def test_limit_itself_is_still_allowed(limits: Limits, *, refused: bool) -> None:
    """Six changes in three tables."""
    judgement = judged(unmoored(), topology(limits=limits), remembered(kept=ANEW))

    assert (judgement.first is not None) is refused
    if judgement.first and limits.tables == 2:
        assert judgement.first.reason == "3 tables at once; limits.tables allows 2"


def test_network_that_was_never_decided_on_is_taken_over() -> None:
    """An empty journal kept nothing."""
    assert judged(unmoored(), TIGHT, History()).first is not None


def test_operator_may_force_a_take_over() -> None:
    """The blast radius is a question to an operator, not a wall."""
    assert judged(unmoored(), TIGHT, remembered(kept=ANEW), force=True) == Judgement()


def test_mending_what_was_decided_is_no_blast_however_much_drifted() -> None:
    """A script that deleted a hundred routes must not cost a hundred approvals."""
    assert judged(unmoored(), TIGHT, remembered(TIGHT)) == Judgement()


@pytest.mark.parametrize("end", ["stopped", "shutting-down", "terminated"])
def test_failover_is_no_blast_also_when_more_is_declared_since(end: str) -> None:
    """What it moves led to the router that is left; a hundred tables must follow, whoever tagged another one today."""
    vpc = Model.of(seen(None, instance(), standby()))
    if end == "stopped":
        vpc.become(ROUTER, state=end)
    else:
        vpc.terminate(ROUTER)
    if end == "shutting-down":  # EC2 lists it for a while, without what it had
        vpc.instances[ROUTER] = replace(instance(state=end), interfaces=())

    assert judged(vpc.observe(topology(), NOON), TIGHT, remembered(TIGHT, kept=ANEW)) == Judgement()


def test_what_a_failover_takes_from_others_is_a_blast() -> None:
    """Tables tagged since the last decision lead to somebody's NAT gateway: those are taken over, the others fail over."""
    observation = failover()
    for table_id in (PRIVATE_A, PUBLIC):
        for route in table_in(observation, table_id).routes:
            if route.target == ROUTER_ENI:
                observation = routed(observation, table_id, replace(route, target=an_id("nat", 1)))

    judgement = judged(observation, TIGHT, remembered(TIGHT, kept=ANEW))

    assert {name.split()[1] for name in judgement.refused} == {PRIVATE_A, PUBLIC}
    assert len(judgement.refused) == 4


def test_failover_of_two_hundred_tables_by_tag_is_made() -> None:
    """Four office networks and 1,206 changes, with limits.changes at 1,000: a guard between a dead router and a live one."""
    role = Tags((("role", "private"),))
    office = (*OFFICE, IPv4Network("10.100.31.0/24"), IPv4Network("10.100.32.0/24"))
    tables = (public_table(), private_table(role, (), office_routes=True))
    declared = topology(tables=tables, office=office, limits=Limits(changes=1000, tables=250))
    one = seen(declared, instance(), standby())
    (pattern,) = one.select(role)
    for number in range(199):
        one = with_table(one, replace(pattern, id=an_id("rtb", 1000 + number)))
    history = remembered(declared, kept=scope(declared, one))
    dead = replace(one, instances=(instance(state="stopped"), standby()))
    plan = make_plan(declared, dead, elect(declared, dead, history, Readiness()))

    assert len(plan.changes) == 1206
    assert judged(dead, declared, history) == Judgement()
    assert judged(dead, declared, replace(history, kept=None)) == Judgement()


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (CreateRoute(PRIVATE_A, "0.0.0.0/0", ROUTER_ENI, ""), True),
        (ReplaceRoute(PRIVATE_A, "0.0.0.0/0", ROUTER_ENI, "eni-else", ""), True),
        (AssociateAddress(EIP, ROUTER_ENI, "10.0.0.8", "eni-else", ""), True),
        (AssociateAddress(EIP, ROUTER_ENI, "10.0.0.8", None, ""), False),
        (AssociateRouteTable(PRIVATE_SUBNET_A, PRIVATE_A, None, None, ""), True),
        (AssociateDhcpOptions(VPC, OPTIONS, None, ""), True),
        (DisableSourceDestCheck(ROUTER_ENI, ""), False),
        (RevokeIngress(GROUP, "sgr-1", "", ""), False),
        (PushConfig(ROUTER, "10.0.0.8", Bundle(()), None, ""), False),
    ],
)
def test_only_what_moves_packets_is_a_take_over(change: Change, *, counts: bool) -> None:
    """A check, a rule and a configuration move none to another place."""
    declared = topology(limits=Limits(changes=0), dhcp_options=OPTIONS)
    judgement = judged(seen(declared), declared, remembered(kept=ANEW), plan=Plan((change,)))

    assert (resource_key(change) in judgement.refused) is counts


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(topology(), True, id="the same"),
        pytest.param(topology(limits=Limits(changes=7)), True, id="other limits"),
        pytest.param(topology(office=OFFICE[:1]), False, id="another destination"),
        pytest.param(topology(tables=(public_table(), private_table())), False, id="a table less"),
        pytest.param(topology(dhcp_options=OPTIONS), False, id="DHCP options"),
        pytest.param(replace(topology(), elastic_ip=FOREIGN_EIP), False, id="another Elastic IP"),
        pytest.param(replace(topology(), internet_gateway="igw-other"), False, id="another gateway"),
        pytest.param(
            topology(tables=(public_table(), private_table(subnets=()), topology().tables[2])),
            False,
            id="a subnet less",
        ),
    ],
)
def test_scope_stands_for_what_is_declared_to_be_pinned_and_where(other: Topology, *, same: bool) -> None:
    """What a decision covers; whatever else is declared, and whatever drifted, is no part of it."""
    drifted = routed(seen(), PRIVATE_A, Route("0.0.0.0/0", "eni-else"))
    assert (scope(other, drifted) == scope(topology(), seen())) is same


def test_scope_grows_with_the_tables_that_a_tag_selects() -> None:
    """Who tags another table declares more, though the declaration is the same."""
    declared = topology(tables=(public_table(), private_table(Tags((("role", "private"),)), ())))
    one = seen(declared)
    more = with_table(one, replace(one.select(declared.tables[1].selector)[0], id=an_id("rtb", 7)))

    assert scope(declared, one) != scope(declared, more)


# -- what is not ours --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(CreateRoute(FOREIGN, "0.0.0.0/0", ROUTER_ENI, ""), id="undeclared table"),
        pytest.param(CreateRoute(MAIN, "0.0.0.0/0", ROUTER_ENI, ""), id="main table"),
        pytest.param(CreateRoute(PRIVATE_A, "172.16.0.0/12", ROUTER_ENI, ""), id="undeclared destination"),
        pytest.param(ReplaceRoute(PRIVATE_A, "0.0.0.0/0", STANDBY_ENI, "", ""), id="another target"),
        pytest.param(ReplaceRoute(PRIVATE_A, "0.0.0.0/0", "igw-other", "", ""), id="another gateway"),
        pytest.param(
            AssociateAddress(FOREIGN_EIP, ROUTER_ENI, "10.0.0.8", None, ""), id="another Elastic IP"
        ),
        pytest.param(AssociateAddress(EIP, STANDBY_ENI, "10.0.10.9", None, ""), id="another interface"),
        pytest.param(DisableSourceDestCheck(FOREIGN_ENI, ""), id="somebody's check"),
        pytest.param(
            AssociateRouteTable(an_id("subnet", 9), PRIVATE_A, None, None, ""), id="somebody's subnet"
        ),
        pytest.param(AssociateRouteTable(PRIVATE_SUBNET_A, FOREIGN, None, None, ""), id="somebody's table"),
        pytest.param(AssociateDhcpOptions(VPC, OPTIONS, None, ""), id="undeclared DHCP options"),
        pytest.param(RevokeIngress("sg-other", "sgr-1", "", ""), id="another security group"),
        pytest.param(PushConfig(an_id("i", 9), "10.0.0.99", Bundle(()), None, ""), id="somebody's machine"),
    ],
)
def test_change_of_what_is_not_declared_is_refused_alone_and_cannot_be_forced(change: Change) -> None:
    """Nobody trusts one mind alone: a planner gone wrong is stopped here, and its good changes are made (1 and 6)."""
    stranger = instance(an_id("i", 9), interface(FOREIGN_ENI), tags={})
    plan = Plan((change, GOOD))

    judgement = judged(seen(None, instance(), standby(), stranger), plan=plan, force=True)

    assert list(judgement.refused) == [resource_key(change)]
    assert judgement.first
    assert (judgement.first.guard, judgement.first.forceable) == ("foreign", False)
    assert judgement.allows(GOOD)


def test_revoking_while_ssh_is_unmanaged_is_refused() -> None:
    """An unmanaged group is not ours."""
    revoke = Plan((RevokeIngress(GROUP, "sgr-1", "", ""),))

    assert judged(seen(), topology(ssh="unmanaged"), plan=revoke).first
    assert not judged(seen(), plan=revoke).first


def test_internet_gateway_is_no_stranger_also_where_nobody_is_the_router() -> None:
    """The public default leads to the declared gateway, whoever may be elected."""
    public = Plan((CreateRoute(PUBLIC, "0.0.0.0/0", GATEWAY, ""),))

    assert judged(seen(), plan=public) == Judgement()
    assert judged(seen(None, instance(state="stopped")), plan=public) == Judgement()
    private = Plan((CreateRoute(PRIVATE_A, "0.0.0.0/0", STANDBY_ENI, ""),))
    assert judged(seen(None, instance(state="stopped")), plan=private).first
