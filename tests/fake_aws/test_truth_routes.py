"""Routes, as AWS keeps them and moto does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .conftest import code

if TYPE_CHECKING:
    from . import World
    from .conftest import Network


def test_route_to_a_running_instance_is_active_and_names_both(network: Network) -> None:
    """A route to an interface also carries the instance behind it. DescribeRouteTables; aws.md 2.1."""
    instance_id, eni_id = network.launch()
    network.point(eni_id)
    assert network.route() == {
        "DestinationCidrBlock": "0.0.0.0/0",
        "InstanceId": instance_id,
        "NetworkInterfaceId": eni_id,
        "Origin": "CreateRoute",
        "State": "active",
    }


def test_route_to_a_stopped_instance_is_a_blackhole_until_it_starts(network: Network) -> None:
    """`blackhole` means that the target is not available. Route.state; aws.md 2.1."""
    instance_id, eni_id = network.launch()
    network.point(eni_id)
    network.ec2.stop_instances(InstanceIds=[instance_id])
    assert network.route()["State"] == "blackhole"
    assert network.route()["InstanceId"] == instance_id
    network.ec2.start_instances(InstanceIds=[instance_id])
    assert network.route()["State"] == "active"


def test_route_to_a_terminated_instance_is_a_blackhole_that_names_the_interface(network: Network) -> None:
    """A deleted interface leaves its routes behind as blackholes. aws.md 2.1."""
    instance_id, eni_id = network.launch()
    network.point(eni_id)
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    assert network.route()["State"] == "blackhole"
    assert network.route()["NetworkInterfaceId"] == eni_id
    assert "InstanceId" not in network.route()


def test_route_to_a_detached_interface_is_a_blackhole(network: Network) -> None:
    """An interface without an instance takes no packets. aws.md 2.1."""
    instance_id, _ = network.launch()
    nic = network.ec2.create_network_interface(SubnetId=network.subnet_id)["NetworkInterface"]
    eni_id = nic["NetworkInterfaceId"]
    network.point(eni_id)
    assert network.route()["State"] == "blackhole"
    attached = network.ec2.attach_network_interface(
        NetworkInterfaceId=eni_id, InstanceId=instance_id, DeviceIndex=1
    )
    assert network.route()["State"] == "active"
    network.ec2.detach_network_interface(AttachmentId=attached["AttachmentId"])
    assert network.route()["State"] == "blackhole"


def test_route_to_a_detached_internet_gateway_is_a_blackhole(network: Network) -> None:
    """`blackhole`: "the specified gateway isn't attached to the VPC". Route.state."""
    network.ec2.create_route(
        RouteTableId=network.table_id, DestinationCidrBlock="0.0.0.0/0", GatewayId=network.igw_id
    )
    assert network.route()["State"] == "active"
    network.ec2.detach_internet_gateway(InternetGatewayId=network.igw_id, VpcId=network.vpc_id)
    assert network.route()["State"] == "blackhole"


def test_route_to_a_deleted_nat_gateway_is_a_blackhole(network: Network) -> None:
    """A deleted NAT gateway leaves its routes behind as blackholes. VPC guide, NAT gateways."""
    made = network.ec2.create_nat_gateway(SubnetId=network.subnet_id, AllocationId=network.allocation_id)
    nat_id = made["NatGateway"]["NatGatewayId"]
    network.ec2.create_route(
        RouteTableId=network.table_id, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat_id
    )
    assert network.route()["State"] == "active"
    network.ec2.delete_nat_gateway(NatGatewayId=nat_id)
    assert network.route()["State"] == "blackhole"


def test_route_to_an_instance_leads_to_its_only_interface(network: Network) -> None:
    """InstanceId "fails unless exactly one network interface is attached". CreateRoute; aws.md 2.1."""
    instance_id, eni_id = network.launch()
    asked = {"RouteTableId": network.table_id, "DestinationCidrBlock": "0.0.0.0/0", "InstanceId": instance_id}
    network.ec2.create_route(**asked)
    assert network.route()["NetworkInterfaceId"] == eni_id
    second = network.ec2.create_network_interface(SubnetId=network.subnet_id)["NetworkInterface"]
    network.ec2.attach_network_interface(
        NetworkInterfaceId=second["NetworkInterfaceId"], InstanceId=instance_id, DeviceIndex=1
    )
    assert code(lambda: network.ec2.replace_route(**asked)) == "InvalidInstanceID"


@pytest.mark.parametrize("operation", ["create_route", "replace_route", "delete_route"])
def test_dry_run_of_a_route_changes_nothing(network: Network, operation: str) -> None:
    """DryRun answers DryRunOperation and applies nothing. EC2 API reference, common parameters."""
    _, eni_id = network.launch()
    if operation != "create_route":
        network.ec2.create_route(
            RouteTableId=network.table_id, DestinationCidrBlock="0.0.0.0/0", GatewayId=network.igw_id
        )
    before = network.routes()
    target = {} if operation == "delete_route" else {"NetworkInterfaceId": eni_id}
    call = getattr(network.ec2, operation)
    asked: dict[str, Any] = {"RouteTableId": network.table_id, "DestinationCidrBlock": "0.0.0.0/0", **target}
    assert code(lambda: call(**asked, DryRun=True)) == "DryRunOperation"
    assert network.routes() == before


def test_created_route_has_a_canonical_destination(network: Network) -> None:
    """CreateRoute: 100.68.0.18/18 becomes 100.68.0.0/18. aws.md 2.1."""
    _, eni_id = network.launch()
    network.point(eni_id, "100.68.0.18/18")
    assert network.route("100.68.0.0/18")["NetworkInterfaceId"] == eni_id


def test_replace_and_delete_want_the_exact_destination(network: Network) -> None:
    """ReplaceRoute and DeleteRoute "must match exactly". aws.md 2.1; getmoto/moto#6425 for the code."""
    _, eni_id = network.launch()
    network.point(eni_id, "100.68.0.0/18")
    asked = {"RouteTableId": network.table_id, "DestinationCidrBlock": "100.68.0.18/18"}
    replace = {**asked, "NetworkInterfaceId": eni_id}
    assert code(lambda: network.ec2.replace_route(**replace)) == "InvalidParameterValue"
    assert code(lambda: network.ec2.delete_route(**asked)) == "InvalidRoute.NotFound"


