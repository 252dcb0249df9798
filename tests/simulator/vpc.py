"""The truth: one VPC as it is and as it was, each AWS API with a history of its own, so that a read may show any age.

Its refusals carry AWS's codes. People and AWS change it through the verbs at its end, Mooring through `writes`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chalicelib.core.network.observation import ElasticIp, Instance, Interface, Route, RouteTable, Subnet
from tests.builders import EIP, NOON, an_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.core.network.observation import IngressRule, Observation, ScheduledEvent

INSTANCES, STATUS, TABLES = "DescribeInstances", "DescribeInstanceStatus", "DescribeRouteTables"
ADDRESSES, RULES = "DescribeAddresses", "DescribeSecurityGroupRules"
SUBNETS, VPCS = "DescribeSubnets", "DescribeVpcs"
READS = (INSTANCES, TABLES, ADDRESSES, STATUS, RULES, SUBNETS, VPCS)

NAT, NAT_CARD = an_id("nat", 1), an_id("eni", 0x4A7)
"""A NAT gateway of somebody's, and its interface: EC2 lets nobody take an Elastic IP from it."""

LISTED = 3600.0
"""Seconds for which EC2 knows a terminated instance by its id."""

DEAD = ("stopped", "terminated")
LONG_AGO = float("-inf")


@lru_cache(maxsize=64)
def moment(at: float) -> datetime:
    """Return a moment of the simulation as a time, UTC."""
    return NOON + timedelta(seconds=at)


def seconds(at: datetime) -> float:
    """Return a time as a moment of the simulation."""
    return (at.astimezone(UTC) - NOON).total_seconds()


@dataclass(frozen=True, slots=True)
class Status:
    """What DescribeInstanceStatus says of a running instance."""

    checks: str = "ok"
    impaired_since: datetime | None = None
    events: tuple[ScheduledEvent, ...] = ()


OK = Status()


def created(table: RouteTable, destination: str) -> Route | None:
    """Find the route that somebody created for a destination, whatever a gateway propagates."""
    found = (r for r in table.routes if r.destination == destination and r.origin == "CreateRoute")
    return next(found, None)


