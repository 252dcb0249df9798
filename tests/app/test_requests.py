"""A request is answered in the end: by a worker, or by the time after which none will; and no answer contradicts the state."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.controller.operator import UNANSWERED, progress
from chalicelib.core.errors import ObservationError, UnknownTopology
from tests.app.office import declare, minimal
from tests.app.operator import operator
from tests.builders import NOON, topology

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chalicelib.core.network.topology import Topology
    from tests.app.office import Office
    from tests.stand_ins.command_line import Mooring
    from tests.stand_ins.functions import Functions

HERE = "/topologies/office"
AGE = timedelta(minutes=10)
MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def mooring(functions: Functions, tmp_path: Path) -> Mooring:
    """`mooring`, beside the deployed functions."""
    return operator(functions, tmp_path)


def _declared(_: str) -> Topology:
    limits = replace(topology().limits, request_age=AGE)
    return replace(topology(), limits=limits)


def _failing(error: Exception) -> Callable[[str], Topology]:
    def read(_: str) -> Topology:
        raise error

    return read


def _known(state: str, **more: object) -> dict[str, Any]:
    return {
        "request_id": "r",
        "topology": "office",
        "state": state,
        "report": None,
        "at": NOON.isoformat(),
    } | more


# -- what may still be answered ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "over", "finally_"),
    [("queued", AGE + UNANSWERED, "expired"), ("running", UNANSWERED, "lost")],
)
def test_request_that_no_worker_will_answer_is_finally_so(state: str, over: timedelta, finally_: str) -> None:
    """To the moment: until then somebody may be at it; and what it means, and where to look, is said."""
    assert progress(_known(state), NOON + over, _declared) == _known(state, note=None)
    judged = progress(_known(state), NOON + over + MOMENT, _declared)
    assert judged["state"] == finally_
    assert "history of office" in judged["note"]
    assert "since 12:00:00 UTC" in judged["note"]


def test_answered_request_stays_answered() -> None:
    """However old it is."""
    done = _known("done", report={"verdict": "converged"})
    assert progress(done, NOON + timedelta(days=1), _declared) == done | {"note": None}


def test_request_of_a_version_that_noted_no_time_is_left_as_it_is() -> None:
    """Nothing is said that is not known."""
    old = _known("queued")
    del old["at"]
    assert progress(old, NOON + timedelta(days=1), _declared) == old | {"at": None, "note": None}


@pytest.mark.parametrize("error", [UnknownTopology("gone"), ObservationError("unread")])
def test_request_about_what_cannot_be_read_counts_as_long_as_any(error: Exception) -> None:
    """Two minutes, as where nothing else is declared."""
    usual = timedelta(minutes=2) + UNANSWERED
    assert progress(_known("queued"), NOON + usual, _failing(error))["state"] == "queued"
    assert progress(_known("queued"), NOON + usual + MOMENT, _failing(error))["state"] == "expired"


# -- the API and the verb ----------------------------------------------------------------------------


def _asked(functions: Functions, ago: timedelta, state: str = "queued") -> str:
    """Have a request noted as of some time ago; returns its id."""
    request_id = str(uuid.uuid4())
    functions.app.edge.journal.answer(request_id, "office", state)
    dynamodb = functions.world.client("dynamodb")
    key = {"topology": {"S": "#requests"}, "entry": {"S": request_id}}
    item = dynamodb.get_item(TableName="mooring-journal", Key=key)["Item"]
    answer = json.loads(item["answer"]["S"]) | {"at": (datetime.now(UTC) - ago).isoformat()}
    dynamodb.put_item(TableName="mooring-journal", Item=item | {"answer": {"S": json.dumps(answer)}})
    return request_id


@pytest.mark.parametrize(("state", "told"), [("queued", "expired"), ("running", "lost")])
def test_old_request_is_told_by_api_and_verb_as_what_it_is(
    functions: Functions, mooring: Mooring, state: str, told: str
) -> None:
    """Nobody waits for ever: the state is a last one, in words and as an exit status."""
    declare(functions, "office", minimal())
    request_id = _asked(functions, timedelta(minutes=5), state)
    reply = functions.call("GET", f"/requests/{request_id}")
    assert (reply.status, reply.body["state"], reply.body["report"]) == (200, told, None)
    ran = mooring("request", request_id)
    assert (ran.code, ran.out) == (1, f"office: {told}: {reply.body['note']}\n")
    young = _asked(functions, timedelta(seconds=30), state)
    assert functions.call("GET", f"/requests/{young}").body["state"] == state
    assert mooring("request", young).code == 2


def test_request_counts_as_long_as_its_topology_says(functions: Functions) -> None:
    """Declared for an hour, a quarter of one is not too old."""
    declare(functions, "office", minimal() + b'[limits]\nrequest_age = "1h"\n')
    request_id = _asked(functions, timedelta(minutes=15))
    assert functions.call("GET", f"/requests/{request_id}").body["state"] == "queued"


def test_answer_that_comes_after_all_is_told(functions: Functions, office: Office) -> None:
    """A worker that was only late has the last word."""
    request_id = _asked(functions, timedelta(minutes=5), "running")
    assert functions.call("GET", f"/requests/{request_id}").body["state"] == "lost"
    functions.app.edge.journal.answer(request_id, office.name, "done")
    assert functions.call("GET", f"/requests/{request_id}").body["state"] == "done"


# -- what has happened is said -----------------------------------------------------------------------


@pytest.mark.parametrize("refused", ["SendMessageBatch", "PutItem"])
def test_resume_whose_worker_cannot_be_asked_has_ended_the_pause_and_says_so(
    functions: Functions, office: Office, refused: str
) -> None:
    """The queue refuses, or the request cannot be noted: 200 with what is so, since it is not to be asked again."""
    functions.call("POST", f"{HERE}/pause", {"for": "2h", "reason": "lunch"})
    functions.world.deny(refused, when=lambda asked: "revision" not in str(asked))
    reply = functions.call("POST", f"{HERE}/resume")
    assert (reply.status, reply.body["topology"], reply.body["request_id"]) == (200, "office", None)
    assert reply.body["message"].startswith("office is resumed; the next tick looks, since ")
    assert "AccessDenied" in reply.body["message"]
    assert office.history().pause is None


def test_resume_that_could_not_end_the_pause_is_no_success(functions: Functions, office: Office) -> None:
    """It is still in force, and the answer says that the journal could not be written."""
    functions.call("POST", f"{HERE}/pause", {"for": "2h", "reason": "lunch"})
    functions.world.deny("PutItem")
    assert functions.call("POST", f"{HERE}/resume").status == 503
    functions.world.heal()
    assert office.history().pause is not None


def test_resume_whose_reply_was_lost_says_what_it_ended(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """The second try finds no pause, which the first one ended."""
    functions.call("POST", f"{HERE}/pause", {"for": "2h", "reason": "lunch"})
    functions.world.lose("PutItem", times=1)
    ran = mooring("resume", "--json")
    assert (ran.code, ran.json["ended"]["reason"].partition(" ")[0]) == (0, "lunch")
    assert office.history().pause is None


@pytest.mark.parametrize("verb", ["reconcile", "switchover"])
def test_request_that_cannot_be_sent_is_not_left_to_the_tick(
    functions: Functions, office: Office, verb: str
) -> None:
    """503 says that the worker was not asked, to ask again, and by which id to see that it was asked all the same."""
    functions.world.deny("SendMessageBatch")
    body = {"to": office.standby} if verb == "switchover" else None
    reply = functions.call("POST", f"{HERE}/{verb}", body)
    assert (reply.status, reply.body["code"]) == (503, "ApplyError")
    assert reply.body["message"].startswith("the worker could not be asked: sqs:SendMessageBatch failed")
    assert reply.body["hint"].startswith("ask again; ")
    request_id = next(word for word in reply.body["hint"].split() if word.count("-") == 4)
    assert functions.call("GET", f"/requests/{request_id}").body["state"] == "queued"
