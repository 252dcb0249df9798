"""Two networks to try a port on, and one pair of hands that breaks either."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from chalicelib.controller.reconcile import reconcile
from chalicelib.core.network.observation import ElasticIp, IngressRule, Route, RouteTable, Subnet
from chalicelib.core.network.topology import DEFAULT_ROUTE
from chalicelib.core.request import Request
from tests import builders
from tests.aws.office import OTHERS, deploy_office
from tests.core.model import Model
from tests.fakes import Fault, Scene

if TYPE_CHECKING:
    from chalicelib.bootstrap import Edge
    from chalicelib.controller.ports import Ports
    from chalicelib.core.network.topology import Topology
    from tests.fake_aws import World
    from tests.fakes import Step
    from tests.oracle import Facts

DEFAULT = str(DEFAULT_ROUTE)
FOREIGN = "172.31.0.0/16"
FOR_EVER = 10**6


class Stage(Protocol):
    """A network as declared, with foreign things around; and hands, which are nobody's port.

    Everything leads to the interface `router`; `standby` is the other candidate's.
    """

    topology: Topology
    router: str
    standby: str

    @property
    def ports(self) -> Ports:
        """What is tested."""
        ...

    def facts(self) -> Facts:
        """Tell what is so, for the oracle."""
        ...

    def delete_route(self, table_id: str, destination: str) -> None:
        """Delete a route."""
        ...

    def point(self, table_id: str, destination: str, interface_id: str) -> None:
        """Point a route elsewhere."""
        ...

    def switch_check_on(self, interface_id: str) -> None:
        """Switch an interface's source/dest check on."""
        ...

    def disassociate(self) -> None:
        """Take the Elastic IP away."""
        ...

    def associate(self, subnet_id: str, table_id: str | None) -> None:
        """Move a subnet to another table, or to none."""
        ...

    def open_ssh(self) -> None:
        """Add the bootstrap rule."""
        ...

    def use_other_options(self) -> None:
        """Return the VPC other DHCP options than declared."""
        ...

    def terminate(self, instance_id: str) -> None:
        """Terminate an instance."""
        ...

    def stop(self, instance_id: str) -> None:
        """Stop an instance."""
        ...

    def start(self, instance_id: str) -> None:
        """Start a stopped instance."""
        ...

    def unsettle(self, subnet_id: str, state: str) -> None:
        """Let the association of a subnet be in a state."""
        ...

    def subnets(self) -> dict[str, str]:
        """Tell the CIDR of every subnet of the VPC."""
        ...

    def deny(self, operation: str) -> None:
        """Deny a call of EC2's from now on."""
        ...


