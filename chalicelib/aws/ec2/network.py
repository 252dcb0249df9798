"""Observes the VPC in one parallel round: what every decision needs is read whole, the rest as far as it can be."""

from __future__ import annotations

import math
import time
from concurrent.futures import FIRST_EXCEPTION, wait
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from chalicelib.aws.answers import listing, tags, text
from chalicelib.aws.ec2.items import Items, elastic_ip, groups_of, ingress, subnet
from chalicelib.aws.ec2.query import PAGE, filters
from chalicelib.aws.ec2.statuses import Statuses, statuses
from chalicelib.aws.errors import AwsError, MalformedAnswer, blind, code_of, message_of
from chalicelib.core.errors import ObservationError
from chalicelib.core.messages.concern import Whereabouts
from chalicelib.core.network.observation import Observation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future
    from typing import TypeAlias

    from chalicelib.aws.answers import Raw
    from chalicelib.aws.ec2.query import Ec2Query
    from chalicelib.aws.ec2.writes import Writes
    from chalicelib.core.network.change import NetworkChange
    from chalicelib.core.network.observation import Instance
    from chalicelib.core.network.report import Failure
    from chalicelib.core.network.topology import Topology

    Answers: TypeAlias = dict[str, Future[list[Raw]]]

FILTER_VALUES = 200
"""The most values that EC2 takes in one filter."""

GRACE = 1.0
"""Seconds that a look waits for the rest once it has what every decision needs: one retry of a throttled call."""

_TABLES, _INSTANCES, _ADDRESSES = "ec2:DescribeRouteTables", "ec2:DescribeInstances", "ec2:DescribeAddresses"
_STATUSES, _SUBNETS = "ec2:DescribeInstanceStatus", "ec2:DescribeSubnets"
_RULES, _VPCS = "ec2:DescribeSecurityGroupRules", "ec2:DescribeVpcs"


