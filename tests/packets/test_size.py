"""Hosts of a VPC speak 9001 bytes; the tunnel and the internet do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.packets import net
from tests.packets.beyond import INTERNET, INTERNET_HOST
from tests.packets.fabric import GATEWAY
from tests.packets.transfer import transfer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.packets.lab import Lab

_SILENT = """
table inet silent {
  chain out { type filter hook output priority -5; icmp type destination-unreachable drop; }
}
"""


@pytest.fixture
def silent_path(lab: Lab) -> Iterator[None]:
    """A hop of 1400 bytes between two of 1500 that says nothing of it, as on many paths."""
    net.nft(GATEWAY, _SILENT)
    net.ip(GATEWAY, ["link set ext mtu 1400"])
    yield
    net.nft(GATEWAY, "delete table inet silent")
    net.ip(GATEWAY, ["link set ext mtu 1500"])


@pytest.mark.parametrize(("source", "destination"), [("private", "lan0"), ("lan0", "private")])
def test_large_transfer_through_the_tunnel_completes(lab: Lab, source: str, destination: str) -> None:
    """10 MB each way between a host of 9001 bytes and one of 1500."""
    assert transfer(lab.namespace(source), lab.namespace(destination), lab.address(destination))


def test_large_transfer_to_the_internet_needs_the_clamp_where_word_of_the_path_is_lost(
    lab: Lab, silent_path: None
) -> None:
    """With the bundle's rule it completes both ways; without it, it does not."""
    del silent_path
    private = lab.namespace("private")
    assert transfer(private, INTERNET, INTERNET_HOST)
    lab.ruined.add(lab.router)
    lab.machines[lab.router].run("iptables", "-t", "mangle", "-F", "MOORING-FORWARD")
    assert transfer(private, INTERNET, INTERNET_HOST, patience=4) is None


def test_packet_that_fits_nowhere_is_answered_with_the_size_that_does(lab: Lab) -> None:
    """A datagram too large for the tunnel gets word of it, which a host of 9001 bytes needs for all but TCP."""
    sized = ("fping", "-c1", "-t300", "-b1700", "-M", lab.address("lan0"))
    net.run(*net.inside(lab.namespace("private"), *sized), check=False)
    shown = net.run(*net.inside(lab.namespace("private"), "ip", "route", "get", lab.address("lan0"))).stdout
    assert "mtu 1500" in shown, shown
