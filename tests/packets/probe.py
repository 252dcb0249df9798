"""Pings every 10 ms, and what they say of an outage."""

from __future__ import annotations

import itertools
import re
import signal
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.packets import net

if TYPE_CHECKING:
    from typing import Self

INTERVAL = 0.01
_PATIENCE = 0.8
_REPLY = re.compile(r"^\[([\d.]+)\] \S+\s*: \[(\d+)\], \d+ bytes", re.MULTILINE)


@dataclass(frozen=True)
class Loss:
    """What a probe saw: how many pings it sent, the seconds lost in all, the longest gap, and whether it ended well.

    `back_at` is when the first answer came after that gap, on the monotonic clock; None when nothing was lost.
    """

    sent: int
    lost: float
    gap: float
    alive: bool
    back_at: float | None


class Probe:
    """One source pings one destination until told to end, or its block ends."""

    def __init__(self, namespace: str, destination: str) -> None:
        self.name = f"{namespace} -> {destination}"
        self._began = time.time()
        self._out = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `__exit__`; a pipe would fill and stall fping
        self._process = net.start(
            *net.inside(namespace, "fping", "-l", "-D", "-p", str(int(INTERVAL * 1000)), "-t",
                        str(int(_PATIENCE * 1000)), destination),
            stdout=self._out.fileno(),
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._out.close()

    def end(self) -> Loss:
        """End it, and account for every ping."""
        stopped = time.time()
        time.sleep(_PATIENCE)  # what is on its way may arrive
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        self._out.seek(0)
        found = [(float(at), int(number)) for at, number in _REPLY.findall(self._out.read())]
        return account(self._began, stopped, found, time.monotonic() - time.time())


def account(began: float, stopped: float, replies: list[tuple[float, int]], to_monotonic: float) -> Loss:
    """Account for pings by their numbers; `replies` are wall-clock times and numbers.

    Pings after the last reply count as lost when there was time to answer them.
    """
    if not replies:
        return Loss(0, stopped - began, stopped - began, alive=False, back_at=None)
    replies = sorted(replies, key=lambda reply: reply[1])
    pairs = itertools.pairwise(replies)
    gaps = [((b[1] - a[1] - 1) * INTERVAL, b[0]) for a, b in pairs if b[1] - a[1] > 1]
    sent, lost = replies[-1][1] + 1, sum(length for length, _ in gaps)
    tail = stopped - replies[-1][0]
    if tail > _PATIENCE:
        return Loss(
            sent, lost + tail, max([tail, *(length for length, _ in gaps)]), alive=False, back_at=None
        )
    gap, back = max(gaps, default=(0.0, None))
    return Loss(sent, lost, gap, alive=True, back_at=back and back + to_monotonic)


def answers(namespace: str, destination: str, *, patience: float = 0.3) -> bool:
    """Return whether a destination answers one of three pings."""
    wait = str(int(patience * 1000))
    asked = net.inside(namespace, "fping", "-q", "-C", "3", "-p", "50", "-t", wait, destination)
    said = net.run(*asked, check=False).stderr
    return any(word != "-" for word in said.rpartition(" : ")[2].split())
