"""Network interfaces, as AWS keeps them and moto does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .conftest import code

if TYPE_CHECKING:
    from .conftest import Network


def _prepared(network: Network, address: str = "10.0.0.8") -> str:
    made = network.ec2.create_network_interface(SubnetId=network.subnet_id, PrivateIpAddress=address)
    return str(made["NetworkInterface"]["NetworkInterfaceId"])


def test_interface_made_at_launch_dies_with_its_instance(network: Network) -> None:
    """DeleteOnTermination of the primary interface is true by default. aws.md 2.4."""
    instance_id, eni_id = network.launch()
    assert network.interface(eni_id)["Attachment"]["DeleteOnTermination"]
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    assert code(lambda: network.interface(eni_id)) == "InvalidNetworkInterfaceID.NotFound"


def test_interface_kept_at_termination_becomes_available(network: Network) -> None:
    """DeleteOnTermination false: the interface outlives the instance and can be attached again. aws.md 2.4."""
    instance_id, eni_id = network.launch()
    attachment_id = network.interface(eni_id)["Attachment"]["AttachmentId"]
    network.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=eni_id,
        Attachment={"AttachmentId": attachment_id, "DeleteOnTermination": False},
    )
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    nic = network.interface(eni_id)
    assert nic["Status"] == "available"
    assert "Attachment" not in nic


def test_instance_is_launched_on_a_prepared_interface(network: Network) -> None:
    """RunInstances with a NetworkInterfaceId: its address, subnet, zone and groups; it outlives the instance."""
    eni_id = _prepared(network)
    network.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=eni_id, SourceDestCheck={"Value": False}
    )
    spec = {"DeviceIndex": 0, "NetworkInterfaceId": eni_id}
    instance_id, primary = network.launch(NetworkInterfaces=[spec])
    instance = network.instance(instance_id)
    assert primary == eni_id
    assert (instance["SubnetId"], instance["VpcId"]) == (network.subnet_id, network.vpc_id)
    assert (instance["PrivateIpAddress"], instance["Placement"]["AvailabilityZone"]) == (
        "10.0.0.8",
        "eu-west-1a",
    )
    assert instance["SourceDestCheck"] is False
    assert instance["SecurityGroups"] == network.interface(eni_id)["Groups"]
    assert code(lambda: network.launch(NetworkInterfaces=[spec])) == "InvalidNetworkInterface.InUse"
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    assert network.interface(eni_id)["Status"] == "available"
    assert network.launch(NetworkInterfaces=[spec])[1] == eni_id


def test_interfaces_never_share_an_address(network: Network) -> None:
    """An address is used once, is inside the subnet and not one of the five that AWS reserves."""
    prepared = _prepared(network)
    assert code(lambda: _prepared(network)) == "InvalidIPAddress.InUse"
    assert code(lambda: _prepared(network, "10.0.7.8")) == "InvalidParameterValue"
    assert code(lambda: network.interface("router")) == "InvalidNetworkInterfaceId.Malformed"
    addresses = [network.interface(network.launch()[1])["PrivateIpAddress"] for _ in range(6)]
    assert addresses == ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.9", "10.0.0.10"]
    network.ec2.delete_network_interface(NetworkInterfaceId=prepared)
    assert network.interface(_prepared(network))["PrivateIpAddress"] == "10.0.0.8"


def test_interface_in_use_is_neither_deleted_nor_attached_again(network: Network) -> None:
    """InvalidParameterValue "is currently in use"; InvalidNetworkInterface.InUse."""
    _, eni_id = network.launch()
    other, _ = network.launch()
    assert (
        code(lambda: network.ec2.delete_network_interface(NetworkInterfaceId=eni_id))
        == "InvalidParameterValue"
    )
    asked = {"NetworkInterfaceId": eni_id, "InstanceId": other, "DeviceIndex": 1}
    assert code(lambda: network.ec2.attach_network_interface(**asked)) == "InvalidNetworkInterface.InUse"


def test_interface_is_attached_in_its_zone_at_a_free_index(network: Network) -> None:
    """An interface is bound to its zone; an index holds one interface. aws.md 2.4."""
    here, _ = network.launch()
    there, _ = network.launch(SubnetId=network.other_subnet_id)
    asked = {"NetworkInterfaceId": _prepared(network), "DeviceIndex": 1}
    wrong = code(lambda: network.ec2.attach_network_interface(**asked, InstanceId=there))
    assert wrong == "InvalidParameterCombination"
    network.ec2.attach_network_interface(**asked, InstanceId=here)
    again = {**asked, "NetworkInterfaceId": _prepared(network, "10.0.0.99"), "InstanceId": here}
    assert code(lambda: network.ec2.attach_network_interface(**again)) == "InvalidParameterValue"


def test_primary_interface_is_never_detached(network: Network) -> None:
    """OperationNotPermitted, also beside a second interface. aws.md 2.4."""
    instance_id, eni_id = network.launch()
    network.ec2.attach_network_interface(
        NetworkInterfaceId=_prepared(network), InstanceId=instance_id, DeviceIndex=1
    )
    attachment_id = network.interface(eni_id)["Attachment"]["AttachmentId"]
    refused = code(lambda: network.ec2.detach_network_interface(AttachmentId=attachment_id))
    assert refused == "OperationNotPermitted"


def test_one_attribute_is_changed_for_each_call(network: Network) -> None:
    """ModifyNetworkInterfaceAttribute: "You can specify only one attribute at a time". aws.md 2.4."""
    _, eni_id = network.launch()
    asked = {
        "NetworkInterfaceId": eni_id,
        "SourceDestCheck": {"Value": False},
        "Description": {"Value": "router"},
    }
    refused = code(lambda: network.ec2.modify_network_interface_attribute(**asked))
    assert refused == "InvalidParameterCombination"
    assert network.interface(eni_id)["SourceDestCheck"]


def test_interfaces_are_found_by_attachment_and_association(network: Network) -> None:
    """Filters attachment.*, association.*, status. DescribeNetworkInterfaces."""
    _, eni_id = network.launch()
    idle = _prepared(network)
    network.ec2.associate_address(AllocationId=network.allocation_id, NetworkInterfaceId=eni_id)
    for name, value, expected in (
        ("attachment.status", "attached", eni_id),
        ("attachment.device-index", "0", eni_id),
        ("association.allocation-id", network.allocation_id, eni_id),
        ("status", "available", idle),
        ("private-ip-address", "10.0.0.8", idle),
    ):
        found = network.ec2.describe_network_interfaces(
            Filters=[{"Name": name, "Values": [value]}, {"Name": "vpc-id", "Values": [network.vpc_id]}]
        )
        assert [nic["NetworkInterfaceId"] for nic in found["NetworkInterfaces"]] == [expected], name


def test_groups_of_an_instance_are_its_primary_interface_s(network: Network) -> None:
    """ModifyInstanceAttribute Groups changes the primary interface, and only that."""
    instance_id, eni_id = network.launch()
    made = network.ec2.create_security_group(GroupName="r", Description="router", VpcId=network.vpc_id)
    network.ec2.modify_instance_attribute(InstanceId=instance_id, Groups=[made["GroupId"]])
    assert [group["GroupId"] for group in network.interface(eni_id)["Groups"]] == [made["GroupId"]]
    assert [group["GroupId"] for group in network.instance(instance_id)["SecurityGroups"]] == [
        made["GroupId"]
    ]
    second = _prepared(network)
    network.ec2.attach_network_interface(NetworkInterfaceId=second, InstanceId=instance_id, DeviceIndex=1)
    assert [group["GroupName"] for group in network.interface(second)["Groups"]] == ["default"]


def test_security_group_rules_are_revoked_by_id(network: Network) -> None:
    """RevokeSecurityGroupIngress by rule id; an unknown one is not found. EC2 error codes."""
    made = network.ec2.create_security_group(GroupName="r", Description="router", VpcId=network.vpc_id)
    group_id = made["GroupId"]
    (rule,) = network.ec2.authorize_security_group_ingress(
        GroupId=group_id, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
    )["SecurityGroupRules"]
    asked = {"GroupId": group_id, "SecurityGroupRuleIds": [rule["SecurityGroupRuleId"]]}
    filters = [{"Name": "group-id", "Values": [group_id]}]

    def ingress() -> list[str]:
        rules = network.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        return [one["SecurityGroupRuleId"] for one in rules if not one["IsEgress"]]

    assert ingress() == asked["SecurityGroupRuleIds"]
    network.ec2.revoke_security_group_ingress(**asked)
    assert ingress() == []
    refused = code(lambda: network.ec2.revoke_security_group_ingress(**asked))
    assert refused == "InvalidSecurityGroupRuleId.NotFound"


def test_rules_of_a_group_that_does_not_exist_are_an_empty_list(network: Network) -> None:
    """A filter finds nothing and is no error; a new group is told apart by its rule that lets all out."""
    made = network.ec2.create_security_group(GroupName="r", Description="router", VpcId=network.vpc_id)

    def ways_out(group_id: str) -> list[bool]:
        filters = [{"Name": "group-id", "Values": [group_id]}]
        rules = network.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        return [rule["IsEgress"] for rule in rules]

    assert (ways_out("sg-12345678"), ways_out(made["GroupId"])) == ([], [True])
