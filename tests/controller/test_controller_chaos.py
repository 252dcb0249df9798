"""The controller under every kind of trouble: when it ends, one more run converges, and nothing broke on the way.

`python -m tests.controller.test_controller_chaos` says how many schedules that is.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.conftest  # noqa: F401 - the profile, also when run as a module
from chalicelib.controller import Request
from chalicelib.core.network.guard import PAUSES
from chalicelib.core.network.history import READ_LAG, Pause
from tests.builders import (
    ROUTER,
    STANDBY,
    instance,
    private_table,
    public_table,
    seen,
    standby,
    topology,
)
from tests.core.happenings import Happening, launch
from tests.core.inspection import inspect, target_of
from tests.core.model import Model
from tests.core.strategies import faults, happenings, models, topologies
from tests.fakes import Fault, Run, Scene, Step
from tests.histories import remembered
from tests.oracle import judge, unfit

if TYPE_CHECKING:
    from chalicelib.core.network.change import NetworkChange
    from chalicelib.core.network.topology import Topology

SCHEDULES = settings().max_examples * 20
HOUR = 3600.0
counted: Counter[str] = Counter()


@dataclass(frozen=True, slots=True)
class Round:
    """One run under trouble: who asks for what, whether it is paused, and what happens afterwards."""

    to: str | None = None
    force: bool = False
    paused: Literal["no", "declared", "ordered"] = "no"
    afterwards: tuple[Happening, ...] = ()


rounds = st.builds(
    Round,
    to=st.sampled_from((None, None, None, None, ROUTER, STANDBY)),
    force=st.sampled_from((False, False, False, True)),
    paused=st.sampled_from(("no", "no", "no", "no", "declared", "ordered")),
    afterwards=st.lists(happenings, max_size=3).map(tuple),
)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Draw a network that somebody was at, and what will go wrong while Mooring repairs it."""
    declared = draw(topologies())
    schedule = draw(st.lists(faults(), min_size=2, max_size=10))
    return Scene(declared, draw(models(declared)), schedule, turn=draw(st.integers(0, 7)))


@settings(max_examples=SCHEDULES)
@given(scene=scenes(), trouble=st.lists(rounds, min_size=2, max_size=5))
def test_trouble_that_ends_is_followed_by_one_run_that_converges(scene: Scene, trouble: list[Round]) -> None:
    """Faults stop: converged within one run, as the network itself tells; no invariant broke on the way (1 to 10, 15)."""
    for during in trouble:
        _pause(scene, during.paused)
        run = scene.run(Request(to=during.to, force=during.force))
        assert not (run.writes and during.paused != "no")
        for happening in during.afterwards:
            scene.network.happen(happening)
    assert _flaps(scene) == []
    _pause(scene, "no")
    _converges(scene)


@pytest.mark.parametrize("tables", [1, 4])
@pytest.mark.parametrize("kind", ["cut-before", "cut-after"])
def test_failover_cut_off_at_any_step_is_finished_by_the_next_run(
    tables: int, kind: Literal["cut-before", "cut-after"]
) -> None:
    """A Lambda may be killed at any moment; the next one finishes, wherever the first one stood."""
    whole = _failover(tables)
    whole.run()
    steps: list[tuple[Step, int]] = [
        (step, nth) for step, number in whole.script.steps.items() for nth in range(number)
    ]

    for step, nth in steps:
        scene = _failover(tables, Fault(step, nth, kind))
        assert scene.run().report is None, f"nothing was cut off at {step} {nth}"
        _converges(scene)
    assert len(steps) == 1 + 2 + 1 + 1 + 1 + (tables + 1 + 1 + 3)


@pytest.mark.parametrize("kind", ["refuse", "lose"])
def test_failover_with_any_two_steps_failing_is_finished_by_the_next_run(
    kind: Literal["refuse", "lose"],
) -> None:
    """Two failures at once hide nothing from the next run."""
    steps: list[tuple[Step, int]] = [("observe", 0), ("observe", 1), ("read", 0), ("decide", 0), ("close", 0)]
    steps += [("write", nth) for nth in range(7)]
    for first in steps:
        for second in steps:
            scene = _failover(2, Fault(*first, kind), Fault(*second, kind))
            scene.run()
            _converges(scene)


def _failover(tables: int, *schedule: Fault) -> Scene:
    """Give a network whose router has just died, and whose standby still has its check on."""
    private = (private_table(f"rtb-{n:017x}", ()) for n in range(100, 100 + tables))
    declared = topology(tables=(public_table(), *private))
    model = Model.of(seen(declared, instance(), standby(check=True)))
    model.terminate(ROUTER)
    scene = Scene(declared, model, schedule)
    scene.journal.histories[declared.name] = remembered(declared)
    return scene


