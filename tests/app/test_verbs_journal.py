"""history, pause and resume as processes: what is remembered is told, and holds the worker back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.app.office import declare, minimal
from tests.app.operator import WHO, operator
from tests.stand_ins.functions import sample

if TYPE_CHECKING:
    from pathlib import Path

    from tests.app.office import Office
    from tests.stand_ins.command_line import Mooring
    from tests.stand_ins.functions import Functions

_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"


@pytest.fixture
def mooring(functions: Functions, tmp_path: Path) -> Mooring:
    """`mooring`, beside the deployed functions."""
    return operator(functions, tmp_path)


def test_history_reads_like_a_story(functions: Functions, office: Office, mooring: Mooring) -> None:
    """The latest last: when, woken by what, what became of it, every change with its reason."""
    first, second = office.router, office.standby
    functions.world.client("ec2").terminate_instances(InstanceIds=[first])
    functions.world.settle()
    functions.deliver(sample("ec2-state-change", instance_id=first, state="terminated"))
    assert office.router == second
    ran = mooring("history", "office")
    assert ran.code == 0
    began, then = (place for place, one in enumerate(ran.said) if re.match(_TIME, one))
    assert re.fullmatch(f"{_TIME}  tick", ran.said[began])
    assert re.fullmatch(f"{_TIME}  {first} is terminated", ran.said[then])
    because = f"because {first} is terminated"
    assert ran.said[then + 1].startswith(f"  office: router moved from {first} to {second} {because}; ")
    changes = ran.said[then + 2 :]
    assert all(re.match("    done and seen           [~+] .*   because ", one) for one in changes), changes
    assert sum(one.endswith(because) for one in changes) > 5
    assert len(changes) == len(office.runs()[0]["changes"])


def test_history_limited_tells_the_latest_runs(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """JSON is what the API gives, the newest first; nothing but the limit is left out."""
    office.delete_default_route()
    functions.tick()
    ran = mooring("history", "--limit", "1", "--json")
    assert ran.json == functions.call("GET", "/topologies/office/history", query={"limit": "1"}).body
    assert [len(run["changes"]) for run in ran.json["runs"]] == [1]


def test_history_tells_why_a_run_failed(functions: Functions, office: Office, mooring: Mooring) -> None:
    """AWS's code and words, on the line of the change."""
    office.delete_default_route()
    functions.world.deny("CreateRoute")
    functions.tick()
    ran = mooring("history", "--limit", "1")
    (failed,) = (one for one in ran.said if one.startswith("    failed "))
    assert "   UnauthorizedOperation: " in failed


def test_history_of_a_new_topology_says_that_there_is_none(functions: Functions, mooring: Mooring) -> None:
    """No runs are an answer, too."""
    declare(functions, "office", minimal())
    ran = mooring("history")
    assert (ran.code, ran.out) == (0, "office: no run has decided anything yet\n")


def test_pause_holds_the_worker_back_and_status_tells_it(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """Who, why and until when; it is told while nothing has drifted, and when something has."""
    before = datetime.now(UTC)
    ran = mooring("pause", "office", "--for", "2h", "--reason", "the line is dug up")
    pause = office.history().pause
    assert pause is not None
    assert pause.until is not None
    assert timedelta(hours=2) <= pause.until - before <= timedelta(hours=2, minutes=2)
    assert pause.reason == f"the line is dug up ({WHO})"
    until = f"until {pause.until:%Y-%m-%d %H:%M:%S} UTC: {pause.reason}"
    assert (ran.code, ran.out) == (0, f"office is paused {until}\n")
    ran = mooring("status")
    assert (ran.code, ran.said[0], ran.said[2]) == (0, "office: converged", f"paused   {until}")
    office.delete_default_route()
    functions.forget()
    functions.tick()
    assert [call.operation for call in functions.calls() if call.write and call.service == "ec2"] == []
    ran = mooring("status", "--json")
    assert (ran.code, ran.json["verdict"], ran.json["pause"]["reason"]) == (2, "paused", pause.reason)
    assert "mooring resume office" in mooring("plan").out


def test_resume_ends_the_pause_and_wakes_the_worker(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """What drifted meanwhile is repaired at once, and the request can be asked after."""
    mooring("pause", "--for", "2h", "--reason", "lunch")
    office.delete_default_route()
    ran = mooring("resume", "office")
    assert (ran.code, ran.said[0], office.history().pause) == (0, "office is resumed", None)
    assert functions.work() == []
    assert office.complaints() == []
    asked = ran.said[1].removeprefix("the worker looks now: mooring request ")
    assert mooring("request", asked).code == 0


def test_resume_of_what_is_not_paused_says_so(functions: Functions, office: Office, mooring: Mooring) -> None:
    """It is no error: it is as wished."""
    ran = mooring("resume", "--json")
    assert (ran.code, ran.json["ended"], ran.json["topology"]) == (0, None, "office")
    assert mooring("resume").said[0] == "office was not paused"


def test_resume_whose_worker_cannot_be_woken_has_ended_the_pause(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """The next tick looks anyway; nothing is half done."""
    mooring("pause", "--for", "2h", "--reason", "lunch")
    functions.world.deny("GetQueueUrl")
    ran = mooring("resume")
    assert (ran.code, office.history().pause) == (0, None)
    assert ran.said[1].startswith("the next tick looks, since sqs:GetQueueUrl failed")


def test_declared_pause_is_shown_and_ends_by_its_declaration(functions: Functions, mooring: Mooring) -> None:
    """A verb does not overrule a file."""
    declare(functions, "office", minimal(paused=True))
    ran = mooring("resume", "office")
    assert (ran.code, ran.err) == (
        1,
        "error: office is declared paused\nhint: declare it again with paused = false\n",
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pause", "office", "--for", "2 hours", "--reason", "x"), ("--for is '2 hours'", "30m, 2h or 1d")),
        (("pause", "office", "--for", "31d", "--reason", "x"), ("--for is '31d'", "at most 30d")),
        (("pause", "office", "--for", "2h", "--reason", "a\x1b[2Jb"), (r"'a\x1b[2Jb'", "on one line")),
        (("pause", "office", "--for", "2h", "--reason", " "), ("--reason is ' '", "1 to 200 characters")),
        (("pause", "office", "--for", "2h"), ("--reason", "pause --help")),
        (("pause", "elsewhere", "--for", "2h", "--reason", "x"), ("no topology elsewhere", "office")),
        (("resume", "elsewhere"), ("no topology elsewhere", "office")),
        (("history", "elsewhere"), ("no topology elsewhere", "office")),
        (("history", "--limit", "0"), ("--limit", "history --help")),
        (("apply", "--wait", "soon"), ("--wait is 'soon'", "30m, 2h or 1d")),
    ],
)
def test_a_wish_that_means_nothing_is_one_clear_error(
    functions: Functions, mooring: Mooring, arguments: tuple[str, ...], words: tuple[str, str]
) -> None:
    """What is wrong, and what would be right; nothing is paused."""
    declare(functions, "office", minimal())
    ran = mooring(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert [word for word in words if word not in ran.err] == []
    assert functions.app.edge.journal.read("office").pause is None


def test_pause_where_sts_does_not_answer_names_the_machines_user(
    functions: Functions, office: Office, mooring: Mooring
) -> None:
    """A pause is no less urgent when one service is down."""
    functions.world.deny("GetCallerIdentity")
    ran = mooring("pause", "--for", "1h", "--reason", "lunch", USER="anna")
    assert ran.code == 0
    assert "lunch (anna, as this machine calls them)" in ran.out
    assert "lunch (anna, as this machine calls them)" in (office.history().pause or NotImplemented).reason
