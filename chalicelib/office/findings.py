"""Holds a pfSense backup against what the office must hold: by what pfSense would write of it, and OpenVPN do with that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.office import opnsense
from chalicelib.office.backup import Entry
from chalicelib.office.case import Case, Config
from chalicelib.office.certificates import certificates
from chalicelib.office.csc import TLS_MODES, applies
from chalicelib.office.elsewhere import elsewhere
from chalicelib.office.finding import Finding, Judged
from chalicelib.office.instances import Instances
from chalicelib.office.judge import judge
from chalicelib.office.pfsense import effective
from chalicelib.office.places import Pages
from chalicelib.office.release import release_of
from chalicelib.office.rules import rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from chalicelib.core.network.topology import Topology, Tunnel
    from chalicelib.office.backup import Backup
    from chalicelib.office.case import Places
    from chalicelib.office.effective import Effective

_OLD_WORDS = frozenset(
    ("ncp-disable", "keysize", "key-method", "no-iv", "ifconfig-pool-linear", "client-cert-not-required")
)
"""Directives of OpenVPN 2.4 and 2.5 that 2.6 no longer starts with."""


def check(topology: Topology, backup: Backup, at: datetime) -> Judged:
    """Find everything in a backup that keeps the tunnel from working, or from being relied on.

    Args:
        topology: with a tunnel.
        backup: of pfSense.
        at: when certificates must be good.

    Raises:
        ValueError: the topology has no tunnel.
    """
    tunnel = topology.tunnel
    if tunnel is None:
        raise ValueError(f"{topology.name} declares no tunnel")
    if backup.product == "OPNsense":
        backup = opnsense.normal(backup)
    server = dialled(topology, tunnel, backup)
    if server is None:
        return Judged.of(None, [_no_server(topology, tunnel, backup)])
    enabled = Entry({k: v for k, v in server.elements.items() if k != "disable"})
    write = opnsense.effective if backup.product == "OPNsense" else effective
    written = write(backup, enabled)
    case = _case(topology, tunnel, backup, enabled, written)
    found = [
        *_state(case, backup, server),
        *judge(case),
        *certificates(case, backup, server, at),
        *elsewhere(case, backup, server),
        *rules(case, backup, server),
    ]
    return Judged.of(written, [_explained(finding, backup, server, case) for finding in found])


def dialled(topology: Topology, tunnel: Tunnel, backup: Backup) -> Entry | None:
    """Find the server the router dials: by port, protocol and tunnel network, else by less; one that is on, if any is."""

    def listens(server: Entry) -> bool:
        port = server.text("local_port") or "1194"
        spoken = server.text("protocol").upper() or "UDP"
        return port == str(tunnel.port) and spoken in (tunnel.protocol.upper(), tunnel.protocol.upper()[:3])

    def serves(server: Entry) -> bool:
        return topology.vpn_clients in backup.networks(server.text("tunnel_network"))

    for on in (True, False):
        for fits in (lambda s: listens(s) and serves(s), serves, listens):
            for server in backup.servers:
                if fits(server) and server.is_set("disable") is not on:
                    return server
    return None


def _case(topology: Topology, tunnel: Tunnel, backup: Backup, server: Entry, written: Effective) -> Case:
    release, other = release_of(backup.version), backup.product != "pfSense"
    mine = written.override(tunnel.common_name)
    others = {name: Config.of(file.lines) for name, file in written.overrides.items() if file is not mine}
    return Case(
        topology,
        tunnel,
        _named(server),
        Config.of(written.server.lines),
        Config.of(mine.lines) if mine else None,
        _places(backup, tunnel, server),
        others,
        _OLD_WORDS if release.may_not_negotiate and not other else frozenset(),
        release.modern or other,
    )


def _places(backup: Backup, tunnel: Tunnel, server: Entry) -> Places:
    udp = tunnel.protocol == "udp4"
    if backup.product == "OPNsense":
        return Instances(udp)
    return Pages(release_of(backup.version), udp, server.text("mode").startswith("p2p"))


def _named(server: Entry) -> str:
    """Name a server without its description, which is free text."""
    number = server.text("vpnid")
    shown = number if number.isascii() and number.isalnum() and len(number) < 6 else "without a number"
    return f"server {shown}"


def _no_server(topology: Topology, tunnel: Tunnel, backup: Backup) -> Finding:
    many = len(backup.servers)
    has = (
        f"{many} OpenVPN server{'s' * (many != 1)}, none with port {tunnel.port}"
        if many
        else f"no OpenVPN server with port {tunnel.port}"
    )
    what = f"the backup has {has} or the tunnel network {topology.vpn_clients}"
    page = (
        "VPN > OpenVPN > Servers > Add" if backup.product == "pfSense" else "VPN > OpenVPN > Instances > Add"
    )
    return Finding("missing", what, page, "enter what `mooring office` lists")


def _state(case: Case, backup: Backup, server: Entry) -> Iterator[Finding]:
    """Judge whether the server and the router's override are in force at all."""
    if server.is_set("disable"):
        yield case.find("missing", f"{case.name} is disabled", "disable")
    if server.text("mode") not in (
        "server_tls",
        "p2p_tls",
        "server_user",
        "server_tls_user",
        "p2p_shared_key",
    ):
        yield case.find("wrong", f"{case.name} is in no mode that is known", "mode")
    folder = case.server.last("client-config-dir")
    if folder and folder.line.element == "custom_options":
        what = f"{case.name} reads clients' files in another folder than pfSense writes them to"
        yield case.find("wrong", what, "custom_options", line=folder)
    name = case.tunnel.common_name
    mine = [o for o in backup.overrides if o.text("common_name") == name]
    applying = [o for o in mine if applies(o, server.text("vpnid"))]
    enabled = [o for o in applying if not o.is_set("disable")]
    if case.override is None and server.text("mode") in TLS_MODES:
        yield _no_override(case, backup, mine, applying, enabled)
    elif len(enabled) > 1:
        what = f"{len(enabled)} overrides are named {name}: the last one alone is in force"
        yield case.find(
            "shadowed", what, "common_name", override=True, mend="delete all but one", weakly=True
        )


