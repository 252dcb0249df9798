"""Who pings whom, which pings get no answer, and the harms by hand that each stop some of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.packets.probe import answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.packets.lab import Lab

HOSTS, LANS = ("private", "private-b", "public"), ("lan0", "lan1")
OFFICE = {(lan, host) for lan in LANS for host in HOSTS} | {(host, lan) for lan in LANS for host in HOSTS}
OUT = {("private", "inet"), ("private-b", "inet")}
OTHERS = {("public", "inet"), ("private", "private-b"), ("private-b", "private"), ("public", "private")}
FLOWS = sorted(OFFICE | OUT | OTHERS)
"""Who pings whom."""


def stopped(lab: Lab) -> set[tuple[str, str]]:
    """Return which flows get no answer, all asked at once."""
    lab.settle()
    with ThreadPoolExecutor(8) as pool:
        answered = pool.map(lambda flow: answers(lab.namespace(flow[0]), lab.address(flow[1])), FLOWS)
        return {flow for flow, good in zip(FLOWS, answered, strict=True) if not good}


def of(*hosts: str, flows: set[tuple[str, str]] = OFFICE | OUT) -> set[tuple[str, str]]:
    """Return the flows that one of these hosts has a part in."""
    return {flow for flow in flows if set(flow) & set(hosts)}


def default_route_deleted(lab: Lab) -> set[tuple[str, str]]:
    """Delete the default route of a private table."""
    lab.ec2.delete_route(RouteTableId=lab.outputs["PrivateRouteTableAId"], DestinationCidrBlock="0.0.0.0/0")
    return of("private")


def default_route_elsewhere(lab: Lab) -> set[tuple[str, str]]:
    """Point it to an instance that forwards nothing."""
    lab.ec2.replace_route(
        RouteTableId=lab.outputs["PrivateRouteTableAId"],
        DestinationCidrBlock="0.0.0.0/0",
        NetworkInterfaceId=lab.state.card(lab.hosts["public"]).id,
    )
    return of("private")


def public_office_route_missing(lab: Lab) -> set[tuple[str, str]]:
    """Delete a public table's route to an office network."""
    lab.ec2.delete_route(
        RouteTableId=lab.outputs["PublicRouteTableId"],
        DestinationCidrBlock=str(lab.topology.office_networks[0]),
    )
    return {("public", "lan0"), ("lan0", "public")}


def check_on(lab: Lab) -> set[tuple[str, str]]:
    """Switch the router's source/dest check on."""
    lab.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=lab.state.card(lab.router).id, SourceDestCheck={"Value": True}
    )
    return OFFICE | OUT


def elastic_ip_away(lab: Lab) -> set[tuple[str, str]]:
    """Disassociate the Elastic IP, and wait until the box has noticed."""
    address = lab.ec2.describe_addresses(AllocationIds=[lab.topology.elastic_ip])["Addresses"][0]
    lab.ec2.disassociate_address(AssociationId=address["AssociationId"])
    lab.until(lambda: lab.tunnels() == [], "the router that holds it no more ends its tunnel")
    return OFFICE  # AWS gives the router another public address: the internet goes on, under a wrong name


def association_ended(lab: Lab) -> set[tuple[str, str]]:
    """End a private subnet's association: it gets the main table."""
    lab.ec2.disassociate_route_table(AssociationId=_association(lab))
    return of("private")  # what the main table has is local routes


def association_moved(lab: Lab) -> set[tuple[str, str]]:
    """Return a private subnet the public table."""
    lab.ec2.replace_route_table_association(
        AssociationId=_association(lab), RouteTableId=lab.outputs["PublicRouteTableId"]
    )
    return of(
        "private", flows=OUT
    )  # the public table leads to the office too, but to the internet by the gateway


def _association(lab: Lab) -> str:
    """Find the association of the private host's subnet; another subnet rides on its table."""
    (table,) = lab.ec2.describe_route_tables(RouteTableIds=[lab.outputs["PrivateRouteTableAId"]])[
        "RouteTables"
    ]
    subnet = lab.state.card(lab.hosts["private"]).subnet_id
    found = (a for a in table["Associations"] if a.get("SubnetId") == subnet)
    return str(next(found)["RouteTableAssociationId"])


HARMS: dict[str, Callable[[Lab], set[tuple[str, str]]]] = {
    "a default route is deleted": default_route_deleted,
    "a default route points to another instance": default_route_elsewhere,
    "a public table lacks an office route": public_office_route_missing,
    "the source/dest check is on": check_on,
    "the Elastic IP is disassociated": elastic_ip_away,
    "a subnet has no table of its own": association_ended,
    "a subnet has another table": association_moved,
}
"""What a hand can do, and which flows it stops: each function does it, and returns them."""
