"""A plan that is too large, too soon, paused or not ours is refused whole, with the way out."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from chalicelib.core.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    Change,
    CreateRoute,
    DisableSourceDestCheck,
    ReplaceRoute,
    RevokeIngress,
)
from chalicelib.core.election import elect
from chalicelib.core.guard import HOLD_DOWN, Refusal, judge
from chalicelib.core.history import History, Pause
from chalicelib.core.observation import Observation
from chalicelib.core.plan import Plan, make_plan
from chalicelib.core.topology import Limits, Topology
from tests.builders import (
    EIP,
    FOREIGN,
    FOREIGN_EIP,
    FOREIGN_ENI,
    GATEWAY,
    GROUP,
    MAIN,
    NOON,
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
    seen,
    standby,
    topology,
)

REMEMBERED = History(router=ROUTER)


def refusal_of(
    observation: Observation,
    declared: Topology | None = None,
    history: History = REMEMBERED,
    *,
    plan: Plan[Change] | None = None,
    to: str | None = None,
    force: bool = False,
) -> Refusal | None:
    """Elect, plan unless a plan is given, and ask the guards."""
    declared = declared or topology()
    election = elect(declared, observation, history, to)
    plan = plan or make_plan(declared, observation, election)
    return judge(declared, observation, history, election, plan, force=force)


def failover() -> Observation:
    """Give a network whose router is dead: six changes in three tables."""
    return seen(None, instance(state="stopped"), standby())


def unhealthy() -> Observation:
    """Give a network whose router runs and fails its checks: the move off it counts."""
    return seen(None, instance(checks="impaired"), standby())


def moved(*minutes_ago: float) -> History:
    """Give a history with moves off a running router."""
    return History(router=ROUTER, moves=tuple(NOON - timedelta(minutes=m) for m in minutes_ago))


def test_plan_within_every_limit_passes() -> None:
    """A failover is what Mooring is for."""
    assert refusal_of(failover()) is None


def test_empty_plan_is_refused_by_nothing() -> None:
    """Where nothing is to be done, nothing is refused, not even when paused."""
    assert refusal_of(seen(), topology(paused=True)) is None


def test_topology_declared_paused_refuses_and_cannot_be_forced() -> None:
    """Paused means look and do not touch, whoever asks (invariant 13)."""
    refusal = refusal_of(failover(), topology(paused=True), force=True)

    assert refusal
    assert (refusal.guard, refusal.forceable) == ("paused", False)
    assert refusal.way_out == "declare it again with paused = false"


@pytest.mark.parametrize(
    ("until", "paused"),
    [
        pytest.param(None, True, id="until resumed"),
        pytest.param(NOON + timedelta(seconds=1), True, id="for a second more"),
        pytest.param(NOON, False, id="until now"),
    ],
)
def test_operators_pause_holds_until_its_end(until: datetime | None, *, paused: bool) -> None:
    """A pause that ran out is no pause."""
    refusal = refusal_of(failover(), history=History(router=ROUTER, pause=Pause("maintenance", until)))

    assert (refusal is not None and refusal.guard == "paused") is paused


def test_pause_says_why_and_until_when() -> None:
    """Whoever reads the refusal learns what the pause is for."""
    pause = Pause("maintenance", NOON + timedelta(hours=2))
    refusal = refusal_of(failover(), history=History(router=ROUTER, pause=pause))

    assert refusal
    assert refusal.reason == "paused until 2026-11-23 14:00 UTC: maintenance"


@pytest.mark.parametrize(("changes", "refused"), [(6, False), (5, True)])
def test_plan_of_more_changes_than_declared_is_refused(changes: int, *, refused: bool) -> None:
    """The limit itself is still allowed."""
    refusal = refusal_of(failover(), topology(limits=Limits(changes=changes)))

    assert (refusal is not None) is refused
    if refusal:
        assert refusal.reason == "6 changes at once; limits.changes allows 5"
        assert "--force" in refusal.way_out


@pytest.mark.parametrize(("tables", "refused"), [(3, False), (2, True)])
def test_plan_in_more_tables_than_declared_is_refused(tables: int, *, refused: bool) -> None:
    """The limit itself is still allowed."""
    refusal = refusal_of(failover(), topology(limits=Limits(tables=tables)))

    assert (refusal is not None) is refused
    if refusal:
        assert refusal.reason == "3 tables at once; limits.tables allows 2"


def test_operator_may_force_a_large_plan() -> None:
    """The blast radius is a question to an operator, not a wall."""
    assert refusal_of(failover(), topology(limits=Limits(changes=1, tables=1)), force=True) is None


@pytest.mark.parametrize(
    ("history", "refused"),
    [
        pytest.param(moved(5), False, id="one move, two allowed"),
        pytest.param(moved(50, 5), True, id="two moves, two allowed"),
        pytest.param(moved(61, 5), False, id="one of the two is over an hour old"),
        pytest.param(moved(60, 5), False, id="one of the two is exactly an hour old"),
        pytest.param(moved(59.99, 5), True, id="one of the two is not quite an hour old"),
    ],
)
def test_moves_off_a_running_router_are_limited_within_the_hour(history: History, *, refused: bool) -> None:
    """Hold-down: what runs is left at most so often per hour."""
    refusal = refusal_of(unhealthy(), topology(limits=Limits(moves_per_hour=2)), history)

    assert (refusal is not None) is refused
    if refusal:
        assert refusal.guard == "hold-down"
        assert (
            f"2 moves off a running router within the hour; limits.moves_per_hour allows 2 ({ROUTER} still runs)"
            in refusal.reason
        )
    assert timedelta(hours=1) == HOLD_DOWN


def test_failover_from_a_dead_router_is_never_held_down() -> None:
    """The limit is for what still runs; a dead router is left at once."""
    assert refusal_of(failover(), topology(limits=Limits(moves_per_hour=0)), moved(1, 2, 3)) is None


def test_operators_switchover_is_held_down_too_and_may_be_forced() -> None:
    """An operator's move counts like any other, and only an operator can insist."""
    observation = seen(None, instance(), standby())
    declared, history = topology(limits=Limits(moves_per_hour=1)), moved(1)

    refusal = refusal_of(observation, declared, history, to=standby().id)

    assert refusal
    assert refusal.guard == "hold-down"
    assert refusal_of(observation, declared, history, to=standby().id, force=True) is None


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
    ],
)
def test_change_of_what_is_not_declared_is_refused_and_cannot_be_forced(change: Change) -> None:
    """Nobody trusts one mind alone: a planner gone wrong is stopped here (invariants 1 and 6)."""
    stranger = instance(an_id("i", 9), interface(FOREIGN_ENI), tags={})

    refusal = refusal_of(seen(None, instance(), standby(), stranger), plan=Plan((change,)), force=True)

    assert refusal
    assert (refusal.guard, refusal.forceable) == ("foreign", False)


def test_revoking_while_ssh_is_unmanaged_is_refused() -> None:
    """An unmanaged group is not ours."""
    plan = Plan((RevokeIngress(GROUP, "sgr-1", "", ""),))

    refusal = refusal_of(seen(), topology(ssh="unmanaged"), plan=plan)

    assert refusal
    assert refusal.guard == "foreign"


def test_internet_gateway_is_no_stranger() -> None:
    """The public default leads to the declared gateway."""
    assert refusal_of(seen(), plan=Plan((CreateRoute(PUBLIC, "0.0.0.0/0", GATEWAY, ""),))) is None
