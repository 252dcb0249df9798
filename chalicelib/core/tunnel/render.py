"""The router's configuration: every file it needs, as a pure function of the topology and of which candidate it is for.

Whatever reaches a file is typed: networks, addresses, numbers, and names from an allow-list (`core.tunnel`). The lines
and what was measured of them: docs/decisions, 0020 to 0023.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network

    from chalicelib.core.network.topology import Topology, Tunnel

SCHEMA = 1
"""The canonical form's number; it changes when the form does, and so does every digest then."""

DEVICE = "tun-mooring"
UNIT = "openvpn-client@mooring.service"
CLIENT = "/etc/openvpn/client/mooring.conf"
RULES = "/etc/mooring/rules.v4"
ROLE = "/etc/mooring/role.json"
MANAGEMENT = "/run/openvpn-client/mooring.sock"
UNITS = ("mooring-firewall.service", "mooring-role.service")
"""What is enabled on the box. OpenVPN's unit is not: the role starts it where the Elastic IP is."""

_SECRETS = "/etc/openvpn/client/mooring"
SECRETS = {
    "ca": f"{_SECRETS}/ca.crt",
    "cert": f"{_SECRETS}/router.crt",
    "key": f"{_SECRETS}/router.key",
    "tls-crypt": f"{_SECRETS}/tls-crypt.key",
}
"""The files that OpenVPN's directives name and no bundle holds."""

MSS = 1360
"""Bytes; fits the tunnel and most paths of the internet, where a VPC's hosts would offer 8961 (9001 less headers)."""


@dataclass(frozen=True, slots=True)
class File:
    """One file: its absolute path, its mode, and its whole text."""

    path: str
    mode: int
    text: str


@dataclass(frozen=True, slots=True)
class Box:
    """What differs from candidate to candidate: its private address, and the Elastic IP that makes it the router."""

    private_address: IPv4Address
    elastic_ip: IPv4Address


