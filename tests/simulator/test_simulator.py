"""The simulator itself: one seed gives one course, and a planted bug is found."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.declaration import parse
from chalicelib.core.network import candidates, election, history, plan
from tests.simulator import queue
from tests.simulator.declared import LARGE, document, larger, topologies, tunnelled, variants
from tests.simulator.play import play, replay, spread
from tests.simulator.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT_SEEDS = (3, 120, 787)


def _rebalance_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(history.NOTICED, "rebalance", timedelta(days=7))


def _no_squatters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "squatter_on", lambda *_: None)


def _everything_carries_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_carries", lambda *_: False)


def _nothing_is_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election, "unable", lambda *_: "somebody speaks against it")


def _messages_are_hidden_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "VISIBILITY", 720.0)


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (_rebalance_ends, "I8"),
        (_no_squatters, "I3 an unfit router is named"),
        (_everything_carries_nothing, "I10"),
        (_nothing_is_overruled, "I15 a switchover is not made, though forced"),
        (_messages_are_hidden_for_long, "I14 a run that was cut off blocks the queue"),
    ],
)
def test_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judge that is never seen to speak is only believed to listen; `python -m tests.simulator recall` plants many more."""
    plant(monkeypatch)
    found = (v.kind for seed in range(2000) for v in Schedule(seed).play().judge.violations)
    assert any(kind.startswith(said) for kind in found)


@pytest.mark.parametrize("seed", ROOT_SEEDS)
def test_same_seed_gives_the_same_course_in_any_process(seed: int) -> None:
    """What a failing line names can be seen again: nothing leans on the order of a set."""
    command = [sys.executable, "-m", "tests.simulator", "--seed", str(seed), "--trace"]
    told = {
        subprocess.run(  # noqa: S603 - our own code
            command, capture_output=True, text=True, check=False, env={"PYTHONHASHSEED": hashed}
        ).stdout
        for hashed in ("1", "2")
    }
    assert told == {replay(seed, trace=True)}


def test_trace_does_not_change_the_course() -> None:
    """Telling what happens draws no chance."""
    quiet, told = replay(5, trace=False).splitlines(), replay(5, trace=True).splitlines()
    assert (quiet[0], quiet[-1]) == (told[0], told[-1])


def test_processes_come_to_the_same_as_one() -> None:
    """How many cores there are changes nothing but the time."""
    alone, together = play(0, 300), spread(0, 300, jobs=2)
    assert (alone.runs, alone.calls, alone.writes) == (together.runs, together.calls, together.writes)


def test_what_is_declared_is_what_an_operator_can_write() -> None:
    """The worker reads documents, so the topologies must survive being written and read."""
    for declared in (*topologies(), *tunnelled()):
        for one in (declared, *variants(declared)):
            assert parse(document(one)) == one
    large = larger(topologies()[LARGE])
    assert parse(document(large)) == large
