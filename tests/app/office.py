"""The example network as the functions keep it, and a hand to disturb it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.core.declaration import parse
from tests.fake_routers import Boxes
from tests.network import TUNNEL, declaration, deploy, deploy_documents
from tests.oracle import facts_from_aws, judge

if TYPE_CHECKING:
    from chalicelib.core.network.history import History
    from chalicelib.core.network.topology import Topology
    from tests.fake_aws import Client
    from tests.oracle import Facts
    from tests.stand_ins.functions import Functions

WHERE = "/mooring/topologies/"
PRIVATE_TABLE = "rtb-00000000000000002"

_MINIMAL = """name = "office"
[vpc]
id = "{vpc_id}"
cidr = "10.0.0.0/16"
internet_gateway = "igw-00000000000000001"
[office]
networks = ["10.100.100.0/24"]
vpn_clients = "192.168.0.0/24"
[router]
candidates = {{ "mooring:router" = "office" }}
elastic_ip = "eipalloc-00000000000000001"
[[public]]
table = "rtb-00000000000000001"
subnets = {{ {subnet_id} = "10.0.0.0/24" }}
[[private]]
table = "{private_table}"
subnets = {{ subnet-00000000000000009 = "10.0.1.0/24" }}
"""


@dataclass(frozen=True)
class Office:
    """A deployed and declared network."""

    functions: Functions
    outputs: dict[str, str]
    topology: Topology

    @property
    def name(self) -> str:
        """The topology's name."""
        return self.topology.name

    @property
    def ec2(self) -> Client:
        """A hand's EC2 client."""
        return self.functions.world.client("ec2")

    def facts(self) -> Facts:
        """Look at it by hand."""
        return facts_from_aws(self.ec2, self.topology.vpc_id)

    def complaints(self) -> list[str]:
        """Have it judged by who is no planner."""
        return judge(self.topology, self.facts())

    @property
    def router(self) -> str:
        """The instance that the first private table's default route leads to."""
        return self._holder(self.default_route()["NetworkInterfaceId"])

    @property
    def standby(self) -> str:
        """A running candidate that is not the router."""
        router = self.router
        return next(i for i in self.candidates() if i != router)

    def candidates(self) -> list[str]:
        """List the running instances that may be the router."""
        found = self.ec2.describe_instances(
            Filters=[
                {"Name": "tag:mooring:router", "Values": [self.name]},
                {"Name": "instance-state-name", "Values": ["running"]},
            ]
        )["Reservations"]
        return sorted(i["InstanceId"] for reservation in found for i in reservation["Instances"])

    def default_route(self) -> dict[str, Any]:
        """Give the first private table's default route."""
        (table,) = self.ec2.describe_route_tables(RouteTableIds=[self.outputs["PrivateRouteTableAId"]])[
            "RouteTables"
        ]
        return next(r for r in table["Routes"] if r.get("DestinationCidrBlock") == "0.0.0.0/0")

    def delete_default_route(self) -> None:
        """Do what a hand should not."""
        self.ec2.delete_route(
            RouteTableId=self.outputs["PrivateRouteTableAId"], DestinationCidrBlock="0.0.0.0/0"
        )

    def terminate(self, instance_id: str) -> None:
        """End an instance; its network hears of it when Mooring looks."""
        self.ec2.terminate_instances(InstanceIds=[instance_id])
        self.functions.world.settle()

    def history(self) -> History:
        """Read what the journal remembers."""
        history: History = self.functions.app.edge.journal.read(self.name)
        return history

    def runs(self) -> list[dict[str, Any]]:
        """Read the runs that decided something, the newest first."""
        runs: list[dict[str, Any]] = self.functions.app.edge.journal.timeline(self.name, 50)
        return runs

    def _holder(self, interface_id: str) -> str:
        (interface,) = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface_id])[
            "NetworkInterfaces"
        ]
        return str(interface["Attachment"]["InstanceId"])


@dataclass(frozen=True)
class Managed(Office):
    """One whose routers' configuration is Mooring's; `boxes` plays what runs on them."""

    boxes: Boxes

    def declare_anew(self, server: str = "vpn2.example.com") -> None:
        """Declare another server, which is another configuration for every router."""
        document = declaration(self.outputs, TUNNEL.replace("vpn.example.com", server))
        declare(self.functions, self.name, document)

    def machines(self) -> dict[str, dict[str, Any]]:
        """Give what Mooring knows of the routers, by the API, from a look there and then."""
        now = self.functions.call("GET", f"/topologies/{self.name}").body["now"]
        return {machine["instance_id"]: machine for machine in now["machines"]}


def minimal(
    vpc_id: str = "vpc-00000000000000001",
    subnet_id: str = "subnet-00000000000000001",
    *,
    paused: bool = False,
) -> bytes:
    """Write the topology `office` of a network that need not be there."""
    document = _MINIMAL.format(vpc_id=vpc_id, subnet_id=subnet_id, private_table=PRIVATE_TABLE)
    return (f"paused = true\n{document}" if paused else document).encode()


def declare(functions: Functions, name: str, document: bytes) -> None:
    """Store a topology, as `mooring declare` does."""
    functions.world.client("ssm").put_parameter(
        Name=WHERE + name, Value=document.decode(), Type="String", Overwrite=True, Tier="Intelligent-Tiering"
    )


def deploy_office(functions: Functions) -> Office:
    """Deploy it with two routers, declare it, and have the functions take it over."""
    outputs = deploy(functions.world, RouterCount="2")
    functions.world.settle()
    document = declaration(outputs)
    topology = parse(document)
    declare(functions, topology.name, document)
    functions.tick()
    office = Office(functions, outputs, topology)
    assert office.complaints() == []
    functions.forget()
    return office


def deploy_managed(functions: Functions) -> Managed:
    """Deploy it with its tunnel, and have the routers asked, configured and heard."""
    outputs = deploy(functions.world, RouterCount="2")
    functions.world.settle()
    deploy_documents(functions.world)
    boxes, document = Boxes(functions.world), declaration(outputs, TUNNEL)
    office = Managed(functions, outputs, parse(document), boxes)
    declare(functions, office.name, document)
    for _ in ("asked", "pushed", "heard"):
        functions.tick()
    assert office.complaints() == []
    assert functions.log.lines[-1]["report"]["verdict"] == "converged", functions.log.lines[-1]["message"]
    functions.forget()
    return office
