"""The world itself: reaching it, what it records, and how it begins anew."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from . import Client, World
from .conftest import code
from .patches import truth

if TYPE_CHECKING:
    from .conftest import Network


AS_IN_THE_BEGINNING: tuple[int | None, float | None] = (None, 0.0)


def test_subprocess_reaches_it_by_its_environment(world: World) -> None:
    """A command gets there with no more than the variables."""
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    command = [sys.executable, "-c", script]
    env = {**os.environ, **world.environment()}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    assert done.stdout.strip() == world.account_id
    assert (world.calls[-1].service, world.calls[-1].by) == ("sts", "product")


def test_calls_are_recorded_with_what_they_asked_and_got(world: World, ec2: Client, product: Client) -> None:
    """Service, operation, parameters, whether it writes, error and whose it was."""
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    product.describe_vpcs(VpcIds=[vpc_id])
    code(lambda: product.delete_vpc(VpcId="vpc-0123456789abcdef0"))
    code(lambda: product.delete_vpc(VpcId=vpc_id, DryRun=True))
    made, seen, refused, dry = world.calls
    assert (made.operation, made.write, made.by, made.error) == ("CreateVpc", True, "hand", None)
    assert made.params["CidrBlock"] == "10.0.0.0/16"
    assert (seen.service, seen.operation, seen.write, seen.by) == ("ec2", "DescribeVpcs", False, "product")
    assert seen.params["VpcId.1"] == vpc_id
    assert (refused.write, refused.error) == (True, "InvalidVpcID.NotFound")
    assert dry.write is False
    assert made.at <= made.until <= seen.at <= time.monotonic()
    world.forget_calls()
    assert world.calls == []


def test_parameters_of_json_services_keep_their_shape(world: World) -> None:
    """Nested parameters stay nested where the protocol nests them."""
    world.client("ssm").put_parameter(Name="/a", Value="b", Type="String", Tags=[{"Key": "k", "Value": "v"}])
    (call,) = world.calls
    assert call.params["Tags"] == [{"Key": "k", "Value": "v"}]


def test_reset_leaves_nothing(world: World, ec2: Client, product: Client) -> None:
    """Resources, faults, calls, events, listeners and knobs are as in the beginning."""
    heard: list[object] = []
    ec2.create_vpc(CidrBlock="10.0.0.0/16")
    world.deny("*")
    world.on_event(heard.append)
    world.page_size, world.dwell = 2, None
    world.reset()
    assert not world.calls
    assert not world.events
    assert (world.page_size, world.dwell) == AS_IN_THE_BEGINNING
    assert len(product.describe_vpcs()["Vpcs"]) == 1  # the default VPC
    ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)
    assert heard == []


def test_listener_hears_of_each_event_and_sees_its_state(world: World, network: Network) -> None:
    """A listener may call AWS: it is called once the state is visible."""
    seen: list[tuple[str, str]] = []

    def look(event: dict[str, Any]) -> None:
        instance = network.instance(event["detail"]["instance-id"])
        seen.append((event["detail"]["state"], instance["State"]["Name"]))

    world.on_event(look)
    world.dwell = None
    network.launch()
    world.settle()
    assert seen == [("pending", "pending"), ("running", "running")]


def test_what_a_listener_sets_off_is_told_after_it(world: World, network: Network) -> None:
    """Events come one after another, also when hearing of one causes the next."""
    instance_id, _ = network.launch()
    told: list[str] = []

    def restart(event: dict[str, Any]) -> None:
        told.append(f"{event['detail']['state']} begins")
        if event["detail"]["state"] == "stopped":
            network.ec2.start_instances(InstanceIds=[instance_id])
        told.append(f"{event['detail']['state']} ends")

    world.on_event(restart)
    network.ec2.stop_instances(InstanceIds=[instance_id])
    states = ["stopping", "stopped", "pending", "running"]
    assert told == [f"{state} {word}" for state in states for word in ("begins", "ends")]


def test_failing_listener_fails_the_test_and_not_the_call(world: World, network: Network) -> None:
    """A failure in a listener comes out at the next reset."""

    def fail(_: object) -> None:
        raise LookupError("the listener's own")

    world.on_event(fail)
    network.launch()
    with pytest.raises(LookupError, match="the listener's own"):
        world.reset()


def test_what_moto_cannot_do_is_said_so(world: World, network: Network) -> None:
    """A gap is an error that names itself, is not retried and is no AWS error."""
    asked = [{"Name": "network-interface.no-such", "Values": ["x"]}]
    network.launch()
    world.forget_calls()
    assert code(lambda: network.ec2.describe_instances(Filters=asked)) == "EmbeddedAwsGap"
    assert len(world.calls) == 1


def test_second_world_is_refused(world: World) -> None:
    """The backends of moto belong to the process."""
    with pytest.raises(RuntimeError, match="one world at a time"), World():
        pass


def test_missing_patch_is_seen() -> None:
    """A patch can be left out, to prove that a test needs it; one that is not there cannot."""
    with pytest.raises(LookupError), truth.without(World, "no such patch"):
        pass


def test_body_may_come_at_once_for_who_asks_first(world: World) -> None:
    """S3's clients send `Expect: 100-continue` and hold the body back until they hear (RFC 9110, 10.1.1)."""
    host = world.endpoint_url.removeprefix("http://")
    head = f"PUT /bucket HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((host.split(":")[0], int(host.split(":")[1])), timeout=30) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 ")


def test_watcher_is_called_once_the_change_can_be_seen(world: World, network: Network) -> None:
    """Whatever follows the network's state looks when it is told, and sees what it was told of."""
    seen: list[str] = []
    world.on_change(
        lambda: seen.append(network.ec2.describe_network_interfaces()["NetworkInterfaces"][0]["Status"])
    )
    instance_id, _ = network.launch()
    network.ec2.describe_instances()
    world.client("sqs").list_queues()
    assert seen == ["in-use"]
    network.ec2.stop_instances(InstanceIds=[instance_id])
    world.settle()
    assert len(seen) == 3
    world.reset()
    world.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")
    assert len(seen) == 3
