"""Whether the bugs that `make mutants` and the simulator plant can still be planted: a text that moved on plants nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants import MUTANTS, Mutant
from tests.simulator.planted import BESIDE, ONCE_SO

SOURCES = Path(__file__).parents[1] / "chalicelib"


@pytest.mark.parametrize("mutant", [*MUTANTS, *ONCE_SO, *BESIDE], ids=lambda mutant: mutant.name)
def test_text_of_every_planted_bug_stands_once_and_leaves_python(mutant: Mutant) -> None:
    """The old text is there exactly once, and what the new one makes of the file is a program that says something else."""
    for part in mutant.parts:
        text = (SOURCES / part.file).read_text()
        assert text.count(part.old) == 1
        planted = text.replace(part.old, part.new)
        if part.file.endswith(".py"):
            compile(planted, part.file, "exec", dont_inherit=True)
        assert planted != text


def test_no_bug_is_planted_twice() -> None:
    """Every bug has a name of its own, and no two are one change of the same text."""
    for of in ([m.name for m in MUTANTS], [(m.file, m.old, m.new) for m in MUTANTS]):
        assert [twice for twice, count in Counter(of).items() if count > 1] == []
