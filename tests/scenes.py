"""Stages for runs of the controller: a converged network, and a journal that knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.network.change import resource_key
from tests.builders import instance, seen, standby, topology
from tests.core.model import Model
from tests.fakes import Fault, Scene
from tests.histories import remembered

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Instance
    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology

DEFAULT = "0.0.0.0/0"


def moored(*instances: Instance, declared: Topology | None = None, faults: tuple[Fault, ...] = ()) -> Scene:
    """Return a converged network with the router, a standby unless told otherwise, and a journal that knows since a day."""
    declared = declared or topology()
    scene = Scene(declared, Model.of(seen(declared, *(instances or (instance(), standby())))), faults)
    scene.journal.histories[declared.name] = remembered(declared)
    return scene


def results(report: Report) -> dict[str, str]:
    """Return what became of each change of a run."""
    return {resource_key(outcome.change): outcome.result for outcome in report.outcomes}


def router(report: Report) -> str | None:
    """Return who is the router by a report."""
    return report.router_id
