"""What can be made to go wrong, as boto3 meets it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from .conftest import code

if TYPE_CHECKING:
    from . import Client, World
    from .conftest import Network

ONCE = Config(retries={"total_max_attempts": 1})


def _replace(product: Client, network: Network, target: str, table_id: str | None = None) -> None:
    product.replace_route(
        RouteTableId=table_id or network.table_id, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=target
    )


@pytest.fixture
def router(network: Network) -> str:
    """An interface that the default route leads to."""
    _, eni_id = network.launch()
    network.point(eni_id)
    return eni_id


def test_denial_is_unauthorized_and_changes_nothing(
    world: World,
    network: Network,
    product: Client,
    router: str,
) -> None:
    """EC2 says UnauthorizedOperation, 403; only the calls that the predicate picks are hit."""
    _, other = network.launch()
    denial = world.deny("ReplaceRoute", when=lambda params: params["RouteTableId"] == network.table_id)
    with pytest.raises(ClientError) as refused:
        _replace(product, network, other)
    assert refused.value.response["Error"]["Code"] == "UnauthorizedOperation"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert network.route()["NetworkInterfaceId"] == router
    assert (
        code(lambda: _replace(product, network, other, "rtb-0123456789abcdef0"))
        == "InvalidRouteTableID.NotFound"
    )
    assert denial.hits == 1
    denial.stop()
    _replace(product, network, other)
    assert network.route()["NetworkInterfaceId"] == other


def test_hands_are_spared_unless_asked_for(world: World, ec2: Client, product: Client) -> None:
    """Faults meet the product; whoever judges the world still sees it."""
    world.deny("Describe*")
    assert code(product.describe_vpcs) == "UnauthorizedOperation"
    assert ec2.describe_vpcs()["Vpcs"]
    world.heal()
    assert product.describe_vpcs()["Vpcs"]
    world.deny("Describe*", by="*")
    assert code(ec2.describe_vpcs) == "UnauthorizedOperation"


@pytest.mark.parametrize(
    ("service", "operation", "asked", "denied", "throttled"),
    [
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation", "RequestLimitExceeded"),
        ("ssm", "get_parameter", {"Name": "/x"}, "AccessDeniedException", "ThrottlingException"),
        ("dynamodb", "list_tables", {}, "AccessDeniedException", "ThrottlingException"),
        ("autoscaling", "describe_auto_scaling_groups", {}, "AccessDenied", "Throttling"),
        ("sts", "get_caller_identity", {}, "AccessDenied", "Throttling"),
        ("cloudwatch", "list_metrics", {}, "AccessDeniedException", "ThrottlingException"),
        ("s3", "list_buckets", {}, "AccessDenied", "SlowDown"),
    ],
)
def test_errors_are_worded_as_each_service_words_them(
    world: World, service: str, operation: str, asked: dict[str, str], denied: str, throttled: str
) -> None:
    """Each protocol has its own shape and each family its own codes; botocore reads them all."""
    call = getattr(world.client(service, ONCE, by="product"), operation)
    fault = world.deny("*")
    assert code(lambda: call(**asked)) == denied
    fault.stop()
    world.throttle("*")
    assert code(lambda: call(**asked)) == throttled
    assert [one.error for one in world.calls] == [denied, throttled]


def test_throttling_is_retried_by_botocore(world: World, router: str, network: Network) -> None:
    """RequestLimitExceeded, 503: a client in standard mode tries again."""
    patient = world.client("ec2", Config(retries={"mode": "standard", "total_max_attempts": 3}), by="product")
    world.throttle("ReplaceRoute", times=1)
    world.forget_calls()
    _replace(patient, network, router)
    assert [call.error for call in world.calls] == ["RequestLimitExceeded", None]


def test_failure_has_the_code_and_status_asked_for(world: World, product: Client) -> None:
    """Any error can be had, once by default."""
    world.fail("DescribeVpcs", code="InternalError", status=500)
    with pytest.raises(ClientError) as failed:
        product.describe_vpcs()
    assert failed.value.response["Error"]["Code"] == "InternalError"
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert product.describe_vpcs()["Vpcs"]


def test_lost_reply_hides_a_change_that_was_made(
    world: World,
    network: Network,
    product: Client,
    router: str,
) -> None:
    """The connection closes without a reply, and the route is there all the same."""
    world.lose("CreateRoute")
    with pytest.raises(ConnectionClosedError):
        product.create_route(
            RouteTableId=network.table_id, DestinationCidrBlock="10.100.0.0/16", NetworkInterfaceId=router
        )
    assert network.route("10.100.0.0/16")["NetworkInterfaceId"] == router
    (lost,) = [call for call in world.calls if call.error == "ConnectionClosed"]
    assert (lost.operation, lost.by) == ("CreateRoute", "product")


def test_delays_of_calls_made_at_once_overlap(world: World, product: Client) -> None:
    """Latency is the network's: calls at once wait at once, so the last begins before the first has ended."""
    product.describe_vpcs()
    world.delay(2)
    world.forget_calls()
    threads = [threading.Thread(target=product.describe_vpcs) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(call.at for call in world.calls) < min(call.until for call in world.calls)


def test_stale_reads_show_the_past(world: World, network: Network, product: Client, router: str) -> None:
    """EC2 is eventually consistent: a read may not show a write yet, nor a resource. aws.md 2.5."""
    table = {"RouteTableIds": [network.table_id]}
    world.stale("Describe*", times=3)
    instance_id, other = network.launch()
    _replace(product, network, other)

    def target() -> str:
        (found,) = product.describe_route_tables(**table)["RouteTables"]
        return str(found["Routes"][1]["NetworkInterfaceId"])

    assert target() == router
    assert code(lambda: product.describe_instances(InstanceIds=[instance_id])) == "InvalidInstanceID.NotFound"
    assert target() == router
    assert target() == other
    assert network.route()["NetworkInterfaceId"] == other


def test_buckets_let_so_many_writes_through_at_once(
    world: World,
    network: Network,
    product: Client,
    router: str,
) -> None:
    """One bucket for each mutating API; reads and dry runs take nothing; it refills. aws.md 2.5."""
    world.buckets(capacity=3, refill=0)
    for _ in range(3):
        _replace(product, network, router)
    assert code(lambda: _replace(product, network, router)) == "RequestLimitExceeded"
    product.describe_vpcs()
    for _ in range(6):
        product.modify_network_interface_attribute(
            NetworkInterfaceId=router, SourceDestCheck={"Value": False}
        )
    world.heal()
    world.buckets(capacity=1, refill=1e6)
    for _ in range(3):
        _replace(product, network, router)
