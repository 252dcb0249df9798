"""What follows from a value is worked out once, and belongs to that value and that declaration alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chalicelib.core.network.guard import scope
from chalicelib.core.network.observation import Route, RouteTable
from chalicelib.core.once import derived, once
from tests.builders import PRIVATE_A, seen, topology, with_table

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.topology import Topology


def test_answer_is_worked_out_once_for_a_snapshot_and_again_for_another() -> None:
    """Who asks again about the same snapshot and declaration gets what was found; nobody else does."""
    asked: list[int] = []

    @once
    def count(declared: Topology, observation: Observation) -> int:
        asked.append(len(declared.tables) + len(observation.tables))
        return len(asked)

    declared, observation = topology(), seen()
    assert [count(declared, observation) for _ in range(3)] == [1, 1, 1]
    assert count(declared, replace(observation)) == 2
    assert count(replace(declared), observation) == 3


def test_what_is_declared_anew_is_answered_anew() -> None:
    """The same snapshot covers something else under another declaration."""
    observation, declared = seen(), topology()
    before = scope(declared, observation)

    assert scope(replace(declared, tables=declared.tables[:1]), observation) != before
    assert scope(declared, observation) == before


def test_a_changed_copy_keeps_nothing_of_what_was_worked_out() -> None:
    """A table with another route, or a snapshot with another table, finds that one."""
    observation = seen()
    table = next(t for t in observation.tables if t.id == PRIVATE_A)
    assert table.static("10.99.0.0/16") is None
    assert observation.select(PRIVATE_A) == (table,)

    more = RouteTable(PRIVATE_A, routes=(*table.routes, Route("10.99.0.0/16", "eni-1")))
    assert replace(table, routes=more.routes).static("10.99.0.0/16") == Route("10.99.0.0/16", "eni-1")
    assert with_table(observation, more).select(PRIVATE_A) == (more,)


def test_a_derived_property_does_not_count_where_values_are_compared() -> None:
    """Two equal values are equal whatever was asked of one of them."""

    @dataclass(frozen=True)
    class Value:
        number: int

        @derived
        def double(self) -> int:
            """Twice the number."""
            return self.number * 2

    one, other = Value(2), Value(2)
    assert one.double == 4
    assert one == other
    assert hash(one) == hash(other)
