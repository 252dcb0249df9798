"""What takes the VPC's packets, the server's port or its network elsewhere, wherever the firewall's backup holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.office.backup import network
from chalicelib.office.case import Config
from chalicelib.office.finding import Finding, overlap, takes
from chalicelib.office.places import SERVERS
from chalicelib.office.pushed import custom
from chalicelib.office.required import listed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network

    from chalicelib.office.backup import Backup, Entry
    from chalicelib.office.case import Case

_CLIENTS = "VPN > OpenVPN > Clients > Edit"


def elsewhere(case: Case, backup: Backup, server: Entry) -> Iterator[Finding]:
    """Find every rival of the tunnel."""
    for other in backup.servers:
        if other is not server and not other.is_set("disable"):
            yield from _other_server(case, backup, server, other)
    for client in backup.clients:
        if not client.is_set("disable"):
            yield from _client(case, backup, client)
    yield from _static_routes(case, backup)
    yield from _interfaces(case, backup)
    yield from _ipsec(case, backup)


def _rival(case: Case, networks: list[IPv4Network], what: str, page: str) -> Iterator[Finding]:
    """Make a finding of networks that overlap the VPC; one that is less exact than the tunnel's routes takes nothing from them."""
    vpc = case.topology.vpc_networks
    if overlap(networks, vpc):
        taken = takes(networks, case.server.networks("route")) or not case.server.networks("route")
        yield Finding("shadowed", what, page, f"remove what overlaps {listed(vpc)}", weakly=not taken)


def _other_server(case: Case, backup: Backup, server: Entry, other: Entry) -> Iterator[Finding]:
    name = _named(other)
    if _same_place(server, other):
        yield Finding(
            "shadowed",
            f"{name} has the same port, protocol and address as {case.name}: one of them answers",
            f"{SERVERS} > Endpoint Configuration",
            "disable one, or give it another port",
        )
    if overlap(backup.networks(other.text("tunnel_network")), [case.topology.vpn_clients]):
        yield Finding(
            "shadowed",
            f"{name} has a tunnel network that overlaps {case.topology.vpn_clients}",
            f"{SERVERS} > Tunnel Settings > IPv4 Tunnel Network",
            "give it another, or disable it",
        )
    p2p = other.text("mode").startswith("p2p")
    routed = [*_custom_routes(other), *(backup.networks(other.text("remote_network")) if p2p else [])]
    page = f"{SERVERS} > Tunnel Settings > IPv4 Remote network(s)"
    yield from _rival(case, routed, f"{name} routes part of the VPC elsewhere", page)


def _named(server: Entry) -> str:
    number = server.text("vpnid")
    return f"server {number if number.isascii() and number.isalnum() and len(number) < 6 else 'without a number'}"


def _same_place(one: Entry, other: Entry) -> bool:
    """Return whether two servers listen at the same place: port, protocol, family and address all meet."""
    ports = [entry.text("local_port") or "1194" for entry in (one, other)]
    spoken = [entry.text("protocol").upper() or "UDP" for entry in (one, other)]
    families = [protocol[3:] for protocol in spoken]
    if ports[0] != ports[1] or spoken[0][:3] != spoken[1][:3] or {"4", "6"} == set(families):
        return False
    if "" in families:  # both families are every interface: pfSense then binds none
        return True
    places = [(e.text("interface"), e.text("ipaddr")) for e in (one, other)]
    return places[0] == places[1] or any(place in ("any", "") for place, _ in places)


def _client(case: Case, backup: Backup, client: Entry) -> Iterator[Finding]:
    what = "an OpenVPN client of the firewall routes part of the VPC elsewhere"
    remote = backup.networks(client.text("remote_network"))
    yield from _rival(case, remote, what, f"{_CLIENTS} > Tunnel Settings > IPv4 Remote network(s)")
    yield from _rival(
        case, _custom_routes(client), what, f"{_CLIENTS} > Advanced Configuration > Custom options"
    )
    if overlap(backup.networks(client.text("tunnel_network")), [case.topology.vpn_clients]):
        yield Finding(
            "shadowed",
            f"an OpenVPN client of the firewall has a tunnel network that overlaps {case.topology.vpn_clients}",
            f"{_CLIENTS} > Tunnel Settings > IPv4 Tunnel Network",
            "give it another, or disable it",
        )


