"""Auto Scaling groups, as AWS keeps them and moto does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import Client, World
    from .conftest import Network

PROPAGATED = [{"Key": "Role", "Value": "router", "PropagateAtLaunch": True, "ResourceId": "routers"}]


@pytest.fixture
def scaling(world: World) -> Client:
    """A hand's Auto Scaling client."""
    return world.client("autoscaling")


def _template(network: Network, **nic: object) -> str:
    data = {
        "ImageId": "ami-12345678",
        "InstanceType": "t4g.nano",
        "NetworkInterfaces": [{"DeviceIndex": 0, **nic}],
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": [{"Key": "Name", "Value": f"router's {kind}"}]}
            for kind in ("instance", "network-interface")
        ],
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True}}],
        "MetadataOptions": {"HttpTokens": "required"},
    }
    made = network.ec2.create_launch_template(LaunchTemplateName="router", LaunchTemplateData=data)
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def _group(scaling: Client, template_id: str, size: int, *subnets: str) -> None:
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="routers",
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=size,
        VPCZoneIdentifier=",".join(subnets),
        LaunchTemplate={"LaunchTemplateId": template_id, "Version": "$Latest"},
        Tags=PROPAGATED,
    )


def _members(scaling: Client) -> list[str]:
    (group,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    return [one["InstanceId"] for one in group["Instances"]]


def test_launched_instance_has_the_template_s_data_and_the_group_s_subnet(
    network: Network, scaling: Client
) -> None:
    """Tags of both, the subnet of the group, address and metadata options of the template. EC2 Auto Scaling guide."""
    _group(
        scaling,
        _template(network, AssociatePublicIpAddress=True),
        2,
        network.subnet_id,
        network.other_subnet_id,
    )
    instances = [network.instance(one) for one in _members(scaling)]
    assert [one["SubnetId"] for one in instances] == [network.subnet_id, network.other_subnet_id]
    for one in instances:
        tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        assert (tags["Name"], tags["Role"]) == ("router's instance", "router")
        assert tags["aws:autoscaling:groupName"] == "routers"
        assert one["InstanceType"] == "t4g.nano"
        assert one["PublicIpAddress"].startswith("198.51.100.")
        assert one["MetadataOptions"]["HttpTokens"] == "required"
        assert one["NetworkInterfaces"][0]["Attachment"]["DeleteOnTermination"]
        nic = network.interface(one["NetworkInterfaces"][0]["NetworkInterfaceId"])
        assert nic["TagSet"] == [{"Key": "Name", "Value": "router's network-interface"}]


def test_terminated_instance_is_replaced_once_it_is_gone(
    world: World, network: Network, scaling: Client
) -> None:
    """The group takes the lost one out and launches another. EC2 Auto Scaling, health checks."""
    _group(scaling, _template(network), 1, network.subnet_id)
    (old,) = _members(scaling)
    world.dwell = None
    network.ec2.terminate_instances(InstanceIds=[old])
    assert _members(scaling) == [old]
    world.settle()
    (new,) = _members(scaling)
    assert new != old
    assert network.instance(new)["State"]["Name"] == "pending"
    world.settle()
    assert network.instance(new)["State"]["Name"] == "running"


def test_stopped_and_unhealthy_instances_are_replaced(network: Network, scaling: Client) -> None:
    """Any state but running, and a health set by hand, are unhealthy. EC2 Auto Scaling, health checks."""
    _group(scaling, _template(network), 1, network.subnet_id)
    (first,) = _members(scaling)
    network.ec2.stop_instances(InstanceIds=[first])
    (second,) = _members(scaling)
    assert network.instance(first)["State"]["Name"] == "terminated"
    scaling.set_instance_health(InstanceId=second, HealthStatus="Unhealthy")
    (third,) = _members(scaling)
    assert len({first, second, third}) == 3


def test_suspended_group_replaces_nothing(network: Network, scaling: Client) -> None:
    """Suspended processes are not carried out. EC2 Auto Scaling, suspend-resume."""
    _group(scaling, _template(network), 1, network.subnet_id)
    (only,) = _members(scaling)
    scaling.suspend_processes(AutoScalingGroupName="routers", ScalingProcesses=["Launch"])
    network.ec2.terminate_instances(InstanceIds=[only])
    assert _members(scaling) == []
    scaling.resume_processes(AutoScalingGroupName="routers", ScalingProcesses=["Launch"])
    assert len(_members(scaling)) == 1


def test_successor_takes_over_the_prepared_interface(world: World, network: Network, scaling: Client) -> None:
    """The post's own way: the interface with the Elastic IP stays, the instance changes. aws.md 2.4."""
    nic = network.ec2.create_network_interface(SubnetId=network.subnet_id)["NetworkInterface"]
    eni_id = nic["NetworkInterfaceId"]
    network.ec2.associate_address(AllocationId=network.allocation_id, NetworkInterfaceId=eni_id)
    network.point(eni_id)
    _group(scaling, _template(network, NetworkInterfaceId=eni_id), 1, network.subnet_id)
    (old,) = _members(scaling)
    assert network.route()["InstanceId"] == old
    network.ec2.terminate_instances(InstanceIds=[old])
    (new,) = _members(scaling)
    assert new != old
    assert network.instance(new)["NetworkInterfaces"][0]["NetworkInterfaceId"] == eni_id
    assert network.interface(eni_id)["TagSet"] == []  # a launch tags what it makes
    assert network.route() | {"InstanceId": new, "State": "active"} == network.route()
    assert network.address()["InstanceId"] == new


def test_launch_that_ec2_refuses_is_told_once_and_tried_again(
    world: World, network: Network, scaling: Client
) -> None:
    """EC2 Instance Launch Unsuccessful. Auto Scaling event reference; aws.md 1.2."""
    nic = network.ec2.create_network_interface(SubnetId=network.subnet_id)["NetworkInterface"]
    eni_id = nic["NetworkInterfaceId"]
    holder, _ = network.launch(NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": eni_id}])
    _group(scaling, _template(network, NetworkInterfaceId=eni_id), 1, network.subnet_id)
    network.ec2.create_tags(Resources=[holder], Tags=[{"Key": "any", "Value": "write"}])
    (told,) = [event for event in world.events if event["detail-type"] == "EC2 Instance Launch Unsuccessful"]
    assert told["detail"]["StatusCode"] == "Failed"
    assert eni_id in told["detail"]["StatusMessage"]
    network.ec2.terminate_instances(InstanceIds=[holder])
    (member,) = _members(scaling)
    assert network.interface(eni_id)["Attachment"]["InstanceId"] == member


def test_group_tells_of_launches_and_terminations(world: World, network: Network, scaling: Client) -> None:
    """EC2 Instance Launch Successful and Terminate Successful. Auto Scaling event reference; aws.md 1.2."""
    _group(scaling, _template(network), 1, network.subnet_id)
    (old,) = _members(scaling)
    network.ec2.terminate_instances(InstanceIds=[old])
    (new,) = _members(scaling)
    told = [(event["detail-type"].removeprefix("EC2 Instance "), event["detail"]) for event in world.events]
    assert [
        (kind, detail.get("state"), detail.get("instance-id", detail.get("EC2InstanceId")))
        for kind, detail in told
    ] == [
        ("State-change Notification", "pending", old),
        ("State-change Notification", "running", old),
        ("Launch Successful", None, old),
        ("State-change Notification", "shutting-down", old),
        ("State-change Notification", "terminated", old),
        ("Terminate Successful", None, old),
        ("State-change Notification", "pending", new),
        ("State-change Notification", "running", new),
        ("Launch Successful", None, new),
    ]
    event = world.events[-1]
    assert event["source"] == "aws.autoscaling"
    (group,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    arn = f"arn:aws:ec2:eu-west-1:123456789012:instance/{new}"
    assert event["resources"] == [group["AutoScalingGroupARN"], arn]
    assert set(event["detail"]) == {
        "StatusCode", "Description", "AutoScalingGroupName", "ActivityId", "Details", "RequestId",
        "StatusMessage", "EndTime", "EC2InstanceId", "StartTime", "Cause", "Origin", "Destination",
    }  # fmt: skip
    assert event["detail"]["AutoScalingGroupName"] == "routers"
    assert event["detail"]["Details"] == {"Availability Zone": "eu-west-1a", "Subnet ID": network.subnet_id}
    assert (event["detail"]["Origin"], event["detail"]["Destination"]) == ("EC2", "AutoScalingGroup")


def test_detached_instance_is_no_longer_the_group_s(world: World, network: Network, scaling: Client) -> None:
    """DetachInstances: what becomes of the instance is not the group's to tell any more."""
    _group(scaling, _template(network), 1, network.subnet_id)
    (member,) = _members(scaling)
    scaling.detach_instances(
        AutoScalingGroupName="routers", InstanceIds=[member], ShouldDecrementDesiredCapacity=True
    )
    network.ec2.terminate_instances(InstanceIds=[member])
    assert _members(scaling) == []
    assert not [one for one in world.events if one["detail-type"] == "EC2 Instance Terminate Successful"]


def test_group_shrinks_and_its_instances_end(network: Network, scaling: Client) -> None:
    """A smaller desired capacity terminates instances; a deleted group all of them."""
    _group(scaling, _template(network), 2, network.subnet_id, network.other_subnet_id)
    both = _members(scaling)
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=both[0], ShouldDecrementDesiredCapacity=True)
    assert _members(scaling) == both[1:]
    scaling.delete_auto_scaling_group(AutoScalingGroupName="routers", ForceDelete=True)
    assert {network.instance(one)["State"]["Name"] for one in both} == {"terminated"}
