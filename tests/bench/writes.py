"""What a write costs the processor, beside the same write by botocore's own client. `python -m tests.bench.writes`."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table as Grid

from tests.bench.share import WHOLE, Share
from tests.bench.site import Site, by_tls
from tests.bench.tls import Latency
from tests.fake_aws.world import World

if TYPE_CHECKING:
    from tests.bench.site import Worker
    from tests.bench.tls import TlsServer

SIZES, ROUNDS, LATENCY = (1, 10, 100), 9, Latency(0.03, 0.03)


def table_of_writes(world: World, tls: TlsServer) -> Grid:
    """Measure both ways in turn, on connections that are new and on those of the round before; medians."""
    grid = Grid(title="Processor time of a write: milliseconds", box=MARKDOWN)
    for column in ("writes at once", "connections", "botocore's client", "Mooring", "ratio"):
        grid.add_column(column, justify="right")
    for size in SIZES:
        site = Site(world, tls, size)
        with site.worker("botocore's writes") as theirs, site.worker("writes") as ours:
            for connections, cold in (("new", True), ("kept", False)):
                took = [
                    (_milliseconds(site, theirs, cold=cold), _milliseconds(site, ours, cold=cold))
                    for _ in range(ROUNDS)
                ]
                per = [median(column) / size for column in zip(*took, strict=True)]
                grid.add_row(
                    str(size), connections, *(f"{each:.2f}" for each in per), f"{per[1] / per[0]:.2f}"
                )
    return grid


def _milliseconds(site: Site, worker: Worker, *, cold: bool) -> float:
    return site.measure(worker, LATENCY, Share(WHOLE), cold=cold).processor * 1000


def main() -> None:
    """Print the table."""
    with World() as world, by_tls(world) as tls:
        Console(width=160).print(table_of_writes(world, tls))


if __name__ == "__main__":
    main()
