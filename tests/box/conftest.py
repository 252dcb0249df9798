"""One router for each file of tests; a machine that cannot run one says why, and skips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.box import land, root
from tests.box.router import Router, bundle

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def bare() -> Iterator[Router]:
    """Give a router that nothing was ever pushed to."""
    if why := land.lacking():
        pytest.skip(why)
    with Router(root.make()) as router:
        yield router


@pytest.fixture
def router(bare: Router) -> Router:
    """Give the router with the example's bundle in force, whatever the last test left."""
    if bare.in_force() != bare.good:
        pushed = bare.push(bundle())
        assert pushed.result in ("applied", "unchanged"), pushed
        bare.good = bare.in_force()
    return bare
