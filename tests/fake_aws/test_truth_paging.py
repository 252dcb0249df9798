"""Pages, as AWS makes them and moto does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from .conftest import code

if TYPE_CHECKING:
    from . import Client, World
    from .conftest import Network

LISTINGS = [
    ("describe_route_tables", "RouteTables"),
    ("describe_network_interfaces", "NetworkInterfaces"),
    ("describe_instances", "Reservations"),
    ("describe_instance_status", "InstanceStatuses"),
    ("describe_subnets", "Subnets"),
    ("describe_security_group_rules", "SecurityGroupRules"),
    ("describe_security_groups", "SecurityGroups"),
    ("describe_vpcs", "Vpcs"),
    ("describe_dhcp_options", "DhcpOptions"),
    ("describe_internet_gateways", "InternetGateways"),
]


def _pages(ec2: Client, operation: str, key: str, **asked: object) -> list[list[dict[str, Any]]]:
    paginator = ec2.get_paginator(operation)
    return [page[key] for page in paginator.paginate(**asked)]


def _populate(network: Network) -> None:
    for number in range(7):
        network.launch()
        vpc_id = network.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        network.ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.9.0.0/24")
        network.ec2.create_security_group(GroupName=f"group {number}", Description="more", VpcId=vpc_id)
        network.ec2.create_internet_gateway()
        servers = [{"Key": "domain-name-servers", "Values": [f"10.100.100.{number}"]}]
        network.ec2.create_dhcp_options(DhcpConfigurations=servers)


@pytest.mark.parametrize("pages", ["asked for", "by itself"])
def test_listings_come_in_pages(world: World, network: Network, pages: str) -> None:
    """MaxResults and NextToken; AWS may also page when it was not asked to. EC2 API reference, pagination."""
    _populate(network)
    for operation, key in LISTINGS:
        world.page_size = None
        whole = getattr(network.ec2, operation)()[key]
        world.page_size = 5 if pages == "by itself" else None
        size = {"PageSize": 5} if pages == "asked for" else {}
        parts = _pages(network.ec2, operation, key, PaginationConfig=size)
        assert len(parts) > 1, operation
        assert {len(part) for part in parts[:-1]} == {5}, operation
        assert [thing for part in parts for thing in part] == whole


def test_things_asked_for_by_id_come_at_once(world: World, network: Network) -> None:
    """Ids are no listing: AWS answers for all of them. EC2 API reference, pagination."""
    wanted = [network.launch()[1] for _ in range(3)]
    world.page_size = 2
    found = network.ec2.describe_network_interfaces(NetworkInterfaceIds=wanted)["NetworkInterfaces"]
    assert len(found) == 3


def test_page_sizes_have_bounds(world: World) -> None:
    """DescribeRouteTables: MaxResults from 5 to 100. EC2 API reference."""
    unchecked = world.client("ec2", Config(parameter_validation=False))
    assert code(lambda: unchecked.describe_route_tables(MaxResults=4)) == "InvalidParameterValue"
    assert code(lambda: unchecked.describe_route_tables(MaxResults=101)) == "InvalidParameterValue"


def test_instances_by_id_are_not_paged(network: Network) -> None:
    """InvalidParameterCombination: instance ids together with MaxResults. DescribeInstances."""
    instance_id, _ = network.launch()
    asked = {"InstanceIds": [instance_id], "MaxResults": 5}
    assert code(lambda: network.ec2.describe_instances(**asked)) == "InvalidParameterCombination"


def test_unknown_token_is_refused(network: Network) -> None:
    """A NextToken is AWS's own."""
    assert code(lambda: network.ec2.describe_route_tables(NextToken="mine")) == "InvalidNextToken"
