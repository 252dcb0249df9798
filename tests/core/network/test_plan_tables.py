"""Which tables are written, and which subnets are theirs: what a declaration selects, and what it must not."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.core.machines.readiness import Readiness
from chalicelib.core.network.change import (
    AssociateRouteTable,
    CreateRoute,
    NetworkChange,
)
from chalicelib.core.network.election import elect
from chalicelib.core.network.observation import Observation, Route, RouteTable
from chalicelib.core.network.plan import Plan, make_plan
from chalicelib.core.network.topology import Tags, Topology
from tests.builders import (
    FOREIGN,
    MAIN,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    ROUTER_ENI,
    an_id,
    private_table,
    public_table,
    seen,
    table_in,
    topology,
    unrouted,
    with_table,
)
from tests.histories import remembered

ROLE = Tags((("role", "private"),))


def plan_for(observation: Observation, declared: Topology | None = None) -> Plan[NetworkChange]:
    """Elect and plan, a day after the router became the router."""
    declared = declared or topology()
    return make_plan(declared, observation, elect(declared, observation, remembered(declared), Readiness()))


def test_subnet_on_another_table_is_brought_back() -> None:
    """A declared subnet has its declared table; the association that is there is replaced."""
    observation = seen()
    ours = table_in(observation, PRIVATE_A)
    observation = with_table(observation, replace(ours, associations={}))
    observation = with_table(
        observation, RouteTable(FOREIGN, associations={PRIVATE_SUBNET_A: an_id("rtbassoc", 7)})
    )

    reason = f"{FOREIGN} is not its declared table"
    assert plan_for(observation).changes == (
        AssociateRouteTable(PRIVATE_SUBNET_A, PRIVATE_A, an_id("rtbassoc", 7), FOREIGN, reason),
    )


def test_subnet_without_an_explicit_table_gets_one() -> None:
    """A subnet on the main table has no association to replace."""
    observation = seen()
    observation = with_table(observation, replace(table_in(observation, PRIVATE_A), associations={}))

    reason = f"{MAIN} is not its declared table"
    assert plan_for(observation).changes == (
        AssociateRouteTable(PRIVATE_SUBNET_A, PRIVATE_A, None, MAIN, reason),
    )


def test_undeclared_subnet_is_left_where_it_is() -> None:
    """Subnets that nobody declared are not moved."""
    foreign = RouteTable(FOREIGN, associations={an_id("subnet", 9): an_id("rtbassoc", 9)})

    assert plan_for(with_table(seen(), foreign)) == Plan()


def test_subnet_declared_in_the_main_table_by_mistake_is_not_moved_there() -> None:
    """The main table is never written, nor is anything given to it."""
    declared = topology(tables=(public_table(), private_table(MAIN)))

    plan = plan_for(seen(topology(tables=(public_table(), private_table()))), declared)

    assert plan.changes == ()


def test_tag_selects_every_table_that_carries_it() -> None:
    """One declaration may pin many tables, found by tag; each gets the routes."""
    declared = topology(tables=(public_table(), private_table(ROLE, ())))
    observation = seen(declared)
    for number in (8, 7):
        observation = with_table(
            observation, RouteTable(an_id("rtb", number), tags={"role": "private", "x": "y"})
        )

    created = [c.table_id for c in plan_for(observation, declared).changes if isinstance(c, CreateRoute)]

    assert created == [an_id("rtb", 7), an_id("rtb", 8)]


def test_tag_that_selects_two_tables_gives_its_subnets_to_neither() -> None:
    """Which of two tables a subnet belongs to is not Mooring's to guess."""
    declared = topology(tables=(public_table(), private_table(ROLE)))
    twin = RouteTable(an_id("rtb", 7), tags={"role": "private"}, routes=(Route("0.0.0.0/0", ROUTER_ENI),))

    plan = plan_for(with_table(seen(declared), twin), declared)

    assert plan == Plan((), ("private table role=private selects 2 tables, but its subnets need one",))


def test_table_that_is_not_there_is_a_problem_and_stops_nothing_else() -> None:
    """A declared table nobody finds is told; the others are kept."""
    missing = an_id("rtb", 77)
    declared = topology(tables=(public_table(), private_table(), private_table(missing, ())))
    observation = unrouted(seen(topology(tables=declared.tables[:2])), PRIVATE_A, "0.0.0.0/0")

    plan = plan_for(observation, declared)

    assert plan.problems == (f"private table {missing} is not in this VPC",)
    assert plan.changes == (CreateRoute(PRIVATE_A, "0.0.0.0/0", ROUTER_ENI, "it is missing"),)


def test_main_table_is_never_written_even_when_declared() -> None:
    """The main table keeps local routes only; declaring it is a problem, not an order."""
    declared = topology(tables=(public_table(), private_table(MAIN, ())))

    plan = plan_for(seen(topology(tables=(public_table(),))), declared)

    assert plan == Plan(
        (), (f"private table {MAIN} selects the VPC's main table {MAIN}, which is never written",)
    )


def test_table_claimed_by_two_declarations_is_written_by_neither() -> None:
    """Two declarations of one table would fight for its routes."""
    declared = topology(tables=(public_table(), private_table(PRIVATE_A, ()), private_table(ROLE, ())))
    observation = seen(topology(tables=(public_table(), private_table(PRIVATE_A, ()))))
    claimed = replace(table_in(observation, PRIVATE_A), tags={"role": "private"}, routes=())

    plan = plan_for(with_table(observation, claimed), declared)

    assert plan.changes == ()
    assert plan.problems == (
        f"private table {PRIVATE_A} selects {PRIVATE_A}, which another declaration selects too",
        f"private table role=private selects {PRIVATE_A}, which another declaration selects too",
    )
