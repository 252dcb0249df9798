"""The data plane is AWS's: it follows every hand, soon, and lets through what AWS would."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.packets import net
from tests.packets.beyond import INTERNET, INTERNET_HOST
from tests.packets.fabric import VPC
from tests.packets.probe import answers

if TYPE_CHECKING:
    from tests.packets.lab import Lab

SOON = 0.1
"""The bound on the lab: seconds from a change to the data plane that follows it."""


def test_change_reaches_the_data_plane_soon(lab: Lab) -> None:
    """A route deleted and created, again and again; the quickest counts, since a shared machine sleeps at times."""
    where = {"RouteTableId": lab.outputs["PrivateRouteTableAId"], "DestinationCidrBlock": "172.16.0.0/12"}
    lab.settle()
    lab.delays.clear()
    for _ in range(5):
        lab.ec2.create_route(**where, NetworkInterfaceId=lab.state.card(lab.router).id)
        lab.settle()
        lab.ec2.delete_route(**where)
        lab.settle()
    assert len(lab.delays) == 10
    assert min(lab.delays) < SOON, lab.delays


def test_hand_in_another_process_has_its_effect(lab: Lab) -> None:
    """Whoever speaks to the endpoint moves packets: the AWS CLI, or boto3 in a process of its own."""
    script = "import boto3, sys; boto3.client('ec2').delete_route(RouteTableId=sys.argv[1], DestinationCidrBlock='0.0.0.0/0')"
    assert answers(lab.namespace("private"), INTERNET_HOST)
    command = [sys.executable, "-c", script, lab.outputs["PrivateRouteTableAId"]]
    subprocess.run(command, env=os.environ | lab.world.environment(), check=True)  # noqa: S603 - our own
    lab.settle()
    assert not answers(lab.namespace("private"), INTERNET_HOST)


def test_longer_prefix_wins_even_over_local(lab: Lab) -> None:
    """AWS lets a route be more specific than the VPC's own; a dead target swallows what is for it."""
    private = lab.namespace("private")
    assert answers(private, lab.address("private-b"))
    lab.ec2.create_route(
        RouteTableId=lab.outputs["PrivateRouteTableAId"],
        DestinationCidrBlock=lab.state.subnets[lab.state.card(lab.hosts["private-b"]).subnet_id],
        NetworkInterfaceId=lab.state.card(lab.hosts["public"]).id,
    )
    lab.settle()
    assert not answers(private, lab.address("private-b"))
    assert answers(private, lab.address("public"))
    lab.ec2.delete_route(
        RouteTableId=lab.outputs["PrivateRouteTableAId"],
        DestinationCidrBlock=lab.state.subnets[lab.state.card(lab.hosts["private-b"]).subnet_id],
    )
    lab.settle()
    assert answers(private, lab.address("private-b"))


def test_check_drops_what_is_not_from_the_interface(lab: Lab) -> None:
    """An instance that sends under another's address is not heard, and the drop is counted."""
    host = lab.namespace("private")
    net.ip(host, ["addr add 10.0.1.99/32 dev lo"])
    forged = ("fping", "-c", "1", "-t", "200", "-S", "10.0.1.99", lab.address("private-b"))
    before = dropped("wrong_source")
    assert net.run(*net.inside(host, *forged), check=False).returncode != 0
    assert dropped("wrong_source") > before
    net.ip(host, ["addr del 10.0.1.99/32 dev lo"])


def dropped(counter: str) -> int:
    """Read a counter of the source/dest check."""
    shown = net.run(*net.inside(VPC, "nft", "list", "counter", "inet", "checks", counter)).stdout
    return int(shown.split("packets")[1].split()[0])


def test_group_lets_answers_in_and_nothing_else(lab: Lab) -> None:
    """A host that nobody may call can call, and is answered."""
    group = lab.ec2.create_security_group(
        GroupName="mute", Description="lets nobody in", VpcId=lab.topology.vpc_id
    )["GroupId"]
    card = lab.state.card(lab.hosts["private-b"])
    lab.ec2.modify_network_interface_attribute(NetworkInterfaceId=card.id, Groups=[group])
    lab.settle()
    assert not answers(lab.namespace("private"), card.addresses[0])
    assert answers(lab.namespace("private-b"), lab.address("private"))
    assert answers(lab.namespace("private-b"), INTERNET_HOST)
    lab.ec2.modify_network_interface_attribute(NetworkInterfaceId=card.id, Groups=[lab.host_group])


@pytest.mark.parametrize("verb", ["stop", "start"])
def test_instance_without_power_is_not_there(lab: Lab, verb: str) -> None:
    """A stopped host answers nobody, and a started one does again."""
    host = lab.hosts["public"]
    call = {"stop": lab.ec2.stop_instances, "start": lab.ec2.start_instances}[verb]
    call(InstanceIds=[host])
    lab.settle()
    assert answers(lab.namespace("private"), lab.address("public")) == (verb == "start")


def test_metadata_answers_the_instance_that_asks_and_needs_a_token(lab: Lab) -> None:
    """IMDSv2: a token first; who asks is told of itself, and only the router of the Elastic IP."""
    router, standby = lab.router, lab.standby
    assert metadata(router, "GET", "meta-data/mac", {}) == (401, "")
    said = {}
    for asker, other in ((router, standby), (standby, router)):
        _, token = metadata(asker, "PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        mine = {"X-aws-ec2-metadata-token": token}
        said[asker] = metadata(asker, "GET", "meta-data/public-ipv4", mine)
        assert metadata(asker, "GET", "meta-data/instance-id", mine) == (200, asker)
        assert metadata(asker, "GET", "meta-data/nothing", mine)[0] == 404
        assert metadata(other, "GET", "meta-data/instance-id", mine) == (401, "")
    assert said[router] == (200, lab.elastic_ip) != said[standby]


def metadata(asker: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Ask the metadata service from an instance; give status and body."""

    def ask() -> tuple[int, str]:
        connection = http.client.HTTPConnection("169.254.169.254", timeout=5)
        connection.request(method, f"/latest/{path}", headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    return net.within(asker, ask)


def test_nothing_gets_out(lab: Lab) -> None:
    """No cable leads out of the lab: the only devices of its own root are loopback's."""
    assert [line.split(":")[1].strip() for line in net.run("ip", "-o", "link").stdout.splitlines()] == ["lo"]
    assert INTERNET in net.run("ip", "netns").stdout
    assert lab.world.endpoint_url.startswith("http://127.0.0.1:")