def test_second_route_to_a_destination_is_refused(network: Network) -> None:
    """RouteAlreadyExists, whatever the spelling, also for the local route. aws.md 2.1."""
    _, eni_id = network.launch()
    network.point(eni_id, "10.100.0.0/16")
    assert code(lambda: network.point(eni_id, "10.100.0.0/16")) == "RouteAlreadyExists"
    assert code(lambda: network.point(eni_id, "10.100.7.0/16")) == "RouteAlreadyExists"
    assert code(lambda: network.point(eni_id, "10.0.0.0/16")) == "RouteAlreadyExists"


@pytest.mark.parametrize("garbage", ["10.100.300.0/24", "office", "10.0.0.0", "::/0", "10.0.0.0/33"])
def test_garbage_for_a_destination_is_refused(network: Network, garbage: str) -> None:
    """InvalidParameterValue: "This is not a valid CIDR block"."""
    _, eni_id = network.launch()
    assert code(lambda: network.point(eni_id, garbage)) == "InvalidParameterValue"


def test_unknown_and_deleted_targets_are_refused(network: Network) -> None:
    """InvalidNetworkInterfaceID.NotFound. aws.md 2.1, EC2 error codes."""
    instance_id, eni_id = network.launch()
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    assert code(lambda: network.point(eni_id)) == "InvalidNetworkInterfaceID.NotFound"
    assert code(lambda: network.point("eni-0123456789abcdef0")) == "InvalidNetworkInterfaceID.NotFound"


def test_unknown_and_malformed_tables_are_refused(network: Network) -> None:
    """InvalidRouteTableID.NotFound, with a capital, and InvalidRouteTableId.Malformed. aws.md 2.1."""
    describe = network.ec2.describe_route_tables
    assert code(lambda: describe(RouteTableIds=["rtb-0123456789abcdef0"])) == "InvalidRouteTableID.NotFound"
    assert code(lambda: describe(RouteTableIds=["table"])) == "InvalidRouteTableId.Malformed"


def test_target_in_another_vpc_is_refused(network: Network) -> None:
    """InvalidParameterValue: "… belong to different networks"."""
    vpc_id = network.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = network.ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.9.0.0/24")["Subnet"]
    _, eni_id = network.launch(SubnetId=subnet["SubnetId"])
    assert code(lambda: network.point(eni_id)) == "InvalidParameterValue"


def test_destination_inside_the_vpc_must_be_a_subnet(network: Network) -> None:
    """More specific than local: "only a whole subnet CIDR". aws.md 2.2."""
    _, eni_id = network.launch()
    assert code(lambda: network.point(eni_id, "10.0.77.0/24")) == "InvalidParameterValue"
    network.point(eni_id, "10.0.1.0/24")
    assert network.route("10.0.1.0/24")["State"] == "active"


def test_replacing_a_missing_route_is_an_invalid_value(network: Network) -> None:
    """InvalidParameterValue, not the documented InvalidRoute.NotFound. getmoto/moto#6425; aws.md 2.1."""
    _, eni_id = network.launch()
    asked = {
        "RouteTableId": network.table_id,
        "DestinationCidrBlock": "0.0.0.0/0",
        "NetworkInterfaceId": eni_id,
    }
    assert code(lambda: network.ec2.replace_route(**asked)) == "InvalidParameterValue"


