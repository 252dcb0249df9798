"""The example network that `mooring` keeps on the embedded AWS, and operators who run it there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.aws.ssm.topologies import Topologies
from chalicelib.bootstrap import Edge
from chalicelib.controller.reconcile import reconcile
from chalicelib.core.request import Request
from tests.fake_aws import World
from tests.network import declaration, deploy, deploy_journal
from tests.stand_ins.command_line import NOWHERE, Mooring
from tests.stand_ins.office import DeployedOffice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Office(DeployedOffice):
    """The example network with a standby: declared, kept, and converged when a test begins."""

    edge: Edge
    impaired: list[str] = field(default_factory=list)

    @property
    def topologies(self) -> Topologies:
        """What is declared, in a hand's hands."""
        return Topologies(self.world.client("ssm"))

    def restore(self) -> None:
        """Undo what a test did."""
        self.world.heal()
        while self.impaired:
            self.world.unimpair(self.impaired.pop())
        for name in self.topologies.names():
            self.world.client("ssm").delete_parameter(Name=f"/mooring/topologies/{name}")
        self.declare()
        report = reconcile(self.topology, self.edge, Request("a test", force=True))
        assert report.verdict in ("converged", "repaired"), report.sentence
        self.world.forget_calls()

    def impair_router(self) -> None:
        """Let the router fail its status checks, in a later second than it became the router: AWS tells whole ones."""
        became = self.edge.journal.read(self.name).since
        now = datetime.now(UTC)
        self.impaired.append(self.router)
        self.world.impair(self.router, since=max(now, became + timedelta(seconds=1)) if became else now)

    @property
    def writes(self) -> list[str]:
        """What the product has written to EC2 or Parameter Store since the test began."""
        return [
            call.operation
            for call in self.world.calls
            if call.by == "product" and call.write and call.service in ("ec2", "ssm")
        ]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One AWS for a file; another file's, emptied, if that still lives in this process."""
    alive = World._alive
    with contextlib.nullcontext(alive) if alive else World() as mine:
        mine.reset()
        yield mine
        mine.reset()


@pytest.fixture(scope="module")
def deployed(world: World) -> Office:
    """The example network, once for a file."""
    deploy_journal(world)
    outputs = deploy(world, RouterCount="2")
    return Office(world, outputs, declaration(outputs), Edge(world.session, world.endpoint_url))


@pytest.fixture
def office(deployed: Office) -> Office:
    """The example network, converged."""
    deployed.restore()
    return deployed


@pytest.fixture
def mooring(world: World, tmp_path: Path) -> Mooring:
    """`mooring`, on the embedded AWS."""
    return Mooring(world.environment(), tmp_path)


@pytest.fixture
def offline(tmp_path: Path) -> Mooring:
    """`mooring`, where no AWS answers."""
    return Mooring(NOWHERE, tmp_path)
