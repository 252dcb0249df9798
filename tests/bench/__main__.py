"""`make bench`: failovers on Lambda's share of a processor, beside two loops; writes; cold starts; a fleet; a month's cost."""

from __future__ import annotations

from rich.console import Console

from tests.bench import cost, failover
from tests.bench.coldstart import cold_start
from tests.bench.fleet import fleet
from tests.bench.memory import choices
from tests.bench.site import by_tls
from tests.bench.writes import table_of_writes
from tests.fake_aws.world import World


def main() -> None:
    """Measure everything and print it."""
    console = Console(width=160)
    with World() as world, by_tls(world) as tls:
        for measure in (failover.times, failover.calls, failover.bucket, table_of_writes, choices):
            console.print(measure(world, tls))
    console.print(cold_start())
    for part in fleet():
        console.print(part, highlight=False, soft_wrap=isinstance(part, str))
    cost.main()


if __name__ == "__main__":
    main()
