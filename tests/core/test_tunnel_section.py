"""What is declared of the tunnel reaches configuration files, so it is typed, and cannot contradict the network."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.declaration import parse
from chalicelib.core.errors import Flaw, TopologyError
from chalicelib.core.network.topology import Tunnel
from tests.core.documents import tunnelled, written

SERVER = '"vpn.example.com"'
OWN = 'address = "192.168.0.254"'
CLIENTS = 'vpn_clients = "192.168.0.0/24"'


def flaws_in(document: bytes) -> tuple[Flaw, ...]:
    """Parse what must not be valid."""
    with pytest.raises(TopologyError) as caught:
        parse(document)
    return caught.value.flaws


def test_topology_without_a_tunnel_has_none() -> None:
    """Who declares no tunnel keeps the router's configuration to themselves."""
    assert parse(written()).tunnel is None


def test_tunnel_reads_as_what_it_says() -> None:
    """What may be left out has its default."""
    tunnel = Tunnel("vpn.example.com", "aws-router", "office-vpn", IPv4Address("192.168.0.254"))

    assert parse(tunnelled()).tunnel == tunnel
    assert (tunnel.port, tunnel.protocol, tunnel.poll_seconds, tunnel.probe) == (1194, "udp4", 0.5, None)


def test_optional_keys_read_as_what_they_say() -> None:
    """Each thing that may be left out can be declared."""
    more = 'port = 443\nprotocol = "tcp4"\npoll_seconds = 5\nprobe = "10.100.30.1"'

    tunnel = parse(tunnelled((OWN, f"{OWN}\n{more}"))).tunnel

    assert tunnel is not None
    assert (tunnel.port, tunnel.protocol, tunnel.poll_seconds) == (443, "tcp4", 5)
    assert tunnel.probe == IPv4Address("10.100.30.1")


@pytest.mark.parametrize(
    "server", ["vpn.example.com", "a", "x-1.example", f"{'a' * 63}.de", "198.51.100.10", "1a.de"]
)
def test_host_name_and_address_are_servers(server: str) -> None:
    """RFC 1123: labels of up to 63 letters, digits and hyphens, not all of the last one digits."""
    tunnel = parse(tunnelled((SERVER, f'"{server}"'))).tunnel

    assert tunnel is not None
    assert tunnel.server == server


@pytest.mark.parametrize(
    ("old", "new", "key", "wanted"),
    [
        pytest.param(SERVER, '"vpn_1.example.com"', "server", "host name", id="underscore"),
        pytest.param(SERVER, '"-vpn.example.com"', "server", "host name", id="hyphen first"),
        pytest.param(SERVER, '"vpn-.example.com"', "server", "host name", id="hyphen last"),
        pytest.param(SERVER, '"vpn..com"', "server", "host name", id="empty label"),
        pytest.param(SERVER, '"vpn.example.com."', "server", "host name", id="dot last"),
        pytest.param(SERVER, '""', "server", "host name", id="empty"),
        pytest.param(SERVER, f'"{"a" * 64}.de"', "server", "host name", id="label of 64"),
        pytest.param(SERVER, f'"{"a." * 126}de"', "server", "host name", id="254 characters"),
        pytest.param(SERVER, '"vpn.example.1"', "server", "host name", id="digits last"),
        pytest.param(SERVER, '"198.51.100.300"', "server", "octet 4 is 300", id="octet 300"),
        pytest.param(SERVER, '"198.51.100"', "server", "four decimal octets", id="three octets"),
        pytest.param(SERVER, '"2001:db8::1"', "server", "host name", id="IPv6"),
        pytest.param(SERVER, '"vpn.example.com 1195"', "server", "host name", id="port in the name"),
        pytest.param(SERVER, '"büro.example"', "server", "host name", id="umlaut"),
        pytest.param(SERVER, "7", "server", "host name", id="number"),
        pytest.param(SERVER, '"127.0.0.1"', "server", "no host's address on the internet", id="loopback"),
        pytest.param(SERVER, '"169.254.169.254"', "server", "no host's address", id="link-local"),
        pytest.param(SERVER, '"10.100.30.1"', "server", "lies in office.networks[2] (10.100.30.0/24)", id="behind itself"),
        pytest.param(SERVER, '"192.168.0.1"', "server", "lies in office.vpn_clients", id="in the tunnel"),
        pytest.param(SERVER, '"10.0.0.9"', "server", "the office's server is outside the VPC", id="in the VPC"),
        pytest.param('"aws-router"', '"aws router"', "common_name", "1 to 64 of", id="blank in a name"),
        pytest.param('"aws-router"', '"../x"', "common_name", "1 to 64 of", id="path"),
        pytest.param('"aws-router"', '".x"', "common_name", "1 to 64 of", id="hidden file"),
        pytest.param('"aws-router"', f'"{"a" * 65}"', "common_name", "1 to 64 of", id="name of 65"),
        pytest.param('"aws-router"', '"DEFAULT"', "common_name", "is taken", id="everybody's file"),
        pytest.param('"aws-router"', '"office-vpn"', "common_name", "the server's name too", id="one name for both"),
        pytest.param('"office-vpn"', '"office\\nvpn"', "server_name", "1 to 64 of", id="line feed"),
        pytest.param(OWN, 'address = "192.168.1.254"', "address", "lies outside office.vpn_clients", id="elsewhere"),
        pytest.param(OWN, 'address = "192.168.0.0"', "address", "is the network's own; 192.168.0.2 to 192.168.0.254", id="network"),
        pytest.param(OWN, 'address = "192.168.0.1"', "address", "is the OpenVPN server's own", id="the server's"),
        pytest.param(OWN, 'address = "192.168.0.255"', "address", "is the network's broadcast", id="broadcast"),
        pytest.param(OWN, "address = 7", "address", "must be an address in quotes", id="number for an address"),
        pytest.param(f"{OWN}\n", "", "address", "missing", id="missing"),
        pytest.param(OWN, f"{OWN}\nport = 0", "port", "from 1 to 65535", id="port 0"),
        pytest.param(OWN, f"{OWN}\nport = 65536", "port", "from 1 to 65535", id="port 65536"),
        pytest.param(OWN, f"{OWN}\nport = true", "port", "from 1 to 65535", id="true for a port"),
        pytest.param(OWN, f'{OWN}\nport = "1194"', "port", "from 1 to 65535", id="text for a port"),
        pytest.param(OWN, f'{OWN}\nprotocol = "udp"', "protocol", "must be udp4 or tcp4", id="udp"),
        pytest.param(OWN, f"{OWN}\npoll_seconds = 0", "poll_seconds", "from 0.1 to 60", id="no pause"),
        pytest.param(OWN, f"{OWN}\npoll_seconds = nan", "poll_seconds", "from 0.1 to 60", id="no number"),
        pytest.param(OWN, f"{OWN}\npoll_seconds = true", "poll_seconds", "from 0.1 to 60", id="true for a pause"),
        pytest.param(OWN, f"{OWN}\npoll_seconds = 61", "poll_seconds", "from 0.1 to 60", id="over a minute"),
        pytest.param(OWN, f'{OWN}\nprobe = "10.0.0.1"', "probe", "lies in no network of office.networks", id="probe in the VPC"),
        pytest.param(OWN, f'{OWN}\nprobe = "10.100.30.255"', "probe", "is no host of 10.100.30.0/24", id="probe a broadcast"),
        pytest.param(OWN, f"{OWN}\nadress = 1", "adress", "did you mean address?", id="unknown key"),
    ],
)  # fmt: skip
def test_bad_value_is_refused_with_its_key_and_what_would_be_right(
    old: str, new: str, key: str, wanted: str
) -> None:
    """Each flaw names the key and what would be right; nothing else is flawed."""
    flaws = flaws_in(tunnelled((old, new)))

    assert [flaw.key for flaw in flaws] == [f"tunnel.{key}"]
    assert wanted in flaws[0].wanted


