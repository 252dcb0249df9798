"""Mooring as it is deployed, on one machine: the zip's functions, the stack's resources, and networks to keep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.fake_routers import Boxes
from tests.network import add_private_tables, declaration
from tests.network import deploy as deploy_network
from tests.package.deployment import deploy, unpack
from tests.package.router import Router
from tests.package.runtime import Function, managed
from tests.stand_ins.office import WHERE, DeployedOffice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

    from tests.fake_aws import World
    from tests.package.deployment import Deployment
    from tests.package.router import Invocable, Served
    from tools.package import Package

ON_EVENT, WORKER, API = "OnEvent", "Reconcile", "APIHandler"
"""The functions, by the logical ids that Chalice gives them."""


class Mooring:
    """A deployed Mooring in a world, whatever runs its functions."""

    def __init__(self, world: World, deployment: Deployment, functions: Mapping[str, Invocable]) -> None:
        self.world, self.deployment = world, deployment
        self.router = Router(world, deployment, functions)

    def served(self, logical: str) -> list[Served]:
        """Return what a function has served since `forget`, in the order in which it was done."""
        return [one for one in self.router.served if one.function == self.deployment.names[logical]]

    @cached_property
    def boxes(self) -> Boxes:
        """What runs on the routers, played, from when it is first asked for."""
        return Boxes(self.world)

    def forget(self) -> None:
        """Count invocations and AWS calls anew."""
        self.router.served.clear()
        self.world.forget_calls()

    def metric(self, name: str, topology: str) -> list[float]:
        """Return the values of a metric of one topology since `forget`."""
        wanted = {"service": "mooring", "topology": topology}
        return [
            metric.value
            for one in self.router.served
            for metric in one.answer.metrics
            if metric.name == name and metric.dimensions == wanted
        ]

    def writes(self) -> list[str]:
        """Name the changes that Mooring has asked of EC2 since `forget`."""
        return [
            call.operation
            for call in self.world.calls
            if call.service == "ec2" and call.write and call.by == "product"
        ]

    def network(self, name: str, tables: int = 0, **parameters: str) -> Office:
        """Deploy an example network, with so many more private tables; it is not declared."""
        outputs = deploy_network(self.world, name, TopologyName=name, **parameters)
        more = add_private_tables(self.world, outputs["VpcId"], tables)
        self.router.settle()
        return Office(self.world, outputs, declaration(outputs, more), self)

    def open(self, name: str) -> Office:
        """Deploy an example network with two routers, declare it, and have Mooring take it over."""
        office = self.network(name, RouterCount="2", BootstrapSsh="open")
        office.declare()
        self.router.settle()
        self.forget()
        return office


class Stage(Mooring):
    """One whose functions run from the very zip; its processes end with the block."""

    functions: dict[str, Function]

    def __init__(self, world: World, package: Package, folder: Path) -> None:
        self.package, self.task = package, unpack(package, folder / "task")
        deployment = deploy(world, package)
        settings = deployment.settings(world, self.task, managed(folder / "runtime"))
        self.functions = {name: Function(known) for name, known in settings.items()}
        super().__init__(world, deployment, self.functions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for function in self.functions.values():
            function.close()

    def function(self, logical: str) -> Function:
        """Return a function by its logical id in the template."""
        return self.functions[self.deployment.names[logical]]


@dataclass(frozen=True)
class Office(DeployedOffice):
    """One that a deployed Mooring keeps."""

    stage: Mooring

    def last_run(self) -> dict[str, Any]:
        """Return the newest entry of the journal's timeline, through the API."""
        reply = self.stage.router.call("GET", f"/topologies/{self.name}/history", query={"limit": "1"})
        return dict(reply.body["runs"][0])

    def close(self) -> None:
        """Declare it no more, and let what is on its way arrive."""
        self.stage.world.heal()
        self.stage.world.client("ssm").delete_parameter(Name=WHERE + self.name)
        while self.stage.router.visible_again():
            self.stage.router.settle()
        self.stage.router.settle()
