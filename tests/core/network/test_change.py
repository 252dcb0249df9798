"""What a change is called, and what stands for a plan that was agreed to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.network.change import Change, CreateRoute, ReplaceRoute, digest
from tests.builders import PRIVATE_A, PRIVATE_B, ROUTER_ENI, STANDBY_ENI

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAN: tuple[Change, ...] = (
    CreateRoute(PRIVATE_A, "0.0.0.0/0", ROUTER_ENI, "it is missing"),
    ReplaceRoute(PRIVATE_B, "0.0.0.0/0", ROUTER_ENI, STANDBY_ENI, "it leads elsewhere"),
    CreateRoute(PRIVATE_B, "10.100.30.0/24", ROUTER_ENI, "it is missing"),
)


@given(plan=st.permutations(PLAN))
def test_digest_of_a_plan_is_the_same_in_any_order_and_for_any_reason(plan: Sequence[Change]) -> None:
    """An operator agrees to what is changed; AWS's order of listing is none of it."""
    assert digest(replace(change, reason="another") for change in plan) == digest(PLAN)


@given(dropped=st.integers(0, 2), target=st.sampled_from([STANDBY_ENI, None]))
def test_digest_of_another_plan_is_another(dropped: int, target: str | None) -> None:
    """One change less, or to another target, is not what was agreed to."""
    others = [change for place, change in enumerate(PLAN) if place != dropped]
    changed = [CreateRoute(PRIVATE_A, "10.0.0.0/8", target, "")] if target else []

    assert digest([*others, *changed]) != digest(PLAN)
    assert digest([]) != digest(PLAN)
