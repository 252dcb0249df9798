"""What every other reader of AWS's answers makes of one that lacks a member: its own error, or all that is there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.aws.answers import Raw, flag, inner, members, moment, number, tags, text
from chalicelib.aws.discover import Discovery, stack_outputs
from chalicelib.aws.ec2.network import Ec2Network
from chalicelib.aws.journal import DynamoJournal
from chalicelib.aws.queue import FifoQueue, find_queue
from chalicelib.aws.ssm.certificate import read_record
from chalicelib.aws.ssm.run_command import SystemsManager
from chalicelib.aws.ssm.secrets import TunnelSecrets, secret_path
from chalicelib.aws.ssm.topologies import PATH, Topologies
from chalicelib.core.errors import ControllerError
from chalicelib.core.machines.certificate import PARTS
from chalicelib.core.messages.concern import Whereabouts
from chalicelib.core.messages.message import Message
from chalicelib.core.request import Request
from chalicelib.core.tunnel.documents import INSPECT, fingerprint
from tests.aws.answers import canned, garbled, grown, paths, short, whole, without
from tests.aws.looks import TOLD, answers
from tests.builders import NOON, VPC, an_id, topology
from tests.core.machines.test_certificate import RECORD
from tests.fakes import InPlace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.aws.answers import Answer, Told
    from tests.fake_aws import Client

CONTENT = {"schemaVersion": "2.2"}
SSM: Told = {
    "ParameterList": lambda n: {"Name": f"{PATH}office", "Value": "document", "Version": n},
    "StatusDetails": lambda _: "Success",
    "PingStatus": lambda _: "Online",
    "InstanceInformation.InstanceId": lambda n: an_id("i", n),
    "Content": lambda _: json.dumps(CONTENT),
}
STATE: Answer = {"Item": {"revision": {"N": "3"}, "moves": {"L": []}, "router": {"S": an_id("i", 1)}}}


@dataclass(frozen=True)
class Reader:
    """A reader, the calls it makes and their answers; `needs` are the members without which it must raise."""

    service: str
    read: Callable[[Client], object]
    operations: tuple[str, ...]
    needs: frozenset[str] = frozenset()
    told: Told = field(default_factory=dict)
    given: dict[str, Answer] = field(default_factory=dict)

    @property
    def answers(self) -> dict[str, Answer]:
        """Return a whole answer to each call."""
        return {o: whole(self.service, o, self.told, 1, 2) for o in self.operations} | self.given

    def outcome(self, given: dict[str, Answer]) -> object:
        """Read, and give what came of it; any error but Mooring's own leaves."""
        try:
            return self.read(canned(self.service, given))
        except ControllerError as error:
            return error


def _network(client: Client) -> Ec2Network:
    return Ec2Network(client, InPlace())


def _discovery(client: Client) -> Discovery:
    return Discovery(client, VPC, InPlace())


def _machines(client: Client) -> SystemsManager:
    return SystemsManager(client, {INSPECT: fingerprint(CONTENT)})


def _secrets(n: int) -> Answer:
    return {"Name": secret_path("office", PARTS[n - 1]), "Value": "hidden", "Version": n}


def _messages() -> list[Message]:
    return [Message(name, NOON, Request("a test")) for name in ("one", "two")]


def _parameter(value: str, **more: object) -> dict[str, Answer]:
    return {"GetParameter": {"Parameter": {"Name": "/a", "Value": value, "Version": 7} | more}}


