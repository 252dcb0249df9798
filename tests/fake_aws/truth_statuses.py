"""What DescribeInstanceStatus says as AWS says it: of running instances, their checks and what is scheduled for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.ec2.models.instances import Instance, InstanceBackend

from .patches import truth
from .reality import aws

if TYPE_CHECKING:
    from moto.ec2.models import EC2Backend

    from .patches import Moto, Original

_DETAILS = {"ok": "passed", "impaired": "failed"}


def _status(instance: Instance, check: str) -> dict[str, Moto]:
    if instance.state != "running":
        return {"Status": "not-applicable"}
    found = aws.checks.get(instance.id, {}).get(check)
    said = found.status if found else "ok"
    detail: dict[str, Moto] = {"Name": "reachability", "Status": _DETAILS.get(said, said)}
    if found and found.since:
        detail["ImpairedSince"] = found.since
    return {"Details": [detail], "Status": said}


@truth.attributes_of(Instance)
def instance_status(instance: Instance) -> dict[str, Moto]:
    """Return what the instance status check found."""
    return _status(instance, "instance")


@truth.attributes_of(Instance)
def system_status(instance: Instance) -> dict[str, Moto]:
    """Return what the system status check found."""
    return _status(instance, "system")


@truth.attributes_of(Instance)
def attached_ebs_status(instance: Instance) -> dict[str, Moto]:
    """Return what the check of the attached volumes found; moto has none."""
    return _status(instance, "ebs")


@truth.attributes_of(Instance)
def events(instance: Instance) -> list[dict[str, Moto]]:
    """List what AWS has scheduled; moto schedules nothing."""
    return aws.scheduled.get(instance.id, [])


@truth.around(InstanceBackend, "describe_instance_status")
def describe_status(
    original: Original,
    backend: EC2Backend,
    instance_ids: list[str],
    include_all_instances: bool,  # noqa: FBT001 - moto calls it so
    filters: list[dict[str, Moto]],
) -> list[Instance]:
    """Filter by status, which moto ignores."""
    found = original(backend, instance_ids, include_all_instances, filters)
    for wanted in filters:
        check = wanted["name"].removesuffix("-status.status")
        if check in {"instance", "system"}:
            found = [one for one in found if _status(one, check)["Status"] in wanted["values"]]
    return list(found)
