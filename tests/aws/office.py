"""The example network on the embedded AWS, and Mooring's edge over it: what the tests of the edge share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.network import declaration, deploy, deploy_journal
from tests.stand_ins.office import DeployedOffice, with_dhcp_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.bootstrap import Edge
    from chalicelib.controller.ports import Network
    from chalicelib.core.network.change import NetworkChange
    from chalicelib.core.network.observation import Instance, Observation, RouteTable
    from chalicelib.core.network.report import Failure
    from tests.fake_aws import Call, World

WHY = "the test wants it"

ESSENTIAL = ("DescribeRouteTables", "DescribeInstances", "DescribeAddresses")
"""Every call that a look cannot do without."""

OTHERS = ("DescribeInstanceStatus", "DescribeSubnets", "DescribeSecurityGroupRules", "DescribeVpcs")
"""Every other call of a look."""

READS = (*ESSENTIAL, *OTHERS)


@dataclass(frozen=True)
class Office(DeployedOffice):
    """A deployed network, and the port that is tested on it."""

    edge: Edge

    @property
    def network(self) -> Network:
        """The port, as bootstrap wires it."""
        return self.edge.network

    @property
    def private_table(self) -> str:
        """The first private table; nothing but `local` is in it."""
        return self.outputs["PrivateRouteTableAId"]

    @property
    def gateway(self) -> str:
        """The internet gateway."""
        return self.outputs["InternetGatewayId"]

    def subnet(self, output: str) -> str:
        """Return the first subnet that an output lists."""
        return self.outputs[output].split("=")[0]

    def observe(self) -> Observation:
        """Look at it through the port."""
        return self.network.observe(self.topology)

    def apply(self, *changes: NetworkChange, seconds: float = 30) -> Sequence[Failure | None]:
        """Change it through the port."""
        return self.network.apply(changes, seconds)

    def candidates(self) -> list[Instance]:
        """List its routers to be."""
        return [i for i in self.observe().instances if "mooring:router" in i.tags]

    def table(self, table_id: str) -> RouteTable:
        """Look at one table through the port."""
        return next(t for t in self.observe().tables if t.id == table_id)

    def add_tables(self, count: int, *destinations: str) -> list[str]:
        """Add tables that lead each destination to the internet gateway."""
        tables = [self.ec2.create_route_table(VpcId=self.vpc_id)["RouteTable"] for _ in range(count)]
        for table in tables:
            for destination in destinations:
                self.ec2.create_route(
                    RouteTableId=table["RouteTableId"],
                    DestinationCidrBlock=destination,
                    GatewayId=self.gateway,
                )
        return [table["RouteTableId"] for table in tables]

    def asked(self, operation: str | None = None, count: int = 0) -> list[Call]:
        """List the product's calls to EC2 since the last `forget`, once there are so many."""
        deadline = time.monotonic() + 60
        while True:
            found = [c for c in self.world.calls if c.by == "product" and c.service == "ec2"]
            found = [c for c in found if operation in (None, c.operation)]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"{len(found)} of {count} calls of {operation}"
            time.sleep(0.01)

    def forget(self) -> None:
        """Count calls from now on."""
        self.world.forget_calls()


def deploy_office(world: World, edge: Edge) -> Office:
    """Deploy it with two candidates, ssh open, and DHCP options; nothing leads to a router yet."""
    outputs = deploy(world, RouterCount="2", BootstrapSsh="open", DhcpDomainName="corp.example")
    deploy_journal(world)
    world.forget_calls()
    return Office(world, outputs, with_dhcp_options(declaration(outputs), outputs), edge)
