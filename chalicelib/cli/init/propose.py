"""Proposes a topology for a VPC that nobody has declared: facts as facts, guesses with their reason."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network
from typing import TYPE_CHECKING

from chalicelib.cli.init.draft import Draft, Entry, Fact, Guess, Section, Unknown, limits, tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.core.network.observation import Instance, Interface, Observation, Route, RouteTable

_ANYWHERE = "0.0.0.0/0"
_WRITTEN = re.compile(r"(?:eipalloc|rtb|sg|subnet)-")
_GROUP = "aws:autoscaling:groupName"


@dataclass(frozen=True, slots=True)
class Seen:
    """A VPC as it was found; `cidrs` and `subnets` are its IPv4 ranges, the primary range first."""

    vpc_id: str
    name: str
    cidrs: tuple[str, ...]
    gateway: str | None
    subnets: dict[str, str]
    observation: Observation


@dataclass(frozen=True, slots=True)
class Told:
    """What the operator knows and AWS does not."""

    name: str | None = None
    office: tuple[str, ...] = ()
    vpn_clients: str | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """The interface that the network leads to, and the instance behind it, if one is."""

    interface_id: str
    instance: Instance | None
    why: str


def find_router(seen: Seen) -> Lead | None:
    """Find where the routes lead: to an instance's interface rather than a dead one, to the most pointed at.

    Without such routes, the router is what forwards under an Elastic IP.
    """
    routes = [r for table in seen.observation.tables for r in table.routes if _leads_to_interface(r)]
    leads = Counter(route.target for route in routes)
    owners = {target: seen.observation.owner_of(target) for target in leads}
    best = min(leads, key=lambda t: (owners[t] is None, -leads[t], t), default=None)
    if best is not None:
        count = leads[best]
        return Lead(best, owners[best], f"{count} route{'s lead' if count != 1 else ' leads'} there")
    for address in seen.observation.elastic_ips:
        owner = seen.observation.owner_of(address.interface_id or "")
        for interface in owner.interfaces if owner else ():
            if interface.id == address.interface_id and not interface.source_dest_check:
                return Lead(interface.id, owner, "it forwards under an Elastic IP")
    return None


def propose(seen: Seen, told: Told, lead: Lead | None, groups: tuple[str, ...]) -> Draft:
    """Write down what can be known of a VPC, what is likely, and what only the operator can say.

    Args:
        seen: the VPC.
        told: what the operator said.
        lead: the router, as `find_router` found it.
        groups: the security groups of the router's interface.
    """
    tables = [table for table in seen.observation.tables if not table.main]
    kinds = {table.id: _kind(table) for table in tables if _served(seen, table)}
    public = [_table(seen, t, "public", lead) for t in tables if kinds.get(t.id) == "public"]
    private = [_table(seen, t, "private", lead) for t in tables if kinds.get(t.id) == "private"]
    title = (
        f"The network of {seen.vpc_id}, proposed by `mooring init --vpc`: nobody has agreed to it yet.",
        "Read every line that is guessed, fill in every line that is unknown; then `mooring declare FILE`,",
        "and look at `mooring plan` before the first apply.",
    )
    return Draft(
        title,
        (
            Section("", {"name": _name(seen, told)}),
            _vpc(seen),
            _office(seen, told, lead),
            Section("[router]", dict(_router(seen, lead, groups)), tuple(_router_remarks(seen, lead))),
            tunnel(told.vpn_clients),
            *public,
            *private,
            limits(),
        ),
        tuple(_left_out(seen, kinds, has_public=bool(public), has_private=bool(private))),
    )


def kept(seen: Seen, draft: Draft, lead: Lead | None) -> tuple[str, ...]:
    """List what Mooring would write in a proposed network: what the draft names, and the candidates' interfaces."""
    named: list[str] = []
    interfaces = [lead.interface_id] if lead else []
    for section in draft.sections:
        for entry in section.entries.values():
            value = entry.value if isinstance(entry, Fact | Guess) else None
            words = list(value) if isinstance(value, dict) else [value]
            named += [word for word in words if isinstance(word, str) and _WRITTEN.match(word)]
            if isinstance(value, dict) and entry is section.entries.get("candidates"):
                found = (i for i in seen.observation.instances if value.items() <= i.tags.items())
                interfaces += [i.interfaces[0].id for i in found if i.interfaces]
    return tuple(dict.fromkeys([*named, *sorted(interfaces)]))


def _leads_to_interface(route: Route) -> bool:
    return route.origin == "CreateRoute" and route.target.startswith("eni-")


