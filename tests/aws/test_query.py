"""EC2's lean calls, beside botocore's own client: the same request, the same signature, the same errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import NoCredentialsError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.aws.ec2.query import USER_AGENT, Ec2Query
from chalicelib.aws.ec2.writes import LEAST, Writes
from chalicelib.aws.errors import AwsError, code_of, message_of, transient
from chalicelib.aws.wire import Answer, Patience, Wire, _Content
from chalicelib.core.network.change import ReplaceRoute
from tests.app import sigv4

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_ec2 import EC2Client

    from chalicelib.aws.errors import Unanswered

KEY = sigv4.Key("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "the-session's-token")
DONE = b'<?xml version="1.0"?>\n<ReplaceRouteResponse><return>true</return></ReplaceRouteResponse>\n'
ROUTE = {"RouteTableId": "rtb-1", "DestinationCidrBlock": "10.0.0.0/8", "NetworkInterfaceId": "eni-1"}


@dataclass(frozen=True)
class Sent:
    """One request, as it would go over the wire."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    patience: Patience | None = None


@dataclass
class Deaf(Wire):
    """A wire that keeps what it is given, and answers as it is told."""

    answer: Answer = field(default_factory=lambda: Answer(200, {}, DONE))
    sent: list[Sent] = field(default_factory=list)

    def send(self, method: str, url: str, headers: Any, body: bytes | None, patience: Patience) -> Answer:  # noqa: ANN401 - as the wire
        """Send nothing."""
        assert (method, bool(body)) == ("POST", True)
        self.sent.append(Sent(url, {k.lower(): str(v) for k, v in headers.items()}, body or b"", patience))
        return self.answer


def _client(region: str = "eu-west-1", endpoint_url: str | None = None, **settings: Any) -> EC2Client:  # noqa: ANN401 - botocore's
    session = botocore.session.Session()
    session.set_credentials(KEY.access_key, KEY.secret, KEY.token)
    own: dict[str, Any] = {"connect_timeout": 2, "read_timeout": 10, "user_agent": USER_AGENT} | settings
    own = {"retries": {"mode": "standard", "total_max_attempts": 1}} | own
    config = Config(**own)
    client: Any = session.create_client("ec2", region, endpoint_url=endpoint_url, config=config)
    return cast("EC2Client", client)


def _query(wire: Wire, client: EC2Client | None = None, credentials: Credentials | None = None) -> Ec2Query:
    own = credentials or Credentials(KEY.access_key, KEY.secret, KEY.token)
    return Ec2Query(client or CLIENT, lambda: own, wire)


def _botocores(client: EC2Client, answer: Answer | None = None) -> list[Sent]:
    """Have a client's requests kept and answered instead of sent."""
    sent: list[Sent] = []

    def before_send(request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore's
        headers = {k.lower(): v.decode() if isinstance(v, bytes) else v for k, v in request.headers.items()}
        body = request.body.encode() if isinstance(request.body, str) else request.body
        sent.append(Sent(request.url, headers, body))
        status, said, content = answer or Answer(200, {}, DONE)
        return AWSResponse(request.url, status, said, _Content(content))

    client.meta.events.register("before-send", before_send)  # type: ignore[arg-type] # answers, as this event asks
    return sent


CLIENT = _client()


@pytest.mark.parametrize(
    ("region", "settings"),
    [
        ("eu-west-1", {}),
        ("us-east-1", {}),
        ("cn-north-1", {}),
        ("us-gov-west-1", {}),
        ("eu-west-1", {"use_dualstack_endpoint": True}),
        ("us-east-1", {"use_fips_endpoint": True}),
        ("eu-west-1", {"endpoint_url": "http://127.0.0.1:5000"}),
        ("eu-west-1", {"endpoint_url": "https://vpce-1.ec2.eu-west-1.vpce.amazonaws.com/"}),
    ],
)
def test_request_is_the_one_that_botocores_client_makes(region: str, settings: dict[str, Any]) -> None:
    """The same place, the same parameters, signed for the same scope, whatever the endpoint."""
    client, wire = _client(region, **settings), Deaf()
    theirs = _botocores(client)
    client.replace_route(**ROUTE)  # type: ignore[arg-type] # by name
    _query(wire, client).write("ReplaceRoute", ROUTE, seconds=60)
    (ours,), (other,) = wire.sent, theirs
    assert ours.url == other.url
    assert sorted(parse_qsl(ours.body.decode())) == sorted(parse_qsl(other.body.decode()))
    assert _scope(ours) == _scope(other)
    for name in ("content-type", "x-amz-security-token"):
        assert ours.headers[name] == other.headers[name], name
    assert other.headers["user-agent"].startswith(ours.headers["user-agent"])


def test_endpoint_that_the_environment_names_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_ENDPOINT_URL_EC2 goes before AWS_ENDPOINT_URL, as for any client."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:2")
    wire = Deaf()
    _query(wire, _client()).write("ReplaceRoute", ROUTE, seconds=60)
    assert wire.sent[0].url == "http://127.0.0.1:2/"


def _scope(sent: Sent) -> str:
    return sent.headers["authorization"].partition("/")[2].partition("Signature")[0]


