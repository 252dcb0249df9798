"""EC2 as it was: a copy of moto's backend, and how to let it answer in the present one's place."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING

from moto.ec2.models import ec2_backends

from .reality import aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto.ec2.models import EC2Backend

    from .patches import Moto


def snapshot() -> EC2Backend:
    """Copy the region's EC2, all but what only a launch needs."""
    backend = ec2_backends[aws.account_id][aws.region]
    shared: list[Moto] = [
        subnet._subnet_ip_generator for zone in backend.subnets.values() for subnet in zone.values()
    ]
    shared += [getattr(instance, "autoscaling_group", None) for instance in backend.all_instances()]
    return copy.deepcopy(backend, {id(thing): thing for thing in shared})


@contextlib.contextmanager
def answering(past: EC2Backend | None) -> Iterator[None]:
    """Let the past answer for the duration of the block; None leaves the present in place."""
    if past is None:
        yield
        return
    regions = ec2_backends[aws.account_id]
    present = regions[aws.region]
    regions[aws.region] = past
    try:
        yield
    finally:
        regions[aws.region] = present
