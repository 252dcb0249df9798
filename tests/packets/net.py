"""The kernel's network as the lab speaks to it: namespaces, batches of `ip`, transactions of `nft`."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class CommandError(RuntimeError):
    """A command that must work did not."""


def run(*command: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; what it says is in the result.

    Raises:
        CommandError: it failed, and `check` is set.
    """
    environment = os.environ | {"PATH": PATH}
    given = None if stdin is not None else subprocess.DEVNULL
    done = subprocess.run(  # noqa: S603 - commands are this folder's own
        command, input=stdin, stdin=given, text=True, capture_output=True, check=False, env=environment
    )
    if check and done.returncode:
        raise CommandError(
            f"{' '.join(command)}: {done.returncode}\n{stdin or ''}\n{done.stdout}{done.stderr}"
        )
    return done


def start(*command: str, stdout: int | None = None) -> subprocess.Popen[str]:
    """Start a command that goes on by itself; its output goes where `stdout` says, or nowhere."""
    out = subprocess.DEVNULL if stdout is None else stdout
    return subprocess.Popen(  # noqa: S603 - commands are this folder's own
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT if stdout is not None else subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PATH": PATH},
    )


def inside(namespace: str, *command: str) -> tuple[str, ...]:
    """Return the command that runs another in a namespace; the process is the command's own."""
    return ("nsenter", f"--net=/run/netns/{namespace}", *command)


def add(names: Iterable[str]) -> None:
    """Make namespaces, each with its loopback up."""
    made = list(names)
    ip(None, [f"netns add {name}" for name in made])
    for name in made:
        ip(name, ["link set lo up"])


def delete(name: str) -> None:
    """End a namespace; what still runs in it keeps it."""
    ip(None, [f"netns del {name}"], force=True)


def clear() -> None:
    """End every namespace."""
    run("ip", "-all", "netns", "delete")


def ip(namespace: str | None, lines: Sequence[str], *, force: bool = False) -> None:
    """Run a batch of `ip` in one process; `force` goes on after lines that fail."""
    if not lines:
        return
    where = ["-n", namespace] if namespace else []
    run("ip", *where, *(["-force"] if force else []), "-batch", "-", stdin="\n".join(lines), check=not force)


def nft(namespace: str, text: str) -> None:
    """Load rules as one transaction."""
    run(*inside(namespace, "nft", "-f", "-"), stdin=text)


def sysctl(namespace: str, *settings: str) -> None:
    """Set kernel parameters of a namespace's network."""
    run(*inside(namespace, "sysctl", "-q", "-w", *settings))


def within(namespace: str, make: Callable[[], T]) -> T:
    """Call in a namespace, such as to open a socket there; a thread of its own goes, since it does not come back."""
    made: list[T] = []
    failed: list[BaseException] = []

    def go() -> None:
        try:
            with open(f"/run/netns/{namespace}", "rb") as where:  # noqa: PTH123 - a file descriptor is wanted
                if _libc.setns(where.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"no way into {namespace}")  # noqa: TRY301
            made.append(make())
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            failed.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]
