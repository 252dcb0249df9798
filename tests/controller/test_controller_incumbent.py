"""Runs whose looks are old, contradict each other or lack the router: what the journal decided holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.controller.reconcile import DOUBT_PAUSES, preview
from chalicelib.core.request import Request
from tests.builders import (
    EIP,
    NOON,
    ROUTER,
    ROUTER_ENI,
    STANDBY,
    STANDBY_ENI,
    instance,
)
from tests.fakes import FakeNetwork, Fault
from tests.histories import lately, remembered
from tests.oracle import judge
from tests.scenes import moored

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology
    from tests.fakes import Scene

MINUTE = timedelta(minutes=1)


class Mixed(FakeNetwork):
    """A network whose next looks are changed on their way: each listing is as old as it likes."""

    changed: tuple[Callable[[Observation], Observation], ...] = ()

    def observe(self, topology: Topology, seconds: float = 20.0) -> Observation:
        """Look, and change what is seen."""
        observation = super().observe(topology, seconds)
        change, *rest = self.changed or (lambda seen: seen,)
        self.changed = tuple(rest)
        return change(observation)


def shown(scene: Scene, *changed: Callable[[Observation], Observation]) -> Mixed:
    """Have the next looks of a scene changed."""
    network = Mixed(scene.model, scene.clock, scene.script, log=scene.network.log)
    network.changed = changed
    scene.network = network
    return network


def as_router(**fields: object) -> Callable[[Observation], Observation]:
    """Show the router otherwise than it is."""

    def change(observation: Observation) -> Observation:
        instances = (replace(i, **fields) if i.id == ROUTER else i for i in observation.instances)  # type: ignore[arg-type]
        return replace(observation, instances=tuple(instances))

    return change


def without(instance_id: str) -> Callable[[Observation], Observation]:
    """Show a listing that lacks an instance."""
    return lambda seen: replace(seen, instances=tuple(i for i in seen.instances if i.id != instance_id))


def truth(observation: Observation) -> Observation:
    """Show what is."""
    return observation


def quiet(scene: Scene, report: Report, history: History | None = None) -> bool:
    """Return whether a run wrote nothing and the journal's router is the one it was."""
    return (
        not scene.network.writes
        and report.router_id == (history or remembered()).router == scene.history.router
    )


# -- pins that an old look shows elsewhere ------------------------------------------------------------------


def test_switchover_is_not_undone_by_looks_of_before_it() -> None:
    """Issue 9, 1: one whole old look, one of old tables, one of old addresses; the operator's router stays the router."""
    scene = moored()
    before = scene.model.copy()
    assert scene.reconcile(Request("operator", action="switchover", to=STANDBY)).verdict == "repaired"
    old = before.observe(scene.topology, NOON)
    writes = len(scene.network.writes)
    shown(
        scene,
        lambda seen: replace(seen, tables=old.tables, elastic_ips=old.elastic_ips),
        truth,
        lambda seen: replace(seen, tables=old.tables),
        truth,
        lambda seen: replace(seen, elastic_ips=old.elastic_ips),
        truth,
    )

    reports = [scene.reconcile() for _ in range(3)]

    assert {r.router_id for r in reports} == {STANDBY} == {scene.history.router}
    assert judge(scene.topology, scene.model.facts()) == []
    assert all(w.failure is None for w in scene.network.writes[writes:])
    assert {r.verdict for r in reports} == {"repaired"}


def test_old_look_never_changes_the_journal_by_an_empty_plan() -> None:
    """What it shows as converged on another router is no decision."""
    scene = moored()
    moved = scene.model.copy()
    moved.put_address(EIP, STANDBY_ENI, "10.0.10.9")
    for table in list(moved.tables.values()):
        for route in table.routes:
            if route.target == ROUTER_ENI:
                moved.route(table.id, route.destination, STANDBY_ENI)
    old = moved.observe(scene.topology, NOON)
    shown(scene, lambda seen: replace(seen, tables=old.tables, elastic_ips=old.elastic_ips))

    report = scene.reconcile()

    assert quiet(scene, report)
    assert report.verdict == "pending"
    assert scene.reconcile().verdict == "converged"
    assert scene.history.sighting is None


# -- contradictions about whether it runs -------------------------------------------------------------------


def test_router_shown_as_stopped_and_running_is_looked_at_again_and_stays() -> None:
    """One listing was old: a second look a moment later tells, within the run."""
    scene = moored()
    shown(scene, as_router(state="stopped"), truth)

    report = scene.reconcile()

    assert quiet(scene, report)
    assert (report.verdict, len(scene.network.sights)) == ("converged", 2)
    assert report.finished_at - report.started_at == timedelta(seconds=DOUBT_PAUSES[0])


