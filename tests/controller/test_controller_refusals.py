"""What guards refuse in a run, and what is done beside it: a refusal stops what it is about, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.network.guard import scope
from chalicelib.core.network.history import Pause
from chalicelib.core.network.topology import Limits
from chalicelib.core.request import Request
from tests.builders import (
    BOOTSTRAP,
    GROUP,
    NOON,
    PRIVATE_A,
    PRIVATE_B,
    ROUTER,
    ROUTER_ENI,
    STANDBY,
    private_table,
    public_table,
    ssh_rule,
    topology,
)
from tests.fakes import Fault
from tests.histories import remembered
from tests.oracle import judge
from tests.scenes import DEFAULT, moored, results

if TYPE_CHECKING:
    from chalicelib.core.network.report import Report
    from tests.fakes import Scene

FEW = topology(limits=Limits(changes=1))


def impair(scene: Scene, sick: str, well: str | None = None) -> None:
    """Have AWS call one instance impaired from now on, and another healthy again."""
    scene.model.become(sick, checks="impaired")
    scene.model.instances[sick] = replace(scene.model.instances[sick], impaired_since=scene.clock.now())
    if well:
        scene.model.become(well, checks="ok")


def untag(scene: Scene) -> None:
    """Take the router's tags off: it may be the router no more, and nothing is wrong with it."""
    scene.model.instances[ROUTER] = replace(scene.model.instances[ROUTER], tags={})


def failures(report: Report) -> set[tuple[str, str, bool]]:
    """Return code, reason and hope of what was refused."""
    return {
        (o.failure.code, o.failure.message, o.failure.retryable)
        for o in report.outcomes
        if o.failure and o.result == "refused"
    }


# -- the blast radius -------------------------------------------------------------------------------------


def overreaching(*, faults: tuple[Fault, ...] = ()) -> Scene:
    """Return a network of which more is declared than was kept so far, all of it wrong, with the bootstrap rule open."""
    scene = moored(declared=FEW, faults=faults)
    scene.journal.histories["office"] = remembered(FEW, kept="what was declared before")
    for table_id in (PRIVATE_A, PRIVATE_B):
        scene.model.route(table_id, DEFAULT, "nat-00000000000000001")
    scene.model.check(ROUTER_ENI, on=True)
    scene.model.ingress[BOOTSTRAP] = ssh_rule()
    return scene


def test_take_over_that_is_too_large_is_refused_and_the_rest_is_made() -> None:
    """Each change says what became of it; the refused ones carry the guard's code and reason."""
    scene = overreaching()

    report = scene.reconcile()

    assert report.verdict == "refused"
    assert results(report) == {
        f"source/dest check {ROUTER_ENI}": "verified",
        f"route {PRIVATE_A} {DEFAULT}": "refused",
        f"route {PRIVATE_B} {DEFAULT}": "refused",
        f"ingress {GROUP} {BOOTSTRAP}": "verified",
    }
    assert failures(report) == {("blast-radius", "2 changes at once; limits.changes allows 1", False)}
    assert report.sentence == (
        "office: refused in part: 2 changes at once; limits.changes allows 1; 2 of 2 changes verified; 2 changes refused"
    )
    assert not report.retryable


def test_refused_take_over_is_not_forgotten_and_can_be_forced() -> None:
    """What was not taken over is still to be agreed to, and an operator's word is enough."""
    scene = overreaching()

    first, second = scene.reconcile(), scene.reconcile()
    forced = scene.reconcile(Request("operator", force=True))

    assert [r.verdict for r in (first, second, forced)] == ["refused", "refused", "repaired"]
    assert scene.history.kept == scope(FEW, scene.model.observe(FEW, NOON))
    assert judge(scene.topology, scene.model.facts()) == []


def test_what_was_taken_over_once_is_only_mended_ever_after() -> None:
    """More than is allowed at once drifts, and is put right: it was decided already."""
    scene = overreaching()
    scene.reconcile(Request("operator", force=True))
    for table_id in (PRIVATE_A, PRIVATE_B):
        scene.model.unroute(table_id, DEFAULT)

    assert scene.reconcile().verdict == "repaired"


def test_declaring_more_is_kept_without_a_write() -> None:
    """What is found as declared is decided on: it is drift from then on."""
    scene = moored(declared=FEW)
    scene.journal.histories["office"] = remembered(FEW, kept="what was declared before")

    assert scene.reconcile().verdict == "converged"
    assert (scene.network.writes, scene.history.revision) == ([], 2)
    for table_id in (PRIVATE_A, PRIVATE_B):
        scene.model.unroute(table_id, DEFAULT)
    assert scene.reconcile().verdict == "repaired"


def test_failover_is_made_whatever_the_limits_are() -> None:
    """Six changes, and limits of one."""
    scene = moored(declared=topology(limits=Limits(changes=1, tables=1)))
    scene.model.terminate(ROUTER)

    assert scene.reconcile().verdict == "repaired"
    assert judge(scene.topology, scene.model.facts()) == []


