"""Looks at canned answers: whole ones, of two items of every kind, but for what a test changes of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from chalicelib.aws.ec2.network import Ec2Network
from tests.aws.answers import at, canned, having, whole
from tests.aws.office import READS
from tests.builders import GROUP, NOON, OPTIONS, VPC, an_id, topology
from tests.fakes import InPlace

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Observation
    from tests.aws.answers import Answer, Path, Told

DECLARED = topology(dhcp_options=OPTIONS)

TOLD: Told = {
    "InstanceId": lambda n: an_id("i", n),
    "InstanceState.Name": lambda _: "running",
    "InstanceNetworkInterface.SourceDestCheck": lambda _: False,
    "InstanceNetworkInterface.NetworkInterfaceId": lambda n: an_id("eni", n),
    "InstanceNetworkInterfaceAttachment.DeviceIndex": lambda _: 0,
    "InstanceNetworkInterfaceAttachment.NetworkCardIndex": lambda _: 0,
    "PrivateIpAddress": lambda n: f"10.0.0.{n}",
    "InstancePrivateIpAddress.Primary": lambda _: True,
    "PublicIp": lambda n: f"203.0.113.{n}",
    "RouteTableId": lambda n: an_id("rtb", n),
    "RouteTableAssociation.SubnetId": lambda n: an_id("subnet", n),
    "RouteTableAssociationState.State": lambda _: "associated",
    "DestinationCidrBlock": lambda _: "0.0.0.0/0",
    "Route.State": lambda _: "blackhole",
    "Route.Origin": lambda _: "CreateRoute",
    "CidrBlock": lambda n: f"10.0.{n}.0/24",
    "InstanceStatusSummary.Status": lambda _: "impaired",
    "EbsStatusSummary.Status": lambda _: "impaired",
    "InstanceStatusDetails.Status": lambda _: "failed",
    "EbsStatusDetails.Status": lambda _: "failed",
    "IpProtocol": lambda _: "tcp",
    "FromPort": lambda _: 22,
    "ToPort": lambda _: 22,
    "GroupId": lambda _: GROUP,
    "VpcId": lambda _: VPC,
    "DhcpOptionsId": lambda _: OPTIONS,
}


@cache
def answers() -> dict[str, Answer]:
    """Return an answer of every member to each call; of every kind of item there are two."""
    return {operation: whole("ec2", operation, TOLD, 1, 2) for operation in READS}


def look(**changed: Answer) -> Observation:
    """Look, in place, at these answers and at whole ones to all other calls."""
    client = canned("ec2", answers() | changed)
    seen = Ec2Network(client, InPlace()).observe(DECLARED)
    return replace(seen, taken_at=NOON)


@cache
def seen_whole() -> Observation:
    """Look at whole answers."""
    seen = look()
    assert not seen.unread
    assert not seen.skipped
    return seen


def first(operation: str, path: Path, *left_out: str, **other: object) -> Observation:
    """Look at the first item, or a part of it at a path, without some members and with others as told."""
    answer = answers()[operation]
    changed = {k: v for k, v in at(answer, path).items() if k not in left_out} | other
    return look(**{operation: having(answer, path, changed)})


INSTANCE: Path = ("Reservations", 0, "Instances", 0)
INTERFACE: Path = (*INSTANCE, "NetworkInterfaces", 0)
TABLE: Path = ("RouteTables", 0)
ASSOCIATION: Path = (*TABLE, "Associations", 0)
ADDRESS: Path = ("Addresses", 0)
STATUS: Path = ("InstanceStatuses", 0)
