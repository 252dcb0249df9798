"""Runs on a network that a hand moved whole, in part, or too soon: what is adopted and what is moved back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.network.history import Pause, Sighting
from tests.builders import EIP, NOON, PRIVATE_A, ROUTER, ROUTER_ENI, STANDBY, STANDBY_ENI
from tests.fakes import Fault
from tests.histories import lately, remembered
from tests.oracle import judge
from tests.scenes import moored

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.core.network.history import History
    from tests.fakes import Scene

MINUTE = timedelta(minutes=1)


def move(scene: Scene, *tables: str) -> None:
    """Have a hand move the network to the standby, whole or only these tables."""
    for table in list(scene.model.tables.values()):
        for route in table.routes:
            if route.target == ROUTER_ENI and (not tables or table.id in tables):
                scene.model.route(table.id, route.destination, STANDBY_ENI)
    if not tables:
        scene.model.put_address(EIP, STANDBY_ENI, "10.0.10.9")


def test_network_that_was_moved_whole_is_adopted_by_two_looks_and_never_written() -> None:
    """The journal follows; meanwhile nothing is moved back, and the verdict says that a look is awaited."""
    scene = moored()
    move(scene)

    first = scene.reconcile()
    noted = scene.history
    second = scene.reconcile()

    assert first.verdict == "pending"
    assert (first.router_id, noted.router) == (ROUTER, ROUTER)
    assert noted.sighting == Sighting(STANDBY, NOON + MINUTE)
    assert (second.verdict, second.router_id) == ("converged", STANDBY)
    assert (scene.history.router, scene.history.sighting) == (STANDBY, None)
    assert scene.history.moves == scene.history.leaves == ()
    assert scene.network.writes == []
    assert scene.reconcile().verdict == "converged"
    assert judge(scene.topology, scene.model.facts()) == []


def test_network_that_was_moved_whole_in_a_pause_is_adopted_when_that_ends() -> None:
    """Nothing is decided while it lasts, and nothing that was seen is forgotten: the first run after it moves nothing back."""
    scene = moored()
    scene.journal.histories["office"] = remembered(pause=Pause("maintenance"))
    move(scene)

    verdicts = [scene.reconcile().verdict for _ in range(4)]
    in_pause = scene.history
    scene.journal.histories["office"] = replace(in_pause, pause=None)
    after = scene.reconcile()

    assert verdicts == ["pending", "converged", "converged", "converged"]
    assert (in_pause.router, in_pause.sighting) == (ROUTER, Sighting(STANDBY, NOON + MINUTE))
    assert (after.verdict, scene.history.router, scene.network.writes) == ("converged", STANDBY, [])


def test_look_too_soon_after_the_first_waits_for_another() -> None:
    """Ten seconds later is no second witness, and the first moment is kept."""
    scene = moored()
    move(scene)
    scene.reconcile()
    noted = scene.history
    scene.clock.sleep(-50)

    report = scene.reconcile()

    assert (report.verdict, scene.history) == ("pending", noted)


def test_network_that_is_moved_back_by_the_same_hand_is_forgotten() -> None:
    """The evidence of before says nothing of a later move."""
    scene = moored()
    move(scene)
    assert scene.reconcile().verdict == "pending"
    for table in list(scene.model.tables.values()):
        for route in table.routes:
            if route.target == STANDBY_ENI:
                scene.model.route(table.id, route.destination, ROUTER_ENI)
    scene.model.put_address(EIP, ROUTER_ENI, "10.0.0.8")
    assert scene.reconcile().verdict == "converged"
    assert scene.history.sighting is None
    move(scene)

    assert scene.reconcile().verdict == "pending"


@pytest.mark.parametrize("when", ["in part", "too soon"])
def test_network_moved_in_part_or_too_soon_is_moved_back(when: str) -> None:
    """Half a move is drift, and a move within five minutes of the decision may be a look of before it."""
    scene = moored()
    if when == "too soon":
        scene.journal.histories["office"] = lately(2)
    move(scene, *((PRIVATE_A,) if when == "in part" else ()))

    report = scene.reconcile()

    assert (report.verdict, report.router_id) == ("repaired", ROUTER)
    assert judge(scene.topology, scene.model.facts()) == []
    assert scene.history.sighting is None


def test_router_that_dies_while_a_move_is_looked_at_is_left_for_whom_the_network_follows() -> None:
    """There is nothing more to wait for."""
    scene = moored()
    move(scene)
    scene.reconcile()
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert (report.router_id, scene.network.writes) == (STANDBY, [])


def test_sighting_is_not_kept_over_what_another_run_decided_meanwhile() -> None:
    """It is evidence against a router that is the router no more."""
    scene = moored()
    move(scene)
    amend = scene.journal.amend

    def overtaken(name: str, change: Callable[[History], History]) -> History:
        scene.journal.histories[name] = replace(scene.history, router=STANDBY)
        return amend(name, change)

    scene.journal.amend = overtaken  # type: ignore[method-assign]

    scene.reconcile()

    assert (scene.history.router, scene.history.sighting) == (STANDBY, None)


def test_sighting_that_cannot_be_kept_is_said_and_stops_nothing() -> None:
    """The next look begins anew."""
    scene = moored(faults=(Fault("amend", 0, "refuse"),))
    move(scene)

    report = scene.reconcile()

    assert report.verdict == "pending"
    assert any("what was seen and said could not be kept" in advice for advice in report.advice)
    assert [scene.reconcile().verdict for _ in range(2)] == ["pending", "converged"]
