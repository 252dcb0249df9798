"""The network as it was seen at one moment, and what the journal remembers: immutable, complete, undecided."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.core.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from datetime import datetime

    from chalicelib.core.certificate import CertificateRecord
    from chalicelib.core.machine import Agent
    from chalicelib.core.topology import TableSelector
    from chalicelib.core.wake import Notice

REMEMBERED = timedelta(days=1)
"""How long a move is remembered: longer than any hold-down looks back."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route as EC2 lists it; `target` is an id (`eni-`, `igw-`, `nat-`, ...) or `local`."""

    destination: str
    target: str
    state: str = "active"
    origin: str = "CreateRoute"


@dataclass(frozen=True, slots=True)
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
        found = (r for r in self.routes if r.destination == destination and r.origin == "CreateRoute")
        return next(found, None)


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
    """An instance of the VPC; `interfaces` by device index, `notice` why AWS is about to take it.

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


@dataclass(frozen=True, slots=True)
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

    def select(self, selector: TableSelector) -> list[RouteTable]:
        """Find the tables an id or tags select, by id: AWS lists in any order; none when they are not in this VPC."""
        if isinstance(selector, str):
            return [t for t in self.tables if t.id == selector]
        return sorted((t for t in self.tables if selector.match(t.tags)), key=lambda table: table.id)

    def with_notices(self, notices: tuple[Notice, ...]) -> Observation:
        """Give the snapshot in which every instance that AWS is about to take carries the notice."""
        reasons = {n.instance_id: n.reason for n in notices}
        instances = tuple(replace(i, notice=reasons.get(i.id, i.notice)) for i in self.instances)
        return replace(self, instances=instances)

    def table_of(self, subnet_id: str) -> RouteTable | None:
        """Find the table in force for a subnet: its explicit association, else the main table."""
        explicit = (t for t in self.tables if subnet_id in t.associations)
        return next(explicit, None) or next((t for t in self.tables if t.main), None)

    def owner_of(self, interface_id: str) -> Instance | None:
        """Find the instance an interface is attached to."""
        owners = (i for i in self.instances if any(n.id == interface_id for n in i.interfaces))
        return next(owners, None)

    def elastic_ip(self, allocation_id: str) -> ElasticIp | None:
        """Find an Elastic IP by its allocation id."""
        return next((e for e in self.elastic_ips if e.allocation_id == allocation_id), None)


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator's order to look and not touch, until a moment or until resumed."""

    reason: str
    until: datetime | None = None

    def __str__(self) -> str:
        """`paused until 2026-11-25 16:00 UTC: the reason`."""
        return f"{self.state}: {self.reason}"

    @property
    def state(self) -> str:
        """Say that it is paused, and until when, if that is known."""
        return "paused" + (f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else "")


@dataclass(frozen=True, slots=True)
class History:
    """What the journal remembers of a topology.

    `revision` grows with everything that is written, `decided_at` is when the last decision was made.
    """

    revision: int = 0
    router: str | None = None
    since: datetime | None = None
    moves: tuple[datetime, ...] = ()
    pause: Pause | None = None
    notices: tuple[Notice, ...] = ()
    decided_at: datetime | None = None
    machines: tuple[Machine, ...] = ()

    def machine(self, instance_id: str) -> Machine:
        """Give what is known of a candidate's operating system; of one never met, nothing."""
        known = (machine for machine in self.machines if machine.instance_id == instance_id)
        return next(known, None) or Machine(instance_id)

    def knows(self, machine: Machine) -> History:
        """Give the history with this word on a machine instead of the one before."""
        others = (m for m in self.machines if m.instance_id != machine.instance_id)
        machines = sorted((*others, machine), key=lambda m: m.instance_id)
        return replace(self, machines=tuple(machines))

    def learned(self, machines: Iterable[Machine], gone: Container[str] = ()) -> History:
        """Give the history with these words on machines, and nothing of those that are gone."""
        known = replace(self, machines=tuple(m for m in self.machines if m.instance_id not in gone))
        for machine in machines:
            known = known.knows(machine)
        return known

    def paused(self, at: datetime) -> Pause | None:
        """Give the pause in force at a moment; one that ran out is no pause."""
        if self.pause and (self.pause.until is None or at < self.pause.until):
            return self.pause
        return None

    def decided(self, router: str, at: datetime, *, counted: bool) -> History:
        """Give the history after a decision: the next revision, and the move if it counts for the hold-down."""
        return replace(
            self,
            revision=self.revision + 1,
            router=router,
            since=self.since if router == self.router else at,
            moves=tuple(m for m in (*self.moves, *([at] if counted else [])) if m > at - REMEMBERED),
            decided_at=at,
        )

    def surviving(self, observation: Observation) -> History:
        """Give the history without the notices and the machines of instances that are gone."""
        alive = {instance.id for instance in observation.instances}
        return replace(
            self,
            notices=tuple(n for n in self.notices if n.instance_id in alive),
            machines=tuple(m for m in self.machines if m.instance_id in alive),
        )

    def noticed(self, notice: Notice) -> History:
        """Give the history with AWS's word that it is about to take an instance, the latest word on each."""
        others = tuple(n for n in self.notices if n.instance_id != notice.instance_id)
        return replace(self, notices=(*others, notice))
