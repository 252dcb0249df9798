"""Parameter Store, as AWS keeps it and moto does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .conftest import code

if TYPE_CHECKING:
    from . import Client, World

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


def test_advanced_parameter_cannot_be_standard_again(ssm: Client) -> None:
    """No way back, and Intelligent-Tiering knows it. "Managing parameter tiers"."""
    _put(ssm, 5000, Tier="Advanced")
    assert code(lambda: _put(ssm, 10, Tier="Standard")) == "ValidationException"
    assert _put(ssm, 10, Tier="Intelligent-Tiering")["Tier"] == "Advanced"


def test_secret_read_without_decryption_says_nothing(ssm: Client) -> None:
    """API reference, GetParameter: WithDecryption returns decrypted values; without it there is a ciphertext."""
    ssm.put_parameter(Name="/a", Value="canary-µ", Type="SecureString")
    for read in (
        ssm.get_parameter(Name="/a")["Parameter"],
        ssm.get_parameters(Names=["/a"])["Parameters"][0],
        ssm.get_parameters_by_path(Path="/")["Parameters"][0],
        ssm.get_parameter_history(Name="/a")["Parameters"][0],
    ):
        assert "canary" not in str(read)
    assert "canary" not in str(ssm.describe_parameters())
    assert ssm.get_parameter(Name="/a", WithDecryption=True)["Parameter"]["Value"] == "canary-µ"
    assert ssm.get_parameter_history(Name="/a", WithDecryption=True)["Parameters"][0]["Value"] == "canary-µ"


def test_key_that_does_not_exist_is_refused(world: World, ssm: Client) -> None:
    """API reference, InvalidKeyId; the key is only for a SecureString."""
    secret = {"Name": "/a", "Value": "x", "Type": "SecureString"}
    assert code(lambda: ssm.put_parameter(**secret, KeyId="alias/none")) == "InvalidKeyId"
    assert code(lambda: ssm.get_parameter(Name="/a")) == "ParameterNotFound"
    key_id = world.client("kms").create_key()["KeyMetadata"]["KeyId"]
    assert (
        code(lambda: ssm.put_parameter(**secret | {"Type": "String"}, KeyId=key_id)) == "ValidationException"
    )
    ssm.put_parameter(**secret, KeyId=key_id)
    assert ssm.describe_parameters()["Parameters"][0]["KeyId"] == key_id


def test_key_not_named_at_an_update_is_the_account_s_own(world: World, ssm: Client) -> None:
    """If you don't specify a key ID, the system uses the default key. API reference, PutParameter: KeyId."""
    secret = {"Name": "/a", "Value": "x", "Type": "SecureString", "Overwrite": True}
    ssm.put_parameter(**secret, KeyId=world.client("kms").create_key()["KeyMetadata"]["KeyId"])
    ssm.put_parameter(**secret)
    assert ssm.describe_parameters()["Parameters"][0]["KeyId"] == "alias/aws/ssm"


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"Name": "/a b"}, "ValidationException"),
        ({"Name": "a/b"}, "ValidationException"),
        ({"Name": "/x" * 16}, "HierarchyLevelLimitExceededException"),
        ({"Value": "{{ssm:other}}"}, "ValidationException"),
        ({"Value": "b", "AllowedPattern": "^a$"}, "ParameterPatternMismatchException"),
        ({"Type": "SecureString", "Name": "/known", "Overwrite": True}, "HierarchyTypeMismatchException"),
        ({"Name": "/known"}, "ParameterAlreadyExists"),
    ],
)
def test_parameter_that_cannot_be_is_refused(ssm: Client, asked: dict[str, object], refused: str) -> None:
    """API reference, PutParameter."""
    ssm.put_parameter(Name="/known", Value="x", Type="String")
    usual = {"Name": "/a", "Value": "x", "Type": "String"}
    assert code(lambda: ssm.put_parameter(**usual | asked)) == refused
    assert [one["Name"] for one in ssm.describe_parameters()["Parameters"]] == ["/known"]


def test_version_is_chosen_by_its_selector(ssm: Client) -> None:
    """`name:3`; the last hundred versions are kept. aws.md 3.3."""
    for number in range(1, 103):
        ssm.put_parameter(Name=NAME, Value=f"v{number}", Type="String", Overwrite=True)
    found = ssm.get_parameter(Name=f"{NAME}:3")["Parameter"]
    assert (found["Name"], found["Selector"], found["Value"], found["Version"]) == (NAME, ":3", "v3", 3)
    assert code(lambda: ssm.get_parameter(Name=f"{NAME}:2")) == "ParameterVersionNotFound"
    assert ssm.get_parameter(Name=NAME)["Parameter"]["Version"] == 102


def test_batch_holds_ten_names_and_says_which_are_none(ssm: Client) -> None:
    """API reference, GetParameters."""
    ssm.put_parameter(Name=NAME, Value="x", Type="String")
    found = ssm.get_parameters(Names=[NAME, "/none", f"{NAME}:9"])
    assert [one["Name"] for one in found["Parameters"]] == [NAME]
    assert sorted(found["InvalidParameters"]) == ["/mooring/topologies/office:9", "/none"]
    assert code(lambda: ssm.get_parameters(Names=[f"/{n}" for n in range(11)])) == "ValidationException"
