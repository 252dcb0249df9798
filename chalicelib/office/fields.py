"""The fields of pfSense's pages for a topology, by the labels of its GUI (CE 2.7 and 2.8) and the elements of config.xml.

pfSense's `openvpn.inc` says what each becomes: a server's remote networks are kernel routes in its peer-to-peer modes alone,
so that laptops' modes need them as custom options; an override's remote networks are `iroute`, whatever the mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.office.required import dotted

if TYPE_CHECKING:
    from ipaddress import IPv4Network

    from chalicelib.core.topology import Topology, Tunnel

SERVERS = "VPN > OpenVPN > Servers > Edit"
OVERRIDES = "VPN > OpenVPN > Client Specific Overrides > Edit"
CIPHERS = ("AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of pfSense's pages: where, its label there, what to enter, why, and its element in config.xml."""

    page: str
    label: str
    entry: str
    why: str
    element: str = ""
    value: str | None = None

    @property
    def stored(self) -> str:
        """What config.xml holds for it: the entry, unless it is a word of the GUI's for something else."""
        return self.entry if self.value is None else self.value


def listed(networks: tuple[IPv4Network, ...]) -> str:
    """Write networks as pfSense's fields take several."""
    return ",".join(map(str, networks))


def server_fields(topology: Topology, tunnel: Tunnel) -> list[Field]:
    """Give the fields of the server."""
    mode, end, crypto = (
        f"{SERVERS} > Mode Configuration",
        f"{SERVERS} > Endpoint Configuration",
        f"{SERVERS} > Cryptographic Settings",
    )
    net, client = f"{SERVERS} > Tunnel Settings", f"{SERVERS} > Client Settings"
    ping, more = f"{SERVERS} > Ping settings", f"{SERVERS} > Advanced Configuration"
    udp = tunnel.protocol == "udp4"
    routes = "".join(f"route {dotted(network)};\n" for network in topology.vpc_networks).rstrip()
    fields = [
        Field(
            mode,
            "Server mode",
            "Remote Access ( SSL/TLS )",
            "Laptops and the router prove who they are by certificates.",
            "mode",
            "server_tls",
        ),
        Field(
            mode,
            "Device mode",
            "tun - Layer 3 Tunnel Mode",
            "Networks are routed, not bridged.",
            "dev_mode",
            "tun",
        ),
        Field(
            end,
            "Protocol",
            "UDP on IPv4 only" if udp else "TCP on IPv4 only",
            "The router speaks this protocol.",
            "protocol",
            tunnel.protocol.upper(),
        ),
        Field(end, "Local port", str(tunnel.port), "The router dials this port.", "local_port"),
        Field(
            crypto,
            "TLS Key Usage Mode",
            "TLS Encryption and Authentication",
            "tls-crypt: who lacks the key gets no answer at all.",
            "tls_type",
            "crypt",
        ),
        Field(
            crypto,
            "DH Parameter Length",
            "ECDH Only",
            "Elliptic curves are quicker and need no parameters.",
            "dh_length",
            "none",
        ),
        Field(
            crypto,
            "Data Encryption Algorithms",
            ", ".join(CIPHERS),
            "What the router accepts.",
            "data_ciphers",
            ",".join(CIPHERS),
        ),
        Field(
            crypto,
            "Auth digest algorithm",
            "SHA256 (256-bit)",
            "What the router says too.",
            "digest",
            "SHA256",
        ),
        Field(
            crypto,
            "Client Certificate Key Usage Validation",
            "Enforce key usage",
            "A server's certificate cannot pass for a client's.",
            "remote_cert_tls",
            "",
        ),
        Field(
            net,
            "IPv4 Tunnel Network",
            str(topology.vpn_clients),
            "Addresses of all clients, the router's among them.",
            "tunnel_network",
        ),
        Field(
            net,
            "IPv4 Local network(s)",
            listed((*topology.office_networks, *topology.vpc_networks)),
            "Tells laptops what is reached through the tunnel: the office and the VPC.",
            "local_network",
        ),
        Field(
            net,
            "Allow Compression",
            "Refuse any non-stub compression (Most secure)",
            "Compression on one side only lets every packet be dropped in silence.",
            "allow_compression",
            "no",
        ),
        Field(
            client,
            "Topology",
            "Subnet -- One IP address per client in a common subnet",
            "The router's fixed address is one of the tunnel network.",
            "topology",
            "subnet",
        ),
        Field(
            ping,
            "Interval",
            "1",
            "A router that died is noticed by the server in 10 s ...",
            "keepalive_interval",
        ),
        Field(ping, "Timeout", "5", "... and a server that died by the router in 5 s.", "keepalive_timeout"),
        Field(
            more,
            "Custom options",
            routes,
            "Sends what is for the VPC into the tunnel; in this mode pfSense ignores its field for remote networks.",
            "custom_options",
        ),
    ]
    if udp:
        fields += [
            Field(
                more, "UDP Fast I/O", "ticked", "Fewer system calls for each packet.", "udp_fast_io", "yes"
            ),
            Field(
                more,
                "Exit Notify",
                "Reconnect to this server / Retry once",
                "An orderly restart tells clients, which then reconnect at once.",
                "exit_notify",
                "1",
            ),
        ]
    return [
        *fields,
        Field(
            more,
            "Send/Receive Buffer",
            "2.00 MiB",
            "Larger buffers halve retransmissions.",
            "sndrcvbuf",
            "2097152",
        ),
    ]


def override_fields(topology: Topology, tunnel: Tunnel) -> list[Field]:
    """Give the fields of the client-specific override."""
    net = f"{OVERRIDES} > Tunnel Settings"
    own = f"{tunnel.address}/{topology.vpn_clients.prefixlen}"
    return [
        Field(
            f"{OVERRIDES} > General Information",
            "Common Name",
            tunnel.common_name,
            "The override is found by the common name of the router's certificate.",
            "common_name",
        ),
        Field(
            net, "IPv4 Tunnel Network", own, "The router's own address, always the same.", "tunnel_network"
        ),
        Field(
            net,
            "IPv4 Remote Network/s",
            listed(topology.vpc_networks),
            "Tells OpenVPN which client the VPC is behind (iroute).",
            "remote_network",
        ),
    ]


def rule_fields(topology: Topology, tunnel: Tunnel) -> list[Field]:
    """Give the firewall's rules that let all this through."""
    word = "UDP" if tunnel.protocol == "udp4" else "TCP"
    return [
        Field(
            "Firewall > Rules > WAN",
            f"Pass, protocol {word}",
            f"to WAN address, port {tunnel.port}",
            "Lets the router and laptops in; only the Elastic IP may be named as source if laptops use another server.",
        ),
        Field(
            "Firewall > Rules > OpenVPN",
            "Pass, any protocol",
            f"from {listed(topology.vpc_networks)},{topology.vpn_clients} to any",
            "What comes out of the tunnel is refused without a rule.",
        ),
    ]
