"""`mooring`: an operator's verbs. Every error is one clear message; a traceback is a fault of Mooring's."""

import os
import sys
from typing import Annotated

import typer

from chalicelib.cli.api import api
from chalicelib.cli.ask import request
from chalicelib.cli.declare.verb import declare
from chalicelib.cli.errors import UsageError
from chalicelib.cli.init.verb import init
from chalicelib.cli.journal import history, pause, resume
from chalicelib.cli.keep import apply, plan, switchover
from chalicelib.cli.office.verb import office
from chalicelib.cli.options import verb
from chalicelib.cli.push import confirm, push
from chalicelib.cli.render import error_json, error_lines
from chalicelib.cli.router import router
from chalicelib.cli.secrets.verb import app as secrets
from chalicelib.cli.shell import Shell, print_json
from chalicelib.cli.status import status
from chalicelib.cli.terminal import Terminal, forget
from chalicelib.core.errors import ControllerError

app = typer.Typer(
    name="mooring",
    rich_markup_mode=None,  # plain help: three times as quick, and the same in a pipe
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(wanted: bool) -> bool:  # noqa: FBT001 - typer's callback
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and seldom asked for

        Terminal().print(f"mooring {version('mooring')}")
        raise typer.Exit
    return wanted


@app.callback()
@verb
def mooring(
    _: Shell,
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> int:
    """Keep a VPC moored to the office through one router.

    Start with `init` and `declare`; then `status` and `history` tell, `plan` shows, `apply`, `switchover`,
    `push` and `confirm` act, `pause` and `resume` hold it back.
    """
    return int(version)


for _verb in (
    plan,
    apply,
    status,
    switchover,
    history,
    pause,
    resume,
    push,
    confirm,
    request,
    api,
    declare,
    init,
    router,
    office,
):
    app.command()(verb(_verb))
app.add_typer(secrets)


def main() -> int:
    """Run the verb of the command line and give the process's exit code."""
    _mend_streams()
    arguments = sys.argv[1:]
    try:
        return app(arguments or ["--help"], standalone_mode=False) or 0
    except ControllerError as error:
        return _complain(error)
    except typer.TyperException as error:
        # Not 2, which typer gives: a script would take a typing error for drift.
        usage = getattr(getattr(error, "ctx", None), "command_path", "mooring")
        return _complain(UsageError(error.format_message(), hint=f"{usage} --help"))
    except OSError as error:  # a full disk behind standard output; a reader that left is no error
        forget(sys.stdout)
        return _complain(ControllerError(f"cannot write the answer: {error.strerror}"))


def _complain(error: ControllerError) -> int:
    if "--json" in sys.argv:
        print_json(Terminal(), error_json(error))
    else:
        Terminal(stderr=True).say(*error_lines(error))
    return 1


def _mend_streams() -> None:
    """Return closed streams somewhere to go, and never fail over a character that one cannot show."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for the process's life
        getattr(sys, name).reconfigure(errors="backslashreplace")
