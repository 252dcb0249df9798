"""The simulator's network as a stage of the contract tests: what is proven of it there is what schedules lean on."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from chalicelib.core.network.observation import Subnet
from tests import builders
from tests.aws.stages import FakeStage
from tests.core.model import Model
from tests.ports import RunPorts
from tests.simulator.course import Clock, Course, Fault, InPlace, Run
from tests.simulator.journal import SimulatedJournal
from tests.simulator.judge import Judge
from tests.simulator.machines import SimulatedMachines
from tests.simulator.network import SimulatedNetwork
from tests.simulator.truth import Truth
from tests.simulator.vpc import Vpc

if TYPE_CHECKING:
    from tests.oracle import Facts


class SimulatedStage:
    """One run that never ends, over the truth, which is the fake's network."""

    router, standby = builders.ROUTER_ENI, builders.STANDBY_ENI

    def __init__(self) -> None:
        fake = FakeStage()
        self.topology = fake.topology
        seen = fake.model.observe(self.topology, builders.NOON)
        subnets = tuple(Subnet(subnet_id, str(cidr)) for subnet_id, cidr in self.topology.subnets.items())
        self.vpc = Vpc(seen, subnets, builders.OPTIONS)
        self._course = course = Course(Random(0), self.vpc, trace=False)  # noqa: S311 - no secret
        course.running.append(Run(1, "worker", 0.0, 0.0, float("inf"), topology=self.topology))
        judge = Judge(course, Truth(self.vpc, self.topology))
        self.journal = SimulatedJournal(course, judge)
        network, machines = SimulatedNetwork(course, judge), SimulatedMachines(course, judge)
        self.ports = RunPorts(network, self.journal, Clock(course, 0.0), machines, InPlace())

    def facts(self) -> Facts:
        """Ask the truth."""
        model = Model(
            tables=self.vpc.tables,
            instances=self.vpc.instances,
            elastic_ips=self.vpc.elastic_ips,
            ingress=self.vpc.rules,
            dhcp_options=self.vpc.options,
        )
        return model.facts()

    def delete_route(self, table_id: str, destination: str) -> None:
        """Delete it in truth."""
        self.vpc.unroute(table_id, destination)

    def point(self, table_id: str, destination: str, interface_id: str) -> None:
        """Point it elsewhere in truth."""
        self.vpc.route(table_id, destination, interface_id)

    def switch_check_on(self, interface_id: str) -> None:
        """Switch it on in truth."""
        self.vpc.check(interface_id, on=True)

    def disassociate(self) -> None:
        """Put it nowhere in truth."""
        self.vpc.put_address(self.topology.elastic_ip, None)

    def associate(self, subnet_id: str, table_id: str | None) -> None:
        """Move it in truth."""
        self.vpc.associate(subnet_id, table_id)

    def open_ssh(self) -> None:
        """Add the rule in truth."""
        self.vpc.rule(builders.ssh_rule())

    def use_other_options(self) -> None:
        """Take others in truth."""
        self.vpc.use_options(builders.an_id("dopt", 99))

    def terminate(self, instance_id: str) -> None:
        """Terminate it in truth."""
        self.vpc.terminate(instance_id)

    def stop(self, instance_id: str) -> None:
        """Stop it in truth."""
        self.vpc.become(instance_id, "stopped")

    def start(self, instance_id: str) -> None:
        """Start it in truth, a while later."""
        self.vpc.now += 60
        self.vpc.become(instance_id, "running")

    def unsettle(self, subnet_id: str, state: str) -> None:
        """Let its association be so in truth."""
        self.vpc.unsettle(subnet_id, state)

    def subnets(self) -> dict[str, str]:
        """Ask the truth."""
        return {subnet.id: subnet.cidr for subnet in self.vpc.subnets.values()}

    def deny(self, operation: str) -> None:
        """Have it refused from now on."""
        self._course.faults.append(Fault(operation, "refuse", 0.0, float("inf")))
