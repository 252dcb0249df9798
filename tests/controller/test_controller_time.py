"""How long a run takes: one deadline bounds it, and no machine's word stands between a dead router and a live one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.controller.assessment import PROOF_SECONDS, RUN_SECONDS
from chalicelib.controller.ports import LOOK_SECONDS
from chalicelib.controller.reconcile import preview
from chalicelib.core.machines.machine import Agent, Inspection, Machine
from chalicelib.core.network.change import DisableSourceDestCheck, ReplaceRoute, resource_key
from chalicelib.core.network.report import Failure
from chalicelib.core.request import Action, Request
from tests.builders import PRIVATE_A, PRIVATE_B, ROUTER, STANDBY, TUNNEL, instance, standby, topology
from tests.fakes import Beside, Decided, FakeNetwork, Fault, Write
from tests.histories import remembered
from tests.scenes import moored, results

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chalicelib.core.network.change import NetworkChange
    from chalicelib.core.network.history import History
    from tests.fakes import Scene

MANAGED = topology(tunnel=TUNNEL)


def managed(slow: float = 0.0) -> Scene:
    """Return a converged network with a tunnel, whose machines answer after so many seconds each time."""
    scene = moored(declared=MANAGED)
    scene.executor = Beside(scene.clock)
    scene.machines.online = {i: Agent(online=True) for i in (ROUTER, STANDBY)}
    scene.machines.slow = lambda: scene.clock.sleep(slow)
    return scene


class Watched(FakeNetwork):
    """A network that notes when it is written to, in seconds after the next run's start."""

    @classmethod
    def of(cls, scene: Scene) -> Watched:
        """Have a scene's network note that."""
        network = cls(scene.model, scene.clock, scene.script, log=scene.network.log)
        network.at, network.start = [], scene.clock.now() + timedelta(minutes=1)
        scene.network = network
        return network

    at: list[float]
    start: datetime

    def apply(self, changes: Sequence[NetworkChange], seconds: float) -> Sequence[Failure | None]:
        """Note the moment."""
        self.at.append((self.clock.now() - self.start).total_seconds())
        return super().apply(changes, seconds)


# -- words on nobody's way ------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", [0.0, 6.3, 30, 1000])
def test_first_write_of_a_failover_does_not_wait_for_machines(slow: float) -> None:
    """Issue 9, 7: Systems Manager hung, and the first write was 6.3 s late."""
    scene = managed(slow)
    network = Watched.of(scene)
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert network.at == [0.0]
    assert (report.router_id, set(results(report).values())) == (STANDBY, {"verified"})
    assert report.finished_at - report.started_at <= timedelta(seconds=RUN_SECONDS + slow)


def test_first_write_of_a_failover_is_made_while_a_machine_is_being_asked() -> None:
    """With threads as the worker has them: Systems Manager answers only after the network is written to."""
    scene = managed()
    written = threading.Event()
    scene.machines.slow = lambda: None if written.wait(20) else pytest.fail("machines were waited for")
    network = scene.network

    def apply(changes: Sequence[NetworkChange], seconds: float) -> Sequence[Failure | None]:
        written.set()
        return FakeNetwork.apply(network, changes, seconds)

    scene.network.apply = apply  # type: ignore[method-assign]
    scene.model.terminate(ROUTER)
    with ThreadPoolExecutor(4) as pool:
        scene.executor = pool
        report = scene.reconcile()

    assert (report.router_id, len(scene.network.writes)) == (STANDBY, 6)
    assert report.waiting == (f"{STANDBY} has yet to say how it stands",)


@pytest.mark.parametrize("trouble", ["deaf", "slow"])
def test_machines_that_cannot_be_heard_are_told_of_after_a_failover(trouble: str) -> None:
    """The network is mended; nothing is pushed or asked, and the report says why."""
    scene = managed(1000 if trouble == "slow" else 0)
    scene.machines.deaf = trouble == "deaf"
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert (report.verdict, report.moored, scene.machines.sent) == ("drifting", True, [])
    said = "InternalServerError" if trouble == "deaf" else "Systems Manager did not answer in time"
    assert any(said in problem for problem in report.problems)


