"""One router for each file of tests, in a process of its own; a machine that cannot run one says why, and skips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.inner import Folder
from tests.router_os import root, testbed
from tests.router_os.router import Router, bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Folder(Path(__file__).parent, outside=frozenset({"test_documents.py"}))
"""What needs no router stays with all others."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Have a test run beside an AWS of its own: a process has room for one, and others use theirs."""
    return FOLDER.protocol(item, nextitem)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what runs apart."""
    FOLDER.close(config)


@pytest.fixture(scope="module")
def bare() -> Iterator[Router]:
    """Return a router that nothing was ever pushed to."""
    if why := testbed.lacking():
        pytest.skip(why)
    with Router(root.make()) as router:
        yield router


@pytest.fixture
def router(bare: Router) -> Router:
    """Return the router with the example's bundle in force, whatever the last test left."""
    if bare.in_force() != bare.good:
        pushed = bare.push(bundle())
        assert pushed.result in ("applied", "unchanged"), pushed
        bare.good = bare.in_force()
    return bare
