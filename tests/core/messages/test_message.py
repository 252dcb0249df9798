"""A message comes back as it was sent, and whatever else is on the queue fails in one way that quotes nothing of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import declaration
from chalicelib.core.fields import NAME
from chalicelib.core.messages.message import Message, loads
from chalicelib.core.network.notice import Hook, Notice, NoticeKind
from chalicelib.core.request import Request
from tests.builders import NOON
from tests.core.anything import JSON

ROUTER = "i-1234567890abcdef0"
TOKEN = "87654321-4321-4321-4321-210987654321"
CANARY = "c4nary/Wj8-AKIAIOSFODNN7EXAMPLE"

LINES = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=40).filter(
    lambda text: not set(text) & set("\n\r\x85\u2028\u2029")
)
MOMENTS = st.datetimes(timezones=st.just(UTC))
HOOKS = st.builds(Hook, LINES, LINES, st.uuids().map(str))
KINDS: tuple[NoticeKind, ...] = ("interruption", "rebalance", "termination", "in-service")
NOTICES = st.builds(Notice, st.just(ROUTER), LINES, MOMENTS, st.none() | HOOKS, kind=st.sampled_from(KINDS))
ROUTERS = st.just(ROUTER)
AGREED = st.none() | st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
WITHIN = st.none() | st.integers(60, 3600)
REQUESTS = st.one_of(
    st.builds(Request, LINES, force=st.booleans(), agreed=AGREED),
    st.builds(Request, LINES, st.just("switchover"), ROUTERS, force=st.booleans(), agreed=AGREED),
    st.builds(
        Request, LINES, st.sampled_from(["push", "confirm"]), st.none() | ROUTERS, confirm_within=WITHIN
    ),
)
MESSAGES = st.builds(
    Message,
    topology=st.from_regex(NAME, fullmatch=True),
    at=MOMENTS,
    request=REQUESTS,
    request_id=st.none() | st.uuids().map(str),
    notice=st.none() | NOTICES,
)


@given(message=MESSAGES)
def test_message_comes_back_as_it_was_sent(message: Message) -> None:
    """What is put on the queue is what the worker reads."""
    assert loads(message.dumps()) == message


def test_message_of_another_version_is_read() -> None:
    """During a deployment both versions read the queue: a field more or less is no poison."""
    body = {"topology": "office", "woken_by": "tick", "at": NOON.isoformat(), "colour": "blue"}
    assert loads(json.dumps(body)) == Message("office", NOON, Request("tick"))


@pytest.mark.parametrize(
    ("hook", "kind"), [(None, "interruption"), (Hook("office-routers", "handover", TOKEN), "termination")]
)
def test_notice_of_a_version_that_had_no_kinds_gets_one(hook: Hook | None, kind: NoticeKind) -> None:
    """Of a notice on its way during a deployment, its hook tells what it was."""
    message = Message(
        "office", NOON, Request("tick"), notice=Notice(ROUTER, "is taken", NOON, hook, "rebalance")
    )
    body = json.loads(message.dumps())
    del body["notice"]["kind"]
    assert loads(json.dumps(body)) == replace(message, notice=Notice(ROUTER, "is taken", NOON, hook, kind))


@pytest.mark.parametrize("kind", ["retirement", "", None, 7, ["rebalance"]])
def test_notice_of_a_kind_that_is_none_is_no_message(kind: object) -> None:
    """What decides who may be the router is not guessed at."""
    body = json.loads(
        Message("office", NOON, Request("tick"), notice=Notice(ROUTER, "is taken", NOON)).dumps()
    )
    body["notice"]["kind"] = kind
    with pytest.raises(ValueError, match="no message of Mooring's"):
        loads(json.dumps(body))


@given(body=st.text(max_size=40) | JSON.map(json.dumps))
def test_any_body_is_a_message_or_a_value_error(body: str) -> None:
    """Whatever is put on the queue fails in one way, so that it ends in the dead letters."""
    with pytest.raises(ValueError, match="no message of Mooring's"):
        loads(body)


@pytest.mark.parametrize("field", ["topology", "at", "to", "request_id", "notice", "agreed", "order", CANARY])
def test_error_of_a_message_quotes_nothing_of_it(field: str) -> None:
    """What is wrong is said by kind: the text of a message may be anything."""
    body = {"topology": "office", "woken_by": "tick", "at": "soon", "notice": None} | {field: CANARY}
    with pytest.raises(ValueError, match="no message of Mooring's") as error:
        loads(json.dumps(body))
    assert CANARY not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


@pytest.mark.parametrize(
    "order",
    [{"kind": "pull"}, {"kind": "push", "to": "i-1; reboot"}, {"kind": "push", "confirm_within": "5m"}, 7],
)
def test_an_order_that_is_none_is_no_message(order: object) -> None:
    """What reaches machines is read as strictly as what reaches the network."""
    body = {"topology": "office", "woken_by": "tick", "at": NOON.isoformat(), "order": order}
    with pytest.raises(ValueError, match="no message of Mooring's"):
        loads(json.dumps(body))


def test_name_is_what_a_declaration_allows() -> None:
    """One rule, written in two places that may not import each other's insides."""
    assert NAME.pattern == declaration._NAME.pattern
