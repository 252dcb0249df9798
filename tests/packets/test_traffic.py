"""Who reaches whom while everything is as declared, and under which address they are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.packets.beyond import INTERNET, INTERNET_HOST, LAPTOP, senders
from tests.packets.probe import answers

if TYPE_CHECKING:
    from tests.packets.lab import Lab

LANS = ("lan0", "lan1", "lan2")


def seen_from(lab: Lab, source: str, destination: str) -> set[str]:
    """Ping, which must be answered, and say under which addresses the destination saw its source."""
    senders(lab.namespace(destination))
    assert answers(lab.namespace(source), lab.address(destination)), f"{source} -> {destination}"
    return senders(lab.namespace(destination))


@pytest.mark.parametrize("host", ["private", "private-b", "pod", "public", "addressless"])
@pytest.mark.parametrize("lan", LANS)
def test_office_and_vpc_see_each_other_as_they_are(lab: Lab, lan: str, host: str) -> None:
    """Every office network reaches every subnet and back, and nothing translates between them."""
    assert seen_from(lab, lan, host) == {lab.address(lan)}
    assert seen_from(lab, host, lan) == {lab.address(host)}


@pytest.mark.parametrize("destination", ["lan0", "private", "pod", "public"])
def test_laptop_is_seen_as_itself(lab: Lab, destination: str) -> None:
    """A laptop on the road reaches office and VPC under its address in the tunnel."""
    if not lab.beyond.laptop_connected:
        lab.beyond.connect_laptop()
    senders(lab.namespace(destination))
    assert answers(LAPTOP, lab.address(destination))
    assert senders(lab.namespace(destination)) == {lab.beyond.laptop_address}


@pytest.mark.parametrize("host", ["private", "private-b", "pod"])
def test_private_host_is_seen_as_the_elastic_ip(lab: Lab, host: str) -> None:
    """What has no public address reaches the internet as the router does."""
    assert seen_from(lab, host, INTERNET) == {lab.elastic_ip}


def test_vpc_is_untouched_by_translation(lab: Lab) -> None:
    """Two hosts of the VPC see each other as they are."""
    assert seen_from(lab, "private", "private-b") == {lab.address("private")}
    assert seen_from(lab, "pod", "private-b") == {lab.address("pod")}
    assert seen_from(lab, "public", "private") == {lab.address("public")}


def test_public_host_goes_its_own_way(lab: Lab) -> None:
    """A host with a public address of its own is seen as that, not as the router."""
    assert seen_from(lab, "public", INTERNET) == {lab.state.public(lab.address("public"))}


def test_public_host_without_an_address_has_no_internet_and_mooring_says_so(lab: Lab) -> None:
    """It is in a public subnet, so nothing translates for it; that is advice, never a change."""
    assert not answers(lab.namespace("addressless"), INTERNET_HOST)
    shown = lab.mooring.functions.call("GET", f"/topologies/{lab.topology.name}").body["now"]
    assert any(lab.hosts["addressless"] in str(advice) for advice in shown["advice"]), shown


def test_internet_reaches_nobody(lab: Lab) -> None:
    """Nobody asked the internet in: not at the Elastic IP, and not at a host whose group is for VPC and office."""
    assert not answers(INTERNET, lab.elastic_ip)
    assert not answers(INTERNET, str(lab.state.public(lab.address("public"))))