class Ec2Network:
    """The controller's network port on EC2; implements `ports.Network`.

    Without `writes` it is there to be looked at. `executor` must start at once what it is given, whatever else still hangs:
    see `threads.Threads`.
    """

    def __init__(self, ec2: Ec2Query, executor: Executor, writes: Writes | None = None) -> None:
        self._ec2, self._executor, self._writes = ec2, executor, writes

    def observe(self, topology: Topology, seconds: float = 20.0) -> Observation:
        """Read the network: five calls at once, one more each for a managed group and for DHCP options, and where AWS pages.

        Raises:
            ObservationError: naming each of DescribeRouteTables, DescribeInstances and DescribeAddresses that failed, with
                AWS's code, or was not answered within `seconds`.
        """
        taken_at, deadline = datetime.now(UTC), time.monotonic() + seconds
        essential, others = self._essential(topology, seconds), self._others(topology, seconds)
        _require(essential, deadline)
        # Every VPC has a main table, so none means no such VPC; DescribeVpcs would say so less clearly.
        if not essential[_TABLES].result():
            raise ObservationError(
                f"{topology.vpc_id} is not in this account and region",
                hint="check --region and --profile, and vpc.id in the topology",
            )
        wait(others.values(), timeout=min(GRACE, _left(deadline)))
        unread = {api: why for api, answer in others.items() if (why := _why_not(answer))}
        read = {api: answer.result() for api, answer in (essential | others).items() if api not in unread}
        return _understood(topology, taken_at, read, unread)

    def instance(self, instance_id: str, seconds: float = 20.0) -> Instance | None:
        """Look for one instance by its id, wherever it is and if it has ended; None when EC2 knows none of that id.

        Its status checks are not read.

        Raises:
            ObservationError: EC2 did not answer within `seconds`, or with what cannot be understood.
        """
        answer = self._executor.submit(
            self._instances, filters({"instance-id": [instance_id]}) | PAGE, seconds
        )
        wait([answer], timeout=seconds)
        if (error := _failure(answer)) is None:
            items = Items(Statuses())
            found = items.each("instance", "InstanceId", answer.result(), items.instance)
            ours = next((instance for instance in found if instance.id == instance_id), None)
            if ours or not items.skipped:
                return ours
            error = MalformedAnswer(f"{instance_id} cannot be read: {items.skipped[0].why}")
        if code_of(error).startswith("InvalidInstanceID"):
            return None
        raise blind(_INSTANCES, error) from error

    def apply(self, changes: Sequence[NetworkChange], seconds: float) -> list[Failure | None]:
        """Attempt every change, most valuable first, many at a time; see `Writes.write`."""
        if self._writes is None:
            raise TypeError("this network was opened to look at it only")
        return self._writes.write(changes, seconds)

    def locate(self, mentioned: Collection[str]) -> dict[str, Whereabouts]:
        """Find instances, interfaces, route tables and public addresses, with one call for each kind that is mentioned.

        What EC2 knows none of is left out; so is, of each kind, what is beyond the first `FILTER_VALUES`.

        Raises:
            ObservationError: EC2 did not answer.
        """
        try:
            return dict(self._located(mentioned))
        except AwsError as error:
            raise blind(f"looking for {', '.join(sorted(mentioned)[:3])}", error) from error

    def _located(self, mentioned: Collection[str]) -> Iterator[tuple[str, Whereabouts]]:
        """Look with filters: a list of ids would fail as a whole for one that is gone."""
        for id_key, raw in self._mentioned(mentioned):
            if resource_id := text(raw, id_key):
                yield resource_id, _whereabouts(id_key, raw)

    def _mentioned(self, ids: Collection[str]) -> Iterator[tuple[str, Raw]]:
        """List what is mentioned, each with the member that names it."""
        read = self._ec2.read
        if chosen := _chosen("instance-id", ids, "i-"):
            yield from (("InstanceId", raw) for raw in self._instances(chosen))
        if chosen := _chosen("network-interface-id", ids, "eni-"):
            interfaces = read("DescribeNetworkInterfaces", "NetworkInterfaces", chosen)
            yield from (("NetworkInterfaceId", raw) for raw in interfaces)
        if chosen := _chosen("route-table-id", ids, "rtb-"):
            tables = read("DescribeRouteTables", "RouteTables", chosen)
            yield from (("RouteTableId", raw) for raw in tables)
        if chosen := _chosen("public-ip", ids, tuple("0123456789")):
            addresses = read("DescribeAddresses", "Addresses", chosen)
            yield from (("PublicIp", raw) for raw in addresses)

    # -- what a look asks for ----------------------------------------------------------------------------

    def _essential(self, topology: Topology, seconds: float) -> Answers:
        """Ask for what every decision needs: no pin can be moved without any of it."""
        within = filters({"vpc-id": [topology.vpc_id]})
        return {
            # no larger page than the default: a VPC has at most 200 tables (quota) and a page only 100
            _TABLES: self._ask("DescribeRouteTables", "RouteTables", within, seconds),
            _INSTANCES: self._executor.submit(self._instances, within | PAGE, seconds),
            # the region's: a foreign one may sit where the declared one belongs
            _ADDRESSES: self._ask("DescribeAddresses", "Addresses", {}, seconds),
        }

    def _others(self, topology: Topology, seconds: float) -> Answers:
        """Ask for what only some decisions need, and for nothing that nobody decides about."""
        within = filters({"vpc-id": [topology.vpc_id]})
        asked: Answers = {
            # the region's running instances: the API filters by no VPC and no tag
            _STATUSES: self._ask("DescribeInstanceStatus", "InstanceStatuses", PAGE, seconds),
            _SUBNETS: self._ask("DescribeSubnets", "Subnets", within | PAGE, seconds),
        }
        if topology.ssh != "unmanaged" and topology.security_group is not None:
            # both ways: of a group that does not exist, EC2 lists none
            chosen = filters({"group-id": [topology.security_group]}) | PAGE
            asked[_RULES] = self._ask("DescribeSecurityGroupRules", "SecurityGroupRules", chosen, seconds)
        if topology.dhcp_options is not None:
            asked[_VPCS] = self._executor.submit(self._vpc, topology.vpc_id, seconds)
        return asked

    def _ask(self, operation: str, key: str, params: Mapping[str, str], seconds: float) -> Future[list[Raw]]:
        return self._executor.submit(self._ec2.read, operation, key, params, seconds)

    def _instances(self, params: Mapping[str, str], seconds: float = math.inf) -> list[Raw]:
        reservations = self._ec2.read("DescribeInstances", "Reservations", params, seconds)
        return [instance for reservation in reservations for instance in listing(reservation, "Instances")]

    def _vpc(self, vpc_id: str, seconds: float) -> list[Raw]:
        """Read which DHCP options the VPC has; one without any has those called `default`."""
        vpcs = self._ec2.read("DescribeVpcs", "Vpcs", {"VpcId.1": vpc_id}, seconds)
        if not vpcs or text(vpcs[0], "DhcpOptionsId") is None:
            raise MalformedAnswer(f"it does not say which DHCP options {vpc_id} has")
        return vpcs


