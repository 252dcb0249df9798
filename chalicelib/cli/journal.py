"""The verbs that read and write the journal: history, pause, resume."""

from typing import Annotated

import typer

from chalicelib.cli.errors import UsageError
from chalicelib.cli.named import declared
from chalicelib.cli.options import Name, read_as
from chalicelib.cli.render import pause_text, story_lines
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.controller import operator
from chalicelib.core.errors import ControllerError
from chalicelib.core.network.history import Pause
from chalicelib.core.network.report import pause_json
from chalicelib.core.request import Request


def history(
    shell: Shell,
    name: Name = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="The latest runs to tell.")] = 20,
) -> int:
    """Tell the latest runs that decided something, the latest last.

    When each was, what woke it, what became of it, and every change. Runs are kept for 90 days. With --json: as the
    API gives them, the latest first.
    """
    topology = declared(shell.edge, name)
    runs = shell.edge.journal.timeline(topology.name, limit)
    nothing = [line(f"{topology.name}: no run has decided anything yet")]
    shell.show(story_lines(runs) if runs else nothing, {"topology": topology.name, "runs": runs})
    return 0


def pause(
    shell: Shell,
    name: Name = None,
    *,
    duration: Annotated[
        str,
        typer.Option("--for", metavar="TIME", help="How long, such as 30m, 2h or 1d.", show_default=False),
    ],
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; shown with every run until then.", show_default=False)
    ],
) -> int:
    """Have Mooring look, report and alarm, and write nothing, for a while.

    The pause ends by itself; another one takes its place. Who paused becomes part of the reason: the IAM identity, or
    this machine's user where AWS does not say.
    """
    lasts, why = read_as("--for", duration, operator.duration), read_as("--reason", reason, operator.reason)
    topology = declared(shell.edge, name)
    until = shell.edge.clock.now() + lasts
    paused = pause_json(
        operator.pause(topology.name, Pause(why, until), shell.edge.caller(), shell.edge.journal)
    )
    shell.show(
        [line(f"{topology.name} is paused {pause_text(paused)}")],
        {"topology": topology.name, "pause": paused},
    )
    return 0


def resume(shell: Shell, name: Name = None) -> int:
    """End a pause, and have the deployed worker look at once."""
    topology = declared(shell.edge, name)
    if topology.paused:
        raise UsageError(f"{topology.name} is declared paused", hint="declare it again with paused = false")
    ended = operator.resume(topology.name, shell.edge.clock.now(), shell.edge.journal)
    state = "was not paused" if ended is None else "is resumed"
    shell.say([line(f"{topology.name} {state}")])
    try:
        request_id = _trigger(shell, topology.name)
    except ControllerError as error:  # the pause is over all the same
        request_id, then = None, f"the next tick looks, since {error.message}"
    else:
        then = f"the worker looks now: mooring request {request_id}"
        if request_id is None:
            then = "no Mooring is deployed here: mooring apply makes what has drifted"
    shell.show(
        [line(then)],
        {"topology": topology.name, "ended": ended and pause_json(ended), "request_id": request_id},
    )
    return 0


def _trigger(shell: Shell, name: str) -> str | None:
    """Ask the worker to look, without waiting for it; None when none is deployed."""
    if shell.edge.deployed_queue is None:
        return None
    return operator.enqueue(name, Request(shell.edge.caller()), shell.edge)