def test_local_route_is_replaced_and_restored_but_not_deleted(network: Network) -> None:
    """The local route's target may be replaced and restored (`LocalTarget`). aws.md 2.2."""
    _, eni_id = network.launch()
    asked = {"RouteTableId": network.table_id, "DestinationCidrBlock": "10.0.0.0/16"}
    assert code(lambda: network.ec2.delete_route(**asked)) == "InvalidParameterValue"
    network.ec2.replace_route(**asked, NetworkInterfaceId=eni_id)
    assert network.route("10.0.0.0/16")["NetworkInterfaceId"] == eni_id
    assert network.route("10.0.0.0/16")["Origin"] == "CreateRouteTable"
    network.ec2.replace_route(**asked, LocalTarget=True)
    assert network.route("10.0.0.0/16")["GatewayId"] == "local"


def test_propagated_route_is_nobody_s_to_change(world: World, network: Network) -> None:
    """ReplaceRoute fails on a propagated route; CreateRoute beside it works. ansible/ansible#43415; aws.md 2.1."""
    _, eni_id = network.launch()
    vgw_id = network.ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    network.ec2.attach_vpn_gateway(VpnGatewayId=vgw_id, VpcId=network.vpc_id)
    world.propagate(network.table_id, "10.100.0.0/16", vgw_id)
    propagated = {
        "DestinationCidrBlock": "10.100.0.0/16",
        "GatewayId": vgw_id,
        "Origin": "EnableVgwRoutePropagation",
        "State": "active",
    }
    assert network.routes("10.100.0.0/16") == [propagated]
    asked = {"RouteTableId": network.table_id, "DestinationCidrBlock": "10.100.0.0/16"}
    assert (
        code(lambda: network.ec2.replace_route(**asked, NetworkInterfaceId=eni_id)) == "InvalidParameterValue"
    )
    assert code(lambda: network.ec2.delete_route(**asked)) == "InvalidParameterValue"
    network.point(eni_id, "10.100.0.0/16")
    assert propagated in network.routes("10.100.0.0/16")
    assert len(network.routes("10.100.0.0/16")) == 2
    (table,) = network.ec2.describe_route_tables(RouteTableIds=[network.table_id])["RouteTables"]
    assert table["PropagatingVgws"] == [{"GatewayId": vgw_id}]
    network.ec2.detach_vpn_gateway(VpnGatewayId=vgw_id, VpcId=network.vpc_id)
    assert [route["NetworkInterfaceId"] for route in network.routes("10.100.0.0/16")] == [eni_id]


def test_route_by_prefix_list_leads_to_an_interface(network: Network) -> None:
    """A customer-managed prefix list is a destination like any other. CreateRoute."""
    _, eni_id = network.launch()
    made = network.ec2.create_managed_prefix_list(PrefixListName="office", MaxEntries=5, AddressFamily="IPv4")
    list_id = made["PrefixList"]["PrefixListId"]
    asked = {
        "RouteTableId": network.table_id,
        "DestinationPrefixListId": list_id,
        "NetworkInterfaceId": eni_id,
    }
    network.ec2.create_route(**asked)
    assert code(lambda: network.ec2.create_route(**asked)) == "RouteAlreadyExists"
    (table,) = network.ec2.describe_route_tables(RouteTableIds=[network.table_id])["RouteTables"]
    (route,) = (route for route in table["Routes"] if "DestinationPrefixListId" in route)
    assert (route["DestinationPrefixListId"], route["NetworkInterfaceId"]) == (list_id, eni_id)


def test_tables_are_found_by_the_state_of_their_routes(network: Network) -> None:
    """Filters route.state, route.origin, route.instance-id. DescribeRouteTables; aws.md 2.1."""
    instance_id, eni_id = network.launch()
    network.point(eni_id)
    found = network.ec2.describe_route_tables(
        Filters=[{"Name": "route.instance-id", "Values": [instance_id]}]
    )
    assert [table["RouteTableId"] for table in found["RouteTables"]] == [network.table_id]
    blackholes = [{"Name": "route.state", "Values": ["blackhole"]}]
    assert not network.ec2.describe_route_tables(Filters=blackholes)["RouteTables"]
    network.ec2.stop_instances(InstanceIds=[instance_id])
    assert network.ec2.describe_route_tables(Filters=blackholes)["RouteTables"]


@pytest.mark.parametrize("gateway_id", ["igw-0123456789abcdef0", "vgw-0123456789abcdef0"])
@pytest.mark.parametrize("verb", ["create_route", "replace_route"])
def test_route_to_a_gateway_that_does_not_exist_is_refused(
    network: Network, gateway_id: str, verb: str
) -> None:
    """CreateRoute and ReplaceRoute have one code for both kinds of gateway. EC2 "Error codes"."""
    if verb == "replace_route":
        network.point(network.launch()[1])
    route = {"RouteTableId": network.table_id, "DestinationCidrBlock": "0.0.0.0/0"}
    refused = code(lambda: getattr(network.ec2, verb)(**route, GatewayId=gateway_id))
    assert refused == "InvalidGatewayID.NotFound"
