"""The verbs that look at the network and keep it: plan, apply, switchover."""

import re
from dataclasses import replace
from typing import Annotated

import typer

from chalicelib.cli.errors import UsageError
from chalicelib.cli.named import declared
from chalicelib.cli.options import Force, Name, Yes, declared_names
from chalicelib.cli.render import exit_code, outcome_lines, plan_lines
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.controller import Request, preview, reconcile
from chalicelib.core.report import Report, as_json
from chalicelib.core.topology import Topology

_INSTANCE_ID = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})")


def plan(shell: Shell, name: Name = None) -> int:
    """Show what apply would change, and why. Never writes.

    Exit status: 0 everything is as declared, 2 it is not, 1 it could not be seen or has no router.
    """
    report = preview(declared(shell.edge, name), shell.edge.ports, Request())
    shell.show(plan_lines(report), as_json(report))
    return exit_code(report)


def apply(shell: Shell, name: Name = None, *, yes: Yes = False, force: Force = False) -> int:
    """Make the changes of the plan, and look again.

    Shows the plan and asks first; without a terminal it needs --yes.

    Exit status: 0 everything is as declared, proved by a second look; 1 otherwise.
    """
    return _carry_out(shell, declared(shell.edge, name), Request(force=force), yes=yes)


def switchover(
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
) -> int:
    """Make another instance the router.

    Shows the plan, asks, moves, and looks again; without a terminal it needs --yes.

    Exit status: 0 it is the router, proved by a second look; 1 otherwise.
    """
    if not _INSTANCE_ID.fullmatch(to):
        raise UsageError(f"--to {to} is no instance id", hint="such as i-0123456789abcdef0")
    return _carry_out(shell, declared(shell.edge, name), Request(to=to, force=force), yes=yes)


def _carry_out(shell: Shell, topology: Topology, request: Request, *, yes: bool) -> int:
    """Reconcile what was shown and agreed to, and nothing else."""
    shown = preview(topology, shell.edge.ports, request)
    changes = tuple(outcome.change for outcome in shown.outcomes)
    if shown.error or shown.refusal or not (changes or _unrecorded(shown)):
        nothing = [] if changes or shown.error else [line("nothing to do")]
        shell.show([*plan_lines(shown), *nothing], as_json(shown))
        return _verified(shown)
    if changes:
        shell.say(plan_lines(shown))
        count = "this change" if len(changes) == 1 else f"these {len(changes)} changes"
        if not yes and not shell.agree(f"Make {count}?"):
            shell.say([line("nothing was changed")])
            return 1
    with shell.waiting("making the changes, and looking again"):
        report = reconcile(topology, shell.edge.ports, replace(request, agreed=None if yes else changes))
    shell.say([line()] if changes else [])
    shell.show(outcome_lines(report), as_json(report))
    return _verified(report)


def _unrecorded(report: Report) -> bool:
    """Say whether the journal does not know the router yet: then a run without changes writes it down."""
    return report.election is not None and report.since is None


def _verified(report: Report) -> int:
    return 0 if report.verdict in ("converged", "repaired") else 1
