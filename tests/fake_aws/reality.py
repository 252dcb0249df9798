"""The one AWS of this process: what moto's classes, made truthful, need to know of the world.

moto's backends are global, so this is too: one world lives at a time.
"""

from __future__ import annotations

import functools
import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .events import ACCOUNT, Bus
from .transitions import Transitions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from .nodes import Fleet
    from .truth_hooks import Wait


def _addresses(network: str) -> Iterator[str]:
    """Count through a documentation range (RFC 5737), again from the start when it is used up."""
    return (f"{network}.{host}" for host in itertools.cycle(range(1, 255)))


@dataclass(frozen=True)
class Check:
    """A status check's word, and since when it has failed."""

    status: str
    since: datetime | None = None


@dataclass
class Reality:
    """The knobs of the world, its lock, its events and its instances' changes of state."""

    region: str = "eu-west-1"
    account_id: str = ACCOUNT
    page_size: int | None = None
    # Instance id -> which check ("instance", "system", "ebs") -> what DescribeInstanceStatus says of it.
    checks: dict[str, dict[str, Check]] = field(default_factory=dict)
    # Instance id -> the events that AWS has scheduled for it, as DescribeInstanceStatus lists them.
    scheduled: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    # Association id -> the state of a route table's association, where it is not `associated`.
    unsettled: dict[str, str] = field(default_factory=dict)
    # Held while moto works: its backends are not made for threads.
    lock: threading.RLock = field(default_factory=threading.RLock)
    bus: Bus = field(default_factory=Bus)
    # Seconds by which the queues' time is ahead of the clock's.
    passed: float = 0.0
    # Who waits for which lifecycle hook.
    waits: list[Wait] = field(default_factory=list)
    transitions: Transitions = field(default_factory=Transitions)
    # Commands on their way to scripted agents, and back.
    deliveries: Transitions = field(default_factory=Transitions)
    elastic_addresses: Iterator[str] = field(default_factory=lambda: _addresses("203.0.113"))
    public_addresses: Iterator[str] = field(default_factory=lambda: _addresses("198.51.100"))

    @functools.cached_property
    def fleet(self) -> Fleet:
        """The nodes of Systems Manager and their commands."""
        from .nodes import Fleet  # noqa: PLC0415 - its module looks at this one

        return Fleet()

    def reset(self) -> None:
        """Forget all that happened, and put every knob back."""
        self.page_size, self.passed = None, 0.0
        self.checks.clear()
        self.scheduled.clear()
        self.unsettled.clear()
        self.waits.clear()
        self.bus.reset()
        self.transitions.reset()
        self.deliveries.reset()
        self.fleet.reset()
        self.elastic_addresses = _addresses("203.0.113")
        self.public_addresses = _addresses("198.51.100")


aws = Reality()
