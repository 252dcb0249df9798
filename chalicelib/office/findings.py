"""Holds a pfSense backup against what the office must hold: missing, wrong, shadowed or weak, each with the way to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.office.fields import CIPHERS, SERVERS, listed
from chalicelib.office.finding import Asked, Finding, named, overlap, port, protocol, spoken, uncovered
from chalicelib.office.overrides import override_findings
from chalicelib.office.required import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.core.topology import Topology
    from chalicelib.office.backup import Backup, Entry

_OLD = ("BF-", "DES", "CAST", "RC2", "IDEA", "SEED", "NONE")
_CBC = ("-CBC", "-CFB", "-OFB")


def check(topology: Topology, backup: Backup) -> tuple[Finding, ...]:
    """Find everything in a backup that keeps the tunnel from working, or from being safe.

    Raises:
        ValueError: the topology has no tunnel.
    """
    if topology.tunnel is None:
        raise ValueError(f"{topology.name} declares no tunnel")
    asked = Asked(topology, topology.tunnel, backup)
    server = _server(asked)
    if server is None:
        return tuple(_no_server(asked))
    found = [
        *_server_findings(asked, server),
        *_route_findings(asked, server),
        *_weak(server),
        *_other_servers(asked, server),
        *override_findings(asked, server),
    ]
    return tuple(dict.fromkeys(found))


def _server(asked: Asked) -> Entry | None:
    """Find the server the router dials: by port, protocol and tunnel network, else by less; one that is on, if any is."""
    wanted = (lambda *both: _listens(*both) and _serves(*both), _serves, _listens)
    for on in (True, False):
        for fits in wanted:
            for server in asked.backup.servers:
                if fits(asked, server) and server.is_set("disable") is not on:
                    return server
    return None


def _listens(asked: Asked, server: Entry) -> bool:
    return port(server) == asked.tunnel.port and protocol(server) in spoken(asked.tunnel)


def _serves(asked: Asked, server: Entry) -> bool:
    return asked.topology.vpn_clients in server.networks("tunnel_network")


def _no_server(asked: Asked) -> Iterator[Finding]:
    wanted = asked.topology.vpn_clients
    many = len(asked.backup.servers)
    has = (
        f"{many} OpenVPN server{'s' * (many != 1)}, none with port {asked.tunnel.port}"
        if many
        else f"no OpenVPN server with port {asked.tunnel.port}"
    )
    yield Finding(
        "missing", f"the backup has {has} or the tunnel network {wanted}", "VPN > OpenVPN > Servers > Add",
        "enter what `mooring office` lists",
    )  # fmt: skip


def _server_findings(asked: Asked, server: Entry) -> Iterator[Finding]:
    """Judge the fields that have one right value."""
    tunnel, name = asked.tunnel, named(server)
    mode, end = f"{SERVERS} > Mode Configuration", f"{SERVERS} > Endpoint Configuration"
    client = f"{SERVERS} > Client Settings"
    if server.is_set("disable"):
        yield Finding(
            "missing", f"{name} is disabled", f"{SERVERS} > General Information > Disabled", "untick it"
        )
    yield from _mode_findings(server, f"{mode} > Server mode")
    if server.text("dev_mode") not in ("tun", ""):
        yield Finding("wrong", f"{name} bridges (tap)", f"{mode} > Device mode", "tun - Layer 3 Tunnel Mode")
    if protocol(server) not in spoken(tunnel):
        yield Finding(
            "wrong",
            f"{name} does not speak {tunnel.protocol}",
            f"{end} > Protocol",
            f"{tunnel.protocol.upper()[:3]} on IPv4 only",
        )
    if port(server) != tunnel.port:
        yield Finding(
            "wrong",
            f"{name} listens on port {port(server)}, the router dials {tunnel.port}",
            f"{end} > Local port",
            str(tunnel.port),
        )
    if not _serves(asked, server):
        wanted = str(asked.topology.vpn_clients)
        yield Finding(
            "wrong",
            f"{name} has another tunnel network than {wanted}",
            f"{SERVERS} > Tunnel Settings > IPv4 Tunnel Network",
            wanted,
        )
    if server.text("topology") != "subnet" or ["topology", "net30"] in server.directives():
        yield Finding(
            "wrong",
            f"{name} has a topology in which the router's address is another",
            f"{client} > Topology",
            "Subnet -- One IP address per client in a common subnet",
        )
    yield from _key_findings(asked, server, f"{SERVERS} > Cryptographic Settings")


def _key_findings(asked: Asked, server: Entry, crypto: str) -> Iterator[Finding]:
    """Judge keys, certificate and ciphers."""
    tunnel, name = asked.tunnel, named(server)
    if not server.is_set("tls"):
        yield Finding(
            "missing",
            f"{name} has no TLS key; the router speaks tls-crypt",
            f"{crypto} > TLS Configuration",
            "tick Use a TLS Key",
        )
    elif server.text("tls_type") != "crypt":
        yield Finding(
            "wrong",
            f"{name} speaks tls-auth, the router tls-crypt: neither hears the other",
            f"{crypto} > TLS Key Usage Mode",
            "TLS Encryption and Authentication",
        )
    certificate = asked.backup.names.get(asked.backup.servers.index(server))
    if certificate is not None and certificate != tunnel.server_name:
        yield Finding(
            "wrong",
            f"{name} has a certificate of another name than {tunnel.server_name}, and the router will refuse it",
            f"{crypto} > Server certificate",
            f"choose the one named {tunnel.server_name}, or declare the name of this one as tunnel.server_name",
        )
    if not _accepted(server):
        yield Finding(
            "wrong",
            f"{name} offers no cipher that the router accepts",
            f"{crypto} > Data Encryption Algorithms",
            ", ".join(CIPHERS),
        )


def _mode_findings(server: Entry, page: str) -> Iterator[Finding]:
    name, right = named(server), "Remote Access ( SSL/TLS )"
    match server.text("mode"):
        case "server_tls" | "p2p_tls":
            return
        case "p2p_shared_key":
            yield Finding("weak", f"{name} uses a static key, which OpenVPN 2.7 no longer knows", page, right)
        case "server_user" | "server_tls_user":
            yield Finding("wrong", f"{name} asks for a user's password, and the router has none", page, right)
        case _:
            yield Finding("wrong", f"{name} is in no mode that is known", page, right)


def _accepted(server: Entry) -> list[str]:
    """List the ciphers that both ends know; without a list OpenVPN offers its own, which are these."""
    if server.text("ncp_enable") == "disabled":
        return []
    offered = [cipher.strip() for cipher in server.text("data_ciphers").upper().split(",")]
    return [cipher for cipher in CIPHERS if not server.text("data_ciphers") or cipher in offered]


def _route_findings(asked: Asked, server: Entry) -> Iterator[Finding]:
    """Judge what the firewall sends into the tunnel, and what laptops are told."""
    name, vpc = named(server), asked.topology.vpc_networks
    p2p = server.text("mode").startswith("p2p")
    field = f"{SERVERS} > Tunnel Settings > IPv4 Remote network(s)"
    options = f"{SERVERS} > Advanced Configuration > Custom options"
    routed = [*server.routes(), *(server.networks("remote_network") if p2p else [])]
    without = uncovered(vpc, routed)
    if without:
        unknown = (
            ""
            if server.understood("remote_network") or not p2p
            else "; what an alias holds cannot be seen here"
        )
        ignored = (
            ""
            if p2p or not server.networks("remote_network")
            else "; its remote networks are ignored in this mode"
        )
        mend = listed(without) if p2p else "".join(f"route {dotted(network)};" for network in without)
        yield Finding(
            "missing",
            f"{name} does not route {listed(without)} into the tunnel{ignored}{unknown}",
            field if p2p else options,
            mend,
        )
    told = [*server.networks("local_network"), *server.routes("push", "route")]
    everything = (*asked.topology.office_networks, *vpc)
    untold = () if server.is_true("gwredir") else uncovered(everything, told)
    if untold:
        unknown = "" if server.understood("local_network") else "; what an alias holds cannot be seen here"
        yield Finding(
            "missing",
            f"{name} does not tell laptops of {listed(untold)}{unknown}",
            f"{SERVERS} > Tunnel Settings > IPv4 Local network(s)",
            f"add {listed(untold)}",
        )


def _weak(server: Entry) -> Iterator[Finding]:
    """Judge what works today, and should not be relied on."""
    name, net, crypto = named(server), f"{SERVERS} > Tunnel Settings", f"{SERVERS} > Cryptographic Settings"
    words = [directive[0] for directive in server.directives()]
    none = "Refuse any non-stub compression (Most secure)"
    compresses = server.text("compression") not in ("", "none") and server.text("allow_compression") != "no"
    if compresses:
        yield Finding(
            "weak", f"{name} compresses: the router refuses that", f"{net} > Allow Compression", none
        )
    elif server.text("allow_compression") in ("yes", "asym"):
        yield Finding("weak", f"{name} allows compression", f"{net} > Allow Compression", none)
    options = f"{SERVERS} > Advanced Configuration > Custom options"
    for word in ("comp-lzo", "compress", "cipher", "ncp-disable", "secret"):
        if word in words:
            yield Finding("weak", f"{name} has {word} among its custom options", options, f"remove {word}")
    if server.is_set("duplicate_cn") or "duplicate-cn" in words:
        yield Finding(
            "weak",
            f"{name} lets two clients of one name stay: two routers would share the VPC's packets",
            f"{net} > Duplicate Connection",
            "untick it",
        )
    if not server.is_set("remote_cert_tls") and ["remote-cert-tls", "client"] not in server.directives():
        yield Finding(
            "weak",
            f"{name} takes a server's certificate for a client's",
            f"{crypto} > Client Certificate Key Usage Validation",
            "tick Enforce key usage",
        )
    ciphers = [*server.text("data_ciphers").upper().split(","), server.text("data_ciphers_fallback").upper()]
    listed_old = [c for c in ciphers[:-1] if any(mark in c for mark in (*_OLD, *_CBC))]
    if listed_old or any(mark in ciphers[-1] for mark in _OLD):
        yield Finding(
            "weak",
            f"{name} offers old ciphers",
            f"{crypto} > Data Encryption Algorithms",
            f"{', '.join(CIPHERS)}; fallback AES-256-CBC",
        )
    yield from _slow(server)


def _slow(server: Entry) -> Iterator[Finding]:
    """Judge how soon a dead end is noticed; pfSense's own default is 10 and 60 seconds."""
    if server.text("ping_method") == "ping":
        seconds = server.text("ping_action_seconds") if server.is_true("ping_action_push") else ""
    else:
        seconds = server.text("keepalive_timeout") or "60"
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) < 6):
        yield Finding(
            "weak",
            f"{named(server)} does not tell the router when to give a dead server up",
            f"{SERVERS} > Ping settings",
            "keepalive, interval 1, timeout 5",
        )
    elif int(seconds) > 15:
        yield Finding(
            "weak",
            f"{named(server)} is given up for dead only after {int(seconds)} s",
            f"{SERVERS} > Ping settings > Timeout",
            "interval 1, timeout 5",
        )


