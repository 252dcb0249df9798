"""The packaged rules: which of AWS's events wake Mooring. Shapes are AWS's own, from the pages named beside them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from moto.events.models import EventPattern

from chalicelib.core.messages.event import interpret
from tests.package.template import of_type, translate

if TYPE_CHECKING:
    from tools.package import Package

Event: TypeAlias = "dict[str, Any]"

ACCOUNT, REGION, AT = "123456789012", "eu-west-1", "2026-11-11T21:29:54Z"
INSTANCE = "i-1234567890abcdef0"
ROLES = ("OnEventRole", "ReconcileRole", "ApiHandlerRole")


def event(source: str, kind: str, detail: Event) -> Event:
    """Wrap a detail in AWS's envelope (EventBridge user guide, "AWS service event metadata")."""
    envelope = {"version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602", "account": ACCOUNT, "time": AT}
    return envelope | {
        "region": REGION,
        "resources": [],
        "source": source,
        "detail-type": kind,
        "detail": detail,
    }


def state(name: str) -> Event:
    """EC2 user guide, "Monitor for instance state changes"."""
    return event(
        "aws.ec2", "EC2 Instance State-change Notification", {"instance-id": INSTANCE, "state": name}
    )


def group(kind: str, **more: str) -> Event:
    """Auto Scaling user guide, "Amazon EC2 Auto Scaling event reference"."""
    return event(
        "aws.autoscaling", kind, {"AutoScalingGroupName": "routers", "EC2InstanceId": INSTANCE} | more
    )


def hook(kind: str) -> Event:
    """Same page, lifecycle actions."""
    return group(
        kind, LifecycleHookName="mooring", LifecycleActionToken="87654321-4321-4321-4321-210987654321"
    )


def parameter(name: str, operation: str = "Update") -> Event:
    """Systems Manager user guide, "Amazon EventBridge event examples for Systems Manager"."""
    return event(
        "aws.ssm", "Parameter Store Change", {"operation": operation, "name": name, "type": "String"}
    )


def call(name: str, identity: Event | None = None, **more: object) -> Event:
    """EventBridge user guide, "AWS service events delivered via AWS CloudTrail"."""
    user = {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/alice", "userName": "alice"}
    detail = {
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "userIdentity": identity or user,
        "requestParameters": {"routeTableId": "rtb-0123456789abcdef0", "destinationCidrBlock": "0.0.0.0/0"},
    }
    return event("aws.ec2", "AWS API Call via CloudTrail", detail | more)


def session(role: str) -> Event:
    """CloudTrail user guide, "userIdentity element": a role's session."""
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/session",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}"}},
    }


@pytest.fixture(scope="module")
def patterns(package: Package) -> dict[str, EventPattern]:
    """Every pattern of the packaged rules, with its roles' ARNs filled in."""
    rules = of_type(translate(package), "AWS::Events::Rule")
    text = {name: json.dumps(r["Properties"].get("EventPattern")) for name, r in rules.items()}
    for role in ROLES:
        reference = json.dumps({"Fn::GetAtt": [role, "Arn"]})
        text = {n: t.replace(reference, f'"arn:aws:iam::{ACCOUNT}:role/{role}"') for n, t in text.items()}
    return {n.removeprefix("OnEvent"): EventPattern.load(t) for n, t in text.items() if t != "null"}


def matching(patterns: dict[str, EventPattern], happened: Event) -> list[str]:
    """Name the rules that an event matches."""
    return [name for name, pattern in patterns.items() if pattern.matches_event(happened)]


EDITS = (
    *("AssociateAddress", "DisassociateAddress", "ReleaseAddress"),
    *("AssociateDhcpOptions", "AttachInternetGateway", "DetachInternetGateway"),
    *("AssociateRouteTable", "DisassociateRouteTable", "ReplaceRouteTableAssociation"),
    *("CreateRoute", "ReplaceRoute", "DeleteRoute", "CreateRouteTable", "DeleteRouteTable", "DeleteSubnet"),
    *("AttachNetworkInterface", "DetachNetworkInterface", "DeleteNetworkInterface"),
    *("ModifyInstanceAttribute", "ModifyNetworkInterfaceAttribute"),
    *("AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules"),
    *("StopInstances", "TerminateInstances", "CreateTags", "DeleteTags"),
)
"""All that takes away, or may give back, what a topology declares or selects."""