def test_router_that_stopped_is_left_by_the_look_that_makes_sure() -> None:
    """The listing of those that run was the old one: the failover is a second late, and no run."""
    scene = moored()
    scene.model.become(ROUTER, state="stopped")
    shown(scene, as_router(listed=True), truth)

    report = scene.reconcile()

    assert (report.verdict, report.router_id) == ("repaired", STANDBY)
    assert report.started_at == NOON + MINUTE


def test_router_that_stays_contradictory_stays_with_a_problem() -> None:
    """Patience ends after two pauses, and the run tells what it could not make out."""
    scene = moored()
    shown(scene, *[as_router(state="stopping")] * 5)

    report = scene.reconcile()

    assert quiet(scene, report)
    assert report.verdict == "drifting"
    assert report.problems == (f"EC2 lists {ROUTER} as stopping and as running at once",)
    assert len(scene.network.sights) == 1 + len(DOUBT_PAUSES)
    assert report.finished_at - report.started_at == timedelta(seconds=sum(DOUBT_PAUSES))
    assert DOUBT_PAUSES == (1.0, 2.0)


def test_doubt_is_told_where_no_time_is_left_to_look_again() -> None:
    """Of five seconds, none is spent on waiting: what is left proves what is written."""
    scene = moored()
    shown(scene, *[as_router(state="stopping")] * 5)

    report = scene.reconcile(deadline=scene.clock.now() + timedelta(minutes=1, seconds=5))

    assert (report.router_id, len(scene.network.sights)) == (ROUTER, 1)
    assert report.finished_at == report.started_at


def test_preview_looks_once_and_tells_the_doubt() -> None:
    """A look is a look: it waits for nothing."""
    scene = moored()
    shown(scene, as_router(state="stopping"))

    report = preview(scene.topology, scene.ports, Request())

    assert len(scene.network.sights) == 1
    assert report.problems == (f"EC2 lists {ROUTER} as stopping and as running at once",)


def test_router_shown_as_of_before_its_last_launch_stays() -> None:
    """It was stopped and started; the listing of an hour ago has it stopped, in the launch before."""
    scene = moored()
    scene.model.instances[ROUTER] = instance(launched=NOON)
    assert scene.reconcile().verdict == "converged"
    assert scene.history.launched_at == NOON
    shown(scene, *[as_router(state="stopped", launched_at=NOON - timedelta(days=1), listed=False)] * 3)

    report = scene.reconcile()

    assert quiet(scene, report)
    assert report.problems == (f"{ROUTER} was shown as it was before its last launch",)


def test_launch_of_the_router_is_kept_once() -> None:
    """What is known already is not written again."""
    scene = moored()
    scene.model.instances[ROUTER] = instance(launched=NOON)
    scene.reconcile()
    revision = scene.history.revision
    scene.reconcile()

    assert (scene.history.revision, revision) == (2, 2)


# -- a router that no listing has -----------------------------------------------------------------------------


def test_router_that_the_listing_lacks_is_looked_for_by_its_id() -> None:
    """It runs: the listing is older than it, or paged past it."""
    scene = moored()
    network = shown(scene, without(ROUTER))

    report = scene.reconcile()

    assert quiet(scene, report)
    assert (report.verdict, network.asked) == ("converged", [ROUTER])


@pytest.mark.parametrize("state", ["shutting-down", "terminated"])
def test_router_that_has_ended_is_left_at_once_though_it_is_young(state: str) -> None:
    """Nobody comes back from that, however young the decision is."""
    scene = moored()
    scene.journal.histories["office"] = lately(0.1)
    scene.model.become(ROUTER, state=state)
    shown(scene, without(ROUTER), without(ROUTER))

    report = scene.reconcile()

    assert (report.verdict, report.router_id) == ("repaired", STANDBY)
    assert report.election
    assert report.election.reason == f"{ROUTER} is terminated"


@pytest.mark.parametrize(("minutes", "verdict"), [(3.9, "blind"), (4, "repaired")])
def test_router_that_ec2_does_not_know_is_terminated_once_no_listing_can_be_older(
    minutes: float, verdict: str
) -> None:
    """Of an instance that was launched a moment ago EC2 may know nothing yet: that is no end. The run is a minute later."""
    scene = moored()
    scene.journal.histories["office"] = lately(minutes)
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == verdict
    assert bool(scene.network.writes) is (verdict == "repaired")
    if verdict == "blind":
        assert report.error
        assert report.error.message == f"EC2 does not list {ROUTER}, the router, yet"


def test_router_that_cannot_be_looked_for_is_blindness() -> None:
    """What could not be told is no end."""
    scene = moored(faults=(Fault("instance", 0, "refuse"),))
    shown(scene, without(ROUTER))

    assert scene.reconcile().verdict == "blind"
    assert scene.network.writes == []


def test_router_that_is_listed_is_not_looked_for() -> None:
    """A quiet run costs no call more."""
    scene = moored()
    scene.reconcile()

    assert scene.network.asked == []
