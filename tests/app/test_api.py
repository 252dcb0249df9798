"""The API: reads look for themselves, requests are put on the queue, and mistakes are the caller's to mend."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.core.network.report import Report
from tests.app.office import declare, minimal
from tests.builders import NOON
from tests.stand_ins.api_gateway import OPERATOR

if TYPE_CHECKING:
    from tests.app.office import Office
    from tests.stand_ins.functions import Functions, Reply

HERE = "/topologies/office"
NOBODY = "i-0123456789abcdef0"


def _problem(reply: Reply) -> tuple[int, str]:
    """Return a refusal's status and code; it is always worded, and always says what to do."""
    assert reply.body.keys() == {"code", "message", "hint"}
    assert all(isinstance(value, str) and value for value in reply.body.values()), reply.body
    return reply.status, reply.body["code"]


# -- reading -----------------------------------------------------------------------------------------


def test_declared_topologies_are_listed(functions: Functions) -> None:
    """Their names, sorted; a broken one is declared all the same."""
    for name in ("office", "branch"):
        declare(functions, name, b"name = 3")
    assert functions.call("GET", "/topologies").body == {"topologies": ["branch", "office"]}


def test_topology_is_looked_at_there_and_then(functions: Functions, office: Office) -> None:
    """Verdict, router, drift, advice as of now, the last run that decided, no pause; and nothing is written."""
    office.delete_default_route()
    functions.forget()
    reply = functions.call("GET", HERE)
    assert reply.status == 200
    now = reply.body["now"]
    assert (now["verdict"], len(now["changes"]), now["advice"]) == ("drifting", 1, [])
    assert now["router"]["instance_id"] in office.running
    assert now["woken_by"] == OPERATOR
    assert reply.body["last"]["verdict"] == "repaired"
    assert reply.body["pause"] is None
    assert [call.operation for call in functions.calls() if call.write] == []
    assert functions.waiting() == []


def test_plan_says_what_a_run_would_do(functions: Functions, office: Office) -> None:
    """The changes, each with its reason, none attempted."""
    office.delete_default_route()
    reply = functions.call("GET", f"{HERE}/plan")
    (change,) = reply.body["changes"]
    assert (reply.status, change["result"], change["because"]) == (200, "planned", "it is missing")
    assert len(office.complaints()) == 1


def test_blind_look_is_an_answer(functions: Functions, office: Office) -> None:
    """What cannot be seen is said: it is neither the caller's mistake nor a fault."""
    functions.world.deny("DescribeRouteTables")
    reply = functions.call("GET", HERE)
    assert (reply.status, reply.body["now"]["verdict"]) == (200, "blind")
    assert reply.body["now"]["error"]["aws_code"] == "UnauthorizedOperation"


def test_history_is_given_from_the_newest(functions: Functions, office: Office) -> None:
    """As many runs as asked for, those that decided something."""
    office.delete_default_route()
    functions.tick()
    functions.tick()
    runs = functions.call("GET", f"{HERE}/history").body["runs"]
    assert [len(run["changes"]) for run in runs] == [1, 9]
    (latest,) = functions.call("GET", f"{HERE}/history", query={"limit": "1"}).body["runs"]
    assert latest == runs[0]


def test_history_that_no_answer_could_hold_is_cut(functions: Functions) -> None:
    """Lambda gives back 6 MB: older runs are left out rather than the answer refused."""
    declare(functions, "office", minimal())
    journal = functions.app.edge.journal
    for number in range(3):
        at = NOON + timedelta(minutes=number)
        journal.close("office", Report("office", "blind", "x" * 2_000_000, at, at))
    runs = functions.call("GET", f"{HERE}/history").body["runs"]
    assert [run["started_at"] for run in runs] == [
        (NOON + timedelta(minutes=number)).isoformat() for number in (2, 1)
    ]


# -- asking ------------------------------------------------------------------------------------------


