"""Where packets go once the tunnel is up: the router's address, routes into the tunnel and to the router, laptops' routes."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from chalicelib.office.backup import network
from chalicelib.office.finding import overlap, takes, uncovered
from chalicelib.office.required import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.office.case import Case, Config
    from chalicelib.office.finding import Finding


def travel(case: Case) -> Iterator[Finding]:
    """Judge where the packets of the VPC, the office and laptops go."""
    yield from _network(case)
    yield from _routes(case)
    yield from _told(case)
    if case.override is not None:
        yield from _refused(case, case.override)
        yield from _address(case, case.override)
        yield from _inner(case, case.override)
        yield from _rivals(case, case.override)


def _network(case: Case) -> Iterator[Finding]:
    wanted, line = case.topology.vpn_clients, case.server.last("server")
    if line is None:
        return
    mask = line.words[2] if len(line.words) > 2 else ""
    if network(line.value, mask) != wanted:
        what = f"{case.name} has another tunnel network than {wanted}"
        yield case.find("wrong", what, "tunnel_network", line=line, mend=str(wanted))
    elif line.value != str(wanted.network_address):
        what = f"{case.name} does not start: its tunnel network is written as an address within it"
        yield case.find("wrong", what, "tunnel_network", line=line, mend=str(wanted))
    if "nopool" in line.words and not case.server.last("ifconfig-pool"):
        what = f"{case.name} has no pool: laptops get no address"
        yield case.find("missing", what, "nopool", line=line, mend="name one: ifconfig-pool")
    for idle in case.server.all("route-noexec", "ifconfig-noexec"):
        what = f"{case.name} sets no {'routes' if idle.name == 'route-noexec' else 'address'} of its own"
        yield case.find("wrong", what, "custom_options", line=idle)


def _routes(case: Case) -> Iterator[Finding]:
    vpc = case.topology.vpc_networks
    without = uncovered(vpc, case.server.networks("route"))
    if without:
        what = f"{case.name} does not route {listed(without)} into the tunnel"
        element, mend = case.places.routed(without)
        yield case.find("missing", what, element, mend=mend)
    mine = case.server.networks("route")
    for found, foreign, line in case.server.routes("route"):
        if foreign and overlap([found], vpc):
            what = f"{case.name} itself routes part of the VPC past the tunnel"
            yield case.find("shadowed", what, "custom_options", line=line, weakly=not takes([found], mine))
        elif not foreign and takes([found], case.topology.office_networks):
            what = f"{case.name} routes part of the office into the tunnel"
            yield case.find(
                "wrong", what, line.line.element or "custom_options", line=line, mend=f"remove {line.shown}"
            )


def _told(case: Case) -> Iterator[Finding]:
    """Judge what laptops are told; the router takes none of it."""
    if any(words[0] == "redirect-gateway" for words, _ in case.server.pushed()):
        return
    everything = (*case.topology.office_networks, *case.topology.vpc_networks)
    untold = uncovered(everything, case.server.pushed_networks())
    if untold:
        what = f"{case.name} does not tell laptops of {listed(untold)}"
        yield case.find("missing", what, "local_network", mend=f"add {listed(untold)}")


def _refused(case: Case, override: Config) -> Iterator[Finding]:
    if off := override.last("disable"):
        what = f"the override of {case.tunnel.common_name} blocks its connection"
        yield case.find("wrong", what, "block", line=off, override=True)


def _address(case: Case, override: Config) -> Iterator[Finding]:
    """Judge the address the server takes the router for: the router has its own, whatever it is told."""
    own, name = case.tunnel.address, case.tunnel.common_name
    fixed = override.last("ifconfig-push")
    mend = f"{own}/{case.topology.vpn_clients.prefixlen}"
    if fixed is None:
        what = f"the override of {name} gives no address: the router's own packets are dropped"
        yield case.find("missing", what, "tunnel_network", override=True, mend=mend)
        return
    try:
        given = IPv4Address(fixed.value)
    except ValueError:
        given = None
    if given != own:
        what = (
            f"the override of {name} gives another address than {own}: the router's own packets are dropped"
        )
        mend = "" if fixed.line.element == "custom_options" else mend
        yield case.find("wrong", what, "tunnel_network", override=True, line=fixed, mend=mend)


def _inner(case: Case, override: Config) -> Iterator[Finding]:
    """Judge which client the server thinks the VPC is behind."""
    name, inner = case.tunnel.common_name, override.networks("iroute")
    without = uncovered(case.topology.vpc_networks, inner)
    if without:
        what = f"the override of {name} lacks {listed(without)}: packets for it are dropped"
        yield case.find("missing", what, "remote_network", override=True, mend=f"add {listed(without)}")
    if overlap(inner, case.topology.remote_networks):
        what = f"the override of {name} claims networks of the office for the VPC"
        mine = listed(case.topology.vpc_networks)
        inside = bool(case.server.last("client-to-client"))
        yield case.find("wrong", what, "remote_network", override=True, mend=mine, weakly=not inside)


def _rivals(case: Case, override: Config) -> Iterator[Finding]:
    """Find other clients whose files claim what is the router's: the last of them to connect gets it."""
    vpc = case.topology.vpc_networks
    for other in case.others.values():
        claimed = other.networks("iroute")
        if overlap(claimed, vpc):
            what = "another client's override claims part of the VPC: the last to connect owns it"
            mend, exact = f"remove {listed(vpc)} there", takes(claimed, override.networks("iroute"))
            yield case.find("shadowed", what, "remote_network", override=True, mend=mend, weakly=not exact)
        if other.value("ifconfig-push") == str(case.tunnel.address):
            what = f"another client's override gives {case.tunnel.address} as well"
            yield case.find("shadowed", what, "tunnel_network", override=True, mend="give it another address")
