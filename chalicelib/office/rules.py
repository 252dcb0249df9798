"""Judges the firewall's rules and translations: without a rule that lets it pass, nothing works that OpenVPN would carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.office.backup import network
from chalicelib.office.filter import Flow, Passage, passage
from chalicelib.office.finding import Finding, overlap, uncovered
from chalicelib.office.pfsense import local_address
from chalicelib.office.release import release_of
from chalicelib.office.required import listed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network

    from chalicelib.office.backup import Backup, Entry
    from chalicelib.office.case import Case

_GROUP = "openvpn"


def rules(case: Case, backup: Backup, server: Entry) -> Iterator[Finding]:
    """Judge the way in from the internet, out of the tunnel, and from the office into it."""
    if not backup.whole or not backup.interfaces:
        return
    yield from _way_in(case, backup, server)
    yield from _out_of_tunnel(case, backup, server)
    yield from _into_tunnel(case, backup, server)
    yield from _translated(case, backup, server)


def _way_in(case: Case, backup: Backup, server: Entry) -> Iterator[Finding]:
    place = server.text("interface") or "wan"
    vip = next((v for v in backup.of("virtualip/vip") if place == f"_vip{v.text('uniqid')}"), None)
    place = vip.text("interface") if vip else place
    if place == "any" or place not in (*backup.interfaces, "lo0"):
        place = "wan"
    if not _outside(backup, place):
        if not _forwarded(case, backup, server):
            what = f"{case.name} listens on an inner interface: the router cannot reach it from outside"
            yield case.find("wrong", what, "interface")
        return
    protocol = case.tunnel.protocol[:3]
    here = network(local_address(backup, server), "32")
    found = passage(backup, Flow(frozenset({place}), None, here, protocol, case.tunnel.port, here=True))
    page = f"Firewall > Rules > {place.upper() if place.isascii() and place.isalnum() else 'WAN'}"
    mend = f"pass {protocol.upper()} to the firewall's address, port {case.tunnel.port}"
    what = f"{protocol.upper()} port {case.tunnel.port} from the internet"
    if found.state == "block":
        yield Finding("blocked", f"{what} does not pass: {found.why}", page, mend)
    elif found.state == "unclear":
        yield Finding("unclear", f"{what} passes in part: is the Elastic IP among the sources?", page, mend)


def _outside(backup: Backup, place: str) -> bool:
    """Return whether an interface is one to the internet: it has a gateway, or gets its address there."""
    interface = backup.interfaces.get(place)
    if interface is None:
        return False
    dynamic = interface.text("ipaddr") in ("dhcp", "pppoe", "pptp", "l2tp", "ppp")
    return place == "wan" or bool(interface.text("gateway")) or dynamic


def _forwarded(case: Case, backup: Backup, server: Entry) -> bool:
    """Return whether a port forward leads to a server that listens inside."""
    own = local_address(backup, server)
    for rule in backup.of("nat/rule"):
        same = rule.text("target") == own and (rule.text("local-port") or rule.text("destination/port"))
        speaks = case.tunnel.protocol[:3] in rule.text("protocol").split("/")
        if (
            same
            and speaks
            and not rule.is_set("disabled")
            and rule.text("destination/port") == str(case.tunnel.port)
        ):
            return True
    return False


def _tunnel_names(backup: Backup, server: Entry) -> frozenset[str]:
    """Name the tunnel's interface in rules: OpenVPN's group, and the interface it is assigned to."""
    device = f"ovpns{server.text('vpnid')}"
    return frozenset({_GROUP, *(name for name, i in backup.interfaces.items() if i.text("if") == device)})


def _out_of_tunnel(case: Case, backup: Backup, server: Entry) -> Iterator[Finding]:
    """Judge what the VPC and laptops send: it comes in on the tunnel's interface."""
    names, topology = _tunnel_names(backup, server), case.topology
    pairs = [(one, other) for one in topology.vpc_networks for other in topology.office_networks]
    found = [passage(backup, Flow(names, source, target)) for source, target in pairs]
    mend = f"pass any protocol from {listed(topology.vpc_networks)} and {topology.vpn_clients}"
    yield from _said(found, "what comes out of the tunnel", "Firewall > Rules > OpenVPN", mend)


