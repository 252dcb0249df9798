"""What people do to the network by hand: drift, things that are not ours, and the network moved whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.network.observation import IngressRule
from tests.builders import (
    BOOTSTRAP,
    EIP,
    FOREIGN_ENI,
    GATEWAY,
    MAIN,
    PRIVATE_A,
    PRIVATE_SUBNET_B,
    an_id,
    propagated,
)
from tests.simulator import declared
from tests.simulator.deeds import candidates, chosen
from tests.simulator.truth import INFINITE, is_candidate, pinned
from tests.simulator.vpc import NAT, NAT_CARD, created

if TYPE_CHECKING:
    from tests.simulator.schedule import Schedule

DESTINATIONS = ("0.0.0.0/0", "10.100.100.0/24", "192.168.0.0/24", "172.31.0.0/16")


def _traced(s: Schedule, call: str, ours: str, **parameters: object) -> None:
    """Have CloudTrail tell of somebody's call; `ours` is what of it is declared, or a candidate's."""
    detail = {"eventName": call, "eventSource": "ec2.amazonaws.com", "requestParameters": parameters}
    s.events.emit("aws.ec2", "AWS API Call via CloudTrail", detail, ours=ours)


def _ours(s: Schedule, table_id: str) -> str:
    """Name a table that is declared to be written, else nothing."""
    return table_id if any(table_id == i for _, i in s.truth.writable(s.truth.declared)) else ""


def delete_route(s: Schedule) -> None:
    """Delete a route that somebody created."""
    table = s.course.pick(list(s.vpc.tables.values()))
    created = [r for r in table.routes if r.origin == "CreateRoute"]
    if created:
        route = s.course.pick(created)
        s.course.say(f"somebody deletes {table.id} {route.destination}")
        s.vpc.unroute(table.id, route.destination)
        where = {"routeTableId": table.id, "destinationCidrBlock": route.destination}
        _traced(s, "DeleteRoute", _ours(s, table.id), **where)


def delete_default(s: Schedule) -> None:
    """Delete a default route of a declared table: the way out of its subnets."""
    ours = [table_id for _, table_id in s.truth.writable(s.truth.declared)]
    ways = [table_id for table_id in ours if created(s.vpc.tables[table_id], "0.0.0.0/0")]
    if ways:
        table_id = s.course.pick(ways)
        s.course.say(f"somebody deletes {table_id} 0.0.0.0/0")
        s.vpc.unroute(table_id, "0.0.0.0/0")
        _traced(s, "DeleteRoute", table_id, routeTableId=table_id, destinationCidrBlock="0.0.0.0/0")


def point_route(s: Schedule) -> None:
    """Point a route elsewhere, or add one."""
    table, destination = s.course.pick(list(s.vpc.tables)), s.course.pick(DESTINATIONS)
    cards = [card.id for i in candidates(s, "running", "stopped") for card in i.interfaces]
    target = s.course.pick([GATEWAY, NAT, an_id("eni", 0xDEAD), FOREIGN_ENI, *cards, *cards])
    s.course.say(f"somebody points {table} {destination} at {target}")
    s.vpc.route(table, destination, target)
    kind = {"igw": "gatewayId", "nat": "natGatewayId"}.get(target[:3], "networkInterfaceId")
    where = {"routeTableId": table, "destinationCidrBlock": destination, kind: target}
    _traced(s, "ReplaceRoute", _ours(s, table), **where)


def take_address(s: Schedule) -> None:
    """Take the Elastic IP away: nowhere, or onto some candidate."""
    cards = [c for i in candidates(s, "running", "stopped") for c in i.interfaces if c.addresses]
    card = s.course.pick([None, *cards])
    s.course.say(f"somebody puts the elastic ip on {card.id if card else 'nothing'}")
    s.vpc.put_address(EIP, card.id if card else None, card.addresses[0] if card else None)
    address = s.vpc.elastic_ips[EIP].public_address
    if card:
        _traced(s, "AssociateAddress", EIP, publicIp=address, networkInterfaceId=card.id)
    else:
        _traced(s, "DisassociateAddress", EIP, publicIp=address)


def switch_check(s: Schedule) -> None:
    """Switch a source/dest check on."""
    instance = chosen(s, "running", "stopped")
    if instance and instance.interfaces:
        s.course.say(f"somebody switches the check of {instance.id} on")
        card = instance.interfaces[0].id
        s.vpc.check(card, on=True)
        parameters = {"networkInterfaceId": card, "sourceDestCheck": {"value": True}}
        _traced(s, "ModifyNetworkInterfaceAttribute", card, **parameters)


def move_subnet(s: Schedule) -> None:
    """Associate a subnet with another table, or with none."""
    subnets = [n for t in s.vpc.tables.values() for n in t.associations]
    if subnets:
        subnet, table = s.course.pick(subnets), s.course.pick([None, *s.vpc.tables])
        s.course.say(f"somebody associates {subnet} with {table}")
        s.vpc.associate(subnet, table)


def open_ssh(s: Schedule) -> None:
    """Open ssh to the world, or to an office."""
    rule_id = BOOTSTRAP if BOOTSTRAP not in s.vpc.rules else s.vpc.next_id("sgr")
    source = s.course.pick(("0.0.0.0/0", "0.0.0.0/0", "10.100.100.0/24"))
    s.course.say(f"somebody opens ssh to {source}")
    s.vpc.rule(IngressRule(rule_id, "tcp", 22, 22, source))


def use_options(s: Schedule) -> None:
    """Return the VPC other DHCP options."""
    s.vpc.use_options(declared.other_options())


# -- what is not ours ------------------------------------------------------------------------------------


def foreign_address(s: Schedule) -> None:
    """Put an Elastic IP of somebody's on a standby, or release one."""
    foreign = [a for a in s.vpc.elastic_ips if a != EIP]
    if foreign and s.course.chance(0.4):
        s.course.say("a foreign elastic ip is released")
        s.vpc.release(s.course.pick(foreign))
        return
    instance = chosen(s, "running", "stopped")
    if (
        instance
        and instance.id != s.judge.router
        and instance.interfaces
        and instance.interfaces[0].addresses
    ):
        card = instance.interfaces[0]
        s.course.say(f"somebody puts an elastic ip on {instance.id}")
        s.vpc.new_address(card.id, card.addresses[0])


