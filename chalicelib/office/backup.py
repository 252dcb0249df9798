"""A pfSense backup as far as it concerns the tunnel: its OpenVPN entries, with PHP's idea of what is on.

pfSense mixes two ways to store a flag: present at all (`isset`), or a text that PHP takes for true. An empty
`<duplicate_cn></duplicate_cn>` is on, an empty `<client2client></client2client>` off (`openvpn.inc`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Interface, IPv4Network, NetmaskValueError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

READ = {
    "openvpn-server": (
        "vpnid", "disable", "mode", "protocol", "dev_mode", "local_port", "custom_options", "tls_type", "data_ciphers",
        "data_ciphers_fallback", "ncp_enable", "tunnel_network", "remote_network", "local_network", "gwredir", "duplicate_cn",
        "remote_cert_tls", "allow_compression", "compression", "compression_push", "topology", "exit_notify", "ping_method",
        "ping_seconds", "ping_push", "ping_action", "ping_action_seconds", "ping_action_push", "keepalive_interval",
        "keepalive_timeout",
    ),
    "openvpn-csc": (
        "common_name", "server_list", "disable", "block", "tunnel_network", "remote_network", "push_reset", "custom_options",
    ),
    "openvpn-client": ("vpnid", "disable", "remote_network"),
}  # fmt: skip
"""The elements that are read; all others, keys and passwords among them, never leave the parser."""

PRESENT_ONLY = ("tls",)
"""Read as present or not: its text is a key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list, element to text; what is absent is not in it."""

    elements: Mapping[str, str]

    def text(self, name: str) -> str:
        """Give an element's text, without blanks around it; nothing when it is absent."""
        return self.elements.get(name, "").strip()

    def is_set(self, name: str) -> bool:
        """Say whether an element is there, be it empty: PHP's `isset`."""
        return name in self.elements

    def is_true(self, name: str) -> bool:
        """Say whether PHP takes an element's text for true."""
        return self.elements.get(name, "") not in ("", "0")

    def networks(self, name: str) -> list[IPv4Network]:
        """Read the networks of a comma-separated element; aliases and IPv6 are left out."""
        return [one.network for one in _interfaces(self.text(name))]

    def interface(self, name: str) -> IPv4Interface | None:
        """Read an address with its prefix length; None when it is something else."""
        found = list(_interfaces(self.text(name)))
        return found[0] if len(found) == 1 else None

    def understood(self, name: str) -> bool:
        """Say whether everything in an element is a network: an alias hides what it holds."""
        parts = [part for part in self.text(name).split(",") if part.strip()]
        return len(parts) == len(self.networks(name))

    def directives(self) -> list[list[str]]:
        """Split the custom options into words, a directive each; their arguments may be secret, and are not to be shown."""
        text = self.elements.get("custom_options", "")
        return [words for line in re.split(r"[;\r\n]", text) if (words := line.replace('"', " ").split())]

    def routes(self, *directive: str) -> list[IPv4Network]:
        """Read the networks of the custom options' `route` lines, or of another directive such as `push route`."""
        named = list(directive or ("route",))
        rest = [words[len(named) :] for words in self.directives() if words[: len(named)] == named]
        return [
            n
            for words in rest
            if words
            for n in _network(words[0], words[1] if len(words) > 1 else "255.255.255.255")
        ]


@dataclass(frozen=True, slots=True)
class Backup:
    """The lists that concern the tunnel, in the order in which pfSense works on them.

    `names` maps a server's place in the list to its certificate's common name, where it could be read.
    """

    servers: tuple[Entry, ...]
    overrides: tuple[Entry, ...] = ()
    clients: tuple[Entry, ...] = ()
    static_routes: tuple[IPv4Network, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)


def _interfaces(text: str) -> Iterator[IPv4Interface]:
    for part in text.split(","):
        try:
            if "/" in part:
                yield IPv4Interface(part.strip())
        except (AddressValueError, NetmaskValueError, ValueError):
            continue


def _network(address: str, mask: str) -> Iterator[IPv4Network]:
    try:
        yield IPv4Network(f"{address}/{mask}", strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        return
