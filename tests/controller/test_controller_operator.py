"""What an operator asks of a run: a look, consent to what was shown, a pause, another router."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.controller.reconcile import preview
from chalicelib.core.network.change import digest
from chalicelib.core.network.history import Pause
from chalicelib.core.network.notice import Notice
from chalicelib.core.network.observation import ElasticIp
from chalicelib.core.network.topology import Limits
from chalicelib.core.request import Request
from tests.builders import FOREIGN_EIP, NOON, PRIVATE_A, ROUTER, STANDBY, STANDBY_ENI, topology
from tests.fakes import Fault, Sight
from tests.histories import remembered
from tests.oracle import judge
from tests.scenes import DEFAULT, moored


@pytest.mark.parametrize("declared", [True, False])
def test_paused_run_looks_reports_and_writes_nothing(*, declared: bool) -> None:
    """Paused: observe and report; resumed: repaired at once (invariant 13)."""
    scene = moored(declared=topology(paused=declared))
    if not declared:
        scene.journal.histories["office"] = replace(scene.history, pause=Pause("maintenance"))
    scene.model.terminate(ROUTER)
    before = scene.model.facts()

    report = scene.reconcile()

    assert report.verdict == "paused"
    assert "6 changes to make" in report.sentence
    assert scene.model.facts() == before
    scene.topology = replace(scene.topology, paused=False)
    scene.journal.histories["office"] = replace(scene.history, pause=None)
    assert scene.reconcile().verdict == "repaired"


def test_run_that_was_agreed_to_is_carried_out() -> None:
    """What an operator was shown is what is done."""
    scene = moored()
    scene.model.terminate(ROUTER)
    shown = preview(scene.topology, scene.ports, Request())

    report = scene.reconcile(Request(agreed=digest(o.change for o in shown.outcomes)))

    assert (shown.verdict, report.verdict) == ("drifting", "repaired")


def test_run_that_would_do_something_else_than_was_agreed_to_is_refused() -> None:
    """The network changed while the operator read: nothing is done behind his back."""
    scene = moored()
    scene.model.terminate(ROUTER)
    shown = preview(scene.topology, scene.ports, Request())
    scene.model.unroute(PRIVATE_A, DEFAULT)

    report = scene.reconcile(Request(agreed=digest(o.change for o in shown.outcomes)))

    assert report.verdict == "refused"
    assert scene.network.writes == []


def test_run_after_the_agreed_plan_was_made_by_another_has_nothing_to_do() -> None:
    """A tick was faster than the operator: nothing is done that was not agreed to, and that is no refusal."""
    scene = moored()
    scene.model.unroute(PRIVATE_A, DEFAULT)
    shown = preview(scene.topology, scene.ports, Request())
    scene.reconcile()

    report = scene.reconcile(Request(agreed=digest(o.change for o in shown.outcomes)))

    assert report.verdict == "converged"


def test_pause_of_a_converged_network_is_told() -> None:
    """A pause matters before there is anything to repair; the sentence says it."""
    scene = moored()
    wanted = Pause("the line is being dug up (anna)", NOON + timedelta(hours=2))
    scene.journal.histories["office"] = replace(scene.history, pause=wanted)

    report = preview(scene.topology, scene.ports, Request())

    assert (report.verdict, report.pause) == ("converged", wanted)
    assert report.sentence.endswith("; everything is as declared; paused until 2026-11-23 14:00 UTC")
    declared = replace(scene.topology, paused=True)
    assert preview(declared, scene.ports, Request()).pause == Pause("it is declared paused")


def test_preview_never_writes() -> None:
    """A look is a look, also when there is much to do or nothing to see."""
    scene = moored(faults=(Fault("observe", 1, "refuse"),))
    scene.model.terminate(ROUTER)

    verdicts = [preview(scene.topology, scene.ports, Request()).verdict for _ in range(2)]

    assert verdicts == ["drifting", "blind"]
    assert scene.network.log == [Sight(scene.network.sights[0].shown, stale=False)]
    assert scene.history.revision == 1


def test_network_is_called_moored_only_where_every_pin_leads_to_the_router() -> None:
    """What waits for that, such as a terminating router's hook, does not go by the most of it."""
    scene = moored()
    assert preview(scene.topology, scene.ports, Request()).moored
    scene.model.route(PRIVATE_A, DEFAULT, STANDBY_ENI)

    assert not preview(scene.topology, scene.ports, Request()).moored


# -- another router ---------------------------------------------------------------------------------------


