"""The office's side of the tunnel: what OpenVPN's server and pfSense must hold, each line with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network

    from chalicelib.core.network.topology import Topology, Tunnel

CIPHERS = ("AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305")
"""What the router accepts."""


@dataclass(frozen=True, slots=True)
class Line:
    """One OpenVPN directive, and one sentence of why."""

    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Office:
    """What the office must hold for a topology: lines of the server, lines of the router's client-config-dir file.

    The server's certificate, its key and the `tls-crypt` key are the office's own, and where they lie is not ours to say.
    """

    topology: Topology
    tunnel: Tunnel
    server: tuple[Line, ...]
    override: tuple[Line, ...]

    @property
    def override_name(self) -> str:
        """The client-config-dir file's name: the common name of the router's certificate."""
        return self.tunnel.common_name


def office(topology: Topology) -> Office:
    """Return what the office must hold.

    Raises:
        ValueError: the topology has no tunnel.
    """
    tunnel = topology.tunnel
    if tunnel is None:
        raise ValueError(f"{topology.name} declares no tunnel")
    return Office(
        topology,
        tunnel,
        tuple(_server(topology, tunnel)),
        tuple(_override(topology, tunnel)),
    )


def pool(topology: Topology, tunnel: Tunnel) -> tuple[IPv4Address, IPv4Address] | None:
    """Return the largest run of addresses that leaves out the server's (the first) and the router's; None if there is none."""
    clients = topology.vpn_clients
    first, last = clients.network_address + 2, clients.broadcast_address - 1
    runs = [(first, tunnel.address - 1), (tunnel.address + 1, last)]
    begin, end = max(runs, key=lambda run: int(run[1]) - int(run[0]))
    return (begin, end) if begin <= end else None


def dotted(network: IPv4Network) -> str:
    """Write a network as OpenVPN does: address and mask."""
    return f"{network.network_address} {network.netmask}"


def listed(networks: tuple[IPv4Network, ...]) -> str:
    """Write networks as fields and sentences take several."""
    return ",".join(map(str, networks))


def _server(topology: Topology, tunnel: Tunnel) -> list[Line]:
    clients = topology.vpn_clients
    lines = [
        Line(f"port {tunnel.port}", "The router dials this port."),
        Line(
            f"proto {'udp4' if tunnel.protocol == 'udp4' else 'tcp4-server'}",
            "The router speaks this protocol.",
        ),
        Line("dev-type tun", "Networks are routed, not bridged."),
        Line("dh none", "Keys are agreed over elliptic curves; 2.6 does not start without this line."),
        Line(
            "topology subnet",
            "Each client has one address in the tunnel network; it is 2.7's default and was not before.",
        ),
        Line(
            f"server {dotted(clients)} nopool",
            "Clients' addresses; the pool is named below, so that it leaves out the router's.",
        ),
    ]
    run = pool(topology, tunnel)
    if run:
        lines.append(
            Line(
                f"ifconfig-pool {run[0]} {run[1]} {clients.netmask}",
                f"Laptops get these; {tunnel.address} is the router's alone.",
            )
        )
    lines += [
        Line(
            "client-config-dir ccd",
            f"Where the router's own file lies, named {tunnel.common_name}; the folder is yours to choose.",
        ),
        *(
            Line(f"route {dotted(network)}", "Sends what is for this part of the VPC into the tunnel.")
            for network in topology.vpc_networks
        ),
        *(
            Line(
                f'push "route {dotted(network)}"',
                "Tells laptops that this office network is reached through the tunnel.",
            )
            for network in topology.office_networks
        ),
        *(
            Line(
                f'push "route {dotted(network)}"',
                "Tells laptops that this part of the VPC is reached through the tunnel.",
            )
            for network in topology.vpc_networks
        ),
        Line("remote-cert-tls client", "A server's certificate cannot pass for a client's."),
        Line("tls-version-min 1.2", "Nothing older is spoken."),
        Line(f"data-ciphers {':'.join(CIPHERS)}", "What the router accepts."),
        Line("auth SHA256", "What the router says too."),
        Line("allow-compression no", "Compression on one side only lets every packet be dropped in silence."),
        Line(
            "keepalive 1 5",
            "A server that died is noticed by its clients in 5 s, and a client by the server in 10 s.",
        ),
        Line("persist-tun", "The device and its routes outlive a reconnect."),
        Line("persist-key", "The same for the keys."),
    ]
    if tunnel.protocol == "udp4":
        lines += [
            Line("explicit-exit-notify 1", "An orderly restart tells clients, which then reconnect at once."),
            Line("fast-io", "Fewer system calls for each packet."),
        ]
    return [
        *lines,
        Line("sndbuf 2097152", "Larger buffers halve retransmissions."),
        Line("rcvbuf 2097152", "The same for what comes in."),
    ]


def _override(topology: Topology, tunnel: Tunnel) -> list[Line]:
    return [
        Line(
            f"ifconfig-push {tunnel.address} {topology.vpn_clients.netmask}",
            "The router's own address, always the same.",
        ),
        *(
            Line(f"iroute {dotted(network)}", "Tells OpenVPN which client this part of the VPC is behind.")
            for network in topology.vpc_networks
        ),
    ]
