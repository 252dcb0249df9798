"""The judge: asks the network itself whether everything leads to one healthy router and nothing foreign was touched.

It knows what is declared, and nothing of elections, plans or guards: a planner that forgets something is found out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, RouteTableTypeDef, RouteTypeDef

    from chalicelib.core.network.topology import Table, TableSelector, Topology

DEFAULT = "0.0.0.0/0"


@dataclass(frozen=True, slots=True, order=True)
class RouteFact:
    """One route of a table."""

    destination: str
    target: str
    state: str
    origin: str


@dataclass(frozen=True, slots=True)
class TableFact:
    """One route table and the subnets explicitly associated with it."""

    main: bool
    tags: Mapping[str, str]
    routes: frozenset[RouteFact]
    subnets: frozenset[str]

    def static(self, destination: str) -> RouteFact | None:
        """Find the route that somebody created for a destination."""
        created = (r for r in self.routes if (r.destination, r.origin) == (destination, "CreateRoute"))
        return next(created, None)


@dataclass(frozen=True, slots=True)
class InterfaceFact:
    """One network interface and the instance it is attached to, if any."""

    subnet_id: str
    addresses: tuple[str, ...]
    check: bool
    instance_id: str | None = None
    instance_state: str | None = None
    instance_tags: Mapping[str, str] | None = None
    impaired: bool = False


@dataclass(frozen=True, slots=True)
class AddressFact:
    """One Elastic IP and where it is."""

    public_address: str
    interface_id: str | None
    private_address: str | None


@dataclass(frozen=True, slots=True)
class RuleFact:
    """One rule of a security group."""

    group_id: str
    egress: bool
    protocol: str
    ports: tuple[int, int]
    source: str


@dataclass(frozen=True, slots=True)
class Facts:
    """A VPC as it is, by id."""

    tables: Mapping[str, TableFact]
    interfaces: Mapping[str, InterfaceFact]
    addresses: Mapping[str, AddressFact]
    rules: Mapping[str, RuleFact]
    dhcp_options: str | None


def judge(topology: Topology, facts: Facts) -> list[str]:
    """Return everything that is not as declared; an empty list is a network that works."""
    targets = set(leads(topology, facts).values())
    return [
        *(f"no table is {t.selector}" for t in topology.tables if not _selected(facts, t.selector)),
        *_wrong_routes(topology, facts),
        *([f"things lead to more than one place: {leads(topology, facts)}"] if len(targets) > 1 else []),
        *(reason for target in sorted(targets) for reason in unfit(topology, facts, target)),
        *_wrong_address(topology, facts),
        *_wrong_associations(topology, facts),
        *(f"{rule_id} still opens ssh" for rule_id, r in facts.rules.items() if _to_close(topology, r)),
        *_wrong_options(topology, facts),
    ]


def leads(topology: Topology, facts: Facts) -> dict[str, str]:
    """Return where each thing leads that must lead to the router."""
    address = facts.addresses.get(topology.elastic_ip)
    found = {topology.elastic_ip: (address and address.interface_id) or "nowhere"}
    for declared, table_id in _claims(topology, facts):
        for destination in _through_the_router(topology, declared):
            if route := facts.tables[table_id].static(destination):
                found[f"{table_id} {destination}"] = route.target
    return found


def _wrong_routes(topology: Topology, facts: Facts) -> Iterator[str]:
    for declared, table_id in _claims(topology, facts):
        table = facts.tables[table_id]
        for destination in _destinations(topology, declared):
            route = table.static(destination)
            if route is None:
                yield f"{table_id} has no route to {destination}"
            elif route.state != "active":
                yield f"{table_id} leads {destination} to {route.target}, which is a {route.state}"
            elif (
                declared.kind == "public"
                and destination == DEFAULT
                and route.target != topology.internet_gateway
            ):
                yield f"{table_id} leads to the internet through {route.target}"


def _wrong_address(topology: Topology, facts: Facts) -> Iterator[str]:
    address = facts.addresses.get(topology.elastic_ip)
    interface = facts.interfaces.get((address and address.interface_id) or "")
    if address and interface:
        primary = next(iter(interface.addresses), None)
        wanted = str(topology.private_address) if topology.private_address else primary
        if address.private_address != wanted:
            yield f"the elastic ip leads to {address.private_address}, not to {wanted}"


def _wrong_associations(topology: Topology, facts: Facts) -> Iterator[str]:
    for declared in topology.tables:
        table_ids = _selected(facts, declared.selector)
        for subnet_id in declared.subnets if len(table_ids) == 1 else ():
            if subnet_id not in facts.tables[table_ids[0]].subnets:
                yield f"{subnet_id} is not associated with {table_ids[0]}"


def _wrong_options(topology: Topology, facts: Facts) -> Iterator[str]:
    if topology.dhcp_options not in (None, facts.dhcp_options):
        yield f"the VPC has the dhcp options {facts.dhcp_options}"


def unfit(topology: Topology, facts: Facts, interface_id: str) -> list[str]:
    """Return why nothing may lead to an interface; an empty list is a router's."""
    interface = facts.interfaces.get(interface_id)
    if interface is None:
        return [f"{interface_id} does not exist"]
    reasons = []
    if interface.instance_state != "running":
        reasons.append(f"{interface_id} is of {interface.instance_id}, which is {interface.instance_state}")
    if interface.impaired:
        reasons.append(f"{interface_id} is of {interface.instance_id}, which fails its status checks")
    if not _is_candidate(topology, interface):
        reasons.append(f"{interface_id} is of {interface.instance_id}, which is no candidate")
    if interface.check:
        reasons.append(f"{interface_id} has its source/dest check on")
    if interface.subnet_id not in _public_subnets(topology):
        reasons.append(f"{interface_id} is in {interface.subnet_id}, which is no declared public subnet")
    return reasons


