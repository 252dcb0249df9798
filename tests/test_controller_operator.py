"""What an operator asks of a run: a look, consent to what was shown, a pause, another router."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.controller import Request, preview
from chalicelib.core.change import digest
from chalicelib.core.history import Pause
from tests.builders import (
    NOON,
    PRIVATE_A,
    ROUTER,
    topology,
)
from tests.fakes import Fault, Sight
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
