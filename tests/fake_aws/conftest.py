"""Clients of the embedded AWS for this folder's tests, and a small network in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from . import Client, World


@pytest.fixture
def ec2(world: World) -> Client:
    """A hand's EC2 client."""
    return world.client("ec2")


@pytest.fixture(scope="session")
def product(embedded: World) -> Client:
    """The product's EC2 client: what faults hit; it asks once."""
    return embedded.client("ec2", Config(retries={"total_max_attempts": 1}), by="product")


@dataclass
class Network:
    """A VPC with an internet gateway, two zones, a table and an Elastic IP."""

    ec2: Client
    vpc_id: str
    igw_id: str
    subnet_id: str
    other_subnet_id: str
    table_id: str
    allocation_id: str

    def launch(self, **asked: object) -> tuple[str, str]:
        """Launch one instance; give its id and its primary interface's."""
        if "NetworkInterfaces" not in asked:
            asked.setdefault("SubnetId", self.subnet_id)
        (instance,) = self.ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, **asked)[
            "Instances"
        ]
        return instance["InstanceId"], instance["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def instance(self, instance_id: str) -> dict[str, Any]:
        """Describe one instance."""
        (reservation,) = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        (instance,) = reservation["Instances"]
        return dict(instance)

    def interface(self, eni_id: str) -> dict[str, Any]:
        """Describe one interface."""
        (nic,) = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni_id])["NetworkInterfaces"]
        return dict(nic)

    def address(self) -> dict[str, Any]:
        """Describe the Elastic IP."""
        (address,) = self.ec2.describe_addresses(AllocationIds=[self.allocation_id])["Addresses"]
        return dict(address)

    def routes(self, destination: str = "0.0.0.0/0") -> list[dict[str, Any]]:
        """List the table's routes to a destination."""
        (table,) = self.ec2.describe_route_tables(RouteTableIds=[self.table_id])["RouteTables"]
        return [route for route in table["Routes"] if route["DestinationCidrBlock"] == destination]

    def route(self, destination: str = "0.0.0.0/0") -> dict[str, Any]:
        """Return the table's one route to a destination."""
        (route,) = self.routes(destination)
        return route

    def point(self, eni_id: str, destination: str = "0.0.0.0/0") -> None:
        """Create a route to an interface."""
        self.ec2.create_route(
            RouteTableId=self.table_id, DestinationCidrBlock=destination, NetworkInterfaceId=eni_id
        )


@pytest.fixture
def network(ec2: Client) -> Network:
    """A small network, ready for a router."""
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    igw_id = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=igw_id, VpcId=vpc_id)
    subnet_id, other_subnet_id = (
        ec2.create_subnet(VpcId=vpc_id, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for cidr, zone in (("10.0.0.0/24", "eu-west-1a"), ("10.0.1.0/24", "eu-west-1b"))
    )
    table_id = ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    allocation_id = ec2.allocate_address(Domain="vpc")["AllocationId"]
    return Network(ec2, vpc_id, igw_id, subnet_id, other_subnet_id, table_id, allocation_id)


def code(call: Callable[[], object]) -> str:
    """Make a call that AWS refuses, and give the error code."""
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])
