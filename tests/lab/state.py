"""A VPC as AWS describes it, in the words a data plane needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_ec2 import EC2Client

LOCAL, INTERNET, NOWHERE = "local", "internet", "nowhere"
"""Targets of routes that are no interface."""


@dataclass(frozen=True, slots=True)
class Card:
    """A network interface of an instance; the first address is the primary one."""

    id: str
    instance_id: str
    index: int
    mac: str
    subnet_id: str
    addresses: tuple[str, ...]
    check: bool
    groups: tuple[str, ...]

    @property
    def device(self) -> str:
        """Name the implicit router's end of its cable."""
        return f"v-{self.id[-12:]}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one rule of a security group lets through; `ports` is None for all of them."""

    protocol: str
    ports: tuple[int, int] | None
    networks: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A security group's rules, in and out."""

    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class State:
    """One moment of a VPC.

    `powered` are the instances that run; `tables` gives each route table's targets by destination: an interface's id,
    or one of the words above; `table_of` gives each subnet's table, the main one where none is associated;
    `publics` gives the private address behind each public one.
    """

    cidr: str
    subnets: Mapping[str, str]
    cards: Mapping[str, Card]
    powered: frozenset[str]
    tables: Mapping[str, Mapping[str, str]]
    table_of: Mapping[str, str]
    publics: Mapping[str, str]
    groups: Mapping[str, Group]
    tags: Mapping[str, Mapping[str, str]]

    def public(self, private: str) -> str | None:
        """Give the public address of a private one."""
        return next((public for public, behind in self.publics.items() if behind == private), None)

    def card(self, instance_id: str) -> Card:
        """Give an instance's primary interface."""
        return next(c for c in self.cards.values() if c.instance_id == instance_id and c.index == 0)


def look(ec2: EC2Client, vpc_id: str) -> State:
    """Describe a VPC, as any client of AWS can."""
    here: Any = [{"Name": "vpc-id", "Values": [vpc_id]}]
    found = [i for r in ec2.describe_instances(Filters=here)["Reservations"] for i in r["Instances"]]
    interfaces = ec2.describe_network_interfaces(Filters=here)["NetworkInterfaces"]
    subnets = {s["SubnetId"]: s["CidrBlock"] for s in ec2.describe_subnets(Filters=here)["Subnets"]}
    tables = ec2.describe_route_tables(Filters=here)["RouteTables"]
    associations = {a.get("SubnetId", "main"): t["RouteTableId"] for t in tables for a in t["Associations"]}
    return State(
        cidr=ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]["CidrBlock"],
        subnets=subnets,
        cards={e["NetworkInterfaceId"]: _card(e) for e in interfaces if "InstanceId" in e.get("Attachment", {})},
        powered=frozenset(i["InstanceId"] for i in found if i["State"]["Name"] == "running"),
        tables={t["RouteTableId"]: dict(map(_route, t["Routes"])) for t in tables},
        table_of={s: associations.get(s, associations["main"]) for s in subnets},
        publics=dict(_publics(interfaces)),
        groups={g["GroupId"]: _group(g) for g in ec2.describe_security_groups(Filters=here)["SecurityGroups"]},
        tags={i["InstanceId"]: {t["Key"]: t["Value"] for t in i.get("Tags", [])} for i in found},
    )


def _card(interface: Any) -> Card:  # noqa: ANN401 - a part of a reply, as all below
    attachment = interface["Attachment"]
    ordered = sorted(interface["PrivateIpAddresses"], key=lambda a: not a["Primary"])
    return Card(
        id=interface["NetworkInterfaceId"],
        instance_id=attachment["InstanceId"],
        index=attachment["DeviceIndex"],
        mac=interface["MacAddress"],
        subnet_id=interface["SubnetId"],
        addresses=tuple(address["PrivateIpAddress"] for address in ordered),
        check=interface["SourceDestCheck"],
        groups=tuple(group["GroupId"] for group in interface["Groups"]),
    )


def _route(route: Any) -> tuple[str, str]:  # noqa: ANN401
    gateway = route.get("GatewayId", "")
    if gateway == "local":
        target = LOCAL
    elif route.get("State") != "active":
        target = NOWHERE
    elif gateway.startswith("igw-"):
        target = INTERNET
    else:
        target = route.get("NetworkInterfaceId") or NOWHERE
    return route["DestinationCidrBlock"], target


def _publics(interfaces: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for interface in interfaces:
        for address in interface["PrivateIpAddresses"]:
            if "Association" in address:
                yield address["Association"]["PublicIp"], address["PrivateIpAddress"]


def _group(group: Any) -> Group:  # noqa: ANN401
    return Group(*(tuple(map(_rule, group[key])) for key in ("IpPermissions", "IpPermissionsEgress")))


def _rule(rule: Any) -> Rule:  # noqa: ANN401
    ports = (rule["FromPort"], rule["ToPort"]) if "FromPort" in rule and rule["FromPort"] >= 0 else None
    return Rule(
        protocol=rule["IpProtocol"],
        ports=ports,
        networks=tuple(network["CidrIp"] for network in rule["IpRanges"]),
        groups=tuple(pair["GroupId"] for pair in rule["UserIdGroupPairs"]),
    )
