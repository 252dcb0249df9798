"""The core's invariants, all that README promises and more, for any topology and any VPC, judged by oracles that import no planner."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from chalicelib.core.machines.readiness import Readiness
from chalicelib.core.network.advice import advise
from chalicelib.core.network.candidates import squatter_on
from chalicelib.core.network.change import CreateRoute, NetworkChange, ReplaceRoute, depends_on, resource_key
from chalicelib.core.network.election import Election, elect
from chalicelib.core.network.guard import judge as guard
from chalicelib.core.network.history import READ_LAG, History
from chalicelib.core.network.plan import Plan, make_plan
from chalicelib.core.network.problems import UNREAD
from tests.builders import NOON, seen
from tests.core.strategies import histories, models, topologies
from tests.histories import remembered
from tests.oracle import judge, leads, unfit, untouched, writable_tables

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.topology import Topology
    from tests.core.model import Model

STATUS, RULES = "ec2:DescribeInstanceStatus", "ec2:DescribeSecurityGroupRules"


@st.composite
def worlds(draw: st.DrawFn, *, awkward: bool = False) -> tuple[Topology, Model]:
    """Draw a topology and a VPC it is declared for."""
    declared = draw(topologies())
    return declared, draw(models(declared, awkward=awkward))


def _decide(
    topology: Topology, model: Model, history: History
) -> tuple[Observation, Election, Plan[NetworkChange]]:
    """Look, elect and plan for the VPC as it is."""
    observation = history.mark(model.observe(topology, NOON))
    election = elect(topology, observation, history, Readiness())
    return observation, election, make_plan(topology, observation, election)


def _fit(topology: Topology, model: Model, observation: Observation) -> set[str]:
    """Ask who may be the router, leaving out the check, which Mooring switches off itself."""
    facts = model.facts()
    return {
        i.id
        for i in observation.instances
        if i.notice is None
        and all(why.endswith("check on") for why in unfit(topology, facts, i.interfaces[0].id))
        and not squatter_on(topology, observation, i.interfaces[0])
    }


@given(world=worlds(awkward=True), history=histories(), data=st.data())
def test_same_snapshot_in_any_order_gives_the_same_decision(
    world: tuple[Topology, Model], history: History, data: st.DataObject
) -> None:
    """AWS lists things in any order; the same things seen give the same election, plan and advice, in the same order."""
    topology, model = world
    observation, election, plan = _decide(topology, model, history)
    shuffled = replace(
        observation,
        tables=tuple(
            replace(t, routes=tuple(data.draw(st.permutations(t.routes))))
            for t in data.draw(st.permutations(observation.tables))
        ),
        instances=tuple(data.draw(st.permutations(observation.instances))),
        elastic_ips=tuple(data.draw(st.permutations(observation.elastic_ips))),
        ingress=tuple(data.draw(st.permutations(observation.ingress))),
    )

    assert advise(topology, shuffled) == advise(topology, observation)
    assert elect(topology, shuffled, history, Readiness()) == election
    assert make_plan(topology, shuffled, election) == plan
    assert guard(topology, shuffled, history, election, plan) == guard(
        topology, observation, history, election, plan
    )


@given(world=worlds(awkward=True), history=histories())
def test_any_world_elects_who_is_fit_or_keeps_who_was_or_nobody(
    world: tuple[Topology, Model], history: History
) -> None:
    """Whoever follows is fit; whoever stays and is not is told of; nobody is the router only where nobody is fit."""
    topology, model = world
    observation, election, _ = _decide(topology, model, history)
    fit = _fit(topology, model, observation)

    if election.router is None:
        assert not fit
        assert election.reason.startswith("no eligible router: ")
    elif election.router.id not in fit:
        assert not election.moved
        assert election.problems
        assert history.router in (None, election.router.id)
    if election.moved:
        assert election.cause != "none"
        assert election.previous in (history.router, *model.instances)


@given(world=worlds(awkward=True), history=histories(), whole=st.booleans())
def test_fit_incumbent_stays_wherever_one_look_shows_the_pins(
    world: tuple[Topology, Model], history: History, *, whole: bool
) -> None:
    """A healthy incumbent is never moved off by a look, whatever was pointed elsewhere: all of it, too (invariant 8)."""
    topology, model = world
    observation, _, _ = _decide(topology, model, history)
    assume(history.router in _fit(topology, model, observation))
    if whole:
        elsewhere = {i.interfaces[0].id for i in model.instances.values()} - {
            model.instances[history.router or ""].interfaces[0].id
        }
        target = min(elsewhere, default="eni-else")
        for table in list(model.tables.values()):
            for route in table.routes:
                if route.origin == "CreateRoute":
                    model.route(table.id, route.destination, target)
        model.put_address(topology.elastic_ip, target)

    _, election, plan = _decide(topology, model, history)

    assert election.router
    assert election.router.id == history.router
    assert not election.moved
    if election.sighting:
        assert not any(getattr(change, "target", "").startswith("eni-") for change in plan.changes)
        assert history.decided_at
        assert history.decided_at < NOON - READ_LAG


@given(world=worlds(awkward=True), history=histories())
def test_each_change_in_order_touches_nothing_foreign_and_leads_only_to_a_router(
    world: tuple[Topology, Model], history: History
) -> None:
    """At every step: nothing foreign changed, no declared route missing, no route at a check still on (1, 2, 3, 6)."""
    topology, model = world
    _, election, plan = _decide(topology, model, history)
    seat = election.interface.id if election.interface else None
    for change in plan.changes:
        before = model.facts()
        if isinstance(change, CreateRoute | ReplaceRoute):
            assert change.destination in writable_tables(topology, before)[change.table_id]
        if isinstance(change, CreateRoute | ReplaceRoute) and change.target.startswith("eni-"):
            assert change.target == seat
            ailments = unfit(topology, before, change.target)
            assert not any(why.endswith("check on") for why in ailments)
            assert not ailments or election.problems
        model.apply(change)
        assert untouched(topology, before, model.facts()) == []


@given(world=worlds(), history=histories())
def test_applied_plan_leaves_a_network_that_works_and_nothing_to_do(
    world: tuple[Topology, Model], history: History
) -> None:
    """After a plan everything leads to one healthy interface, and the next plan for it is empty (4, 9)."""
    topology, model = world
    _, election, plan = _decide(topology, model, history)
    assume(election.router is not None)
    assume(not election.problems)
    assume(not election.sighting)

    for change in plan.changes:
        model.apply(change)

    assert judge(topology, model.facts()) == []
    after = history.decided(election.router, NOON, election.cause, insisted=False)
    _, again, second = _decide(topology, model, after)
    assert again.router
    assert election.router
    assert (again.router.id, again.moved) == (election.router.id, False)
    assert (second.changes, second.waiting) == ((), ())
    assert all(" could not take over: " in problem for problem in second.problems)


@given(world=worlds(awkward=True), history=histories())
def test_applied_plan_of_an_awkward_world_leaves_nothing_that_can_be_done(
    world: tuple[Topology, Model], history: History
) -> None:
    """What cannot be kept is a problem told each time, not a change tried for ever, with a router or without (9)."""
    topology, model = world
    _, election, plan = _decide(topology, model, history)

    for change in plan.changes:
        model.apply(change)

    after = history.decided(election.router, NOON, election.cause, insisted=False)
    _, again, second = _decide(topology, model, after)
    assert (again.router and again.router.id) == (election.router and election.router.id)
    assert second.changes == ()
    assert set(plan.problems) - set(election.problems) == set(second.problems) - set(again.problems)


@given(world=worlds(awkward=True), history=histories())
def test_network_without_a_router_keeps_what_needs_none(
    world: tuple[Topology, Model], history: History
) -> None:
    """Every public table that is there has its way to the internet; nothing that leads to an interface is touched (7)."""
    topology, model = world
    for instance_id in list(model.instances):
        model.become(instance_id, state="stopped")
    before = model.facts()
    _, election, plan = _decide(topology, model, replace(history, launched_at=None))

    for change in plan.changes:
        model.apply(change)

    assert election.router is None
    facts = model.facts()
    for table_id, destinations in writable_tables(topology, facts).items():
        shown = model.observe(topology, NOON)
        kinds = {d.kind for d in topology.tables if table_id in {t.id for t in shown.select(d.selector)}}
        for destination in destinations:
            route, was = (
                facts.tables[table_id].static(destination),
                before.tables[table_id].static(destination),
            )
            if kinds == {"public"} and destination == "0.0.0.0/0":
                assert route
                assert route.target == topology.internet_gateway
            else:
                assert route == was
    assert leads(topology, facts)[topology.elastic_ip] == leads(topology, before)[topology.elastic_ip]


@given(
    world=worlds(awkward=True),
    history=histories(),
    parts=st.sets(st.sampled_from(sorted(UNREAD)), min_size=1),
)
def test_what_was_not_read_is_told_and_not_written_and_stops_nothing_else(
    world: tuple[Topology, Model], history: History, parts: set[str]
) -> None:
    """Each part that is lacking is a problem; every pin is planned as if it were there (7, 10)."""
    topology, model = world
    for instance_id in list(model.instances):
        model.become(instance_id, checks="ok")
    observation, election, plan = _decide(topology, model, history)
    partly = replace(
        observation,
        unread=dict.fromkeys(parts, "ec2:Describe failed: RequestLimitExceeded"),
        instances=tuple(
            replace(i, checks="unknown", listed=None, events=()) if STATUS in parts else i
            for i in observation.instances
        ),
        ingress=() if RULES in parts else observation.ingress,
        group_seen=RULES not in parts,
        dhcp_options=None if "ec2:DescribeVpcs" in parts else observation.dhcp_options,
    )
    blind = {RULES: "ingress", "ec2:DescribeVpcs": "dhcp options"}
    lacking = tuple(blind[part] for part in parts if part in blind)

    again = elect(topology, partly, history, Readiness())
    lesser = make_plan(topology, partly, again)

    assert (again.router and again.router.id) == (election.router and election.router.id)
    assert lesser.changes == tuple(
        c for c in plan.changes if not resource_key(c).startswith(lacking or ("-",))
    )
    for part in parts:
        assert any(UNREAD[part][1] in problem for problem in lesser.problems)
    assert len(lesser.problems) == len(plan.problems) + len(parts)


@given(world=worlds(awkward=True), history=histories())
def test_own_plan_is_never_refused_as_foreign(world: tuple[Topology, Model], history: History) -> None:
    """The guard against foreign changes knows the planner's own from others."""
    topology, model = world
    observation, election, plan = _decide(topology, model, history)

    assert guard(topology, observation, history, election, plan, force=True).first is None


@given(world=worlds(awkward=True), history=histories())
def test_source_dest_check_of_the_router_precedes_every_route_to_it(
    world: tuple[Topology, Model], history: History
) -> None:
    """In a plan's order, whatever a change depends on comes before it; an address may come later, and is waited for (3)."""
    topology, model = world
    _, _, plan = _decide(topology, model, history)
    places = {resource_key(change): place for place, change in enumerate(plan.changes)}

    for place, change in enumerate(plan.changes):
        for dependency in depends_on(change):
            assert places.get(dependency, -1) < place or dependency == getattr(change, "waits_for", None)


@given(topology=topologies())
def test_converged_network_gives_an_empty_plan(topology: Topology) -> None:
    """A network that is as declared needs nothing (9)."""
    observation = seen(topology)
    election = elect(topology, observation, remembered(topology), Readiness())

    assert not election.moved
    assert make_plan(topology, observation, election) == Plan()
