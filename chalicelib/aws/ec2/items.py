"""Understands what EC2 lists, item by item: what one item lacks is no reason not to see the others.

What an item may lack has a default that nothing is done for. What makes it unreadable, such as an absent id, has it
skipped by name: who decides knows then that something is there of which nothing more is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, TypeVar

from chalicelib.aws.answers import flag, inner, listing, members, moment, needed, number, tags, text
from chalicelib.aws.errors import MalformedAnswer
from chalicelib.core.network.observation import (
    ElasticIp,
    IngressRule,
    Instance,
    Interface,
    Route,
    RouteTable,
    Skipped,
    Subnet,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.aws.answers import Raw
    from chalicelib.aws.ec2.statuses import Statuses

_T = TypeVar("_T")

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
_EDGES = ("GatewayId", "PublicIpv4Pool")
"""What a table can be associated with other than a subnet."""

_PORTED = ("tcp", "udp", "6", "17")


@dataclass(slots=True)
class Items:
    """Reads the items of one look: `skipped` grows by what could not be understood."""

    statuses: Statuses
    skipped: list[Skipped] = field(default_factory=list)

    def each(
        self,
        kind: str,
        id_key: str,
        raws: Iterable[Raw],
        read: Callable[[Raw], _T | None],
        part_of: Raw | None = None,
    ) -> tuple[_T, ...]:
        """Read every item of a listing that concerns us; one that cannot be understood is skipped by name.

        What is a part of something else, and has neither id nor tags of its own, is named by that.
        """
        found = []
        for raw in raws:
            try:
                if (item := read(raw)) is not None:
                    found.append(item)
            except MalformedAnswer as error:
                named = raw if part_of is None else part_of
                self.skipped.append(Skipped(kind, text(named, id_key) or "", str(error), tags(named)))
        return tuple(found)

    def route_table(self, raw: Raw) -> RouteTable:
        """Read a route table; one that does not list its routes or associations must not look empty."""
        routes, associations = listing(raw, "Routes"), listing(raw, "Associations")
        of_subnets = [one for one in associations if not _is_of_no_subnet(one)]
        in_force = [one for one in of_subnets if _state(one) == "associated"]
        unsettled = [one for one in of_subnets if _state(one) != "associated"]
        kind, id_key = "route-table-association", "RouteTableId"
        return RouteTable(
            id=needed(raw, id_key),
            main=any(map(_is_main, associations)),
            tags=tags(raw),
            routes=self.each("route", id_key, routes, _route, raw),
            associations=dict(self.each(kind, id_key, in_force, _association, raw)),
            unsettled=dict(self.each(kind, id_key, unsettled, _unsettled, raw)),
        )

    def instance(self, raw: Raw) -> Instance:
        """Read an instance; one that has no state is not taken for alive, nor for dead."""
        instance_id = needed(raw, "InstanceId")
        state, launched_at = text(inner(raw, "State"), "Name"), moment(raw, "LaunchTime")
        if state is None or launched_at is None:
            raise MalformedAnswer("it has no state" if state is None else "it has no LaunchTime")
        # all lose their interfaces in the end; no other may look as if it had none
        interfaces = (members if state == "terminated" else listing)(raw, "NetworkInterfaces")
        status = self.statuses.of(instance_id)
        return Instance(
            id=instance_id,
            state=state,
            launched_at=launched_at,
            tags=tags(raw),
            interfaces=self._interfaces(raw, interfaces),
            checks=status.checks,
            public_address=text(raw, "PublicIpAddress"),
            impaired_since=status.impaired_since,
            listed=status.listed,
            events=status.events,
        )

    def _interfaces(self, instance: Raw, raws: list[Raw]) -> tuple[Interface, ...]:
        """Read an instance's interfaces, the primary first; when that is unreadable, none: no other may be taken for it."""
        ordered = _in_order(raws)
        primary = self.each("network-interface", "InstanceId", ordered[:1], _interface, instance)
        others = self.each("network-interface", "InstanceId", ordered[1:], _interface, instance)
        return primary + others if primary else ()


def elastic_ip(raw: Raw) -> ElasticIp:
    """Read an Elastic IP. An Outposts one has its customer-owned number, one of a Wavelength Zone its carrier's."""
    numbers = (text(raw, key) for key in ("PublicIp", "CarrierIp", "CustomerOwnedIp"))
    public = next((one for one in numbers if one and _is_address(one)), None)
    if public is None:
        raise MalformedAnswer("it has no IPv4 address")
    return ElasticIp(
        allocation_id=needed(raw, "AllocationId"),
        public_address=public,
        interface_id=text(raw, "NetworkInterfaceId"),
        private_address=text(raw, "PrivateIpAddress"),
        tags=tags(raw),
    )