WAKING = [
    *(
        ("InstanceState", state(name))
        for name in ("running", "stopping", "stopped", "shutting-down", "terminated")
    ),
    (
        "Spot",
        event(
            "aws.ec2",
            "EC2 Spot Instance Interruption Warning",
            {"instance-id": INSTANCE, "instance-action": "terminate"},
        ),
    ),
    ("Spot", event("aws.ec2", "EC2 Instance Rebalance Recommendation", {"instance-id": INSTANCE})),
    ("AutoScaling", hook("EC2 Instance-launch Lifecycle Action")),
    ("AutoScaling", hook("EC2 Instance-terminate Lifecycle Action")),
    *(
        ("AutoScaling", group(f"EC2 Instance {what} {how}"))
        for what in ("Launch", "Terminate")
        for how in ("Successful", "Unsuccessful")
    ),
    *(
        ("Declaration", parameter(f"/mooring/{name}", o))
        for name in ("topologies/office", "office/certificate")
        for o in ("Create", "Update")
    ),
    *(("ApiCall", call(name)) for name in EDITS),
    ("ApiCall", call("ReplaceRoute", {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root"})),
    ("ApiCall", call("DisassociateAddress", session("Admin"))),
    ("ApiCall", call("ModifyNetworkInterfaceAttribute", session("ReconcileRole-of-another"))),
]


@pytest.mark.parametrize(("rule", "happened"), WAKING)
def test_event_that_concerns_a_router_wakes_mooring_once(
    patterns: dict[str, EventPattern], rule: str, happened: Event
) -> None:
    """One rule takes it, and the function understands what it takes."""
    assert matching(patterns, happened) == [rule]
    now = datetime.fromisoformat(AT) + timedelta(seconds=1)
    assert interpret(happened, now, ACCOUNT, REGION).what


@pytest.mark.parametrize(
    "happened",
    [
        state("pending"),
        event(
            "custom.ec2",
            "EC2 Instance State-change Notification",
            {"instance-id": INSTANCE, "state": "stopped"},
        ),
        event("aws.ec2", "EBS Volume Notification", {"event": "createVolume"}),
        group("EC2 Auto Scaling Instance Refresh Started"),
        parameter("/mooring/bundles/office"),
        parameter("/other/mooring/topologies/office"),
        *(parameter("/mooring/topologies/office", o) for o in ("Delete", "LabelParameterVersion")),
        event("aws.ssm", "EC2 Command Status-change Notification", {"status": "Success"}),
        call("DescribeRouteTables"),
        call("RunInstances"),
        call("ReplaceRoute", errorCode="Client.UnauthorizedOperation"),
        call("ReplaceRoute", eventSource="autoscaling.amazonaws.com"),
        *(call("ReplaceRoute", session(role)) for role in ROLES),
    ],
    ids=lambda happened: str(happened["detail-type"]),
)
def test_event_that_concerns_no_router_wakes_nobody(
    patterns: dict[str, EventPattern], happened: Event
) -> None:
    """Above all our own writes: each would wake us to look at what we have just done."""
    assert matching(patterns, happened) == []


def test_api_calls_are_watched_only_where_asked_for(package: Package) -> None:
    """The rule needs a trail, which costs money: it is off unless the stack is told."""
    template = translate(package)
    states = {n: r["Properties"].get("State") for n, r in of_type(template, "AWS::Events::Rule").items()}
    assert states.pop("OnEventApiCall") == {"Fn::If": ["WatchesApiCalls", "ENABLED", "DISABLED"]}
    assert template["Parameters"]["WatchApiCalls"]["Default"] == "no"
    assert set(states.values()) == {None}


def test_tick_comes_every_minute_to_the_function_that_events_wake(package: Package) -> None:
    """One Lambda for events and ticks: the minute keeps warm what a failover needs first."""
    rules = of_type(translate(package), "AWS::Events::Rule")
    scheduled = [r["Properties"] for r in rules.values() if "ScheduleExpression" in r["Properties"]]
    assert [rule["ScheduleExpression"] for rule in scheduled] == ["rate(1 minute)"]
    targets = {json.dumps(t["Arn"]) for r in rules.values() for t in r["Properties"]["Targets"]}
    assert targets == {json.dumps({"Fn::GetAtt": ["OnEvent", "Arn"]})}
