"""A folder of tests that a pytest of its own runs, whoever runs them: alone, under xdist, one or all.

Outside, a test's protocol is carried out by a second pytest, and its reports are told here. That one is started with the
folder's first test and ends with the session, so that the folder's fixtures keep their scope. The lab needs it for its
namespaces; routers with a real operating system for a world of their own, beside the one that the other tests share.

python -m tests.inner FOLDER ASK TELL     the second pytest: runs what it is asked for, one by one, over two descriptors
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from _pytest.runner import runtestprotocol  # what pytest-xdist's own worker does, and rerunfailures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROOT = Path(__file__).parents[1]
_MARK = "MOORING_INNER"
"""The variable that says of which folder this process is the second pytest."""


class DiedError(Exception):
    """The second pytest ended before it was told to."""


class Inner:
    """The second pytest: node ids go in, reports come out."""

    def __init__(self, config: pytest.Config, command: list[str], environment: dict[str, str]) -> None:
        self._config = config
        ask, self._ask = os.pipe()
        self._told, told = os.pipe()
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(  # noqa: S603 - our own
            [*command, str(ask), str(told)],
            env=environment,
            cwd=_ROOT,
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
        raise DiedError(f"the pytest inside died:\n{self._said.read().decode()[-4000:]}")

    def close(self) -> None:
        """Let it end."""
        os.close(self._ask)
        self._process.wait(60)
        self._reports.close()
        self._said.close()


def _as_it_is(*inner: str) -> list[str]:
    return list(inner)


@dataclass(frozen=True)
class Folder:
    """A folder whose tests run apart; `wrapped` leads a command to where they run, `outside` are files that stay here."""

    path: Path
    wrapped: Callable[..., list[str]] = _as_it_is
    environment: Callable[[], dict[str, str]] = lambda: dict(os.environ)
    outside: frozenset[str] = frozenset()
    _stash: pytest.StashKey[Inner] = field(default_factory=pytest.StashKey[Inner])

    @property
    def here(self) -> bool:
        """Whether this process is the second pytest."""
        return os.environ.get(_MARK) == str(self.path)

    def mine(self, item: pytest.Item | None) -> bool:
        """Return whether a test is to run apart; hooks hear of every folder's tests."""
        return item is not None and self.path in item.path.parents and item.path.name not in self.outside

    def protocol(self, item: pytest.Item, following: pytest.Item | None) -> bool | None:
        """Have a test run apart, and tell its reports here."""
        if not self.mine(item) or self.here:
            return None
        stash = item.config.stash
        if self._stash not in stash:
            command = self.wrapped(sys.executable, "-m", "tests.inner", str(self.path))
            stash[self._stash] = Inner(item.config, command, self.environment() | {_MARK: str(self.path)})
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        then = following.nodeid if following and self.mine(following) else None
        try:
            for report in stash[self._stash].run(item.nodeid, then):
                item.ihook.pytest_runtest_logreport(report=report)
        except DiedError as died:
            self.close(item.config)  # the next test has another
            failed = pytest.TestReport(item.nodeid, item.location, {}, "failed", str(died), "call")
            item.ihook.pytest_runtest_logreport(report=failed)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        # The last test that ran here left standing what it has in common with this one, which the next may not have.
        item.session._setupstate.teardown_exact(following)
        return True

    def close(self, config: pytest.Config) -> None:
        """End the second pytest, if one runs."""
        if inner := config.stash.get(self._stash, None):
            del config.stash[self._stash]
            inner.close()


class _Told:
    """A plugin of the second pytest, which takes the order of the tests from outside."""

    def __init__(self, ask: int, tell: int) -> None:
        self._ask, self._tell = os.fdopen(ask), os.fdopen(tell, "w")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run what is asked for until nobody asks any more."""
        items = {item.nodeid: item for item in session.items}
        for line in self._ask:
            name, following = json.loads(line)
            for report in runtestprotocol(items[name], log=False, nextitem=items.get(following)):
                data = session.config.hook.pytest_report_to_serializable(config=session.config, report=report)
                self._say(data)
            self._say(None)
        return True

    def _say(self, what: object) -> None:
        self._tell.write(json.dumps(what) + "\n")
        self._tell.flush()


if __name__ == "__main__":
    _folder, _ask, _tell = sys.argv[1:]
    sys.exit(pytest.main([_folder, "-n0", "-p", "no:cacheprovider"], plugins=[_Told(int(_ask), int(_tell))]))
