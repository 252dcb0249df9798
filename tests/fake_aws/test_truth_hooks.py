"""Lifecycle hooks, as AWS keeps them and moto does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .conftest import code

if TYPE_CHECKING:
    from . import Client, World
    from .conftest import Network

HANDOVER = {"AutoScalingGroupName": "routers", "LifecycleHookName": "handover"}


@pytest.fixture
def scaling(world: World, network: Network) -> Client:
    """A hand's Auto Scaling client, and a group of two with a termination hook."""
    client = world.client("autoscaling")
    data = {"ImageId": "ami-12345678", "InstanceType": "t4g.nano", "NetworkInterfaces": [{"DeviceIndex": 0}]}
    template = network.ec2.create_launch_template(LaunchTemplateName="router", LaunchTemplateData=data)
    client.create_auto_scaling_group(
        AutoScalingGroupName="routers",
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=2,
        VPCZoneIdentifier=f"{network.subnet_id},{network.other_subnet_id}",
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"},
    )
    client.put_lifecycle_hook(
        **HANDOVER, LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING", HeartbeatTimeout=120
    )
    return client


def _members(scaling: Client) -> dict[str, str]:
    (group,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    return {one["InstanceId"]: one["LifecycleState"] for one in group["Instances"]}


def _end(scaling: Client, *, fewer: bool = False) -> str:
    """Have the group terminate one of its members; give its id."""
    instance_id = next(iter(_members(scaling)))
    scaling.terminate_instance_in_auto_scaling_group(
        InstanceId=instance_id, ShouldDecrementDesiredCapacity=fewer
    )
    return instance_id


def _waiting(world: World) -> list[dict[str, Any]]:
    kind = "EC2 Instance-terminate Lifecycle Action"
    return [event for event in world.events if event["detail-type"] == kind]


def test_terminating_instance_runs_on_until_its_hook_is_completed(
    world: World, network: Network, scaling: Client
) -> None:
    """Terminating:Wait, while a successor is launched. Auto Scaling guide, lifecycle-hooks-overview."""
    old = _end(scaling)
    assert network.instance(old)["State"]["Name"] == "running"
    assert sorted(_members(scaling).values()) == ["InService", "InService", "Terminating:Wait"]
    token = _waiting(world)[0]["detail"]["LifecycleActionToken"]
    scaling.complete_lifecycle_action(
        **HANDOVER, LifecycleActionToken=token, LifecycleActionResult="CONTINUE", InstanceId=old
    )
    assert network.instance(old)["State"]["Name"] == "terminated"
    assert old not in _members(scaling)


def test_hook_is_told_of_in_aws_s_shape(world: World, scaling: Client) -> None:
    """Scale-in lifecycle action. Auto Scaling event reference; NotificationMetadata only if the hook has it."""
    old = _end(scaling)
    (event,) = _waiting(world)
    (group,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert event["source"] == "aws.autoscaling"
    assert event["resources"] == [group["AutoScalingGroupARN"]]
    token = event["detail"].pop("LifecycleActionToken")
    assert len(token) == 36
    assert event["detail"] == {
        "AutoScalingGroupName": "routers",
        "LifecycleHookName": "handover",
        "EC2InstanceId": old,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "Origin": "AutoScalingGroup",
        "Destination": "EC2",
    }


def test_hook_that_nobody_completes_is_over_when_its_time_is(
    world: World, network: Network, scaling: Client
) -> None:
    """The instance goes whatever the default result. Considerations for lifecycle hooks."""
    old = _end(scaling)
    assert world.expire_hooks() == 1
    assert network.instance(old)["State"]["Name"] == "terminated"
    assert world.expire_hooks() == 0


def test_hook_that_is_over_or_unknown_cannot_be_completed(world: World, scaling: Client) -> None:
    """ValidationError: No active Lifecycle Action found. The product takes it for done."""
    old = _end(scaling)
    continued = {**HANDOVER, "LifecycleActionResult": "CONTINUE"}
    unknown = {"LifecycleActionToken": "00000000-0000-0000-0000-000000000000"}
    assert code(lambda: scaling.complete_lifecycle_action(**continued, **unknown)) == "ValidationError"
    elsewhere = continued | {"LifecycleHookName": "other", "InstanceId": old}
    assert code(lambda: scaling.complete_lifecycle_action(**elsewhere)) == "ValidationError"
    scaling.complete_lifecycle_action(**continued, InstanceId=old)
    assert code(lambda: scaling.complete_lifecycle_action(**continued, InstanceId=old)) == "ValidationError"


@pytest.mark.parametrize(("result", "left"), [("CONTINUE", "running"), ("ABANDON", "terminated")])
def test_abandon_ends_the_other_hooks_too(network: Network, scaling: Client, result: str, left: str) -> None:
    """Continue lets any other hooks complete, abandon stops them. Considerations for lifecycle hooks."""
    scaling.put_lifecycle_hook(
        AutoScalingGroupName="routers",
        LifecycleHookName="logs",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )
    old = _end(scaling)
    scaling.complete_lifecycle_action(**HANDOVER, LifecycleActionResult=result, InstanceId=old)
    assert network.instance(old)["State"]["Name"] == left


def test_unhealthy_stopped_and_surplus_instances_wait_too(network: Network, scaling: Client) -> None:
    """All terminations by the group, automatic or manual. Lifecycle hook availability."""
    first, second = _members(scaling)
    scaling.set_instance_health(InstanceId=first, HealthStatus="Unhealthy")
    assert _members(scaling)[first] == "Terminating:Wait"
    network.ec2.stop_instances(InstanceIds=[second])
    assert _members(scaling)[second] == "Terminating:Wait"
    scaling.set_desired_capacity(AutoScalingGroupName="routers", DesiredCapacity=1)
    assert sorted(_members(scaling).values()) == ["InService"] + ["Terminating:Wait"] * 3


def test_instance_that_ec2_ends_waits_for_nobody(world: World, network: Network, scaling: Client) -> None:
    """A wait does not keep EC2, or Spot, from ending the instance; it is over then."""
    old = _end(scaling)
    network.ec2.terminate_instances(InstanceIds=[old])
    assert network.instance(old)["State"]["Name"] == "terminated"
    assert world.expire_hooks() == 0


def test_deleted_hook_or_group_lets_its_instances_go(network: Network, scaling: Client) -> None:
    """API reference, DeleteLifecycleHook; a group deleted by force waits for no hook."""
    old = _end(scaling, fewer=True)
    scaling.delete_lifecycle_hook(**HANDOVER)
    assert network.instance(old)["State"]["Name"] == "terminated"
    (last,) = _members(scaling)
    scaling.put_lifecycle_hook(**HANDOVER, LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING")
    scaling.delete_auto_scaling_group(AutoScalingGroupName="routers", ForceDelete=True)
    assert network.instance(last)["State"]["Name"] == "terminated"


def test_hook_of_no_group_or_of_too_short_a_time_is_refused(scaling: Client) -> None:
    """API reference, PutLifecycleHook: 30 to 7200 seconds."""
    hook = {**HANDOVER, "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
    assert (
        code(lambda: scaling.put_lifecycle_hook(**hook | {"AutoScalingGroupName": "x"})) == "ValidationError"
    )
    assert code(lambda: scaling.put_lifecycle_hook(**hook, HeartbeatTimeout=29)) == "ValidationError"
