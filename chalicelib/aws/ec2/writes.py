"""Carries changes out on EC2: many at a time, the most valuable first, patient with a throttled API."""

from __future__ import annotations

import math
import random
import threading
import time
from bisect import insort
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from chalicelib.aws.errors import THROTTLED, AwsError, code_of, failure, message_of, transient
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    CreateRoute,
    DisableSourceDestCheck,
    NetworkChange,
    ReplaceRoute,
    RevokeIngress,
)
from chalicelib.core.network.report import Failure
from chalicelib.core.network.topology import DEFAULT_ROUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.aws.ec2.query import Ec2Query
    from chalicelib.aws.errors import Unanswered

PARALLEL = 16
"""Writes in flight at once."""

PACE = 0.2
"""Seconds between calls to an API once it throttles: EC2 refills 5 tokens a second per mutating API
(EC2 developer guide, "Request throttling"; buckets hold 50)."""

BUCKET = 50
"""Calls that a full bucket of one mutating API holds; fewer changes than that never wait for each other."""

LEAST = 2.0
"""Seconds that a call gets whatever is left: one that is begun should hear its answer."""

ATTEMPTS = 3
"""Tries for a write that AWS failed or never answered; throttled tries are bounded by time instead."""


class Writes:
    """Changes made on EC2 by threads that stay: a failover of ten tables spends a quarter of its writes on new ones."""

    def __init__(self, ec2: Ec2Query) -> None:
        self._ec2, self._threads = ec2, ThreadPoolExecutor(PARALLEL)

    def write(self, changes: Sequence[NetworkChange], seconds: float) -> list[Failure | None]:
        """Attempt every change in the order given; one failure, or None for done, per change.

        Each API has its own bucket at EC2, so a throttled API never holds up the changes of another.

        Args:
            changes: the most valuable first.
            seconds: how long this may take; what is not attempted by then fails with the code OutOfTime.
        """
        queue = _Queue(changes, time.monotonic() + seconds)
        others = min(PARALLEL, len(changes)) - 1
        working = [self._threads.submit(_work, self._ec2, queue) for _ in range(others)]
        _work(self._ec2, queue)
        for worker in working:
            worker.result()
        return queue.results


@dataclass(slots=True)
class _Job:
    """One change on its way; `place` is its rank in the plan."""

    place: int
    change: NetworkChange
    tries: int = 0


class _Queue:
    """The changes still to make: an API runs unpaced until it throttles, then at one call per `PACE`.

    Where an API has more changes than its bucket holds, its private default routes are answered before a lesser one
    is sent: calls in flight together reach EC2 in any order, and the last tokens are the private subnets' way out.
    """

    def __init__(self, changes: Sequence[NetworkChange], deadline: float) -> None:
        late = Failure("OutOfTime", "not attempted within the time of this run", retryable=True)
        self.results: list[Failure | None] = [late for _ in changes]
        self.deadline = deadline
        self._jobs = [_Job(place, change) for place, change in enumerate(changes)]
        crowded = {kind for kind, count in Counter(map(type, changes)).items() if count > BUCKET}
        self._ahead = {
            job.place for job in self._jobs if type(job.change) in crowded and _is_private_default(job.change)
        }
        self._awaited = Counter(type(changes[place]) for place in self._ahead)
        self._free_at: dict[type[NetworkChange], float] = {}
        self._changed = threading.Condition()

    def take(self) -> _Job | None:
        """Wait for the most valuable job whose API is free; None when none is left or time is up."""
        with self._changed:
            while self._jobs and (now := time.monotonic()) < self.deadline:
                soonest = self.deadline
                for n, job in enumerate(self._jobs):
                    free_from = self._free_from(job)
                    if free_from <= now:
                        return self._take(n, now)
                    soonest = min(soonest, free_from)
                self._changed.wait(soonest - now)
            return None

    def _take(self, n: int, now: float) -> _Job:
        job = self._jobs.pop(n)
        if type(job.change) in self._free_at:
            self._free_at[type(job.change)] = now + PACE * random.uniform(1.0, 1.1)  # noqa: S311 - jitter
        return job

    def _free_from(self, job: _Job) -> float:
        """Return from when on a job may be sent; never, while a private default route is ahead of it."""
        if self._awaited[type(job.change)] and job.place not in self._ahead:
            return math.inf
        return self._free_at.get(type(job.change), 0.0)

    def answered(self, job: _Job, result: Failure | None, *, throttled: bool = False) -> None:
        """Note what became of a try; unless it was throttled, nobody waits for the job any more."""
        with self._changed:
            self.results[job.place] = result
            if not throttled and job.place in self._ahead:
                self._ahead.remove(job.place)
                self._awaited[type(job.change)] -= 1
                self._changed.notify_all()

    def again(self, job: _Job, *, throttled: bool) -> None:
        """Put a job back in its place; a throttled API is paced from now on."""
        with self._changed:
            if throttled:
                self._free_at.setdefault(type(job.change), time.monotonic() + PACE)
            insort(self._jobs, job, key=lambda j: j.place)
            self._changed.notify()


