"""The verbs about the routers' configuration: push it, and confirm what was pushed on condition."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.text import Text

from chalicelib.cli.ask import PATIENCE, Wait, Way, carry_out, seconds_of
from chalicelib.cli.named import declared
from chalicelib.cli.options import Name, Yes, read_as, read_instance_id
from chalicelib.cli.render import Run, plan_lines, run_lines
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.controller import operator
from chalicelib.controller.reconcile import preview
from chalicelib.core.network.change import PushConfig, short
from chalicelib.core.network.report import as_json
from chalicelib.core.network.topology import Topology
from chalicelib.core.request import Request

_LOOKS = timedelta(seconds=2)

To = Annotated[
    str | None,
    typer.Option(metavar="ID", help="One candidate, instead of all of them.", show_default=False),
]


def push(
    shell: Shell,
    name: Name = None,
    *,
    to: To = None,
    confirm_within: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Go back unless `mooring confirm` comes within this time, such as 5m.",
            show_default=False,
        ),
    ] = None,
    yes: Yes = False,
    wait: Wait = PATIENCE,
) -> int:
    """Push the declared configuration to the routers now, whatever the change window, and wait for their word.

    Shows what is pushed and asks first; without a terminal it needs --yes. The deployed worker sends it. A router that
    cannot take it, or loses its way home with it, stays as it was or goes back by itself.

    Exit status: 0 every router said that it has it, 1 otherwise.
    """
    within = (
        None
        if confirm_within is None
        else read_as("--confirm-within", confirm_within, operator.confirm_within)
    )
    seconds, topology = seconds_of(wait), declared(shell.edge, name)
    request = Request(action="push", to=read_instance_id(to), confirm_within=within)
    shown = preview(topology, shell.edge, request)
    pushes = tuple(o.change for o in shown.outcomes if isinstance(o.change, PushConfig))
    if shown.error or shown.refusal or not pushes:
        nothing = [] if shown.error or shown.refusal else [line("no router can be pushed to now")]
        shell.show([*plan_lines(shown), *nothing], as_json(shown))
        return 1
    shell.say(plan_lines(shown))
    if not yes and not shell.agree("Push?"):
        shell.say([line("nothing was pushed")])
        return 1
    wanted = {change.instance_id: change.bundle.digest for change in pushes}
    return _send(shell, topology, request, seconds, wanted)


def confirm(shell: Shell, name: Name = None, *, to: To = None, wait: Wait = PATIENCE) -> int:
    """Keep what was pushed with --confirm-within.

    Exit status: 0 every router on trial said that it keeps it, 1 otherwise.
    """
    seconds, topology = seconds_of(wait), declared(shell.edge, name)
    request = Request(action="confirm", to=read_instance_id(to))
    shown = preview(topology, shell.edge, request)
    if shown.error:
        shell.show(plan_lines(shown), as_json(shown))
        return 1
    tried = {
        m.instance_id: m.provisional.digest
        for m in shown.machines
        if m.provisional and to in (None, m.instance_id)
    }
    return _send(shell, topology, request, seconds, tried)


def _send(shell: Shell, topology: Topology, request: Request, seconds: float, wanted: dict[str, str]) -> int:
    """Have the worker send it, and look until every machine has answered; what was sent goes on, whoever looks."""
    run = carry_out(shell, topology, request, Way(seconds))
    shell.say(run_lines(run))
    stopped = run["verdict"] not in ("converged", "repaired", "pending", "drifting")
    if stopped and (request.action == "push" or run["error"]):  # a confirmation is sent in a pause, too
        shell.show((), run)
        return 1
    with shell.waiting("the routers answer"):
        run = _answers(shell, topology, seconds, wanted)
    said = {m["instance_id"]: m for m in run["machines"] if m["instance_id"] in wanted}
    shell.show(_words(said, wanted, topology.name), run)
    settled = request.action == "push" or not any(machine["trial"] for machine in said.values())
    return 0 if settled and all(_took(said.get(i), digest) for i, digest in wanted.items()) else 1


def _answers(shell: Shell, topology: Topology, seconds: float, wanted: dict[str, str]) -> Run:
    """Look until no machine has a command on its way, or time is over."""
    ports = shell.edge
    deadline = ports.clock.now() + timedelta(seconds=seconds)
    while True:
        run: Run = as_json(preview(topology, ports, Request()))
        busy = [m for m in run["machines"] if m["instance_id"] in wanted and m["command"]]
        if not (busy or run["error"]) or ports.clock.now() >= deadline:
            return run
        ports.clock.sleep(_LOOKS.total_seconds())


def _took(machine: dict[str, Any] | None, digest: str) -> bool:
    """Return whether a machine has a configuration, and did not fail to take it when it had it already."""
    if machine is None or machine["command"] or not machine["said"]:
        return False
    failed = machine["setback"] and machine["setback"]["digest"] == digest
    return bool(machine["said"]["digest"] == digest and not failed)


def _words(said: dict[str, dict[str, Any]], wanted: dict[str, str], name: str) -> Iterator[Text]:
    for instance_id, digest in wanted.items():
        machine = said.get(instance_id)
        if machine is None or machine["command"]:
            yield line(
                f"{instance_id} ",
                ("has not answered yet", "yellow"),
                f"; `mooring status {name}` tells later",
            )
        elif _took(machine, digest) and machine["trial"]:
            yield line(
                f"{instance_id} ",
                (f"has {short(digest)} on trial", "yellow"),
                f"; it goes back unless: mooring confirm {name}",
            )
        elif _took(machine, digest):
            yield line(f"{instance_id} ", (f"has {short(digest)}", "green"))
        else:
            why = machine["setback"]["reason"] if machine["setback"] else "it did not say why"
            yield line(f"{instance_id} ", ("did not take it", "red"), f": {why}")
