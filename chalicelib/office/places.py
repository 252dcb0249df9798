"""The pages of pfSense's GUI, release by release: where each element of a backup is entered, and what to enter for the router."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.office.release import V25, V27
from chalicelib.office.required import CIPHERS, dotted, listed

if TYPE_CHECKING:
    from ipaddress import IPv4Network

    from chalicelib.office.release import Release

SERVERS = "VPN > OpenVPN > Servers > Edit"
OVERRIDES = "VPN > OpenVPN > Client Specific Overrides > Edit"

_CRYPTO, _NET, _MORE, _CLIENT = (
    "Cryptographic Settings",
    "Tunnel Settings",
    "Advanced Configuration",
    "Client Settings",
)
_PING, _MODE, _END = "Ping settings", "Mode Configuration", "Endpoint Configuration"
_SOON = "keepalive, interval 1, timeout 5"
_SERVER = {
    "disable": ("General Information", "Disabled", "untick it"),
    "mode": (_MODE, "Server mode", "Remote Access ( SSL/TLS )"),
    "dev_mode": (_MODE, "Device mode", "tun - Layer 3 Tunnel Mode"),
    "protocol": (_END, "Protocol", "UDP on IPv4 only"),
    "interface": (_END, "Interface", "WAN"),
    "local_port": (_END, "Local port", ""),
    "tls": (_CRYPTO, "TLS Configuration", "tick Use a TLS Key"),
    "tls_type": (_CRYPTO, "TLS Key Usage Mode", "TLS Encryption and Authentication"),
    "caref": (_CRYPTO, "Peer Certificate Authority", ""),
    "crlref": (_CRYPTO, "Peer Certificate Revocation list", ""),
    "certref": (_CRYPTO, "Server certificate", ""),
    "dh_length": (_CRYPTO, "DH Parameter Length", "ECDH Only"),
    "data_ciphers": (_CRYPTO, "Data Encryption Algorithms", ", ".join(CIPHERS)),
    "data_ciphers_fallback": (_CRYPTO, "Fallback Data Encryption Algorithm", "AES-256-CBC"),
    "crypto": (_CRYPTO, "Encryption Algorithm", "AES-256-GCM"),
    "ncp-ciphers": (_CRYPTO, "NCP Algorithms", ", ".join(CIPHERS[:2])),
    "ncp_enable": (_CRYPTO, "Data Encryption Negotiation", "tick it"),
    "digest": (_CRYPTO, "Auth digest algorithm", "SHA256 (256-bit)"),
    "remote_cert_tls": (_CRYPTO, "Client Certificate Key Usage Validation", "tick Enforce key usage"),
    "tunnel_network": (_NET, "IPv4 Tunnel Network", ""),
    "local_network": (_NET, "IPv4 Local network(s)", ""),
    "remote_network": (_NET, "IPv4 Remote network(s)", ""),
    "allow_compression": (_NET, "Allow Compression", "Refuse any non-stub compression (Most secure)"),
    "compression": (_NET, "Compression", "Disable Compression [Omit Preference]"),
    "compression_push": (_NET, "Push Compression", "untick it, and refuse any non-stub compression"),
    "duplicate_cn": (_NET, "Duplicate Connection", "untick it"),
    "topology": (_CLIENT, "Topology", "Subnet -- One IP address per client in a common subnet"),
    "keepalive_interval": (_PING, "Interval", _SOON),
    "keepalive_timeout": (_PING, "Timeout", "interval 1, timeout 5"),
    "ping_seconds": (_PING, "Ping method", _SOON),
    "ping_push": (_PING, "Ping method", _SOON),
    "ping_action": (_PING, "Ping method", _SOON),
    "ping_action_push": (_PING, "Ping method", _SOON),
    "inactive_seconds": (_PING, "Inactive", "0"),
    "exit_notify": (_MORE, "Exit Notify", "Disabled"),
    "udp_fast_io": (_MORE, "UDP Fast I/O", ""),
    "sndrcvbuf": (_MORE, "Send/Receive Buffer", ""),
    "custom_options": (_MORE, "Custom options", ""),
    "maxclients": (_NET, "Concurrent connections", "leave it empty"),
    "client2client": (_NET, "Inter-client communication", "untick it"),
}
_OVERRIDE = {
    "common_name": ("Override Configuration", "Common Name", ""),
    "disable": ("Override Configuration", "Disable", "untick it"),
    "block": ("Override Configuration", "Connection blocking", "untick it"),
    "server_list": ("Override Configuration", "Server List", ""),
    "push_reset": ("Override Configuration", "Reset Server Options", "keep the server's options"),
    "remove_options": ("Override Configuration", "Remove Server Options", "keep ping and ping action"),
    "remove_route": ("Override Configuration", "Remove Server Routes", "untick it"),
    "tunnel_network": (_NET, "IPv4 Tunnel Network", ""),
    "remote_network": (_NET, "IPv4 Remote Network/s", ""),
    "local_network": (_NET, "IPv4 Local Network/s", ""),
    "ping_seconds": ("Client Settings", "Ping Interval", "leave it to the server"),
    "ping_action": ("Client Settings", "Ping Action", "leave it to the server"),
    "inactive_seconds": ("Client Settings", "Inactivity Timeout", "leave it to the server"),
    "custom_options": ("Client Settings", "Advanced", ""),
}
_GENERAL = "General Information"
_OLD_LABELS = {
    "ncp_enable": "Enable NCP",
    "data_ciphers": "NCP Algorithms",
    "data_ciphers_fallback": "Encryption Algorithm",
}


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of one release."""

    release: Release
    udp: bool = True
    peer: bool = False

    def routed(self, networks: tuple[IPv4Network, ...]) -> tuple[str, str]:
        """Return the field that sends networks into the tunnel, and what to enter there.

        Remote networks of a server are kernel routes in its peer-to-peer modes alone.
        """
        if self.peer:
            return "remote_network", listed(networks)
        return "custom_options", "".join(f"route {dotted(network)};" for network in networks)

    def page(self, element: str, *, override: bool) -> str:
        """Return the path to a field, by the GUI's words."""
        section, label = self.where(element, override=override)
        return f"{OVERRIDES if override else SERVERS} > {section} > {label}"

    def where(self, element: str, *, override: bool) -> tuple[str, str]:
        """Return a field's section and label."""
        table = _OVERRIDE if override else _SERVER
        section, label, _ = table.get(element, table["custom_options"])
        early = self.release is V25 or self.release.old_layout
        if self.release.old_layout and not override:
            label = _OLD_LABELS.get(element, label)
        if override and section == "Override Configuration":
            section = _GENERAL if early else section
            if element in ("push_reset", "remove_route") and not self.release.present_is_on:
                section = "Client Settings"
                label = "Server Definitions" if self.release is V27 else label
        elif early and section in (_MODE, _END):
            section = _GENERAL
        return section, label

    def mend(self, element: str, text: str, *, override: bool) -> str:
        """Return what to enter."""
        if text:
            return text
        if element == "protocol" and not self.udp:
            return "TCP on IPv4 only"
        table = _OVERRIDE if override else _SERVER
        return table.get(element, ("", "", ""))[2]
