"""The verb that declares a topology: validates it, shows the difference, stores it."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from chalicelib.cli.declare.against import Held, hold
from chalicelib.cli.declare.claims import conflicts
from chalicelib.cli.errors import AlreadyClaimed
from chalicelib.cli.files import read
from chalicelib.cli.options import Yes
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import can_ask, line
from chalicelib.core.declaration import parse
from chalicelib.core.errors import ControllerError, TopologyError
from chalicelib.core.network.topology import Topology

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def declare(
    shell: Shell,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A topology in TOML; - is standard input.", show_default=False),
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop before storing.")] = False,
    yes: Yes = False,
) -> int:
    """Validate a topology and store it.

    Shows what differs from the one declared now, and what of it the network as it is cannot keep. Asks on a terminal only. Exit status:
    0 it is declared (or would be), 1 it is not.
    """
    document = read(file, hint="mooring init writes a topology")
    topology = _parse(file, document)
    others = shell.edge.topologies.documents()
    now = others.get(topology.name)
    answer: dict[str, object] = {"name": topology.name, "changed": now != document, "version": None}
    if now == document:
        shell.show([line(f"{topology.name} is unchanged")], answer | {"diff": ""} | asdict(Held()))
        return 0
    diff = "\n".join(_diff(file, now, document))
    answer["diff"] = diff
    shell.say([line(f"{topology.name} is new: {_summary(topology)}")] if now is None else _coloured(diff))
    _refuse_conflicts(topology, others)
    held = _hold(shell, file, topology)
    answer |= asdict(held)
    shell.say(_told(held))
    if dry_run:
        shell.show([line("dry run: nothing was stored")], answer)
        return 0
    # A program has read the file before; a person is asked, unless the file came where the answer would.
    asks = not (yes or shell.wants_json or file == "-") and can_ask()
    if asks and not shell.agree(f"Declare {topology.name} like this?"):
        shell.say([line("nothing was stored")])
        return 1
    if asks and shell.edge.topologies.document(topology.name) != now:
        raise ControllerError(
            f"{topology.name} was declared anew meanwhile", hint="look at the difference again"
        )
    version = shell.edge.topologies.declare(topology.name, document)
    shell.show([line(f"{topology.name} is declared, version {version}")], answer | {"version": version})
    return 0


def _parse(file: str, document: bytes) -> Topology:
    with _told_where(file):
        return parse(document)


def _hold(shell: Shell, file: str, topology: Topology) -> Held:
    with _told_where(file), shell.waiting("looking at the network"):
        return hold(topology, shell.edge.network)


@contextmanager
def _told_where(file: str) -> Iterator[None]:
    """Return every flaw with where it is to be mended."""
    try:
        yield
    except TopologyError as error:
        where = "standard input" if file == "-" else file
        raise TopologyError(error.flaws, hint=f"mend {where}; nothing was stored") from error


def _told(held: Held) -> Iterator[Text]:
    if held.unseen:
        why = f"the network was not seen, so only the file was judged: {held.unseen}"
        yield line(("unseen   ", "yellow"), why)
    for problem in held.problems:
        yield line(("problem  ", "yellow"), problem)
    for advice in held.advice:
        yield line(("advice   ", "yellow"), advice)


def _refuse_conflicts(topology: Topology, others: dict[str, bytes]) -> None:
    found = conflicts(topology, others)
    if found:
        raise AlreadyClaimed(
            f"two keepers would fight: {'; '.join(found)}",
            hint="one topology may list several tables and subnets; nothing was stored",
        )


def _diff(file: str, now: bytes | None, document: bytes) -> Iterator[str]:
    before = now.decode(errors="replace").splitlines() if now else []
    return difflib.unified_diff(
        before, document.decode().splitlines(), "declared now" if now else "(new)", file, lineterm=""
    )


def _coloured(diff: str) -> Iterator[Text]:
    for one in diff.splitlines():
        yield line((one, _COLOURS.get(one[:1], "")))


def _summary(topology: Topology) -> str:
    kinds = [table.kind for table in topology.tables]
    return (
        f"{topology.vpc_id}, {kinds.count('public')} public and {kinds.count('private')} private tables, "
        f"{len(topology.office_networks)} office networks"
    )