def _is_private_default(change: NetworkChange) -> bool:
    return (
        isinstance(change, CreateRoute | ReplaceRoute)
        and change.destination == str(DEFAULT_ROUTE)
        and change.target.startswith("eni-")
    )


def _work(ec2: Ec2Query, queue: _Queue) -> None:
    while job := queue.take():
        try:
            ec2.write(*_call(job.change), seconds=max(LEAST, queue.deadline - time.monotonic()))
        except AwsError as error:
            _settle(queue, job, error)
        else:
            queue.answered(job, None)


def _settle(queue: _Queue, job: _Job, error: Unanswered) -> None:
    """Decide whether a refused write is tried again, tried as its sibling, or has failed."""
    throttled = code_of(error) in THROTTLED
    queue.answered(job, failure(error), throttled=throttled)  # stands if time runs out before the next try
    job.tries += not throttled
    if throttled or (transient(error) and job.tries < ATTEMPTS):
        queue.again(job, throttled=throttled)
    elif job.tries < ATTEMPTS and (sibling := _sibling(job.change, error)):
        job.change = sibling
        queue.again(job, throttled=False)


def _sibling(change: NetworkChange, error: Unanswered) -> NetworkChange | None:
    """Return the other way to write a route that came or went since it was observed.

    AWS answers ReplaceRoute for a missing route with InvalidParameterValue ("There is no route defined"), not with
    the documented InvalidRoute.NotFound; both are understood.
    """
    match change, code_of(error):
        case CreateRoute(table_id, destination, target, reason), "RouteAlreadyExists":
            return ReplaceRoute(table_id, destination, target, "a route made meanwhile", reason)
        case ReplaceRoute(table_id, destination, target, _, reason), "InvalidRoute.NotFound":
            return CreateRoute(table_id, destination, target, reason)
        case ReplaceRoute(table_id, destination, target, _, reason), "InvalidParameterValue":
            gone = "no route defined" in message_of(error)
            return CreateRoute(table_id, destination, target, reason) if gone else None
        case _:
            return None


def _call(change: NetworkChange) -> tuple[str, dict[str, str]]:
    """Return the one API call that makes a change, with its parameters as they go over the wire."""
    match change:
        case DisableSourceDestCheck():
            return "ModifyNetworkInterfaceAttribute", {
                "NetworkInterfaceId": change.interface_id,
                "SourceDestCheck.Value": "false",
            }
        case CreateRoute() | ReplaceRoute():
            return type(change).__name__, {
                "RouteTableId": change.table_id,
                "DestinationCidrBlock": change.destination,
                "GatewayId" if change.target.startswith("igw-") else "NetworkInterfaceId": change.target,
            }
        case AssociateAddress():
            return "AssociateAddress", {
                "AllocationId": change.allocation_id,
                "NetworkInterfaceId": change.interface_id,
                "PrivateIpAddress": change.private_address,
                "AllowReassociation": "true",
            }
        case AssociateRouteTable(association_id=str(association_id)):
            return "ReplaceRouteTableAssociation", {
                "AssociationId": association_id,
                "RouteTableId": change.table_id,
            }
        case AssociateRouteTable():
            return "AssociateRouteTable", {"RouteTableId": change.table_id, "SubnetId": change.subnet_id}
        case AssociateDhcpOptions():
            return "AssociateDhcpOptions", {"VpcId": change.vpc_id, "DhcpOptionsId": change.options_id}
        case RevokeIngress():
            # by what it allows, not by its id: a rule that somebody changed since it was seen is another one
            return "RevokeSecurityGroupIngress", {
                "GroupId": change.group_id,
                "IpPermissions.1.IpProtocol": "tcp",
                "IpPermissions.1.FromPort": "22",
                "IpPermissions.1.ToPort": "22",
                "IpPermissions.1.IpRanges.1.CidrIp": str(DEFAULT_ROUTE),
            }
        case _:
            assert_never(change)
