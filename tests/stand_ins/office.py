"""The example network as it is deployed, and a hand in it; a folder's `Office` adds what its tests look at it with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from chalicelib.core.declaration import parse
from tests.oracle import facts_from_aws, judge

if TYPE_CHECKING:
    from chalicelib.core.network.topology import Topology
    from tests.fake_aws import Client, World
    from tests.oracle import Facts

WHERE = "/mooring/topologies/"
"""The parameters that topologies are declared in."""


def declare(world: World, name: str, document: bytes) -> None:
    """Store a topology, as `mooring declare` does."""
    world.client("ssm").put_parameter(
        Name=WHERE + name, Value=document.decode(), Type="String", Overwrite=True, Tier="Intelligent-Tiering"
    )


def with_dhcp_options(document: bytes, outputs: dict[str, str]) -> bytes:
    """Declare the stack's DHCP options, too, which it has where it was deployed with a DhcpDomainName."""
    options = f'dhcp_options = "{outputs["DhcpOptionsId"]}"\n[office]'
    return document.replace(b"[office]", options.encode(), 1)


@dataclass(frozen=True)
class DeployedOffice:
    """A stack of examples/network.yaml, and the document that declares it."""

    world: World
    outputs: dict[str, str]
    document: bytes

    @cached_property
    def topology(self) -> Topology:
        """What the document declares."""
        return parse(self.document)

    @property
    def name(self) -> str:
        """The topology's name."""
        return self.topology.name

    @property
    def vpc_id(self) -> str:
        """The VPC."""
        return self.outputs["VpcId"]

    @property
    def ec2(self) -> Client:
        """A hand's EC2 client."""
        return self.world.client("ec2")

    # -- declared ------------------------------------------------------------------------------------

    def declare(self, after: str = "", before: str = "") -> None:
        """Declare it, with more TOML after all sections or before them."""
        parts = (before.encode(), self.document, after.encode())
        declare(self.world, self.name, b"\n".join(part for part in parts if part))

    # -- as it is ------------------------------------------------------------------------------------

    @property
    def address(self) -> dict[str, Any]:
        """The Elastic IP, as AWS describes it."""
        ids = [self.outputs["ElasticIpAllocationId"]]
        return dict(self.ec2.describe_addresses(AllocationIds=ids)["Addresses"][0])

    @property
    def router(self) -> str:
        """The instance that holds the Elastic IP."""
        return str(self.address["InstanceId"])

    @property
    def running(self) -> list[str]:
        """The running instances that may be the router."""
        tagged = [{"Name": "tag:mooring:router", "Values": [self.name]}]
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        found = self.ec2.describe_instances(Filters=tagged + running)["Reservations"]
        return sorted(str(one["InstanceId"]) for reservation in found for one in reservation["Instances"])

    @property
    def standby(self) -> str:
        """A running candidate that is not the router."""
        router = self.router
        return next(one for one in self.running if one != router)

    def state(self, instance_id: str) -> str:
        """Name the state of an instance."""
        found = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        return str(found[0]["Instances"][0]["State"]["Name"])

    def facts(self) -> Facts:
        """Look at it by hand."""
        return facts_from_aws(self.ec2, self.vpc_id)

    def complaints(self) -> list[str]:
        """Have it judged by who is no planner."""
        return judge(self.topology, self.facts())

    # -- disturbed -----------------------------------------------------------------------------------

    def delete_default_route(self) -> str:
        """Do what a hand should not, and AWS has no event of; give the private table that it is done to."""
        table_id = self.outputs["PrivateRouteTableAId"]
        self.ec2.delete_route(RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0")
        return table_id

    def terminate(self, instance_id: str) -> None:
        """End an instance; its network hears of it when Mooring looks."""
        self.ec2.terminate_instances(InstanceIds=[instance_id])
        self.world.settle()

    def terminate_router(self) -> str:
        """End the router, and let what comes of it wait; give its id."""
        router = self.router
        self.ec2.terminate_instances(InstanceIds=[router])
        return router
