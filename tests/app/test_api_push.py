"""push and confirm by the API: the worker is asked, routers get what is declared, and what cannot be is a conflict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.stand_ins.api_gateway import OPERATOR

if TYPE_CHECKING:
    from tests.app.office import Managed, Office
    from tests.stand_ins.functions import Functions, Reply

HERE = "/topologies/office"
NOBODY = "i-0123456789abcdef0"


def _refused(reply: Reply) -> tuple[int, str]:
    assert reply.body["hint"]
    return reply.status, reply.body["code"]


def test_push_reaches_every_router_and_its_answer_is_told(functions: Functions, managed: Managed) -> None:
    """202 and an id; the worker sends; the report says sent; a later look says what each router has."""
    before = {i: box.digest for i, box in managed.boxes.items()}
    managed.declare_anew()
    reply = functions.call("POST", f"{HERE}/push")
    assert (reply.status, reply.body["topology"]) == (202, "office")
    assert {i: box.digest for i, box in managed.boxes.items()} == before
    assert functions.work() == []
    report = functions.call("GET", f"/requests/{reply.body['request_id']}").body["report"]
    assert (report["verdict"], report["woken_by"]) == ("pending", OPERATOR)
    assert {(c["result"], c["because"]) for c in report["changes"]} == {("sent", "an operator asked for it")}
    assert {m["instance_id"]: m["command"]["kind"] for m in report["machines"]} == dict.fromkeys(
        managed.boxes, "push"
    )
    has = {i: box.digest for i, box in managed.boxes.items()}
    assert all(has[i] not in (None, before[i]) for i in before)
    assert {i: m["said"]["digest"] for i, m in managed.machines().items()} == has


def test_push_to_one_router_leaves_the_others(functions: Functions, managed: Managed) -> None:
    """Also when it has what is declared: an operator asked for it."""
    router, standby = managed.router, managed.standby
    pushes = {i: box.pushes for i, box in managed.boxes.items()}
    assert functions.call("POST", f"{HERE}/push", {"to": standby}).status == 202
    assert functions.work() == []
    assert managed.boxes[standby].pushes == pushes[standby] + 1
    assert managed.boxes[router].pushes == pushes[router]


def test_push_on_condition_waits_for_the_confirmation(functions: Functions, managed: Managed) -> None:
    """On trial until confirmed; confirmed, nothing goes back, and the next tick is quiet."""
    router = managed.router
    managed.declare_anew()
    assert functions.call("POST", f"{HERE}/push", {"to": router, "confirm_within": "5m"}).status == 202
    assert functions.work() == []
    machine = managed.machines()[router]
    assert machine["trial"]["digest"] == machine["said"]["digest"] == managed.boxes[router].digest
    functions.tick()
    assert managed.machines()[router]["trial"] is not None, "a tick has confirmed what only an operator may"
    assert functions.call("POST", f"{HERE}/confirm").status == 202
    assert functions.work() == []
    assert managed.machines()[router]["trial"] is None
    functions.tick()
    functions.tick()
    pushes = managed.boxes[router].pushes
    functions.tick()
    assert managed.boxes[router].pushes == pushes
    assert functions.log.lines[-1]["report"]["verdict"] == "converged"


def test_router_that_refuses_is_told_with_its_reason(functions: Functions, managed: Managed) -> None:
    """What it said stands in the look, with when it is tried again; the routes stay."""
    router = managed.router
    managed.boxes[router].refuses = "no space left on device"
    managed.declare_anew()
    functions.call("POST", f"{HERE}/push", {"to": router})
    assert functions.work() == []
    setback = managed.machines()[router]["setback"]
    assert (setback["reason"], setback["tries"]) == ("refused it: no space left on device", 1)
    assert setback["again_at"]
    assert (managed.router, managed.complaints()) == (router, [])


@pytest.mark.parametrize("route", ["push", "confirm"])
def test_topology_without_a_tunnel_is_a_conflict(functions: Functions, office: Office, route: str) -> None:
    """Its machines are not Mooring's: 409 says what to declare, and nothing is queued or sent."""
    reply = functions.call("POST", f"{HERE}/{route}")
    assert _refused(reply) == (409, "UnsafePlan")
    assert "office declares no tunnel" in reply.body["message"]
    assert "[tunnel]" in reply.body["hint"]
    assert functions.waiting() == []
    assert "SendCommand" not in functions.asked()


CONFLICTS: list[tuple[str, dict[str, Any], str]] = [
    ("push", {"to": NOBODY}, f"{NOBODY} is no candidate of office"),
    ("confirm", {"to": NOBODY}, f"{NOBODY} is no candidate of office"),
    ("confirm", {}, "no configuration waits for a confirmation"),
]


@pytest.mark.parametrize(("route", "body", "words"), CONFLICTS)
def test_what_cannot_be_is_a_conflict(
    functions: Functions, managed: Managed, route: str, body: dict[str, Any], words: str
) -> None:
    """409 says why and what to do; nothing is queued."""
    reply = functions.call("POST", f"{HERE}/{route}", body)
    assert _refused(reply) == (409, "UnsafePlan")
    assert words in reply.body["message"]
    assert functions.waiting() == []


def test_confirmation_of_another_router_is_a_conflict(functions: Functions, managed: Managed) -> None:
    """The one that is named has nothing on trial, whatever the other has."""
    router, standby = managed.router, managed.standby
    managed.declare_anew()
    functions.call("POST", f"{HERE}/push", {"to": router, "confirm_within": "5m"})
    assert functions.work() == []
    assert functions.call("POST", f"{HERE}/confirm", {"to": standby}).status == 409
    assert functions.call("POST", f"{HERE}/confirm", {"to": router}).status == 202


def test_paused_topology_is_pushed_nothing(functions: Functions, managed: Managed) -> None:
    """409 while it is paused: the way out is to resume."""
    functions.call("POST", f"{HERE}/pause", {"for": "2h", "reason": "a fair"})
    managed.declare_anew()
    assert _refused(functions.call("POST", f"{HERE}/push")) == (409, "Paused")
    pushes = sum(box.pushes for box in managed.boxes.values())
    functions.tick()
    assert sum(box.pushes for box in managed.boxes.values()) == pushes


def test_confirmation_is_sent_in_a_pause_too(functions: Functions, managed: Managed) -> None:
    """It changes nothing; without it, what was pushed on condition would be lost while everybody looks elsewhere."""
    router = managed.router
    managed.declare_anew()
    functions.call("POST", f"{HERE}/push", {"to": router, "confirm_within": "5m"})
    assert functions.work() == []
    functions.call("POST", f"{HERE}/pause", {"for": "2h", "reason": "a fair"})
    assert functions.call("POST", f"{HERE}/confirm").status == 202
    assert functions.work() == []
    assert managed.machines()[router]["trial"] is None


def test_only_the_worker_speaks_to_routers(functions: Functions, managed: Managed) -> None:
    """The API looks, hears and asks; it sends no command and stores no configuration."""
    managed.declare_anew()
    functions.forget()
    functions.call("GET", HERE)
    functions.call("POST", f"{HERE}/push")
    assert {"SendCommand", "PutParameter"} & set(functions.asked()) == set()
