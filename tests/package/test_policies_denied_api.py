"""Every grant of the API is taken away in turn: it answers with what was refused, and its other routes go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.package.policies_denied import LOGS, deny, granted, names_the_call
from tests.package.policies_office import broken
from tests.package.policies_roles import at_work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fake_aws import World
    from tests.package.policies_roles import FunctionsByRole

HOME = "/topologies/office"
PLAN = ("GET", f"{HOME}/plan", None)
PROBES = {
    "ssm:GetParametersByPath": ("GET", "/topologies", None),
    "dynamodb:Query": ("GET", f"{HOME}/history", None),
    "dynamodb:PutItem": ("POST", f"{HOME}/pause", {"for": "1h", "reason": "works"}),
    "sqs:SendMessage": ("POST", f"{HOME}/reconcile", {}),
}
"""What to ask so that the API needs an action; all else is needed for a plan."""

SPARED = {
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ssm:DescribeInstanceInformation",
    "ssm:GetCommandInvocation",
}
"""What a plan of the network does without, and says so."""


@pytest.fixture(scope="module")
def mooring(embedded: World) -> Iterator[FunctionsByRole]:
    """The functions, beside a network that they have put right."""
    embedded.reset()
    office = broken(embedded)
    with at_work(embedded) as mooring:
        office.declare()
        mooring.settle()
        embedded.command_dwell = None  # from now on a command is on its way, to be asked after
        assert mooring.call("POST", f"{HOME}/push", {"to": office.wanted}).status == 202
        mooring.settle()
        yield mooring


@pytest.mark.parametrize("action", granted("api_handler"))
def test_api_denied_one_action_answers_with_its_name_and_its_other_routes_go_on(
    action: str, mooring: FunctionsByRole
) -> None:
    """503 with code, message and hint, or a report that is blind; given back, the same question is answered."""
    deny(mooring, "api_handler", action)
    status, answer, _ = mooring.call(*PROBES.get(action, PLAN))
    if action in LOGS:
        assert status == 200
    elif action in SPARED:
        assert status == 200
        assert answer["verdict"] != "blind"
        assert names_the_call(str(answer["problems"] + answer["advice"]), action)
    elif status == 200:
        assert answer["verdict"] == "blind"
        assert names_the_call(answer["error"]["message"], action)
    else:
        assert status == 503
        assert answer.keys() == {"code", "message", "hint"}
        assert names_the_call(answer["message"], action)
    other = "/topologies" if action != "ssm:GetParametersByPath" else f"{HOME}/history"
    assert mooring.call("GET", other).status == 200
    mooring.world.heal()
    status, answer, _ = mooring.call(*PROBES.get(action, PLAN))
    assert status in {200, 202}
    assert answer.get("verdict") != "blind"
