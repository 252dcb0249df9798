"""The pytest that lives inside the lab's namespaces: runs the tests it is told of, one by one, and reports each.

python -m tests.lab.inside ASK TELL     two file descriptors; see conftest.py
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol  # what pytest-xdist's own worker does, and rerunfailures


class Told:
    """A pytest plugin that takes the order of the tests from outside."""

    def __init__(self, ask: int, tell: int) -> None:
        self._ask, self._tell = os.fdopen(ask), os.fdopen(tell, "w")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run what is asked for until nobody asks any more."""
        items = {item.nodeid: item for item in session.items}
        for line in self._ask:
            name, following = json.loads(line)
            for report in runtestprotocol(items[name], log=False, nextitem=items.get(following)):
                self._say(
                    session.config.hook.pytest_report_to_serializable(config=session.config, report=report)
                )
            self._say(None)
        return True

    def _say(self, what: object) -> None:
        self._tell.write(json.dumps(what) + "\n")
        self._tell.flush()


if __name__ == "__main__":
    told = Told(int(sys.argv[1]), int(sys.argv[2]))
    folder = str(Path(__file__).parent)
    sys.exit(pytest.main([folder, "-n0", "-p", "no:cacheprovider"], plugins=[told]))
