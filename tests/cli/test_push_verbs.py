"""push and confirm as processes where no worker is asked: mistakes, and routers that cannot be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.network import TUNNEL

if TYPE_CHECKING:
    from tests.cli.conftest import Office
    from tests.stand_ins.command_line import Mooring

NOBODY = "i-0123456789abcdef0"


@pytest.fixture
def tunnelled(office: Office) -> Office:
    """The example network with a tunnel declared; its routers have no agent."""
    office.declare(after=TUNNEL)
    return office


@pytest.mark.parametrize("within", ["5", "59s", "61m", "2h", "0m", "five minutes", ""])
def test_time_to_confirm_in_that_means_nothing_needs_no_aws(offline: Mooring, within: str) -> None:
    """What was wrong and what would be right, before anything is looked at."""
    ran = offline("push", "office", f"--confirm-within={within}", "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert f"--confirm-within is '{within}'" in ran.err
    assert "from 1m to 1h, such as 5m" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["push", "office", "--to", "router-2", "--yes"], "UsageError", "no instance id"),
        (["confirm", "office", "--to", "router-2"], "UsageError", "such as i-0123456789abcdef0"),
        (["push", "office", "--wait", "soon", "--yes"], "UsageError", "--wait is 'soon'"),
        (["confirm", "office", "--confirm-within", "5m"], "UsageError", "--confirm-within"),
        (["push", "offic", "--yes"], "UnknownTopology", "did you mean office?"),
        (["confirm", "offic"], "UnknownTopology", "did you mean office?"),
    ],
)
def test_mistake_on_the_command_line_is_one_clear_error(
    tunnelled: Office, mooring: Mooring, arguments: list[str], code: str, words: str
) -> None:
    """Exit 1, in JSON too, and nothing is written."""
    ran = mooring(*arguments, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, code)
    assert words in ran.json["error"]["message"] + ran.json["error"]["hint"]
    assert tunnelled.writes == []


def test_routers_out_of_reach_are_told_and_nothing_is_asked(tunnelled: Office, mooring: Mooring) -> None:
    """Young ones are waited for; that there is nothing to push to is no success."""
    ran = mooring("push", "office", "--yes")
    assert (ran.code, ran.said[-1], ran.err) == (1, "no router can be pushed to now", "")
    for instance_id in (tunnelled.router, tunnelled.standby):
        assert f"{instance_id} runs, and its SSM agent is not online yet" in ran.out
    assert tunnelled.writes == []


def test_deaf_systems_manager_is_told(tunnelled: Office, mooring: Mooring) -> None:
    """Blind to routers is not to have none: AWS's code is told."""
    tunnelled.world.deny("DescribeInstanceInformation")
    ran = mooring("push", "office", "--yes")
    assert ran.code == 1
    assert "no machine can be configured or asked: ssm:DescribeInstanceInformation failed" in ran.out
    assert "AccessDenied" in ran.out


def test_nothing_on_trial_is_told_in_json_as_the_refusal_it_is(tunnelled: Office, mooring: Mooring) -> None:
    """A program reads the verdict, the error and the hint."""
    ran = mooring("confirm", "office", "--json")
    assert (ran.code, ran.json["verdict"], ran.json["error"]["code"]) == (1, "refused", "UnsafePlan")
    assert ran.json["error"]["message"] == "no configuration waits for a confirmation"