def _into_tunnel(case: Case, backup: Backup, server: Entry) -> Iterator[Finding]:
    """Judge what the office sends to the VPC: it comes in on the interface of each network."""
    vpc = case.topology.vpc_networks
    for name, interface in backup.interfaces.items():
        own = network(interface.text("ipaddr"), interface.text("subnet") or "32")
        if own is None or not interface.is_set("enable") or not overlap([own], case.topology.office_networks):
            continue
        found = [passage(backup, Flow(frozenset({name}), own, target)) for target in vpc]
        found = [one if not _negated(case, backup, server, one) else Passage("pass") for one in found]
        shown = name if name.isascii() and name.isalnum() and len(name) < 10 else "an interface"
        page, mend = (
            f"Firewall > Rules > {shown.upper()}",
            f"pass any protocol to {listed(vpc)}, gateway default, above others",
        )
        yield from _said(found, f"what {shown} sends to the VPC", page, mend)


def _negated(case: Case, backup: Backup, server: Entry, found: Passage) -> bool:
    """Return whether pfSense takes the VPC out of a rule's gateway by itself: to 2.6, for remote networks of a peer's server."""
    early = release_of(backup.version).may_not_negotiate
    off = any(entry.is_set("disablenegate") for entry in backup.of("system"))
    peer = server.text("mode").startswith("p2p")
    inside = not uncovered(case.topology.vpc_networks, backup.networks(server.text("remote_network")))
    return found.gateway and early and peer and inside and not off


def _said(found: list[Passage], what: str, page: str, mend: str) -> Iterator[Finding]:
    """Sum flows up: what is blocked, what leaves by a gateway, what cannot be told."""
    if any(one.gateway for one in found):
        yield Finding(
            "blocked", f"{what} leaves by a gateway that a rule names, and not by the tunnel", page, mend
        )
    elif all(one.bare for one in found):
        # The interface's page is empty: rules may come from a package or from RADIUS, and a sample may have none at all.
        yield Finding("unclear", f"{what} has no rule at all: pfSense then lets nothing pass", page, mend)
    elif any(one.state == "block" for one in found):
        why = next(one.why for one in found if one.state == "block")
        yield Finding("blocked", f"{what} does not pass: {why}", page, mend)
    elif any(one.state == "unclear" for one in found):
        why = next(one.why for one in found if one.state == "unclear")
        yield Finding("unclear", f"{what} may not pass: {why}", page, mend)


def _translated(case: Case, backup: Backup, server: Entry) -> Iterator[Finding]:
    """Judge outbound NAT: automatic rules leave the tunnel out, rules by hand may not."""
    mode = next((entry.text("mode") for entry in backup.of("nat/outbound")), "automatic")
    if mode not in ("advanced", "hybrid"):
        return
    names, office = _tunnel_names(backup, server), list(case.topology.office_networks)
    for rule in backup.of("nat/outbound/rule"):
        named = {part.strip().lower() for part in rule.text("interface").split(",")}
        if rule.is_set("disabled") or not named & names:
            continue
        source, target = _side(backup, rule, "source"), _side(backup, rule, "destination")
        meets = (source is None or overlap(source, office)) and (
            target is None or overlap(target, case.topology.vpc_networks)
        )
        if meets and rule.is_set("nonat"):
            return
        if meets:
            what = "outbound NAT hides the office's hosts from the VPC behind the firewall's own address"
            mend = "add a rule before it that translates nothing to the VPC's networks"
            yield Finding("weak", what, "Firewall > NAT > Outbound", mend)
            return


def _side(backup: Backup, rule: Entry, side: str) -> list[IPv4Network] | None:
    """Read one end of a translation; None for any."""
    text = rule.text(f"{side}/network") or rule.text(f"{side}/address")
    return None if rule.is_set(f"{side}/any") or text in ("", "any") else backup.networks(text)
