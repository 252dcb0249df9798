"""Plants bugs one at a time and counts the seeds until the simulator finds each: `python -m tests.simulator recall`."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulator.planted import BESIDE, MACHINES, ONCE_SO
from tests.simulator.schedule import Schedule

if TYPE_CHECKING:
    from tests.mutants import Mutant

ROOT = Path(__file__).parents[2]
CHUNK = 200


@dataclass(frozen=True, slots=True)
class Recall:
    """What became of a planted bug: the first seed that shows it and what it shows, or why there is none."""

    bug: str
    seed: int | None
    said: str


def hunt(first: int, number: int) -> int:
    """Play schedules and print each that breaks something, in a tree that has a bug planted."""
    for seed in range(first, first + number):
        violations = Schedule(seed).play().judge.violations
        if violations:
            sys.stdout.write(f"{seed}\t{violations[0].kind}: {violations[0].detail}\n")
            sys.stdout.flush()
    return 0


def sought(mutant: Mutant, most: int) -> Recall:
    """Plant a bug in a copy of the code, and play until a schedule shows it that is well without it."""
    with tempfile.TemporaryDirectory() as place:
        for folder in ("chalicelib", "tests", ".chalice"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / folder, Path(place) / folder, ignore=ignored)
        for part in mutant.parts:
            path = Path(place) / "chalicelib" / part.file
            text = path.read_text(encoding="utf-8")
            if text.count(part.old) != 1:
                return Recall(mutant.bug, None, f"the text to change is there {text.count(part.old)} times")
            path.write_text(text.replace(part.old, part.new), encoding="utf-8")
        command = [sys.executable, "-m", "tests.simulator", "recall", "--hunt", str(most)]
        with subprocess.Popen(  # noqa: S603 - our own code
            command, cwd=place, env=os.environ | {"PYTHONPATH": place}, stdout=subprocess.PIPE, text=True
        ) as hunter:
            for line in hunter.stdout or ():
                seed, _, said = line.strip().partition("\t")
                if not seed.isdigit():
                    continue
                if not Schedule(int(seed)).play().judge.violations:
                    hunter.kill()
                    return Recall(mutant.bug, int(seed), said)
            if hunter.wait():
                return Recall(mutant.bug, None, "the simulator itself failed")
    return Recall(mutant.bug, None, f"not found in {most:,} schedules")


def main(arguments: list[str]) -> int:
    """Hunt every planted bug; the exit status says whether all were found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator recall", description=__doc__)
    parser.add_argument("--most", type=int, default=20_000, help="schedules for each bug")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="bugs whose name this regular expression finds")
    parser.add_argument("--hunt", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.hunt is not None:
        return hunt(0, asked.hunt)
    lost = 0
    chosen = [m for m in (*ONCE_SO, *BESIDE, *MACHINES) if re.search(asked.only, m.bug)]
    with ThreadPoolExecutor(asked.jobs) as pool:
        for recall in pool.map(partial(sought, most=asked.most), chosen):
            lost += recall.seed is None
            found = "lost" if recall.seed is None else f"{recall.seed + 1:,}"
            sys.stdout.write(f"| {recall.bug} | {found} | {recall.said} |\n")
            sys.stdout.flush()
    return bool(lost)
