"""Somebody's edits wake whom they concern, whatever else their events name, and strangers' edits bring no storm."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.controller.ingest import GUESSED, ingest
from chalicelib.core.errors import ObservationError
from chalicelib.core.messages.message import loads
from tests.app.office import declare, minimal
from tests.builders import NOON, an_id
from tests.ports import EventsPorts
from tests.stand_ins.api_gateway import ACCOUNT
from tests.stand_ins.functions import sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.fake_aws import Client
    from tests.stand_ins.functions import Event, Functions

    Deed = Callable[["Region"], Event]

GONE = an_id("i", 0x0DEAD)


@dataclass(frozen=True)
class Part:
    """A VPC with a subnet, a route table, an interface and an instance."""

    vpc_id: str
    subnet_id: str
    table_id: str
    interface_id: str
    instance_id: str


@dataclass(frozen=True)
class Region:
    """Our VPC, whose table and candidate are selected by tags, a stranger's, and an address of each."""

    ec2: Client
    ours: Part
    theirs: Part
    address: dict[str, Any]
    their_address: dict[str, Any]


def _part(ec2: Client, cidr: str, table: str, router: str) -> Part:
    vpc_id = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock=cidr.replace("/16", "/24"))["Subnet"]["SubnetId"]
    launched = ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet_id,
        TagSpecifications=_tags("instance", router),
    )
    return Part(
        vpc_id,
        subnet_id,
        ec2.create_route_table(VpcId=vpc_id, TagSpecifications=_tags("route-table", table))["RouteTable"][
            "RouteTableId"
        ],
        ec2.create_network_interface(SubnetId=subnet_id)["NetworkInterface"]["NetworkInterfaceId"],
        launched["Instances"][0]["InstanceId"],
    )


def _tags(kind: str, pair: str) -> list[dict[str, Any]]:
    key, _, value = pair.partition("=")
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value}]}]


@pytest.fixture
def region(functions: Functions) -> Region:
    """Two networks, of which one is declared, and a declaration that nobody can read."""
    ec2 = functions.world.client("ec2")
    ours = _part(ec2, "10.0.0.0/16", "mooring:role=private", "mooring:router=office")
    theirs = _part(ec2, "10.9.0.0/16", "role=private", "Name=theirs")
    addresses = [ec2.allocate_address(Domain="vpc") for _ in range(2)]
    document = minimal(ours.vpc_id, ours.subnet_id).decode()
    document = document.replace("eipalloc-00000000000000001", addresses[0]["AllocationId"])
    document += '[[private]]\ntable = { "mooring:role" = "private" }\n'
    declare(functions, "office", document.encode())
    declare(functions, "spoilt", b"name = 3")
    functions.forget()
    return Region(ec2, ours, theirs, *addresses)


def _edit(call: str, **parameters: object) -> Event:
    return sample("cloudtrail-replace-route", eventName=call, requestParameters=parameters)


def _items(key: str, *values: str) -> dict[str, object]:
    return {"items": [{key: value} for value in values]}


def _looked_up(functions: Functions) -> list[str]:
    return sorted(name for name in functions.asked() if name.startswith("Describe"))


# -- what is ours decides ----------------------------------------------------------------------------


def _rerouted(region: Region) -> Event:
    table, gone = region.ours.table_id, GONE
    return _edit("ReplaceRoute", routeTableId=table, destinationCidrBlock="0.0.0.0/0", instanceId=gone)


def _routed_to_an_interface_deleted_since(region: Region) -> Event:
    card = region.ours.interface_id
    region.ec2.delete_network_interface(NetworkInterfaceId=card)
    return _edit("CreateRoute", routeTableId=region.ours.table_id, networkInterfaceId=card)


def _address_by_its_number(region: Region) -> Event:
    number = region.address["PublicIp"]
    return _edit("AssociateAddress", publicIp=number, networkInterfaceId=region.theirs.interface_id)


def _their_address_on_a_card_of_ours(region: Region) -> Event:
    number = region.their_address["PublicIp"]
    return _edit("AssociateAddress", publicIp=number, networkInterfaceId=region.ours.interface_id)


def _taken_off(region: Region) -> Event:
    return _edit("DisassociateAddress", publicIp=region.address["PublicIp"])


def _another_table(region: Region) -> Event:
    return _edit(
        "ReplaceRouteTableAssociation", associationId="rtbassoc-12345678", routeTableId=region.ours.table_id
    )


def _one_of_many_ended(region: Region) -> Event:
    several = (GONE, region.theirs.instance_id, region.ours.instance_id)
    return _edit("TerminateInstances", instancesSet=_items("instanceId", *several))