@dataclass(frozen=True, slots=True)
class Bundle:
    """All files of one router, sorted by path."""

    files: tuple[File, ...]

    @property
    def canonical(self) -> bytes:
        """The bundle as canonical JSON: keys sorted, no blanks, ASCII; equal bundles give equal bytes."""
        document = {
            "schema": SCHEMA,
            "files": {f.path: {"mode": f"{f.mode:04o}", "text": f.text} for f in self.files},
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """The SHA-256 of the canonical form, in hexadecimal."""
        return _digest(self)


@lru_cache(maxsize=64)
def _digest(bundle: Bundle) -> str:
    """Work a digest out once: a look compares each candidate's several times."""
    return hashlib.sha256(bundle.canonical).hexdigest()


@lru_cache(maxsize=64)
def render(topology: Topology, box: Box) -> Bundle:
    """Render the files of one candidate.

    Args:
        topology: with a `[tunnel]`; without one the router's configuration is not Mooring's.
        box: the candidate.

    Raises:
        ValueError: the topology has no tunnel.
    """
    tunnel = topology.tunnel
    if tunnel is None:
        raise ValueError(f"{topology.name} declares no tunnel")
    rendered = (
        File(CLIENT, 0o644, _client(topology, tunnel)),
        File(f"/etc/systemd/system/{UNIT}.d/mooring.conf", 0o644, _source("openvpn-client.conf")),
        File(RULES, 0o644, _rules(topology, box)),
        File("/usr/local/lib/mooring/firewall", 0o755, _firewall(topology)),
        File("/etc/systemd/system/mooring-firewall.service", 0o644, _source("mooring-firewall.service")),
        File(ROLE, 0o644, _role(tunnel, box)),
        File("/usr/local/lib/mooring/role", 0o755, _source("role.py")),
        File("/etc/systemd/system/mooring-role.service", 0o644, _source("mooring-role.service")),
    )
    return Bundle(tuple(sorted(rendered, key=lambda file: file.path)))


def _client(topology: Topology, tunnel: Tunnel) -> str:
    """Render OpenVPN's client configuration, for 2.6 and 2.7."""
    clients = topology.vpn_clients
    udp = tunnel.protocol == "udp4"
    lines = [
        _head(topology),
        "client",
        f"dev {DEVICE}",
        "dev-type tun",
        f"proto {tunnel.protocol if udp else 'tcp4-client'}",
        f"remote {tunnel.server} {tunnel.port}",
        "nobind",
        "resolv-retry infinite",
        "connect-timeout 5",
        "connect-retry 1 5",
        "hand-window 20",
        "",
        "# Who is who, and nothing weaker than this",
        f"ca {SECRETS['ca']}",
        f"cert {SECRETS['cert']}",
        f"key {SECRETS['key']}",
        f"tls-crypt {SECRETS['tls-crypt']}",
        "remote-cert-tls server",
        f"verify-x509-name {tunnel.server_name} name",
        "tls-version-min 1.2",
        "data-ciphers AES-256-GCM:AES-128-GCM:?CHACHA20-POLY1305",
        "auth SHA256",
        "allow-compression no",
        "",
        "# Addresses and routes are these, whatever the server pushes",
        "topology subnet",
        f"ifconfig {tunnel.address} {clients.netmask}",
        f"route-gateway {clients.network_address + 1}",
        *(f"route {network.network_address} {network.netmask}" for network in topology.office_networks),
        *(f'pull-filter accept "{option}"' for option in _PULLED),
        'pull-filter ignore ""',
        "",
        "persist-tun",
        "persist-key",
        *(["explicit-exit-notify 1", "fast-io"] if udp else []),
        "sndbuf 2097152",
        "rcvbuf 2097152",
        "txqueuelen 1000",
        "script-security 1",
        f"management {MANAGEMENT} unix",
        "verb 3",
    ]
    return "\n".join(lines) + "\n"


def _head(topology: Topology) -> str:
    return f"# Rendered by Mooring for the topology {topology.name}. What is changed here is undone."


_PULLED = (
    "ping ",  # how soon a dead server is noticed is the office's to say
    "ping-restart ",
    "peer-id ",
    "cipher ",
    "key-derivation ",
    "protocol-flags ",
    "tun-mtu ",
    "push-continuation ",  # without it only the first part of a long list of options is taken
    "compress",  # refused by `allow-compression no`: loudly, where ignoring it would drop every packet in silence
    "comp-lzo",
)
"""What a server may push: what keeps the session going, and nothing that steers a packet."""


_NO_SYN = "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN"
"""A segment that begins no connection."""


def _rules(topology: Topology, box: Box) -> str:
    """Render the rules, one transaction per table; the `-I` lines are jumps, which the loader leaves out where they are."""
    vpc, private, remote = topology.cidrs, topology.private_networks, topology.remote_networks
    nat, forward, mine = "-A MOORING-POSTROUTING", "-A MOORING-FORWARD", "-A MOORING-INPUT"
    lines = [
        _head(topology),
        "*mangle",
        ":MOORING-FORWARD - [0:0]",
        "-I FORWARD 1 -j MOORING-FORWARD",
        "# A VPC's hosts speak 9001 bytes, and word of a smaller path may never reach them. No MSS is raised by this.",
        f"{forward} -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss {MSS}",
        "COMMIT",
        "*nat",
        ":MOORING-POSTROUTING - [0:0]",
        "-I POSTROUTING 1 -j MOORING-POSTROUTING",
        *(f"{nat} {some} -j ACCEPT" for some in _between(vpc, vpc)),
        *(f"{nat} {some} -j ACCEPT" for some in _between(vpc, remote)),
        *(f"{nat} -s {some} -j SNAT --to-source {box.private_address}" for some in _listed(private)),
        "COMMIT",
        "*filter",
        ":MOORING-INPUT - [0:0]",
        ":MOORING-FORWARD - [0:0]",
        ":MOORING-REFUSED - [0:0]",
        "-I INPUT 1 -j MOORING-INPUT",
        "-I FORWARD 1 -j MOORING-FORWARD",
        "# After a failover the internet goes on with flows that this router has yet to learn of: its reset would end them.",
        *(f"{mine} -s {some} -j RETURN" for some in _listed(topology.secondary_cidrs)),
        f"{mine} ! -s {topology.cidr} -d {box.private_address} ! -i {DEVICE} {_NO_SYN} -m conntrack --ctstate INVALID,NEW -j DROP",
        "# What is the office's leaves and comes by the tunnel alone.",
        *(f"{forward} -d {some} ! -o {DEVICE} -j MOORING-REFUSED" for some in _listed(remote)),
        *(f"{forward} -s {some} ! -i {DEVICE} -j MOORING-REFUSED" for some in _listed(remote)),
        f"{forward} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "# Without a state: to its second router a flow that a failover cut in half is a new one.",
        *(f"{forward} {some} -j ACCEPT" for some in _between(vpc, topology.office_networks)),
        *(f"{forward} {some} -j ACCEPT" for some in _between(remote, vpc)),
        "# Laptops begin; the VPC only goes on.",
        *(f"{forward} {some} {_NO_SYN} -j ACCEPT" for some in _between(vpc, (topology.vpn_clients,))),
        "# The rest of what touches the tunnel or the VPC, then the internet.",
        f"{forward} -i {DEVICE} -j MOORING-REFUSED",
        f"{forward} -o {DEVICE} -j MOORING-REFUSED",
        *(f"{forward} -d {some} -j MOORING-REFUSED" for some in _listed(vpc)),
        *(f"{forward} -s {some} -j ACCEPT" for some in _listed(private)),
        f"{forward} -j MOORING-REFUSED",
        "-A MOORING-REFUSED -j REJECT --reject-with icmp-admin-prohibited",
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"


def _between(sources: tuple[IPv4Network, ...], destinations: tuple[IPv4Network, ...]) -> list[str]:
    """Write from where and to where as iptables matches it, every source with every destination."""
    return [f"-s {one} -d {other}" for one in _listed(sources) for other in _listed(destinations)]


def _listed(networks: tuple[IPv4Network, ...]) -> list[str]:
    """Write networks as iptables takes several in one rule; its parameters are at most 1023 characters long."""
    return [",".join(map(str, networks[at : at + 32])) for at in range(0, len(networks), 32)]


def _firewall(topology: Topology) -> str:
    """Render the loader: the networks, and a script that is the same for all."""
    remote = " ".join(map(str, topology.remote_networks))
    private = " ".join(map(str, topology.private_networks))
    head = f"#!/bin/bash\n{_head(topology)}\nREMOTE=({remote})\nPRIVATE=({private})\n"
    return head + _source("firewall.sh")


def _role(tunnel: Tunnel, box: Box) -> str:
    settings = {
        "elastic_ip": str(box.elastic_ip),
        "poll_seconds": tunnel.poll_seconds,
        "private_address": str(box.private_address),
    }
    return json.dumps(settings, indent=2) + "\n"


@cache
def _source(name: str) -> str:
    """Read what runs on the router as it is: a part of this package, like code, and so the same for as long as that."""
    return (Path(__file__).parents[2] / "on_router" / "files" / name).read_text(encoding="utf-8")