def _understood(
    topology: Topology, taken_at: datetime, read: Mapping[str, list[Raw]], unread: dict[str, str]
) -> Observation:
    """Understand what was read, item by item."""
    items = Items(statuses(read[_STATUSES]) if _STATUSES in read else Statuses())
    rules, instances = read.get(_RULES, []), read[_INSTANCES]
    seen = Observation(
        taken_at=taken_at,
        tables=items.each("route-table", "RouteTableId", read[_TABLES], items.route_table),
        instances=items.each("instance", "InstanceId", instances, items.instance),
        elastic_ips=items.each("elastic-ip", "AllocationId", read[_ADDRESSES], elastic_ip),
        ingress=items.each("security-group-rule", "SecurityGroupRuleId", rules, ingress),
        dhcp_options=next((text(vpc, "DhcpOptionsId") for vpc in read.get(_VPCS, ())), None),
        # what could not be looked for is not missing
        group_seen=_RULES in unread or bool(rules) or topology.security_group in groups_of(instances),
        subnets=items.each("subnet", "SubnetId", read[_SUBNETS], subnet) if _SUBNETS in read else None,
        unread=unread,
    )
    return replace(seen, skipped=tuple(items.skipped))


def _whereabouts(id_key: str, raw: Raw) -> Whereabouts:
    match id_key:
        case "InstanceId":
            return Whereabouts(text(raw, "VpcId"), tags(raw))
        case "PublicIp":
            return Whereabouts(allocation_id=text(raw, "AllocationId"))
        case _:
            return Whereabouts(text(raw, "VpcId"))


def _chosen(name: str, mentioned: Collection[str], start: str | tuple[str, ...]) -> dict[str, str]:
    """Make the filter for all that starts so, none where nothing does."""
    values = sorted(one for one in mentioned if one.startswith(start))[:FILTER_VALUES]
    return filters({name: values}) if values else {}


def _left(deadline: float) -> float:
    """Return the seconds until a moment of the monotonic clock."""
    return max(0.0, deadline - time.monotonic())


def _failure(answer: Future[list[Raw]]) -> BaseException | None:
    """Return why there is no answer by now; botocore raises of its own whatever an answer that is no AWS's makes it trip over."""
    return answer.exception() if answer.done() else _no_answer()


def _no_answer() -> TimeoutError:
    return TimeoutError("no answer in time")


def _why_not(answer: Future[list[Raw]]) -> str | None:
    """Return why there is no answer by now, with AWS's code."""
    error = _failure(answer)
    return None if error is None else f"{code_of(error)}: {message_of(error)}"


def _require(answers: Answers, deadline: float) -> None:
    """Wait until all are there; when one has failed, only a moment for the others, to name all that fail together.

    Raises:
        ObservationError: tells of every one that failed or is not there in time.
    """
    _, late = wait(answers.values(), timeout=_left(deadline), return_when=FIRST_EXCEPTION)
    wait(late, timeout=min(GRACE, _left(deadline)))
    errors = [blind(api, error) for api, answer in answers.items() if (error := _failure(answer))]
    if errors:
        first = errors[0]
        message = "; ".join(error.message for error in errors)
        raise ObservationError(message, hint=first.hint, aws_code=first.aws_code) from first.__cause__