class Vpc:
    """One VPC, by id. `now` is the time in seconds since noon; `version` counts what happened to it."""

    def __init__(self, seen: Observation, subnets: tuple[Subnet, ...], options: str) -> None:
        self.now = 0.0
        self.version = 0
        self.watch: Callable[[], None] | None = None
        self.ids = 1000
        self.tables = {t.id: t for t in seen.tables}
        self.instances = {i.id: i for i in seen.instances}
        self.statuses = {i.id: OK for i in seen.instances}
        self.elastic_ips = {e.allocation_id: e for e in seen.elastic_ips}
        self.rules = {r.id: r for r in seen.ingress}
        self.subnets = {s.id: s for s in subnets}
        self.options = options
        self.ended: dict[str, tuple[float, Instance]] = {}
        self.past: dict[str, list[tuple[float, Any]]] = {}
        for api in READS:
            self.past[api] = [(LONG_AGO, self._value(api))]

    def _value(self, api: str) -> Any:  # noqa: ANN401 - each API has its own shape
        if api == TABLES:
            return tuple(self.tables.values())
        if api == INSTANCES:
            return tuple(self.instances.values())
        if api == ADDRESSES:
            return tuple(self.elastic_ips.values())
        if api == STATUS:
            return dict(self.statuses)
        if api == RULES:
            return tuple(self.rules.values())
        return tuple(self.subnets.values()) if api == SUBNETS else self.options

    def _happened(self, *apis: str) -> None:
        """Put what an API would say now into its history."""
        self.version += 1
        for api in apis:
            self.past[api].append((self.now, self._value(api)))
        if self.watch:
            self.watch()

    def shown(self, api: str, at: float) -> Any:  # noqa: ANN401 - each API has its own shape
        """Return what an API said at a moment."""
        past = self.past[api]
        since, value = past[-1]
        if since <= at:
            return value
        return next(value for since, value in reversed(past) if since <= at)

    def shown_since(self, api: str, at: float) -> list[Any]:
        """Return everything an API said since a moment, the latest first."""
        found = []
        for since, value in reversed(self.past[api]):
            found.append(value)
            if since <= at:
                break
        return found

    def by_id(self, instance_id: str, at: float) -> Instance | None:
        """Return an instance as DescribeInstances by its id said at a moment; a terminated one is known for an hour."""
        listed: tuple[Instance, ...] = self.shown(INSTANCES, at)
        found = next((i for i in listed if i.id == instance_id), None)
        if found or instance_id not in self.ended:
            return found
        since, instance = self.ended[instance_id]
        return instance if since <= at < since + LISTED else None

    def next_id(self, kind: str) -> str:
        """Make a new id."""
        self.ids += 1
        return an_id(kind, self.ids)

    def owner_of(self, eni: str) -> Instance | None:
        """Find the instance an interface is attached to."""
        for instance in self.instances.values():
            for card in instance.interfaces:
                if card.id == eni:
                    return instance
        return None

    def card(self, eni: str) -> Interface | None:
        """Find an instance's interface."""
        owner = self.owner_of(eni)
        return next((n for n in owner.interfaces if n.id == eni), None) if owner else None

    # -- what people and AWS do ----------------------------------------------------------------------

    def route(self, table_id: str, destination: str, target: str) -> None:
        """Create a route, or point it elsewhere."""
        self.unroute(table_id, destination, silent=True)
        table = self.tables[table_id]
        self._put_table(table, (*table.routes, Route(destination, target, self._state_of(target))))
        self._happened(TABLES)

    def unroute(self, table_id: str, destination: str, *, silent: bool = False) -> None:
        """Delete a route."""
        table = self.tables[table_id]
        kept = [r for r in table.routes if r.destination != destination or r.origin != "CreateRoute"]
        self._put_table(table, tuple(kept))
        if not silent:
            self._happened(TABLES)

    def _put_table(self, table: RouteTable, routes: tuple[Route, ...]) -> None:
        self.tables[table.id] = RouteTable(
            table.id, table.main, table.tags, routes, table.associations, table.unsettled
        )

    def propagate(self, table_id: str, route: Route) -> None:
        """Have a gateway propagate a route; AWS lists it among the others."""
        table = self.tables[table_id]
        self._put_table(table, (route, *(r for r in table.routes if r != route)))
        self._happened(TABLES)

    def delete_table(self, table_id: str) -> None:
        """Delete a table; its subnets fall back to the main one."""
        del self.tables[table_id]
        self._happened(TABLES)

    def tag_table(self, table_id: str, tags: dict[str, str]) -> None:
        """Return a table other tags."""
        self.tables[table_id] = replace(self.tables[table_id], tags=tags)
        self._happened(TABLES)

    def associate(self, subnet_id: str, table_id: str | None) -> None:
        """Move a subnet to a table, or back to the main one."""
        for table in list(self.tables.values()):
            rest = {s: a for s, a in table.associations.items() if s != subnet_id}
            if table.id == table_id:
                rest[subnet_id] = self.next_id("rtbassoc")
            self.tables[table.id] = replace(table, associations=rest)
        self._happened(TABLES)

    def unsettle(self, subnet_id: str, state: str) -> None:
        """Let a subnet's association be in a state other than in force."""
        table = next(t for t in self.tables.values() if subnet_id in t.associations)
        rest = {s: a for s, a in table.associations.items() if s != subnet_id}
        unsettled = {**table.unsettled, subnet_id: state}
        self.tables[table.id] = replace(table, associations=rest, unsettled=unsettled)
        self._happened(TABLES)

    def delete_subnet(self, subnet_id: str) -> None:
        """Delete a subnet, and with it its association."""
        del self.subnets[subnet_id]
        self.associate(subnet_id, None)
        self._happened(SUBNETS)

    def put_address(self, allocation_id: str, eni: str | None, private_address: str | None = None) -> None:
        """Associate an Elastic IP with an interface, or with nothing; whoever sat there is thrown off."""
        for other in list(self.elastic_ips.values()):
            if eni and (other.interface_id, other.private_address) == (eni, private_address):
                self._put_address(other, None, None)
        self._put_address(self.elastic_ips[allocation_id], eni, private_address)
        self._happened(ADDRESSES)

    def _put_address(self, old: ElasticIp, eni: str | None, private_address: str | None) -> None:
        self.elastic_ips[old.allocation_id] = ElasticIp(
            old.allocation_id, old.public_address, eni, private_address, old.tags
        )

    def new_address(self, eni: str, private_address: str) -> None:
        """Put an Elastic IP of somebody's on an interface, unless one is there."""
        if any(
            (e.interface_id, e.private_address) == (eni, private_address) for e in self.elastic_ips.values()
        ):
            return
        allocation_id = self.next_id("eipalloc")
        number = f"198.51.100.{self.ids % 250}"
        self.elastic_ips[allocation_id] = ElasticIp(allocation_id, number, eni, private_address)
        self._happened(ADDRESSES)

    def release(self, allocation_id: str) -> None:
        """Release an Elastic IP that is not the declared one."""
        if allocation_id != EIP:
            del self.elastic_ips[allocation_id]
            self._happened(ADDRESSES)

    def check(self, eni: str, *, on: bool) -> None:
        """Switch an interface's source/dest check."""
        owner = self.owner_of(eni)
        if owner is None:
            return
        cards = tuple(
            Interface(n.id, n.subnet_id, n.addresses, on) if n.id == eni else n for n in owner.interfaces
        )
        self.instances[owner.id] = replace(owner, interfaces=cards)
        self._happened(INSTANCES)

    def launch(self, instance: Instance) -> None:
        """Start a new instance, running."""
        self.instances[instance.id] = instance
        self.statuses[instance.id] = Status("initializing")
        self._happened(INSTANCES, STATUS)

    def become(self, instance_id: str, state: str) -> None:
        """Return an instance another state; a start is a launch, and its status checks begin anew."""
        old = self.instances[instance_id]
        launched = moment(self.now).replace(microsecond=0) if state == "pending" else old.launched_at
        if state == "running" and old.state == "stopped":
            launched = moment(self.now).replace(microsecond=0)
        self.instances[instance_id] = replace(old, state=state, launched_at=launched)
        self.statuses.pop(instance_id, None)
        if state == "running":
            self.statuses[instance_id] = OK
        self._restate()
        self._happened(INSTANCES, STATUS, TABLES)

    def status(self, instance_id: str, status: Status) -> None:
        """Have AWS say something else of a running instance."""
        self.statuses[instance_id] = status
        self._happened(STATUS)

    def retag(self, instance_id: str, tags: dict[str, str]) -> None:
        """Return an instance other tags."""
        self.instances[instance_id] = replace(self.instances[instance_id], tags=tags)
        self._happened(INSTANCES)

    def terminate(self, instance_id: str) -> None:
        """End an instance: its interfaces are deleted, and Elastic IPs fall off."""
        gone = self.instances.pop(instance_id)
        self.ended[instance_id] = (self.now, replace(gone, state="terminated", interfaces=()))
        self.statuses.pop(instance_id, None)
        cards = {card.id for card in gone.interfaces}
        for elastic_ip in list(self.elastic_ips.values()):
            if elastic_ip.interface_id in cards:
                self._put_address(elastic_ip, None, None)
        self._restate()
        self._happened(INSTANCES, STATUS, TABLES, ADDRESSES)

    def rule(self, rule: IngressRule) -> None:
        """Add a rule to the router's security group."""
        self.rules[rule.id] = rule
        self._happened(RULES)

    def revoke(self, rule_id: str) -> None:
        """Take a rule from the router's security group."""
        del self.rules[rule_id]
        self._happened(RULES)

    def use_options(self, options: str) -> None:
        """Return the VPC other DHCP options."""
        self.options = options
        self._happened(VPCS)

    def _state_of(self, target: str) -> str:
        if not target.startswith("eni-"):
            return "active"
        owner = self.owner_of(target)
        return "active" if owner and owner.state not in DEAD else "blackhole"

    def _restate(self) -> None:
        """Return of every route anew whether its target is there."""
        for table in list(self.tables.values()):
            states = [self._state_of(r.target) for r in table.routes]
            if states != [r.state for r in table.routes]:
                routes = zip(table.routes, states, strict=True)
                self._put_table(
                    table, tuple(Route(r.destination, r.target, state, r.origin) for r, state in routes)
                )
