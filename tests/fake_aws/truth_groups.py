"""Auto Scaling groups as AWS keeps them: they look at their instances, replace the lost and say so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from moto.autoscaling.models import (
    ASG_NAME_TAG,
    AutoScalingBackend,
    FakeAutoScalingGroup,
    InstanceState,
    TerminateInstanceActivity,
    autoscaling_backends,
)
from moto.core.exceptions import ServiceException

from . import events, truth_hooks
from .patches import truth
from .reality import aws

if TYPE_CHECKING:
    from .patches import Moto, Original


def look() -> None:
    """Have every group drop what is terminated, terminate what is unhealthy and launch what is missing.

    A group ends an instance that is stopped or said to be unhealthy; failing status checks, which AWS
    acts on after some minutes, are left alone here: `SetInstanceHealth` is the way to say so at once.
    """
    truth_hooks.expire(time.monotonic())
    regions = dict.get(autoscaling_backends, aws.account_id, {})
    backend = dict.get(regions, aws.region)
    for group in list(backend.autoscaling_groups.values()) if backend else []:
        _heal(group)


def _heal(group: FakeAutoScalingGroup) -> None:
    off = set(group._suspended_processes)
    group.instance_states = [one for one in group.instance_states if one.instance.state != "terminated"]
    if not off & {"HealthCheck", "ReplaceUnhealthy", "Terminate"}:
        for one in group.active_instances():
            if one.instance.state in {"stopping", "stopped"} or one.health_status == "Unhealthy":
                truth_hooks.end(group, one)
    missing = (group.desired_capacity or 0) - len(group.active_instances())
    if missing > 0 and "Launch" not in off:
        group.replace_autoscaling_group_instances(missing, group.get_propagated_tags())


@truth.around(FakeAutoScalingGroup, "replace_autoscaling_group_instances")
def launch(original: Original, group: FakeAutoScalingGroup, count_needed: int, tags: dict[str, str]) -> None:
    """Launch from the group's version of its template, each in the subnet with the fewest instances."""
    if not group.ec2_launch_template:
        original(group, count_needed, tags)
        return
    for _ in range(count_needed):
        subnet_id = _emptiest(group)
        try:
            _launch_one(group, subnet_id, tags)
        except ServiceException as refusal:
            if getattr(group, "last_refusal", None) != refusal.message:
                group.last_refusal = refusal.message  # said once, tried again at every look
                aws.bus.emit(events.launch_refused(group, subnet_id or "", refusal.message))
            return
        group.last_refusal = None


def _emptiest(group: FakeAutoScalingGroup) -> str | None:
    subnets = [one.strip() for one in (group.vpc_zone_identifier or "").split(",") if one.strip()]
    held = [one.instance.launch_subnet_id for one in group.instance_states]
    return min(subnets, key=held.count, default=None)


def _launch_one(group: FakeAutoScalingGroup, subnet_id: str | None, tags: dict[str, str]) -> None:
    version = group.ec2_launch_template.get_version(group.launch_template_version)
    nics = [dict(spec) for spec in version.data.get("NetworkInterfaces") or []]
    for spec in nics:
        if "NetworkInterfaceId" not in spec and subnet_id:
            spec["SubnetId"] = subnet_id
    reservation = group.ec2_backend.run_instances(
        version.image_id,
        1,
        version.user_data,
        version.security_groups,
        instance_type=version.instance_type,
        is_instance_type_default=False,
        region_name=aws.region,
        # A group's tag overrides the same tag of the template.
        tags={"instance": {**version.instance_tags, **tags, ASG_NAME_TAG: group.name}},
        launch_template={"LaunchTemplateId": group.ec2_launch_template.id, "Version": version.number},
        nics=nics,
        associate_public_ip=None,
        subnet_id=None if nics else subnet_id,
    )
    for instance in reservation.instances:
        instance.autoscaling_group = group
        state = InstanceState(instance, protected_from_scale_in=group.new_instances_protected_from_scale_in)
        group.instance_states.append(state)


@truth.around(AutoScalingBackend, "notify_terminate_instances")
def notice(original: Original, backend: AutoScalingBackend, instance_ids: list[str]) -> None:
    """Do nothing yet: the group replaces an instance once it is terminated and its interface is free."""


@truth.around(AutoScalingBackend, "detach_instances")
def detach(original: Original, backend: AutoScalingBackend, name: str, ids: list[str], fewer: Moto) -> Moto:
    """Forget the group of an instance that left it."""
    activities = original(backend, name, ids, fewer)
    for instance_id in ids:
        backend.ec2_backend.get_instance(instance_id).autoscaling_group = None
    return activities


@truth.around(AutoScalingBackend, "terminate_instance")
def terminate(original: Original, backend: AutoScalingBackend, instance_id: str, fewer: Moto) -> Moto:
    """Terminate an instance of a group without launching its successor before its end."""
    instance = backend.ec2_backend.get_instance(instance_id)
    group = instance.autoscaling_group
    before = group.desired_capacity
    if fewer:
        group.desired_capacity -= 1
    (member,) = (one for one in group.instance_states if one.instance is instance)
    truth_hooks.end(group, member)
    return TerminateInstanceActivity(instance, before)


@truth.around(FakeAutoScalingGroup, "set_desired_capacity")
def resize(original: Original, group: FakeAutoScalingGroup, new_capacity: int | None) -> None:
    """Let the surplus members end when their hooks are over; moto ends them at once."""
    wanted = group.min_size if new_capacity is None else new_capacity
    free = [one for one in group.active_instances() if not one.protected_from_scale_in]
    surplus = len(group.active_instances()) - wanted
    if surplus <= 0:
        original(group, new_capacity)
        return
    group.desired_capacity = wanted
    for member in free[:surplus]:
        truth_hooks.end(group, member)


@truth.around(AutoScalingBackend, "delete_auto_scaling_group")
def delete(original: Original, backend: AutoScalingBackend, group_name: str) -> None:
    """End every member of a deleted group at once: no hook is waited for."""
    for hook in backend.describe_lifecycle_hooks(group_name):
        backend.delete_lifecycle_hook(group_name, hook.name)
    original(backend, group_name)
