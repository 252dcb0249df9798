"""The processor that Lambda gives for a memory size: a quota of the kernel's where one may be set."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = 1769
"""Megabytes for which Lambda gives one vCPU (Lambda developer guide, "Configure Lambda function memory")."""

PERIOD = 20_000
"""Microseconds in which a quota is given anew: the shorter, the more evenly a share is spread."""

_ROOTS = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/cpu")


@dataclass(frozen=True)
class Share:
    """What a function of that much memory has of one processor."""

    mebibytes: int

    @property
    def part(self) -> float:
        """Of a processor; a second one helps nothing, since Python's threads take turns."""
        return min(1.0, self.mebibytes / WHOLE)

    @contextlib.contextmanager
    def held(self, pid: int) -> Iterator[bool]:
        """Hold a process to it; returns whether the kernel let us."""
        group = _make(int(self.part * PERIOD))
        if group is None:
            yield False
            return
        (group / "cgroup.procs").write_text(str(pid))
        try:
            yield True
        finally:
            with contextlib.suppress(OSError):  # the process may have ended
                (group.parent / "cgroup.procs").write_text(str(pid))
            with contextlib.suppress(OSError):
                group.rmdir()


def _make(quota: int) -> Path | None:
    """Make a group of processes with a quota, in cgroup v2 or v1; None where there is neither, or no right to."""
    for root in _ROOTS:
        group = root / f"mooring-bench-{os.getpid()}"
        try:
            group.mkdir(exist_ok=True)
        except OSError:
            continue
        for file, content in (
            ("cpu.max", f"{quota} {PERIOD}"),
            ("cpu.cfs_period_us", str(PERIOD)),
            ("cpu.cfs_quota_us", str(quota)),
        ):
            if (group / file).exists():
                (group / file).write_text(content)
        if (group / "cpu.max").exists() or (group / "cpu.cfs_quota_us").exists():
            return group
        group.rmdir()
    return None
