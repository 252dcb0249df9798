"""Reads what `mooring init` proposes from: a stack's outputs, or a VPC that nobody has declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.aws.answers import NOTHING, inner, listing, members, needed, tags, text
from chalicelib.aws.ec2.network import Ec2Network
from chalicelib.aws.ec2.query import PAGE, filters
from chalicelib.aws.errors import AwsError, blind, code_of, message_of
from chalicelib.core.errors import ObservationError
from chalicelib.core.network.topology import DEFAULT_ROUTE, Topology

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from mypy_boto3_cloudformation import CloudFormationClient

    from chalicelib.aws.ec2.query import Ec2Query
    from chalicelib.core.network.observation import Observation

_ELSEWHERE = "check --region and --profile"


def stack_outputs(cloudformation: CloudFormationClient, stack: str) -> dict[str, str]:
    """Read a stack's outputs, by name or id.

    Raises:
        ObservationError: there is no such stack, or it could not be read.
    """
    try:
        found = listing(cloudformation.describe_stacks(StackName=stack), "Stacks")
    except AwsError as error:
        # CloudFormation answers ValidationError for a stack that does not exist, and for a name that cannot.
        if code_of(error) == "ValidationError":
            raise ObservationError(
                f"cannot read stack {stack}: {message_of(error)}", hint=_ELSEWHERE, aws_code="ValidationError"
            ) from error
        raise blind("cloudformation:DescribeStacks", error) from error
    outputs = members(found[0], "Outputs") if found else []
    pairs = ((text(output, "OutputKey"), text(output, "OutputValue")) for output in outputs)
    return {key: value for key, value in pairs if key and value}


class Discovery:
    """One VPC, read for a proposal: everything a topology could name."""

    def __init__(self, ec2: Ec2Query, vpc_id: str, executor: Executor) -> None:
        self._ec2, self._vpc_id, self._executor = ec2, vpc_id, executor

    def cidrs_and_name(self) -> tuple[tuple[str, ...], str]:
        """Read the VPC's IPv4 ranges, the primary first, and its Name tag, or nothing.

        Raises:
            ObservationError: there is no such VPC, or it could not be read.
        """
        try:
            vpc = next(iter(self._ec2.read("DescribeVpcs", "Vpcs", {"VpcId.1": self._vpc_id})), NOTHING)
            primary = needed(vpc, "CidrBlock")
        except AwsError as error:
            if code_of(error) == "InvalidVpcID.NotFound":
                raise ObservationError(
                    f"{self._vpc_id} is not in this account and region",
                    hint=_ELSEWHERE,
                    aws_code="InvalidVpcID.NotFound",
                ) from error
            raise blind("ec2:DescribeVpcs", error) from error
        # A range that is being removed stays listed with another state.
        associated = (
            cidr
            for a in members(vpc, "CidrBlockAssociationSet")
            if text(inner(a, "CidrBlockState"), "State") == "associated" and (cidr := text(a, "CidrBlock"))
        )
        return tuple(dict.fromkeys([primary, *associated])), tags(vpc).get("Name", "")

    def observe(self) -> Observation:
        """Observe its tables, instances and Elastic IPs as a run does.

        Raises:
            ObservationError: any part of it could not be read.
        """
        return Ec2Network(self._ec2, self._executor).observe(_bare(self._vpc_id))

    def subnets(self) -> dict[str, str]:
        """Read its subnets' IPv4 ranges by id; one that is IPv6 only has none, and is left out.

        Raises:
            ObservationError: they could not be read.
        """
        try:
            found = self._ec2.read("DescribeSubnets", "Subnets", filters({"vpc-id": [self._vpc_id]}) | PAGE)
        except AwsError as error:
            raise blind("ec2:DescribeSubnets", error) from error
        pairs = ((text(subnet, "SubnetId"), text(subnet, "CidrBlock")) for subnet in found)
        return {subnet_id: cidr for subnet_id, cidr in pairs if subnet_id and cidr}

    def internet_gateway(self) -> str | None:
        """Find its internet gateway; a VPC has at most one.

        Raises:
            ObservationError: it could not be read.
        """
        try:
            attached = filters({"attachment.vpc-id": [self._vpc_id]})
            found = self._ec2.read("DescribeInternetGateways", "InternetGateways", attached)
        except AwsError as error:
            raise blind("ec2:DescribeInternetGateways", error) from error
        return next((text(gateway, "InternetGatewayId") for gateway in found), None)

    def tagged(self, key: str) -> frozenset[str]:
        """List all of the region's resources that carry a tag, whatever its value.

        Raises:
            ObservationError: they could not be read.
        """
        try:
            found = self._ec2.read("DescribeTags", "Tags", filters({"key": [key]}) | PAGE)
        except AwsError as error:
            raise blind("ec2:DescribeTags", error) from error
        return frozenset(resource_id for tag in found if (resource_id := text(tag, "ResourceId")))

    def security_groups(self, interface_id: str) -> tuple[str, ...]:
        """Read the groups of one of its interfaces; none when the interface is gone.

        Raises:
            ObservationError: they could not be read.
        """
        chosen = filters({"vpc-id": [self._vpc_id], "network-interface-id": [interface_id]})
        try:
            found = self._ec2.read("DescribeNetworkInterfaces", "NetworkInterfaces", chosen)
        except AwsError as error:
            raise blind("ec2:DescribeNetworkInterfaces", error) from error
        groups = (text(group, "GroupId") for interface in found for group in members(interface, "Groups"))
        return tuple(group for group in groups if group)


def _bare(vpc_id: str) -> Topology:
    """Declare nothing but a VPC, so that there is one way to observe one."""
    return Topology(
        name="",
        vpc_id=vpc_id,
        cidr=DEFAULT_ROUTE,
        internet_gateway="",
        office_networks=(),
        vpn_clients=DEFAULT_ROUTE,
        candidates=(),
        elastic_ip="",
        tables=(),
    )
