"""push and confirm as processes beside the deployed worker: what is sent, what the routers say, and what cannot be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.app.operator import WHO, at_work, operator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.app.office import Managed, Office
    from tests.stand_ins.command_line import Mooring
    from tests.stand_ins.functions import Functions

NOBODY = "i-0123456789abcdef0"


@pytest.fixture
def mooring(functions: Functions, tmp_path: Path) -> Mooring:
    """`mooring`, beside the deployed functions."""
    return operator(functions, tmp_path)


def _pushes(managed: Managed) -> int:
    return sum(box.pushes for box in managed.boxes.values())


def test_push_sends_and_waits_for_each_routers_word(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """What will be pushed, that the worker was asked, and what every router has now."""
    managed.declare_anew()
    with at_work(functions):
        ran = mooring("push", "office", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert any(one.startswith("asked the worker: request ") for one in ran.said)
    for instance_id, box in managed.boxes.items():
        assert f"{instance_id} has {(box.digest or '')[:12]}" in ran.said
    assert [line["report"]["woken_by"] for line in functions.log.lines if "report" in line] == [WHO]


def test_push_to_one_router_touches_no_other(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """The other waits for its turn."""
    standby, router = managed.standby, managed.router
    before = managed.boxes[router].pushes
    with at_work(functions):
        ran = mooring("push", "--to", standby, "--yes")
    assert ran.code == 0
    assert managed.boxes[router].pushes == before
    assert [one for one in ran.said if " has " in one] == [
        f"{standby} has {(managed.boxes[standby].digest or '')[:12]}"
    ]


def test_push_that_a_router_refuses_is_told_with_its_reason_and_exits_1(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """The others have it all the same; nobody is told that all is well."""
    router, standby = managed.router, managed.standby
    managed.boxes[router].refuses = "no space left on device"
    managed.declare_anew()
    with at_work(functions):
        ran = mooring("push", "--yes")
    assert ran.code == 1
    assert f"{router} did not take it: refused it: no space left on device" in ran.said
    assert any(one.startswith(f"{standby} has ") for one in ran.said)


def test_push_of_what_a_router_has_that_is_refused_is_told_as_refused(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """To have it already is not to have taken it: an operator who asked is told that it failed."""
    router = managed.router
    managed.boxes[router].refuses = "its secrets cannot be read"
    with at_work(functions):
        ran = mooring("push", "--to", router, "--yes")
    assert ran.code == 1
    assert f"{router} did not take it: refused it: its secrets cannot be read" in ran.said


def test_push_on_condition_is_told_to_be_on_trial_and_is_kept_when_confirmed(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """Which command keeps it is told; confirmed, it is; a second confirmation finds nothing to confirm."""
    router = managed.router
    managed.declare_anew()
    with at_work(functions):
        ran = mooring("push", "office", "--to", router, "--confirm-within", "5m", "--yes")
        digest = (managed.boxes[router].digest or "")[:12]
        assert ran.code == 0
        assert f"{router} has {digest} on trial; it goes back unless: mooring confirm office" in ran.said
        ran = mooring("confirm", "office")
        assert (ran.code, f"{router} has {digest}" in ran.said) == (0, True)
    assert managed.machines()[router]["trial"] is None
    ran = mooring("confirm", "office")
    assert ran.code == 1
    assert "no configuration waits for a confirmation" in ran.out + ran.err


def test_confirmation_in_a_pause_keeps_and_one_that_the_router_could_not_hear_exits_1(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """What goes back unless it is confirmed is not confirmed until the router says so."""
    router = managed.router
    managed.declare_anew()
    with at_work(functions):
        assert mooring("push", "office", "--to", router, "--confirm-within", "5m", "--yes").code == 0
        mooring("pause", "--for", "2h", "--reason", "a fair")
        managed.boxes[router].busy = True
        ran = mooring("confirm", "office")
        digest = (managed.boxes[router].digest or "")[:12]
        assert ran.code == 1
        assert f"{router} has {digest} on trial; it goes back unless: mooring confirm office" in ran.said
        managed.boxes[router].busy = False
        ran = mooring("confirm", "office")
    assert (ran.code, f"{router} has {digest}" in ran.said) == (0, True)
    assert managed.machines()[router]["trial"] is None


def test_push_asks_first_and_a_no_pushes_nothing(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """Shown before it is asked; whoever says no has changed nothing."""
    before = _pushes(managed)
    with mooring.at_terminal("push") as dialogue:
        dialogue.wait_for("Push?")
        assert "because an operator asked for it" in " ".join(dialogue.heard.split())
        dialogue.answer("n\n")
        ran = dialogue.end()
    assert (ran.code, _pushes(managed), functions.waiting()) == (1, before, [])
    assert "nothing was pushed" in ran.out


def test_push_without_a_terminal_or_yes_pushes_nothing(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """Nobody was asked."""
    ran = mooring("push")
    assert (ran.code, functions.waiting()) == (1, [])
    assert "run this again with --yes" in ran.err


def test_push_json_is_one_document_of_what_the_routers_said(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """A program reads what every router has from the look that heard them."""
    managed.declare_anew()
    with at_work(functions):
        ran = mooring("push", "--yes", "--json")
    assert ran.code == 0
    assert {m["instance_id"]: m["said"]["digest"] for m in ran.json["machines"]} == {
        instance_id: box.digest for instance_id, box in managed.boxes.items()
    }
    assert {m["command"] for m in ran.json["machines"]} == {None}


def test_router_that_does_not_answer_in_time_is_told_and_goes_on(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """Time over is no failure of the push: a later look has the answer."""
    router = managed.router
    managed.declare_anew()
    functions.world.command_dwell = None
    with at_work(functions):
        ran = mooring("push", "--to", router, "--yes", "--wait", "3s")
    assert ran.code == 1
    assert f"{router} has not answered yet; `mooring status office` tells later" in ran.said
    while functions.world.settle():
        pass
    assert managed.machines()[router]["said"]["digest"] == managed.boxes[router].digest
    assert managed.boxes[router].pushes == 2


def test_worker_that_does_not_answer_in_time_is_told_with_its_request(
    managed: Managed, mooring: Mooring
) -> None:
    """Nothing was sent yet; the request goes on."""
    before = _pushes(managed)
    ran = mooring("push", "--yes", "--wait", "1s")
    assert (ran.code, _pushes(managed)) == (1, before)
    assert re.search(r"request [0-9a-f-]{36} is still queued after 1 seconds; it goes on", ran.err)


def test_send_that_fails_is_told_and_exits_1(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """AWS's code, and that the router did not take it."""
    router = managed.router
    functions.world.deny("SendCommand")
    with at_work(functions):
        ran = mooring("push", "--to", router, "--yes")
    assert ran.code == 1
    assert any(one.startswith("failed ") and "AccessDenied" in one for one in ran.said)
    assert any(one.startswith(f"{router} did not take it: ssm:SendCommand") for one in ran.said)


