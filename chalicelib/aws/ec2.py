"""Observes the VPC in one parallel round; a partial reading is an error, never an emptier network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from chalicelib.aws.errors import AwsError, blind, code_of
from chalicelib.core.errors import ObservationError
from chalicelib.core.observation import (
    ElasticIp,
    IngressRule,
    Instance,
    Interface,
    Observation,
    Route,
    RouteTable,
)
from chalicelib.core.wake import Whereabouts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import (
        FilterTypeDef,
        InstanceNetworkInterfaceTypeDef,
        InstanceStatusTypeDef,
        InstanceTypeDef,
        PaginatorConfigTypeDef,
        RouteTableTypeDef,
        RouteTypeDef,
        SecurityGroupRuleTypeDef,
        TagTypeDef,
    )

    from chalicelib.aws.writes import Writes
    from chalicelib.core.change import NetworkChange
    from chalicelib.core.report import Failure
    from chalicelib.core.topology import Topology

_T = TypeVar("_T")

PAGE: PaginatorConfigTypeDef = {"PageSize": 1000}
"""The largest page of DescribeInstances, DescribeInstanceStatus and DescribeSecurityGroupRules."""

_TARGETS = (
    "GatewayId",
    "NetworkInterfaceId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
    "OdbNetworkArn",
    "InstanceId",
)
_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")


class Ec2Network:
    """The controller's network port on EC2; implements `controller.Network`.

    `reads` retries by itself; `writes` does not, since the order of retried writes is decided here. Without `writes` it
    is there to be looked at.
    """

    def __init__(self, reads: EC2Client, writes: Writes | None = None) -> None:
        self._reads, self._writes = reads, writes

    def observe(self, topology: Topology, seconds: float = 20.0) -> Observation:
        """Read the whole network: five calls at once (six with DHCP options), more only where AWS pages.

        Raises:
            ObservationError: naming every call that failed, with AWS's code.
        """
        taken_at = datetime.now(UTC)
        with ThreadPoolExecutor(max_workers=6) as pool:
            tables = pool.submit(_reading, "ec2:DescribeRouteTables", self._route_tables, topology)
            instances = pool.submit(_reading, "ec2:DescribeInstances", self._instances, topology)
            statuses = pool.submit(_reading, "ec2:DescribeInstanceStatus", self._statuses, topology)
            elastic_ips = pool.submit(_reading, "ec2:DescribeAddresses", self._elastic_ips, topology)
            rules = pool.submit(_reading, "ec2:DescribeSecurityGroupRules", self._rules, topology)
            options = pool.submit(_reading, "ec2:DescribeVpcs", self._dhcp_options, topology)
        # Every VPC has a main table, so none means no such VPC; DescribeVpcs would say so less clearly.
        if not tables.exception() and not tables.result():
            raise ObservationError(
                f"{topology.vpc_id} is not in this account and region",
                hint="check --region and --profile, and vpc.id in the topology",
            )
        _raise_together(tables, instances, statuses, elastic_ips, rules, options)
        return Observation(
            taken_at=taken_at,
            tables=tuple(map(_route_table, tables.result())),
            instances=tuple(_instance(raw, statuses.result()) for raw in instances.result()),
            elastic_ips=elastic_ips.result(),
            ingress=tuple(_ingress(rule) for rule in rules.result() if not rule["IsEgress"]),
            dhcp_options=options.result(),
            group_seen=bool(rules.result()) or _on_some_interface(topology, instances.result()),
        )

    def instance(self, instance_id: str, seconds: float = 20.0) -> Instance | None:
        """Look for one instance by its id, wherever it is and if it has ended; None when EC2 knows none of that id.

        Raises:
            ObservationError: EC2 did not answer.
        """
        try:
            reservations = self._reads.describe_instances(InstanceIds=[instance_id])["Reservations"]
        except AwsError as error:
            if code_of(error).startswith("InvalidInstanceID"):
                return None
            raise blind("ec2:DescribeInstances", error) from error
        return next((_instance(raw, {}) for r in reservations for raw in r["Instances"]), None)

    def apply(self, changes: Sequence[NetworkChange], seconds: float) -> list[Failure | None]:
        """Attempt every change, most valuable first, many at a time; see `Writes.write`."""
        if self._writes is None:
            raise TypeError("this network was opened to look at it only")
        return self._writes.write(changes, seconds)

    def locate(self, resource_id: str) -> Whereabouts | None:
        """Find one instance, interface or route table with one call; None when AWS knows none of that id.

        Raises:
            ObservationError: AWS did not answer.
        """
        try:
            return self._locate(resource_id)
        except AwsError as error:
            if code_of(error).endswith((".NotFound", ".Malformed")):
                return None
            raise blind(f"looking for {resource_id}", error) from error

    def _locate(self, resource_id: str) -> Whereabouts | None:
        match resource_id.partition("-")[0]:
            case "i":
                reservations = self._reads.describe_instances(InstanceIds=[resource_id])["Reservations"]
                found = [i for reservation in reservations for i in reservation["Instances"]]
                return Whereabouts(found[0].get("VpcId"), _tags(found[0].get("Tags", []))) if found else None
            case "eni":
                interfaces = self._reads.describe_network_interfaces(NetworkInterfaceIds=[resource_id])
                return Whereabouts(interfaces["NetworkInterfaces"][0].get("VpcId"))
            case "rtb":
                tables = self._reads.describe_route_tables(RouteTableIds=[resource_id])
                return Whereabouts(tables["RouteTables"][0].get("VpcId"))
            case _:
                return None

    def _route_tables(self, topology: Topology) -> list[RouteTableTypeDef]:
        """List the VPC's tables; unpaged, since a VPC has at most 200 (quota) and a page only 100."""
        pages = self._reads.get_paginator("describe_route_tables").paginate(Filters=_in_vpc(topology))
        return [table for page in pages for table in page["RouteTables"]]

    def _instances(self, topology: Topology) -> list[InstanceTypeDef]:
        paginator = self._reads.get_paginator("describe_instances")
        pages = paginator.paginate(Filters=_in_vpc(topology), PaginationConfig=PAGE)
        return [i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]]

    def _statuses(self, _: Topology) -> dict[str, str]:
        """Read the status checks of the region's running instances: the API filters by no VPC and no tag."""
        pages = self._reads.get_paginator("describe_instance_status").paginate(PaginationConfig=PAGE)
        return {s["InstanceId"]: _checks(s) for page in pages for s in page["InstanceStatuses"]}

    def _elastic_ips(self, _: Topology) -> tuple[ElasticIp, ...]:
        """Read all of the region's: a foreign one may sit where the declared one belongs."""
        return tuple(
            ElasticIp(
                raw["AllocationId"],
                raw["PublicIp"],
                raw.get("NetworkInterfaceId"),
                raw.get("PrivateIpAddress"),
                _tags(raw.get("Tags", [])),
            )
            for raw in self._reads.describe_addresses()["Addresses"]
        )

    def _rules(self, topology: Topology) -> list[SecurityGroupRuleTypeDef]:
        """List the rules of the router's group, both ways: of one that does not exist, EC2 lists none."""
        if topology.ssh == "unmanaged" or topology.security_group is None:
            return []
        pages = self._reads.get_paginator("describe_security_group_rules").paginate(
            Filters=[{"Name": "group-id", "Values": [topology.security_group]}], PaginationConfig=PAGE
        )
        return [rule for page in pages for rule in page["SecurityGroupRules"]]

    def _dhcp_options(self, topology: Topology) -> str | None:
        if topology.dhcp_options is None:
            return None
        vpcs = self._reads.describe_vpcs(VpcIds=[topology.vpc_id])["Vpcs"]
        return vpcs[0].get("DhcpOptionsId") if vpcs else None


