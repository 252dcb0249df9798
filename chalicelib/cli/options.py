"""The options that every verb takes, before the verb or after it, with the meaning the AWS CLI gives them."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from chalicelib.cli.errors import UsageError
from chalicelib.cli.shell import Shell
from chalicelib.controller.operator import InvalidValueError
from chalicelib.core.errors import ControllerError
from chalicelib.core.fields import INSTANCE

_T = TypeVar("_T")


def shared(
    ctx: typer.Context,
    region: Annotated[
        str | None, typer.Option(metavar="REGION", help="The AWS region.", show_default=False)
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A profile of ~/.aws/config.", show_default=False)
    ] = None,
    endpoint_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where AWS listens, when not at AWS.", show_default=False),
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False,
) -> Shell:
    """Make the shell; what stands after the verb overrules what stands before it."""
    before = ctx.obj if isinstance(ctx.obj, Shell) else Shell()
    shell = Shell(
        region or before.region,
        profile or before.profile,
        endpoint_url or before.endpoint_url,
        json or before.wants_json,
    )
    ctx.obj = shell
    return shell


_SHARED = inspect.signature(shared).parameters


def verb(run: Callable[..., int]) -> Callable[..., int]:
    """Make a verb of a function: the shared options become its first argument, a shell."""
    _, *own = inspect.signature(run).parameters.values()

    def call(**given: Any) -> int:  # noqa: ANN401 - typer has checked them against the signature below
        options = {name: given.pop(name) for name in _SHARED}
        return run(shared(**options), **given)

    functools.update_wrapper(call, run)
    parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (*own, *_SHARED.values())]
    call.__dict__["__signature__"] = inspect.Signature(parameters)
    return call


def declared_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a topology's name; in a shell's completion there is nobody to tell of an error."""
    given, above = [ctx.params], ctx.parent
    while above is not None:
        given.append(above.params)
        above = above.parent
    region, profile, endpoint_url = (
        next((params[key] for params in given if params.get(key)), None)
        for key in ("region", "profile", "endpoint_url")
    )
    try:
        names = Shell(region, profile, endpoint_url).edge.topologies.names()
    except ControllerError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def read_as(option: str, value: str, reader: Callable[[object], _T]) -> _T:
    """Read what stands behind an option.

    Raises:
        UsageError: its reader finds it unfit; says what would be right.
    """
    try:
        return reader(value)
    except InvalidValueError as unfit:
        raise UsageError(f"{option} is {ascii(value)[:80]}", hint=f"it must be {unfit.wanted}") from unfit


Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="A declared topology; needless when there is only one.",
        show_default=False,
        autocompletion=declared_names,
    ),
]
NameOrFile = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME|FILE",
        help="A declared topology, needless when there is only one; or a file of one, as for declare.",
        show_default=False,
        autocompletion=declared_names,
    ),
]
File = Annotated[
    str | None,
    typer.Option(
        "--file", metavar="FILE", help="A topology in TOML instead: AWS is not asked.", show_default=False
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Overrule the guards that may be overruled, and what AWS or a machine says against an instance.",
    ),
]


def read_instance_id(to: str | None) -> str | None:
    """Read --to.

    Raises:
        UsageError: it is no instance id.
    """
    if to is not None and not INSTANCE.fullmatch(to):
        raise UsageError(f"--to {ascii(to)[:80]} is no instance id", hint="such as i-0123456789abcdef0")
    return to