def test_paused_topology_is_pushed_nothing(functions: Functions, managed: Managed, mooring: Mooring) -> None:
    """Why, and the way out."""
    mooring("pause", "--for", "2h", "--reason", "a fair")
    before = _pushes(managed)
    ran = mooring("push", "--yes")
    assert (ran.code, _pushes(managed), functions.waiting()) == (1, before, [])
    assert "mooring resume office" in ran.out


def test_nothing_deployed_is_an_error_that_says_who_speaks_to_routers(
    functions: Functions, managed: Managed, mooring: Mooring
) -> None:
    """An operator's process sends no command, whatever rights it has."""
    before = _pushes(managed)
    functions.world.client("sqs").delete_queue(QueueUrl=functions.queue_url)
    ran = mooring("push", "--yes")
    assert (ran.code, _pushes(managed)) == (1, before)
    assert ran.err == (
        "error: no Mooring is deployed here, and only its worker speaks to routers\nhint: make deploy STAGE=...\n"
    )


@pytest.mark.parametrize("verb", ["push", "confirm"])
def test_topology_without_a_tunnel_is_told_what_to_declare(
    functions: Functions, office: Office, mooring: Mooring, verb: str
) -> None:
    """Its machines are not Mooring's: nothing is asked of the worker."""
    ran = mooring(verb, *(["--yes"] if verb == "push" else []))
    assert (ran.code, functions.waiting()) == (1, [])
    assert "office declares no tunnel" in ran.out + ran.err
    assert "declare [tunnel] first" in ran.out + ran.err


@pytest.mark.parametrize("verb", ["push", "confirm"])
def test_instance_that_is_no_candidate_is_told_those_that_are(
    managed: Managed, mooring: Mooring, verb: str
) -> None:
    """The ids to choose from are in the error."""
    ran = mooring(verb, "--to", NOBODY, *(["--yes"] if verb == "push" else []))
    assert ran.code == 1
    assert f"{NOBODY} is no candidate of office" in ran.out + ran.err
    assert all(instance_id in ran.out + ran.err for instance_id in managed.running)
