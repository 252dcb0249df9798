"""An office network that Mooring looks after, with everything about it wrong that can be; and its judge.

The judge asks the world, not the planner: for every kind of repair it says whether it is still wanting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fake_routers import Boxes
from tests.network import TUNNEL, declaration, deploy
from tests.stand_ins.office import DeployedOffice, with_dhcp_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fake_aws import World


@dataclass(frozen=True)
class Office(DeployedOffice):
    """One deployed network; `wanted` is the router that it should follow, `interface` its interface."""

    wanted: str
    interface: str
    boxes: Boxes

    def wanting(self) -> set[str]:
        """Name the actions that a repair still needs."""
        return {action for action, done in _DONE.items() if not done(self)}

    def configured(self) -> bool:
        """Whether every running router has a configuration."""
        return all(self.boxes[one].digest for one in self.running)

    def describe(self, operation: str, key: str, **asked: object) -> list[dict[str, Any]]:
        """Describe something, as a hand does."""
        found: list[dict[str, Any]] = getattr(self.ec2, operation)(**asked)[key]
        return found

    def table(self, output: str) -> dict[str, Any]:
        """One of its route tables."""
        (table,) = self.describe("describe_route_tables", "RouteTables", RouteTableIds=[self.outputs[output]])
        return table

    def route(self, output: str, destination: str) -> str | None:
        """Where a table leads, if anywhere."""
        routes = self.table(output)["Routes"]
        found = (r.get("NetworkInterfaceId") for r in routes if r["DestinationCidrBlock"] == destination)
        return next(found, None)

    def subnet(self, output: str) -> str:
        """The one private subnet of a zone."""
        return self.outputs[output].partition("=")[0]

    def serves(self, table: str, subnets: str) -> bool:
        """Whether a table is associated with a zone's subnet."""
        associations = self.table(table)["Associations"]
        return self.subnet(subnets) in {one.get("SubnetId") for one in associations}


def broken(world: World) -> Office:
    """Deploy the example network and leave nothing right, so that one run needs every kind of write."""
    outputs = deploy(world, RouterCount="2", BootstrapSsh="open", DhcpDomainName="corp.example")
    ec2, vpc_id = world.client("ec2"), outputs["VpcId"]
    reservations = ec2.describe_instances(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["Reservations"]
    router = min((one for r in reservations for one in r["Instances"]), key=lambda one: one["InstanceId"])
    interface = router["NetworkInterfaces"][0]["NetworkInterfaceId"]
    document = with_dhcp_options(declaration(outputs, TUNNEL), outputs)
    office = Office(world, outputs, document, router["InstanceId"], interface, Boxes(world))
    # The network follows this router already, if by one route alone, so its check is off; the standby's is on.
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, SourceDestCheck={"Value": False})
    default = {"DestinationCidrBlock": "0.0.0.0/0"}
    ec2.create_route(RouteTableId=outputs["PrivateRouteTableAId"], NetworkInterfaceId=interface, **default)
    stray = ec2.create_network_interface(SubnetId=router["SubnetId"])["NetworkInterface"]
    ec2.create_route(
        RouteTableId=outputs["PrivateRouteTableBId"],
        NetworkInterfaceId=stray["NetworkInterfaceId"],
        **default,
    )
    first, second = (
        office.table(f"PrivateRouteTable{zone}Id")["Associations"][0]["RouteTableAssociationId"]
        for zone in "AB"
    )
    ec2.disassociate_route_table(AssociationId=first)
    foreign = ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    ec2.replace_route_table_association(AssociationId=second, RouteTableId=foreign)
    ec2.associate_dhcp_options(VpcId=vpc_id, DhcpOptionsId="default")
    return office


def _office_routes_lead_there(office: Office) -> bool:
    networks = [*office.outputs["OfficeNetworks"].split(","), office.outputs["VpnClientNetwork"]]
    return {office.route("PublicRouteTableId", network) for network in networks} == {office.interface}


def _private_default_leads_there(office: Office) -> bool:
    return office.route("PrivateRouteTableBId", "0.0.0.0/0") == office.interface


def _elastic_ip_sits_there(office: Office) -> bool:
    asked = {"AllocationIds": [office.outputs["ElasticIpAllocationId"]]}
    (address,) = office.describe("describe_addresses", "Addresses", **asked)
    return address.get("NetworkInterfaceId") == office.interface


def _routers_forward(office: Office) -> bool:
    group = {"Name": "group-id", "Values": [office.outputs["RouterSecurityGroupId"]]}
    routers = office.describe("describe_network_interfaces", "NetworkInterfaces", Filters=[group])
    return {one["SourceDestCheck"] for one in routers} == {False}


def _bootstrap_is_over(office: Office) -> bool:
    asked = {"GroupIds": [office.outputs["RouterSecurityGroupId"]]}
    (group,) = office.describe("describe_security_groups", "SecurityGroups", **asked)
    return all(rule.get("FromPort") != 22 for rule in group["IpPermissions"])


def _options_are_its_own(office: Office) -> bool:
    (vpc,) = office.describe("describe_vpcs", "Vpcs", VpcIds=[office.outputs["VpcId"]])
    return str(vpc["DhcpOptionsId"]) == office.outputs["DhcpOptionsId"]


_DONE: dict[str, Callable[[Office], bool]] = {
    "ec2:CreateRoute": _office_routes_lead_there,
    "ec2:ReplaceRoute": _private_default_leads_there,
    "ec2:AssociateAddress": _elastic_ip_sits_there,
    "ec2:ModifyNetworkInterfaceAttribute": _routers_forward,
    "ec2:AssociateRouteTable": lambda office: office.serves("PrivateRouteTableAId", "PrivateSubnetsA"),
    "ec2:ReplaceRouteTableAssociation": lambda office: office.serves(
        "PrivateRouteTableBId", "PrivateSubnetsB"
    ),
    "ec2:RevokeSecurityGroupIngress": _bootstrap_is_over,
    "ec2:AssociateDhcpOptions": _options_are_its_own,
}

REPAIRS = frozenset(_DONE)
"""Every write that a repair may need."""
