"""What a run needs of the outside: every port once, as the controller asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor
    from datetime import datetime

    from chalicelib.controller.run_command import Machines
    from chalicelib.core.network.change import NetworkChange
    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Instance, Observation
    from chalicelib.core.network.report import Failure, Report
    from chalicelib.core.network.topology import Topology

LOOK_SECONDS = 20.0
"""How long a look may take at most: four tries of a reading that EC2 throttles, and one that hangs."""


class Network(Protocol):
    """The VPC: looked at whole, changed one thing at a time."""

    def observe(self, topology: Topology, seconds: float = LOOK_SECONDS) -> Observation:
        """Take one snapshot within a time.

        Raises:
            ObservationError: when instances, route tables or addresses could not be read whole within `seconds`. Any other
                reading that failed is named in `Observation.unread`.
        """
        ...

    def instance(self, instance_id: str, seconds: float = LOOK_SECONDS) -> Instance | None:
        """Look for one instance by its id, wherever it is and if it has ended; None when EC2 knows none of that id.

        Raises:
            ObservationError: EC2 did not answer within `seconds`.
        """
        ...

    def apply(self, changes: Sequence[NetworkChange], seconds: float) -> Sequence[Failure | None]:
        """Attempt every change, the first ones first; give one failure, or None for done, per change.

        Never raises for a change that AWS refuses. What could not be attempted within `seconds` is a failure.
        """
        ...


class Journal(Protocol):
    """What is remembered between runs."""

    def read(self, name: str) -> History:
        """Read a topology's history; one never seen has an empty one.

        Raises:
            ObservationError: when it could not be read.
        """
        ...

    def decide(self, name: str, before: History, after: History, decision: Report) -> None:
        """Write a decision down before its first change.

        Raises:
            ObservationError: when `before` is no longer the latest: another run has decided since.
            ApplyError: when it could not be written.
        """
        ...

    def close(self, name: str, report: Report) -> None:
        """Write down what became of a decision.

        Raises:
            ApplyError: when it could not be written.
        """
        ...

    def amend(self, name: str, change: Callable[[History], History]) -> History:
        """Change a topology's history, whatever others write meanwhile.

        Raises:
            ObservationError: it could not be read.
            ApplyError: it could not be written.
        """
        ...


class Clock(Protocol):
    """Time, so that tests need none."""

    def now(self) -> datetime:
        """Give the time in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside the core that a run needs."""

    network: Network
    journal: Journal
    clock: Clock
    machines: Machines
    beside: Executor
    """Runs what may run at the same time; one that runs it at once, in place, makes a run deterministic."""
