"""A secret that strays into an input is not carried on: no log line, metric or answer holds it."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from chalicelib.core.messages.message import Message
from chalicelib.core.request import Request
from tests.stand_ins.functions import EVENTS, sample
from tests.stand_ins.office import WHERE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.app.office import Office
    from tests.stand_ins.functions import Functions

CANARY = "c4nary-Wj8/AKIAIOSFODNN7EXAMPLE"
HERE = "/topologies/office"


@pytest.fixture
def said(functions: Functions, capsys: pytest.CaptureFixture[str]) -> Iterator[Functions]:
    """The functions; when the test is over, nothing that they said may hold the canary."""
    yield functions
    printed = capsys.readouterr()
    heard = "\n".join([*functions.log.text, printed.out, printed.err])
    assert functions.log.text, "nothing was said at all"
    assert CANARY not in heard


def _places(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*path, key))


def _planted(event: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    planted: Any = copy.deepcopy(event)
    inner = planted
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = CANARY
    return dict(planted)


@pytest.mark.parametrize("name", sorted(path.stem for path in EVENTS.glob("*.json")))
def test_secret_in_an_event_is_not_said(said: Functions, name: str) -> None:
    """In any field of any event, whether it wakes somebody or is ignored."""
    event = sample(name)
    for path in _places(event):
        said.event(_planted(event, path))
    said.event({CANARY: CANARY})
    said.event([CANARY])


def test_secret_in_a_notice_is_not_said(said: Functions, office: Office) -> None:
    """A hook's names go to Auto Scaling and nowhere else."""
    event = sample("asg-terminate-lifecycle", instance_id=office.standby)
    event["detail"] |= {"AutoScalingGroupName": CANARY, "LifecycleHookName": "handover", "Origin": CANARY}
    said.deliver(event)
    assert office.history().notices


@pytest.mark.parametrize(
    "body",
    [
        CANARY,
        json.dumps({"topology": CANARY}),
        json.dumps({CANARY: CANARY}),
        json.dumps({"topology": "office", "woken_by": "tick", "at": CANARY}),
        json.dumps(
            {"topology": "office", "woken_by": "tick", "at": datetime.now(UTC).isoformat(), "to": CANARY}
        ),
    ],
)
def test_secret_in_a_message_is_not_said(said: Functions, body: str) -> None:
    """A poison message is said to be one, by its id."""
    record = {
        "messageId": "poison",
        "receiptHandle": "receipt",
        "body": body,
        "attributes": {"MessageGroupId": "office"},
    }
    assert said.reconcile([record]) == ["poison"]


def test_secret_in_a_fault_is_not_said(said: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an exception quotes may be anything; where it was raised is enough to find it."""

    def read(name: str) -> NoReturn:
        raise KeyError(CANARY, name) from ValueError(CANARY)

    message = Message("office", datetime.now(UTC), Request("tick"))
    record = {
        "messageId": "m",
        "receiptHandle": "r",
        "body": message.dumps(),
        "attributes": {"MessageGroupId": "office"},
    }
    monkeypatch.setattr(said.app.edge.topologies, "document", read)
    assert said.app.worker.handle_batch([record]) == ["m"]


def test_secret_in_a_request_is_not_said(said: Functions, office: Office) -> None:
    """In a body, a name, a query or a header: who sent it may see it again, the log does not."""
    bodies = (CANARY, {CANARY: CANARY}, {"to": CANARY}, {"for": CANARY, "reason": CANARY}, [CANARY])
    for route in ("reconcile", "switchover", "push", "confirm", "pause", "resume"):
        for body in (*bodies, {"confirm_within": CANARY}):
            assert said.call("POST", f"{HERE}/{route}", body).status == 400
        assert said.send("POST", f"{HERE}/{route}", CANARY.encode(), content_type=CANARY).status == 415
        assert said.send("POST", f"{HERE}/{route}", CANARY.encode()).status == 400
    assert said.call("GET", f"{HERE}/history", query={"limit": CANARY}).status == 400
    assert said.call("GET", f"{HERE}/history", query={CANARY: "1"}).status == 400
    assert said.call("GET", f"/topologies/{CANARY}").status == 404
    assert said.call("GET", f"/requests/{CANARY}").status == 404
    said.world.deny("GetParameter")
    assert said.call("GET", HERE).status == 503


def test_reason_of_a_pause_is_kept_where_it_belongs(functions: Functions, office: Office) -> None:
    """An operator's own words: in the journal, in the answer, and in the sentence of a run that they held back."""
    functions.call("POST", f"{HERE}/pause", {"for": "1h", "reason": CANARY})
    assert functions.log.text == []
    functions.tick()
    assert CANARY not in str(functions.log.text)
    assert CANARY in (office.history().pause or NotImplemented).reason
    office.delete_default_route()
    functions.forget()
    functions.tick()
    (line,) = functions.log.lines
    assert CANARY in line["message"]


def test_secret_in_a_declaration_is_not_said(said: Functions, office: Office) -> None:
    """A key or a password in a topology is no field of it, and its flaw is told without the value."""
    ssm = said.world.client("ssm")
    document = ssm.get_parameter(Name=WHERE + "office")["Parameter"]["Value"]
    for broken in (f'psk = "{CANARY}"\n{document}', f"{CANARY}\n{document}"):
        ssm.put_parameter(Name=WHERE + "office", Value=broken, Type="String", Overwrite=True)
        said.tick()
    assert CANARY not in str(said.call("GET", HERE).body)