def untouched(topology: Topology, before: Facts, after: Facts) -> list[str]:
    """Return what changed that is not ours, and which declared route went missing."""
    complaints = _changed_tables(topology, before, after)
    complaints += _changed_associations(topology, before, after)
    for allocation_id in _keys(before.addresses, after.addresses):
        old_address, new_address = before.addresses.get(allocation_id), after.addresses.get(allocation_id)
        if allocation_id != topology.elastic_ip and old_address != new_address:
            complaints.append(f"elastic ip {allocation_id} was changed")
    for interface_id in _keys(before.interfaces, after.interfaces):
        old, new = before.interfaces.get(interface_id), after.interfaces.get(interface_id)
        if not any(i and _is_candidate(topology, i) for i in (old, new)):
            complaints += [f"interface {interface_id} was changed"] if old != new else []
        elif old and new and new.check and not old.check:
            complaints.append(f"the source/dest check of {interface_id} was switched on")
    for rule_id in _keys(before.rules, after.rules):
        rule = before.rules.get(rule_id)
        closed = rule is not None and rule_id not in after.rules and _to_close(topology, rule)
        if rule != after.rules.get(rule_id) and not closed:
            complaints.append(f"security group rule {rule_id} was changed")
    if after.dhcp_options not in (before.dhcp_options, topology.dhcp_options):
        complaints.append(f"the VPC's dhcp options became {after.dhcp_options}")
    return complaints


def writable_tables(topology: Topology, facts: Facts) -> dict[str, frozenset[str]]:
    """Return the tables that may be written, each with its declared destinations: never the main one, nor one claimed twice."""
    claims: dict[str, list[Table]] = {}
    for declared, table_id in _claims(topology, facts):
        claims.setdefault(table_id, []).append(declared)
    return {
        table_id: frozenset(_destinations(topology, claimants[0]))
        for table_id, claimants in claims.items()
        if len(claimants) == 1 and not facts.tables[table_id].main
    }


