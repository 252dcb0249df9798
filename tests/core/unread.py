"""What the model shows when a reading fails that no pin needs, and what no look reads at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.core.observation import Instance
    from chalicelib.core.topology import Topology

STATUSES, SUBNETS = "ec2:DescribeInstanceStatus", "ec2:DescribeSubnets"
RULES, OPTIONS = "ec2:DescribeSecurityGroupRules", "ec2:DescribeVpcs"


def is_asked(api: str, topology: Topology) -> bool:
    """Say whether a look makes a call: what nobody decides about is not read."""
    return {OPTIONS: topology.dhcp_options is not None, RULES: topology.ssh != "unmanaged"}.get(api, True)


def checked(instance: Instance) -> Instance:
    """Give an instance as DescribeInstanceStatus shows it: what it does not list as running has no checks."""
    return instance if instance.listed else replace(unchecked(instance), listed=instance.listed)


def unchecked(instance: Instance) -> Instance:
    """Give an instance whose status checks were not read."""
    return replace(instance, checks="unknown", listed=None, impaired_since=None, events=())
