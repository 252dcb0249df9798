"""An operator's machine: `mooring` in this process or as one of its own, and somebody at its terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import select
import signal
import sys
import tempfile
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from unittest import mock

from chalicelib import bootstrap
from chalicelib.aws.threads import Threads
from chalicelib.cli.main import main
from tests.stand_ins.forked import fork
from tests.stand_ins.made_once import made_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.stand_ins.forked import Forked

_P = ParamSpec("_P")
_T = TypeVar("_T")

COMMAND = [sys.executable, "-m", "chalicelib.cli"]
NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""An AWS that does not answer: what a verb must not need."""


@dataclass(frozen=True)
class Ran:
    """What a process said and how it ended."""

    code: int
    out: str
    err: str = ""

    @property
    def json(self) -> dict[str, Any]:
        """Its one JSON document."""
        return cast("dict[str, Any]", json.loads(self.out))

    @property
    def said(self) -> list[str]:
        """The lines of its answer."""
        return self.out.splitlines()


@dataclass(frozen=True)
class Mooring:
    """`mooring` in a folder and an environment of its own; no traceback ever leaves it.

    It runs in this process, unless `apart`: others that work in this process meanwhile, such as the functions, must not see
    an operator's environment.
    """

    environment: dict[str, str]
    folder: Path
    apart: bool = False

    def __call__(self, *arguments: str, stdin: bytes = b"", **more: str) -> Ran:
        """Run it without a terminal."""
        run = self._forked if self.apart else self._here
        ran = run(arguments, stdin, self._environment() | more)
        assert "Traceback" not in ran.out + ran.err, ran
        return ran

    def _here(self, arguments: tuple[str, ...], stdin: bytes, environment: dict[str, str]) -> Ran:
        taken, out, err = (io.TextIOWrapper(io.BytesIO(given), "utf-8") for given in (stdin, b"", b""))
        with (
            mock.patch.multiple(sys, argv=["mooring", *arguments], stdin=taken, stdout=out, stderr=err),
            mock.patch.dict(os.environ, environment, clear=True),
            contextlib.chdir(self.folder),
            mock.patch.object(bootstrap, "Threads", _threads),
            made_once(),
        ):
            code = main()
            out.flush()
            err.flush()
            _threads().rest()
        return Ran(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))

    def _forked(self, arguments: tuple[str, ...], stdin: bytes, environment: dict[str, str]) -> Ran:
        with contextlib.ExitStack() as stack:
            taken, out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
            taken.write(stdin)
            taken.seek(0)
            process = fork(arguments, (taken.fileno(), out.fileno(), err.fileno()), environment, self.folder)
            with contextlib.closing(process):
                code = process.wait(60)
            for stream in (out, err):
                stream.seek(0)
            return Ran(code, out.read().decode(), err.read().decode())

    @contextlib.contextmanager
    def at_terminal(self, *arguments: str, **more: str) -> Iterator[Dialogue]:
        """Run it at a terminal of 80 columns."""
        ours, theirs = pty.openpty()
        environment = self._environment() | {"TERM": "xterm", "COLUMNS": "80"} | more
        process = fork(arguments, (theirs, theirs, theirs), environment, self.folder)
        os.close(theirs)
        dialogue = Dialogue(process, ours)
        try:
            yield dialogue
        finally:
            process.close()
            os.close(ours)
        assert "Traceback" not in dialogue.heard, dialogue.heard

    def _environment(self) -> dict[str, str]:
        here = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(Path.cwd())}
        return here | self.environment


class Dialogue:
    """What is heard of, and answered to, a process at a terminal."""

    def __init__(self, process: Forked, terminal: int) -> None:
        self._process, self._terminal = process, terminal
        self.heard = ""

    def wait_for(self, words: str) -> None:
        """Listen until the words are heard."""
        deadline = time.monotonic() + 120
        while words not in self.heard:
            assert time.monotonic() < deadline, f"never said {words!r}: {self.heard}"
            assert self._listen(), f"ended without {words!r}: {self.heard}"

    def answer(self, keys: str) -> None:
        """Type."""
        os.write(self._terminal, keys.encode())

    def interrupt(self) -> None:
        """Do what a terminal does on Control-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> Ran:
        """Listen to the end."""
        deadline = time.monotonic() + 120
        while self._listen():
            assert time.monotonic() < deadline, f"never ended: {self.heard}"
        return Ran(self._process.wait(30), self.heard.replace("\r\n", "\n"))

    def _listen(self) -> bool:
        readable, _, _ = select.select([self._terminal], [], [], 1)
        if not readable:
            return self._process.poll() is None
        try:
            said = os.read(self._terminal, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.heard += said.decode()
        return bool(said)


class _Threads(Threads):
    """Threads for one run after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._given: list[Future[Any]] = []

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Start it."""
        future = super().submit(fn, *args, **kwargs)
        self._given.append(future)
        return future

    def rest(self) -> None:
        """Wait until nothing is under way: what a process would take along must not reach into the next run."""
        wait(self._given)
        self._given.clear()


@cache
def _threads() -> _Threads:
    return _Threads()