READERS = {
    "locate an instance": Reader(
        "ec2",
        lambda c: _network(c).locate({an_id("i", 1)}),
        (),
        frozenset({"Reservations", "Reservations.Instances"}),
        given={"DescribeInstances": answers()["DescribeInstances"]},
    ),
    "locate an interface": Reader(
        "ec2",
        lambda c: _network(c).locate({an_id("eni", 1)}),
        ("DescribeNetworkInterfaces",),
        frozenset({"NetworkInterfaces"}),
        TOLD,
    ),
    "locate a table": Reader(
        "ec2",
        lambda c: _network(c).locate({an_id("rtb", 1)}),
        ("DescribeRouteTables",),
        frozenset({"RouteTables"}),
        TOLD,
    ),
    "locate an address": Reader(
        "ec2",
        lambda c: _network(c).locate({"203.0.113.1"}),
        ("DescribeAddresses",),
        frozenset({"Addresses"}),
        TOLD,
    ),
    "instance": Reader(
        "ec2",
        lambda c: _network(c).instance(an_id("i", 1)),
        (),
        frozenset(
            {
                "Reservations",
                "Reservations.Instances",
                "Reservations.Instances.InstanceId",
                "Reservations.Instances.State",
                "Reservations.Instances.State.Name",
                "Reservations.Instances.LaunchTime",
                "Reservations.Instances.NetworkInterfaces",
            }
        ),
        given={"DescribeInstances": answers()["DescribeInstances"]},
    ),
    "vpc": Reader(
        "ec2",
        lambda c: _discovery(c).cidrs_and_name(),
        ("DescribeVpcs",),
        frozenset({"Vpcs", "Vpcs.CidrBlock"}),
        TOLD,
    ),
    "subnets": Reader(
        "ec2", lambda c: _discovery(c).subnets(), ("DescribeSubnets",), frozenset({"Subnets"}), TOLD
    ),
    "internet gateway": Reader(
        "ec2",
        lambda c: _discovery(c).internet_gateway(),
        ("DescribeInternetGateways",),
        frozenset({"InternetGateways"}),
    ),
    "tagged": Reader("ec2", lambda c: _discovery(c).tagged("key"), ("DescribeTags",), frozenset({"Tags"})),
    "security groups": Reader(
        "ec2",
        lambda c: _discovery(c).security_groups(an_id("eni", 1)),
        ("DescribeNetworkInterfaces",),
        frozenset({"NetworkInterfaces"}),
        TOLD,
    ),
    "stack": Reader(
        "cloudformation", lambda c: stack_outputs(c, "office"), ("DescribeStacks",), frozenset({"Stacks"})
    ),
    "documents": Reader(
        "ssm", lambda c: Topologies(c).documents(), ("GetParametersByPath",), frozenset({"Parameters"})
    ),
    "document": Reader(
        "ssm",
        lambda c: Topologies(c).document("office"),
        ("GetParameter",),
        frozenset({"Parameter", "Parameter.Value"}),
    ),
    "declare": Reader("ssm", lambda c: Topologies(c).declare("office", b"document"), ("PutParameter",)),
    "agents": Reader(
        "ssm",
        lambda c: _machines(c).agents(topology()),
        ("DescribeInstanceInformation",),
        frozenset({"InstanceInformationList"}),
        SSM,
    ),
    "answer": Reader(
        "ssm",
        lambda c: _machines(c).answer("c" * 36, an_id("i", 1)),
        ("GetCommandInvocation",),
        frozenset({"StatusDetails"}),
        SSM,
    ),
    "command": Reader(
        "ssm",
        lambda c: _machines(c).inspect([an_id("i", 1)]),
        ("GetDocument", "DescribeDocument", "SendCommand"),
        frozenset(
            {
                "Content",
                "DocumentVersion",
                "Document",
                "Document.Hash",
                "Command",
                "Command.CommandId",
            }
        ),
        SSM,
    ),
    "configuration that lies there": Reader(
        "ssm",
        lambda c: _machines(c)._stored("/a", "value"),
        ("PutParameter",),
        frozenset({"Parameter.Version"}),
        given=_parameter("value"),
    ),
    "configuration that is new": Reader(
        "ssm",
        lambda c: _machines(c)._stored("/a", "value"),
        ("PutParameter",),
        frozenset({"Version"}),
        given=_parameter("another"),
    ),
    "certificate": Reader(
        "ssm",
        lambda c: read_record(c, "office"),
        (),
        frozenset({"Parameter", "Parameter.Value"}),
        given=_parameter(RECORD.dumps()),
    ),
    "secrets": Reader(
        "ssm",
        lambda c: TunnelSecrets(c).read("office"),
        ("DescribeParameters",),
        frozenset({"Parameters", "Parameters.Name", "Parameters.Value", "Parameters.Version"}),
        {"ParameterMetadata.Name": lambda n: secret_path("office", PARTS[n - 1])},
        given={"GetParameters": {"Parameters": [_secrets(1), _secrets(2)], "InvalidParameters": []}},
    ),
    "queue": Reader("sqs", find_queue, ("GetQueueUrl",), frozenset({"QueueUrl"})),
    "wake-ups": Reader(
        "sqs",
        lambda c: FifoQueue(c, "https://queue").send(_messages()),
        ("SendMessageBatch",),
        frozenset({"Successful", "Successful.Id"}),
        {"SendMessageBatchResultEntry.Id": lambda n: str(n - 1), "BatchResultErrorEntry.Id": lambda _: "7"},
    ),
    "history": Reader(
        "dynamodb",
        lambda c: DynamoJournal(c, "table").read("office"),
        (),
        frozenset({"Item.revision", "Item.revision.N", "Item.moves.L", "Item.router.S"}),
        given={"GetItem": STATE},
    ),
    "declaration that was kept": Reader(
        "dynamodb",
        lambda c: DynamoJournal(c, "table").kept("office"),
        (),
        frozenset({"Item.document", "Item.document.S", "Item.at.S"}),
        given={"GetItem": {"Item": {"document": {"S": "document"}, "at": {"S": NOON.isoformat()}}}},
    ),
    "timeline": Reader(
        "dynamodb",
        lambda c: DynamoJournal(c, "table").timeline("office", 3),
        (),
        frozenset({"Items", "Items.report", "Items.report.S"}),
        given={"Query": {"Items": [{"report": {"S": "{}"}}]}},
    ),
    "request": Reader(
        "dynamodb",
        lambda c: DynamoJournal(c, "table").answered("request"),
        (),
        frozenset({"Item.answer", "Item.answer.S"}),
        given={"GetItem": {"Item": {"answer": {"S": "{}"}, "ttl": {"N": "1"}}}},
    ),
}
each = pytest.mark.parametrize("reader", READERS.values(), ids=READERS)


