"""What a month of Mooring costs: counted from the packaged template and the metrics of a run. `python -m tests.bench.cost`."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.aws.telemetry import ALARMING, ALWAYS, MACHINES, measures
from chalicelib.core.machines.machine import Inspection, Machine
from chalicelib.core.network.election import Election
from chalicelib.core.network.observation import Instance, Interface
from chalicelib.core.network.report import Report
from tests.package.template import of_type, translate
from tools.package import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.package.template import Template

MINUTES = 730 * 60
"""Of AWS's month."""

FLEETS = (1, 10, 100, 1000)

RUN_SECONDS = 0.3
"""Of either function in a quiet minute, on AWS: an assumption. `tests.bench.fleet` measures less, at 30 ms a call."""

LOG_BYTES = 4000
"""At most, of a topology's quiet minute, Lambda's own lines included; tests/package/test_e2e.py holds the functions to it."""

POLLS = 5 * 3
"""Of the queue in a minute in which nothing comes: five pollers that wait 20 s each (Lambda developer guide, "SQS scaling")."""

REQUESTS = 2.1
"""Of SQS for a wake-up: a tenth of a batch that is sent, one receipt, one deletion."""


@dataclass(frozen=True)
class Price:
    """US dollars for one unit in us-east-1 (the services' pricing pages), and the units an account gets for nothing."""

    unit: float
    free: float = 0.0

    def of(self, quantity: float, *, free: bool) -> float:
        """Return what a quantity costs."""
        return self.unit * max(0.0, quantity - (self.free if free else 0.0))


PRICES = {
    "metrics": Price(0.30, free=10),
    "alarms": Price(0.10, free=10),
    "composite alarms": Price(0.50),
    "dashboards": Price(3.00, free=3),
    "Lambda GB-seconds": Price(0.0000133334, free=400_000),
    "Lambda requests": Price(0.20e-6, free=1_000_000),
    "SQS requests": Price(0.50e-6, free=1_000_000),
    "DynamoDB reads": Price(0.125e-6),
    "log GB": Price(0.50, free=5),
}


def metrics(topologies: int, *, tunnels: bool = True) -> int:
    """Count the metrics that quiet runs tell: those that alarms watch once, the rest for each topology."""
    told = measures(quiet_report(tunnels=tunnels), NOW)
    own = [name for name, (value, _) in told.items() if value or name in ALWAYS]
    return (
        len([name for name in (*ALARMING, *MACHINES) if name in own or name in ALARMING])
        + len(own) * topologies
    )


NOW = datetime.now(UTC)


def quiet_report(*, tunnels: bool) -> Report:
    """Return the report of a quiet run: with a tunnel, its router says that all is well."""
    router = Instance("i-00000000000000001", "running", NOW)
    election = Election(router, Interface("eni-00000000000000001", "subnet-1", ("10.0.0.8",)), "it stays")
    word = Inspection(NOW, "0" * 64, forwarding=True, holds_address=True, tunnel="CONNECTED", grown=1000)
    machines = (Machine(router.id, inspection=word),) if tunnels else ()
    return Report("office", "converged", "tick", NOW, NOW, election, machines=machines)


def quantities(template: Template, topologies: int, *, tunnels: bool = True) -> dict[str, float]:
    """Return what a quiet month takes, in the units of `PRICES`; without tunnels, `RouterAlarms` is no."""
    functions = of_type(template, "AWS::Lambda::Function")
    tick, run = (functions[name]["Properties"]["MemorySize"] / 1024 for name in ("OnEvent", "Reconcile"))
    alarms = [
        alarm
        for alarm in of_type(template, "AWS::CloudWatch::Alarm").values()
        if tunnels or alarm.get("Condition") != "HasRouterAlarms"
    ]
    return {
        "metrics": metrics(topologies, tunnels=tunnels),
        # An alarm on an expression costs as much as one on each of its metrics.
        "alarms": sum(len(alarm["Properties"].get("Metrics", ["its one"])) for alarm in alarms),
        "composite alarms": len(of_type(template, "AWS::CloudWatch::CompositeAlarm")),
        "dashboards": len(of_type(template, "AWS::CloudWatch::Dashboard")),
        "Lambda GB-seconds": MINUTES * RUN_SECONDS * (tick + run * topologies),
        "Lambda requests": MINUTES * (1 + topologies),
        "SQS requests": MINUTES * (POLLS + REQUESTS * topologies),
        "DynamoDB reads": MINUTES * topologies,
        "log GB": MINUTES * LOG_BYTES * topologies / 1e9,
    }


def total(template: Template, topologies: int, *, free: bool, tunnels: bool = True) -> float:
    """Return a month's dollars, with what an account gets for nothing, or where others have used that up."""
    taken = quantities(template, topologies, tunnels=tunnels)
    return sum(price.of(taken[name], free=free) for name, price in PRICES.items())


def table(template: Template) -> Iterator[str]:
    """Write the month of every size of fleet, in Markdown."""
    taken = {size: quantities(template, size) for size in FLEETS}
    heads = ["a month of", *(f"{size:,} topolog{'y' if size == 1 else 'ies'}" for size in FLEETS)]
    yield _row([*heads, "$ each", "free"])
    yield _row(["---"] * (len(heads) + 2))
    for name, price in PRICES.items():
        each = f"{price.unit:.2f}" if price.unit > 0.01 else f"{price.unit * 1e6:.3f} per million"
        numbers = [_number(taken[size][name]) for size in FLEETS]
        yield _row([name, *numbers, each, _number(price.free) if price.free else ""])
    for said, free, tunnels in (
        ("**$, free tier unused by others**", True, True),
        ("**$, the same without tunnels and `RouterAlarms`**", True, False),
        ("**$, free tier used up by others**", False, True),
    ):
        dollars = [f"**{total(template, size, free=free, tunnels=tunnels):,.2f}**" for size in FLEETS]
        yield _row([said, *dollars, "", ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(quantity: float) -> str:
    return f"{quantity:,.0f}" if quantity >= 10 or quantity == int(quantity) else f"{quantity:,.2f}"


def main() -> int:
    """Print the table that docs/cost.md shows."""
    with tempfile.TemporaryDirectory(prefix="mooring-bench-") as folder:
        sys.stdout.writelines(f"{line}\n" for line in table(translate(render(Path(folder)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
