"""Elastic and public addresses, as AWS keeps them and moto does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .conftest import code

if TYPE_CHECKING:
    from . import World
    from .conftest import Network


def _associate(network: Network, eni_id: str, **asked: object) -> str:
    reply = network.ec2.associate_address(
        AllocationId=network.allocation_id, NetworkInterfaceId=eni_id, **asked
    )
    return str(reply["AssociationId"])


def test_idle_address_says_only_what_it_has(network: Network) -> None:
    """Absent fields are absent, not empty. DescribeAddresses."""
    address = network.address()
    assert set(address) == {"AllocationId", "Domain", "PublicIp", "Tags"}
    assert address["PublicIp"].startswith("203.0.113.")


def test_associated_address_names_interface_instance_and_private_address(network: Network) -> None:
    """An address on an attached interface names the instance as well. DescribeAddresses."""
    instance_id, eni_id = network.launch()
    association_id = _associate(network, eni_id)
    address = network.address()
    nic = network.interface(eni_id)
    assert address["AssociationId"] == association_id
    assert (address["InstanceId"], address["NetworkInterfaceId"]) == (instance_id, eni_id)
    assert address["NetworkInterfaceOwnerId"] == "123456789012"
    assert address["PrivateIpAddress"] == nic["PrivateIpAddress"]
    assert nic["Association"]["PublicIp"] == address["PublicIp"]
    assert nic["Association"]["AllocationId"] == network.allocation_id
    assert nic["PrivateIpAddresses"][0]["Association"]["AssociationId"] == association_id
    assert network.instance(instance_id)["PublicIpAddress"] == address["PublicIp"]


def test_address_moves_without_being_asked_to(network: Network) -> None:
    """In a VPC "reassociation is automatic"; moto refuses. AssociateAddress; aws.md 2.3."""
    old, old_eni = network.launch()
    _, new_eni = network.launch()
    first = _associate(network, old_eni)
    second = _associate(network, new_eni)
    assert first != second
    assert network.address()["NetworkInterfaceId"] == new_eni
    assert "Association" not in network.interface(old_eni)
    assert "PublicIpAddress" not in network.instance(old)


def test_address_stays_when_told_not_to_move(network: Network) -> None:
    """AllowReassociation false: Resource.AlreadyAssociated. AssociateAddress; aws.md 2.3."""
    _, old_eni = network.launch()
    _, new_eni = network.launch()
    association_id = _associate(network, old_eni)
    refused = code(lambda: _associate(network, new_eni, AllowReassociation=False))
    assert refused == "Resource.AlreadyAssociated"
    assert network.address()["AssociationId"] == association_id


def test_address_is_found_by_its_instance(network: Network) -> None:
    """Filter instance-id, also of an address that was associated by interface. DescribeAddresses."""
    instance_id, eni_id = network.launch()
    _associate(network, eni_id)
    filters = [{"Name": "instance-id", "Values": [instance_id]}]
    (found,) = network.ec2.describe_addresses(Filters=filters)["Addresses"]
    assert found["AllocationId"] == network.allocation_id


def test_same_association_again_is_the_same(network: Network) -> None:
    """AssociateAddress is idempotent. aws.md 2.3."""
    _, eni_id = network.launch()
    assert _associate(network, eni_id) == _associate(network, eni_id)


def test_second_address_pushes_the_first_off(network: Network) -> None:
    """The address that was there is dissociated and stays allocated. EC2, Elastic IP addresses."""
    _, eni_id = network.launch()
    _associate(network, eni_id)
    other = network.ec2.allocate_address(Domain="vpc")
    network.ec2.associate_address(AllocationId=other["AllocationId"], NetworkInterfaceId=eni_id)
    assert "AssociationId" not in network.address()
    assert network.interface(eni_id)["Association"]["PublicIp"] == other["PublicIp"]


def test_address_goes_to_the_private_address_named(network: Network) -> None:
    """PrivateIpAddress: else the primary one. AssociateAddress; aws.md 2.3."""
    instance_id, eni_id = network.launch()
    network.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni_id, PrivateIpAddresses=["10.0.0.77"])
    _associate(network, eni_id, PrivateIpAddress="10.0.0.77")
    assert network.address()["PrivateIpAddress"] == "10.0.0.77"
    assert "PublicIpAddress" not in network.instance(instance_id)
    primary, secondary = network.interface(eni_id)["PrivateIpAddresses"]
    assert "Association" not in primary
    assert secondary["Association"]["PublicIp"] == network.address()["PublicIp"]
    primary, secondary = network.instance(instance_id)["NetworkInterfaces"][0]["PrivateIpAddresses"]
    assert "Association" not in primary
    assert secondary["Association"]["PublicIp"] == network.address()["PublicIp"]
    refused = code(lambda: _associate(network, eni_id, PrivateIpAddress="10.0.0.78"))
    assert refused == "InvalidParameterValue"


def test_termination_frees_the_address_of_a_deleted_interface(network: Network) -> None:
    """Termination dissociates the address; it stays allocated. aws.md 2.3."""
    instance_id, eni_id = network.launch()
    _associate(network, eni_id)
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    assert set(network.address()) == {"AllocationId", "Domain", "PublicIp", "Tags"}


def test_address_on_a_prepared_interface_outlives_instances(network: Network) -> None:
    """The address belongs to the interface, not to the instance. aws.md 2.4."""
    eni_id = network.ec2.create_network_interface(SubnetId=network.subnet_id)["NetworkInterface"][
        "NetworkInterfaceId"
    ]
    association_id = _associate(network, eni_id)
    assert "InstanceId" not in network.address()
    spec = [{"DeviceIndex": 0, "NetworkInterfaceId": eni_id}]
    first, _ = network.launch(NetworkInterfaces=spec)
    assert network.address()["InstanceId"] == first
    network.ec2.terminate_instances(InstanceIds=[first])
    assert "InstanceId" not in network.address()
    second, _ = network.launch(NetworkInterfaces=spec)
    assert network.address()["InstanceId"] == second
    assert network.address()["AssociationId"] == association_id
    assert network.instance(second)["PublicIpAddress"] == network.address()["PublicIp"]


def test_address_survives_a_stop(network: Network) -> None:
    """An Elastic IP stays with a stopped instance. aws.md 2.3."""
    instance_id, eni_id = network.launch()
    association_id = _associate(network, eni_id)
    network.ec2.stop_instances(InstanceIds=[instance_id])
    assert network.address()["AssociationId"] == association_id
    network.ec2.start_instances(InstanceIds=[instance_id])
    assert network.instance(instance_id)["PublicIpAddress"] == network.address()["PublicIp"]


def test_automatic_address_gives_way_and_comes_back_as_another(network: Network) -> None:
    """An Elastic IP releases the automatic address; without it the instance gets a new one. EC2, IP addressing."""
    spec = {"DeviceIndex": 0, "SubnetId": network.subnet_id, "AssociatePublicIpAddress": True}
    instance_id, eni_id = network.launch(NetworkInterfaces=[spec])
    automatic = network.instance(instance_id)["PublicIpAddress"]
    assert automatic.startswith("198.51.100.")
    association_id = _associate(network, eni_id)
    assert network.instance(instance_id)["PublicIpAddress"] == network.address()["PublicIp"]
    network.ec2.disassociate_address(AssociationId=association_id)
    assert network.instance(instance_id)["PublicIpAddress"] not in {automatic, network.address()["PublicIp"]}
    network.ec2.stop_instances(InstanceIds=[instance_id])
    assert "PublicIpAddress" not in network.instance(instance_id)


def test_instance_with_two_interfaces_starts_without_an_automatic_address(network: Network) -> None:
    """An instance with more than one interface gets no automatic address on restart. aws.md 2.3."""
    spec = {"DeviceIndex": 0, "SubnetId": network.subnet_id, "AssociatePublicIpAddress": True}
    instance_id, _ = network.launch(NetworkInterfaces=[spec])
    nic = network.ec2.create_network_interface(SubnetId=network.subnet_id)["NetworkInterface"]
    network.ec2.attach_network_interface(
        NetworkInterfaceId=nic["NetworkInterfaceId"], InstanceId=instance_id, DeviceIndex=1
    )
    assert "PublicIpAddress" in network.instance(instance_id)
    network.ec2.stop_instances(InstanceIds=[instance_id])
    network.ec2.start_instances(InstanceIds=[instance_id])
    assert "PublicIpAddress" not in network.instance(instance_id)


def test_dead_and_unborn_instances_get_no_address(world: World, network: Network) -> None:
    """By instance InvalidInstanceID (cloudposse/terraform-aws-ec2-instance#95), by interface IncorrectInstanceState.

    The latter: PaloAltoNetworks/terraform-aws-vmseries-modules#97, "pending-instance-creation".
    """
    world.dwell = None
    instance_id, eni_id = network.launch()
    asked = {"AllocationId": network.allocation_id, "InstanceId": instance_id}
    assert code(lambda: network.ec2.associate_address(**asked)) == "InvalidInstanceID"
    assert code(lambda: _associate(network, eni_id)) == "IncorrectInstanceState"
    world.settle()
    network.ec2.associate_address(**asked)
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    world.settle()
    assert code(lambda: network.ec2.associate_address(**asked)) == "InvalidInstanceID"
    assert code(lambda: _associate(network, eni_id)) == "InvalidNetworkInterfaceID.NotFound"


def test_vpc_without_an_internet_gateway_takes_no_address(network: Network) -> None:
    """Gateway.NotAttached. EC2 error codes."""
    _, eni_id = network.launch()
    network.ec2.detach_internet_gateway(InternetGatewayId=network.igw_id, VpcId=network.vpc_id)
    assert code(lambda: _associate(network, eni_id)) == "Gateway.NotAttached"


def test_unknown_addresses_are_not_found(network: Network) -> None:
    """InvalidAllocationID.NotFound, InvalidAssociationID.NotFound. EC2 error codes."""
    _, eni_id = network.launch()
    unknown = {"AllocationId": "eipalloc-0123456789abcdef0", "NetworkInterfaceId": eni_id}
    assert code(lambda: network.ec2.associate_address(**unknown)) == "InvalidAllocationID.NotFound"
    association_id = _associate(network, eni_id)
    network.ec2.disassociate_address(AssociationId=association_id)
    again = code(lambda: network.ec2.disassociate_address(AssociationId=association_id))
    assert again == "InvalidAssociationID.NotFound"


def test_dry_run_of_an_association_changes_nothing(network: Network) -> None:
    """DryRunOperation, and the address stays idle. EC2 API reference, common parameters."""
    _, eni_id = network.launch()
    assert code(lambda: _associate(network, eni_id, DryRun=True)) == "DryRunOperation"
    assert "AssociationId" not in network.address()


def _gateway(network: Network) -> tuple[str, str]:
    """Make a NAT gateway with the Elastic IP; give it and its interface."""
    made = network.ec2.create_nat_gateway(SubnetId=network.subnet_id, AllocationId=network.allocation_id)
    address = made["NatGateway"]["NatGatewayAddresses"][0]
    return made["NatGateway"]["NatGatewayId"], address["NetworkInterfaceId"]


def test_address_of_a_nat_gateway_is_not_given_up(network: Network) -> None:
    """AuthFailure, however it is asked; moto moves it. hashicorp/terraform-provider-aws#3572."""
    gateway_id, its_eni = _gateway(network)
    _, eni_id = network.launch()
    association_id = network.address()["AssociationId"]
    assert network.address()["NetworkInterfaceId"] == its_eni
    assert code(lambda: _associate(network, eni_id)) == "AuthFailure"
    assert code(lambda: _associate(network, eni_id, AllowReassociation=True)) == "AuthFailure"
    taken = code(lambda: network.ec2.disassociate_address(AssociationId=association_id))
    assert taken == "AuthFailure"
    assert network.address()["NetworkInterfaceId"] == its_eni
    network.ec2.delete_nat_gateway(NatGatewayId=gateway_id)
    assert "NetworkInterfaceId" not in network.address()
    _associate(network, eni_id)
    assert network.address()["NetworkInterfaceId"] == eni_id


def test_nat_gateway_takes_no_other_address(network: Network) -> None:
    """AuthFailure: AWS manages what is on its interface. hashicorp/terraform-provider-aws, pull request 4675."""
    _, its_eni = _gateway(network)
    other = network.ec2.allocate_address(Domain="vpc")["AllocationId"]
    asked = {"AllocationId": other, "NetworkInterfaceId": its_eni}
    assert code(lambda: network.ec2.associate_address(**asked)) == "AuthFailure"


def test_address_of_an_outpost_has_a_customer_owned_number_only(network: Network) -> None:
    """AllocateAddress, CustomerOwnedIpv4Pool; Address, CustomerOwnedIp: there is no PublicIp."""
    made = network.ec2.allocate_address(Domain="vpc", CustomerOwnedIpv4Pool="ipv4pool-coip-0123456789abcdef0")
    (listed,) = network.ec2.describe_addresses(AllocationIds=[made["AllocationId"]])["Addresses"]
    assert listed["CustomerOwnedIp"] == made["CustomerOwnedIp"]
    assert listed["CustomerOwnedIpv4Pool"] == "ipv4pool-coip-0123456789abcdef0"
    assert not {"PublicIp", "CarrierIp"} & (set(made) | set(listed))


def test_address_of_a_wavelength_zone_has_a_carriers_number_only(network: Network) -> None:
    """AllocateAddress, NetworkBorderGroup; Address, CarrierIp: there is no PublicIp."""
    made = network.ec2.allocate_address(Domain="vpc", NetworkBorderGroup="eu-west-1-wl1-lon-wlz-1")
    (listed,) = network.ec2.describe_addresses(AllocationIds=[made["AllocationId"]])["Addresses"]
    assert listed["CarrierIp"] == made["CarrierIp"]
    assert listed["NetworkBorderGroup"] == "eu-west-1-wl1-lon-wlz-1"
    assert not {"PublicIp", "CustomerOwnedIp"} & (set(made) | set(listed))
