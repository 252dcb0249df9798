"""What a run may have to change at once is counted in the network that is seen, never guessed from the declaration."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.errors import NoEligibleRouter
from chalicelib.core.machines.readiness import Readiness
from chalicelib.core.network.election import elect
from chalicelib.core.network.history import History
from chalicelib.core.network.limits import failover_needs, takeover_needs
from chalicelib.core.network.observation import Route, RouteTable
from chalicelib.core.network.plan import make_plan
from chalicelib.core.network.topology import Tags
from tests.builders import (
    MAIN,
    NOON,
    OPTIONS,
    PRIVATE_A,
    PUBLIC,
    STANDBY,
    an_id,
    elastic_ip,
    instance,
    local,
    private_table,
    public_table,
    routed,
    seen,
    ssh_rule,
    standby,
    table_in,
    topology,
    unrouted,
    with_table,
)
from tests.core.strategies import models, topologies

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Observation

SHARED = Tags((("role", "private"),))


def shared(count: int) -> Observation:
    """Return a network in which one declaration by tag selects many tables."""
    observation = seen(topology(tables=(public_table(),)))
    for number in range(count):
        table = RouteTable(an_id("rtb", 1000 + number), tags=dict(SHARED.pairs), routes=(local(),))
        observation = with_table(observation, table)
    return observation


def test_tables_selected_by_tag_are_counted_as_they_are_seen() -> None:
    """One line of a declaration may pin two hundred tables: each office route in each of them moves."""
    declared = topology(tables=(public_table(), private_table(SHARED, (), office_routes=True)))

    assert failover_needs(declared, shared(200)) == {"changes": 2 + 3 + 200 * 4, "tables": 201}
    assert failover_needs(declared) == {"changes": 2 + 3 + 4, "tables": 2}


def test_main_table_is_not_counted_since_it_is_never_written() -> None:
    """A tag on the main table is a problem told elsewhere, and no change."""
    declared = topology(tables=(public_table(), private_table(SHARED, ())))
    observation = shared(1)
    main = replace(table_in(observation, MAIN), tags=dict(SHARED.pairs))

    assert failover_needs(declared, with_table(observation, main))["tables"] == 2


def test_network_that_is_as_declared_needs_no_more_than_a_failover() -> None:
    """What is right already is no change of a takeover."""
    assert takeover_needs(topology(), seen()) == failover_needs(topology(), seen())


@pytest.mark.parametrize(
    "observation",
    [
        pytest.param(unrouted(seen(), PUBLIC, "0.0.0.0/0"), id="a public default is missing"),
        pytest.param(
            routed(seen(), PUBLIC, Route("0.0.0.0/0", "nat-1")), id="a public default leads elsewhere"
        ),
        pytest.param(
            with_table(seen(), replace(table_in(seen(), PRIVATE_A), associations={})), id="a subnet to move"
        ),
        pytest.param(
            seen(None, instance(), standby(check=True), standby(an_id("i", 5), "eni-5", check=True)),
            id="a standby to prepare, beside the one that a failover counts",
        ),
        pytest.param(replace(seen(), ingress=(ssh_rule(),)), id="the bootstrap rule"),
    ],
)
def test_each_other_thing_that_is_wrong_is_one_change_of_a_takeover(observation: Observation) -> None:
    """A takeover puts right in one run whatever is not as declared."""
    assert takeover_needs(topology(), observation)["changes"] == failover_needs(topology())["changes"] + 1


def test_declared_dhcp_options_are_one_change_of_a_takeover() -> None:
    """They are associated when the VPC has another set."""
    declared = topology(dhcp_options=OPTIONS)

    assert takeover_needs(declared, replace(seen(declared), dhcp_options=None))["changes"] == 8
    assert takeover_needs(declared, seen(declared))["changes"] == 7


@given(st.data())
def test_no_plan_is_larger_than_what_was_counted_for_it(data: st.DataObject) -> None:
    """Whatever somebody did to the network, and whoever becomes the router: limits that hold the count hold the plan."""
    declared = data.draw(topologies())
    observation = data.draw(models(declared, awkward=True)).observe(declared, NOON)
    if data.draw(st.booleans(), label="nothing is pinned yet"):
        bare = tuple(replace(t, routes=(local(),), associations={}) for t in observation.tables)
        observation = replace(observation, tables=bare, elastic_ips=(elastic_ip(None, None),))
    needs = takeover_needs(declared, observation)

    for router in (None, STANDBY):
        with contextlib.suppress(NoEligibleRouter):
            election = elect(declared, observation, History(), Readiness(), to=router)
            plan = make_plan(declared, observation, election)

            assert len(plan.changes) <= needs["changes"]
            assert len(plan.tables) <= needs["tables"]
