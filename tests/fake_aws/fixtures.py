"""pytest's fixtures of the embedded AWS, to be imported by the conftest of whoever uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .world import World


@pytest.fixture(scope="session")
def embedded() -> Iterator[World]:
    """One AWS for all files of a worker: a process has room for one, and starting it costs more than all else."""
    from .world import World  # noqa: PLC0415 - loading moto takes a second, and most tests need none

    with World() as world:
        yield world


@pytest.fixture
def world(embedded: World) -> World:
    """An empty AWS."""
    embedded.reset()
    return embedded
