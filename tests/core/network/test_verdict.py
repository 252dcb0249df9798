"""A run in one word: what needs a person comes before what does not."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest

from chalicelib.core.errors import ControllerError, Expired, NoEligibleRouter, ObservationError, UnsafePlan
from chalicelib.core.network.guard import Refusal
from chalicelib.core.network.report import Standing, Verdict, verdict_of

BLAST = Refusal("blast-radius", "9 changes at once", "--force")
HELD_MOVE = Refusal("flapping", "left too often", "wait")
PAUSED = Refusal("paused", "paused: maintenance", "resume it")
ROWS: tuple[tuple[Verdict, dict[str, object]], ...] = (
    ("paused", {"refusal": PAUSED}),
    ("no-router", {"nobody": True}),
    ("refused", {"refusal": BLAST}),
    ("refused", {"refusal": HELD_MOVE}),
    ("drifting", {"drifting": True}),
    ("pending", {"waiting": True}),
    ("pending", {"results": ("sent",)}),
    ("pending", {"results": ("verified", "sent")}),
    ("repaired", {"results": ("verified",)}),
    ("repaired", {"results": ("unneeded",)}),
    ("converged", {"results": ("planned",)}),
    ("converged", {"results": ()}),
)
"""The verdicts, from what needs a person to what needs nobody: a row holds for every case that it names a part of."""

ENDED: tuple[tuple[ControllerError, Verdict], ...] = (
    (Expired("asked too long ago"), "expired"),
    (UnsafePlan("not the plan agreed to"), "refused"),
    (NoEligibleRouter("it may not be the router"), "refused"),
    (ObservationError("not read"), "blind"),
)
"""What ends a run before it has a plan; then nothing else counts."""

CASES = [
    {"refusal": refusal, "nobody": nobody, "drifting": drifting, "waiting": waiting, "results": results}
    for refusal, nobody, drifting, waiting, results in product(
        (None, PAUSED, BLAST, HELD_MOVE),
        (False, True),
        (False, True),
        (False, True),
        ((), ("planned",), ("sent",), ("verified", "sent"), ("verified",), ("unneeded",)),
    )
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["results"]))
def test_verdict_is_the_first_that_holds(case: dict[str, Any]) -> None:
    """Every combination there is has its row in the table."""
    row = next(verdict for verdict, named in ROWS if named.items() <= case.items())

    assert verdict_of(Standing(**case | {"results": frozenset(case["results"])})) == row
    assert all(verdict_of(Standing(error, **case)) == ended for error, ended in ENDED)


def test_every_row_of_the_table_decides_a_case() -> None:
    """No row is hidden behind those before it, and only those who end a run early have none."""
    rows = [next(n for n, (_, named) in enumerate(ROWS) if named.items() <= case.items()) for case in CASES]

    assert set(rows) == set(range(len(ROWS)))
    assert {verdict for verdict, _ in ROWS} == set(get_args(Verdict)) - {
        verdict for _, verdict in ENDED if verdict != "refused"
    }
