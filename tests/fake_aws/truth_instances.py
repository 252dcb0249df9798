"""Instances as AWS keeps them: their states, what a terminated one still shows, and their status checks."""

from __future__ import annotations

import copy
import functools
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError, InvalidInstanceIdError
from moto.ec2.models.instances import Instance, InstanceState
from moto.ec2.responses.instances import InstanceResponse

from . import events
from .patches import truth
from .reality import aws

if TYPE_CHECKING:
    from collections.abc import Callable

    from .patches import Moto, Original

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


# -- states ----------------------------------------------------------------------------------------------


def _enter(instance: Instance, state: str) -> None:
    instance._state = InstanceState(state, CODES[state])
    aws.bus.emit(events.state_change(aws.region, instance.id, state))


def _pass(instance: Instance, through: str, to: str, work: Callable[[], object]) -> InstanceState:
    """Send an instance through a transitional state; `work` is done when it arrives."""
    before = copy.copy(instance._state)
    _enter(instance, through)

    def arrive() -> None:
        work()
        _enter(instance, to)
        group = getattr(instance, "autoscaling_group", None)
        if group is not None and to == "terminated":
            aws.bus.emit(events.terminated(group, instance))
        if group is not None and to == "running" and before.name == "pending":
            aws.bus.emit(events.launched(group, instance))

    aws.transitions.begin(instance.id, arrive)
    return before


@truth.around(Instance, "__init__")
def launch(original: Original, instance: Instance, *args: Moto, **kwargs: Moto) -> None:
    """Start a new instance as `pending`, with its primary interface's zone and security groups."""
    instance.launch_subnet_id = None
    original(instance, *args, **kwargs)
    primary = instance.nics.get(0)
    if primary is not None:
        instance._placement.zone = primary.availability_zone
        instance.security_groups = list(primary.group_set)
        instance.launch_subnet_id = primary.subnet_id
    instance._state = InstanceState("pending", 0)
    _pass(instance, "pending", "running", lambda: None)


@truth.around(Instance, "start")
def start(original: Original, instance: Instance) -> InstanceState:
    """Start a stopped instance; one that runs stays as it is, any other cannot be started."""
    if instance.state in {"pending", "running"}:
        return copy.copy(instance._state)
    if instance.state != "stopped":
        text = f"The instance '{instance.id}' is not in a state from which it can be started."
        raise EC2ClientError("IncorrectInstanceState", text)
    # Instance, LaunchTime: "the time that the instance was last launched". It has whole seconds, and no instance is
    # stopped and started within one: neither must it look so here.
    instance.launch_time = max(utcnow(), instance.launch_time + timedelta(seconds=1))
    return _pass(instance, "pending", "running", functools.partial(original, instance))


@truth.around(Instance, "stop")
def stop(original: Original, instance: Instance) -> InstanceState:
    """Stop a running instance; a pending one never ran, and a terminated one never will."""
    if instance.state in {"stopping", "stopped"}:
        return copy.copy(instance._state)
    if instance.state == "pending":
        text = f"Instance '{instance.id}' cannot be stopped as it has never reached the 'running' state."
        raise EC2ClientError("IncorrectInstanceState", text)
    if instance.state != "running":
        text = f"This instance '{instance.id}' is not in a state from which it can be stopped."
        raise EC2ClientError("IncorrectInstanceState", text)
    return _pass(instance, "stopping", "stopped", functools.partial(original, instance))


@truth.around(Instance, "terminate")
def terminate(original: Original, instance: Instance) -> InstanceState:
    """Terminate any instance; interfaces that outlive it become available again."""
    if instance.state in {"shutting-down", "terminated"}:
        return copy.copy(instance._state)

    def end() -> None:
        original(instance)
        for nic in list(instance.nics.values()):
            if nic.id in nic.ec2_backend.enis:
                instance.detach_eni(nic)
        instance.nics.clear()
        instance.security_groups = []

    return _pass(instance, "shutting-down", "terminated", end)


def _with_states(key: str, original: Original, response: InstanceResponse) -> Moto:
    """Tell each instance's real current state in the reply; moto says the transitional one always."""
    result = original(response)
    for change in result.result[key]:
        state = response.ec2_backend.get_instance(change["InstanceId"])._state
        change["CurrentState"] = {"Code": state.code, "Name": state.name}
    return result


for _name, _key in (
    ("start_instances", "StartingInstances"),
    ("stop_instances", "StoppingInstances"),
    ("terminate_instances", "TerminatingInstances"),
):
    truth.around(InstanceResponse, _name)(functools.partial(_with_states, _key))


# -- what a terminated instance shows --------------------------------------------------------------------


def _until_terminated(name: str, gone: object) -> None:
    """Let an attribute be read from the primary interface only while there is one."""
    compute = getattr(Instance, name).fget

    def read(instance: Instance) -> Moto:
        if instance.state == "terminated" or 0 not in instance.nics:
            return gone
        return compute(instance)

    truth.attribute(Instance, name, property(read))


for _name in ("private_ip", "private_ip_address", "public_ip", "public_ip_address"):
    _until_terminated(_name, None)
for _name in ("private_dns_name", "public_dns_name"):
    _until_terminated(_name, "")


_subnet_id = Instance.subnet_id.fget


@truth.attributes_of(Instance)
def subnet_id(instance: Instance) -> str | None:
    """Name the subnet, and by it the VPC, until the instance is terminated."""
    return None if instance.state == "terminated" else _subnet_id(instance)


# -- source/dest check: one thing, on the primary interface ----------------------------------------------


def _get_check(instance: Instance) -> bool:
    nic = getattr(instance, "nics", {}).get(0)
    return bool(nic.source_dest_check) if nic else True


def _set_check(instance: Instance, value: bool | str) -> None:  # noqa: FBT001 - moto calls it so
    nics = getattr(instance, "nics", {})
    if len(nics) > 1:
        text = (
            f"There are multiple interfaces attached to instance '{instance.id}'. "
            "Please specify an interface ID for the operation instead."
        )
        raise EC2ClientError("InvalidInstanceID", text)
    for nic in nics.values():
        nic.source_dest_check = str(value).lower() == "true"


truth.attribute(Instance, "source_dest_check", property(_get_check, _set_check))


# -- ids -------------------------------------------------------------------------------------------------


@truth.around(InvalidInstanceIdError, "__init__")
def unknown_instance(original: Original, error: InvalidInstanceIdError, instance_id: str | list[str]) -> None:
    """Tell a malformed id from an unknown one."""
    original(error, instance_id)
    asked = [instance_id] if isinstance(instance_id, str) else instance_id
    malformed = [one for one in asked if not re.fullmatch(r"i-([0-9a-f]{8}|[0-9a-f]{17})", str(one))]
    if malformed:
        error.code, error.message = "InvalidInstanceID.Malformed", f'Invalid id: "{malformed[0]}"'
