"""Parameter Store, as AWS keeps it and moto does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.world.conftest import code

if TYPE_CHECKING:
    from tests.world import Client, World

NAME = "/mooring/topologies/office"


@pytest.fixture
def ssm(world: World) -> Client:
    """A hand's SSM client."""
    return world.client("ssm")


def _put(ssm: Client, size: int, **asked: object) -> Client:
    return ssm.put_parameter(Name=NAME, Value="x" * size, Type="String", Overwrite=True, **asked)


def test_standard_parameter_holds_4_kb(ssm: Client) -> None:
    """Standard 4 KB: ValidationException beyond. aws.md 3.3."""
    _put(ssm, 4096)
    assert code(lambda: _put(ssm, 4097)) == "ValidationException"
    assert len(ssm.get_parameter(Name=NAME)["Parameter"]["Value"]) == 4096


@pytest.mark.parametrize(
    "asked", [{"DataType": "aws:nonsense"}, {"Type": "Number"}, {"Value": "x" * 4097}], ids=str
)
def test_refused_parameter_leaves_nothing_behind(world: World, ssm: Client, asked: dict[str, str]) -> None:
    """What PutParameter refused is not there: no listing names it, no event tells of it. PutParameter."""
    parameter = {"Name": NAME, "Value": "x", "Type": "String"}
    for _ in range(2):
        assert code(lambda: ssm.put_parameter(**(parameter | asked))) == "ValidationException"
    assert ssm.get_parameters_by_path(Path="/mooring", Recursive=True)["Parameters"] == []
    assert code(lambda: ssm.get_parameter(Name=NAME)) == "ParameterNotFound"
    assert world.events == []
    ssm.put_parameter(**parameter)
    assert [event["detail"]["operation"] for event in world.events] == ["Create"]


def test_advanced_parameter_holds_8_kb_and_stays_advanced(ssm: Client) -> None:
    """Advanced 8 KB, "no way back". aws.md 3.3."""
    _put(ssm, 8192, Tier="Advanced")
    assert code(lambda: _put(ssm, 8193, Tier="Advanced")) == "ValidationException"
    assert _put(ssm, 5000)["Tier"] == "Advanced"


def test_intelligent_tiering_grows_when_needed(ssm: Client) -> None:
    """Intelligent-Tiering makes a parameter advanced only when it must be. PutParameter."""
    assert _put(ssm, 4096, Tier="Intelligent-Tiering")["Tier"] == "Standard"
    assert _put(ssm, 4097, Tier="Intelligent-Tiering")["Tier"] == "Advanced"


def test_changes_of_a_parameter_are_told_without_its_value(world: World, ssm: Client) -> None:
    """Parameter Store Change: Create, Update, Delete. aws.md 1.2."""
    _put(ssm, 10)
    _put(ssm, 20)
    ssm.delete_parameter(Name=NAME)
    _put(ssm, 10)
    ssm.delete_parameters(Names=[NAME, "/unknown"])
    told = [event["detail"]["operation"] for event in world.events]
    assert told == ["Create", "Update", "Delete", "Create", "Delete"]
    event = world.events[0]
    assert (event["source"], event["detail-type"]) == ("aws.ssm", "Parameter Store Change")
    assert event["resources"] == ["arn:aws:ssm:eu-west-1:123456789012:parameter/mooring/topologies/office"]
    assert event["detail"] == {"operation": "Create", "name": NAME, "type": "String", "description": ""}
