"""A small VPC that behaves like AWS as far as Mooring can tell: what the fakes lean on and the oracle asks.

Its refusals carry AWS's codes. People and AWS change it through the verbs at its end, Mooring through `apply`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    CreateRoute,
    DisableSourceDestCheck,
    ReplaceRoute,
    RevokeIngress,
)
from chalicelib.core.network.observation import Observation, Route
from tests.builders import GATEWAY, GROUP, NOON, an_id
from tests.core.unread import OPTIONS, RULES, STATUSES, SUBNETS, checked, unchecked
from tests.oracle import AddressFact, Facts, InterfaceFact, RouteFact, RuleFact, TableFact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from chalicelib.core.network.change import NetworkChange
    from chalicelib.core.network.observation import (
        ElasticIp,
        IngressRule,
        Instance,
        Interface,
        RouteTable,
        Subnet,
    )
    from chalicelib.core.network.topology import Topology

DEAD = ("stopped", "terminated")


class Refused(Exception):  # noqa: N818 - what AWS did
    """AWS did not do it, and said why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclass
class Model:
    """One VPC, by id; the values are frozen, so a copy is cheap and stays as it was."""

    tables: dict[str, RouteTable]
    instances: dict[str, Instance]
    elastic_ips: dict[str, ElasticIp]
    ingress: dict[str, IngressRule]
    dhcp_options: str = an_id("dopt", 99)
    group_id: str = GROUP
    gateway: str = GATEWAY
    loose: dict[str, Interface] = field(default_factory=dict)
    subnets: dict[str, Subnet] | None = None
    ended: dict[str, Instance] = field(default_factory=dict)
    ids: int = 1000

    @classmethod
    def of(cls, seen: Observation) -> Model:
        """Build the VPC that a snapshot shows."""
        return cls(
            tables={t.id: t for t in seen.tables},
            instances={i.id: i for i in seen.instances},
            elastic_ips={e.allocation_id: e for e in seen.elastic_ips},
            ingress={r.id: r for r in seen.ingress},
            dhcp_options=seen.dhcp_options or an_id("dopt", 99),
            subnets=None if seen.subnets is None else {s.id: s for s in seen.subnets},
        )

    def copy(self) -> Model:
        """Return the VPC as it is now; later changes do not reach the copy."""
        return replace(
            self,
            tables=dict(self.tables),
            instances=dict(self.instances),
            elastic_ips=dict(self.elastic_ips),
            ingress=dict(self.ingress),
            loose=dict(self.loose),
            subnets=None if self.subnets is None else dict(self.subnets),
            ended=dict(self.ended),
        )

    def observe(
        self, topology: Topology, at: datetime, unread: Mapping[str, str] | None = None
    ) -> Observation:
        """Return what a truthful look at the VPC returns: a whole one, but for the readings that fail with a reason."""
        unread = dict(unread or {})
        tables = (
            replace(t, routes=tuple(replace(r, state=self.state_of(r.target)) for r in t.routes))
            for t in self.tables.values()
        )
        return Observation(
            taken_at=at,
            tables=tuple(tables),
            instances=tuple(
                unchecked(i) if STATUSES in unread else checked(i) for i in self.instances.values()
            ),
            elastic_ips=tuple(self.elastic_ips.values()),
            ingress=() if RULES in unread else tuple(self.ingress.values()),
            dhcp_options=self.dhcp_options if topology.dhcp_options and OPTIONS not in unread else None,
            subnets=None if self.subnets is None or SUBNETS in unread else tuple(self.subnets.values()),
            unread=unread,
        )

    def instance(self, instance_id: str) -> Instance | None:
        """Return what a look at one instance returns, which reads no status checks; one that has ended is shown for a while."""
        found = self.instances.get(instance_id) or self.ended.get(instance_id)
        return found and unchecked(found)

    def facts(self) -> Facts:
        """Return the VPC as the oracle wants to know it."""
        interfaces = {
            i.id: InterfaceFact(i.subnet_id, i.addresses, i.source_dest_check) for i in self.loose.values()
        }
        for instance in self.instances.values():
            for i in instance.interfaces:
                interfaces[i.id] = InterfaceFact(
                    subnet_id=i.subnet_id,
                    addresses=i.addresses,
                    check=i.source_dest_check,
                    instance_id=instance.id,
                    instance_state=instance.state,
                    instance_tags=instance.tags,
                    impaired=instance.checks == "impaired",
                )
        return Facts(
            tables={t.id: self._table_fact(t) for t in self.tables.values()},
            interfaces=interfaces,
            addresses={
                e.allocation_id: AddressFact(e.public_address, e.interface_id, e.private_address)
                for e in self.elastic_ips.values()
            },
            rules={
                r.id: RuleFact(
                    self.group_id,
                    egress=False,
                    protocol=r.protocol,
                    ports=(r.from_port, r.to_port),
                    source=r.source,
                )
                for r in self.ingress.values()
            },
            dhcp_options=self.dhcp_options,
        )

    def _table_fact(self, table: RouteTable) -> TableFact:
        routes = (RouteFact(r.destination, r.target, self.state_of(r.target), r.origin) for r in table.routes)
        return TableFact(table.main, table.tags, frozenset(routes), frozenset(table.associations))

    def state_of(self, target: str) -> str:
        """Return whether a route's target is there: a stopped instance's interface is, but forwards nothing."""
        if not target.startswith("eni-"):
            return "active"
        owner = self.owner_of(target)
        return "active" if owner and owner.state not in DEAD else "blackhole"

    def owner_of(self, eni: str) -> Instance | None:
        """Find the instance an interface is attached to."""
        owners = (i for i in self.instances.values() if any(n.id == eni for n in i.interfaces))
        return next(owners, None)

    # -- what Mooring may ask ------------------------------------------------------------------------

    def apply(self, change: NetworkChange) -> None:
        """Make one change, or raise `Refused` and leave everything as it was."""
        match change:
            case DisableSourceDestCheck():
                self._interface(change.interface_id)
                self.check(change.interface_id, on=False)
            case CreateRoute():
                self._create_route(change)
            case ReplaceRoute():
                self._replace_route(change)
            case AssociateAddress():
                self._associate_address(change)
            case AssociateRouteTable():
                self._associate_table(change)
            case AssociateDhcpOptions():
                self.dhcp_options = change.options_id
            case RevokeIngress():
                open_to_all = [r.id for r in self.ingress.values() if r.bootstrap]
                if change.group_id != self.group_id or not open_to_all:
                    raise Refused("InvalidPermission.NotFound", change.rule_id)
                for rule_id in open_to_all:
                    del self.ingress[rule_id]
            case _:
                assert_never(change)

    def _create_route(self, change: CreateRoute) -> None:
        """A propagated route does not stand in the way: the created one wins over it."""
        self._need_target(change.target)
        if self._table(change.table_id).static(change.destination):
            raise Refused(
                "RouteAlreadyExists", f"The route identified by {change.destination} already exists."
            )
        self.route(change.table_id, change.destination, change.target)

    def _replace_route(self, change: ReplaceRoute) -> None:
        self._need_target(change.target)
        if not self._table(change.table_id).static(change.destination):
            raise Refused(
                "InvalidParameterValue",
                f"There is no route defined for '{change.destination}'. Use CreateRoute.",
            )
        self.route(change.table_id, change.destination, change.target)

    def _associate_address(self, change: AssociateAddress) -> None:
        """Whoever sat on the private address is thrown off: the call allows reassociation."""
        if change.allocation_id not in self.elastic_ips:
            raise Refused("InvalidAllocationID.NotFound", change.allocation_id)
        if change.private_address not in self._interface(change.interface_id).addresses:
            raise Refused(
                "InvalidParameterValue", f"{change.private_address} is not assigned to the interface"
            )
        for other in list(self.elastic_ips.values()):
            if (other.interface_id, other.private_address) == (change.interface_id, change.private_address):
                self.elastic_ips[other.allocation_id] = replace(
                    other, interface_id=None, private_address=None
                )
        self.put_address(change.allocation_id, change.interface_id, change.private_address)

    def _associate_table(self, change: AssociateRouteTable) -> None:
        self._table(change.table_id)
        current = next((t for t in self.tables.values() if change.subnet_id in t.associations), None)
        association_id = current.associations[change.subnet_id] if current else None
        if change.association_id is None and current:
            raise Refused("Resource.AlreadyAssociated", f"{change.subnet_id} is associated with {current.id}")
        if change.association_id not in (None, association_id):
            raise Refused("InvalidAssociationID.NotFound", str(change.association_id))
        self.associate(change.subnet_id, change.table_id)

    def _table(self, table_id: str) -> RouteTable:
        if table_id not in self.tables:
            raise Refused("InvalidRouteTableID.NotFound", table_id)
        return self.tables[table_id]

    def _interface(self, eni: str) -> Interface:
        owned = [n for i in self.instances.values() for n in i.interfaces]
        found = next((n for n in (*owned, *self.loose.values()) if n.id == eni), None)
        if found is None:
            raise Refused(
                "InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{eni}' does not exist"
            )
        return found

    def _need_target(self, target: str) -> None:
        if target.startswith("igw-") and target != self.gateway:
            raise Refused("InvalidGatewayID.NotFound", target)
        if target.startswith("eni-"):
            self._interface(target)

    # -- what people and AWS do ----------------------------------------------------------------------

    def next_id(self, kind: str) -> str:
        """Make a new id."""
        self.ids += 1
        return an_id(kind, self.ids)

    def route(self, table_id: str, destination: str, target: str) -> None:
        """Create a route, or point it elsewhere."""
        table = self.tables[table_id]
        new = Route(destination, target)
        if table.static(destination):
            routes = tuple(new if _is(r, destination) else r for r in table.routes)
        else:
            routes = (*table.routes, new)
        self.tables[table_id] = replace(table, routes=routes)

    def unroute(self, table_id: str, destination: str) -> None:
        """Delete a route."""
        table = self.tables[table_id]
        kept = tuple(r for r in table.routes if not _is(r, destination))
        self.tables[table_id] = replace(table, routes=kept)

    def associate(self, subnet_id: str, table_id: str | None) -> None:
        """Move a subnet to a table, or back to the main one."""
        for table in list(self.tables.values()):
            rest = {s: a for s, a in table.associations.items() if s != subnet_id}
            if table.id == table_id:
                rest[subnet_id] = self.next_id("rtbassoc")
            unsettled = {s: state for s, state in table.unsettled.items() if s != subnet_id}
            self.tables[table.id] = replace(table, associations=rest, unsettled=unsettled)

    def unsettle(self, subnet_id: str, state: str) -> None:
        """Let a subnet's association be in a state other than in force."""
        for table in list(self.tables.values()):
            if subnet_id in table.associations:
                rest = {s: a for s, a in table.associations.items() if s != subnet_id}
                unsettled = table.unsettled | {subnet_id: state}
                self.tables[table.id] = replace(table, associations=rest, unsettled=unsettled)

    def put_address(self, allocation_id: str, eni: str | None, private_address: str | None = None) -> None:
        """Associate an Elastic IP with an interface, or with nothing."""
        old = self.elastic_ips[allocation_id]
        self.elastic_ips[allocation_id] = replace(old, interface_id=eni, private_address=private_address)

    def check(self, eni: str, *, on: bool) -> None:
        """Switch an interface's source/dest check."""
        if eni in self.loose:
            self.loose[eni] = replace(self.loose[eni], source_dest_check=on)
        for instance in list(self.instances.values()):
            cards = tuple(replace(n, source_dest_check=on) if n.id == eni else n for n in instance.interfaces)
            self.instances[instance.id] = replace(instance, interfaces=cards)

    def launch(self, instance: Instance, *prepared: str) -> None:
        """Start an instance: its own interfaces come with the check on, prepared ones as they were left."""
        cards = [replace(i, source_dest_check=True) for i in instance.interfaces]
        cards += [self.loose.pop(eni) for eni in prepared]
        self.instances[instance.id] = replace(instance, interfaces=tuple(cards))

    def terminate(self, instance_id: str, *prepared: str) -> None:
        """End an instance: its interfaces are deleted, and Elastic IPs fall off; prepared interfaces stay."""
        for card in self.instances.pop(instance_id).interfaces:
            if card.id in prepared:
                self.loose[card.id] = card
                continue
            for elastic_ip in list(self.elastic_ips.values()):
                if elastic_ip.interface_id == card.id:
                    self.put_address(elastic_ip.allocation_id, None)

    def end(self, instance_id: str) -> None:
        """Terminate an instance, which EC2 then shows for about an hour to who asks for it by its id."""
        ended = replace(self.instances[instance_id], state="terminated", interfaces=(), public_address=None)
        self.terminate(instance_id)
        self.ended[instance_id] = ended

    def start(self, instance_id: str, at: datetime) -> None:
        """Start a stopped instance: that is a launch."""
        stopped = self.instances[instance_id]
        self.instances[instance_id] = replace(stopped, state="running", launched_at=at, listed=True)

    def become(
        self, instance_id: str, state: str | None = None, checks: str | None = None, notice: str | None = None
    ) -> None:
        """Change what EC2 says of an instance; what is not named stays, but a notice is withdrawn."""
        old = self.instances[instance_id]
        state = state or old.state
        if old.state == "stopped" and state in ("pending", "running"):  # a start is another launch
            old = replace(old, launched_at=max(old.launched_at, NOON) + timedelta(seconds=1))
        self.instances[instance_id] = replace(
            old, state=state, checks=checks or old.checks, notice=notice, listed=state == "running"
        )


def _is(route: Route, destination: str) -> bool:
    return route.destination == destination and route.origin == "CreateRoute"