def _served(seen: Seen, table: RouteTable) -> bool:
    """Return whether a table serves a subnet of the VPC's IPv4 ranges: only such subnets can be declared."""
    return any(s in seen.subnets and _inside(seen, seen.subnets[s]) for s in table.associations)


def _inside(seen: Seen, cidr: str) -> bool:
    return any(IPv4Network(cidr).subnet_of(IPv4Network(own)) for own in seen.cidrs)


def _kind(table: RouteTable) -> str | None:
    """Tell public from private by where the default route leads; None when it leads out of Mooring's care."""
    default = table.static(_ANYWHERE)
    if default is None:
        propagated = any(route.destination == _ANYWHERE for route in table.routes)
        return None if propagated else "private"
    if default.target.startswith("igw-"):
        return "public"
    ours = default.target.startswith(("eni-", "i-", "nat-")) or default.state == "blackhole"
    return "private" if ours else None


def _name(seen: Seen, told: Told) -> Entry:
    if told.name is not None:
        return Fact(told.name)
    slug = re.sub(r"[^a-z0-9]+", "-", seen.name.lower()).strip("-")[:40].strip("-")
    return Guess(slug, "the VPC's Name tag") if slug else Guess(seen.vpc_id, "the VPC has no Name tag")


def _vpc(seen: Seen) -> Section:
    gateway: Entry = Unknown("the VPC has no internet gateway; attach one")
    entries: dict[str, Entry] = {"id": Fact(seen.vpc_id), "cidr": Fact(seen.cidrs[0])}
    if seen.cidrs[1:]:
        entries["secondary_cidrs"] = Fact(list(seen.cidrs[1:]))
    entries["internet_gateway"] = Fact(seen.gateway) if seen.gateway else gateway
    return Section("[vpc]", entries)


def _office(seen: Seen, told: Told, lead: Lead | None) -> Section:
    entries: dict[str, Entry] = {"networks": _networks(seen, told, lead)}
    if told.vpn_clients is not None:
        entries["vpn_clients"] = Fact(told.vpn_clients, "laptops, on the same OpenVPN server")
    else:
        entries["vpn_clients"] = Unknown("the network that OpenVPN gives its clients; may be listed above")
    return Section("[office]", entries)


def _networks(seen: Seen, told: Told, lead: Lead | None) -> Entry:
    if told.office:
        return Fact(list(told.office))
    own = [IPv4Network(cidr) for cidr in seen.cidrs]
    found = {
        network
        for table in seen.observation.tables
        for route in table.routes
        if lead and route.target == lead.interface_id and _leads_to_interface(route)
        if (network := _ipv4(route.destination)) and route.destination != _ANYWHERE
        if not any(map(network.overlaps, own)) and route.destination != told.vpn_clients
    }
    if lead and found:
        return Guess(
            [str(network) for network in sorted(found)], f"routes to them lead to {lead.interface_id}"
        )
    return Unknown("the networks behind the office's firewall")


def _ipv4(destination: str) -> IPv4Network | None:
    try:
        return IPv4Network(destination)
    except (AddressValueError, ValueError):  # an IPv6 range or a prefix list
        return None


def _router(seen: Seen, lead: Lead | None, groups: tuple[str, ...]) -> Iterator[tuple[str, Entry]]:
    instance = lead.instance if lead else None
    yield "candidates", _candidates(seen, instance, lead)
    yield "elastic_ip", _elastic_ip(seen, instance)
    address = _private_address(seen, instance, lead)
    if address:
        yield "private_address", address
    if groups:
        more = f"of {', '.join(groups)}, the first" if len(groups) > 1 else ""
        yield "security_group", Guess(groups[0], more) if more else Fact(groups[0])
        yield "ssh", Fact("unmanaged", 'or "closed": remove tcp/22 from 0.0.0.0/0')


def _candidates(seen: Seen, instance: Instance | None, lead: Lead | None) -> Entry:
    if instance is None or lead is None:
        gone = f"; {lead.interface_id}, where the routes lead, belongs to no instance" if lead else ""
        return Unknown(f"the tags of the instances that may be the router{gone}")
    for key in ("mooring:router", _GROUP, "Name"):
        if key not in instance.tags:
            continue
        same = [i.id for i in seen.observation.instances if i.tags.get(key) == instance.tags[key]]
        return Guess(
            {key: instance.tags[key]}, f"{instance.id} is the router, since {lead.why}; {_carried_by(same)}"
        )
    return Unknown(
        f"the tags of the instances that may be the router; {instance.id}, the router now, has none"
    )


