"""Asks the deployed worker and waits for its answer, for a while; and the verb that asks after a request again."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.text import Text

from chalicelib.cli.errors import Unanswered, UsageError
from chalicelib.cli.options import read_as
from chalicelib.cli.render import Run, run_lines
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import Terminal, line
from chalicelib.controller import operator
from chalicelib.controller.reconcile import reconcile
from chalicelib.core.errors import ControllerError, UnknownTopology
from chalicelib.core.network.report import as_json
from chalicelib.core.network.topology import Topology
from chalicelib.core.request import Request

PATIENCE = "5m"
"""Longer than a request counts that is declared to count for two minutes, and than the runs that may take it."""

_GOES_ON = ("queued", "running")

_PAUSES = (0.2, 0.3, 0.5, 1.0, 2.0)
"""Seconds between looks for the answer; the last one again and again."""

Wait = Annotated[
    str, typer.Option("--wait", metavar="TIME", help="How long to wait for the worker's answer, such as 90s.")
]


def seconds_of(wait: str) -> float:
    """Read --wait.

    Raises:
        UsageError: it is no duration.
    """
    return read_as("--wait", wait, operator.duration).total_seconds()


@dataclass(frozen=True, slots=True)
class Way:
    """How a request is carried out: from here, or by the worker, whose answer is waited for this many seconds."""

    seconds: float
    here: bool = False


def carry_out(shell: Shell, topology: Topology, request: Request, way: Way) -> Run:
    """Have what was shown and agreed to done, and return its report as JSON.

    Raises:
        ControllerError: what is asked takes a worker, and none is deployed.
        ApplyError: the worker could not be asked.
        Unanswered: it did not answer in time, or its answer could not be read; what was asked goes on.
        UnknownTopology: the topology is declared no more.
    """
    edge = shell.edge
    if way.here or edge.deployed_queue is None:
        if request.for_machines:
            raise ControllerError(
                "no Mooring is deployed here, and only its worker speaks to routers",
                hint="make deploy STAGE=...",
            )
        with shell.waiting("making the changes, and looking again"):
            return as_json(reconcile(topology, edge, replace(request, woken_by=edge.caller())))
    request_id = operator.enqueue(topology.name, replace(request, woken_by=edge.caller()), edge)
    try:
        shell.say([line((f"asked the worker: request {request_id}", "dim"))])
        with shell.waiting("the worker makes the changes, and looks again"):
            answer = _wait(shell, request_id, way.seconds)
    except KeyboardInterrupt:
        goes_on = f"request {request_id} goes on; ask after it: mooring request {request_id}"
        Terminal(stderr=True).say(line(), line(goes_on))
        raise
    if answer["report"] is None:
        raise UnknownTopology(f"{topology.name} is declared no more", hint="nothing was changed")
    run: Run = answer["report"]
    return run


def request(
    shell: Shell,
    request_id: Annotated[
        str, typer.Argument(metavar="ID", help="As apply, switchover or the API gave it.", show_default=False)
    ],
) -> int:
    """Tell how far a request has come, and its report when it is done.

    Exit status: 0 done and everything is as declared, 2 not done yet, 1 otherwise. Answers are kept for a day.
    """
    answer = operator.answered(request_id, shell.edge)
    if answer is None:
        raise UsageError(f"no request {request_id} is known", hint="answers are kept for a day")
    shell.show(answer_lines(answer), answer)
    if answer["state"] in _GOES_ON:
        return 2
    return (
        0 if answer["report"] and answer["report"]["verdict"] in ("converged", "repaired", "pending") else 1
    )


def answer_lines(answer: Run) -> Iterator[Text]:
    """Print how far a request has come."""
    if answer["report"]:
        yield from run_lines(answer["report"])
    elif answer["state"] == "done":
        yield line(f"{answer['topology']} is declared no more; nothing was changed")
    else:
        note = f": {answer['note']}" if answer.get("note") else ""
        yield line(f"{answer['topology']}: {answer['state']}{note}")


def _wait(shell: Shell, request_id: str, seconds: float) -> dict[str, Any]:
    """Look for the answer until it is there or time is over."""
    clock, looks = shell.edge.clock, 0
    deadline = clock.now() + timedelta(seconds=seconds)
    again = f"mooring request {request_id}"
    while True:
        try:
            answer = operator.answered(request_id, shell.edge)
        except ControllerError as error:
            raise Unanswered(
                f"request {request_id} goes on, but its answer cannot be read: {error}", hint=again
            ) from error
        if answer and answer["state"] == "done":
            return answer
        if answer and answer["state"] not in _GOES_ON:
            raise Unanswered(f"request {request_id} is {answer['state']}: {answer['note']}", hint=again)
        if clock.now() >= deadline:
            state = answer["state"] if answer else "unknown"
            raise Unanswered(
                f"request {request_id} is still {state} after {seconds:.0f} seconds; it goes on",
                hint=f"ask after it: {again}; stuck? the runbook's Backlog says what to do",
            )
        clock.sleep(_PAUSES[min(looks, len(_PAUSES) - 1)])
        looks += 1