def _other_servers(asked: Asked, server: Entry) -> Iterator[Finding]:
    """Find what takes packets, an address or a port away from the server."""
    vpc = asked.topology.vpc_networks
    place = (port(server), protocol(server)[:3])
    for other in asked.backup.servers:
        if other is server or other.is_set("disable"):
            continue
        if (port(other), protocol(other)[:3]) == place:
            yield Finding(
                "shadowed",
                f"{named(other)} has the same port and protocol as {named(server)}: one answers, if they share an address",
                f"{SERVERS} > Endpoint Configuration",
                "disable one, or give it another port",
            )
        if overlap(other.networks("tunnel_network"), [asked.topology.vpn_clients]):
            yield Finding(
                "shadowed",
                f"{named(other)} has a tunnel network that overlaps {asked.topology.vpn_clients}",
                f"{SERVERS} > Tunnel Settings > IPv4 Tunnel Network",
                "give it another, or disable it",
            )
        p2p = other.text("mode").startswith("p2p")
        if overlap([*other.routes(), *(other.networks("remote_network") if p2p else [])], vpc):
            yield Finding(
                "shadowed",
                f"{named(other)} routes part of the VPC elsewhere",
                f"{SERVERS} > Tunnel Settings > IPv4 Remote network(s)",
                f"remove {listed(vpc)} there",
            )
    for client in asked.backup.clients:
        if not client.is_set("disable") and overlap(client.networks("remote_network"), vpc):
            yield Finding(
                "shadowed",
                "an OpenVPN client of the firewall routes part of the VPC elsewhere",
                "VPN > OpenVPN > Clients > Edit > Tunnel Settings > IPv4 Remote network(s)",
                f"remove {listed(vpc)} there",
            )
    if overlap(asked.backup.static_routes, vpc):
        yield Finding(
            "shadowed",
            "a static route leads part of the VPC elsewhere",
            "System > Routing > Static Routes",
            f"remove what overlaps {listed(vpc)}",
        )