def test_asked_run_is_queued_served_and_reported(functions: Functions, office: Office) -> None:
    """202 with an id; queued until the worker has it; then done, with the report."""
    office.delete_default_route()
    reply = functions.call("POST", f"{HERE}/reconcile")
    assert (reply.status, reply.body["topology"]) == (202, "office")
    asked = f"/requests/{reply.body['request_id']}"
    queued = functions.call("GET", asked).body
    assert datetime.now(UTC) - datetime.fromisoformat(queued.pop("at")) < timedelta(minutes=1)
    assert queued == {
        "request_id": reply.body["request_id"],
        "topology": "office",
        "state": "queued",
        "note": None,
        "report": None,
    }
    assert functions.work() == []
    done = functions.call("GET", asked).body
    assert (done["state"], done["report"]["verdict"]) == ("done", "repaired")
    assert done["report"]["woken_by"] == OPERATOR
    assert office.complaints() == []


def test_request_is_running_while_it_runs(
    functions: Functions, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between queued and done, who asks is told that the worker has it."""
    request_id = functions.call("POST", f"{HERE}/reconcile").body["request_id"]
    seen: list[str] = []
    document = functions.app.edge.topologies.document

    def reading(name: str) -> object:
        seen.append(functions.call("GET", f"/requests/{request_id}").body["state"])
        return document(name)

    monkeypatch.setattr(functions.app.edge.topologies, "document", reading)
    assert functions.app.worker.handle_batch(functions.waiting()) == []
    assert seen == ["running"]


def test_request_about_a_withdrawn_topology_is_done_without_a_report(
    functions: Functions, office: Office
) -> None:
    """Whoever asked before it was withdrawn is not left waiting."""
    request_id = functions.call("POST", f"{HERE}/reconcile").body["request_id"]
    functions.world.client("ssm").delete_parameter(Name="/mooring/topologies/office")
    assert functions.work() == []
    reply = functions.call("GET", f"/requests/{request_id}").body
    assert (reply["state"], reply["report"]) == ("done", None)


def test_request_that_cannot_be_queued_is_said_to_be(functions: Functions, office: Office) -> None:
    """AWS's refusal is no fault of the caller's: 503, with AWS's code, and one line in the log."""
    functions.world.deny("SendMessageBatch")
    functions.forget()
    reply = functions.call("POST", f"{HERE}/reconcile")
    assert _problem(reply) == (503, "ApplyError")
    assert "AccessDenied" in reply.body["message"]
    assert [line["message"] for line in functions.log.lines] == ["a request could not be served"]


def test_switchover_moves_to_the_instance_named(functions: Functions, office: Office) -> None:
    """The worker does it, and the report names who asked."""
    old, new = office.router, office.standby
    reply = functions.call("POST", f"{HERE}/switchover", {"to": new})
    assert reply.status == 202
    assert office.router == old
    functions.work()
    assert (office.router, office.complaints()) == (new, [])
    assert office.runs()[0]["router"]["previous"] == old


@pytest.mark.parametrize("to", [NOBODY, "the router's own candidate, which is stopped"])
def test_switchover_to_an_ineligible_instance_is_refused(
    functions: Functions, office: Office, to: str
) -> None:
    """409 says why; nothing is queued."""
    if to != NOBODY:
        to = office.standby
        office.ec2.stop_instances(InstanceIds=[to])
    reply = functions.call("POST", f"{HERE}/switchover", {"to": to})
    assert _problem(reply) == (409, "NoEligibleRouter")
    assert to in reply.body["message"]
    assert functions.waiting() == []


def test_switchovers_of_an_operator_are_never_held_down(functions: Functions, office: Office) -> None:
    """The hold-down counts what Mooring does by itself: a rehearsal of the failover is repeated as often as it is asked for."""
    for _ in range(6):
        standby = office.standby
        assert functions.call("POST", f"{HERE}/switchover", {"to": standby}).status == 202
        functions.work()
        assert office.router == standby


# -- pausing -----------------------------------------------------------------------------------------


def test_pause_holds_every_change_until_resumed(functions: Functions, office: Office) -> None:
    """The pause says who asked; meanwhile Mooring looks, a switchover is refused, and resuming looks at once."""
    reply = functions.call("POST", f"{HERE}/pause", {"for": "2h", "reason": "replacing the firewall"})
    assert (reply.status, reply.body["topology"]) == (200, "office")
    assert reply.body["pause"]["reason"] == f"replacing the firewall ({OPERATOR})"
    office.delete_default_route()
    functions.tick()
    assert len(office.complaints()) == 1
    shown = functions.call("GET", HERE).body
    assert (shown["now"]["verdict"], shown["pause"]) == ("paused", reply.body["pause"])
    refused = functions.call("POST", f"{HERE}/switchover", {"to": office.running[0]})
    assert _problem(refused) == (409, "Paused")
    assert functions.call("POST", f"{HERE}/resume").status == 202
    functions.work()
    assert office.complaints() == []
    assert functions.call("GET", HERE).body["pause"] is None


def test_pause_ends_by_itself(functions: Functions, office: Office) -> None:
    """A second later nothing holds Mooring back, though nobody resumed."""
    functions.call("POST", f"{HERE}/pause", {"for": "1s", "reason": "a moment"})
    office.delete_default_route()
    time.sleep(1.1)
    functions.tick()
    assert office.complaints() == []


def test_declared_pause_is_not_resumed_here(functions: Functions) -> None:
    """What is declared only its declaration changes."""
    declare(functions, "office", minimal(paused=True))
    reply = functions.call("POST", f"{HERE}/resume")
    assert _problem(reply) == (409, "Paused")
    assert functions.waiting() == []


# -- mistakes ----------------------------------------------------------------------------------------

ROUTES = [
    ("GET", HERE),
    ("GET", f"{HERE}/plan"),
    ("POST", f"{HERE}/reconcile"),
    ("POST", f"{HERE}/switchover"),
    ("POST", f"{HERE}/push"),
    ("POST", f"{HERE}/confirm"),
    ("POST", f"{HERE}/pause"),
    ("POST", f"{HERE}/resume"),
    ("GET", f"{HERE}/history"),
]
GOOD: dict[str, Any] = {
    "switchover": {"to": NOBODY},
    "push": {"to": NOBODY, "confirm_within": "5m"},
    "confirm": {"to": NOBODY},
    "pause": {"for": "2h", "reason": "a test"},
}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_unknown_topology_is_not_found(functions: Functions, method: str, path: str) -> None:
    """404 on every route; a name that cannot be declared is not even looked for."""
    body = GOOD.get(path.rpartition("/")[2])
    reply = functions.call(method, path, body)
    assert _problem(reply) == (404, "UnknownTopology")
    functions.forget()
    for name in ("Office", "office:1", "office%2F", "x" * 41, "öffice", "."):
        reply = functions.call(method, path.replace("office", name), body)
        assert _problem(reply) == (404, "UnknownTopology"), name
    assert functions.asked() == []


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_broken_declaration_is_a_conflict(functions: Functions, method: str, path: str) -> None:
    """Somebody declared it past `mooring declare`: 409 names the flaws."""
    declare(functions, "office", b'name = "office"')
    reply = functions.call(method, path, GOOD.get(path.rpartition("/")[2]))
    assert _problem(reply) == (409, "TopologyError")


@pytest.mark.parametrize("path", ["/requests/nothing", f"/requests/{uuid.UUID(int=1)}", "/requests/%00"])
def test_unknown_request_is_not_found(functions: Functions, path: str) -> None:
    """Whatever the id looks like."""
    assert _problem(functions.call("GET", path)) == (404, "UnknownRequest")


BAD: list[tuple[str, bytes]] = [
    *((route, body) for route in ("reconcile", "switchover", "push", "confirm", "pause", "resume") for body in (
        b"{", b"nonsense", b"[]", b"null", b"3", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"unknown": 1}', b"1" * 5000,
    )),
    ("reconcile", b'{"force": 1}'),
    ("reconcile", b'{"force": "true"}'),
    ("reconcile", b'{"force": null}'),
    ("switchover", b""),
    ("switchover", b"{}"),
    ("switchover", b'{"to": null}'),
    ("switchover", b'{"to": 3}'),
    ("switchover", b'{"to": ["i-0123456789abcdef0"]}'),
    ("switchover", b'{"to": "router"}'),
    ("switchover", b'{"to": "i-0123456789ABCDEF0"}'),
    ("switchover", b'{"to": "i-0123456789abcdef0\\n"}'),
    ("switchover", b'{"to": "i-0123456789abcdef0", "force": 0}'),
    *((route, b'{"to": %b}' % to) for route in ("push", "confirm") for to in (
        b"null", b"3", b'""', b'"router"', b'["i-0123456789abcdef0"]', b'"i-0123456789ABCDEF0"',
    )),
    ("push", b'{"to": "i-0123456789abcdef0", "force": true}'),
    ("confirm", b'{"confirm_within": "5m"}'),
    *(("push", b'{"confirm_within": %b}' % length) for length in (
        b"null", b"300", b'""', b'"5"', b'"59s"', b'"3601s"', b'"61m"', b'"2h"', b'"1d"', b'"5m "', b'["5m"]',
    )),
    ("pause", b""),
    ("pause", b'{"for": "2h"}'),
    ("pause", b'{"reason": "x"}'),
    *(("pause", b'{"reason": "x", "for": %b}' % length) for length in (
        b"null", b"2", b'""', b'"2"', b'"0h"', b'"02h"', b'"-2h"', b'"2w"', b'"2h "', b'"31d"', b'"721h"',
        b'"9999999s"', b'"\xd9\xa2h"', b'"forever"',
    )),
    *(("pause", b'{"for": "2h", "reason": %b}' % reason) for reason in (
        b"null", b"3", b'""', b'"  "', b'"a\\nb"', b'"\\u001b[2J"', b'"\\u202egnp"', b'"\\ud800"',
        b'"' + b"x" * 201 + b'"',
    )),
]  # fmt: skip