def test_switchover_moves_everything_there_and_back() -> None:
    """An operator names the next router; the next wake-up leaves it where it is, and nothing is counted."""
    scene = moored()

    there = scene.reconcile(Request("operator", action="switchover", to=STANDBY))
    quiet = scene.reconcile()
    back = scene.reconcile(Request("operator", action="switchover", to=ROUTER))

    assert [r.verdict for r in (there, quiet, back)] == ["repaired", "converged", "repaired"]
    assert (quiet.router_id, back.router_id) == (STANDBY, ROUTER)
    assert (scene.history.moves, scene.history.leaves) == ((), ())
    assert judge(scene.topology, scene.model.facts()) == []


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("why", ["stopped", "impaired", "cannot hold the pins"])
def test_switchover_to_what_cannot_carry_is_refused_and_changes_nothing(why: str, *, force: bool) -> None:
    """An operator's mistake is no failover, however much it is meant."""
    scene = moored()
    match why:
        case "stopped":
            scene.model.become(STANDBY, state="stopped")
        case "impaired":
            scene.model.become(STANDBY, checks="impaired")
        case _:
            foreign = ElasticIp(FOREIGN_EIP, "203.0.113.99", STANDBY_ENI, "10.0.10.9")
            scene.model.elastic_ips[FOREIGN_EIP] = foreign

    report = scene.reconcile(Request("operator", action="switchover", to=STANDBY, force=force))

    assert report.verdict == "refused"
    assert report.error
    assert report.error.hint == f"eligible now: {ROUTER}"
    assert (scene.network.writes, scene.history) == ([], remembered())


WARNED = Notice(STANDBY, "gets a Spot stop in two minutes", NOON, kind="interruption")


def test_switchover_against_a_notice_is_refused_without_force() -> None:
    """The hint names the way; nothing moves."""
    scene = moored()
    scene.journal.histories["office"] = remembered(notices=(WARNED,))

    report = scene.reconcile(Request("operator", action="switchover", to=STANDBY))

    assert report.verdict == "refused"
    assert report.error
    assert report.error.message == f"{STANDBY} cannot be the router: {STANDBY} {WARNED.reason}"
    assert report.error.hint.startswith("--force insists on it")
    assert scene.network.writes == []


def test_switchover_against_a_notice_is_forced_told_and_left_alone() -> None:
    """The next run does not know better than the operator; a later word of AWS's is news."""
    scene = moored()
    scene.journal.histories["office"] = remembered(notices=(WARNED,))

    forced = scene.reconcile(Request("operator", action="switchover", to=STANDBY, force=True))
    quiet = [scene.reconcile() for _ in range(3)]

    assert (forced.verdict, forced.router_id) == ("repaired", STANDBY)
    assert f"an operator chose it, though {STANDBY} {WARNED.reason}" in forced.sentence
    assert [(r.verdict, r.router_id) for r in quiet] == [("converged", STANDBY)] * 3
    word = replace(WARNED, at=scene.clock.now())
    scene.journal.amend("office", lambda history: history.noticed(word))
    assert scene.reconcile().router_id == ROUTER


def test_incumbent_is_insisted_on_against_a_notice() -> None:
    """`switchover --to` the router itself with force: it stays, though a standby is fit and AWS has said its word."""
    scene = moored()
    scene.journal.histories["office"] = remembered(notices=(replace(WARNED, instance_id=ROUTER),))

    forced = scene.reconcile(Request("operator", action="switchover", to=ROUTER, force=True))
    quiet = scene.reconcile()

    assert [(r.verdict, r.router_id) for r in (forced, quiet)] == [("converged", ROUTER)] * 2
    assert scene.history.insisted_at == NOON + timedelta(minutes=1)
    assert scene.network.writes == []


def test_switchover_is_no_blast_and_never_held_down() -> None:
    """An operator's move moves all of it, however often."""
    scene = moored(declared=topology(limits=Limits(changes=1, tables=1, moves_per_hour=1)))

    for to in (STANDBY, ROUTER, STANDBY, ROUTER, STANDBY):
        assert scene.reconcile(Request("operator", action="switchover", to=to)).verdict == "repaired"
        assert scene.history.router == to


@pytest.mark.parametrize("force", [False, True])
def test_switchover_in_a_pause_is_refused(*, force: bool) -> None:
    """Paused means look and do not touch, whoever asks."""
    scene = moored()
    scene.journal.histories["office"] = remembered(pause=Pause("maintenance"))

    report = scene.reconcile(Request("operator", action="switchover", to=STANDBY, force=force))

    assert (report.verdict, scene.network.writes, scene.history.router) == ("paused", [], ROUTER)