def propagate(s: Schedule) -> None:
    """Have a gateway propagate a route to the office into a declared table, and maybe lose the one that was created."""
    ours = [table_id for _, table_id in s.truth.writable(s.truth.declared)]
    if ours:
        table_id, destination = s.course.pick(ours), s.course.pick(DESTINATIONS[1:3])
        s.course.say(f"a gateway propagates {destination} into {table_id}")
        s.vpc.propagate(table_id, propagated(destination))
        if s.course.chance(0.5):
            s.vpc.unroute(table_id, destination)


def to_nat(s: Schedule) -> None:
    """Return the Elastic IP to a NAT gateway, and the private subnets with it; or end that."""
    elastic_ip = s.vpc.elastic_ips[EIP]
    if elastic_ip.interface_id == NAT_CARD:
        s.course.say("the NAT gateway gives the elastic ip up")
        s.vpc.put_address(EIP, None)
        return
    s.course.say("somebody gives the elastic ip to a NAT gateway, and the private default routes too")
    s.vpc.put_address(EIP, NAT_CARD, "10.0.0.200")
    for entry, table_id in s.truth.writable(s.truth.declared):
        if entry.kind == "private":
            s.vpc.route(table_id, "0.0.0.0/0", NAT)


def delete_table(s: Schedule) -> None:
    """Delete a private table."""
    if PRIVATE_A in s.vpc.tables and s.course.chance(0.3):
        s.course.say(f"somebody deletes {PRIVATE_A}")
        s.liveness.redeclared = s.vpc.now
        s.vpc.delete_table(PRIVATE_A)


def tag_main(s: Schedule) -> None:
    """Tag the VPC's main table as one that is declared by its tag, or take the tag away."""
    s.course.say("somebody changes the main table's tags")
    s.liveness.redeclared = s.vpc.now
    tags = {} if s.vpc.tables[MAIN].tags else dict(declared.PRIVATE.pairs)
    s.vpc.tag_table(MAIN, tags)


def delete_subnet(s: Schedule) -> None:
    """Delete a private subnet that is declared."""
    if PRIVATE_SUBNET_B in s.vpc.subnets and s.course.chance(0.3):
        s.course.say(f"somebody deletes {PRIVATE_SUBNET_B}")
        s.vpc.delete_subnet(PRIVATE_SUBNET_B)


def move_whole(s: Schedule) -> None:
    """Move the whole network to another candidate by hand."""
    others = [
        i
        for i in candidates(s, "running")
        if i.id != s.judge.router
        and is_candidate(i, s.truth.declared)
        and not s.truth.useless(i, s.truth.declared)
    ]
    if not others:
        return
    instance = s.course.pick(others)
    card = pinned(instance, s.truth.declared)
    if card is None:
        return
    s.course.say(f"somebody moves the whole network to {instance.id}")
    s.truth.whole.setdefault(instance.id, -INFINITE)
    s.vpc.check(card.id, on=False)
    for what, _ in list(s.truth.pins(s.truth.declared)):
        if what == EIP:
            s.vpc.put_address(EIP, card.id, card.addresses[0])
        else:
            table_id, destination = what.split(" ")
            s.vpc.route(table_id, destination, card.id)