def test_failover_beside_a_take_over_that_is_refused_is_made() -> None:
    """Somebody declared tables that lead elsewhere, and then the router died: the others fail over."""
    tables = (public_table(), private_table(), *(private_table(f"rtb-{n:017x}", ()) for n in range(100, 103)))
    declared = topology(tables=tables, limits=Limits(tables=2))
    scene = moored(declared=declared)
    scene.journal.histories["office"] = remembered(declared, kept="what was declared before")
    for number in range(100, 103):
        scene.model.route(f"rtb-{number:017x}", DEFAULT, "nat-00000000000000001")
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert (report.verdict, report.router_id) == ("refused", STANDBY)
    assert [name for name, result in results(report).items() if result == "refused"] == [
        f"route rtb-{n:017x} {DEFAULT}" for n in range(100, 103)
    ]
    assert set(results(report).values()) == {"refused", "verified"}


# -- moves that have to wait --------------------------------------------------------------------------------


def test_flapping_routers_are_left_ever_more_slowly() -> None:
    """Two that fail in turn do not drag the network to and fro for ever; each refusal says until when (invariant 8)."""
    scene = moored()
    verdicts = []
    for _ in range(9):
        now = scene.history.router
        sick, well = (ROUTER, STANDBY) if now == ROUTER else (STANDBY, ROUTER)
        if scene.model.instances[sick].checks == "ok":
            impair(scene, sick, well)
        verdicts.append(scene.reconcile().verdict)

    assert verdicts == ["repaired"] * 3 + ["refused", "repaired"] + ["refused"] * 3 + ["repaired"]
    last = scene.runs[-2].report
    assert last
    assert last.refusal
    assert last.refusal.guard == "flapping"
    assert "the next is left at 12:09:00 UTC at the soonest" in last.sentence
    scene.clock.sleep(3600)
    assert scene.reconcile().verdict == "converged"


@pytest.mark.parametrize("why", ["flapping", "hold-down"])
def test_held_router_is_repaired_in_place(why: str) -> None:
    """It runs, and while it may not be left it is the router: what drifted leads to it again."""
    scene = moored(declared=topology(limits=Limits(moves_per_hour=2)))
    busy = tuple(NOON - timedelta(minutes=m) for m in (3, 2, 1))
    scene.journal.histories["office"] = remembered(scene.topology, moves=busy, leaves=(*busy, NOON))
    if why == "flapping":
        impair(scene, ROUTER)
    else:
        untag(scene)
    scene.model.unroute(PRIVATE_A, DEFAULT)

    report = scene.reconcile()

    assert (report.verdict, report.router_id) == ("refused", ROUTER)
    assert report.refusal
    assert report.refusal.guard == why
    assert "UTC at the soonest" in report.refusal.reason
    assert results(report) == {f"route {PRIVATE_A} {DEFAULT}": "verified"}
    assert (scene.history.router, scene.history.moves) == (ROUTER, busy)
    assert scene.reconcile(Request("operator", force=True)).router_id == STANDBY


def test_unwanted_router_is_left_within_its_limit_and_counted() -> None:
    """Who takes the tags off wants another router."""
    scene = moored()
    untag(scene)

    assert (scene.reconcile().verdict, scene.history.router) == ("repaired", STANDBY)
    assert scene.history.moves == (NOON + timedelta(minutes=1),)
    assert scene.history.leaves == ()


def test_dead_router_is_left_at_once_whatever_was_before() -> None:
    """No guard stands between a dead router and a live one."""
    scene = moored(declared=topology(limits=Limits(moves_per_hour=1, changes=1, tables=1)))
    busy = tuple(NOON - timedelta(seconds=n) for n in range(20))
    scene.journal.histories["office"] = remembered(scene.topology, moves=busy, leaves=busy)
    scene.model.become(ROUTER, state="stopped")

    assert (scene.reconcile().verdict, scene.history.router) == ("repaired", STANDBY)


def test_rehearsals_do_not_hold_down_the_real_failover() -> None:
    """Issue 9, 3: four switchovers by an operator, then the router fails its checks beside a standby that is fit."""
    scene = moored()
    for to in (STANDBY, ROUTER, STANDBY, ROUTER):
        assert scene.reconcile(Request("operator", action="switchover", to=to)).verdict == "repaired"
    impair(scene, ROUTER)

    report = scene.reconcile()

    assert (report.verdict, report.router_id) == ("repaired", STANDBY)
    assert scene.history.moves == ()


def test_move_that_keeps_failing_is_one_move() -> None:
    """Attempts are no moves: when AWS lets go, the next run converges (invariant 15)."""
    scene = moored(faults=(Fault("write", 0, "refuse", times=100),))
    impair(scene, ROUTER)
    assert [scene.reconcile().verdict for _ in range(5)] == ["drifting"] * 5

    scene.script.stop()

    assert scene.reconcile().verdict == "repaired"
    assert len(scene.history.leaves) == 1


def test_pause_is_told_before_a_held_move() -> None:
    """Whoever looks at a paused network learns that it is paused."""
    scene = moored()
    busy = tuple(NOON - timedelta(minutes=m) for m in (4, 3, 2, 1))
    scene.journal.histories["office"] = remembered(moves=busy, pause=Pause("maintenance"))
    untag(scene)
    scene.model.unroute(PRIVATE_A, DEFAULT)

    report = scene.reconcile()

    assert (report.verdict, scene.network.writes) == ("paused", [])
    assert report.refusal
    assert report.refusal.remedy == "mooring resume office"
