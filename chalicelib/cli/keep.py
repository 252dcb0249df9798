"""The verbs that look at the network and keep it: plan, apply, switchover."""

from dataclasses import replace
from typing import Annotated

import typer

from chalicelib.cli.ask import PATIENCE, Wait, Way, carry_out, seconds_of
from chalicelib.cli.named import declared
from chalicelib.cli.options import Force, Name, Yes, declared_names, read_instance_id
from chalicelib.cli.render import Run, exit_code, plan_lines, run_lines
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.controller.reconcile import preview
from chalicelib.core.network.change import digest
from chalicelib.core.network.report import Report, as_json
from chalicelib.core.network.topology import Topology
from chalicelib.core.request import Request

Here = Annotated[
    bool,
    typer.Option(
        "--here", help="Make the changes from this machine, though a worker is deployed; if it is stuck."
    ),
]


def plan(shell: Shell, name: Name = None) -> int:
    """Show what apply would change, and why. Never writes.

    Exit status: 0 everything is as declared, 2 it is not, 1 it could not be seen or has no router.
    """
    report = preview(declared(shell.edge, name), shell.edge, Request())
    shell.show(plan_lines(report), as_json(report))
    return exit_code(report)


def apply(
    shell: Shell,
    name: Name = None,
    *,
    yes: Yes = False,
    force: Force = False,
    here: Here = False,
    wait: Wait = PATIENCE,
) -> int:
    """Make the changes of the plan, and look again.

    Shows the plan and asks first; without a terminal it needs --yes. The deployed worker makes the changes, one run
    at a time; where none is deployed, this does.

    Exit status: 0 everything is as declared, proved by a second look; 1 otherwise.
    """
    way = Way(seconds_of(wait), here=here)
    return _keep(shell, declared(shell.edge, name), Request(force=force), way, yes=yes)


def switchover(  # noqa: PLR0913 - one per option
    shell: Shell,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A declared topology.", show_default=False, autocompletion=declared_names
        ),
    ],
    to: Annotated[
        str, typer.Option(metavar="ID", help="The instance that is to be the router.", show_default=False)
    ],
    *,
    yes: Yes = False,
    force: Force = False,
    here: Here = False,
    wait: Wait = PATIENCE,
) -> int:
    """Make another instance the router.

    Shows the plan, asks, moves, and looks again; without a terminal it needs --yes. As apply does, it asks the
    deployed worker.

    Exit status: 0 it is the router, proved by a second look; 1 otherwise.
    """
    way = Way(seconds_of(wait), here=here)
    request = Request(action="switchover", to=read_instance_id(to), force=force)
    return _keep(shell, declared(shell.edge, name), request, way, yes=yes)


def _keep(shell: Shell, topology: Topology, request: Request, way: Way, *, yes: bool) -> int:
    """Reconcile what was shown and agreed to, and nothing else."""
    shown = preview(topology, shell.edge, request)
    changes = shown.to_make
    if not (changes or _unrecorded(shown)):
        nothing = [] if shown.outcomes or shown.error else [line("nothing to do")]
        shell.show([*plan_lines(shown), *nothing], as_json(shown))
        return _verified(as_json(shown))
    if changes:
        shell.say(plan_lines(shown))
        if not way.here and shell.edge.deployed_queue is None:
            shell.say([line("no Mooring is deployed here, so the changes are made from this machine")])
        count = "this change" if len(changes) == 1 else f"these {len(changes)} changes"
        if not yes and not shell.agree(f"Make {count}?"):
            shell.say([line("nothing was changed")])
            return 1
    agreed = None if yes else digest(o.change for o in shown.outcomes)
    shell.say([line()] if changes else [])
    run = carry_out(shell, topology, replace(request, agreed=agreed), way)
    shell.show(run_lines(run), run)
    return _verified(run)


def _unrecorded(report: Report) -> bool:
    """Return whether the journal does not know the router yet: then a run without changes writes it down."""
    return report.router_id is not None and report.since is None and report.refusal is None


def _verified(run: Run) -> int:
    return 0 if run["verdict"] in ("converged", "repaired", "pending") else 1
