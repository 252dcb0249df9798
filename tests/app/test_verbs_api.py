"""`mooring api` as a process, over a socket that checks every signature, in front of the app itself."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.aws.execute_api import SignedApi, check, region_of
from chalicelib.core.errors import ControllerError
from tests.app.front_door import KEY, FrontDoor, open_front_door
from tests.app.sigv4 import Key
from tests.stand_ins.api_gateway import OPERATOR, REGION
from tests.stand_ins.command_line import NOWHERE, Mooring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.app.office import Office
    from tests.stand_ins.functions import Functions

OFFICE = "/topologies/office"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY.access_key, "AWS_SECRET_ACCESS_KEY": KEY.secret}


@pytest.fixture
def door(functions: Functions) -> Iterator[FrontDoor]:
    """The API, on a socket."""
    with open_front_door(functions.app) as opened:
        yield opened


@pytest.fixture
def mooring(door: FrontDoor, tmp_path: Path) -> Mooring:
    """`mooring` for somebody who can reach nothing of AWS but the API."""
    return Mooring(NOWHERE | CREDENTIALS | {"MOORING_API_URL": door.url}, tmp_path, apart=True)


def test_topologies_are_listed(office: Office, mooring: Mooring) -> None:
    """A signed request is let in, and an answer is told in words or as it came."""
    assert (mooring("api", "get", "/topologies").out) == f"{office.name}\n"
    assert mooring("api", "GET", "/topologies", "--json").json == {"topologies": ["office"]}


def test_network_is_looked_at_repaired_and_told_of_without_any_other_right(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """Status, plan, a run, its answer and the story, as the other verbs show them."""
    table_id = office.outputs["PrivateRouteTableAId"]
    office.delete_default_route()
    assert mooring("api", "get", OFFICE).said[0] == "office: drifting"
    assert any(f"+ route {table_id} 0.0.0.0/0" in one for one in mooring("api", "get", f"{OFFICE}/plan").said)
    asked = mooring("api", "post", f"{OFFICE}/reconcile", "--body", '{"force": false}')
    assert asked.out.startswith("office: asked the worker: mooring api get /requests/")
    answer = asked.out.split()[-1]
    assert mooring("api", "get", answer).out == "office: queued\n"
    assert functions.work() == []
    assert mooring("api", "get", answer).said[-1].endswith("1 of 1 change verified")
    assert office.complaints() == []
    story = mooring("api", "get", f"{OFFICE}/history?limit=1").said
    assert story[0].endswith(f" UTC  {OPERATOR}")


def test_pause_and_resume_are_told_as_the_verbs_tell_them(office: Office, mooring: Mooring) -> None:
    """The caller signs, and so is the one who paused."""
    body = json.dumps({"for": "2h", "reason": "ünïcode, too"})
    ran = mooring("api", "post", f"{OFFICE}/pause", "--body", body)
    assert ran.code == 0
    assert ran.out.startswith("office is paused until 20")
    assert ran.out.endswith(f": ünïcode, too ({OPERATOR})\n")
    assert any(one.startswith("paused   until 20") for one in mooring("api", "get", OFFICE).said)
    assert mooring("api", "post", f"{OFFICE}/resume").code == 0
    assert office.history().pause is None


def test_token_of_a_session_is_sent_and_signed(door: FrontDoor, office: Office, mooring: Mooring) -> None:
    """Temporary credentials work, and without their token they do not."""
    door.key = Key(KEY.access_key, KEY.secret, "a/token+of=one session".replace(" ", ""))
    assert mooring("api", "get", "/topologies", AWS_SESSION_TOKEN=str(door.key.token)).code == 0
    ran = mooring("api", "get", "/topologies")
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "error: 403: The security token included in the request is invalid.",
        "hint: sign in again, or name a profile with --profile or AWS_PROFILE",
    ]


def test_wrong_secret_is_refused_and_not_told(mooring: Mooring) -> None:
    """API Gateway's words, what to check, and nothing of the credentials."""
    ran = mooring("api", "get", "/topologies", AWS_SECRET_ACCESS_KEY="not-it")
    assert ran.code == 1
    assert ran.err.startswith("error: 403: The request signature we calculated does not match")
    assert "hint: check this machine's clock" in ran.err
    assert "not-it" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("get", "/topologies/elsewhere"), ("404 UnknownTopology: ", "GET /topologies lists")),
        (("get", "/nothing"), ("404 UnknownRoute: ", "docs/openapi.yaml")),
        (("post", f"{OFFICE}/switchover", "--body", "{}"), ("400 BadRequest: to is missing", "send to")),
        (
            ("post", f"{OFFICE}/switchover", "--body", '{"to": "i-0123456789abcdef0"}'),
            ("409 NoEligibleRouter: ", "eligible now: "),
        ),
    ],
)
def test_refusal_is_told_with_its_code_and_hint(
    office: Office, mooring: Mooring, arguments: tuple[str, ...], words: tuple[str, str]
) -> None:
    """What the API says is what is told; as JSON, the very body."""
    ran = mooring("api", *arguments)
    assert (ran.code, ran.out) == (1, "")
    error, hint = ran.err.splitlines()
    assert error.startswith(f"error: {words[0]}")
    assert words[1] in hint
    ran = mooring("api", *arguments, "--json")
    assert (ran.code, ran.err, set(ran.json)) == (1, "", {"code", "message", "hint"})


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            403,
            b'{"Message": "User: anna is not authorized to perform: execute-api:Invoke on resource: arn:x"}',
            ("403: User: anna is not authorized", "allow execute-api:Invoke"),
        ),
        (403, b'{"message": "Missing Authentication Token"}', ("403: Missing", "no such path")),
        (429, b'{"message": "Too Many Requests"}', ("429: Too Many Requests", "ask again in a second")),
        (502, b'{"message": "Internal server error"}', ("502: Internal server error", "try again")),
        (504, b'{"message": "Endpoint request timed out"}', ("504: Endpoint request timed out", "try again")),
        (500, b"{}", ("500: no reason given", "try again")),
        (200, b"<html>hello</html>", ("GET /topologies got status 200 and 18 bytes", "EndpointURL")),
        (302, b"", ("GET /topologies got status 302 and 0 bytes", "EndpointURL")),
    ],
)
def test_whatever_stands_before_the_api_answers_is_told(
    door: FrontDoor, mooring: Mooring, status: int, body: bytes, words: tuple[str, str]
) -> None:
    """API Gateway's own refusals, its time-outs, and what is no API at all."""
    door.instead = (status, body, {"Location": f"{door.url}elsewhere"})
    ran = mooring("api", "get", "/topologies")
    assert ran.code == 1
    error, hint = ran.err.splitlines()
    assert error.startswith(f"error: {words[0]}")
    assert words[1] in hint
    assert len(door.came) == 1


