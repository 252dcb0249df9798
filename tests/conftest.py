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


LONGEST = (
    "router_os/test_cut_off",
    "packets/test_",
    "router_os/test_hostile",
    "router_os/",
    "packets/",
    "simulator/test_schedules",
)
"""Where the longest waits are, as parts of node ids; python -m pytest --durations=50 tells."""


def pytest_xdist_auto_num_workers() -> int:
    """Start two workers more than there are cores: one mostly waits for the lab, one for a router's operating system."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest and mostly waits, so that the rest is done beside it."""
    items.sort(
        key=lambda item: next((n for n, path in enumerate(LONGEST) if path in item.nodeid), len(LONGEST))
    )


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
