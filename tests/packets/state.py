"""A VPC as the embedded AWS has it, in the words a data plane needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moto.ec2.models import ec2_backends
from moto.ec2.models.internet_gateways import InternetGateway

from tests.fake_aws.reality import aws

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.fake_aws.patches import Moto

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
    """What one rule of a security group lets through, of a network or of a group; `ports` is None for all of them."""

    protocol: str
    ports: tuple[int, int] | None
    network: str | None
    group: str | None


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
        """Return the public address of a private one."""
        return next((public for public, behind in self.publics.items() if behind == private), None)

    def card(self, instance_id: str) -> Card:
        """Return an instance's primary interface."""
        return next(c for c in self.cards.values() if c.instance_id == instance_id and c.index == 0)


def look(vpc_id: str) -> State:
    """See a VPC of the embedded AWS as it is at this moment.

    It looks where the world keeps its state, not through the API: a look for every change may cost no more than that.
    """
    with aws.lock:
        backend: Moto = ec2_backends[aws.account_id][aws.region]
        vpc = backend.get_vpc(vpc_id)
        subnets = [s for zone in backend.subnets.values() for s in zone.values() if s.vpc_id == vpc_id]
        interfaces = [e for e in backend.enis.values() if e.vpc_id == vpc_id and e.attachment]
        instances = [e.instance for e in interfaces]
        tables = [t for t in backend.route_tables.values() if t.vpc_id == vpc_id]
        associations = {a.get("SubnetId", "main"): t.id for t in tables for a in t.associations}
        return State(
            cidr=vpc.cidr_block,
            subnets={s.id: s.cidr_block for s in subnets},
            cards={e.id: _card(e) for e in interfaces},
            powered=frozenset(i.id for i in instances if i.state == "running"),
            tables={t.id: {r.destination_cidr_block: _target(r) for r in t.routes} for t in tables},
            table_of={s.id: associations.get(s.id, associations["main"]) for s in subnets},
            publics=dict(_publics(interfaces)),
            groups={g.id: _group(g) for g in backend.groups[vpc_id].values()},
            tags={i.id: {tag["key"]: tag["value"] for tag in i.get_tags()} for i in instances},
        )


def _card(interface: Moto) -> Card:
    ordered = sorted(interface.private_ip_addresses, key=lambda a: not a["Primary"])
    return Card(
        id=interface.id,
        instance_id=interface.attachment.instance_id,
        index=interface.attachment.device_index,
        mac=interface.mac_address,
        subnet_id=interface.subnet.id,
        addresses=tuple(address["PrivateIpAddress"] for address in ordered),
        check=interface.source_dest_check,
        groups=tuple(group.id for group in interface.group_set),
    )


def _target(route: Moto) -> str:
    if route.local:
        return LOCAL
    if route.state != "active":
        return NOWHERE
    if isinstance(route.gateway, InternetGateway):
        return INTERNET
    return route.interface.id if route.interface else NOWHERE


def _publics(interfaces: Iterable[Moto]) -> Iterable[tuple[str, str]]:
    for interface in interfaces:
        for address in interface.private_ip_addresses:
            if "Association" in address:
                yield address["Association"]["PublicIp"], address["PrivateIpAddress"]


def _group(group: Moto) -> Group:
    return Group(tuple(map(_rule, group.ingress_rules)), tuple(map(_rule, group.egress_rules)))


def _rule(rule: Moto) -> Rule:
    """Read a rule, which has one source or destination; -1 stands for all of ICMP's types, too."""
    ports = rule.from_port is not None and rule.from_port >= 0
    return Rule(
        protocol=rule.ip_protocol,
        ports=(rule.from_port, rule.to_port) if ports else None,
        network=rule.ip_range.get("CidrIp"),
        group=rule.source_group.get("GroupId"),
    )