def _candidate_untagged(region: Region) -> Event:
    tags = [{"Key": "mooring:router", "Value": "office"}]
    region.ec2.delete_tags(Resources=[region.ours.instance_id], Tags=tags)
    return _edit(
        "DeleteTags",
        resourcesSet=_items("resourceId", region.ours.instance_id),
        tagSet=_items("key", "mooring:router"),
    )


def _check_switched_on(region: Region) -> Event:
    return _edit(
        "ModifyInstanceAttribute", instanceId=region.ours.instance_id, sourceDestCheck={"value": True}
    )


def _card_given_other_groups(region: Region) -> Event:
    return _edit(
        "ModifyNetworkInterfaceAttribute",
        networkInterfaceId=region.ours.interface_id,
        attachment={"attachmentId": "eni-attach-12345678", "deleteOnTermination": True},
        groupSet=_items("groupId", "sg-12345678"),
    )


def _new_table(region: Region) -> Event:
    return _edit("CreateRouteTable", vpcId=region.ours.vpc_id)


OURS = (
    _rerouted,
    _routed_to_an_interface_deleted_since,
    _address_by_its_number,
    _their_address_on_a_card_of_ours,
    _taken_off,
    _another_table,
    _one_of_many_ended,
    _candidate_untagged,
    _check_switched_on,
    _card_given_other_groups,
    _new_table,
)


@pytest.mark.parametrize("deed", OURS, ids=lambda deed: deed.__name__.strip("_"))
def test_edit_of_ours_wakes_its_topology_alone(functions: Functions, region: Region, deed: Deed) -> None:
    """Whatever else it names, gone or a stranger's; each kind of thing is looked up with one call."""
    event = deed(region)
    functions.forget()
    assert functions.event(event) == ["office"]
    looked = _looked_up(functions)
    assert len(looked) == len(set(looked)) <= 2
    (record,) = functions.waiting()
    assert loads(record["body"]).request.woken_by.startswith(event["detail"]["eventName"])


# -- what cannot be found ----------------------------------------------------------------------------


def _card_deleted(region: Region) -> Event:
    region.ec2.delete_network_interface(NetworkInterfaceId=region.ours.interface_id)
    return _edit("DeleteNetworkInterface", networkInterfaceId=region.ours.interface_id)


def _card_detached(_: Region) -> Event:
    return _edit("DetachNetworkInterface", attachmentId="eni-attach-12345678", force=True)


def _table_deleted(region: Region) -> Event:
    region.ec2.delete_route_table(RouteTableId=region.ours.table_id)
    return _edit("DeleteRouteTable", routeTableId=region.ours.table_id)


def _subnet_disassociated(_: Region) -> Event:
    return _edit("DisassociateRouteTable", associationId="rtbassoc-12345678")


def _address_taken_off(_: Region) -> Event:
    return _edit("DisassociateAddress", associationId="eipassoc-12345678")


def _address_released(region: Region) -> Event:
    region.ec2.release_address(AllocationId=region.their_address["AllocationId"])
    return _edit("ReleaseAddress", publicIp=region.their_address["PublicIp"])


def _group_by_name(_: Region) -> Event:
    return _edit("AuthorizeSecurityGroupIngress", groupName="routers")


ELUSIVE = (
    _card_deleted,
    _card_detached,
    _table_deleted,
    _subnet_disassociated,
    _address_taken_off,
    _address_released,
    _group_by_name,
)


@pytest.mark.parametrize("deed", ELUSIVE, ids=lambda deed: deed.__name__.strip("_"))
def test_edit_of_what_cannot_be_found_wakes_everybody(
    functions: Functions, region: Region, deed: Deed
) -> None:
    """It may have been anybody's, theirs too whose declaration is not valid."""
    event = deed(region)
    functions.forget()
    assert functions.event(event) == ["office", "spoilt"]
    assert len(_looked_up(functions)) <= 1


