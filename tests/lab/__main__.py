"""Prints the tables of docs/how-it-is-tested.md: `python -m tests.lab failover` or `throughput`."""

from __future__ import annotations

import sys

from tests.lab import enter


def main() -> int:
    """Go inside, and measure there."""
    if sys.argv[1:] not in (["failover"], ["throughput"]):
        sys.stderr.write("usage: python -m tests.lab failover|throughput\n")
        return 2
    if not enter.inside():
        if reason := enter.lacking():
            sys.stderr.write(f"{reason}\n")
            return 1
        return enter.call("tests.lab", *sys.argv[1:])
    from tests.lab import failover, throughput  # noqa: PLC0415 - loading moto takes a second, and outside nobody needs it
    from tests.lab.lab import Lab  # noqa: PLC0415 - same

    with Lab() as lab:
        lab.moor()
        if sys.argv[1] == "failover":
            shown = failover.table(failover.measure(lab, case) for case in failover.CASES)
        else:
            shown = throughput.table(throughput.measure(lab, seconds=3, rounds=5))
        sys.stdout.write(f"{shown}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
