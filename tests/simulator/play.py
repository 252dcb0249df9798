"""Plays many schedules, in as many processes as there are cores, and tells what was broken and how to see it again."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulator.schedule import Schedule

CHUNK = 500
"""Schedules that a process plays in one go."""


@dataclass
class Tally:
    """What schedules came to. `found` has, for each kind of violation, how often and the first seed with its detail."""

    schedules: int = 0
    runs: int = 0
    calls: int = 0
    writes: int = 0
    seconds: float = 0.0
    broken: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    found: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Add what others came to."""
        self.schedules += other.schedules
        self.runs += other.runs
        self.calls += other.calls
        self.writes += other.writes
        self.seconds += other.seconds
        self.broken += other.broken
        self.counts.update(other.counts)
        for kind, first in other.found.items():
            self.found[kind] = min(first, self.found.get(kind, first))

    def told(self) -> str:
        """Tell it all, the most frequent first."""
        speed = self.schedules / max(self.seconds, 0.001)
        played = (
            f"{self.schedules:,} schedules, {self.runs:,} runs, {self.calls:,} calls, {self.writes:,} writes"
        )
        took = f"{self.seconds:.0f} s of processor time ({speed:.0f} a second and core)"
        lines = [f"{played} in {took}; {self.broken:,} broke something"]
        for kind, count in self.counts.most_common():
            seed, detail = self.found[kind]
            lines += [f"{count:7,}  {kind}", f"         {detail}", f"         {command(seed)}"]
        return "\n".join(lines) + "\n"


def command(seed: int) -> str:
    """Return the command that plays a schedule again."""
    return f"python -m tests.simulator --seed {seed} --trace"


def play(first: int, number: int) -> Tally:
    """Play the schedules of a range of seeds; of each that broke something, the first violation counts."""
    tally, began = Tally(), time.process_time()
    for seed in range(first, first + number):
        schedule = Schedule(seed).play()
        tally.schedules += 1
        tally.runs += schedule.runs
        tally.calls += schedule.course.calls
        tally.writes += schedule.writes
        if schedule.judge.violations:
            violation = schedule.judge.violations[0]
            tally.broken += 1
            tally.counts[violation.kind] += 1
            tally.found.setdefault(violation.kind, (seed, violation.detail))
    tally.seconds = time.process_time() - began
    return tally


def spread(first: int, number: int, jobs: int) -> Tally:
    """Play a range of seeds in several processes."""
    tally = Tally()
    starts = range(first, first + number, CHUNK)
    sizes = [min(CHUNK, first + number - start) for start in starts]
    if jobs <= 1:
        for start, size in zip(starts, sizes, strict=True):
            tally.add(play(start, size))
        return tally
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        for part in pool.map(play, starts, sizes):
            tally.add(part)
    return tally


def replay(seed: int, *, trace: bool) -> str:
    """Play one schedule and tell what happened, or only what was broken."""
    schedule = Schedule(seed, trace=trace).play()
    lines = [f"seed {seed}: {', '.join(sorted(schedule.features)) or 'no trouble'}"]
    lines += schedule.course.lines or []
    lines += [f"{v.kind}: {v.detail}" for v in schedule.judge.violations] or ["nothing was broken"]
    return "\n".join(lines) + "\n"