@dataclass
class _Watch:
    at: datetime

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def test_storm_of_what_cannot_be_found_is_one_look_each_while_it_lasts(
    functions: Functions, region: Region
) -> None:
    """Containers' interfaces come and go in hundreds: SQS takes one wake-up for them all, from however many processes."""
    watch = _Watch(NOON)
    edge = functions.app.edge
    ports = EventsPorts(edge.topologies, edge.network, edge.queue, watch)
    for number in range(8):
        at = NOON + timedelta(seconds=number)
        event = _edit("DeleteNetworkInterface", networkInterfaceId=an_id("eni", number)) | {
            "time": at.isoformat()
        }
        watch.at = at
        assert ingest(event, ports, ACCOUNT, edge.region) == ["office", "spoilt"]
    assert sorted(_groups(functions)) == ["office", "spoilt"]
    watch.at = NOON + GUESSED
    assert ingest(event, ports, ACCOUNT, edge.region) == ["office", "spoilt"]
    assert sorted(_groups(functions)) == ["office", "spoilt"]
    surely = _rerouted(region) | {"time": watch.at.isoformat()}
    for _ in range(2):
        assert ingest(surely, ports, ACCOUNT, edge.region) == ["office"]
    assert _groups(functions) == ["office", "office"]


def _groups(functions: Functions) -> list[str]:
    """Take the waiting messages and serve them; returns whose they were."""
    records = functions.waiting()
    for record in records:
        functions.world.client("sqs").delete_message(
            QueueUrl=functions.queue_url, ReceiptHandle=record["receiptHandle"]
        )
    return [record["attributes"]["MessageGroupId"] for record in records]


# -- what is a stranger's ----------------------------------------------------------------------------


def _their_route(region: Region) -> Event:
    return _edit("ReplaceRoute", routeTableId=region.theirs.table_id, instanceId=GONE, groupId="sg-12345678")


def _their_card(region: Region) -> Event:
    return _edit("ModifyNetworkInterfaceAttribute", networkInterfaceId=region.theirs.interface_id)


def _their_address(region: Region) -> Event:
    number = region.their_address["PublicIp"]
    return _edit("AssociateAddress", publicIp=number, networkInterfaceId=region.theirs.interface_id)


def _their_table(region: Region) -> Event:
    return _edit("CreateRouteTable", vpcId=region.theirs.vpc_id)


def _their_group(_: Region) -> Event:
    return _edit("AuthorizeSecurityGroupIngress", groupId="sg-12345678")


def _tags_that_select_nothing(region: Region) -> Event:
    declared = _items("resourceId", region.ours.instance_id, "vol-12345678")
    return _edit("CreateTags", resourcesSet=declared, tagSet=_items("key", "Name", "kubernetes.io/cluster"))


STRANGE = (_their_route, _their_card, _their_address, _their_table, _their_group)


@pytest.mark.parametrize("deed", STRANGE, ids=lambda deed: deed.__name__.strip("_"))
def test_edit_of_strangers_wakes_nobody(functions: Functions, region: Region, deed: Deed) -> None:
    """Everything of it was found, or its VPC is known, and nothing of that is ours."""
    event = deed(region)
    functions.forget()
    assert "concerns no declared topology" in functions.ignored(event)
    assert len(_looked_up(functions)) <= 2


def test_tags_that_select_nothing_cost_no_lookup(functions: Functions, region: Region) -> None:
    """Tags are set all day long. Only while a declaration cannot be read it may select by any."""
    event = _tags_that_select_nothing(region)
    assert "concerns no declared topology" in functions.ignored(event)
    declare(functions, "spoilt", minimal().replace(b'"office"', b'"spoilt"', 1))
    functions.event(sample("scheduled"))
    functions.forget()
    assert "concerns no declared topology" in functions.ignored(event)
    assert functions.asked() == []


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("DescribeInstances", {"instanceId": GONE}),
        ("DescribeNetworkInterfaces", {"networkInterfaceId": an_id("eni", 1)}),
        ("DescribeRouteTables", {"routeTableId": an_id("rtb", 0x77)}),
        ("DescribeAddresses", {"publicIp": "203.0.113.7"}),
    ],
)
def test_lookup_that_is_refused_fails_the_event(
    functions: Functions, region: Region, operation: str, parameters: dict[str, str]
) -> None:
    """A failed reading is no empty one: Lambda tries the event again, and keeps it if that fails, too."""
    functions.world.deny(operation)
    with pytest.raises(ObservationError, match="UnauthorizedOperation"):
        functions.event(_edit("ReplaceRoute", **parameters))
    assert functions.waiting() == []


def test_more_than_a_filter_takes_are_looked_for_as_far_as_it_does(
    functions: Functions, region: Region
) -> None:
    """EC2 takes 200 values: what is beyond them is as good as not found, and costs no second call."""
    several = [an_id("i", 0x1000 + number) for number in range(300)]
    event = _edit("TerminateInstances", instancesSet=_items("instanceId", *several))
    assert functions.event(event) == ["office", "spoilt"]
    (call,) = [call for call in functions.calls() if call.operation == "DescribeInstances"]
    assert str(call.params).count("i-0") == 200
