"""The package that every test here is about, built once for all of them and all of pytest's processes; and a stage for it."""

from __future__ import annotations

import fcntl
import itertools
import os
from typing import TYPE_CHECKING

import pytest

from tests.package.e2e import Stage
from tools.package import Package, build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fake_aws import World
    from tests.package.e2e import Office

_NAMES = itertools.count(1)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The package as `make package` builds it."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    return built(shared / "package")


def built(into: Path) -> Package:
    """Build the package there unless it is there already; who comes meanwhile waits."""
    with into.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Package.at(into) if (into / "deployment.zip").exists() else build(into)


@pytest.fixture(scope="module")
def stage(embedded: World, package: Package, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Mooring, deployed."""
    embedded.reset()
    with Stage(embedded, package, tmp_path_factory.mktemp("lambda")) as stage:
        yield stage
    embedded.reset()


@pytest.fixture
def office(stage: Stage) -> Iterator[Office]:
    """A network that Mooring has taken over."""
    yield from _office(stage)


@pytest.fixture
def branch(stage: Stage) -> Iterator[Office]:
    """Another one."""
    yield from _office(stage)


def _office(stage: Stage) -> Iterator[Office]:
    office = stage.open(f"office-{next(_NAMES)}")
    assert office.complaints() == []
    yield office
    office.close()
