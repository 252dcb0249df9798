"""What each memory size costs in a month and how long it takes. `python -m tests.bench.memory`."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table as Grid

from tests.bench.cost import MINUTES, PRICES
from tests.bench.failover import MOORING
from tests.bench.share import Share
from tests.bench.site import Site, by_tls
from tests.bench.tls import Latency
from tests.fake_aws.world import World

if TYPE_CHECKING:
    from tests.bench.site import Measured
    from tests.bench.tls import TlsServer

MEMORIES = (256, 512, 1024, 1769)
SIZES = (1, 10, 100)
LATENCY, ROUNDS = Latency(0.03, 0.03), 5


def choices(world: World, tls: TlsServer) -> Grid:
    """Measure quiet runs and failovers on each share in turn; medians, and the month of quiet runs once a minute."""
    grid = Grid(title=f"The worker's memory, at {LATENCY} a call, every connection new", box=MARKDOWN)
    for column in (
        "private tables", "MB", "quiet run", "a month's GB-seconds", "$ a month", "last private default", "verified",
        "processor time / share: quiet", "failover",
    ):  # fmt: skip
        grid.add_column(column, justify="right")
    for size in SIZES:
        site = Site(world, tls, size)
        quiet: dict[int, list[Measured]] = {memory: [] for memory in MEMORIES}
        moved: dict[int, list[Measured]] = {memory: [] for memory in MEMORIES}
        with site.worker(MOORING) as worker:
            for _ in range(ROUNDS):
                for memory in MEMORIES:
                    quiet[memory].append(site.quiet(worker, LATENCY, Share(memory)))
                    moved[memory].append(site.failover(worker, LATENCY, Share(memory)))
        for memory in MEMORIES:
            seconds = median(run.verified for run in quiet[memory])
            taken = MINUTES * seconds * memory / 1024
            grid.add_row(
                str(size),
                str(memory),
                f"{seconds:.2f} s",
                f"{taken:,.0f}",
                f"{PRICES['Lambda GB-seconds'].of(taken, free=False):.3f}",
                f"{median(run.last_default(site.tables) for run in moved[memory]):.2f} s",
                f"{median(run.verified for run in moved[memory]):.2f} s",
                *(
                    f"{median(run.processor for run in runs) / Share(memory).part:.2f} s"
                    for runs in (quiet[memory], moved[memory])
                ),
            )
    return grid


def main() -> None:
    """Print the table."""
    with World() as world, by_tls(world) as tls:
        Console(width=160).print(choices(world, tls))


if __name__ == "__main__":
    main()
