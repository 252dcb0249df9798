"""The package that every test here is about: built once for all of them, and for all of pytest's processes."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from chalicelib.cli.package import Package, build

if TYPE_CHECKING:
    from pathlib import Path


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
