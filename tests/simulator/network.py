"""The network port: shows each API at an age of its own, and carries changes out on the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

from chalicelib.core.errors import ObservationError
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    CreateRoute,
    DisableSourceDestCheck,
    ReplaceRoute,
    RevokeIngress,
    line,
)
from chalicelib.core.network.observation import Instance, Observation
from chalicelib.core.network.report import Failure
from tests.builders import GATEWAY, GROUP
from tests.simulator.course import CODES, LATENCY
from tests.simulator.vpc import (
    ADDRESSES,
    INSTANCES,
    NAT_CARD,
    OK,
    RULES,
    STATUS,
    SUBNETS,
    TABLES,
    VPCS,
    Status,
    created,
    moment,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.core.network.change import NetworkChange
    from chalicelib.core.network.topology import Topology
    from tests.simulator.course import Course
    from tests.simulator.judge import Judge
    from tests.simulator.vpc import Vpc

ESSENTIAL = (INSTANCES, TABLES, ADDRESSES)
"""Without these no pin can be moved; the others are told to be missing (`Observation.unread`)."""

API = {
    DisableSourceDestCheck: "ModifyNetworkInterfaceAttribute",
    CreateRoute: "CreateRoute",
    ReplaceRoute: "ReplaceRoute",
    AssociateAddress: "AssociateAddress",
    AssociateRouteTable: "AssociateRouteTable",
    AssociateDhcpOptions: "AssociateDhcpOptions",
    RevokeIngress: "RevokeSecurityGroupIngress",
}


class Refused(Exception):  # noqa: N818 - what AWS did
    """AWS did not do it, and said why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class SimulatedNetwork:
    """Implements `ports.Network` over the truth; every write is judged."""

    def __init__(self, course: Course, judge: Judge) -> None:
        self._course, self._judge, self._vpc = course, judge, course.vpc
        self._hung = False

    # -- what is shown -------------------------------------------------------------------------------

    def observe(self, topology: Topology, seconds: float = 20.0) -> Observation:
        """Look, at each API's own age; half of the calls are answered before what happens meanwhile, half after."""
        course, vpc = self._course, self._vpc
        run = course.running[-1]
        taken_at = moment(vpc.now + run.skew)
        run.looks += 1
        apis = [INSTANCES, TABLES, ADDRESSES, STATUS, SUBNETS]
        apis += [RULES] if topology.ssh != "unmanaged" and topology.security_group else []
        apis += [VPCS] if topology.dhcp_options else []
        failed = {api: kind for api in apis if (kind := course.met(api))} if course.faults else {}
        if not failed:
            course.met("look")
        shown = {api: self._shown(api) for api in apis[:2] if api not in failed}
        course.spend(seconds if "hang" in failed.values() else LATENCY)
        shown |= {api: self._shown(api) for api in apis[2:] if api not in failed}
        course.done("look")
        needed = [api for api in ESSENTIAL if api in failed]
        if needed:
            run.blind = run.blind or not run.looked
            code = CODES[failed[needed[0]]]
            raise ObservationError(f"ec2:{', ec2:'.join(needed)} failed: {code}", aws_code=code)
        run.looked = True
        return Observation(
            taken_at=taken_at,
            tables=shown[TABLES] if course.chance(0.8) else shown[TABLES][::-1],
            instances=self._with_status(shown[INSTANCES], shown.get(STATUS)),
            elastic_ips=shown[ADDRESSES],
            ingress=shown.get(RULES, ()),
            dhcp_options=shown.get(VPCS),
            group_seen=True,
            subnets=shown.get(SUBNETS),
            unread={f"ec2:{api}": f"{CODES[kind]}: {kind}" for api, kind in failed.items()},
        )

    def _shown(self, api: str) -> Any:  # noqa: ANN401 - each API has its own shape
        course = self._course
        age = course.lag(api) if course.lag else 0.0
        if age:
            course.running[-1].calm = False
            course.running[-1].late.add(api)
            course.say(f"{api} is shown {age:.0f} s old")
        return self._vpc.shown(api, self._vpc.now - age)

    @staticmethod
    def _with_status(
        listed: tuple[Instance, ...], statuses: dict[str, Status] | None
    ) -> tuple[Instance, ...]:
        """Add what the other reading says, as `aws.ec2` does: what it does not list is unknown."""
        found = []
        for instance in listed:
            status = statuses.get(instance.id) if statuses is not None else None
            if status is OK:
                found.append(instance)
            elif status is None:
                missing = None if statuses is None else False
                found.append(replace(instance, checks="unknown", listed=missing))
            else:
                since, events = status.impaired_since, status.events
                found.append(replace(instance, checks=status.checks, impaired_since=since, events=events))
        return tuple(found)

    def instance(self, instance_id: str, seconds: float = 20.0) -> Instance | None:
        """Look for one instance by its id, at an age of its own."""
        course = self._course
        if kind := course.call(INSTANCES, instance_id, seconds):
            raise ObservationError(f"ec2:{INSTANCES} failed: {CODES[kind]}", aws_code=CODES[kind])
        age = course.lag(INSTANCES) if course.lag else 0.0
        if age:
            course.running[-1].calm = False
            course.running[-1].late.add(INSTANCES)
        found = self._vpc.by_id(instance_id, self._vpc.now - age)
        course.say(f"{instance_id} by its id, {age:.0f} s old: {found.state if found else 'unknown'}")
        course.done(INSTANCES)
        return replace(found, checks="unknown", listed=None) if found else None

    # -- what is done --------------------------------------------------------------------------------

    def apply(self, changes: Sequence[NetworkChange], seconds: float) -> Sequence[Failure | None]:
        """Attempt the changes one by one, in an order that is drawn: the edge makes them in parallel.

        One that hangs holds up no other: it is waited for once the rest is answered.
        """
        course, end = self._course, self._vpc.now + seconds
        turn = int(course.random.random() * len(changes)) if course.chance(0.3) else 0
        failures: dict[int, Failure | None] = {}
        self._hung = False
        for place in range(len(changes)):
            index = (place + turn) % len(changes)
            left = end - self._vpc.now
            if left <= 0:
                failures[index] = Failure("OutOfTime", "there was no time left to attempt it", retryable=True)
                continue
            failures[index] = self._write(changes[index])
        if self._hung:
            course.spend(max(0.0, min(end, course.limit) - self._vpc.now))
        return [failures[index] for index in range(len(changes))]

    def _write(self, change: NetworkChange) -> Failure | None:
        course = self._course
        api, run = API[type(change)], course.running[-1]
        kind = course.met(api, _resource(change))
        course.spend(LATENCY)
        self._hung |= kind == "hang"
        run.writes += 1
        if kind in ("throttle", "refuse", "hang"):
            self._judge.attempted(run, change)
            return Failure(CODES[kind], f"ec2:{api}: {kind}", retryable=kind != "refuse")
        self._judge.attempted(run, change)
        try:
            self._carry_out(change)
        except Refused as refusal:
            course.say(f"refused: {line(change)}: {refusal.code}")
            return Failure(refusal.code, refusal.message, retryable=False)
        if course.lines is not None:
            course.say(f"wrote {line(change)}   because {change.reason}")
        self._judge.written(run, change)
        course.done(api)
        return Failure(CODES["lose"], "no reply", retryable=True) if kind == "lose" else None

    def _carry_out(self, change: NetworkChange) -> None:
        """Make a change; a route that came or went meanwhile is written in the other way, as `aws.writes` does."""
        try:
            carry_out(self._vpc, change)
        except Refused as refusal:
            match change, refusal.code:
                case CreateRoute(table, destination, target, reason), "RouteAlreadyExists":
                    carry_out(self._vpc, ReplaceRoute(table, destination, target, "", reason))
                case ReplaceRoute(table, destination, target, _, reason), "InvalidParameterValue":
                    carry_out(self._vpc, CreateRoute(table, destination, target, reason))
                case _:
                    raise


