"""A failover that is cut off, or fails, at each of its steps in turn: the next run finishes it, wherever the first one stood.

Random trouble of every kind is the simulator's; here no step is left out.
"""

from __future__ import annotations

from typing import Literal

import pytest

from chalicelib.core.network.history import READ_LAG
from tests.builders import ROUTER, instance, private_table, public_table, seen, standby, topology
from tests.core.inspection import inspect
from tests.core.model import Model
from tests.fakes import Fault, Scene, Step
from tests.histories import remembered
from tests.oracle import judge


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
    """Return a network whose router has just died, and whose standby still has its check on."""
    private = (private_table(f"rtb-{n:017x}", ()) for n in range(100, 100 + tables))
    declared = topology(tables=(public_table(), *private))
    model = Model.of(seen(declared, instance(), standby(check=True)))
    model.terminate(ROUTER)
    scene = Scene(declared, model, schedule)
    scene.journal.histories[declared.name] = remembered(declared)
    return scene


def _converges(scene: Scene) -> None:
    """Stop all faults and demand: one run converges, the next finds nothing to do, and no run broke an invariant.

    It does so once no reading can be from before the last decision.
    """
    scene.script.stop()
    scene.clock.sleep(READ_LAG.total_seconds())
    last, again = scene.run().report, scene.run()

    assert [complaint for run in scene.runs for complaint in inspect(run)] == []
    assert judge(scene.topology, scene.model.facts()) == []
    assert last
    assert last.verdict in ("repaired", "converged")
    assert again.report
    assert (again.report.verdict, again.writes) == ("converged", [])