def ingress(raw: Raw) -> IngressRule | None:
    """Read an inbound rule of a security group; None for an outbound one."""
    outbound = flag(raw, "IsEgress")
    if outbound is None:
        raise MalformedAnswer("it does not say whether it is inbound")
    if outbound:
        return None
    protocol = needed(raw, "IpProtocol")
    ports = number(raw, "FromPort"), number(raw, "ToPort")
    if protocol in _PORTED and None in ports:
        raise MalformedAnswer("it does not say for which ports it is")
    source = text(raw, "CidrIpv4") or text(raw, "CidrIpv6") or text(raw, "PrefixListId") or "a security group"
    first, last = (-1 if port is None else port for port in ports)
    return IngressRule(needed(raw, "SecurityGroupRuleId"), protocol, first, last, source)


def subnet(raw: Raw) -> Subnet | None:
    """Read a subnet; None for one that has IPv6 only."""
    subnet_id, cidr = needed(raw, "SubnetId"), text(raw, "CidrBlock")
    if cidr is None and flag(raw, "Ipv6Native"):
        return None
    if cidr is None or not _is_network(cidr):
        raise MalformedAnswer("it has no IPv4 CIDR")
    return Subnet(subnet_id, cidr)


def groups_of(instances: Iterable[Raw]) -> frozenset[str]:
    """Return every security group that is on an interface of these instances."""
    interfaces = (interface for instance in instances for interface in members(instance, "NetworkInterfaces"))
    groups = (text(group, "GroupId") for interface in interfaces for group in members(interface, "Groups"))
    return frozenset(group for group in groups if group)


def _state(raw: Raw) -> str:
    return text(inner(raw, "AssociationState"), "State") or "associated"


def _association(raw: Raw) -> tuple[str, str]:
    subnet_id, association_id = _subnet_of(raw), text(raw, "RouteTableAssociationId")
    if association_id is None:
        raise MalformedAnswer(f"the association of {subnet_id} has no id")
    return subnet_id, association_id


def _unsettled(raw: Raw) -> tuple[str, str]:
    return _subnet_of(raw), _state(raw)


def _subnet_of(raw: Raw) -> str:
    subnet_id = text(raw, "SubnetId")
    if subnet_id is None:
        raise MalformedAnswer("one of its associations is with nothing that is known here")
    return subnet_id


def _is_main(raw: Raw) -> bool:
    """Return whether an association makes its table the main one: that is with nothing by name."""
    said = flag(raw, "Main")
    return said if said is not None else not any(text(raw, key) for key in ("SubnetId", *_EDGES))


def _is_of_no_subnet(raw: Raw) -> bool:
    return not text(raw, "SubnetId") and (_is_main(raw) or any(text(raw, key) for key in _EDGES))


def _route(raw: Raw) -> Route:
    """Read one route; its target is the most specific id that EC2 gives (the interface, not the instance)."""
    cidr = text(raw, "DestinationCidrBlock")
    if cidr is not None and not _is_network(cidr):
        raise MalformedAnswer("one of its routes leads to what is no IPv4 network")
    destination = cidr or text(raw, "DestinationIpv6CidrBlock") or text(raw, "DestinationPrefixListId")
    if destination is None:
        raise MalformedAnswer("one of its routes has no destination")
    return Route(
        destination=destination,
        target=next((target for key in _TARGETS if (target := text(raw, key))), "unknown"),
        state=text(raw, "State") or "active",
        origin=text(raw, "Origin") or "CreateRoute",
    )


def _in_order(raws: list[Raw]) -> list[Raw]:
    """Sort interfaces by network card and device index: EC2 promises no order, and the first is the primary."""
    placed = sorted(((place, n) for n, raw in enumerate(raws) if (place := _place(raw))))
    unplaced = [raw for raw in raws if _place(raw) is None]
    known = [raws[n] for _, n in placed]
    if not unplaced or (placed and placed[0][0] == (0, 0)):
        return known + unplaced
    if len(unplaced) > 1:
        raise MalformedAnswer("it is not known which of its interfaces is the primary one")
    return unplaced + known


def _place(raw: Raw) -> tuple[int, int] | None:
    attachment = inner(raw, "Attachment")
    device = number(attachment, "DeviceIndex")
    return None if device is None else (number(attachment, "NetworkCardIndex") or 0, device)


def _interface(raw: Raw) -> Interface:
    """Read an interface; of one whose source/dest check is not told it counts as on."""
    primary = text(raw, "PrivateIpAddress")
    listed = [
        (one, address)
        for one in members(raw, "PrivateIpAddresses")
        if (address := text(one, "PrivateIpAddress"))
    ]
    listed.sort(key=lambda pair: not (flag(pair[0], "Primary") or pair[1] == primary))
    addresses = [address for _, address in listed] or ([primary] if primary else [])
    return Interface(
        id=needed(raw, "NetworkInterfaceId"),
        subnet_id=needed(raw, "SubnetId"),
        addresses=tuple(address for address in addresses if _is_address(address)),
        source_dest_check=flag(raw, "SourceDestCheck") is not False,
    )


@lru_cache(maxsize=4096)  # the same few hundred come again with each look
def _is_network(cidr: str) -> bool:
    try:
        IPv4Network(cidr)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _is_address(address: str) -> bool:
    try:
        IPv4Address(address)
    except ValueError:
        return False
    return True