def test_signed_request_follows_no_redirection(door: FrontDoor, mooring: Mooring) -> None:
    """Wherever an answer points, the signature is not carried there."""
    door.instead = (307, b"{}", {"Location": f"{door.url}topologies"})
    assert mooring("api", "get", "/topologies").code == 1
    assert [path for _, path, _ in door.came] == ["/v1/topologies"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "no API is named"),
        ("api.example.com", "the API's URL is no URL"),
        ("https://", "no URL"),
        ("https://[::1", "no URL"),
        ("ftp://api.example.com", "no URL"),
        ("https://user:secret@api.example.com", "no URL"),
        ("https://api.example.com/?stage=v1", "no URL"),
        ("https://api.example.com/ v1", "no URL"),
        ("http://api.example.com/v1", "nothing was sent to api.example.com"),
        ("http://169.254.169.254/v1", "nothing was sent to 169.254.169.254"),
        ("http://127.0.0.1.example.com/v1", "nothing was sent to 127.0.0.1.example.com"),
    ],
)
def test_url_that_is_not_fit_is_refused_before_anything_is_sent(
    mooring: Mooring, url: str, words: str
) -> None:
    """A signed request goes over TLS, or to this machine; an odd URL is never guessed at."""
    ran = mooring("api", "get", "/topologies", MOORING_API_URL=url)
    assert ran.code == 1
    assert words in ran.err
    assert "hint: " in ran.err
    assert "secret" not in ran.err


