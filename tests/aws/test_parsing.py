"""EC2's answers mean what botocore's own parser says they mean, whatever they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import botocore.session
import pytest
from botocore.parsers import EC2QueryParser
from botocore.utils import parse_timestamp

from chalicelib.aws.ec2.parsing import Ec2Answers, moment

if TYPE_CHECKING:
    from botocore.model import Shape, StructureShape

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
READ = (
    "DescribeInstances", "DescribeInstanceStatus", "DescribeRouteTables", "DescribeAddresses", "DescribeSubnets",
    "DescribeSecurityGroupRules", "DescribeVpcs", "DescribeNetworkInterfaces",
)  # fmt: skip
TEXTS = {
    "integer": "7",
    "long": "7",
    "boolean": "true",
    "timestamp": "2026-11-30T22:00:01.250Z",
    "double": "0.5",
}
MODEL = botocore.session.get_session().get_service_model("ec2")


def _output(operation: str) -> StructureShape:
    shape = MODEL.operation_model(operation).output_shape
    assert shape is not None
    return shape


def _write(parent: ET.Element, tag: str, shape: Shape, depth: int = 0) -> None:
    """Write every member that a shape has, each list with two items."""
    element = ET.SubElement(parent, tag)
    if shape.type_name == "structure":
        for name, member in shape.members.items() if depth < 8 else ():  # type: ignore[attr-defined] # a structure's
            _write(element, member.serialization.get("name", name), member, depth + 1)
    elif shape.type_name == "list":
        for _ in range(2):
            _write(element, "item", shape.member, depth + 1)  # type: ignore[attr-defined] # a list's
    else:
        element.text = TEXTS.get(shape.type_name, f"a {tag}")


def _whole(operation: str) -> ET.Element:
    root = ET.Element("answer")
    _write(root, f"{operation}Response", _output(operation))
    answer = root[0]
    answer.set("xmlns", NAMESPACE)
    ET.SubElement(answer, "requestId").text = "0-1"
    return answer


def _agree(operation: str, answer: ET.Element) -> object:
    """Parse an answer in both ways; returns what both say."""
    response = {"status_code": 200, "headers": {}, "body": ET.tostring(answer)}
    shape = _output(operation)
    ours = Ec2Answers().parse(response, shape)
    assert ours == EC2QueryParser().parse(response, shape)
    return ours


@pytest.mark.parametrize("operation", READ)
def test_an_answer_with_every_member_is_read_as_botocore_reads_it(operation: str) -> None:
    """Names, lists, numbers, flags and moments come out alike."""
    said = _agree(operation, _whole(operation))

    assert isinstance(said, dict)
    assert said.keys() >= {name for name in _output(operation).members if name != "NextToken"}


@pytest.mark.parametrize("operation", READ)
def test_what_is_empty_or_unknown_or_there_twice_is_read_as_botocore_reads_it(operation: str) -> None:
    """Half of the texts are empty, some parts are there once more, and between them are some that nobody knows."""
    answer = _whole(operation)
    for number, element in enumerate(list(answer.iter())):
        children = list(element)
        if number % 2 and not children and element.text and element.text.startswith("a "):
            element.text = None
        ET.SubElement(element, "newInAnotherYear").text = "?" if children else None
        if number % 3 == 0 and children and len(children[0]):
            element.append(children[0])

    _agree(operation, answer)


def test_an_answer_with_nothing_in_it_is_read_as_botocore_reads_it() -> None:
    """An absent list is absent, an empty one empty."""
    answer = ET.Element("DescribeRouteTablesResponse", xmlns=NAMESPACE)
    assert "RouteTables" not in str(_agree("DescribeRouteTables", answer))

    ET.SubElement(answer, "routeTableSet")
    said = _agree("DescribeRouteTables", answer)
    assert isinstance(said, dict)
    assert said["RouteTables"] == []


def test_a_refusal_is_read_as_botocore_reads_it() -> None:
    """Its code and message come out alike."""
    body = b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>"
    response = {"status_code": 403, "headers": {}, "body": body}
    shape = _output("DescribeVpcs")

    said = Ec2Answers().parse(response, shape)

    assert said == EC2QueryParser().parse(response, shape)
    assert said["Error"]["Code"] == "UnauthorizedOperation"


@pytest.mark.parametrize(
    "written", ["2026-11-30T22:00:01.000Z", "2026-11-30T22:00:01Z", "1796076001", "20261130"]
)
def test_a_moment_is_the_one_that_botocore_reads(written: str) -> None:
    """A number is no date, whatever Python makes of it."""
    own = parse_timestamp(written)

    assert moment(written) == own
    assert moment(written).utcoffset() == own.utcoffset()


def test_what_is_no_moment_is_refused() -> None:
    """As botocore refuses it."""
    with pytest.raises(ValueError, match="Invalid timestamp"):
        moment("Tomorrow at TZ")
