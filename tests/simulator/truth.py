"""What is so in truth, in the oracle's words: who is fit to be the router and since when, and what is not as declared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib.core.network.topology import DEFAULT_ROUTE
from tests.simulator.vpc import LONG_AGO, NAT, NAT_CARD, created, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.core.network.observation import IngressRule, Instance, Interface, RouteTable
    from chalicelib.core.network.topology import Table, TableSelector, Topology
    from tests.simulator.vpc import Vpc

WINDOW = 301.0
"""Seconds that a read may be late, and one: a run must reckon with what was so this long before it began."""

HOUR = 3600.0
INFINITE = float("inf")
DEFAULT = str(DEFAULT_ROUTE)


@dataclass(slots=True)
class Mark:
    """One candidate's fitness: since when it has been without a break, and when it was last."""

    fit_from: float = LONG_AGO
    last_fit: float = LONG_AGO
    check_off: float = LONG_AGO
    why: str = ""
    off: bool = False


@dataclass(slots=True)
class Warned:
    """That AWS is about to take an instance: in force from a moment until another, at most.

    `due` is from when a scheduled event counts: AWS does not date its announcement, so who chose the instance after that
    is taken to have known.
    """

    since: float
    until: float
    due: float | None = None


@dataclass
class Truth:
    """Follows the VPC's every change.

    `warned` and `denied` are what AWS and the machines themselves said of each instance; `whole` tells for those that
    somebody once moved the network to whole until when everything led there; `placed` where each Elastic IP is, since when.
    """

    vpc: Vpc
    declared: Topology
    marks: dict[str, Mark] = field(default_factory=dict)
    warned: dict[str, list[Warned]] = field(default_factory=dict)
    denied: dict[str, float] = field(default_factory=dict)
    whole: dict[str, float] = field(default_factory=dict)
    placed: dict[str, tuple[str | None, str | None, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for instance in self.vpc.instances.values():
            why = self.unfit(instance, self.declared)
            start = self.vpc.now if why else LONG_AGO
            off = any(not card.source_dest_check for card in instance.interfaces)
            self.marks[instance.id] = Mark(start, LONG_AGO if why else self.vpc.now, LONG_AGO, why, off)
        self.vpc.watch = self.happened

    def happened(self) -> None:
        """Take note of what has just changed."""
        now = self.vpc.now
        for instance_id, last in self.whole.items():
            if self.all_lead_to(self.declared, instance_id):
                self.whole[instance_id] = INFINITE
            elif last == INFINITE:
                self.whole[instance_id] = now
        for instance_id, mark in self.marks.items():
            if instance_id not in self.vpc.instances:
                mark.last_fit = mark.last_fit if mark.why else now
                mark.why = f"{instance_id} is terminated"
        for instance in self.vpc.instances.values():
            self._mark(instance, now)
        for e in self.vpc.elastic_ips.values():
            was = self.placed.get(e.allocation_id)
            if was is None or was[:2] != (e.interface_id, e.private_address):
                self.placed[e.allocation_id] = (e.interface_id, e.private_address, now)

    def _mark(self, instance: Instance, now: float) -> None:
        mark = self.marks.get(instance.id)
        if mark is None:
            mark = self.marks[instance.id] = Mark(now, why="it is new")
        why = self.unfit(instance, self.declared)
        if not mark.why or not why:
            mark.last_fit = now
        if mark.why and not why:
            mark.fit_from = now
        mark.why = why
        off = any(not card.source_dest_check for card in instance.interfaces)
        if mark.off or off:
            mark.check_off = now
        mark.off = off

    def declare(self, declared: Topology) -> None:
        """Take note of another declaration."""
        self.declared = declared
        self.happened()

    def fit_within(self, instance_id: str, since: float) -> bool:
        """Return whether an instance was fit at some moment since."""
        mark = self.marks.get(instance_id)
        return mark is not None and (not mark.why or mark.last_fit >= since)

    def fit_throughout(self, instance_id: str, since: float) -> bool:
        """Return whether an instance was fit at every moment since, and neither AWS nor itself has said otherwise."""
        mark = self.marks.get(instance_id)
        if mark is None or mark.why or mark.fit_from > since:
            return False
        if self.denied.get(instance_id, LONG_AGO) > since - HOUR / 2:
            return False
        return not self.warned_since(instance_id, since)

    def warned_since(self, instance_id: str, since: float) -> bool:
        """Return whether AWS has been about to take an instance at some moment since."""
        now = self.vpc.now
        return any(w.since <= now and w.until > since for w in self.warned.get(instance_id, ()))

    def unfit(self, instance: Instance, declared: Topology) -> str:
        """Return why an instance cannot be the router; nothing when it can."""
        if instance.state != "running":
            return f"it is {instance.state}"
        status = self.vpc.statuses.get(instance.id)
        if status and status.checks == "impaired":
            return "it fails its status checks"
        return self.useless(instance, declared)

    def useless(self, instance: Instance, declared: Topology) -> str:
        """Return why a running instance could not hold what is pinned to a router."""
        if not is_candidate(instance, declared):
            return "it is no candidate"
        card = pinned(instance, declared)
        if card is None or not card.addresses:
            return "it has no interface to pin"
        if card.subnet_id not in declared.public_subnets:
            return f"it is in {card.subnet_id}"
        for e in self.vpc.elastic_ips.values():
            if e.interface_id != card.id or e.allocation_id == declared.elastic_ip:
                continue
            if e.private_address == str(declared.private_address or card.addresses[0]):
                return f"it has the foreign elastic ip {e.allocation_id}"
        return ""

    # -- what is pinned ------------------------------------------------------------------------------

    def pins(self, declared: Topology) -> Iterator[tuple[str, str | None]]:
        """Return everything that must lead to the router, and where it leads."""
        for entry, table_id in self.writable(declared):
            table = self.vpc.tables[table_id]
            for destination in through(declared, entry):
                route = created(table, destination)
                yield f"{table_id} {destination}", route.target if route else None
        elastic_ip = self.vpc.elastic_ips.get(declared.elastic_ip)
        yield declared.elastic_ip, elastic_ip.interface_id if elastic_ip else None

    def all_lead_to(self, declared: Topology, instance_id: str) -> bool:
        """Return whether everything that must lead to the router leads to one instance."""
        instance = self.vpc.instances.get(instance_id)
        card = pinned(instance, declared) if instance else None
        return card is not None and all(target == card.id for _, target in self.pins(declared))

    def writable(self, declared: Topology) -> list[tuple[Table, str]]:
        """Return every declaration with the tables that it selects and that may be written."""
        claims = [(t, table_id) for t in declared.tables for table_id in self.selected(t.selector)]
        ids = [table_id for _, table_id in claims]
        return [(t, i) for t, i in claims if ids.count(i) == 1 and not self.vpc.tables[i].main]

    def selected(self, selector: TableSelector) -> list[str]:
        """Find the tables that a declaration is about."""
        if isinstance(selector, str):
            return [selector] if selector in self.vpc.tables else []
        return [t.id for t in self.vpc.tables.values() if selector.match(t.tags)]

    # -- what is wrong -------------------------------------------------------------------------------

    def wrongs(self, declared: Topology, router: Instance | None, *, waiting: bool = False) -> dict[str, str]:
        """Return what is not as declared where everything should lead to a router; with none, what needs none.

        What leads to a NAT gateway that keeps the Elastic IP carries, and stays: only `waiting` tells of it.
        """
        found: dict[str, str] = {}
        card = pinned(router, declared) if router else None
        self._wrong_routes(declared, card, found, waiting=waiting)
        if card:
            self._wrong_router(declared, card, found, waiting=waiting)
        for entry in declared.tables:
            tables = self.selected(entry.selector)
            if len(tables) == 1:
                self._wrong_subnets(entry, self.vpc.tables[tables[0]], found)
        if declared.dhcp_options not in (None, self.vpc.options):
            found["dhcp options"] = f"are {self.vpc.options}"
        for rule in self.vpc.rules.values() if declared.ssh == "closed" else ():
            if opens_ssh(rule):
                found[f"ingress {rule.id}"] = "opens ssh"
        return found

    def _wrong_routes(
        self, declared: Topology, card: Interface | None, found: dict[str, str], *, waiting: bool
    ) -> None:
        elastic_ip = self.vpc.elastic_ips.get(declared.elastic_ip)
        blocked = elastic_ip is not None and elastic_ip.interface_id == NAT_CARD and not waiting
        for entry, table_id in self.writable(declared):
            table = self.vpc.tables[table_id]
            wanted = [(DEFAULT, declared.internet_gateway)] if entry.kind == "public" else []
            wanted += [(d, card.id) for d in through(declared, entry)] if card else []
            for destination, target in wanted:
                route = created(table, destination)
                if (route and route.target == target) or (blocked and route and route.target == NAT):
                    continue
                there = route.target if route else "nothing"
                found[f"route {table_id} {destination}"] = f"leads to {there}, not to {target}"

    def _wrong_subnets(self, entry: Table, table: RouteTable, found: dict[str, str]) -> None:
        """Find the subnets that are with another table; each waits until its own leads somewhere."""
        remedy = created(table, DEFAULT)
        if remedy is None or remedy.state != "active":
            return
        for subnet_id in entry.subnets:
            if subnet_id in self.vpc.subnets and subnet_id not in table.associations:
                found[f"subnet {subnet_id}"] = f"is not associated with {table.id}"

    def _wrong_router(
        self, declared: Topology, card: Interface, found: dict[str, str], *, waiting: bool
    ) -> None:
        if card.source_dest_check:
            found[f"check {card.id}"] = "is on"
        elastic_ip = self.vpc.elastic_ips.get(declared.elastic_ip)
        address = str(declared.private_address or card.addresses[0])
        if elastic_ip is None or (elastic_ip.interface_id == NAT_CARD and not waiting):
            return
        if (elastic_ip.interface_id, elastic_ip.private_address) != (card.id, address):
            found["elastic ip"] = f"is on {elastic_ip.interface_id} {elastic_ip.private_address}"

    def notice_in_force(self, instance: Instance, heard: float) -> bool:
        """Return whether AWS is about to take this launch of an instance, and has said so since a moment."""
        launched, now = seconds(instance.launched_at), self.vpc.now
        return any(
            launched <= w.since <= now < w.until and (w.since if w.due is None else w.due) >= heard
            for w in self.warned.get(instance.id, ())
        )


def opens_ssh(rule: IngressRule) -> bool:
    """Return whether a rule opens ssh to the world, and nothing else."""
    return (rule.protocol, rule.from_port, rule.to_port, rule.source) == ("tcp", 22, 22, DEFAULT)


def is_candidate(instance: Instance, declared: Topology) -> bool:
    """Return whether an instance's tags make it a candidate."""
    return any(tags.match(instance.tags) for tags in declared.candidates)


def pinned(instance: Instance, declared: Topology) -> Interface | None:
    """Find an instance's interface that routes would lead to."""
    if declared.private_address is None:
        return instance.interfaces[0] if instance.interfaces else None
    wanted = str(declared.private_address)
    return next((card for card in instance.interfaces if wanted in card.addresses), None)


_destinations: dict[tuple[int, str, bool], tuple[Topology, list[str]]] = {}


def through(declared: Topology, entry: Table) -> list[str]:
    """Return the destinations that a table must route to the router; printed once, since that is slow."""
    key = (id(declared), entry.kind, entry.office_routes)
    if key not in _destinations:
        remote = (
            [str(n) for n in (*declared.office_networks, declared.vpn_clients)] if entry.office_routes else []
        )
        _destinations[key] = (declared, remote if entry.kind == "public" else [DEFAULT, *remote])
    return _destinations[key][1]