def test_plain_http_goes_through_no_proxy(door: FrontDoor, mooring: Mooring) -> None:
    """A proxy would see in plain text what is for this machine alone."""
    ran = mooring("api", "get", "/topologies", HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="")
    assert (ran.code, len(door.came)) == (0, 1)


def test_nobody_listening_is_told(mooring: Mooring) -> None:
    """A closed port is an error with the URL, for a post with what may have become of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    ran = mooring("api", "post", f"{OFFICE}/reconcile", "--url", url)
    assert ran.code == 1
    assert ran.err.startswith(f"error: POST {url}{OFFICE}/reconcile got no answer: ")
    assert "may be done all the same" in ran.err


def test_api_that_does_not_answer_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time over is an error, and a post is never sent twice."""
    monkeypatch.setattr("chalicelib.aws.execute_api.READ", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = SignedApi(f"http://127.0.0.1:{silent.getsockname()[1]}", REGION, _credentials())
        with pytest.raises(ControllerError, match=r"did not answer POST within 0\.2 seconds") as error:
            api.call("POST", "/x", b"{}")
    assert "may be done all the same" in error.value.hint


def test_no_credentials_are_told(door: FrontDoor, mooring: Mooring) -> None:
    """Nobody signed in: nothing is sent."""
    ran = mooring("api", "get", "/topologies", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert (ran.code, door.came) == (1, [])
    assert ran.err.startswith("error: no AWS credentials were found\nhint: sign in")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("delete", "/topologies"), "DELETE is no method of the API"),
        (("get", "topologies"), "topologies is no path of the API"),
        (("get", "/a b"), "/a b is no path"),
        (("get", "/a;b"), "/a;b is no path"),
        (("get", "/topologies", "--body", "{}"), "a get takes no --body"),
        (("post", OFFICE, "--body", "{"), "--body is not JSON"),
        (("post", OFFICE, "--body", "3"), "--body is no JSON object"),
        (("get",), "PATH"),
    ],
)
def test_mistake_on_the_command_line_sends_nothing(
    door: FrontDoor, mooring: Mooring, arguments: tuple[str, ...], words: str
) -> None:
    """What was wrong, and what would be right."""
    ran = mooring("api", *arguments, "--json")
    assert (ran.code, ran.json["error"]["code"], door.came) == (1, "UsageError", [])
    assert words in ran.json["error"]["message"]


def test_region_is_the_urls_where_it_names_one() -> None:
    """The operator's region may be another; that of a domain of one's own cannot be read from it."""
    assert region_of("https://a1b2c3.execute-api.eu-central-1.amazonaws.com/v1/") == "eu-central-1"
    assert region_of("https://a1-vpce-0f.execute-api.us-east-1.amazonaws.com/v1") == "us-east-1"
    assert region_of("https://a1.execute-api.cn-north-1.amazonaws.com.cn/v1") == "cn-north-1"
    assert region_of("https://mooring.example.com/v1") is None
    assert region_of("https://a1.execute-api.eu-west-1.amazonaws.com.example.com/") is None
    assert check("https://mooring.example.com/v1/") == "https://mooring.example.com/v1"


def test_signature_of_any_path_and_query_is_the_one_that_aws_makes(door: FrontDoor) -> None:
    """Escapes are signed as they are sent: judged by a verifier that shares no code with the signer."""
    api = SignedApi(door.url, REGION, _credentials())
    characters = st.sampled_from([*"abz09-._~!$'()*+,:@", "%20", "%2F", "%C3%BC", "%25"])
    words = st.lists(characters, min_size=1, max_size=6).map("".join).filter(lambda word: set(word) != {"."})

    @settings(max_examples=60, deadline=None)
    @given(st.lists(words, min_size=1, max_size=3), st.lists(st.tuples(words, words), max_size=3))
    def ask(path: list[str], query: list[tuple[str, str]]) -> None:
        asked = "/" + "/".join(path) + ("?" + "&".join(f"{k}={v}" for k, v in query) if query else "")
        assert api.call("GET", asked).status != 403, asked

    ask()


def _credentials() -> ReadOnlyCredentials:
    return ReadOnlyCredentials(KEY.access_key, KEY.secret, None)