@pytest.mark.parametrize(
    ("network", "own"), [("192.168.0.0/30", "192.168.0.2"), ("172.16.0.0/15", "172.16.9.9")]
)
def test_network_that_openvpn_does_not_serve_is_refused(network: str, own: str) -> None:
    """`server` takes networks between /16 and /29 (openvpn 2.6, helper.c)."""
    document = tunnelled((CLIENTS, f'vpn_clients = "{network}"'), (OWN, f'address = "{own}"'))

    (flaw,) = flaws_in(document)

    assert (flaw.key, flaw.wanted) == ("office.vpn_clients", "OpenVPN serves clients between /16 and /29")


def test_empty_section_is_a_tunnel_of_which_everything_is_missing() -> None:
    """Whoever writes the section means it."""
    missing = {flaw.key for flaw in flaws_in(written() + b"\n[tunnel]\n")}

    assert missing == {f"tunnel.{key}" for key in ("server", "common_name", "server_name", "address")}


def test_flaws_of_the_tunnel_come_with_all_others() -> None:
    """A flaw never hides another, in the section or outside of it."""
    document = tunnelled(
        (SERVER, '"10.0.0.9"'), (OWN, 'address = "192.168.0.1"'), ('ssh = "closed"', 'ssh = "shut"')
    )

    assert {flaw.key for flaw in flaws_in(document)} == {"router.ssh", "tunnel.server", "tunnel.address"}


@given(st.integers(2, 13))
def test_every_host_but_the_first_can_be_the_routers(place: int) -> None:
    """The server takes the first address, everything up to the broadcast is free to choose from."""
    own = IPv4Network("192.168.0.0/28")[place]
    document = tunnelled((CLIENTS, 'vpn_clients = "192.168.0.0/28"'), (OWN, f'address = "{own}"'))

    tunnel = parse(document).tunnel

    assert tunnel is not None
    assert tunnel.address == own


@given(st.text(max_size=70))
def test_no_text_passes_for_a_name_unless_it_is_one_word_of_ascii(text: str) -> None:
    """Whatever is written, what is read holds no character that a shell, OpenVPN or XML gives a meaning to."""
    safe = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    quoted = "".join(f"\\U{ord(c):08X}" for c in text if not 0xD800 <= ord(c) <= 0xDFFF)
    document = tunnelled(
        ('"aws-router"', f'"{quoted}"'), (SERVER, f'"{quoted}"'), ('"office-vpn"', f'"x{quoted}"')
    )

    with contextlib.suppress(TopologyError):
        tunnel = parse(document).tunnel
        assert tunnel is not None
        assert set(tunnel.common_name + tunnel.server + tunnel.server_name) <= safe
