"""Instances, as AWS keeps them and moto does not."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from .conftest import code

if TYPE_CHECKING:
    from datetime import datetime

    from . import World
    from .conftest import Network

UNKNOWN = "i-0123456789abcdef0"


def _states(world: World, instance_id: str) -> list[str]:
    return [
        event["detail"]["state"]
        for event in world.events
        if event["detail"].get("instance-id") == instance_id
    ]


def test_life_of_an_instance_is_told_state_by_state(world: World, network: Network) -> None:
    """Each change of state is an event, transitional ones too. EC2, instance lifecycle; aws.md 1.2."""
    instance_id, _ = network.launch()
    network.ec2.stop_instances(InstanceIds=[instance_id])
    network.ec2.start_instances(InstanceIds=[instance_id])
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    assert _states(world, instance_id) == [
        "pending", "running", "stopping", "stopped", "pending", "running", "shutting-down", "terminated",
    ]  # fmt: skip


def test_state_event_has_every_field_of_aws(world: World, network: Network) -> None:
    """The key is `instance-id`, with a hyphen. EC2, monitoring-instance-state-changes; aws.md 1.2."""
    instance_id, _ = network.launch()
    event = world.events[0]
    assert set(event) == {
        "version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail",
    }  # fmt: skip
    assert event["version"] == "0"
    assert event["source"] == "aws.ec2"
    assert event["detail-type"] == "EC2 Instance State-change Notification"
    assert event["account"] == "123456789012"
    assert event["region"] == "eu-west-1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["time"])
    assert event["resources"] == [f"arn:aws:ec2:eu-west-1:123456789012:instance/{instance_id}"]
    assert event["detail"] == {"instance-id": instance_id, "state": "pending"}


def test_replies_tell_the_transitional_state_and_describe_the_settled_one(network: Network) -> None:
    """StopInstances answers `stopping`, StartInstances `pending`, TerminateInstances `shutting-down`."""
    instance_id, _ = network.launch()
    asked = {"InstanceIds": [instance_id]}

    def change(reply: dict[str, Any], key: str) -> tuple[str, str]:
        (one,) = reply[key]
        return one["PreviousState"]["Name"], one["CurrentState"]["Name"]

    assert change(network.ec2.stop_instances(**asked), "StoppingInstances") == ("running", "stopping")
    assert change(network.ec2.stop_instances(**asked), "StoppingInstances") == ("stopped", "stopped")
    assert change(network.ec2.start_instances(**asked), "StartingInstances") == ("stopped", "pending")
    assert change(network.ec2.start_instances(**asked), "StartingInstances") == ("running", "running")
    assert change(network.ec2.terminate_instances(**asked), "TerminatingInstances") == (
        "running",
        "shutting-down",
    )
    assert change(network.ec2.terminate_instances(**asked), "TerminatingInstances") == (
        "terminated",
        "terminated",
    )
    assert network.instance(instance_id)["State"] == {"Code": 48, "Name": "terminated"}


def test_states_dwell_until_settled(world: World, network: Network) -> None:
    """Transitional states last; a describe sees them. EC2, instance lifecycle."""
    world.dwell = None
    instance_id, eni_id = network.launch()
    assert network.instance(instance_id)["State"]["Name"] == "pending"
    refused = code(lambda: network.ec2.stop_instances(InstanceIds=[instance_id]))
    assert refused == "IncorrectInstanceState"  # cloud-custodian#6014
    assert world.settle() == 1
    assert network.instance(instance_id)["State"]["Name"] == "running"
    network.ec2.stop_instances(InstanceIds=[instance_id])
    assert network.instance(instance_id)["State"]["Name"] == "stopping"
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    assert network.instance(instance_id)["State"]["Name"] == "shutting-down"
    assert network.interface(eni_id)["Status"] == "in-use"
    world.settle()
    assert code(lambda: network.interface(eni_id)) == "InvalidNetworkInterfaceID.NotFound"
    assert _states(world, instance_id)[-3:] == ["stopping", "shutting-down", "terminated"]


def test_states_end_by_themselves_after_the_dwell(world: World, network: Network) -> None:
    """A world with a dwell ends transitional states by the clock, and tells of it."""
    world.dwell = 0.05
    instance_id, _ = network.launch()
    patience = time.monotonic() + 60
    while network.instance(instance_id)["State"]["Name"] != "running" and time.monotonic() < patience:
        time.sleep(0.01)
    assert _states(world, instance_id) == ["pending", "running"]


def test_terminated_instance_is_never_started_nor_stopped(network: Network) -> None:
    """IncorrectInstanceState. EC2 error codes."""
    instance_id, _ = network.launch()
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    asked = {"InstanceIds": [instance_id]}
    assert code(lambda: network.ec2.start_instances(**asked)) == "IncorrectInstanceState"
    assert code(lambda: network.ec2.stop_instances(**asked)) == "IncorrectInstanceState"


def test_start_after_a_stop_is_the_last_launch(world: World, network: Network) -> None:
    """LaunchTime is "the time that the instance was last launched", in every listing; moto keeps the first. Instance."""
    world.dwell = None
    instance_id, _ = network.launch()
    by_vpc = [{"Name": "vpc-id", "Values": [network.vpc_id]}]

    def launched() -> datetime:
        (reservation,) = network.ec2.describe_instances(Filters=by_vpc)["Reservations"]
        (instance,) = reservation["Instances"]
        assert instance["LaunchTime"] == network.instance(instance_id)["LaunchTime"]
        return cast("datetime", instance["LaunchTime"])

    first = launched()
    world.settle()
    network.ec2.reboot_instances(InstanceIds=[instance_id])
    network.ec2.stop_instances(InstanceIds=[instance_id])
    world.settle()
    assert launched() == first
    network.ec2.start_instances(InstanceIds=[instance_id])
    assert network.instance(instance_id)["State"]["Name"] == "pending"
    again = launched()
    assert again > first
    world.settle()
    network.ec2.start_instances(InstanceIds=[instance_id])  # it runs: nothing is launched
    assert launched() == again


def test_terminated_instance_stays_visible_but_in_no_vpc(network: Network) -> None:
    """A terminated instance shows for a while, without interfaces, VPC, subnet and addresses. EC2, lifecycle."""
    instance_id, _ = network.launch()
    network.ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "Role", "Value": "router"}])
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    instance = network.instance(instance_id)
    assert instance["NetworkInterfaces"] == []
    assert instance["PrivateDnsName"] == instance["PublicDnsName"] == ""
    assert not {"VpcId", "SubnetId", "PrivateIpAddress", "PublicIpAddress"} & set(instance)
    for name in ("private-ip-address", "ip-address", "private-dns-name", "dns-name", "subnet-id"):
        before = [
            {
                "Name": name,
                "Values": ["10.0.0.4", "ip-10-0-0-4.eu-west-1.compute.internal", network.subnet_id],
            }
        ]
        assert not network.ec2.describe_instances(Filters=before)["Reservations"]
    by_tag = [{"Name": "tag:Role", "Values": ["router"]}]
    by_vpc = [{"Name": "vpc-id", "Values": [network.vpc_id]}]
    assert network.ec2.describe_instances(Filters=by_tag)["Reservations"]
    assert not network.ec2.describe_instances(Filters=by_vpc)["Reservations"]


@pytest.mark.parametrize(
    ("instance_id", "said"),
    [(UNKNOWN, "InvalidInstanceID.NotFound"), ("i-router", "InvalidInstanceID.Malformed")],
)
def test_wrong_id_is_malformed_or_unknown(network: Network, instance_id: str, said: str) -> None:
    """InvalidInstanceID.Malformed and InvalidInstanceID.NotFound. EC2 error codes."""
    assert code(lambda: network.instance(instance_id)) == said
    assert code(lambda: network.ec2.terminate_instances(InstanceIds=[instance_id])) == said


def test_ids_look_as_aws_makes_them(network: Network) -> None:
    """Ids are a prefix and 17 hexadecimal digits. EC2, resource ids."""
    instance_id, eni_id = network.launch()
    made = [instance_id, eni_id, network.vpc_id, network.subnet_id, network.table_id, network.allocation_id]
    assert all(re.fullmatch(r"(i|eni|vpc|subnet|rtb|eipalloc)-[0-9a-f]{17}", one) for one in made)


def test_source_dest_check_is_one_thing(network: Network) -> None:
    """The instance's attribute is its primary interface's, and starts on. ModifyInstanceAttribute; aws.md 2.4."""
    instance_id, eni_id = network.launch()

    def everywhere() -> set[bool]:
        instance = network.instance(instance_id)
        asked = {"InstanceId": instance_id, "Attribute": "sourceDestCheck"}
        return {
            instance["SourceDestCheck"],
            instance["NetworkInterfaces"][0]["SourceDestCheck"],
            network.interface(eni_id)["SourceDestCheck"],
            network.ec2.describe_instance_attribute(**asked)["SourceDestCheck"]["Value"],
        }

    assert everywhere() == {True}
    network.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=eni_id, SourceDestCheck={"Value": False}
    )
    assert everywhere() == {False}
    network.ec2.modify_instance_attribute(InstanceId=instance_id, SourceDestCheck={"Value": True})
    assert everywhere() == {True}


def test_source_dest_check_of_an_instance_with_two_interfaces_is_refused(network: Network) -> None:
    """ModifyInstanceAttribute works with a single interface only. aws.md 2.4."""
    instance_id, _ = network.launch()
    nic = network.ec2.create_network_interface(SubnetId=network.subnet_id)["NetworkInterface"]
    network.ec2.attach_network_interface(
        NetworkInterfaceId=nic["NetworkInterfaceId"], InstanceId=instance_id, DeviceIndex=1
    )
    asked = {"InstanceId": instance_id, "SourceDestCheck": {"Value": False}}
    assert code(lambda: network.ec2.modify_instance_attribute(**asked)) == "InvalidInstanceID"


def test_instance_shows_its_interfaces_as_aws_does(network: Network) -> None:
    """DescribeInstances, InstanceNetworkInterface."""
    _, eni_id = network.launch()
    instance_id = network.interface(eni_id)["Attachment"]["InstanceId"]
    nic = network.instance(instance_id)["NetworkInterfaces"][0]
    assert nic["NetworkInterfaceId"] == eni_id
    assert nic["SubnetId"] == network.subnet_id
    assert nic["Status"] == "in-use"
    assert nic["Attachment"]["DeviceIndex"] == 0
    assert nic["Attachment"]["DeleteOnTermination"]
    assert nic["Groups"] == network.instance(instance_id)["SecurityGroups"]
    assert nic["PrivateIpAddresses"][0]["Primary"]
    assert "Association" not in nic
