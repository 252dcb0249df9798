"""The controller's ports, put together by hand; each test names what it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from chalicelib.controller.ports import (
        Clock,
        Groups,
        Journal,
        Locator,
        Machines,
        Network,
        OperatorJournal,
        Queue,
        Telemetry,
        Topologies,
    )


@dataclass(frozen=True)
class RunPorts:
    """What one run takes."""

    network: Network
    journal: Journal
    clock: Clock
    machines: Machines
    executor: Executor


@dataclass(frozen=True)
class WorkersPorts(RunPorts):
    """What the worker takes."""

    journal: OperatorJournal
    topologies: Topologies
    queue: Queue
    groups: Groups
    telemetry: Telemetry


@dataclass(frozen=True)
class EventsPorts:
    """What an event takes on its way to the worker."""

    topologies: Topologies
    network: Locator
    queue: Queue
    clock: Clock
