"""EC2's lean readings, beside botocore's own client: the same requests, pages, tries, and errors."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.retries import standard as retries

from chalicelib.aws.discover import Discovery
from chalicelib.aws.ec2.network import Ec2Network
from chalicelib.aws.errors import AwsError
from chalicelib.aws.wire import Answer, _Content
from chalicelib.core.errors import ControllerError
from tests.aws.looks import DECLARED
from tests.aws.queries import Canned, asking, model, xml
from tests.aws.test_query import _client
from tests.builders import VPC, an_id
from tests.fakes import InPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mypy_boto3_ec2 import EC2Client

    from chalicelib.aws.ec2.query import Ec2Query

ERROR = b"<Response><Errors><Error><Code>%s</Code><Message>Why &amp; how</Message></Error></Errors><RequestID>r</RequestID></Response>"
WELL = Answer(200, {}, xml("DescribeVpcs", {"Vpcs": [{"VpcId": VPC}]}))
TRIES = 4


def _theirs(said: Callable[[dict[str, str]], Answer]) -> tuple[EC2Client, list[dict[str, str]]]:
    """Have botocore's own client answered in the same way, and keep what it asked."""
    client, asked = _retrying(), list[dict[str, str]]()

    def before_send(request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore's
        asked.append(dict(parse_qsl(_text(request.body), keep_blank_values=True)))
        answer = said(asked[-1])
        return AWSResponse(request.url, answer.status, answer.headers, _Content(answer.content))

    client.meta.events.register("before-send", before_send)  # type: ignore[arg-type] # answers, as this event asks
    return client, asked


def _text(body: bytes | str) -> str:
    return body.decode() if isinstance(body, bytes) else body


def _retrying() -> EC2Client:
    return _client(retries={"mode": "standard", "total_max_attempts": TRIES})


def _ours(said: Callable[[dict[str, str]], Answer]) -> tuple[Ec2Query, list[dict[str, str]]]:
    wire = Canned(said)
    return asking(wire, _retrying()), wire.asked


def _one_after_the_other(steps: Iterable[Answer | Exception]) -> Callable[[dict[str, str]], Answer]:
    following = iter(steps)

    def said(_: dict[str, str]) -> Answer:
        step = next(following)
        if isinstance(step, Exception):
            raise step
        return step

    return said


def _came(read: Callable[[], object]) -> object:
    try:
        return read()
    except AwsError as error:
        return type(error), str(error), getattr(error, "response", None)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no pause take time, and tell how long each would be."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


# -- requests and pages ----------------------------------------------------------------------------------


def _filters(name: str, value: str, **more: object) -> dict[str, object]:
    return {"Filters": [{"Name": name, "Values": [value]}], **more}


LOOK: list[tuple[str, dict[str, object]]] = [
    ("describe_route_tables", _filters("vpc-id", DECLARED.vpc_id)),
    ("describe_instances", _filters("vpc-id", DECLARED.vpc_id, MaxResults=1000)),
    ("describe_addresses", {}),
    ("describe_instance_status", {"MaxResults": 1000}),
    ("describe_subnets", _filters("vpc-id", DECLARED.vpc_id, MaxResults=1000)),
    ("describe_security_group_rules", _filters("group-id", str(DECLARED.security_group), MaxResults=1000)),
    ("describe_vpcs", {"VpcIds": [DECLARED.vpc_id]}),
]
MENTIONED = {an_id("i", 1), an_id("i", 2), an_id("eni", 1), an_id("rtb", 1), "203.0.113.1"}
LOCATED: list[tuple[str, dict[str, object]]] = [
    ("describe_instances", {"Filters": [{"Name": "instance-id", "Values": [an_id("i", 1), an_id("i", 2)]}]}),
    ("describe_network_interfaces", _filters("network-interface-id", an_id("eni", 1))),
    ("describe_route_tables", _filters("route-table-id", an_id("rtb", 1))),
    ("describe_addresses", _filters("public-ip", "203.0.113.1")),
]
READINGS: dict[str, tuple[Callable[[Ec2Query], object], list[tuple[str, dict[str, object]]]]] = {
    "look": (lambda q: Ec2Network(q, InPlace()).observe(DECLARED), LOOK),
    "locate": (lambda q: Ec2Network(q, InPlace()).locate(MENTIONED), LOCATED),
    "instance": (
        lambda q: Ec2Network(q, InPlace()).instance(an_id("i", 1)),
        [("describe_instances", _filters("instance-id", an_id("i", 1), MaxResults=1000))],
    ),
    "vpc": (lambda q: Discovery(q, VPC, InPlace()).cidrs_and_name(), [("describe_vpcs", {"VpcIds": [VPC]})]),
    "subnets": (
        lambda q: Discovery(q, VPC, InPlace()).subnets(),
        [("describe_subnets", _filters("vpc-id", VPC, MaxResults=1000))],
    ),
    "gateway": (
        lambda q: Discovery(q, VPC, InPlace()).internet_gateway(),
        [("describe_internet_gateways", _filters("attachment.vpc-id", VPC))],
    ),
    "tagged": (
        lambda q: Discovery(q, VPC, InPlace()).tagged("k"),
        [("describe_tags", _filters("key", "k", MaxResults=1000))],
    ),
    "groups": (
        lambda q: Discovery(q, VPC, InPlace()).security_groups(an_id("eni", 1)),
        [
            (
                "describe_network_interfaces",
                {
                    "Filters": [
                        {"Name": "vpc-id", "Values": [VPC]},
                        {"Name": "network-interface-id", "Values": [an_id("eni", 1)]},
                    ]
                },
            )
        ],
    ),
}


def _paged(params: dict[str, str]) -> Answer:
    """Answer with three pages, whatever is asked that has pages."""
    number = int(params.get("NextToken", "0"))
    output = model().operation_model(params["Action"]).output_shape
    answer: dict[str, object] = {name: [] for name in output.members if name != "NextToken"}
    if number < 2 and "NextToken" in output.members:
        answer["NextToken"] = str(number + 1)
    return Answer(200, {}, xml(params["Action"], answer))


@pytest.mark.parametrize("reading", READINGS)
def test_readings_ask_what_botocores_client_asks(reading: str) -> None:
    """Every parameter of every page, as botocore's serializer spells it."""
    read, calls = READINGS[reading]
    query, asked = _ours(_paged)
    with contextlib.suppress(ControllerError):  # nothing is there
        read(query)
    client, others = _theirs(_paged)
    for name, parameters in calls:
        method: Any = getattr(client, name)
        said = method(**parameters)
        while token := said.get("NextToken"):
            said = method(**parameters, NextToken=token)
    assert asked == others


# -- tries -----------------------------------------------------------------------------------------------

standard: Any = retries  # the stubs know less than botocore
CODES = sorted(
    {
        *standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES,
        *standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES,
        "InternalError", "Unavailable", "UnauthorizedOperation", "AuthFailure", "InvalidVpcID.NotFound", "RequestExpired",
    }
)  # fmt: skip
UNHEARD = (
    ReadTimeoutError(endpoint_url="https://ec2"),
    ConnectTimeoutError(endpoint_url="https://ec2"),
    EndpointConnectionError(endpoint_url="https://ec2", error="no route"),
    ConnectionClosedError(endpoint_url="https://ec2"),
    SSLError(endpoint_url="https://ec2", error=OSError("not trusted")),
)
FAILURES: list[Answer | Exception] = [
    *(Answer(400, {}, ERROR % code.encode()) for code in CODES),
    *(Answer(status, {}, ERROR % b"Strange") for status in (400, 403, 404, 429, 500, 501, 502, 503, 504)),
    Answer(503, {}, b"<html><body>Service Unavailable</body></html>"),
    Answer(503, {}, b""),
    Answer(404, {}, b"<Response/>"),
    Answer(400, {}, b"no XML at all"),
    Answer(502, {}, b"<Response><Errors><Error><Code>Inter"),
    Answer(200, {}, b""),
    Answer(200, {}, b"<DescribeVpcsResponse><vpcSet><item>"),
    *UNHEARD,
]
_named = pytest.mark.parametrize(
    "failure",
    FAILURES,
    ids=lambda f: type(f).__name__ if isinstance(f, Exception) else f"{f.status} {f.content[:60]!r}",
)


@_named
@pytest.mark.parametrize("times", [1, 3, TRIES], ids=["once", "thrice", "for ever"])
@pytest.mark.usefixtures("pauses")
def test_reading_is_tried_and_fails_as_botocores_client_would(
    failure: Answer | Exception, times: int
) -> None:
    """What is worth another try, how many there are, and what comes of them: a list, or the same error in the same words."""
    steps = [failure] * times + [WELL]
    query, asked = _ours(_one_after_the_other(steps))
    client, others = _theirs(_one_after_the_other(steps))
    ours = _came(lambda: query.read("DescribeVpcs", "Vpcs", {}))
    theirs = _came(lambda: client.describe_vpcs()["Vpcs"])
    assert ours == theirs
    assert asked == others


def test_tries_are_paused_with_jitter_and_longer_each_time(pauses: list[float]) -> None:
    """Two readings that are throttled together do not come back together."""
    query, asked = _ours(lambda _: Answer(503, {}, ERROR % b"RequestLimitExceeded"))
    for _ in range(8):
        with pytest.raises(ClientError, match=r"reached max retries: 3"):
            query.read("DescribeVpcs", "Vpcs", {})
    assert len(asked) == 8 * TRIES
    assert len(set(pauses)) == len(pauses) == 8 * (TRIES - 1)
    assert max(pauses[0::3]) <= 1 < max(pauses[2::3]) <= 4


def test_try_that_would_come_too_late_is_not_made(pauses: list[float]) -> None:
    """Nobody waits any more for what a reading hears after its time: EC2's own code is told at once."""
    query, asked = _ours(lambda _: Answer(503, {}, ERROR % b"RequestLimitExceeded"))
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        query.read("DescribeVpcs", "Vpcs", {}, seconds=0)
    assert (len(asked), pauses) == (1, [])


@pytest.mark.usefixtures("pauses")
def test_an_aws_that_fails_for_long_is_not_asked_four_times_for_ever() -> None:
    """The client's quota of tries is spent, and what is answered gives of it back."""
    down = ERROR % b"Unavailable"
    query, asked = _ours(lambda _: Answer(503, {}, down))
    for _ in range(100):
        with pytest.raises(ClientError):
            query.read("DescribeVpcs", "Vpcs", {})
    assert len(asked) < 100 * TRIES
    query._wire.said = lambda _: WELL  # type: ignore[attr-defined] # a Canned's
    for _ in range(50):
        query.read("DescribeVpcs", "Vpcs", {})
    query._wire.said = lambda _: Answer(503, {}, down)  # type: ignore[attr-defined] # same
    asked.clear()
    with pytest.raises(ClientError):
        query.read("DescribeVpcs", "Vpcs", {})
    assert len(asked) == TRIES
