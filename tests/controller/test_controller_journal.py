"""What a run leaves in the journal: the decision before its first write, the outcome after, and nothing over a newer one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.controller.reconcile import reconcile
from chalicelib.core.network.history import History
from chalicelib.core.request import Request
from tests.builders import (
    NOON,
    ROUTER,
    STANDBY,
)
from tests.fakes import Decided, FakeClock, FakeJournal, FakeNetwork, Fault, Scene
from tests.histories import remembered
from tests.oracle import judge
from tests.scenes import moored

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology


def test_decision_that_cannot_be_recorded_is_not_carried_out() -> None:
    """The journal has the decision before the first write."""
    scene = moored(faults=(Fault("decide", 0, "refuse"),))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert report.error
    assert scene.network.writes == []
    assert scene.reconcile().verdict == "repaired"


def test_decision_without_a_change_that_cannot_be_recorded_is_no_convergence() -> None:
    """All is as it is declared by now; the journal holds to what was declared before until it can be written."""
    scene = moored(faults=(Fault("decide", 0, "refuse"),))
    scene.journal.histories["office"] = remembered(kept="what was declared before")

    assert scene.reconcile().verdict == "drifting"
    assert scene.reconcile().verdict == "converged"


def test_decision_on_record_names_every_change_and_its_reason() -> None:
    """Who reads the journal after a crash knows what was under way and why."""
    scene = moored(faults=(Fault("write", 0, "cut-before"),))
    scene.model.terminate(ROUTER)

    scene.run()

    (decided,) = (entry for entry in scene.network.log if isinstance(entry, Decided))
    assert decided.after.router == STANDBY
    assert len(decided.decision.outcomes) == 6
    assert {o.change.reason for o in decided.decision.outcomes} == {f"{ROUTER} is terminated"}
    assert {o.result for o in decided.decision.outcomes} == {"planned"}


def test_outcome_that_cannot_be_recorded_is_still_reported() -> None:
    """The network is repaired whether or not the journal hears of it."""
    scene = moored(faults=(Fault("close", 0, "refuse"),))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "repaired"
    assert report.error
    assert scene.journal.outcomes == []


def test_outcome_is_recorded_as_it_is_reported() -> None:
    """Journal and caller get the same report."""
    scene = moored()
    scene.model.terminate(ROUTER)

    assert scene.journal.outcomes == [scene.reconcile()]


class Overtaken(FakeJournal):
    """A journal that lets another run through just before a decision is recorded."""

    scene: Scene | None = None

    def decide(self, name: str, before: History, after: History, decision: Report) -> None:
        """Let the other run decide first."""
        other, self.scene = self.scene, None
        if other:
            reconcile(other.topology, other.ports, Request("the other run"))
        super().decide(name, before, after, decision)


class Early(FakeNetwork):
    """A network that was looked at a while ago."""

    seen: Observation | None = None

    def observe(self, topology: Topology, seconds: float = 20.0) -> Observation:
        """Return that look."""
        return self.seen or super().observe(topology, seconds)


class Late(FakeJournal):
    """A journal in which another run decided after this one's look was taken, and a moment before it was read."""

    clock: FakeClock | None = None

    def read(self, name: str) -> History:
        """Let a moment pass, and the other run's decision with it."""
        assert self.clock
        self.clock.sleep(1)
        return History(revision=7, router=ROUTER, decided_at=self.clock.now())


def test_look_that_another_run_outdated_makes_no_plan() -> None:
    """What was seen before another run decided is no ground for a decision after it (invariant 5)."""
    scene = moored()
    scene.model.terminate(ROUTER)
    network, late = Early(scene.model, scene.clock), Late()
    network.seen, late.clock = scene.network.observe(scene.topology), scene.clock

    report = reconcile(
        scene.topology, replace(scene.ports, network=network, journal=late), Request("schedule")
    )

    assert (report.verdict, network.writes) == ("blind", [])


def test_older_plan_never_overwrites_a_newer_one() -> None:
    """A run that was overtaken finds the journal changed and leaves its plan (invariant 5)."""
    scene = moored()
    journal = Overtaken(log=scene.network.log, histories=scene.journal.histories)
    scene.journal = journal
    scene.model.terminate(ROUTER)
    journal.scene = scene

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert report.error
    assert report.error.retryable
    assert len(scene.network.writes) == 6
    assert judge(scene.topology, scene.model.facts()) == []


def test_decision_and_outcome_are_one_run_under_one_name_however_long_it_takes() -> None:
    """The journal keeps an entry for each start of a run: what became of a decision takes its place."""
    scene = moored(faults=(Fault("observe", 1, "stale", times=2, age=6),))
    scene.network.look_seconds = 0.3
    scene.network.happen(lambda vpc: vpc.terminate(ROUTER))

    report = scene.reconcile()

    (decided,) = (entry for entry in scene.network.log if isinstance(entry, Decided))
    assert report.verdict == "repaired"
    assert decided.decision.started_at == report.started_at == NOON + timedelta(minutes=1)
    assert report.finished_at > report.started_at + timedelta(seconds=0.5 + 1 + 4 * 0.3 - 0.01)
