"""The fields of pfSense's pages for a topology, by the labels of its GUI and the elements of config.xml, release by release.

pfSense's `openvpn.inc` says what each becomes: a server's remote networks are kernel routes in its peer-to-peer modes alone,
so that laptops' modes need them as custom options; an override's remote networks are `iroute`, whatever the mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.office.places import OVERRIDES, SERVERS, Pages
from chalicelib.office.release import V27
from chalicelib.office.required import CIPHERS, dotted, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.core.network.topology import Topology, Tunnel
    from chalicelib.office.release import Release


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


def server_fields(topology: Topology, tunnel: Tunnel, release: Release = V27) -> list[Field]:
    """Return the fields of the server, section by section as a release's page has them."""
    found = [
        _field(release, element, entry, why, value)
        for element, entry, why, value in _server(topology, tunnel, release)
    ]
    pages = list(dict.fromkeys(field.page for field in found))
    return sorted(found, key=lambda field: pages.index(field.page))


def _field(
    release: Release, element: str, entry: str, why: str, value: str | None, *, override: bool = False
) -> Field:
    section, label = Pages(release).where(element, override=override)
    return Field(f"{OVERRIDES if override else SERVERS} > {section}", label, entry, why, element, value)


def _server(
    topology: Topology, tunnel: Tunnel, release: Release
) -> Iterator[tuple[str, str, str, str | None]]:
    """Return element, entry, reason and stored value."""
    udp = tunnel.protocol == "udp4"
    yield (
        "mode",
        "Remote Access ( SSL/TLS )",
        "Laptops and the router prove who they are by certificates.",
        "server_tls",
    )
    yield "dev_mode", "tun - Layer 3 Tunnel Mode", "Networks are routed, not bridged.", "tun"
    spoken = "UDP on IPv4 only" if udp else "TCP on IPv4 only"
    yield "protocol", spoken, "The router speaks this protocol.", tunnel.protocol.upper()
    yield "interface", "WAN", "The router dials its address.", "wan"
    yield "local_port", str(tunnel.port), "The router dials this port.", None
    yield "tls", "ticked; leave the key to be generated, and save", _KEY, ""
    yield "tls_type", "TLS Encryption and Authentication", _CRYPT, "crypt"
    yield "caref", "the authority that signed both certificates", "Each end believes the other by it.", None
    yield "certref", tunnel.server_name, "The router takes the server by this common name.", None
    yield "dh_length", "ECDH Only", "Elliptic curves are quicker and need no parameters.", "none"
    if release.negotiates:
        yield "data_ciphers", ", ".join(CIPHERS), "What the router accepts.", ",".join(CIPHERS)
        yield (
            "data_ciphers_fallback",
            CIPHERS[0],
            "pfSense offers it too; OpenVPN does not start without one.",
            None,
        )
    else:
        yield "ncp_enable", "ticked", "The router negotiates.", "enabled"
        yield "ncp-ciphers", ", ".join(CIPHERS[:2]), "What the router accepts.", ",".join(CIPHERS[:2])
        yield "crypto", CIPHERS[0], "For a client that does not negotiate.", None
    yield "digest", "SHA256 (256-bit)", "What the router says too.", "SHA256"
    if release.checks_use:
        yield "remote_cert_tls", "Enforce key usage", "A server's certificate cannot pass for a client's.", ""
    clients, told = topology.vpn_clients, (*topology.office_networks, *topology.vpc_networks)
    yield "tunnel_network", str(clients), "Addresses of all clients, the router's among them.", None
    yield (
        "local_network",
        listed(told),
        "Tells laptops what is reached through the tunnel: the office and the VPC.",
        None,
    )
    if release.negotiates:
        refuse = "Refuse any non-stub compression (Most secure)"
        yield (
            "allow_compression",
            refuse,
            "Compression on one side only lets every packet be dropped in silence.",
            "no",
        )
    else:
        yield (
            "compression",
            "Omit Preference (Use OpenVPN Default)",
            "Compression on one side only drops every packet.",
            "",
        )
    subnet = "Subnet -- One IP address per client in a common subnet"
    yield "topology", subnet, "The router's fixed address is one of the tunnel network.", "subnet"
    yield "inactive_seconds", "0", "The form proposes 300: it drops a router that was idle for so long.", None
    yield "keepalive_interval", "1", "A router that died is noticed by the server in 10 s ...", None
    yield (
        "keepalive_timeout",
        "5",
        "... and a server that died by the router in 5 s. The form proposes 10 and 60.",
        None,
    )
    routes = "".join(f"route {dotted(network)};\n" for network in topology.vpc_networks).rstrip()
    yield "custom_options", routes, _ROUTES, None
    if udp:
        yield "udp_fast_io", "ticked", "Fewer system calls for each packet.", "yes"
        if release.negotiates:
            again = "Reconnect to this server / Retry once"
            yield "exit_notify", again, "An orderly restart tells clients, which then reconnect at once.", "1"
    yield "sndrcvbuf", "2.00 MiB", "Larger buffers halve retransmissions.", "2097152"


_KEY = (
    "Who lacks the key gets no answer at all. While Automatically generate a TLS Key is ticked, the next field is hidden: save "
    "first, and come back."
)
_CRYPT = "tls-crypt, as the router speaks it. The form proposes tls-auth: then neither hears the other."
_ROUTES = (
    "Sends what is for the VPC into the tunnel; in this mode pfSense ignores its field for remote networks."
)


def override_fields(topology: Topology, tunnel: Tunnel, release: Release = V27) -> list[Field]:
    """Return the fields of the client-specific override."""
    own = f"{tunnel.address}/{topology.vpn_clients.prefixlen}"
    by_name = "The override is found by the common name of the router's certificate."
    inner = "Tells OpenVPN which client the VPC is behind (iroute)."
    return [
        _field(release, "common_name", tunnel.common_name, by_name, None, override=True),
        _field(
            release, "tunnel_network", own, "The router's own address, always the same.", None, override=True
        ),
        _field(release, "remote_network", listed(topology.vpc_networks), inner, None, override=True),
    ]


CHOSEN = ("tls", "caref", "certref")
"""Elements that only the firewall can fill: a key, and references to its own certificates."""


def unseen() -> Iterator[tuple[str, str]]:
    """Return what a form stores of a server beside, for every release: each reads its own and passes the others over."""
    yield from (
        ("ipaddr", ""),
        ("ecdh_curve", "none"),
        ("cert_depth", "1"),
        ("engine", "none"),
        ("tlsauth_keydir", "default"),
    )
    yield from (
        ("ping_method", "keepalive"),
        ("create_gw", "v4only"),
        ("verbosity_level", "1"),
        ("dynamic_ip", "yes"),
    )
    yield from (("username_as_common_name", "disabled"), ("compression", ""), ("compression_push", ""))
    yield from (("crypto", CIPHERS[0]), ("ncp_enable", "enabled"), ("ncp-ciphers", ",".join(CIPHERS[:2])))


def rule_fields(topology: Topology, tunnel: Tunnel) -> list[Field]:
    """Return the firewall's rules that let all this through."""
    word = "UDP" if tunnel.protocol == "udp4" else "TCP"
    vpc = listed(topology.vpc_networks)
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
            f"from {vpc},{topology.vpn_clients} to any",
            "What comes out of the tunnel is refused without a rule.",
        ),
        Field(
            "Firewall > Rules > the office's LANs",
            "Pass, any protocol",
            f"to {vpc}, gateway default, above any rule with a gateway",
            "A rule with a gateway sends the VPC's packets out there; interfaces beside LAN pass nothing by themselves.",
        ),
    ]
