"""The verb that writes a topology for a network that exists: from a stack of ours, or from any VPC."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from chalicelib.cli.errors import FileUnusable, UsageError
from chalicelib.cli.init.draft import Draft, Fact, Guess, Unknown
from chalicelib.cli.init.propose import Seen, Told, find_router, kept, propose
from chalicelib.cli.init.stack import from_stack
from chalicelib.cli.render import flaw_json
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.core.declaration import parse
from chalicelib.core.errors import Flaw, TopologyError
from chalicelib.core.network.advice import TAG, create_tags

_VPC_ID = re.compile(r"vpc-([0-9a-f]{8}|[0-9a-f]{17})")

Stack = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A stack made from examples/network.yaml.", show_default=False),
]
Vpc = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Any VPC; what is guessed or unknown is marked.", show_default=False),
]
Office = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        help="With --vpc: a network behind the office's firewall; repeatable.",
        show_default=False,
    ),
]
Clients = Annotated[
    str | None,
    typer.Option(
        metavar="CIDR", help="With --vpc: the network OpenVPN gives its clients.", show_default=False
    ),
]
Named = Annotated[
    str | None, typer.Option(metavar="NAME", help="With --vpc: the topology's name.", show_default=False)
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="Where to write; - is standard output. [default: NAME.toml]",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]


def init(  # noqa: PLR0913 - one per option
    shell: Shell,
    *,
    stack: Stack = None,
    vpc: Vpc = None,
    name: Named = None,
    office: Office = None,
    vpn_clients: Clients = None,
    output: Output = None,
    force: Overwrite = False,
) -> int:
    """Write the topology of a network that exists.

    From a stack made from examples/network.yaml, or proposed from any VPC: then what is guessed or unknown is
    marked, and the command is given that tags what the deployed worker is to write. Changes nothing in AWS and asks
    nothing; read the file, then declare it.
    """
    told = Told(name, tuple(office or ()), vpn_clients)
    draft = _draft(shell, stack, vpc, told)
    document = draft.toml()
    flaws = _flaws(document)
    mine = [flaw for flaw in flaws if stack or _told(flaw, told)]
    if mine:
        raise TopologyError(tuple(mine), hint="nothing was written")
    if output != "-":
        path = output or f"{_name(draft)}.toml"
        _write(path, document, force=force)
        shell.show(_written(path, draft), _answer(draft, path, document, flaws))
    else:
        shell.show(map(Text, document.splitlines()), _answer(draft, None, document, flaws))
    return 0


def _draft(shell: Shell, stack: str | None, vpc: str | None, told: Told) -> Draft:
    """Read AWS, and write the topology down.

    Raises:
        UsageError: not exactly one of stack and VPC is named, or something is told that the stack knows.
    """
    if stack is not None and vpc is None:
        if told != Told():
            raise UsageError(
                "--name, --office and --vpn-clients go with --vpc", hint="the stack's outputs have them"
            )
        return from_stack(stack, shell.edge.stack_outputs(stack))
    if vpc is None or stack is not None:
        raise UsageError(
            "name either a stack or a VPC", hint="mooring init --stack NAME, or mooring init --vpc vpc-…"
        )
    if not _VPC_ID.fullmatch(vpc):
        raise UsageError(f"--vpc {vpc} is no VPC id", hint="such as vpc-0123456789abcdef0")
    discovery = shell.edge.discovery(vpc)
    cidrs, vpc_name = discovery.cidrs_and_name()
    seen = Seen(vpc, vpc_name, cidrs, discovery.internet_gateway(), discovery.subnets(), discovery.observe())
    lead = find_router(seen)
    draft = propose(seen, told, lead, discovery.security_groups(lead.interface_id) if lead else ())
    tagged = discovery.tagged(TAG)
    return _with_tags(draft, tuple(i for i in kept(seen, draft, lead) if i not in tagged))


def _flaws(document: str) -> list[Flaw]:
    try:
        parse(document.encode())
    except TopologyError as error:
        return list(error.flaws)
    return []


def _told(flaw: Flaw, told: Told) -> bool:
    """Return whether the operator told what is wrong: then it is an error now, and not a line to fill in."""
    parts = {"name": told.name, "office.networks": told.office, "office.vpn_clients": told.vpn_clients}
    return any(flaw.key.startswith(key) and value for key, value in parts.items())


def _name(draft: Draft) -> str:
    entry = draft.sections[0].entries["name"]
    return str(entry.value) if isinstance(entry, Fact | Guess) else "topology"


def _write(path: str, document: str, *, force: bool) -> None:
    try:
        with Path(path).open("w" if force else "x", encoding="utf-8") as file:
            file.write(document)
    except FileExistsError as error:
        raise FileUnusable(
            f"{path} exists and was left as it is", hint="--force overwrites it, --output names another"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        why = error.strerror if isinstance(error, OSError) else error
        raise FileUnusable(f"cannot write {path}: {why}", hint="--output names another file") from error


def _create_tags(draft: Draft) -> str | None:
    """Return the command that tags what the worker is to write; none when all of it is tagged."""
    return create_tags(draft.untagged, _name(draft)) if draft.untagged else None


def _with_tags(draft: Draft, untagged: tuple[str, ...]) -> Draft:
    """Note in the file, too, what is to be tagged: it may be all that is printed."""
    if not untagged:
        return draft
    told = f"The deployed worker may write only what carries the tag {TAG}, whatever its value:"
    remarks = (*draft.remarks, told, create_tags(untagged, _name(draft)))
    return replace(draft, remarks=remarks, untagged=untagged)


def _written(path: str, draft: Draft) -> Iterator[Text]:
    yield line(f"wrote {path}")
    for word, kind in (("guessed", Guess), ("unknown", Unknown)):
        keys = draft.keys(kind)
        if keys:
            yield line((f"{word:<9}", "yellow"), ", ".join(keys))
    if command := _create_tags(draft):
        yield line(("tag      ", "yellow"), f"the deployed worker may write only what carries the tag {TAG}:")
        yield line(f"         {command}")
    todo = "fill in what is unknown, then " if draft.keys(Unknown) else ""
    yield line(f"next: {todo}mooring declare {path}")


def _answer(draft: Draft, path: str | None, document: str, flaws: list[Flaw]) -> dict[str, object]:
    return {
        "name": _name(draft),
        "file": path,
        "document": document,
        "guessed": draft.keys(Guess),
        "unknown": draft.keys(Unknown),
        "create_tags": _create_tags(draft),
        "flaws": [flaw_json(flaw) for flaw in flaws],
    }
