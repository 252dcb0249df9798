"""The pages of OPNsense's GUI for instances and overrides, and a topology as its configuration stores them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from chalicelib.office.required import CIPHERS, listed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network

    from chalicelib.core.network.topology import Topology, Tunnel

_INSTANCE = "VPN > OpenVPN > Instances > Edit"
_OVERRIDE = "VPN > OpenVPN > Client Specific Overrides > Edit"
_LABELS = {
    "disable": ("Enabled", "tick it"),
    "mode": ("Authentication", "none: leave it empty"),
    "dev_mode": ("Type", "TUN"),
    "protocol": ("Protocol", "UDP (IPv4)"),
    "interface": ("Bind address", "leave it empty"),
    "local_port": ("Port number", ""),
    "tls": ("TLS static key", "choose one of mode crypt (VPN > OpenVPN > Static Keys)"),
    "tls_type": ("TLS static key", "choose one of mode crypt (VPN > OpenVPN > Static Keys)"),
    "certref": ("Certificate", ""),
    "caref": ("Certificate Authority", ""),
    "crlref": ("Certificate Revocation List", ""),
    "data_ciphers": ("Data Ciphers", ", ".join(CIPHERS)),
    "data_ciphers_fallback": ("Data Ciphers Fallback", "AES-256-GCM"),
    "digest": ("Auth", "SHA256 (256-bit)"),
    "remote_cert_tls": ("Verify Remote Certificate", "tick it"),
    "tunnel_network": ("Server (IPv4)", ""),
    "local_network": ("Local Network", ""),
    "remote_network": ("Remote Network", ""),
    "topology": ("Topology", "subnet"),
    "duplicate_cn": ("Options", "untick duplicate-cn"),
    "compression": ("Compression migrate", "untick it"),
    "keepalive_timeout": ("Keep alive timeout", "interval 1, timeout 5"),
    "ping_action_push": ("Keep alive timeout", "interval 1, timeout 5"),
    "fragment": ("Fragment size", "leave it empty"),
    "common_name": ("Common name", ""),
    "server_list": ("Servers", ""),
    "block": ("Connection blocking", "untick it"),
    "push_reset": ("Push reset", "untick it"),
}


@dataclass(frozen=True, slots=True)
class Instances:
    """OPNsense's pages."""

    udp: bool = True

    def page(self, element: str, *, override: bool) -> str:
        """Return the page and the label."""
        label, _ = _LABELS.get(element, ("Options", ""))
        if override and element in ("tunnel_network", "disable"):
            label = {"tunnel_network": "IPv4 Tunnel Network"}.get(element, label)
        return f"{_OVERRIDE if override else _INSTANCE} > {label}"

    def mend(self, element: str, text: str, *, override: bool) -> str:  # noqa: ARG002 - the same on both pages
        """Return what to enter."""
        if element == "protocol":
            return "UDP (IPv4)" if self.udp else "TCP (IPv4)"
        return text or _LABELS.get(element, ("", ""))[1] or "leave it empty"

    def routed(self, networks: tuple[IPv4Network, ...]) -> tuple[str, str]:
        """Return the field that sends networks into the tunnel."""
        return "remote_network", f"add {listed(networks)}"


def opnsense_xml(topology: Topology, tunnel: Tunnel) -> Iterator[str]:
    """Print the OpenVPN part of OPNsense's configuration, as its instances are stored; references are left to be chosen."""
    instance, override, key = (
        str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{topology.name}.{what}.mooring"))
        for what in ("instance", "override", "key")
    )
    yield (
        '<?xml version="1.0"?> <!-- Merge this by hand into the backup, below opnsense > OPNsense: in place of an OpenVPN element '
        "that is there it would take every other instance and override away. -->"
    )
    yield '<OpenVPN version="1.0.1">'
    yield "  <Overwrites>"
    yield f'    <Overwrite uuid="{override}">'
    fields = {
        "enabled": "1",
        "servers": instance,
        "common_name": tunnel.common_name,
        "block": "0",
        "push_reset": "0",
        "tunnel_network": f"{tunnel.address}/{topology.vpn_clients.prefixlen}",
        "remote_networks": listed(topology.vpc_networks),
    }
    yield from _elements(fields)
    yield "    </Overwrite>"
    yield "  </Overwrites>"
    yield "  <Instances>"
    yield f'    <Instance uuid="{instance}">'
    yield "      <!-- choose in the GUI afterwards: the certificate (cert), and the vpnid if another has it -->"
    yield from _elements(_instance(topology, tunnel, key))
    yield "    </Instance>"
    yield "  </Instances>"
    yield "  <StaticKeys>"
    yield f'    <StaticKey uuid="{key}">'
    yield "      <!-- the tls-crypt key, as its file is; or make one in the GUI and choose it at the instance -->"
    yield from _elements({"mode": "crypt", "key": "", "description": "mooring"})
    yield "    </StaticKey>"
    yield "  </StaticKeys>"
    yield "</OpenVPN>"


def _instance(topology: Topology, tunnel: Tunnel, key: str) -> dict[str, str]:
    udp = tunnel.protocol == "udp4"
    return {
        "vpnid": "1",
        "enabled": "1",
        "dev_type": "tun",
        "verb": "3",
        "proto": tunnel.protocol,
        "port": str(tunnel.port),
        "local": "",
        "topology": "subnet",
        "role": "server",
        "server": str(topology.vpn_clients),
        "route": listed(topology.vpc_networks),
        "push_route": listed((*topology.office_networks, *topology.vpc_networks)),
        "cert": "",
        "verify_client_cert": "require",
        "remote_cert_tls": "1",
        "auth": "SHA256",
        "data-ciphers": ",".join(CIPHERS),
        "data-ciphers-fallback": CIPHERS[0],
        "tls_key": key,
        "authmode": "",
        "various_flags": "fast-io,explicit-exit-notify" if udp else "",
        "keepalive_interval": "1",
        "keepalive_timeout": "5",
        "description": "mooring",
    }


def _elements(fields: dict[str, str]) -> Iterator[str]:
    yield from (f"      <{name}>{escape(text)}</{name}>" for name, text in fields.items())
