"""Every grant is taken away in turn: what happens is said, nothing crashes, and nothing else stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.package.policies_denied import LOGS, deny, granted, names_the_call
from tests.package.policies_office import REPAIRS, broken
from tests.package.policies_roles import api_call, at_work, minute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fake_aws import World
    from tests.package.policies_office import Office
    from tests.package.policies_roles import FunctionsByRole

ELSEWHERE = {
    "autoscaling:CompleteLifecycleAction",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
}
"""What no repair waits for."""

WAITING = {"ec2:ReplaceRoute": {"ec2:ReplaceRouteTableAssociation"}}
"""What leans on a repair: a subnet moves only to a table that has its default route."""

UNREAD = {
    "ec2:DescribeInstanceStatus": set(),
    "ec2:DescribeSecurityGroupRules": {"ec2:RevokeSecurityGroupIngress"},
    "ec2:DescribeSubnets": set(),
    "ec2:DescribeVpcs": {"ec2:AssociateDhcpOptions"},
}
"""Readings that no pin needs, and the repairs that nobody can know to be wanted without them."""

PUSHES = {
    "ssm:DescribeDocument",
    "ssm:DescribeInstanceInformation",
    "ssm:GetCommandInvocation",
    "ssm:GetDocument",
    "ssm:PutParameter",
    "ssm:SendCommand",
}
"""What only machines wait for: the network is kept all the same."""

BEFOREHAND = {"sqs:ReceiveMessage", "sqs:GetQueueAttributes"}
"""What Lambda does before the worker runs at all."""


@pytest.fixture
def office(world: World) -> Office:
    """A network with everything wrong, in an AWS where nothing else is."""
    return broken(world)


@pytest.fixture
def mooring(office: Office) -> Iterator[FunctionsByRole]:
    """The functions, at work since the network was made."""
    with at_work(office.world) as mooring:
        yield mooring


@pytest.mark.parametrize("action", granted("reconcile"))
def test_worker_denied_one_action_says_so_and_does_everything_else(
    action: str, office: Office, mooring: FunctionsByRole
) -> None:
    """A write: all others are made. The journal, or what every pin needs: nothing is. Given back, all is put right."""
    deny(mooring, "reconcile", action)
    office.declare()
    said = "".join(mooring.settle())
    if action in REPAIRS:
        assert office.wanting() == {action} | WAITING.get(action, set())
    elif action in UNREAD:
        assert office.wanting() == UNREAD[action]
    elif action in ELSEWHERE | LOGS:
        assert office.wanting() == set()
    elif action in PUSHES:
        assert office.wanting() == set()
        assert not office.configured()
    else:
        assert office.wanting() == REPAIRS
    assert names_the_call(said, action) is (action not in BEFOREHAND | ELSEWHERE | LOGS)
    office.world.heal()
    mooring.tick()
    assert office.wanting() == set()
    assert mooring.failures == []
    assert mooring.queued() == 0


def test_worker_that_cannot_let_a_router_go_has_moved_everything_away_and_tries_again(
    office: Office, mooring: FunctionsByRole
) -> None:
    """CompleteLifecycleAction denied: the refusal is said, and the hook is completed once it may be."""
    office.declare()
    mooring.settle()
    deny(mooring, "reconcile", "autoscaling:CompleteLifecycleAction")
    scaling = office.world.client("autoscaling")
    scaling.terminate_instance_in_auto_scaling_group(
        InstanceId=office.wanted, ShouldDecrementDesiredCapacity=False
    )
    said = "".join(mooring.settle())
    assert names_the_call(said, "autoscaling:CompleteLifecycleAction")
    assert office.route("PrivateRouteTableAId", "0.0.0.0/0") not in {None, office.interface}
    assert _lifecycle_state(office) == "Terminating:Wait"
    office.world.heal()
    mooring.tick()
    assert _lifecycle_state(office) is None
    assert mooring.queued() == 0


def _lifecycle_state(office: Office) -> str | None:
    (group,) = office.world.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    found = (one["LifecycleState"] for one in group["Instances"] if one["InstanceId"] == office.wanted)
    return next(found, None)


def test_worker_that_cannot_postpone_a_message_says_so_and_the_queue_keeps_it(
    office: Office, mooring: FunctionsByRole
) -> None:
    """ChangeMessageVisibility denied: what could not be served still comes again, if late; nobody else waits."""
    deny(mooring, "reconcile", "sqs:ChangeMessageVisibility")
    said = "".join(mooring.poison())
    assert names_the_call(said, "sqs:ChangeMessageVisibility")
    office.declare()
    mooring.settle()
    assert office.wanting() == set()


@pytest.mark.parametrize("action", granted("on_event"))
def test_event_denied_one_action_is_put_aside_and_the_others_are_passed_on(
    action: str, office: Office, mooring: FunctionsByRole
) -> None:
    """It fails once, with the name of the call, and is kept; what does not need the action is served as ever."""
    foreign = office.world.client("ec2").create_route_table(VpcId=office.outputs["VpcId"])["RouteTable"]
    needs = {
        "ec2:DescribeAddresses": api_call(office.world, "DisassociateAddress", publicIp="203.0.113.7"),
        "ec2:DescribeInstances": api_call(office.world, "StopInstances", id=office.wanted),
        "ec2:DescribeNetworkInterfaces": api_call(
            office.world, "DetachNetworkInterface", id=office.interface
        ),
        "ec2:DescribeRouteTables": api_call(office.world, "CreateRoute", id=foreign["RouteTableId"]),
        "ssm:GetParametersByPath": minute(office.world),
    }
    deny(mooring, "on_event", action)
    office.declare()
    mooring.settle()
    if action in needs:
        mooring.event(needs[action])
    named = [names_the_call(str(failure), action) for failure in mooring.failures]
    assert all(named)
    assert bool(named) is (action not in LOGS)
    # Lambda may not put it aside either when it may not send at all; the tick looks anyway.
    assert mooring.put_aside() == (0 if action == "sqs:SendMessage" else len(named))
    assert office.wanting() == (REPAIRS if action == "sqs:SendMessage" else set())
    office.world.heal()
    mooring.tick()
    assert office.wanting() == set()
