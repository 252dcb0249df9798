"""The example network as the functions keep it, and a hand to disturb it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fake_routers import Boxes
from tests.network import TUNNEL, declaration, deploy, deploy_documents
from tests.stand_ins.office import DeployedOffice
from tests.stand_ins.office import declare as store

if TYPE_CHECKING:
    from chalicelib.core.network.history import History
    from tests.stand_ins.functions import Functions

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
class Office(DeployedOffice):
    """One that the functions keep."""

    functions: Functions

    def history(self) -> History:
        """Read what the journal remembers."""
        history: History = self.functions.app.edge.journal.read(self.name)
        return history

    def runs(self) -> list[dict[str, Any]]:
        """Read the runs that decided something, the newest first."""
        runs: list[dict[str, Any]] = self.functions.app.edge.journal.timeline(self.name, 50)
        return runs


@dataclass(frozen=True)
class Managed(Office):
    """One whose routers' configuration is Mooring's; `boxes` plays what runs on them."""

    boxes: Boxes

    def declare_anew(self, server: str = "vpn2.example.com") -> None:
        """Declare another server, which is another configuration for every router."""
        document = declaration(self.outputs, TUNNEL.replace("vpn.example.com", server))
        declare(self.functions, self.name, document)

    def machines(self) -> dict[str, dict[str, Any]]:
        """Return what Mooring knows of the routers, by the API, from a look there and then."""
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
    """Store a topology where the functions look for it."""
    store(functions.world, name, document)


def deploy_office(functions: Functions) -> Office:
    """Deploy it with two routers, declare it, and have the functions take it over."""
    outputs = deploy(functions.world, RouterCount="2")
    functions.world.settle()
    office = Office(functions.world, outputs, declaration(outputs), functions)
    office.declare()
    functions.tick()
    assert office.complaints() == []
    functions.forget()
    return office


def deploy_managed(functions: Functions) -> Managed:
    """Deploy it with its tunnel, and have the routers asked, configured and heard."""
    outputs = deploy(functions.world, RouterCount="2")
    functions.world.settle()
    deploy_documents(functions.world)
    boxes, document = Boxes(functions.world), declaration(outputs, TUNNEL)
    office = Managed(functions.world, outputs, document, functions, boxes)
    office.declare()
    for _ in ("asked", "pushed", "heard"):
        functions.tick()
    assert office.complaints() == []
    assert functions.log.lines[-1]["report"]["verdict"] == "converged", functions.log.lines[-1]["message"]
    functions.forget()
    return office
