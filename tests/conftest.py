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


def pytest_xdist_auto_num_workers() -> int:
    """Start two workers more than there are cores: one mostly waits for the lab, one for a router's operating system."""
    return (os.cpu_count() or 1) + 2


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:  # noqa: ANN401 - xdist has no types
    """Send a file's tests to one worker, and all of the lab's: two labs at once would disturb each other.

    The simulator's schedules are parted between the workers: each of its tests takes seconds.
    """
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - the workers need it not

    lab, schedules = "tests/packets/", "tests/simulator/test_schedules.py"
    scheduler = LoadFileScheduling(config, log)
    by_file = scheduler._split_scope

    def scope(nodeid: str) -> str:
        if nodeid.startswith(schedules):
            return nodeid
        return lab if nodeid.startswith(lab) else str(by_file(nodeid))

    scheduler._split_scope = scope
    return scheduler