def test_machines_are_heard_after_a_failover_where_there_is_time() -> None:
    """What they say by then is learned, and those that are due are asked in the same run."""
    scene = managed(3)
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert [sent.kind for sent in scene.machines.sent] == ["inspect"]
    assert report.verdict == "pending"


def test_quiet_run_waits_for_machines_no_longer_than_it_may() -> None:
    """It is in no hurry, and bounded all the same."""
    scene = managed(1000)

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert report.finished_at - report.started_at == timedelta(seconds=RUN_SECONDS - PROOF_SECONDS)


@pytest.mark.parametrize("action", ["reconcile", "push"])
def test_preview_and_order_wait_for_machines_no_longer_than_they_may(action: Action) -> None:
    """An operator gets an answer."""
    scene = managed(1000)

    request = Request(action=action)
    report = scene.reconcile(request) if action == "push" else preview(scene.topology, scene.ports, request)

    assert report.finished_at - report.started_at <= timedelta(seconds=RUN_SECONDS)
    assert any("did not answer in time" in problem for problem in report.problems) or report.error


def test_second_look_of_a_doubtful_one_does_not_wait_for_machines() -> None:
    """Whether the router runs is asked again in a second, whatever machines do meanwhile."""
    scene = managed(1000)
    network = Watched.of(scene)
    scene.model.become(ROUTER, state="stopped")
    scene.model.instances[ROUTER] = replace(scene.model.instances[ROUTER], listed=True)
    look = network.observe

    def observe(*args: object) -> object:
        seen = look(*args)  # type: ignore[arg-type]
        scene.model.become(ROUTER, state="stopped")  # the next one shows both readings as they are
        return seen

    network.observe = observe  # type: ignore[method-assign, assignment]

    report = scene.reconcile()

    assert (report.router_id, network.at) == (STANDBY, [1.0])


# -- one deadline -----------------------------------------------------------------------------------------------


def test_writes_that_find_no_time_are_left_for_the_next_run() -> None:
    """What does not fit is a failure told, and the most valuable writes come first (invariant 14)."""
    scene = moored()
    scene.network.write_seconds = (RUN_SECONDS - PROOF_SECONDS) / 2
    scene.model.terminate(ROUTER)

    first = scene.reconcile()

    assert {w.change.table_id for w in scene.network.writes if isinstance(w.change, ReplaceRoute)} == {
        PRIVATE_A,
        PRIVATE_B,
    }
    assert len(scene.network.writes) == 2
    assert (first.verdict, first.retryable) == ("drifting", True)
    assert {o.failure.code for o in first.outcomes if o.failure} == {"OutOfTime"}
    assert [scene.reconcile().verdict for _ in range(2)] == ["drifting", "repaired"]


def test_check_that_hangs_leaves_time_for_what_does_not_need_it() -> None:
    """The Elastic IP comes to the standby in this run, though the routes wait for the check."""
    scene = moored(instance(), standby(check=True))
    scene.model.terminate(ROUTER)
    network = scene.network

    def apply(changes: Sequence[NetworkChange], seconds: float) -> Sequence[Failure | None]:
        if any(isinstance(change, DisableSourceDestCheck) for change in changes):
            scene.clock.sleep(seconds)
            return [Failure("ReadTimeoutError", "no reply", retryable=True) for _ in changes]
        return FakeNetwork.apply(network, changes, seconds)

    network.apply = apply  # type: ignore[method-assign]
    report = scene.reconcile()
    told = results(report)
    assert told["elastic ip eipalloc-00000000000000001"] == "verified"
    assert "held" in told.values()
    assert report.finished_at - report.started_at <= timedelta(seconds=RUN_SECONDS)


def test_verifying_stops_when_time_is_over_and_the_outcome_is_recorded() -> None:
    """Looks that hang after the writes claim nothing, and keep the journal from nothing."""
    hang = Fault("write", 5, "happen", event=lambda _: setattr(scene.network, "look_seconds", 1000))
    scene = moored(faults=(hang,))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert set(results(report).values()) == {"unseen"}
    assert report.finished_at - report.started_at <= timedelta(seconds=RUN_SECONDS)
    assert scene.journal.outcomes == [report]