def _pause(scene: Scene, paused: Literal["no", "declared", "ordered"]) -> None:
    """Pause or resume, in either of the two ways."""
    pause = Pause("maintenance") if paused == "ordered" else None
    scene.topology = replace(scene.topology, paused=paused == "declared")
    scene.journal.histories[scene.topology.name] = replace(scene.history, pause=pause)


def _flaps(scene: Scene) -> list[str]:
    """Say where routers were left sooner after each other than they may be, unless an operator insisted."""
    if any(run.request.force for run in scene.runs):
        return []
    leaves, moves, limit = scene.history.leaves, scene.history.moves, scene.topology.limits.moves_per_hour
    paused = (PAUSES[min(n, len(PAUSES) - 1)] for n in range(1, len(leaves)))
    early = [
        f"left at {b} after {a}" for a, b, p in zip(leaves, leaves[1:], paused, strict=False) if b - a < p
    ]
    return early + ([f"{len(moves)} moves"] if len(moves) > limit else [])


def _converges(scene: Scene) -> None:
    """Stop all faults and demand: one run converges, the next finds nothing to do, and no run broke an invariant.

    It does so once no reading can be from before the last decision; a router that is held stays for its hour, and a network
    that somebody moved whole is looked at twice.
    """
    scene.script.stop()
    if not _somebody_may_lead(scene.topology, scene.model):
        scene.network.happen(launch)
    scene.clock.sleep(READ_LAG.total_seconds())
    last = scene.run()
    if _held_down(last):
        assert last.report
        assert last.report.router_id == last.history.router
        scene.clock.sleep(HOUR)
        last = scene.run()
    if last.report and last.report.verdict == "pending":
        assert last.writes == [] or not any(pin(write.change) for write in last.writes)
        last = scene.run()
    again = scene.run()
    _count(scene)

    assert [complaint for run in scene.runs for complaint in inspect(run)] == []
    assert judge(scene.topology, scene.model.facts()) == []
    assert _all_is_well(last, "repaired", "converged")
    assert _all_is_well(again, "converged")
    assert again.writes == []


def _all_is_well(run: Run, *verdicts: str) -> bool:
    """Say whether a run says so, but for candidates that could not take over, which is somebody else's to mend."""
    assert run.report
    others = [problem for problem in run.report.problems if " could not take over: " not in problem]
    done = all(outcome.result in ("verified", "unneeded") for outcome in run.report.outcomes)
    useless = run.report.verdict == "drifting" and not others and done and run.report.error is None
    return run.report.verdict in verdicts or useless


def _held_down(run: Run) -> bool:
    refusal = run.report.refusal if run.report else None
    return refusal is not None and refusal.guard in ("hold-down", "flapping")


def pin(change: NetworkChange) -> bool:
    """Say whether a change leads something to a router."""
    return (target_of(change) or "").startswith("eni-")


def _somebody_may_lead(topology: Topology, model: Model) -> bool:
    """Ask whether any candidate is fit, its check aside, which Mooring switches off itself."""
    facts = model.facts()
    return any(
        not i.notice and all(why.endswith("check on") for why in unfit(topology, facts, i.interfaces[0].id))
        for i in model.instances.values()
    )


def _count(scene: Scene) -> None:
    counted["schedules"] += 1
    counted["runs"] += len(scene.runs)
    counted["runs cut off"] += sum(run.report is None for run in scene.runs)
    counted["writes judged"] += len(scene.network.writes)
    counted.update(f"faults met: {fault.kind}" for fault in scene.script.fired)
    counted.update(f"verdicts: {run.report.verdict}" for run in scene.runs if run.report)


def main() -> int:
    """Run every schedule and print how many there were of what."""
    test_trouble_that_ends_is_followed_by_one_run_that_converges()
    for tables in (1, 4):
        test_failover_cut_off_at_any_step_is_finished_by_the_next_run(tables, "cut-before")
        test_failover_cut_off_at_any_step_is_finished_by_the_next_run(tables, "cut-after")
    test_failover_with_any_two_steps_failing_is_finished_by_the_next_run("refuse")
    test_failover_with_any_two_steps_failing_is_finished_by_the_next_run("lose")
    for what, number in counted.items():
        sys.stdout.write(f"{number:7,} {what}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