def _resource(change: NetworkChange) -> str:
    match change:
        case CreateRoute() | ReplaceRoute() | AssociateRouteTable():
            return change.table_id
        case DisableSourceDestCheck() | AssociateAddress():
            return change.interface_id
        case AssociateDhcpOptions():
            return change.vpc_id
        case RevokeIngress():
            return change.rule_id
        case _:
            assert_never(change)


def carry_out(vpc: Vpc, change: NetworkChange) -> None:
    """Make one change as EC2 would, or raise `Refused` and leave everything as it was."""
    match change:
        case DisableSourceDestCheck():
            _need_card(vpc, change.interface_id)
            vpc.check(change.interface_id, on=False)
        case CreateRoute() | ReplaceRoute():
            _route(vpc, change)
        case AssociateAddress():
            _associate_address(vpc, change)
        case AssociateRouteTable():
            _associate_table(vpc, change)
        case AssociateDhcpOptions():
            vpc.use_options(change.options_id)
        case RevokeIngress():
            open_to_all = [rule.id for rule in vpc.rules.values() if rule.bootstrap]
            if change.group_id != GROUP or not open_to_all:
                raise Refused("InvalidPermission.NotFound", change.rule_id)
            for rule_id in open_to_all:
                vpc.revoke(rule_id)
        case _:
            assert_never(change)


