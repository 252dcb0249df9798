"""`mooring` as a process of its own that starts at once: forked from one that has imported what it needs.

A process that starts from nothing spends a second of a processor on importing Python, typer and boto3. This one server is
started with the first run of a pytest process, and ends with it.

python -m tests.stand_ins.forked DESCRIPTOR     the server: what to run comes over a socket, with the streams to run it on
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tests.stand_ins.made_once import made_once, warm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST = 1 << 20
_ROOT = Path(__file__).parents[2]


@dataclass
class Forked:
    """A process that the server has forked."""

    pid: int
    _ends: socket.socket
    _code: int | None = None

    def poll(self) -> int | None:
        """Return its exit code once it has ended; -N for signal N."""
        return self._ended(0)

    def wait(self, seconds: float) -> int:
        """Wait for its end.

        Raises:
            TimeoutError: it has not ended.
        """
        code = self._ended(seconds)
        if code is None:
            raise TimeoutError(f"process {self.pid} has not ended within {seconds} s")
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def close(self) -> None:
        """End it, if it has not ended."""
        if self.poll() is None:
            self.send_signal(signal.SIGKILL)
            self.wait(30)
        self._ends.close()

    def _ended(self, seconds: float) -> int | None:
        if self._code is None and select.select([self._ends], [], [], seconds)[0]:
            self._code = int(self._ends.recv(64))
        return self._code


def fork(
    arguments: Sequence[str], streams: tuple[int, int, int], environment: Mapping[str, str], folder: Path
) -> Forked:
    """Run `mooring` on these streams, in a session of its own."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked = {"arguments": [*arguments], "environment": dict(environment), "folder": str(folder)}
    socket.send_fds(_server(), [json.dumps(asked).encode()], [*streams, theirs.fileno()])
    theirs.close()
    return Forked(int(ours.recv(64)), ours)


@cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.stand_ins.forked", str(theirs.fileno())]
    process = subprocess.Popen(  # noqa: S603 - our own
        command, pass_fds=[theirs.fileno()], cwd=_ROOT, stdin=subprocess.DEVNULL, start_new_session=True
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait(30)

    atexit.register(end)
    return ours


def _serve(asked: socket.socket) -> None:
    """Fork whatever is asked for until nobody can ask any more, and tell how each process ended."""
    warm()
    with selectors.DefaultSelector() as waiting:
        waiting.register(asked, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.data:
                    pid, ends = key.data
                    waiting.unregister(key.fd)
                    os.close(key.fd)
                    with contextlib.suppress(OSError), ends:  # nobody may want to know
                        ends.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
                    continue
                wanted, descriptors, _, _ = socket.recv_fds(asked, _MOST, 4)
                if not wanted:
                    return
                pid, ends = _start(json.loads(wanted), descriptors)
                waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, ends))


def _start(wanted: dict[str, object], descriptors: list[int]) -> tuple[int, socket.socket]:
    pid = os.fork()
    if pid == 0:
        _run(wanted, descriptors)
    for stream in descriptors[:3]:
        os.close(stream)
    ends = socket.socket(fileno=descriptors[3])
    ends.send(str(pid).encode())
    return pid, ends


def _run(wanted: dict[str, object], descriptors: list[int]) -> NoReturn:
    """Become what was asked for."""
    code = 1
    try:
        os.setsid()
        for number, stream in enumerate(descriptors[:3]):
            os.dup2(stream, number)
        os.closerange(3, 256)
        os.environ.clear()
        os.environ.update(wanted["environment"])  # type: ignore[call-overload] # as `fork` sent it
        os.chdir(str(wanted["folder"]))
        sys.argv = ["mooring", *wanted["arguments"]]  # type: ignore[misc] # as `fork` sent it
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115 - the process's own
            for number, mode, errors in (
                (0, "r", "strict"),
                (1, "w", "strict"),
                (2, "w", "backslashreplace"),
            )
        )
        from chalicelib.cli.main import main  # noqa: PLC0415 - imported by now

        with made_once():
            code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - told as an interpreter would tell it
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
