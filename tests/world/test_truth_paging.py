"""Pages, as AWS makes them and moto does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from tests.world.conftest import code

if TYPE_CHECKING:
    from tests.world import Client, World
    from tests.world.conftest import Network

LISTINGS = [
    ("describe_route_tables", "RouteTables"),
    ("describe_network_interfaces", "NetworkInterfaces"),
    ("describe_instances", "Reservations"),
    ("describe_instance_status", "InstanceStatuses"),
    ("describe_subnets", "Subnets"),
    ("describe_security_group_rules", "SecurityGroupRules"),
]


def _pages(ec2: Client, operation: str, key: str, **asked: object) -> list[list[dict[str, Any]]]:
    paginator = ec2.get_paginator(operation)
    return [page[key] for page in paginator.paginate(**asked)]


@pytest.mark.parametrize(("operation", "key"), LISTINGS)
def test_listing_comes_in_pages_of_the_size_asked_for(network: Network, operation: str, key: str) -> None:
    """MaxResults and NextToken. EC2 API reference of each operation."""
    for number in range(7):
        network.launch()
        network.ec2.create_subnet(VpcId=network.vpc_id, CidrBlock=f"10.0.{number + 10}.0/24")
        network.ec2.create_route_table(VpcId=network.vpc_id)
        network.ec2.create_security_group(
            GroupName=f"group {number}", Description="one more", VpcId=network.vpc_id
        )
    whole = getattr(network.ec2, operation)()[key]
    pages = _pages(network.ec2, operation, key, PaginationConfig={"PageSize": 5})
    assert len(pages) > 1
    assert all(len(page) == 5 for page in pages[:-1])
    assert [thing for page in pages for thing in page] == whole


@pytest.mark.parametrize(("operation", "key"), LISTINGS)
def test_world_pages_by_itself_when_told_to(world: World, network: Network, operation: str, key: str) -> None:
    """AWS may page whether asked or not: who does not follow NextToken sees a part. EC2, pagination."""
    for _ in range(3):
        network.launch()
    whole = getattr(network.ec2, operation)()[key]
    world.page_size = 2
    assert len(getattr(network.ec2, operation)()[key]) == 2
    pages = _pages(network.ec2, operation, key)
    assert [thing for page in pages for thing in page] == whole


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
