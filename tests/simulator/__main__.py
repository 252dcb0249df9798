"""Plays schedules: `python -m tests.simulator [N] [--first SEED] [--seed N] [--trace] [--jobs J]`, or `recall`."""

from __future__ import annotations

import argparse
import gc
import os
import sys

from tests.simulator.play import play, replay, spread
from tests.simulator.recall import main as recall


def main(arguments: list[str]) -> int:
    """Play what is asked for; the exit status says whether a schedule broke something."""
    if arguments[:1] == ["recall"]:
        return recall(arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=100_000, help="how many schedules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one alone")
    parser.add_argument("--trace", action="store_true", help="with --seed: tell everything that happens")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    asked = parser.parse_args(arguments)
    if asked.seed is not None:
        sys.stdout.write(replay(asked.seed, trace=asked.trace))
        return bool(play(asked.seed, 1).found)
    gc.freeze()  # what a schedule makes goes with it: looking for more of it again and again takes time
    gc.set_threshold(50_000)
    tally = spread(asked.first, asked.number, asked.jobs)
    sys.stdout.write(tally.told())
    return bool(tally.found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