def test_look_that_hangs_is_blindness_in_time() -> None:
    """Nothing is seen, nothing is written, and the next tick looks again."""
    scene = moored()
    scene.network.look_seconds = 1000

    report = scene.reconcile()

    assert (report.verdict, scene.network.writes) == ("blind", [])
    assert report.finished_at - report.started_at == timedelta(seconds=LOOK_SECONDS)


def test_deadline_of_a_request_is_that_of_the_run() -> None:
    """The worker knows when its Lambda ends."""
    scene = moored()
    scene.network.look_seconds = 1000
    until = scene.clock.now() + timedelta(minutes=1, seconds=3)

    report = scene.reconcile(deadline=until)

    assert report.finished_at == until


def test_router_that_is_not_listed_is_looked_for_no_longer_than_there_is_time() -> None:
    """Of the five seconds that a run has, the look before took two."""
    scene = moored()
    scene.network.look_seconds = 2
    scene.model.terminate(ROUTER)
    allowed: list[float] = []

    def missing(_: str, seconds: float) -> None:
        allowed.append(seconds)

    scene.network.instance = missing  # type: ignore[method-assign, assignment]

    scene.reconcile(deadline=scene.clock.now() + timedelta(minutes=1, seconds=5))

    assert allowed == [3.0]


def test_journal_that_hangs_is_blindness_in_time() -> None:
    """What is not known is not decided on, and the next tick asks again."""
    scene = moored()
    scene.executor = Beside(scene.clock)
    remember = scene.journal.read

    def read(name: str) -> History:
        scene.clock.sleep(1000)
        return remember(name)

    scene.journal.read = read  # type: ignore[method-assign]

    report = scene.reconcile()

    assert (report.verdict, scene.network.writes) == ("blind", [])
    assert "the journal did not answer in time" in report.sentence
    assert report.finished_at - report.started_at == timedelta(seconds=RUN_SECONDS)


def bare(scene: Scene) -> Scene:
    """Have the standby say that it has another configuration than is declared: it is pushed where there is time."""
    word = Inspection(scene.clock.now(), "0" * 64, forwarding=True)
    scene.journal.histories["office"] = remembered(MANAGED, machines=(Machine(STANDBY, inspection=word),))
    return scene


def test_push_that_finds_no_time_is_not_sent_and_told() -> None:
    """The network's writes took it all; the next run pushes."""
    scene = bare(managed())
    scene.model.terminate(ROUTER)
    scene.network.write_seconds = RUN_SECONDS

    report = scene.reconcile()

    codes = {resource_key(o.change): o.failure.code for o in report.outcomes if o.failure}
    assert codes[f"configuration {STANDBY}"] == "OutOfTime"
    assert scene.machines.sent == []


def test_move_is_counted_once_though_its_pushes_are_decided_on_after_it() -> None:
    """One run writes two decisions: one for the network at once, one for machines when they have been heard."""
    scene = bare(managed())
    scene.model.become(ROUTER, checks="impaired")

    report = scene.reconcile()

    assert len([entry for entry in scene.network.log if isinstance(entry, Decided)]) == 2
    assert "push" in [sent.kind for sent in scene.machines.sent]
    assert (report.router_id, len(scene.history.leaves)) == (STANDBY, 1)


@given(
    look=st.sampled_from((0.0, 0.4, 4, 12, 19, 21)),
    write=st.sampled_from((0.0, 0.5, 5, 20)),
    slow=st.sampled_from((0.0, 3, 11, 1000)),
    seconds=st.integers(1, 60),
    dead=st.booleans(),
)
def test_no_run_outlasts_its_deadline_by_more_than_the_call_under_way(
    look: float, write: float, slow: float, seconds: int, *, dead: bool
) -> None:
    """Whatever is slow, and however little time there is; and what was decided is closed (invariant 14)."""
    scene = managed(slow)
    scene.network.look_seconds, scene.network.write_seconds = look, write
    if dead:
        scene.model.terminate(ROUTER)
    deadline = scene.clock.now() + timedelta(minutes=1, seconds=seconds)

    report = scene.reconcile(deadline=deadline)

    assert report.finished_at <= deadline + timedelta(seconds=max(write, slow))
    decided = [entry for entry in scene.network.log if isinstance(entry, Decided)]
    assert bool(decided) is bool(scene.journal.outcomes)
    assert not any(isinstance(entry, Write) for entry in scene.network.log) or decided