@given(params=st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=20), max_size=4))
def test_signature_is_one_that_aws_accepts(params: dict[str, str]) -> None:
    """AWS's side of SigV4, written from its description, finds nothing wrong with it, whatever is asked."""
    wire = Deaf()
    _query(wire).write("ReplaceRoute", params, seconds=60)
    (sent,) = wire.sent
    headers = {**sent.headers, "host": "ec2.eu-west-1.amazonaws.com"}
    assert sigv4.refuse(KEY, "eu-west-1", "POST", "/", headers, sent.body, service="ec2") is None
    asked = dict(parse_qsl(sent.body.decode(), keep_blank_values=True))
    assert asked == {"Action": "ReplaceRoute", "Version": "2016-11-15"} | params


def test_credentials_are_those_of_the_moment() -> None:
    """A role's are renewed while the process lives."""
    wire, keys = Deaf(), [Credentials("one", "a"), Credentials("two", "b", "t")]
    query = Ec2Query(CLIENT, lambda: keys.pop(0), wire)
    for _ in range(2):
        query.write("ReplaceRoute", ROUTE, seconds=60)
    assert [_key(sent) for sent in wire.sent] == ["one", "two"]
    assert [sent.headers.get("x-amz-security-token") for sent in wire.sent] == [None, "t"]


def _key(sent: Sent) -> str:
    return sent.headers["authorization"].partition("Credential=")[2].partition("/")[0]


def test_nobody_signed_in_is_botocores_error() -> None:
    """No request is made."""
    wire = Deaf()
    with pytest.raises(NoCredentialsError):
        Ec2Query(CLIENT, lambda: None, wire).write("ReplaceRoute", ROUTE, seconds=60)
    assert wire.sent == []


def test_call_waits_no_longer_than_it_may() -> None:
    """The client's own patience, and what is left of the run's."""
    wire = Deaf()
    for seconds in (60, 3, 1):
        _query(wire).write("ReplaceRoute", ROUTE, seconds=seconds)
    assert [sent.patience for sent in wire.sent] == [(2, 10), (2, 3), (1, 1)]


def test_write_waits_for_what_is_left_of_its_run_and_never_for_less_than_an_answer_takes() -> None:
    """A call that hangs must not outlast its run; one that is begun with the last second is heard all the same."""
    wire = Deaf()
    for seconds in (60, 5, 0.5):
        change = ReplaceRoute("rtb-1", "10.0.0.0/8", "eni-1", "eni-2", "the test wants it")
        assert Writes(_query(wire)).write([change], seconds) == [None]
    reads = [sent.patience.read for sent in wire.sent if sent.patience]
    assert reads == [10, pytest.approx(5, abs=1), LEAST]


_ERROR = (
    b"<Response><Errors><Error><Code>%s</Code><Message>Why &amp; how</Message></Error></Errors>"
    b"<RequestID>r-1</RequestID></Response>"
)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, _ERROR % b"InvalidRoute.NotFound"),
        (403, _ERROR % b"UnauthorizedOperation"),
        (503, _ERROR % b"RequestLimitExceeded"),
        (500, _ERROR % b"InternalError"),
        (503, b"<html><body><b>Http/1.1 Service Unavailable</b></body></html>"),
        (503, b""),
        (404, b"<Response/>"),
    ],
)
def test_refusal_is_read_as_botocores_client_reads_it(status: int, content: bytes) -> None:
    """What is retried, what is a throttled API and what the report says hang on the code; the sentence is AWS's."""
    answer, client = Answer(status, {}, content), _client()
    _botocores(client, answer)
    theirs = _raised(lambda: client.replace_route(**ROUTE))  # type: ignore[arg-type] # by name
    ours = _raised(lambda: _query(Deaf(answer=answer)).write("ReplaceRoute", ROUTE, seconds=60))
    assert (code_of(ours), transient(ours)) == (code_of(theirs), transient(theirs))
    if content.endswith(b"</Response>"):
        assert message_of(ours) == message_of(theirs)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (502, b"<Response><Errors><Error><Code>Inter"),
        (400, b"no XML at all"),
        (200, DONE[:-20]),
        (200, b""),
        (200, b"<html><body>a captive portal</body></html>"),
        (200, DONE.replace(b"ReplaceRoute", b"CreateRoute")),
    ],
)
def test_what_is_no_answer_of_ec2s_is_worth_another_try(status: int, content: bytes) -> None:
    """Nothing was learned: it is neither done nor refused."""
    error = _raised(
        lambda: _query(Deaf(answer=Answer(status, {}, content))).write("ReplaceRoute", ROUTE, seconds=60)
    )
    assert (code_of(error), transient(error)) == ("ConnectionClosedError", True)


def _raised(call: Callable[[], object]) -> Unanswered:
    try:
        call()
    except AwsError as error:
        return error
    pytest.fail("it raised nothing")


@pytest.mark.parametrize("status", [200, 403, 503])
def test_no_secret_is_in_an_error(status: int) -> None:
    """Neither the secret key nor the session's token, in no text that a log could show."""
    with pytest.raises(AwsError) as said:
        _query(Deaf(answer=Answer(status, {}, b"<Response>"))).write("ReplaceRoute", ROUTE, seconds=60)
    error: BaseException | None = said.value
    while error:
        for text in (str(error), repr(error), repr(vars(error))):
            assert KEY.secret not in text
            assert str(KEY.token) not in text
        error = error.__cause__ or error.__context__
