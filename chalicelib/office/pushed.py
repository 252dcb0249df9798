"""What pfSense writes for servers and overrides alike: routes of a field, options for clients, custom options."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface
from typing import TYPE_CHECKING

from chalicelib.office.language import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.office.backup import Backup, Entry


def routes(
    backup: Backup, entry: Entry, element: str, form: str, *, resolves: bool, strict: bool = False
) -> Iterator[Line]:
    """Write a field's networks, one line each; `strict` writes none where one of them is no network.

    Of aliases the release must know (`resolves`); what only a running firewall could look up is left out.
    """
    text = entry.text(element)
    if strict and any(
        not _valid(backup, part, resolves=resolves) for part in text.split(",") if part.strip()
    ):
        return
    for part in text.split(","):
        name = part.strip()
        alias = backup.alias(name) if resolves else None
        if alias is not None and "v6" not in element:
            found = [str(network) for network in backup.networks(name)]
        else:
            found = [name]
        for one in found:
            line = _route(one, form, six="v6" in element)
            if line:
                yield Line(line, element)


def _route(text: str, form: str, *, six: bool) -> str:
    try:
        if six:
            v6 = IPv6Interface(text)
            return form.format(v6.ip, v6.network.prefixlen)
        v4 = IPv4Interface(text)
        return form.format(v4.ip, v4.netmask) if "/" in text else ""
    except ValueError:
        return ""


def _valid(backup: Backup, part: str, *, resolves: bool) -> bool:
    name = part.strip()
    if resolves and backup.alias(name) is not None:
        return True
    try:
        IPv6Interface(name) if ":" in name else IPv4Interface(name)
    except ValueError:
        return False
    return "/" in name or ":" in name


def client_options(entry: Entry) -> Iterator[Line]:
    """Write what clients are told beside routes: names, time, Windows' own, and the way to everything."""

    def option(form: str, element: str) -> Iterator[Line]:
        if entry.is_true(element):
            yield Line(f'push "{form.format(entry.text(element))}"', element)

    yield from option("dhcp-option DOMAIN {}", "dns_domain")
    for number in range(1, 5):
        element = f"dns_server{number}"
        yield from option(f"dhcp-option {'DNS6' if ':' in entry.text(element) else 'DNS'} {{}}", element)
    yield from option("block-outside-dns", "push_blockoutsidedns")
    yield from option("register-dns", "push_register_dns")
    yield from option("dhcp-option NTP {}", "ntp_server1")
    yield from option("dhcp-option NTP {}", "ntp_server2")
    if entry.is_true("netbios_enable"):
        yield from option("dhcp-option NBT {}", "dhcp_nbttype")
        yield from option("dhcp-option NBS {}", "dhcp_nbtscope")
        yield from option("dhcp-option WINS {}", "wins_server1")
        yield from option("dhcp-option WINS {}", "wins_server2")
        yield from option("dhcp-option NBDD {}", "nbdd_server1")
    yield from option("redirect-gateway def1", "gwredir")
    yield from option("redirect-gateway ipv6", "gwredir6")


def custom(entry: Entry) -> Iterator[Line]:
    """Write the custom options: pfSense parts them at every semicolon, whatever the quotes say."""
    text = entry.elements.get("custom_options", "")
    if text:
        for option in text.replace("\r", "").split(";"):
            for line in option.split("\n"):
                yield Line(line, "custom_options")