def _carried_by(instances: list[str]) -> str:
    return f"{', '.join(instances)} carr{'ies' if len(instances) == 1 else 'y'} the tag"


def _elastic_ip(seen: Seen, instance: Instance | None) -> Entry:
    addresses = seen.observation.elastic_ips
    held = {interface.id for interface in instance.interfaces} if instance else set()
    for address in addresses:
        if address.interface_id in held:
            return Fact(address.allocation_id, address.public_address)
    free = [address for address in addresses if address.interface_id is None]
    if len(free) == 1:
        return Guess(free[0].allocation_id, f"{free[0].public_address} is the only one that is free")
    return Unknown("the router's Elastic IP; it holds none now")


def _private_address(seen: Seen, instance: Instance | None, lead: Lead | None) -> Entry | None:
    """Name the address to pin when it is not the primary one of the primary interface."""
    interface = _interface(instance, lead)
    if instance is None or interface is None:
        return None
    usual = instance.interfaces[0].addresses[0]
    elastic = (a for a in seen.observation.elastic_ips if a.interface_id == interface.id)
    pinned = next((a.private_address for a in elastic), None) or interface.addresses[0]
    return Guess(pinned, f"the network leads there, not to {usual}") if pinned != usual else None


def _interface(instance: Instance | None, lead: Lead | None) -> Interface | None:
    owned = instance.interfaces if instance else ()
    return next((interface for interface in owned if lead and interface.id == lead.interface_id), None)


def _router_remarks(seen: Seen, lead: Lead | None) -> Iterator[str]:
    interface = _interface(lead.instance, lead) if lead else None
    if lead is None or lead.instance is None or interface is None:
        return
    table = seen.observation.table_of(interface.subnet_id)
    if table is None or table.main or _kind(table) != "public":
        yield f"{lead.instance.id} sits in {interface.subnet_id}, no public subnet below: it could not be elected."


def _table(seen: Seen, table: RouteTable, kind: str, lead: Lead | None) -> Section:
    subnets = {s: seen.subnets[s] for s in table.associations if s in seen.subnets}
    kept = {s: cidr for s, cidr in subnets.items() if _inside(seen, cidr)}
    ordered = dict(sorted(kept.items(), key=lambda item: IPv4Network(item[1])))
    entries: dict[str, Entry] = {"table": _table_id(table, kind, lead), "subnets": Fact(ordered)}
    if kind == "private" and lead and any(_explicit(r, lead) for r in table.routes):
        entries["office_routes"] = Guess(value=True, why="it has routes of its own to the office")
    outside = sorted(subnets.keys() - kept.keys())
    return Section(
        f"[[{kind}]]",
        entries,
        tuple(
            f"Left out: {s} = {subnets[s]} rides on {table.id}, in none of the VPC's ranges: it would be refused."
            for s in outside
        ),
    )


def _explicit(route: Route, lead: Lead) -> bool:
    return route.target == lead.interface_id and route.destination != _ANYWHERE


def _table_id(table: RouteTable, kind: str, lead: Lead | None) -> Entry:
    default = table.static(_ANYWHERE)
    name = table.tags.get("Name", "")
    if kind == "public" or (default and lead and default.target == lead.interface_id and lead.instance):
        return Fact(table.id, name)
    named = f"{name}: " if name else ""
    if default is None:
        return Guess(
            table.id, f"{named}private, since it has no default route; the router would become its way out"
        )
    dead = ", a blackhole" if default.state == "blackhole" else ""
    return Guess(table.id, f"{named}private, since its default route leads to {default.target}{dead}")


def _left_out(
    seen: Seen, kinds: dict[str, str | None], *, has_public: bool, has_private: bool
) -> Iterator[str]:
    if not has_public:
        yield "unknown: no table with a default route to an internet gateway serves a subnet; write a [[public]]."
    if not has_private:
        yield "unknown: no table looks private; write a [[private]]."
    for table in seen.observation.tables:
        if table.main:
            continue
        default = table.static(_ANYWHERE)
        if table.id not in kinds:
            yield f"Left out: {table.id} serves no subnet that can be declared."
        elif kinds[table.id] is None:
            where = default.target if default else "a propagated target"
            yield f"Left out: {table.id} sends {_ANYWHERE} to {where}."
    associated = {subnet for table in seen.observation.tables for subnet in table.associations}
    for subnet, cidr in seen.subnets.items():
        if subnet not in associated:
            yield f"Left out: {subnet} = {cidr} follows the main table, which Mooring never writes."
