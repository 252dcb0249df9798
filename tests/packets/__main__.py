"""Prints the tables of docs/how-it-is-tested.md, and what is missing to make them.

python -m tests.packets failover | throughput | missing
"""

from __future__ import annotations

import sys

from tests.packets import enter


def main() -> int:
    """Go inside, and measure there."""
    match sys.argv[1:]:
        case ["missing"]:
            sys.stdout.writelines(f"{package}\n" for package in enter.packages())
            return int(bool(enter.packages()))
        case ["failover" | "throughput" as what]:
            return _measure(what)
    sys.stderr.write(f"usage: {__doc__.splitlines()[-1]}\n" if __doc__ else "")
    return 2


def _measure(what: str) -> int:
    if not enter.inside():
        if reason := enter.lacking():
            sys.stderr.write(f"{reason}\n")
            return 1
        return enter.call("tests.packets", what)
    from tests.packets import failover, throughput  # noqa: PLC0415 - loading moto takes a second, outside for nothing
    from tests.packets.lab import Lab  # noqa: PLC0415 - same

    with Lab() as lab:
        lab.moor()
        if what == "failover":
            shown = failover.table(failover.measure(lab, case) for case in failover.CASES)
        else:
            shown = throughput.table(throughput.measure(lab, seconds=3, rounds=5))
        sys.stdout.write(f"{shown}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
