"""Each pinned thing, broken by hand, stops exactly what it should; Mooring's next run brings it back."""

from __future__ import annotations

import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab import net
from tests.lab.beyond import INTERNET, INTERNET_HOST, senders
from tests.lab.probe import answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.lab import Lab

HOSTS, LANS = ("private", "private-b", "public"), ("lan0", "lan1")
OFFICE = {(lan, host) for lan in LANS for host in HOSTS} | {(host, lan) for lan in LANS for host in HOSTS}
OUT = {("private", "inet"), ("private-b", "inet")}
OTHERS = {("public", "inet"), ("private", "private-b"), ("private-b", "private"), ("public", "private")}
FLOWS = sorted(OFFICE | OUT | OTHERS)
"""Who pings whom."""


def stopped(lab: Lab) -> set[tuple[str, str]]:
    """Say which flows get no answer, all asked at once."""
    lab.settle()
    with ThreadPoolExecutor(8) as pool:
        answered = pool.map(lambda flow: answers(lab.namespace(flow[0]), lab.address(flow[1])), FLOWS)
        return {flow for flow, good in zip(FLOWS, answered, strict=True) if not good}


def of(*hosts: str, flows: set[tuple[str, str]] = OFFICE | OUT) -> set[tuple[str, str]]:
    """Give the flows that one of these hosts has a part in."""
    return {flow for flow in flows if set(flow) & set(hosts)}


def _default_route_deleted(lab: Lab) -> set[tuple[str, str]]:
    lab.ec2.delete_route(RouteTableId=lab.outputs["PrivateRouteTableAId"], DestinationCidrBlock="0.0.0.0/0")
    return of("private")


def _default_route_elsewhere(lab: Lab) -> set[tuple[str, str]]:
    lab.ec2.replace_route(
        RouteTableId=lab.outputs["PrivateRouteTableAId"],
        DestinationCidrBlock="0.0.0.0/0",
        NetworkInterfaceId=lab.state.card(lab.hosts["public"]).id,
    )
    return of("private")


def _public_office_route_missing(lab: Lab) -> set[tuple[str, str]]:
    lab.ec2.delete_route(
        RouteTableId=lab.outputs["PublicRouteTableId"],
        DestinationCidrBlock=str(lab.topology.office_networks[0]),
    )
    return {("public", "lan0"), ("lan0", "public")}


def _check_on(lab: Lab) -> set[tuple[str, str]]:
    lab.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=lab.state.card(lab.router).id, SourceDestCheck={"Value": True}
    )
    return OFFICE | OUT


def _elastic_ip_away(lab: Lab) -> set[tuple[str, str]]:
    address = lab.ec2.describe_addresses(AllocationIds=[lab.topology.elastic_ip])["Addresses"][0]
    lab.ec2.disassociate_address(AssociationId=address["AssociationId"])
    lab.until(lambda: lab.tunnels() == [], "the router that holds it no more ends its tunnel")
    return OFFICE  # AWS gives the router another public address: the internet goes on, under a wrong name


def _association_ended(lab: Lab) -> set[tuple[str, str]]:
    lab.ec2.disassociate_route_table(AssociationId=_association(lab))
    return of("private")  # what the main table has is local routes


def _association_moved(lab: Lab) -> set[tuple[str, str]]:
    lab.ec2.replace_route_table_association(
        AssociationId=_association(lab), RouteTableId=lab.outputs["PublicRouteTableId"]
    )
    return of("private", flows=OUT)  # the public table leads to the office too, but to the internet by the gateway


def _association(lab: Lab) -> str:
    (table,) = lab.ec2.describe_route_tables(RouteTableIds=[lab.outputs["PrivateRouteTableAId"]])["RouteTables"]
    return str(table["Associations"][0]["RouteTableAssociationId"])


@pytest.mark.parametrize(
    "harm",
    [
        _default_route_deleted,
        _default_route_elsewhere,
        _public_office_route_missing,
        _check_on,
        _elastic_ip_away,
        _association_ended,
        _association_moved,
    ],
)
def test_drift_stops_exactly_its_traffic_until_the_next_run(
    lab: Lab, harm: Callable[[Lab], set[tuple[str, str]]]
) -> None:
    """What a hand's edit stops is what AWS would stop, no more and no less; and Mooring mends it."""
    assert stopped(lab) == set()
    assert harm(lab) == stopped(lab)
    lab.mooring.tick()
    lab.until(lambda: stopped(lab) == set(), "everything is back")
    assert lab.complaints() == []


def test_internet_sees_another_address_until_the_elastic_ip_is_back(lab: Lab) -> None:
    """What private hosts are known by is pinned: a router without it translates, but to what nobody allows."""
    seen = []
    for act in (lambda: None, lambda: _elastic_ip_away(lab), lab.mooring.tick):
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
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    )
    lab.settle()
    assert reached(lab)
    lab.mooring.tick()
    lab.settle()
    assert not reached(lab)


def reached(lab: Lab) -> bool:
    """Say whether a connection to the Elastic IP's port 22 gets through; nobody listens there, so it is refused."""

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
    assert stopped(lab) == {flow for flow in OFFICE | OUT if flow[0] in HOSTS}  # answers to the office still pass
    lab.mooring.tick()
    assert stopped(lab)
    lab.ec2.authorize_security_group_ingress(**where)
    assert stopped(lab) == set()