def _in_vpc(topology: Topology) -> list[FilterTypeDef]:
    return [{"Name": "vpc-id", "Values": [topology.vpc_id]}]


def _reading(doing: str, read: Callable[[Topology], _T], topology: Topology) -> _T:
    try:
        return read(topology)
    except AwsError as error:
        raise blind(doing, error) from error


def _raise_together(*readings: Future[Any]) -> None:
    """Raise one error that tells of every reading that failed."""
    errors = [error for reading in readings if (error := reading.exception())]
    if not errors:
        return
    first = errors[0]
    if not isinstance(first, ObservationError):
        raise first
    others = [str(e) for e in errors[1:]]
    message = "; ".join([first.message, *others])
    raise ObservationError(message, hint=first.hint, aws_code=first.aws_code) from first


def _route_table(raw: RouteTableTypeDef) -> RouteTable:
    associations = raw.get("Associations", [])
    return RouteTable(
        id=raw["RouteTableId"],
        main=any(a.get("Main") for a in associations),
        tags=_tags(raw.get("Tags", [])),
        routes=tuple(map(_route, raw.get("Routes", []))),
        associations={a["SubnetId"]: a["RouteTableAssociationId"] for a in associations if a.get("SubnetId")},
    )


def _route(raw: RouteTypeDef) -> Route:
    """Read one route; its target is the most specific id that EC2 gives (the interface, not the instance)."""
    keyed = cast("dict[str, str]", raw)
    return Route(
        destination=next(keyed[key] for key in _DESTINATIONS if keyed.get(key)),
        target=next((keyed[key] for key in _TARGETS if keyed.get(key)), "unknown"),
        state=keyed.get("State", "active"),
        origin=keyed.get("Origin", "CreateRoute"),
    )


