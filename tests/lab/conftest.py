"""Runs this folder's tests inside the lab's own namespaces, whoever runs them: alone, under xdist, one or all.

Outside, a test's protocol is carried out by a second pytest that lives inside, and its reports are told here. It is
started with the first such test and ends with the last, so that the fixtures below keep their scope.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from tests.lab import enter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.lab import Lab

HERE = Path(__file__).parent
OUTSIDE = {"test_enter.py"}
"""Tests of the way in, which are about what is outside."""


class Inside:
    """The pytest inside: node ids go in, reports come out."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        ask, self._ask = os.pipe()
        self._told, told = os.pipe()
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(  # noqa: S603 - our own
            enter.command(sys.executable, "-m", "tests.lab.inside", str(ask), str(told)),
            env=enter.environment(),
            cwd=HERE.parents[1],
            pass_fds=(ask, told),
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )
        os.close(ask)
        os.close(told)
        self._reports = os.fdopen(self._told, "r")

    def run(self, nodeid: str, following: str | None) -> Iterator[pytest.TestReport]:
        """Run one test; its teardown goes as far as the next one needs."""
        with os.fdopen(os.dup(self._ask), "w") as out:
            out.write(json.dumps([nodeid, following]) + "\n")
        for line in self._reports:
            report = json.loads(line)
            if report is None:
                return
            yield self._config.hook.pytest_report_from_serializable(config=self._config, data=report)
        self._said.seek(0)
        raise RuntimeError(f"the lab died:\n{self._said.read().decode()[-4000:]}")

    def close(self) -> None:
        """Let it end."""
        os.close(self._ask)
        self._process.wait(30)
        self._reports.close()
        self._said.close()


_INSIDE = pytest.StashKey[Inside]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot be run here, and say what is missing."""
    mine = [item for item in items if HERE in item.path.parents and item.path.name not in OUTSIDE]
    if mine and not enter.inside() and (reason := enter.lacking()):
        for item in mine:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Have a test run inside, and tell its reports here."""
    if enter.inside() or item.path.name in OUTSIDE or enter.lacking():
        return None
    inside = item.config.stash.get(_INSIDE, None) or item.config.stash.setdefault(
        _INSIDE, Inside(item.config)
    )
    follows = nextitem is not None and HERE in nextitem.path.parents and nextitem.path.name not in OUTSIDE
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in inside.run(item.nodeid, nextitem.nodeid if nextitem and follows else None):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the lab down."""
    if inside := config.stash.get(_INSIDE, None):
        inside.close()


@pytest.fixture(scope="session")
def built() -> Iterator[Lab]:
    """One lab for all tests, moored."""
    from tests.lab.lab import Lab  # noqa: PLC0415 - loading moto takes a second, and outside nobody needs it

    with Lab() as lab:
        lab.moor()
        yield lab


@pytest.fixture
def lab(built: Lab) -> Lab:
    """The lab, as declared and with its tunnel up, whatever the test before did."""
    built.recover()
    return built
