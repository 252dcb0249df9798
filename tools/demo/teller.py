"""Tells one router's life through the functions as they are deployed, each step judged by an oracle."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Column
from rich.table import Table as Grid

from chalicelib.cli.terminal import line
from chalicelib.core.errors import ControllerError
from chalicelib.core.network.report import RESULTS
from tests.fake_aws import World
from tests.oracle import untouched
from tests.package.deployment import deploy
from tests.package.e2e import ON_EVENT, WORKER, Mooring
from tests.package.inprocess import in_process
from tests.packets import enter
from tools.demo.story import PREPARED, STORY
from tools.package import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.cli.terminal import Terminal
    from tests.package.e2e import Office
    from tests.package.router import Served
    from tools.demo.story import Scene

EXTRA_TABLES = 3

_WIDEST = max(map(len, RESULTS.values()))


def run(console: Terminal) -> bool:
    """Tell the whole story; say whether the oracle agreed with every step."""
    with World() as world, tempfile.TemporaryDirectory(prefix="mooring-demo-") as folder:
        console.print("[bold]Mooring[/]: its own stack, and examples/network.yaml, on an embedded AWS")
        deployment = deploy(world, render(Path(folder)))
        with in_process(world, deployment) as functions:
            mooring = Mooring(world, deployment, functions)
            rules, functions_made = len(deployment.rules), ", ".join(functions)
            console.print(f"from the packaged template: {rules} rules, a FIFO queue, {functions_made}\n")
            teller = _Teller(console, mooring)
            office = mooring.network("office", EXTRA_TABLES, RouterCount="2", BootstrapSsh="open")
            for scene in STORY:
                teller.tell(scene, office)
            branch = mooring.network("branch", RouterMode="prepared-interface")
            branch.declare()
            mooring.router.settle()
            teller.tell(PREPARED, branch)
        teller.sum_up()
        return teller.agreed


def run_packets(console: Terminal) -> bool:
    """Tell it in packets, in namespaces of its own; say whether every flow came back.

    Raises:
        ControllerError: this machine lacks a tool or a right that it takes.
    """
    if reason := enter.lacking():
        what, _, hint = reason.partition(": ")
        raise ControllerError(what, hint=hint)
    return enter.call("tests.packets.demo", to=console.file) == 0


@dataclass(frozen=True)
class _Row:
    """What the last table says of a step."""

    title: str
    verdict: str
    runs: int
    calls: int
    writes: int
    complaints: tuple[str, ...]


class _Teller:
    """Has each scene happen, says what Mooring was told and did, and remembers whether the oracle agreed."""

    def __init__(self, console: Terminal, mooring: Mooring) -> None:
        self.console, self.mooring = console, mooring
        self.rows: list[_Row] = []

    @property
    def agreed(self) -> bool:
        """Whether nothing was ever said against Mooring."""
        return not any(row.complaints for row in self.rows)

    def tell(self, scene: Scene, office: Office) -> None:
        """Have it happen, let AWS wake Mooring, and ask the oracle."""
        self.mooring.forget()
        self.console.print(f"[bold]{len(self.rows) + 1:2}  {scene.title}[/]")
        self.console.print(f"   happened  {scene.happen(office)}")
        before = office.facts()
        self._pass(scene.ticks)
        reports = list(self._reports(office))
        self._say(reports)
        complaints = [*scene.proof(office, before), *untouched(office.topology, before, office.facts())]
        verdicts = [str(report["verdict"]) for report in reports]
        verdict = next((v for v in verdicts if v != "converged"), "converged" if verdicts else "silent")
        complaints += [f"the verdict should be {scene.verdict}, not {v}" for v in {verdict} - {scene.verdict}]
        asked = [call for call in self.mooring.world.calls if call.by == "product"]
        writes = len(self.mooring.writes())
        self._prove(complaints, f"{len(asked)} AWS calls, {writes} EC2 writes")
        row = _Row(scene.title, verdict, len(reports), len(asked), writes, tuple(complaints))
        self.rows.append(row)

    def sum_up(self) -> None:
        """Print every step with its runs, calls and writes, and the oracle's word on it."""
        names = ("verdict", "runs", "calls", "writes", "oracle")
        grid = Grid("", "step", *(Column(name, no_wrap=True) for name in names), box=None)
        for number, row in enumerate(self.rows, start=1):
            word = "[red]disagrees" if row.complaints else "[green]agrees"
            numbers = (str(row.runs), str(row.calls), str(row.writes))
            grid.add_row(str(number), row.title, row.verdict, *numbers, word)
        self.console.print(grid)
        wrong = sum(bool(row.complaints) for row in self.rows)
        disagrees = f"[red]The oracle disagrees with {wrong} steps."
        self.console.print(f"\n{disagrees if wrong else '[green]The oracle agrees with every step.'}")

    def _pass(self, ticks: int) -> None:
        """Deliver what happened; then let that many minutes pass, and what could not be served come again."""
        router = self.mooring.router
        router.settle()
        for _ in range(ticks):
            router.tick()
            router.settle()
        while router.visible_again():
            router.settle()

    def _reports(self, office: Office) -> Iterator[dict[str, Any]]:
        """Read from the worker's log what it said of its runs."""
        for served in self.mooring.served(WORKER):
            for record in served.answer.records:
                if record.get("report", {}).get("topology") == office.name:
                    yield record["report"]

    def _say(self, reports: list[dict[str, Any]]) -> None:
        for told, same in groupby(map(_told, self.mooring.served(ON_EVENT))):
            times = f", {count} times" if (count := len(list(same))) > 1 else ""
            self.console.say(line(f"   event     {told}{times}"))
        telling = [r for r in reports if r["verdict"] != "converged"] or reports[-1:]
        for report in telling:
            for change in report["changes"]:
                self.console.say(line(f"   mooring   {_outcome(change)}"))
            self.console.say(line(f"   mooring   {report['sentence']}"))
        if quiet := len(reports) - len(telling):
            self.console.say(line(f"   mooring   and {quiet} times: everything is as declared"))

    def _prove(self, complaints: list[str], counted: str) -> None:
        for complaint in complaints:
            self.console.print(f"   [red]proof     {complaint}[/]")
        if not complaints:
            self.console.print(f"   [green]proof[/]     the oracle agrees ({counted})")
        self.console.print()


def _told(served: Served) -> str:
    """Return what an event was, and whom it woke."""
    detail = served.event["detail"]
    about = (detail.get(key) for key in ("instance-id", "EC2InstanceId", "name", "state", "operation"))
    woken = ", ".join(served.answer.payload["woken"]) or "nobody"
    return " ".join([served.event["detail-type"], *filter(None, about), "->", woken])


def _outcome(change: dict[str, Any]) -> str:
    failure = change["failure"]
    why = f"{failure['code']}: {failure['message']}" if failure else f"because {change['because']}"
    return f"{RESULTS[change['result']]:<{_WIDEST}}   {change['line']}   {why}"