def _instance(raw: InstanceTypeDef, statuses: dict[str, str]) -> Instance:
    interfaces = sorted(raw.get("NetworkInterfaces", []), key=_device_index)
    return Instance(
        id=raw["InstanceId"],
        state=raw["State"]["Name"],
        launched_at=raw["LaunchTime"],
        tags=_tags(raw.get("Tags", [])),
        interfaces=tuple(map(_interface, interfaces)),
        checks=statuses.get(raw["InstanceId"], "insufficient-data"),
        public_address=raw.get("PublicIpAddress") or None,
    )


def _device_index(raw: InstanceNetworkInterfaceTypeDef) -> tuple[int, int]:
    attachment = raw.get("Attachment", {})
    return attachment.get("NetworkCardIndex", 0), attachment.get("DeviceIndex", 0)


def _interface(raw: InstanceNetworkInterfaceTypeDef) -> Interface:
    addresses = sorted(raw["PrivateIpAddresses"], key=lambda a: not a.get("Primary"))
    return Interface(
        id=raw["NetworkInterfaceId"],
        subnet_id=raw["SubnetId"],
        addresses=tuple(a["PrivateIpAddress"] for a in addresses),
        source_dest_check=raw["SourceDestCheck"],
    )


def _ingress(raw: SecurityGroupRuleTypeDef) -> IngressRule:
    source = raw.get("CidrIpv4") or raw.get("CidrIpv6") or raw.get("PrefixListId") or "a security group"
    ports = raw.get("FromPort", -1), raw.get("ToPort", -1)
    return IngressRule(raw["SecurityGroupRuleId"], raw["IpProtocol"], *ports, source)


def _on_some_interface(topology: Topology, instances: list[InstanceTypeDef]) -> bool:
    """Say whether an instance of the VPC has the declared group: then it exists, though it may have no rule."""
    interfaces = (interface for instance in instances for interface in instance.get("NetworkInterfaces", []))
    groups = {group["GroupId"] for interface in interfaces for group in interface.get("Groups", [])}
    return topology.security_group in groups


def _checks(raw: InstanceStatusTypeDef) -> str:
    """Sum up the system, instance and volume checks: impaired when any is."""
    checks = cast("dict[str, dict[str, str]]", raw)
    found = [
        checks.get(key, {}).get("Status") for key in ("SystemStatus", "InstanceStatus", "AttachedEbsStatus")
    ]
    return "impaired" if "impaired" in found else found[1] or "insufficient-data"


def _tags(raw: Sequence[TagTypeDef]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in raw}
