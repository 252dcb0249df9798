"""Mooring's edge on the embedded AWS, and clients that make a fault come out at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.config import Config

from chalicelib.bootstrap import Edge
from tests.aws.office import Office, deploy_office
from tests.aws.stages import Ec2Stage, FakeStage, Stage
from tests.simulator.stage import SimulatedStage

if TYPE_CHECKING:
    from tests.fake_aws import Client, World

ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})


@pytest.fixture(scope="session")
def edge(embedded: World) -> Edge:
    """The edge as bootstrap wires it: its clients outlive what is on AWS, and take long to make."""
    return Edge(embedded.session, embedded.endpoint_url)


@pytest.fixture
def office(world: World, edge: Edge) -> Office:
    """The example network, on which nothing leads to a router yet."""
    return deploy_office(world, edge)


@pytest.fixture(scope="session")
def once(embedded: World) -> Client:
    """An EC2 client that asks once."""
    return embedded.client("ec2", ONCE, by="product")


@pytest.fixture(params=["fake", "simulated", "ec2"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """A network as declared, on the fake, in the simulator and on the embedded AWS in turn."""
    if request.param == "fake":
        return FakeStage()
    if request.param == "simulated":
        return SimulatedStage()
    return Ec2Stage(request.getfixturevalue("world"), request.getfixturevalue("edge"))
