"""Writes pfSense's client-specific overrides as the files that OpenVPN reads of them (`openvpn_resync_csc`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.office.effective import File
from chalicelib.office.language import Line
from chalicelib.office.pushed import client_options, custom, routes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.office.backup import Backup, Entry
    from chalicelib.office.release import Release

TLS_MODES = ("p2p_tls", "server_tls", "server_user", "server_tls_user")

_REMOVES = {
    "remove_route": ("route",),
    "remove_iroute": ("iroute",),
    "remove_redirect_gateway": ("redirect-gateway",),
    "remove_inactive": ("inactive",),
    "remove_ping": ("ping",),
    "remove_ping_action": ("ping-restart", "ping-exit"),
    "remove_blockoutsidedns": ("block-outside-dns",),
    "remove_dnsdomain": ('"dhcp-option DOMAIN"',),
    "remove_dnsservers": ('"dhcp-option DNS"',),
    "remove_ntpservers": ('"dhcp-option NTP"',),
    "remove_netbios_ntype": ('"dhcp-option NBT"',),
    "remove_netbios_scope": ('"dhcp-option NBS"',),
    "remove_wins": ('"dhcp-option WINS"',),
}


def overrides(backup: Backup, server: Entry, release: Release) -> dict[str, File]:
    """Write a server's overrides one after the other, as pfSense does.

    Each becomes a file named as its common name: a later one of a name overwrites, and a disabled one removes.
    """
    files: dict[str, File] = {}
    if server.is_set("disable") or server.text("mode") not in TLS_MODES:
        return files
    number = server.text("vpnid")
    folder = f"openvpn-csc/server{number}" if release.old_layout else f"openvpn/server{number}/csc"
    for override in backup.overrides:
        if not applies(override, number):
            continue
        name = override.text("common_name").rstrip("/").rpartition("/")[2]
        if override.is_set("disable"):
            files.pop(name, None)
        else:
            files[name] = File(f"/var/etc/{folder}/{name}", tuple(_lines(backup, server, override, release)))
    return files


def applies(override: Entry, number: str) -> bool:
    """Return whether an override is for the server of a number: it lists it, or none."""
    listed = [part.strip() for part in override.text("server_list").split(",") if part.strip()]
    return not listed or number in listed


def _lines(backup: Backup, server: Entry, override: Entry, release: Release) -> Iterator[Line]:
    if override.is_true("block"):
        yield Line("disable", "block")
    yield from _resets(override, release)
    push = release.resolves
    yield from routes(backup, override, "local_network", 'push "route {} {}"', resolves=push)
    yield from routes(backup, override, "local_networkv6", 'push "route-ipv6 {}/{}"', resolves=push)
    yield from routes(backup, override, "remote_network", "iroute {} {}", resolves=push, strict=True)
    yield from routes(backup, override, "remote_networkv6", "iroute-ipv6 {}/{}", resolves=push, strict=True)
    if release.present_is_on:
        yield from _own_pings(override)
    yield from client_options(override)
    yield from custom(override)
    if release.present_is_on:
        yield from _minimal(backup, server, override)
    yield from _address(backup, server, override, release)


def _resets(override: Entry, release: Release) -> Iterator[Line]:
    on = override.is_set("push_reset") if release.present_is_on else override.is_true("push_reset")
    if on:
        yield Line("push-reset", "push_reset")
    elif release.present_is_on:
        for option in override.text("remove_options").split(","):
            for removed in _REMOVES.get(option.strip(), ()):
                yield Line(f"push-remove {removed}", "remove_options")
    if override.is_true("remove_route") and not release.present_is_on and not release.old_layout:
        yield Line("push-remove route", "remove_route")


def _own_pings(override: Entry) -> Iterator[Line]:
    """Write the gateways and pings that an override of 2.8 may have for itself."""
    if override.is_true("gateway"):
        yield Line(f'push "route-gateway {override.text("gateway")}"', "gateway")
    if override.is_true("gateway6"):
        yield Line(f'push "route-ipv6-gateway {override.text("gateway6")}"', "gateway6")
    for element in ("inactive_seconds", "ping_seconds"):
        if override.is_set(element):
            yield Line(f'push "{element.partition("_")[0]} {override.text(element)}"', element)
    if override.is_set("ping_action"):
        action = override.text("ping_action").replace("_", "-")
        yield Line(f'push "{action} {override.text("ping_action_seconds")}"', "ping_action")


def _minimal(backup: Backup, server: Entry, override: Entry) -> Iterator[Line]:
    """Write what keeps addresses going when the server's options are reset and "keep minimal options" is on."""
    if not override.is_set("keep_minimal"):
        return
    reset, removed = override.is_set("push_reset"), override.text("remove_options").split(",")
    topology = "subnet" if server.text("dev_mode") == "tap" else server.text("topology")
    if reset:
        yield Line(f'push "topology {topology}"', "keep_minimal")
    if (reset or "remove_route" in removed) and not override.is_true("gateway"):
        network = backup.interface(
            server.text("tunnel_network") if topology == "subnet" else override.text("tunnel_network")
        )
        if network is not None:
            gateway = network.network.network_address + 1
            yield Line(f'push "route-gateway {gateway}"', "keep_minimal")


def _address(backup: Backup, server: Entry, override: Entry, release: Release) -> Iterator[Line]:
    """Write the client's address: with the mask in topology subnet, else as the pair that net30 takes of a network."""
    text = override.text("tunnel_network")
    if (
        not text
        or not server.text("tunnel_network")
        or (backup.alias(text) is not None and not release.resolves)
    ):
        return
    own = backup.interface(text)
    if own is None:
        return
    if server.text("dev_mode") == "tap" or server.text("topology") == "subnet":
        address = own.network.network_address if backup.alias(text) is not None else own.ip
        yield Line(f"ifconfig-push {address} {own.netmask}", "tunnel_network")
    else:
        base = own.network.network_address
        yield Line(f"ifconfig-push {base + 2} {base + 1}", "tunnel_network")