@pytest.mark.parametrize(("route", "body"), BAD, ids=lambda value: str(value)[:40])
def test_bad_body_is_a_bad_request(functions: Functions, route: str, body: bytes) -> None:
    """400 says which field is wrong and what it must be, before anything is asked of AWS."""
    assert _problem(functions.send("POST", f"{HERE}/{route}", body)) == (400, "BadRequest")
    assert functions.asked() == []


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.5", "", "ten", "²", "1e1", "9" * 5000])
def test_bad_limit_is_a_bad_request(functions: Functions, limit: str) -> None:
    """A whole number from 1 to 100, in ASCII."""
    reply = functions.call("GET", f"{HERE}/history", query={"limit": limit})
    assert _problem(reply) == (400, "BadRequest")


def test_body_that_is_not_json_is_unsupported(functions: Functions) -> None:
    """Chalice's own refusal is worded as all others are."""
    reply = functions.send("POST", f"{HERE}/reconcile", b"force=1", content_type="text/plain")
    assert _problem(reply) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("DELETE", HERE, (405, "MethodNotAllowedError")),
        ("GET", f"{HERE}/reconcile", (405, "MethodNotAllowedError")),
        ("GET", "/nowhere", (404, "UnknownRoute")),
        ("POST", "/topologies/office/terminate", (404, "UnknownRoute")),
        ("GET", "/", (404, "UnknownRoute")),
    ],
)
def test_unknown_route_is_worded_as_all_other_refusals(
    functions: Functions, method: str, path: str, expected: tuple[int, str]
) -> None:
    """API Gateway lets none of these through; a REST API that is set up otherwise still finds a plain answer."""
    assert _problem(functions.call(method, path)) == expected


def test_request_without_an_identity_is_not_served(functions: Functions) -> None:
    """Were IAM ever taken off a method, it would still answer nobody."""
    assert {_problem(functions.call(method, path, by=None)) for method, path in ROUTES} == {(403, "Unsigned")}
    assert functions.asked() == []


def test_fault_of_our_own_is_worded_and_says_no_more(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 says that it is our fault; where is in the log, and what it said is nowhere."""

    class Faulty:
        @property
        def topologies(self) -> object:
            raise RuntimeError("a s3cr3t")

    monkeypatch.setattr(functions.app, "edge", Faulty())
    reply = functions.call("GET", "/topologies")
    assert _problem(reply) == (500, "InternalError")
    (line,) = functions.log.lines
    assert (line["level"], line["error"]) == ("ERROR", "RuntimeError")
    assert "s3cr3t" not in str(reply.body) + str(functions.log.text)