@each
def test_member_that_is_left_out_is_an_error_of_moorings_own_or_none(reader: Reader) -> None:
    """Only what nobody can do without makes one, and nothing else leaves."""
    needed = set()
    for operation, answer in reader.answers.items():
        for path in paths(answer):
            came = reader.outcome(reader.answers | {operation: without(answer, path)})
            if isinstance(came, ControllerError):
                needed.add(short(path))
    assert needed == reader.needs


@each
def test_member_that_is_new_makes_no_difference(reader: Reader) -> None:
    """AWS adds members whenever it likes; only the journal's items are Mooring's own to define."""
    came = reader.outcome(reader.answers)
    assert not isinstance(came, ControllerError)
    if reader.service != "dynamodb":
        assert reader.outcome({o: grown(answer) for o, answer in reader.answers.items()}) == came  # type: ignore[misc] # a dict stays one


@pytest.mark.parametrize(
    "reader",
    [r for r in READERS.values() if r.service in ("ec2", "cloudformation")],
    ids=lambda r: r.operations,
)
def test_answer_that_is_none_of_awss_is_an_error_of_moorings_own(reader: Reader) -> None:
    """A proxy's page with a success's status: EC2 and CloudFormation speak XML, which it is not."""
    client, bodies = garbled(reader.service)
    bodies.append(b"<html><p>Sign in to this network</html>")
    with pytest.raises(ControllerError):
        reader.read(client)


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ({}, [None, None, None, None, {}, [], {}]),
        (dict.fromkeys("abcdef"), [None, None, None, None, {}, [], {}]),
        ({"a": "x", "b": True, "c": 3, "d": NOON, "e": {"k": 1}, "f": [{"k": 1}]}, ["x", True, 3, NOON, {"k": 1}, [{"k": 1}], {}]),
        ({"a": "", "b": 1, "c": True, "d": NOON.replace(tzinfo=None), "e": [1], "f": {"k": 1}}, [None] * 4 + [{}, [], {}]),
        ({"a": ["x"], "b": "true", "c": "3", "d": "now", "e": "x", "f": [None, 3, {}]}, [None] * 4 + [{}, [{}] * 3, {}]),
    ],
)  # fmt: skip
def test_member_of_another_type_is_absent(raw: Raw, read: list[Any]) -> None:
    """An empty text is none, and a time without a zone is none that could be compared."""
    assert [
        text(raw, "a"),
        flag(raw, "b"),
        number(raw, "c"),
        moment(raw, "d"),
        inner(raw, "e"),
        members(raw, "f"),
        tags(raw),
    ] == read


def test_tags_are_read_one_by_one() -> None:
    """One without a key is none, one without a value has an empty one."""
    given = [{"Key": "a", "Value": "b"}, {"Value": "c"}, {"Key": "d"}, None, {"Key": 5, "Value": "e"}]
    assert tags({"Tags": given}) == {"a": "b", "d": ""}


def test_wake_up_that_sqs_says_nothing_of_counts_as_not_sent() -> None:
    """No wanted look is swallowed: the error names its topology, and SQS's code if there is one."""
    answer = {
        "Successful": [{"Id": "0"}],
        "Failed": [{"Id": "1", "Code": "InternalError"}, {"Code": "Strange"}],
    }
    client = canned("sqs", {"SendMessageBatch": answer})
    messages = [*_messages(), Message("three", datetime.now(UTC), Request("a test"))]
    with pytest.raises(ControllerError, match=r"for two \(InternalError\), three \(SQS does not say why\)"):
        FifoQueue(client, "https://queue").send(messages)


def test_only_an_instance_is_located_with_its_tags() -> None:
    """A candidate is known by its tags; anything else concerns whoever lives in its VPC, whatever it is tagged with."""
    found = {
        name: reader.outcome(reader.answers) for name, reader in READERS.items() if name.startswith("locate")
    }
    assert found == {
        "locate an instance": {an_id("i", n): Whereabouts(VPC, {f"Key-{n}": f"Value-{n}"}) for n in (1, 2)},
        "locate an interface": {f"NetworkInterfaceId-{n}": Whereabouts(VPC) for n in (1, 2)},
        "locate a table": {an_id("rtb", n): Whereabouts(VPC) for n in (1, 2)},
        "locate an address": {
            f"203.0.113.{n}": Whereabouts(allocation_id=f"AllocationId-{n}") for n in (1, 2)
        },
    }
