"""EventBridge events in AWS's exact shape, and the bus that keeps and delivers them.

Shapes: aws.md 1.2; EC2 "monitoring-instance-state-changes"; "Amazon EC2 Auto Scaling event reference".
"""

from __future__ import annotations

import collections
import datetime as dt
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from moto.autoscaling.models import FakeAutoScalingGroup
    from moto.ec2.models.instances import Instance

    from .commands import Command, Invocation

Event: TypeAlias = "dict[str, Any]"
ACCOUNT = "123456789012"


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def event(region: str, source: str, detail_type: str, resources: list[str], detail: Event) -> Event:
    """Wrap a detail in the envelope that every AWS event carries."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": _now(),
        "region": region,
        "resources": resources,
        "detail": detail,
    }


def state_change(region: str, instance_id: str, state: str) -> Event:
    """Make an EC2 state-change notification; the key is `instance-id`, with a hyphen."""
    return event(
        region,
        "aws.ec2",
        "EC2 Instance State-change Notification",
        [f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{instance_id}"],
        {"instance-id": instance_id, "state": state},
    )


def spot_interruption(region: str, zone: str, instance_id: str) -> Event:
    """Make a Spot interruption warning; its ARN has a zone where others have a region, and no account."""
    return event(
        region,
        "aws.ec2",
        "EC2 Spot Instance Interruption Warning",
        [f"arn:aws:ec2:{zone}:instance/{instance_id}"],
        {"instance-id": instance_id, "instance-action": "terminate"},
    )


def parameter_change(region: str, operation: str, name: str, kind: str, description: str) -> Event:
    """Make a Parameter Store change; the value is never in it."""
    return event(
        region,
        "aws.ssm",
        "Parameter Store Change",
        [f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/{name.removeprefix('/')}"],
        {"operation": operation, "name": name, "type": kind, "description": description},
    )


def command_change(region: str, command: Command, status: str) -> Event:
    """Make a change of a command as a whole; its parameters are in it, in clear.

    Systems Manager user guide, "Reference: Amazon EventBridge event patterns and types"; aws.md 1.2.
    """
    nodes = [f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{one.node.instance_id}" for one in command.invocations]
    detail = {
        "command-id": command.command_id,
        "document-name": command.document_name,
        "expire-after": _millis(command.expires_after),
        "parameters": {"executionTimeout": [str(command.execution_timeout)], **command.parameters},
        "requested-date-time": _millis(command.sent),
        "status": status,
    }
    return event(region, "aws.ssm", "EC2 Command Status-change Notification", nodes, detail)


def invocation_change(region: str, invocation: Invocation) -> Event:
    """Make a change of a command on one node."""
    command, instance_id = invocation.command, invocation.node.instance_id
    detail = {
        "command-id": command.command_id,
        "document-name": command.document_name,
        "instance-id": instance_id,
        "requested-date-time": _millis(command.sent),
        "status": invocation.status,
    }
    node = f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{instance_id}"
    return event(region, "aws.ssm", "EC2 Command Invocation Status-change Notification", [node], detail)


def _millis(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def launched(group: FakeAutoScalingGroup, instance: Instance) -> Event:
    """Make an Auto Scaling launch notification."""
    why = "an instance was launched in response to a difference between desired and actual capacity."
    return _scaled(group, instance, "Launch Successful", "Launching a new EC2 instance", why)


def terminated(group: FakeAutoScalingGroup, instance: Instance) -> Event:
    """Make an Auto Scaling termination notification."""
    why = (
        "an instance was taken out of service in response to an EC2 health check "
        "indicating it has been terminated or stopped."
    )
    return _scaled(group, instance, "Terminate Successful", "Terminating EC2 instance", why)


def terminating(
    group: FakeAutoScalingGroup, hook: str, token: str, instance_id: str, metadata: str | None
) -> Event:
    """Make an Auto Scaling notification that a terminating instance waits for a lifecycle hook."""
    detail = {
        "LifecycleActionToken": token,
        "AutoScalingGroupName": group.name,
        "LifecycleHookName": hook,
        "EC2InstanceId": instance_id,
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        "Origin": "AutoScalingGroup",
        "Destination": "EC2",
    }
    if metadata:
        detail["NotificationMetadata"] = metadata
    kind = "EC2 Instance-terminate Lifecycle Action"
    return event(group.region, "aws.autoscaling", kind, [group.arn], detail)


def launch_refused(group: FakeAutoScalingGroup, subnet_id: str, message: str) -> Event:
    """Make an Auto Scaling notification of a launch that EC2 refused."""
    why = "an instance was launched in response to a difference between desired and actual capacity."
    zone = next(iter(group.availability_zones), "")
    detail = _activity(group, "", zone, subnet_id, "Launching a new EC2 instance", why)
    detail |= {"StatusCode": "Failed", "StatusMessage": message, "Origin": "EC2"}
    detail |= {"Destination": "AutoScalingGroup"}
    return event(group.region, "aws.autoscaling", "EC2 Instance Launch Unsuccessful", [group.arn, ""], detail)


def _scaled(group: FakeAutoScalingGroup, instance: Instance, kind: str, description: str, why: str) -> Event:
    subnet_id, zone = instance.launch_subnet_id, instance.placement.zone
    ends = ("EC2", "AutoScalingGroup") if kind.startswith("Launch") else ("AutoScalingGroup", "EC2")
    detail = _activity(group, instance.id, zone, subnet_id, f"{description}: {instance.id}", why)
    detail |= {"StatusCode": "InProgress", "StatusMessage": "", "Origin": ends[0], "Destination": ends[1]}
    arn = f"arn:aws:ec2:{group.region}:{ACCOUNT}:instance/{instance.id}"
    return event(group.region, "aws.autoscaling", f"EC2 Instance {kind}", [group.arn, arn], detail)


def _activity(
    group: FakeAutoScalingGroup, instance_id: str, zone: str, subnet_id: str, description: str, why: str
) -> Event:
    moment = _now()
    return {
        "Description": description,
        "AutoScalingGroupName": group.name,
        "ActivityId": str(uuid.uuid4()),
        "Details": {"Availability Zone": zone, "Subnet ID": subnet_id},
        "RequestId": str(uuid.uuid4()),
        "EndTime": moment,
        "EC2InstanceId": instance_id,
        "StartTime": moment,
        "Cause": f"At {moment} {why}",
    }


@dataclass
class Bus:
    """Every event so far, and who wants to hear of the next."""

    events: list[Event] = field(default_factory=list)
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    undelivered: collections.deque[Event] = field(default_factory=collections.deque)
    # Beginnings of detail types whose events are lost: best effort, says AWS.
    lost: list[str] = field(default_factory=list)
    _delivering: threading.Lock = field(default_factory=threading.Lock)

    def emit(self, happened: Event) -> None:
        """Keep an event; it is delivered once the state it tells of is visible."""
        if any(happened["detail-type"].startswith(kind) for kind in self.lost):
            return
        self.events.append(happened)
        self.undelivered.append(happened)

    def deliver(self) -> None:
        """Hand each undelivered event to every listener, in order.

        Never called under the world's lock: a listener may well call AWS. What its calls set off is
        delivered after it, not inside it.
        """
        while self.undelivered and self._delivering.acquire(blocking=False):
            try:
                while self.undelivered:
                    happened = self.undelivered.popleft()
                    for listener in list(self.listeners):
                        listener(happened)
            finally:
                self._delivering.release()

    def reset(self) -> None:
        """Forget all events and listeners."""
        for kept in (self.events, self.listeners, self.undelivered, self.lost):
            kept.clear()