def _changed_tables(topology: Topology, before: Facts, after: Facts) -> list[str]:
    declared = writable_tables(topology, before)
    complaints = [
        f"table {table_id} came or went" for table_id in sorted(before.tables.keys() ^ after.tables.keys())
    ]
    for table_id in sorted(before.tables.keys() & after.tables.keys()):
        old, new = before.tables[table_id], after.tables[table_id]
        destinations = declared.get(table_id, frozenset())
        if (old.main, old.tags) != (new.main, new.tags):
            complaints.append(f"table {table_id} itself was changed")
        if _foreign_routes(old, destinations) != _foreign_routes(new, destinations):
            complaints.append(f"an undeclared route of {table_id} was changed")
        gone = [d for d in destinations if old.static(d) and not new.static(d)]
        complaints += [f"route {table_id} {d} went missing" for d in gone]
    return complaints


def _changed_associations(topology: Topology, before: Facts, after: Facts) -> list[str]:
    declared = {s for t in topology.tables for s in t.subnets}
    writable = writable_tables(topology, before)
    old, new = _associations(before), _associations(after)
    changed = [s for s in _keys(old, new) if old.get(s) != new.get(s)]
    return [
        f"the association of {s} went from {old.get(s)} to {new.get(s)}"
        for s in changed
        if s not in declared or new.get(s) not in writable
    ]


def _associations(facts: Facts) -> dict[str, str]:
    return {subnet: table_id for table_id, table in facts.tables.items() for subnet in table.subnets}


def _foreign_routes(table: TableFact, declared: frozenset[str]) -> set[tuple[str, str, str]]:
    """Return every route that is not ours; its state is AWS's word on the target, not a part of the route."""
    return {
        (r.destination, r.target, r.origin)
        for r in table.routes
        if r.origin != "CreateRoute" or r.destination not in declared
    }


def _claims(topology: Topology, facts: Facts) -> list[tuple[Table, str]]:
    """Return every declaration with every table it selects."""
    return [(t, table_id) for t in topology.tables for table_id in _selected(facts, t.selector)]


def _selected(facts: Facts, selector: TableSelector) -> list[str]:
    if isinstance(selector, str):
        return [selector] if selector in facts.tables else []
    return sorted(
        table_id
        for table_id, table in facts.tables.items()
        if all(table.tags.get(key) == value for key, value in selector.pairs)
    )


def _through_the_router(topology: Topology, declared: Table) -> list[str]:
    remote = [str(n) for n in (*topology.office_networks, topology.vpn_clients)]
    if declared.kind == "public":
        return remote
    return [DEFAULT, *remote] if declared.office_routes else [DEFAULT]


def _destinations(topology: Topology, declared: Table) -> list[str]:
    return list(dict.fromkeys((DEFAULT, *_through_the_router(topology, declared))))


def _public_subnets(topology: Topology) -> set[str]:
    return {s for t in topology.tables if t.kind == "public" for s in t.subnets}


def _is_candidate(topology: Topology, interface: InterfaceFact) -> bool:
    tags = interface.instance_tags or {}
    return any(all(tags.get(k) == v for k, v in wanted.pairs) for wanted in topology.candidates)


def _to_close(topology: Topology, rule: RuleFact) -> bool:
    bootstrap = (topology.security_group, False, "tcp", (22, 22), DEFAULT)
    return topology.ssh == "closed" and bootstrap == (
        rule.group_id,
        rule.egress,
        rule.protocol,
        rule.ports,
        rule.source,
    )


