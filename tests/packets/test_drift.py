"""Each pinned thing, broken by hand, stops exactly what it should; Mooring's next run brings it back."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.packets import net
from tests.packets.beyond import INTERNET, INTERNET_HOST, senders
from tests.packets.drift import HARMS, HOSTS, OFFICE, OUT, elastic_ip_away, stopped
from tests.packets.probe import answers

if TYPE_CHECKING:
    from tests.packets.lab import Lab


@pytest.mark.parametrize("harm", HARMS)
def test_drift_stops_exactly_its_traffic_until_the_next_run(lab: Lab, harm: str) -> None:
    """What a hand's edit stops is what AWS would stop, no more and no less; and Mooring mends it."""
    assert stopped(lab) == set()
    assert HARMS[harm](lab) == stopped(lab)
    lab.mooring.tick()
    lab.until(lambda: stopped(lab) == set(), "everything is back")
    assert lab.complaints() == []


def test_internet_sees_another_address_until_the_elastic_ip_is_back(lab: Lab) -> None:
    """What private hosts are known by is pinned: a router without it translates, but to what nobody allows."""
    seen = []
    for act in (lambda: None, lambda: elastic_ip_away(lab), lab.mooring.tick):
        act()
        lab.settle()
        senders(INTERNET)
        assert answers(lab.namespace("private"), INTERNET_HOST)
        seen.append(senders(INTERNET) == {lab.elastic_ip})
    assert seen == [True, False, True]


def test_ssh_from_anywhere_is_open_until_the_next_run(lab: Lab) -> None:
    """The bootstrap rule lets the internet in at the Elastic IP; the run that sees it takes it away."""
    assert not reached(lab)
    lab.ec2.authorize_security_group_ingress(
        GroupId=lab.outputs["RouterSecurityGroupId"],
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        ],
    )
    lab.settle()
    assert reached(lab)
    lab.mooring.tick()
    lab.settle()
    assert not reached(lab)


def reached(lab: Lab) -> bool:
    """Return whether a connection to the Elastic IP's port 22 gets through; nobody listens there, so it is refused."""

    def connect() -> int:
        with socket.socket() as client:
            client.settimeout(0.5)
            try:
                return client.connect_ex((lab.elastic_ip, 22))
            except TimeoutError:
                return errno.ETIMEDOUT

    return net.within(INTERNET, connect) == errno.ECONNREFUSED


def test_group_that_lets_the_vpc_in_no_more_stops_what_the_vpc_begins(lab: Lab) -> None:
    """A rule that is not Mooring's to write stops new flows into the router until the hand gives it back."""
    rule: dict[str, Any] = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": lab.outputs["VpcCidr"]}]}
    where: dict[str, Any] = {"GroupId": lab.outputs["RouterSecurityGroupId"], "IpPermissions": [rule]}
    lab.ec2.revoke_security_group_ingress(**where)
    assert stopped(lab) == {
        flow for flow in OFFICE | OUT if flow[0] in HOSTS
    }  # answers to the office still pass
    lab.mooring.tick()
    assert stopped(lab)
    lab.ec2.authorize_security_group_ingress(**where)
    assert stopped(lab) == set()