def _custom_routes(entry: Entry) -> list[IPv4Network]:
    """Read every network that custom options route, wherever to: none of it goes to this tunnel."""
    return [found for found, _, _ in Config.of(custom(entry)).routes("route")]


def _static_routes(case: Case, backup: Backup) -> Iterator[Finding]:
    found = [
        n
        for r in backup.of("staticroutes/route")
        if not r.is_set("disabled")
        for n in backup.networks(r.text("network"))
    ]
    yield from _rival(
        case, found, "a static route leads part of the VPC elsewhere", "System > Routing > Static Routes"
    )


def _interfaces(case: Case, backup: Backup) -> Iterator[Finding]:
    """Find networks that the firewall is on itself: it looks for their hosts on that wire."""
    for name, interface in backup.interfaces.items():
        found = network(interface.text("ipaddr"), interface.text("subnet") or "32")
        if found is None or not (interface.is_set("enable") or name == "wan"):
            continue
        shown = name if name.isascii() and name.isalnum() and len(name) < 10 else "of the firewall"
        page = f"Interfaces > {shown.upper()}" if shown == name else "Interfaces"
        yield from _on_wire(case, found, f"the interface {shown}", page)
    for vip in backup.of("virtualip/vip"):
        found = network(vip.text("subnet"), vip.text("subnet_bits") or "32")
        if found is not None and vip.text("mode") in ("carp", "ipalias"):
            yield from _on_wire(case, found, "a virtual address", "Firewall > Virtual IPs")


def _on_wire(case: Case, found: IPv4Network, who: str, page: str) -> Iterator[Finding]:
    yield from _rival(case, [found], f"{who} is in the VPC's networks: their packets stay there", page)
    if found.overlaps(case.topology.vpn_clients):
        what = f"{who} is in the tunnel network {case.topology.vpn_clients}"
        yield Finding("shadowed", what, page, "give one of them another network")


def _ipsec(case: Case, backup: Backup) -> Iterator[Finding]:
    """Find IPsec policies that match what the office sends to the VPC: they come before every route."""
    off = {p.text("ikeid") for p in backup.of("ipsec/phase1") if p.is_set("disabled")}
    page = "VPN > IPsec > Tunnels > Edit Phase 2 > Remote Network"
    for phase in backup.of("ipsec/phase2"):
        if phase.is_set("disabled") or phase.text("ikeid") in off or phase.text("mode") not in ("tunnel", ""):
            continue
        remote, local = _end(backup, phase, "remoteid"), _end(backup, phase, "localid")
        ours = local is None or overlap(
            [local], (*case.topology.remote_networks, *case.topology.vpc_networks)
        )
        if remote is not None and overlap([remote], case.topology.vpc_networks) and ours:
            what = "an IPsec phase 2 takes packets for part of the VPC: its policy comes before every route"
            yield Finding(
                "shadowed", what, page, f"remove what overlaps {listed(case.topology.vpc_networks)}"
            )


def _end(backup: Backup, phase: Entry, side: str) -> IPv4Network | None:
    """Read one end of a policy: a network, an address, or that of an interface; None when it cannot be told."""
    kind, address = phase.text(f"{side}/type"), phase.text(f"{side}/address")
    if kind == "address":
        return network(address, "32")
    if kind == "network":
        return network(address, phase.text(f"{side}/netbits") or "32")
    interface = backup.interfaces.get(kind)
    return network(interface.text("ipaddr"), interface.text("subnet") or "32") if interface else None