class FakeStage:
    """The fake port over its model."""

    router, standby = builders.ROUTER_ENI, builders.STANDBY_ENI

    def __init__(self) -> None:
        self.topology = builders.topology(dhcp_options=builders.OPTIONS)
        seen = builders.seen(self.topology, builders.instance(), builders.standby())
        seen = builders.routed(
            seen,
            builders.PRIVATE_A,
            Route(FOREIGN, builders.FOREIGN_ENI),
            builders.propagated("172.30.0.0/16"),
        )
        self.model = Model.of(seen)
        self.model.tables[builders.FOREIGN] = RouteTable(
            builders.FOREIGN, routes=(builders.local(), Route(DEFAULT, builders.ROUTER_ENI))
        )
        card = builders.interface(builders.FOREIGN_ENI, "10.0.1.77", builders.PRIVATE_SUBNET_A, check=True)
        bystander = replace(builders.instance(builders.THIRD, card), tags={"Name": "bystander"})
        self.model.instances[bystander.id] = bystander
        foreign = ElasticIp(builders.FOREIGN_EIP, "203.0.113.99", builders.FOREIGN_ENI, "10.0.1.77")
        self.model.elastic_ips[foreign.allocation_id] = foreign
        self.model.ingress["sgr-https"] = IngressRule("sgr-https", "tcp", 443, 443, DEFAULT)
        self.model.subnets = {
            subnet_id: Subnet(subnet_id, str(cidr))
            for table in self.topology.tables
            for subnet_id, cidr in table.subnets.items()
        }
        self._scene = Scene(self.topology, self.model)

    @property
    def ports(self) -> Ports:
        """The fakes."""
        return self._scene.ports

    def facts(self) -> Facts:
        """Ask the model."""
        return self.model.facts()

    def delete_route(self, table_id: str, destination: str) -> None:
        """Delete it from the model."""
        self.model.unroute(table_id, destination)

    def point(self, table_id: str, destination: str, interface_id: str) -> None:
        """Point it elsewhere in the model."""
        self.model.route(table_id, destination, interface_id)

    def switch_check_on(self, interface_id: str) -> None:
        """Switch it on in the model."""
        self.model.check(interface_id, on=True)

    def disassociate(self) -> None:
        """Put it nowhere in the model."""
        self.model.put_address(self.topology.elastic_ip, None)

    def associate(self, subnet_id: str, table_id: str | None) -> None:
        """Move it in the model."""
        self.model.associate(subnet_id, table_id)

    def open_ssh(self) -> None:
        """Add the rule to the model."""
        self.model.ingress[builders.BOOTSTRAP] = builders.ssh_rule()

    def use_other_options(self) -> None:
        """Take others in the model."""
        self.model.dhcp_options = builders.an_id("dopt", 99)

    def terminate(self, instance_id: str) -> None:
        """Terminate it in the model."""
        self.model.end(instance_id)

    def stop(self, instance_id: str) -> None:
        """Stop it in the model."""
        self.model.become(instance_id, state="stopped")

    def start(self, instance_id: str) -> None:
        """Start it in the model."""
        self.model.start(instance_id, self._scene.clock.now())

    def unsettle(self, subnet_id: str, state: str) -> None:
        """Return so in the model."""
        self.model.unsettle(subnet_id, state)

    def subnets(self) -> dict[str, str]:
        """Ask the model."""
        return {s.id: s.cidr for s in (self.model.subnets or {}).values()}

    def deny(self, operation: str) -> None:
        """Have the fake refuse it, as a reading that a look does without, or as one that it cannot."""
        if operation in OTHERS:
            self._scene.network.unread[f"ec2:{operation}"] = "UnauthorizedOperation: refused"
            return
        steps: tuple[Step, ...] = (
            ("observe", "instance") if operation == "DescribeInstances" else ("observe",)
        )
        script = self._scene.script
        refused = (Fault(step, 0, "refuse", times=FOR_EVER, code="UnauthorizedOperation") for step in steps)
        script.faults = (*script.faults, *refused)