def _route(vpc: Vpc, change: CreateRoute | ReplaceRoute) -> None:
    if change.target.startswith("igw-") and change.target != GATEWAY:
        raise Refused("InvalidGatewayID.NotFound", change.target)
    if change.target.startswith("eni-"):
        _need_card(vpc, change.target)
    if change.table_id not in vpc.tables:
        raise Refused("InvalidRouteTableID.NotFound", change.table_id)
    there = created(vpc.tables[change.table_id], change.destination)
    if isinstance(change, CreateRoute) and there:
        raise Refused("RouteAlreadyExists", f"The route identified by {change.destination} already exists.")
    if isinstance(change, ReplaceRoute) and not there:
        raise Refused(
            "InvalidParameterValue",
            f"There is no route defined for '{change.destination}' in the route table. Use CreateRoute.",
        )
    vpc.route(change.table_id, change.destination, change.target)


def _associate_address(vpc: Vpc, change: AssociateAddress) -> None:
    if change.allocation_id not in vpc.elastic_ips:
        raise Refused("InvalidAllocationID.NotFound", change.allocation_id)
    if vpc.elastic_ips[change.allocation_id].interface_id == NAT_CARD:
        raise Refused("AuthFailure", "You do not have permission to access the specified resource.")
    _need_card(vpc, change.interface_id)
    card = vpc.card(change.interface_id)
    if card and change.private_address not in card.addresses:
        raise Refused("InvalidParameterValue", f"{change.private_address} is not assigned to the interface")
    vpc.put_address(change.allocation_id, change.interface_id, change.private_address)


def _associate_table(vpc: Vpc, change: AssociateRouteTable) -> None:
    if change.table_id not in vpc.tables:
        raise Refused("InvalidRouteTableID.NotFound", change.table_id)
    current = next((t for t in vpc.tables.values() if change.subnet_id in t.associations), None)
    association_id = current.associations[change.subnet_id] if current else None
    if change.association_id is None and current:
        raise Refused("Resource.AlreadyAssociated", f"{change.subnet_id} is associated with {current.id}")
    if change.association_id not in (None, association_id):
        raise Refused("InvalidAssociationID.NotFound", str(change.association_id))
    if change.subnet_id not in vpc.subnets:
        raise Refused("InvalidSubnetID.NotFound", change.subnet_id)
    vpc.associate(change.subnet_id, change.table_id)


def _need_card(vpc: Vpc, eni: str) -> None:
    if vpc.owner_of(eni) is None:
        raise Refused("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{eni}' does not exist")
