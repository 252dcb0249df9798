"""The core's invariants, all that README promises and more, for any topology and any VPC, judged by oracles that import no planner."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from chalicelib.core.advice import advise
from chalicelib.core.change import CreateRoute, NetworkChange, ReplaceRoute, leans_on, subject
from chalicelib.core.election import Election, elect
from chalicelib.core.errors import NoEligibleRouter
from chalicelib.core.guard import judge as guard
from chalicelib.core.history import History
from chalicelib.core.observation import Observation
from chalicelib.core.plan import Plan, make_plan
from tests.builders import NOON, ROUTER, STANDBY, seen
from tests.core.strategies import models, topologies
from tests.oracle import judge, leads, unfit, untouched, writable_tables

if TYPE_CHECKING:
    from chalicelib.core.topology import Topology
    from tests.core.model import Model

histories = st.sampled_from((None, ROUTER, STANDBY)).map(lambda router: History(router=router))


@st.composite
def worlds(draw: st.DrawFn, *, awkward: bool = False) -> tuple[Topology, Model]:
    """Draw a topology and a VPC it is declared for."""
    declared = draw(topologies())
    return declared, draw(models(declared, awkward=awkward))


def _decide(topology: Topology, model: Model, history: History) -> tuple[Election, Plan[NetworkChange]]:
    """Elect and plan for the VPC as it is; examples without any router to elect are of no interest here."""
    observation = model.observe(topology, NOON)
    try:
        election = elect(topology, observation, history)
    except NoEligibleRouter:
        assume(False)  # noqa: FBT003 - hypothesis's own way to reject an example
        raise
    return election, make_plan(topology, observation, election)


def _fit(topology: Topology, model: Model) -> set[str]:
    """Ask who may be the router, leaving out the check, which Mooring switches off itself."""
    facts = model.facts()
    return {
        i.id
        for i in model.instances.values()
        if i.notice is None
        and all(why.endswith("check on") for why in unfit(topology, facts, i.interfaces[0].id))
    }


@given(world=worlds(awkward=True), history=histories, data=st.data())
def test_same_snapshot_in_any_order_gives_the_same_decision(
    world: tuple[Topology, Model], history: History, data: st.DataObject
) -> None:
    """AWS lists things in any order; the same things seen give the same election, plan and advice, in the same order."""
    topology, model = world
    observation = model.observe(topology, NOON)
    shuffled = Observation(
        observation.taken_at,
        tuple(
            replace(t, routes=tuple(data.draw(st.permutations(t.routes))))
            for t in data.draw(st.permutations(observation.tables))
        ),
        tuple(data.draw(st.permutations(observation.instances))),
        tuple(data.draw(st.permutations(observation.elastic_ips))),
        tuple(data.draw(st.permutations(observation.ingress))),
        observation.dhcp_options,
    )

    assert advise(topology, shuffled) == advise(topology, observation)
    election, plan = _decide(topology, model, history)
    assert elect(topology, shuffled, history) == election
    assert make_plan(topology, shuffled, election) == plan


@given(world=worlds(awkward=True), history=histories)
def test_any_world_elects_a_fit_candidate_or_nobody(world: tuple[Topology, Model], history: History) -> None:
    """Whoever is elected is alive, healthy, in a public subnet and without a notice; nobody only if nobody is."""
    topology, model = world
    try:
        election = elect(topology, model.observe(topology, NOON), history)
    except NoEligibleRouter:
        assert not _fit(topology, model)
    else:
        assert election.router.id in _fit(topology, model)


@given(world=worlds(awkward=True), history=histories)
def test_fit_incumbent_that_anything_leads_to_stays(world: tuple[Topology, Model], history: History) -> None:
    """A healthy incumbent is never moved off, whatever else was pointed elsewhere (invariant 8)."""
    topology, model = world
    incumbent = model.instances.get(history.router or "")
    own = {n.id for n in incumbent.interfaces} if incumbent else set()
    assume(own & set(leads(topology, model.facts()).values()))
    assume(history.router in _fit(topology, model))

    election, _ = _decide(topology, model, history)

    assert election.router == incumbent


@given(world=worlds(awkward=True), history=histories)
def test_each_change_in_order_touches_nothing_foreign_and_leads_only_to_a_router(
    world: tuple[Topology, Model], history: History
) -> None:
    """At every step: nothing foreign changed, no declared route missing, no route at a check still on (1, 2, 3, 6)."""
    topology, model = world
    _, plan = _decide(topology, model, history)
    for change in plan.changes:
        before = model.facts()
        if isinstance(change, CreateRoute | ReplaceRoute):
            assert change.destination in writable_tables(topology, before)[change.table_id]
        if isinstance(change, CreateRoute | ReplaceRoute) and change.target.startswith("eni-"):
            assert unfit(topology, before, change.target) == []
        model.apply(change)
        assert untouched(topology, before, model.facts()) == []


@given(world=worlds(), history=histories)
def test_applied_plan_leaves_a_network_that_works_and_nothing_to_do(
    world: tuple[Topology, Model], history: History
) -> None:
    """After a plan everything leads to one healthy interface, and the next plan for it is empty (4, 9)."""
    topology, model = world
    election, plan = _decide(topology, model, history)

    for change in plan.changes:
        model.apply(change)

    assert judge(topology, model.facts()) == []
    again, second = _decide(topology, model, History(router=election.router.id))
    assert again.router.id == election.router.id
    assert second == Plan()


@given(world=worlds(awkward=True), history=histories)
def test_applied_plan_of_an_awkward_world_leaves_nothing_that_can_be_done(
    world: tuple[Topology, Model], history: History
) -> None:
    """What cannot be kept is a problem told each time, not a change tried for ever (9)."""
    topology, model = world
    election, plan = _decide(topology, model, history)

    for change in plan.changes:
        model.apply(change)

    _, second = _decide(topology, model, History(router=election.router.id))
    assert second.changes == ()
    assert second.problems == plan.problems


@given(world=worlds(awkward=True), history=histories)
def test_own_plan_is_never_refused_as_foreign(world: tuple[Topology, Model], history: History) -> None:
    """The guard against foreign changes knows the planner's own from others."""
    topology, model = world
    election, plan = _decide(topology, model, history)

    refusal = guard(topology, model.observe(topology, NOON), history, election, plan, force=True)

    assert refusal is None


@given(world=worlds(awkward=True), history=histories)
def test_source_dest_check_of_the_router_precedes_every_route_to_it(
    world: tuple[Topology, Model], history: History
) -> None:
    """In a plan's order, whatever a change leans on comes before it (3)."""
    topology, model = world
    _, plan = _decide(topology, model, history)
    places = {subject(change): place for place, change in enumerate(plan.changes)}

    for place, change in enumerate(plan.changes):
        assert places.get(leans_on(change) or "", -1) < place


@given(topology=topologies())
def test_converged_network_gives_an_empty_plan(topology: Topology) -> None:
    """A network that is as declared needs nothing (9)."""
    observation = seen(topology)
    election = elect(topology, observation, History(router=ROUTER))

    assert not election.moved
    assert make_plan(topology, observation, election) == Plan()
