"""Judges the client-specific overrides of a backup: the router's own, and those of others that claim what is the router's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.office.fields import OVERRIDES, listed
from chalicelib.office.finding import Finding, named, overlap, uncovered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.office.backup import Entry
    from chalicelib.office.finding import Asked


def override_findings(asked: Asked, server: Entry) -> Iterator[Finding]:
    """Judge the override that is in force for the router: pfSense writes each to one file, so that the last one stays."""
    common_name, page = asked.tunnel.common_name, f"{OVERRIDES} > General Information > Common Name"
    mine = [o for o in asked.backup.overrides if o.text("common_name") == common_name]
    applying = [o for o in mine if _applies(o, server) and not o.is_set("disable")]
    if not applying:
        yield _no_override(asked, server, mine, page)
        return
    if len(applying) > 1:
        yield Finding(
            "shadowed",
            f"{len(applying)} overrides are named {common_name}: the last one alone is in force",
            page,
            "delete all but one",
        )
    yield from _override_values(asked, applying[-1])
    yield from _rivals(asked, server, applying[-1])


def _no_override(asked: Asked, server: Entry, mine: list[Entry], page: str) -> Finding:
    name = asked.tunnel.common_name
    if any(o.is_set("disable") for o in mine if _applies(o, server)):
        return Finding(
            "missing",
            f"the override of {name} is disabled",
            f"{OVERRIDES} > General Information > Disable",
            "untick it",
        )
    if mine:
        return Finding(
            "wrong",
            f"the override of {name} is for other servers than {named(server)}",
            f"{OVERRIDES} > General Information > Server List",
            f"choose {named(server)}, or none for all",
        )
    near = any(o.text("common_name").lower() == name.lower() for o in asked.backup.overrides)
    why = "one differs by capital letters, which count" if near else "without it no packet finds the VPC"
    return Finding("missing", f"there is no override of {name}; {why}", page, name)


def _applies(override: Entry, server: Entry) -> bool:
    servers = [part.strip() for part in override.text("server_list").split(",") if part.strip()]
    return not servers or server.text("vpnid") in servers


def _override_values(asked: Asked, override: Entry) -> Iterator[Finding]:
    name, net = asked.tunnel.common_name, f"{OVERRIDES} > Tunnel Settings"
    own = f"{asked.tunnel.address}/{asked.topology.vpn_clients.prefixlen}"
    if override.is_true("block"):
        yield Finding(
            "wrong",
            f"the override of {name} blocks its connection",
            f"{OVERRIDES} > General Information > Connection blocking",
            "untick it",
        )
    if override.is_true("push_reset"):
        yield Finding(
            "weak",
            f"the override of {name} takes back the server's pings, so that a dead server goes unnoticed",
            f"{OVERRIDES} > Client Settings > Reset Server Options",
            "keep the server's options",
        )
    fixed = override.interface("tunnel_network")
    if not override.text("tunnel_network"):
        yield Finding(
            "missing", f"the override of {name} gives no address", f"{net} > IPv4 Tunnel Network", own
        )
    elif fixed is None or str(fixed) != own:
        yield Finding(
            "wrong",
            f"the override of {name} gives another address than {own}",
            f"{net} > IPv4 Tunnel Network",
            own,
        )
    without = uncovered(
        asked.topology.vpc_networks, [*override.networks("remote_network"), *override.routes("iroute")]
    )
    if without:
        unknown = "" if override.understood("remote_network") else "; what an alias holds cannot be seen here"
        yield Finding(
            "missing",
            f"the override of {name} lacks {listed(without)}: packets for it are dropped{unknown}",
            f"{net} > IPv4 Remote Network/s",
            f"add {listed(without)}",
        )
    if overlap(override.networks("remote_network"), asked.topology.remote_networks):
        yield Finding(
            "wrong",
            f"the override of {name} claims networks of the office for the VPC",
            f"{net} > IPv4 Remote Network/s",
            listed(asked.topology.vpc_networks),
        )


def _rivals(asked: Asked, server: Entry, mine: Entry) -> Iterator[Finding]:
    """Find overrides of other clients that claim what is the router's: the last of them to connect gets it."""
    for other in asked.backup.overrides:
        same = other.text("common_name") == mine.text("common_name")
        if same or other.is_set("disable") or not _applies(other, server):
            continue
        if overlap([*other.networks("remote_network"), *other.routes("iroute")], asked.topology.vpc_networks):
            yield Finding(
                "shadowed",
                "another client's override claims part of the VPC: the last to connect owns it",
                f"{OVERRIDES} > Tunnel Settings > IPv4 Remote Network/s",
                f"remove {listed(asked.topology.vpc_networks)} there",
            )
        fixed = other.interface("tunnel_network")
        if fixed is not None and fixed.ip == asked.tunnel.address:
            yield Finding(
                "shadowed",
                f"another client's override gives {asked.tunnel.address} as well",
                f"{OVERRIDES} > Tunnel Settings > IPv4 Tunnel Network",
                "give it another address",
            )
