"""The verbs that look at the network and keep it: plan, apply, switchover."""

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from chalicelib.cli.ask import PATIENCE, Wait, ask_worker, seconds_of
from chalicelib.cli.errors import UsageError
from chalicelib.cli.named import declared
from chalicelib.cli.options import Force, Name, Yes, declared_names
from chalicelib.cli.render import Run, exit_code, plan_lines, run_lines
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.controller import Request, preview, reconcile
from chalicelib.core.messages.message import INSTANCE
from chalicelib.core.network.change import digest
from chalicelib.core.network.report import Report, as_json
from chalicelib.core.network.topology import Topology

Here = Annotated[
    bool,
    typer.Option(
        "--here", help="Make the changes from this machine, though a worker is deployed; if it is stuck."
    ),
]


@dataclass(frozen=True, slots=True)
class Way:
    """How changes are made: from here, or by the worker, whose answer is waited for this many seconds."""

    here: bool
    seconds: float


def plan(shell: Shell, name: Name = None) -> int:
    """Show what apply would change, and why. Never writes.

    Exit status: 0 everything is as declared, 2 it is not, 1 it could not be seen or has no router.
    """
    report = preview(declared(shell.edge, name), shell.edge.ports, Request())
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
    way = Way(here=here, seconds=seconds_of(wait))
    return _carry_out(shell, declared(shell.edge, name), Request(force=force), way, yes=yes)


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
    if not INSTANCE.fullmatch(to):
        raise UsageError(f"--to {to} is no instance id", hint="such as i-0123456789abcdef0")
    way = Way(here=here, seconds=seconds_of(wait))
    return _carry_out(shell, declared(shell.edge, name), Request(to=to, force=force), way, yes=yes)


def _carry_out(shell: Shell, topology: Topology, request: Request, way: Way, *, yes: bool) -> int:
    """Reconcile what was shown and agreed to, and nothing else."""
    shown = preview(topology, shell.edge.ports, request)
    changes = shown.to_make
    if not (changes or _unrecorded(shown)):
        nothing = [] if shown.outcomes or shown.error else [line("nothing to do")]
        shell.show([*plan_lines(shown), *nothing], as_json(shown))
        return _verified(as_json(shown))
    queue = None if way.here else shell.edge.deployed_queue()
    if changes:
        shell.say(plan_lines(shown))
        if queue is None and not way.here:
            shell.say([line("no Mooring is deployed here, so the changes are made from this machine")])
        count = "this change" if len(changes) == 1 else f"these {len(changes)} changes"
        if not yes and not shell.agree(f"Make {count}?"):
            shell.say([line("nothing was changed")])
            return 1
    request = replace(
        request,
        woken_by=shell.edge.caller(),
        agreed=None if yes else digest(o.change for o in shown.outcomes),
    )
    shell.say([line()] if changes else [])
    if queue is None:
        with shell.waiting("making the changes, and looking again"):
            run: Run = as_json(reconcile(topology, shell.edge.ports, request))
    else:
        run = ask_worker(shell, queue, topology.name, request, way.seconds)
    shell.show(run_lines(run), run)
    return _verified(run)


def _unrecorded(report: Report) -> bool:
    """Say whether the journal does not know the router yet: then a run without changes writes it down."""
    return report.router_id is not None and report.since is None and report.refusal is None


def _verified(run: Run) -> int:
    return 0 if run["verdict"] in ("converged", "repaired", "pending") else 1