def _keys(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    return sorted({*old, *new})


def facts_from_aws(ec2: EC2Client, vpc_id: str) -> Facts:
    """Ask AWS, by plain paged describes and nothing of Mooring's."""
    tables = [
        table
        for page in ec2.get_paginator("describe_route_tables").paginate(Filters=_of_vpc(vpc_id))
        for table in page["RouteTables"]
    ]
    addresses = ec2.describe_addresses(Filters=[{"Name": "domain", "Values": ["vpc"]}])["Addresses"]
    vpc = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]
    return Facts(
        tables={table["RouteTableId"]: _table_fact(table) for table in tables},
        interfaces=_interfaces_from_aws(ec2, vpc_id),
        addresses={
            a["AllocationId"]: AddressFact(
                a["PublicIp"], a.get("NetworkInterfaceId") or None, a.get("PrivateIpAddress") or None
            )
            for a in addresses
        },
        rules=_rules_from_aws(ec2, vpc_id),
        dhcp_options=vpc.get("DhcpOptionsId"),
    )


def _of_vpc(vpc_id: str) -> list[FilterTypeDef]:
    return [{"Name": "vpc-id", "Values": [vpc_id]}]


def _table_fact(table: RouteTableTypeDef) -> TableFact:
    associations = table.get("Associations", [])
    return TableFact(
        main=any(a.get("Main") for a in associations),
        tags={tag["Key"]: tag["Value"] for tag in table.get("Tags", [])},
        routes=frozenset(_route_fact(route) for route in table.get("Routes", [])),
        subnets=frozenset(a["SubnetId"] for a in associations if a.get("SubnetId")),
    )


def _route_fact(route: RouteTypeDef) -> RouteFact:
    """Read a route; the interface is named before the instance that AWS adds to it."""
    destination = (
        route.get("DestinationCidrBlock")
        or route.get("DestinationIpv6CidrBlock")
        or route.get("DestinationPrefixListId")
    )
    known = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId", "State", "Origin")
    targets = {
        key: str(value) for key, value in route.items() if value and key not in (*known, "InstanceOwnerId")
    }
    target = targets.get("NetworkInterfaceId") or next(iter(targets.values()), "nothing")
    return RouteFact(
        destination or "", target, route.get("State", "active"), route.get("Origin", "CreateRoute")
    )


def _interfaces_from_aws(ec2: EC2Client, vpc_id: str) -> dict[str, InterfaceFact]:
    instances = {
        instance["InstanceId"]: instance
        for page in ec2.get_paginator("describe_instances").paginate()
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    }
    impaired = {
        status["InstanceId"]
        for page in ec2.get_paginator("describe_instance_status").paginate()
        for status in page["InstanceStatuses"]
        if "impaired" in (status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"])
    }
    facts = {}
    for page in ec2.get_paginator("describe_network_interfaces").paginate(Filters=_of_vpc(vpc_id)):
        for interface in page["NetworkInterfaces"]:
            instance_id = interface.get("Attachment", {}).get("InstanceId") or None
            instance = instances.get(instance_id or "")
            private = sorted(interface["PrivateIpAddresses"], key=lambda a: not a["Primary"])
            facts[interface["NetworkInterfaceId"]] = InterfaceFact(
                subnet_id=interface["SubnetId"],
                addresses=tuple(a["PrivateIpAddress"] for a in private),
                check=interface["SourceDestCheck"],
                instance_id=instance_id,
                instance_state=instance["State"]["Name"] if instance else None,
                instance_tags={t["Key"]: t["Value"] for t in instance.get("Tags", [])} if instance else None,
                impaired=instance_id in impaired,
            )
    return facts


def _rules_from_aws(ec2: EC2Client, vpc_id: str) -> dict[str, RuleFact]:
    groups = [
        group["GroupId"]
        for page in ec2.get_paginator("describe_security_groups").paginate(Filters=_of_vpc(vpc_id))
        for group in page["SecurityGroups"]
    ]
    if not groups:
        return {}
    pages = ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=[{"Name": "group-id", "Values": groups}]
    )
    return {
        rule["SecurityGroupRuleId"]: RuleFact(
            rule["GroupId"],
            rule["IsEgress"],
            rule["IpProtocol"],
            (rule.get("FromPort", -1), rule.get("ToPort", -1)),
            rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId") or "a group",
        )
        for page in pages
        for rule in page["SecurityGroupRules"]
    }
