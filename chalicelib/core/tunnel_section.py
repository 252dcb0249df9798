"""Reads the `[tunnel]` of a topology: what may stand in a configuration file, and what cannot be true together."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Literal, cast

from chalicelib.core.errors import Flaw
from chalicelib.core.machines.window import read_window
from chalicelib.core.network.topology import Tunnel
from chalicelib.core.toml_reader import octet_flaw, read_address, word_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.core.network.topology import Topology
    from chalicelib.core.toml_reader import Read, Section

# `[0-9]` and not `\d`, fullmatch and not `$`: digits of other scripts and a final line feed are no part of a name.
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_COMMON_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NUMBERS = re.compile(r"[0-9.]+")


def read_tunnel(section: Section) -> Tunnel | None:
    """Read the section; what is wrong in it leaves its flaw and None."""
    server = section.take("server", _server)
    common_name = section.take("common_name", _common_name)
    server_name = section.take("server_name", _common_name)
    own = section.take("address", read_address)
    port = section.take("port", _between(1, 65535), required=False)
    protocol = section.take("protocol", word_reader("udp4", "tcp4"), required=False)
    poll = section.take("poll_seconds", _seconds, required=False)
    probe = section.take("probe", read_address, required=False)
    window = section.take("change_window", read_window, required=False)
    section.close()
    if server is None or common_name is None or server_name is None or own is None:
        return None
    return Tunnel(
        server,
        common_name,
        server_name,
        own,
        port or 1194,
        cast('Literal["udp4", "tcp4"]', protocol or "udp4"),
        poll or 0.5,
        probe,
        window,
    )


def tunnel_flaws(topology: Topology, networks: Sequence[tuple[str, IPv4Network]]) -> Iterator[Flaw]:
    """Find what cannot be true together in a tunnel that reads well.

    Args:
        topology: its tunnel is set; of the rest what could not be read is None or left out.
        networks: every network that was read, with its key: the VPC's ranges, the office's, the VPN clients'.
    """
    tunnel = topology.tunnel
    assert tunnel is not None  # noqa: S101 - the caller's promise
    if topology.vpn_clients is not None:
        yield from _address_flaws(tunnel, topology.vpn_clients)
    if _NUMBERS.fullmatch(tunnel.server):
        yield from _server_flaws(IPv4Address(tunnel.server), networks)
    if tunnel.common_name == tunnel.server_name:
        wanted = "is the server's name too; the router needs a certificate of its own"
        yield Flaw("tunnel.common_name", tunnel.common_name, wanted)
    if tunnel.probe and topology.office_networks:
        yield from _probe_flaws(tunnel.probe, topology.office_networks)


def _address_flaws(tunnel: Tunnel, clients: IPv4Network) -> Iterator[Flaw]:
    """Find why OpenVPN would not give the router its address; the server's own is the network's first."""
    if not 16 <= clients.prefixlen <= 29:
        yield Flaw("office.vpn_clients", str(clients), "OpenVPN serves clients between /16 and /29")
        return
    taken = {
        clients.network_address: "is the network's own",
        clients.network_address + 1: "is the OpenVPN server's own",
        clients.broadcast_address: "is the network's broadcast",
    }
    if tunnel.address not in clients:
        yield Flaw("tunnel.address", str(tunnel.address), f"lies outside office.vpn_clients ({clients})")
    elif tunnel.address in taken:
        last = clients.broadcast_address - 1
        wanted = f"{taken[tunnel.address]}; {clients.network_address + 2} to {last} are free to choose from"
        yield Flaw("tunnel.address", str(tunnel.address), wanted)


def _server_flaws(server: IPv4Address, networks: Sequence[tuple[str, IPv4Network]]) -> Iterator[Flaw]:
    """Find why the tunnel could not be reached from outside of itself."""
    if (
        server.is_multicast
        or server.is_loopback
        or server.is_unspecified
        or server.is_reserved
        or server.is_link_local
    ):
        yield Flaw("tunnel.server", str(server), "is no host's address on the internet")
        return
    for key, network in networks:
        if server in network:
            wanted = (
                f"lies in {key} ({network}), which is reached through the tunnel; name the address outside"
            )
            if key.startswith("vpc."):
                wanted = f"lies in {key} ({network}); the office's server is outside the VPC"
            yield Flaw("tunnel.server", str(server), wanted)


def _probe_flaws(probe: IPv4Address, office: tuple[IPv4Network, ...]) -> Iterator[Flaw]:
    home = next((network for network in office if probe in network), None)
    if home is None:
        yield Flaw("tunnel.probe", str(probe), "lies in no network of office.networks")
    elif home.prefixlen < 31 and probe in (home.network_address, home.broadcast_address):
        yield Flaw("tunnel.probe", str(probe), f"is no host of {home}")


def _server(value: object) -> Read[str]:
    wanted = "must be a host name or an IPv4 address, such as vpn.example.com"
    if not isinstance(value, str):
        return None, wanted
    if _NUMBERS.fullmatch(value):
        why = octet_flaw(value)
        return (None if why else value), why
    labels = value.split(".")
    good = len(value) <= 253 and all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    return (value if good else None), wanted


def _common_name(value: object) -> Read[str]:
    if value == "DEFAULT":
        return (
            None,
            "is taken: OpenVPN's client-config-dir reads a file DEFAULT for every client without its own",
        )
    good = isinstance(value, str) and _COMMON_NAME.fullmatch(value)
    wanted = "must be a certificate's common name of 1 to 64 of A-Z, a-z, 0-9, ., _ and -, such as aws-router"
    return (cast("str", value) if good else None), wanted


def _between(least: int, most: int) -> Callable[[object], Read[int]]:
    def read(value: object) -> Read[int]:
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return (cast("int", value) if good else None), f"must be a whole number from {least} to {most}"

    return read


def _seconds(value: object) -> Read[float]:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0.1 <= value <= 60
    return (float(cast("float", value)) if good else None), "must be a number of seconds from 0.1 to 60"
