"""What the model shows of an instance when its status checks are read, and when they are not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Instance

STATUSES, SUBNETS = "ec2:DescribeInstanceStatus", "ec2:DescribeSubnets"
RULES, OPTIONS = "ec2:DescribeSecurityGroupRules", "ec2:DescribeVpcs"


def checked(instance: Instance) -> Instance:
    """Return an instance as DescribeInstanceStatus shows it: what it does not list as running has no checks."""
    return instance if instance.listed else replace(unchecked(instance), listed=instance.listed)


def unchecked(instance: Instance) -> Instance:
    """Return an instance whose status checks were not read."""
    return replace(instance, checks="unknown", listed=None, impaired_since=None, events=())
