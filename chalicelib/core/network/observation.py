"""The network as it was seen at one moment: immutable, undecided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib.core.once import derived

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from chalicelib.core.machines.certificate import CertificateRecord
    from chalicelib.core.machines.machine import Agent
    from chalicelib.core.network.topology import TableSelector, Topology


@dataclass(frozen=True, slots=True)
class Route:
    """One route as EC2 lists it; `target` is an id (`eni-`, `igw-`, `nat-`, ...) or `local`."""

    destination: str
    target: str
    state: str = "active"
    origin: str = "CreateRoute"


@dataclass(frozen=True)
class RouteTable:
    """One route table; `associations` maps subnet id to the explicit association's id.

    `unsettled` maps the subnets whose association is in force no more, or not yet, to AWS's word for it, such as `failed`.
    """

    id: str
    main: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    associations: dict[str, str] = field(default_factory=dict)
    unsettled: dict[str, str] = field(default_factory=dict)

    def static(self, destination: str) -> Route | None:
        """Find the route somebody created for a destination; a propagated one does not count."""
        return self._static.get(destination)

    @derived
    def _static(self) -> dict[str, Route]:
        """Those that somebody created, by destination; the first of each, though EC2 lists but one."""
        return {r.destination: r for r in reversed(self.routes) if r.origin == "CreateRoute"}


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of an instance; `addresses` are private IPv4, the primary first."""

    id: str
    subnet_id: str
    addresses: tuple[str, ...]
    source_dest_check: bool = True


@dataclass(frozen=True, slots=True)
class ScheduledEvent:
    """What AWS has scheduled for an instance (`instance-retirement`, `instance-stop`, ...), and from when on, UTC."""

    code: str
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of the VPC; `interfaces` by device index.

    `notice` is why AWS is about to take it, `risk` why it may, as far as the journal and AWS's calendar know (`History.mark`).

    `launched_at` is the last launch: a start after a stop is one. `checks` sums up the status checks: `impaired` when any
    is, `unknown` when they could not be read or EC2 lists none for it, else EC2's word (`ok`, `initializing`,
    `insufficient-data`, ...). `listed` says whether DescribeInstanceStatus, a reading of its own age, has it as running;
    None when that could not be read. `impaired_since` is AWS's own date of the failing check. `events` are those that are
    still to come or under way.
    """

    id: str
    state: str
    launched_at: datetime
    tags: dict[str, str] = field(default_factory=dict)
    interfaces: tuple[Interface, ...] = ()
    checks: str = "ok"
    public_address: str | None = None
    notice: str | None = None
    impaired_since: datetime | None = None
    listed: bool | None = True
    events: tuple[ScheduledEvent, ...] = ()
    risk: str | None = None


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of the VPC and its IPv4 CIDR."""

    id: str
    cidr: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that AWS listed and Mooring cannot read, such as an address without its number; `tags` as far as it has any."""

    kind: str
    id: str
    why: str
    tags: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Its kind and id; a part of something goes by the id of that."""
        return f"{self.kind} {self.id or 'without an id'}"


@dataclass(frozen=True, slots=True)
class ElasticIp:
    """An Elastic IP and where it is associated, if anywhere."""

    allocation_id: str
    public_address: str
    interface_id: str | None = None
    private_address: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IngressRule:
    """One inbound rule of the router's security group; ports -1 to -1 mean all."""

    id: str
    protocol: str
    from_port: int
    to_port: int
    source: str

    @property
    def bootstrap(self) -> bool:
        """Whether it is the rule that a router is set up through, tcp/22 from everywhere, and no wider one."""
        return (self.protocol, self.from_port, self.to_port, self.source) == ("tcp", 22, 22, "0.0.0.0/0")


@dataclass(frozen=True)
class Observation:
    """One snapshot of everything a decision may lean on; `taken_at` is when its first call was sent, UTC.

    `elastic_ips` are the declared one and every other that sits on an interface of the VPC.
    `dhcp_options` is None when the topology does not declare any, and so nobody looked. `agents` are the SSM agents by
    instance, None when the topology declares no tunnel or Systems Manager could not be read: `unheard` then says why.
    `certificate` is the record of the secrets that are stored, None when none are.
    `group_seen` is False when nothing showed that the declared security group exists.
    `subnets` is None when they could not be read. `unread` names the readings that failed though no move of the pins needs
    them, each with the reason: what they would show is unknown, not absent. `skipped` are items that were listed and
    could not be understood.
    """

    taken_at: datetime
    tables: tuple[RouteTable, ...]
    instances: tuple[Instance, ...]
    elastic_ips: tuple[ElasticIp, ...]
    ingress: tuple[IngressRule, ...] = ()
    dhcp_options: str | None = None
    agents: dict[str, Agent] | None = None
    unheard: str = ""
    certificate: CertificateRecord | None = None
    group_seen: bool = True
    subnets: tuple[Subnet, ...] | None = None
    unread: dict[str, str] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

    def select(self, selector: TableSelector) -> tuple[RouteTable, ...]:
        """Find the tables an id or tags select, by id: AWS lists in any order; none when they are not in this VPC."""
        found = self._selected.get(selector)
        if found is None:
            if isinstance(selector, str):
                found = tuple(t for t in self._by_id if t.id == selector)
            else:
                found = tuple(t for t in self._by_id if selector.match(t.tags))
            self._selected[selector] = found
        return found

    def instance(self, instance_id: str | None) -> Instance | None:
        """Find an instance by its id."""
        return self._instances.get(instance_id)

    def table_of(self, subnet_id: str) -> RouteTable | None:
        """Find the table in force for a subnet: its explicit association, else the main table."""
        return self._explicit.get(subnet_id) or self._main

    def owner_of(self, interface_id: str) -> Instance | None:
        """Find the instance an interface is attached to."""
        for instance in self.instances:
            for interface in instance.interfaces:
                if interface.id == interface_id:
                    return instance
        return None

    def elastic_ip(self, allocation_id: str) -> ElasticIp | None:
        """Find an Elastic IP by its allocation id."""
        for elastic_ip in self.elastic_ips:
            if elastic_ip.allocation_id == allocation_id:
                return elastic_ip
        return None

    @derived
    def ranges(self) -> dict[str, str]:
        """The CIDRs of the subnets that were read, by subnet id."""
        return {s.id: s.cidr for s in self.subnets or ()}

    # What is looked for is indexed once, by the first who asks; where an id is listed twice, the first counts.

    @derived
    def _by_id(self) -> list[RouteTable]:
        return sorted(self.tables, key=lambda table: table.id)

    @derived
    def _selected(self) -> dict[TableSelector, tuple[RouteTable, ...]]:
        return {}

    @derived
    def _instances(self) -> dict[str | None, Instance]:
        return {i.id: i for i in reversed(self.instances)}

    @derived
    def _explicit(self) -> dict[str, RouteTable]:
        return {subnet_id: t for t in reversed(self.tables) for subnet_id in t.associations}

    @derived
    def _main(self) -> RouteTable | None:
        return next((t for t in self.tables if t.main), None)

    @derived
    def answers(self) -> dict[Callable[..., Any], tuple[Topology, Any]]:
        """What `once` has worked out, by function, and for which declaration."""
        return {}