class Ec2Stage:
    """The real port over the embedded AWS."""

    def __init__(self, world: World, edge: Edge) -> None:
        self._office = deploy_office(world, edge)
        self.topology = self._office.topology
        self._ec2 = self._office.ec2
        self._add_foreign_things(world)
        report = reconcile(self.topology, self.ports, Request())
        assert report.verdict == "repaired", report.sentence
        assert report.election
        assert report.election.interface
        self.router = report.election.interface.id
        others = (c.interfaces[0].id for c in self._office.candidates())
        self.standby = next(eni for eni in others if eni != self.router)

    def _add_foreign_things(self, world: World) -> None:
        """Add a bystander with an Elastic IP, a table, routes in a declared table and a rule, none of them declared."""
        vpc_id, table_id, ec2 = self._office.vpc_id, self._office.private_table, self._ec2
        subnet_id = self._office.subnet("PrivateSubnetsA")
        asked = {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1, "SubnetId": subnet_id}
        (bystander,) = ec2.run_instances(**asked)["Instances"]
        eni = bystander["NetworkInterfaces"][0]["NetworkInterfaceId"]
        allocation_id = ec2.allocate_address(Domain="vpc")["AllocationId"]
        ec2.associate_address(AllocationId=allocation_id, NetworkInterfaceId=eni)
        (foreign,) = self._office.add_tables(1)
        router = self._office.candidates()[0].interfaces[0].id
        ec2.create_route(RouteTableId=foreign, DestinationCidrBlock=DEFAULT, NetworkInterfaceId=router)
        ec2.create_route(RouteTableId=table_id, DestinationCidrBlock=FOREIGN, NetworkInterfaceId=eni)
        vgw_id = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
        ec2.attach_vpn_gateway(VpcId=vpc_id, VpnGatewayId=vgw_id)
        world.propagate(table_id, "172.30.0.0/16", vgw_id)
        self._allow(443)

    def _allow(self, port: int) -> None:
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": DEFAULT}]}
        self._ec2.authorize_security_group_ingress(GroupId=self.topology.security_group, IpPermissions=[rule])

    @property
    def ports(self) -> Ports:
        """What bootstrap wires."""
        return self._office.edge

    def facts(self) -> Facts:
        """Ask AWS."""
        return self._office.facts()

    def delete_route(self, table_id: str, destination: str) -> None:
        """Delete it by hand."""
        self._ec2.delete_route(RouteTableId=table_id, DestinationCidrBlock=destination)

    def point(self, table_id: str, destination: str, interface_id: str) -> None:
        """Replace it by hand."""
        self._ec2.replace_route(
            RouteTableId=table_id, DestinationCidrBlock=destination, NetworkInterfaceId=interface_id
        )

    def switch_check_on(self, interface_id: str) -> None:
        """Modify it by hand."""
        self._ec2.modify_network_interface_attribute(
            NetworkInterfaceId=interface_id, SourceDestCheck={"Value": True}
        )

    def disassociate(self) -> None:
        """Disassociate it by hand."""
        (address,) = self._ec2.describe_addresses(AllocationIds=[self.topology.elastic_ip])["Addresses"]
        self._ec2.disassociate_address(AssociationId=address["AssociationId"])

    def associate(self, subnet_id: str, table_id: str | None) -> None:
        """Replace or remove its association by hand."""
        known = {"AssociationId": self._association(subnet_id)}
        if table_id is None:
            self._ec2.disassociate_route_table(**known)
        else:
            self._ec2.replace_route_table_association(RouteTableId=table_id, **known)

    def _association(self, subnet_id: str) -> str:
        wanted = [{"Name": "association.subnet-id", "Values": [subnet_id]}]
        (table,) = self._ec2.describe_route_tables(Filters=wanted)["RouteTables"]
        (association,) = (a for a in table["Associations"] if a["SubnetId"] == subnet_id)
        return str(association["RouteTableAssociationId"])

    def open_ssh(self) -> None:
        """Authorize it by hand."""
        self._allow(22)

    def use_other_options(self) -> None:
        """Create others and associate them by hand."""
        domain = {"Key": "domain-name", "Values": ["elsewhere.example"]}
        made = self._ec2.create_dhcp_options(DhcpConfigurations=[domain])["DhcpOptions"]
        self._ec2.associate_dhcp_options(VpcId=self._office.vpc_id, DhcpOptionsId=made["DhcpOptionsId"])

    def terminate(self, instance_id: str) -> None:
        """Terminate it by hand."""
        self._ec2.terminate_instances(InstanceIds=[instance_id])

    def stop(self, instance_id: str) -> None:
        """Stop it by hand."""
        self._ec2.stop_instances(InstanceIds=[instance_id])

    def start(self, instance_id: str) -> None:
        """Start it by hand."""
        self._ec2.start_instances(InstanceIds=[instance_id])

    def unsettle(self, subnet_id: str, state: str) -> None:
        """Have AWS say so."""
        self._office.world.unsettle(self._association(subnet_id), state)

    def subnets(self) -> dict[str, str]:
        """Ask AWS."""
        within = [{"Name": "vpc-id", "Values": [self._office.vpc_id]}]
        listed = self._ec2.describe_subnets(Filters=within)["Subnets"]
        return {subnet["SubnetId"]: subnet["CidrBlock"] for subnet in listed}

    def deny(self, operation: str) -> None:
        """Deny it to the product."""
        self._office.world.deny(operation)
