"""Lifecycle hooks as Auto Scaling keeps them: a terminating instance waits for them, until somebody or time ends it.

Source, unless said otherwise: EC2 Auto Scaling user guide, "How lifecycle hooks work in Auto Scaling groups" and
"Considerations and limitations for lifecycle hooks". Timeouts are looked at with every write, or by
`World.expire_hooks`. Hooks for launches are not kept, nor is the wait of an instance that EC2 terminated by itself:
there is nothing left of it that could wait.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import EmptyResult

from . import events
from .patches import truth
from .reality import aws

if TYPE_CHECKING:
    from typing import Self

    from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState, LifecycleHook

    from .patches import Moto, Original

TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


@dataclass(frozen=True)
class Wait:
    """An instance's wait for one hook; `due` is when its heartbeat timeout runs out, on the monotonic clock."""

    group: str
    hook: str
    token: str
    member: InstanceState
    due: float

    @property
    def instance_id(self) -> str:
        """Who waits."""
        return str(self.member.instance.id)


def end(group: FakeAutoScalingGroup, member: InstanceState) -> None:
    """Terminate a member of a group, at once or when its hooks are over."""
    hooks = group.autoscaling_backend.describe_lifecycle_hooks(group.name)
    waits = [_begin(group, hook, member) for hook in hooks if hook.lifecycle_transition == TERMINATING]
    if not waits:
        member.instance.terminate()


def _begin(group: FakeAutoScalingGroup, hook: LifecycleHook, member: InstanceState) -> Wait:
    member.lifecycle_state = "Terminating:Wait"
    due = time.monotonic() + hook.heartbeat_timeout
    wait = Wait(group.name, hook.name, str(uuid.uuid4()), member, due)
    aws.waits.append(wait)
    metadata = getattr(hook, "notification_metadata", None)
    aws.bus.emit(events.terminating(group, hook.name, wait.token, wait.instance_id, metadata))
    return wait


def expire(now: float) -> int:
    """End every wait whose time has come, and say how many; forget those whose instance is gone."""
    aws.waits[:] = [wait for wait in aws.waits if wait.member.instance.state != "terminated"]
    over = [wait for wait in aws.waits if wait.due <= now]
    for wait in over:
        _finish(wait)
    return len(over)


def _finish(wait: Wait, *, abandon: bool = False) -> None:
    """End one wait, or with it all others of its instance; the last one over, the instance terminates."""
    aws.waits[:] = [
        other
        for other in aws.waits
        if other is not wait and not (abandon and other.instance_id == wait.instance_id)
    ]
    if all(other.instance_id != wait.instance_id for other in aws.waits):
        wait.member.lifecycle_state = "Terminating:Proceed"
        wait.member.instance.terminate()


def complete(response: AutoScalingResponse) -> EmptyResult:
    """End a wait named by its token, else by its instance. API reference, CompleteLifecycleAction."""
    asked = {
        name: response._get_param(name)
        for name in ("AutoScalingGroupName", "LifecycleHookName", "LifecycleActionToken", "InstanceId")
    }
    result = response._get_param("LifecycleActionResult")
    if result not in {"CONTINUE", "ABANDON"}:
        raise ValidationError("Lifecycle Action Result must be one of CONTINUE, ABANDON")
    token, instance_id = asked["LifecycleActionToken"], asked["InstanceId"]
    place = (asked["AutoScalingGroupName"], asked["LifecycleHookName"])
    for wait in aws.waits:
        named = wait.token == token if token else wait.instance_id == instance_id
        if (wait.group, wait.hook) == place and named:
            _finish(wait, abandon=result == "ABANDON")
            return EmptyResult()
    what = f"token {token}" if token else f"instance ID {instance_id}"
    raise ValidationError(f"No active Lifecycle Action found with {what}")


truth.attribute(AutoScalingResponse, "complete_lifecycle_action", complete)


@truth.around(AutoScalingResponse, "put_lifecycle_hook")
def put(original: Original, response: AutoScalingResponse) -> Moto:
    """Keep a hook of a group that exists, with its metadata. API reference, PutLifecycleHook."""
    backend, group = response.autoscaling_backend, response._get_param("AutoScalingGroupName")
    timeout = response._get_int_param("HeartbeatTimeout")
    if group not in backend.autoscaling_groups:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup {group} not found")
    if timeout is not None and not 30 <= timeout <= 7200:
        raise ValidationError("Heartbeat timeout must be between 30 and 7200 seconds")
    result = original(response)
    (hook,) = backend.describe_lifecycle_hooks(group, [response._get_param("LifecycleHookName")])
    hook.notification_metadata = response._get_param("NotificationMetadata")
    return result


@truth.around(AutoScalingBackend, "delete_lifecycle_hook")
def delete(original: Original, backend: AutoScalingBackend, as_name: str, name: str) -> None:
    """Complete the actions under way first: a terminating instance goes on. API reference, DeleteLifecycleHook."""
    original(backend, as_name, name)
    for wait in [one for one in aws.waits if (one.group, one.hook) == (as_name, name)]:
        _finish(wait)


class LifecycleHookOfStack:
    """AWS::AutoScaling::LifecycleHook, for moto's stack maker."""

    def __init__(self, backend: AutoScalingBackend, group: str, name: str) -> None:
        self._backend, self._group, self.physical_resource_id = backend, group, name

    def is_created(self) -> bool:
        """Return whether it exists: made is made."""
        return True

    @classmethod
    def create_from_cloudformation_json(
        cls, name: str, template: dict[str, Any], account_id: str, region: str, **_: object
    ) -> Self:
        """Put the hook on its group."""
        properties = template["Properties"]
        backend, group = autoscaling_backends[account_id][region], properties["AutoScalingGroupName"]
        name = properties.get("LifecycleHookName", name)
        timeout = int(properties["HeartbeatTimeout"]) if "HeartbeatTimeout" in properties else None
        hook = backend.create_lifecycle_hook(
            name, group, properties["LifecycleTransition"], timeout, properties.get("DefaultResult")
        )
        hook.notification_metadata = properties.get("NotificationMetadata")
        return cls(backend, group, name)

    def delete(self, _account_id: str, _region: str) -> None:
        """Take the hook away, as a stack's end does before it ends the group."""
        self._backend.delete_lifecycle_hook(self._group, self.physical_resource_id)
