"""What tests share: hypothesis's profiles, so that a count of examples is a fact, and one embedded AWS."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hypothesis import Phase, settings

from tests.fake_aws.fixtures import embedded, world

if TYPE_CHECKING:
    import pytest

__all__ = ["embedded", "world"]

settings.register_profile("steady", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("mutants", settings.get_profile("steady"), max_examples=30, phases=[Phase.generate])
settings.load_profile("steady")


LONGEST = ("router_os/test_cut_off", "packets/", "router_os/test_hostile", "simulator/test_schedules")
"""What takes longest, as parts of node ids: `pytest --durations=50` tells."""

MEASURED = ("router_os/test_push",)
"""What counts lost pings of 10 ms: last, when least runs beside it."""


def pytest_xdist_auto_num_workers() -> int:
    """Start two workers more than there are cores: one mostly waits for the lab, one for a router's operating system."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest and mostly waits, so that the rest is done beside it; end with what is measured."""
    items.sort(key=lambda item: _turn(item.nodeid))


def _turn(nodeid: str) -> int:
    if any(path in nodeid for path in MEASURED):
        return len(LONGEST) + 1
    return next((turn for turn, path in enumerate(LONGEST) if path in nodeid), len(LONGEST))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:  # noqa: ANN401 - xdist has no types
    """Send a file's tests to one worker, and all that share the lab: two labs at once would disturb each other.

    The verdicts on the office's side need no lab. The simulator's schedules are parted between the workers: each of its
    tests takes seconds.
    """
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - the workers need it not

    lab, schedules, alone = (
        "tests/packets/",
        "tests/simulator/test_schedules.py",
        "tests/packets/test_verdicts.py",
    )
    scheduler = LoadFileScheduling(config, log)
    by_file = scheduler._split_scope

    def scope(nodeid: str) -> str:
        if nodeid.startswith(schedules):
            return nodeid
        shared = nodeid.startswith(lab) and not nodeid.startswith(alone)
        return lab if shared else str(by_file(nodeid))

    scheduler._split_scope = scope
    return scheduler
