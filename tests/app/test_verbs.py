"""apply and switchover where Mooring is deployed: they ask the worker, wait for it, and show what it did."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.app.operator import WHO, at_work, operator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.app.office import Office
    from tests.stand_ins.command_line import Mooring
    from tests.stand_ins.functions import Functions

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def mooring(functions: Functions, tmp_path: Path) -> Mooring:
    """`mooring`, beside the deployed functions."""
    return operator(functions, tmp_path)


def _logged(functions: Functions) -> list[str]:
    """What the worker says of its runs."""
    return [line["report"]["woken_by"] for line in functions.log.lines if "report" in line]


def test_apply_asks_the_worker_and_shows_its_report(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """One writer per topology: the worker writes, once, and knows for whom; the verb tells what it proved."""
    office.delete_default_route()
    router = office.running
    with at_work(functions):
        ran = mooring("apply", "--yes")
    assert (ran.code, ran.err, office.complaints()) == (0, "", [])
    assert [word for word in functions.asked() if word == "CreateRoute"] == ["CreateRoute"]
    assert _logged(functions) == [WHO]
    assert any(one.startswith("asked the worker: request ") for one in ran.said)
    assert any(one.startswith("done and seen           + route ") for one in ran.said)
    assert re.fullmatch(r"office: (i-\w+) is the router; 1 of 1 change verified", ran.said[-1])
    assert ran.said[-1].split()[1] in router


def test_apply_json_prints_the_workers_report_and_nothing_else(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """A program reads one document, whoever made the changes."""
    office.delete_default_route()
    with at_work(functions):
        ran = mooring("apply", "--yes", "--json")
    assert (ran.code, ran.json) == (0, office.runs()[0])


def test_apply_of_a_network_that_changed_since_shown_is_refused_by_the_worker(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """What was agreed to goes with the request, so that the worker makes no other plan."""
    office.delete_default_route()
    with mooring.at_terminal("apply") as dialogue:
        dialogue.wait_for("Make this change?")
        office.ec2.delete_route(
            RouteTableId=office.outputs["PrivateRouteTableBId"], DestinationCidrBlock="0.0.0.0/0"
        )
        functions.forget()
        dialogue.answer("y\n")
        with at_work(functions):
            ran = dialogue.end()
    assert (
        ran.code,
        [call.operation for call in functions.calls() if call.write and call.service == "ec2"],
    ) == (
        1,
        [],
    )
    assert "the network changed since the plan was shown" in ran.out


def test_apply_of_the_plan_that_was_shown_is_carried_out(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """Consent is carried to the worker, and is enough."""
    office.delete_default_route()
    with mooring.at_terminal("apply") as dialogue:
        dialogue.wait_for("Make this change?")
        assert "no Mooring is deployed here" not in dialogue.heard
        dialogue.answer("y\n")
        with at_work(functions):
            ran = dialogue.end()
    assert (ran.code, office.complaints()) == (0, [])


def test_worker_that_does_not_answer_is_waited_for_and_then_asked_after(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """Time over is no failure of the request: its id is told, and the verb that asks after it."""
    office.delete_default_route()
    ran = mooring("apply", "--yes", "--wait", "1s")
    assert ran.code == 1
    (asked,) = _ID.findall(ran.out)
    assert ran.err == (
        f"error: request {asked} is still queued after 1 seconds; it goes on\n"
        f"hint: ask after it: mooring request {asked}; stuck? the runbook's Backlog says what to do\n"
    )
    ran = mooring("request", asked)
    assert (ran.code, ran.out) == (2, "office: queued\n")
    assert functions.work() == []
    ran = mooring("request", asked)
    assert (ran.code, office.complaints()) == (0, [])
    assert ran.said[-1].endswith("; 1 of 1 change verified")
    assert mooring("request", asked, "--json").json["report"] == office.runs()[0]


def test_interrupted_wait_says_that_the_request_goes_on(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """Control-C ends the waiting, not the request."""
    office.delete_default_route()
    with mooring.at_terminal("apply", "--yes") as dialogue:
        dialogue.wait_for("asked the worker: request ")
        dialogue.interrupt()
        ran = dialogue.end()
    asked = _ID.findall(ran.out)[0]
    assert ran.code == 130
    assert f"request {asked} goes on; ask after it: mooring request {asked}" in ran.out
    assert functions.work() == []
    assert office.complaints() == []


def test_request_whose_topology_went_away_is_an_error(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """The worker drops it; nobody is told that all is well."""
    office.delete_default_route()
    with mooring.at_terminal("apply") as dialogue:
        dialogue.wait_for("Make this change?")
        functions.world.client("ssm").delete_parameter(Name="/mooring/topologies/office")
        dialogue.answer("y\n")
        with at_work(functions):
            ran = dialogue.end()
    assert ran.code == 1
    assert "office is declared no more" in ran.out
    asked = _ID.findall(ran.out)[0]
    ran = mooring("request", asked)
    assert (ran.code, ran.out) == (1, "office is declared no more; nothing was changed\n")


def test_switchover_asks_the_worker(functions: Functions, office: Office, mooring: Mooring) -> None:
    """The named instance is the router afterwards, proved by the worker."""
    standby = office.standby
    with at_work(functions):
        ran = mooring("switchover", "office", "--to", standby, "--yes", "--json")
    assert (ran.code, ran.json["verdict"], office.router) == (0, "repaired", standby)
    assert _logged(functions) == [WHO]


def test_apply_here_leaves_the_worker_alone(functions: Functions, office: Office, mooring: Mooring) -> None:
    """The way out when the worker is stuck: the journal still lets one run at a time decide."""
    office.delete_default_route()
    ran = mooring("apply", "--yes", "--here")
    assert (ran.code, office.complaints(), functions.waiting()) == (0, [], [])
    assert "GetQueueUrl" not in functions.asked()
    assert "no Mooring is deployed" not in ran.out
    assert office.runs()[0]["woken_by"] == WHO


def test_queue_that_may_not_be_found_changes_nothing(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """Not to know of a worker is not to know that there is none."""
    office.delete_default_route()
    functions.world.deny("GetQueueUrl")
    ran = mooring("apply", "--yes")
    assert (ran.code, "CreateRoute" in functions.asked()) == (1, False)
    assert ran.err.startswith("error: sqs:GetQueueUrl failed: ")
    assert "hint: allow sqs:GetQueueUrl" in ran.err


def test_queue_that_is_named_is_not_looked_for(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """MOORING_QUEUE_URL spares the right to find it."""
    office.delete_default_route()
    with at_work(functions):
        ran = mooring("apply", "--yes", MOORING_QUEUE_URL=functions.queue_url)
    assert (ran.code, "GetQueueUrl" in functions.asked()) == (0, False)


@pytest.mark.parametrize("request_id", ["12", "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"])
def test_unknown_request_is_an_error(functions: Functions, mooring: Mooring, request_id: str) -> None:
    """What nobody asked, or asked long ago, has no answer."""
    ran = mooring("request", request_id)
    assert (ran.code, ran.err) == (
        1,
        f"error: no request {request_id} is known\nhint: answers are kept for a day\n",
    )
