"""Runs the router's own tools, each within its time, and tells the three ways a push can end early apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = Path(__file__).parents[1]
"""The zip that all this came in, which Python runs."""
TIMED_OUT, NOT_INSTALLED = 124, 127
_UNSHARE = (
    "unshare",
    "--mount",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "--propagation",
    "private",
)


class Refused(Exception):  # noqa: N818 - a push is refused; nobody failed
    """Why a push was turned down before it touched anything."""


class Broken(Exception):  # noqa: N818 - what broke is the way home, and the caller undoes the push
    """Why a push that was loaded cannot stay."""


def run(
    *command: str, seconds: float = 10.0, text: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; one that takes longer ends with 124, one that is not there with 127.

    Its output lies in memory and not in a pipe: a pipe ends only when the last child that it left behind has gone.
    """
    with _in_memory() as said, _in_memory() as complained:
        try:
            child = subprocess.Popen(  # noqa: S603 - no shell, and every word is ours
                command,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=complained,
                env={**os.environ, "LC_ALL": "C", **(env or {})},
            )
        except OSError as error:
            return subprocess.CompletedProcess(command, NOT_INSTALLED, "", f"{command[0]}: {error.strerror}")
        with child:
            try:
                child.communicate(text.encode(), timeout=seconds)
            except subprocess.TimeoutExpired:
                child.kill()
                return subprocess.CompletedProcess(command, TIMED_OUT, "", f"no end within {seconds:g} s")
        return subprocess.CompletedProcess(command, child.returncode, _all(said), _all(complained))


def _in_memory() -> IO[bytes]:
    return os.fdopen(os.memfd_create("output"), "w+b")


def _all(output: IO[bytes]) -> str:
    """Read from the start, wherever whoever still writes to it stands."""
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), size, 0).decode(errors="replace")


def apart(module: str, argument: str = "", *, text: str = "", seconds: float) -> dict[str, Any]:
    """Run a module's `main` in namespaces of its own, with an empty network, and give the JSON of its last line.

    Raises:
        Refused: it printed none.
    """
    program = "import sys; sys.path.insert(0, sys.argv[1]); from agent.{0} import main; main(sys.argv[2])"
    interpreter = (sys.executable, "-I", "-B", "-c", program.format(module), str(PROGRAM), argument)
    ended = run(*_UNSHARE, *interpreter, seconds=seconds, text=text)
    try:
        return dict(json.loads(ended.stdout.splitlines()[-1]))
    except (IndexError, ValueError):
        raise Refused(f"{module} could not be held apart: {last_words(ended)}") from None


def last_words(ended: subprocess.CompletedProcess[str], most: int = 240) -> str:
    """Return the last line that a command said, its errors first, cut short."""
    lines = [line.strip() for line in (ended.stderr + "\n" + ended.stdout).splitlines() if line.strip()]
    errors = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    return ((errors or lines or [f"exit code {ended.returncode}"])[-1])[:most]
