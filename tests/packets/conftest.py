"""Runs this folder's tests inside the lab's own namespaces, and returns them one lab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.inner import Folder
from tests.packets import enter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.packets.lab import Lab

FOLDER = Folder(Path(__file__).parent, enter.command, enter.environment, frozenset({"test_enter.py"}))
"""The tests of the way in are about what is outside."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot be run here, and say what is missing."""
    mine = [item for item in items if FOLDER.mine(item)]
    if mine and not FOLDER.here and (reason := enter.lacking()):
        for item in mine:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Have a test run inside, where that can be."""
    return None if enter.lacking() else FOLDER.protocol(item, nextitem)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the lab down."""
    FOLDER.close(config)


@pytest.fixture(scope="session")
def built() -> Iterator[Lab]:
    """One lab for all tests, moored."""
    from tests.packets.lab import Lab  # noqa: PLC0415 - loading moto takes a second, and outside nobody needs it

    with Lab() as lab:
        lab.moor()
        yield lab


@pytest.fixture
def lab(built: Lab) -> Lab:
    """The lab, as declared and with its tunnel up, whatever the test before did."""
    built.recover()
    return built