def _no_override(
    case: Case, backup: Backup, mine: list[Entry], applying: list[Entry], enabled: list[Entry]
) -> Finding:
    name = case.tunnel.common_name
    if enabled:
        what = f"a disabled override of {name} comes after the other, and removes it"
        return case.find("missing", what, "disable", override=True, mend="delete the disabled one")
    if applying:
        return case.find("missing", f"the override of {name} is disabled", "disable", override=True)
    if mine:
        what = f"the override of {name} is for other servers than {case.name}"
        return case.find(
            "wrong", what, "server_list", override=True, mend=f"choose {case.name}, or none for all"
        )
    near = any(o.text("common_name").lower() == name.lower() for o in backup.overrides)
    why = "one differs by capital letters, which count" if near else "without it no packet finds the VPC"
    return case.find(
        "missing", f"there is no override of {name}; {why}", "common_name", override=True, mend=name
    )


def _explained(finding: Finding, backup: Backup, server: Entry, case: Case) -> Finding:
    """Add what else the backup says about a field: an alias that is not in it, remote networks that the mode ignores."""
    if finding.kind != "missing":
        return finding
    p2p = server.text("mode").startswith("p2p")
    if finding.field == "custom_options" and "does not route" in finding.what and not p2p:
        if backup.networks(server.text("remote_network")):
            return replace(finding, what=f"{finding.what}; its remote networks are ignored in this mode")
        return finding
    if finding.field not in ("remote_network", "local_network"):
        return finding
    mine = [o for o in backup.overrides if o.text("common_name") == case.tunnel.common_name]
    texts = (
        [server.text(finding.field)] if "does not" in finding.what else [o.text(finding.field) for o in mine]
    )
    if any(backup.unknown(text) for text in texts):
        kind = finding.kind if backup.whole else "unclear"
        return replace(finding, kind=kind, what=f"{finding.what}; what an alias holds cannot be seen here")
    return finding
