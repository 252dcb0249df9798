"""Run Command, as AWS answers it and moto does not; every deviation with AWS's documented behaviour."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.world.agent import FAILS, NEVER_ENDS, NEVER_TAKEN, TOO_LONG, UNDELIVERABLE, Answer
from tests.world.conftest import code

if TYPE_CHECKING:
    from tests.world import Client, World
    from tests.world.agent import Agent
    from tests.world.conftest import Network

DOCUMENT = "Mooring-Try"
CONTENT: dict[str, Any] = {
    "schemaVersion": "2.2",
    "parameters": {
        "Digest": {"type": "String", "allowedPattern": "^[0-9a-f]{4}$", "interpolationType": "ENV_VAR"},
        "Mode": {"type": "String", "default": "full", "allowedValues": ["full", "dry"]},
    },
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "configure",
            "inputs": {"timeoutSeconds": "60", "runCommand": ["echo"]},
        }
    ],
}
INVOCATION = "EC2 Command Invocation Status-change Notification"
COMMAND = "EC2 Command Status-change Notification"


@pytest.fixture
def ssm(world: World) -> Client:
    """A hand's SSM client, and a Command document."""
    client = world.client("ssm")
    client.create_document(Name=DOCUMENT, Content=json.dumps(CONTENT), DocumentType="Command")
    return client


@pytest.fixture
def instance_id(network: Network) -> str:
    """An instance that runs, and is no node yet."""
    return network.launch()[0]


@pytest.fixture
def agent(world: World, instance_id: str) -> Agent:
    """Its agent, which answers."""
    return world.agent(instance_id)


def send(ssm: Client, instance_id: str, **asked: object) -> str:
    """Send the command, give its id."""
    usual = {"InstanceIds": [instance_id], "DocumentName": DOCUMENT, "Parameters": {"Digest": ["beef"]}}
    return str(ssm.send_command(**usual | asked)["Command"]["CommandId"])


def look(ssm: Client, command_id: str, instance_id: str) -> dict[str, Any]:
    """See the invocation, as soon as it can be seen."""
    listed = ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"]
    if not listed:  # the first look; by now it exists
        assert ssm.list_command_invocations(CommandId=command_id)["CommandInvocations"]
    return dict(ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id))


def state(ssm: Client, command_id: str, instance_id: str) -> tuple[str, str, int]:
    """See how it stands."""
    found = look(ssm, command_id, instance_id)
    return found["Status"], found["StatusDetails"], found["ResponseCode"]


def told(world: World, kind: str) -> list[str]:
    """List the statuses that events of a kind told of."""
    return [event["detail"]["status"] for event in world.events if event["detail-type"] == kind]


# -- a stand-in's hook -------------------------------------------------------------------------------


def test_stand_in_takes_a_command_and_reports_it(world: World, ssm: Client, instance_id: str) -> None:
    """Pending, InProgress, Success; the document's content and the parameters are what it was sent."""
    node = world.register(instance_id)
    assert node.take() is None
    command_id = send(ssm, instance_id)
    assert state(ssm, command_id, instance_id) == ("Pending", "Pending", -1)
    invocation = node.take()
    assert invocation is not None
    assert invocation.document == CONTENT
    assert invocation.parameters == {"Digest": ["beef"], "Mode": ["full"]}
    assert state(ssm, command_id, instance_id) == ("InProgress", "InProgress", -1)
    invocation.finish(0, "done", "a warning")
    found = look(ssm, command_id, instance_id)
    assert (found["Status"], found["ResponseCode"]) == ("Success", 0)
    assert (found["StandardOutputContent"], found["StandardErrorContent"]) == ("done", "a warning")
    assert found["PluginName"] == "configure"
    assert told(world, INVOCATION) == ["InProgress", "Success"]
    assert node.take() is None


def test_stand_in_in_a_thread_is_woken_and_its_events_are_heard(
    world: World, ssm: Client, instance_id: str
) -> None:
    """An agent works while others call; a listener hears of the end once it can be seen."""
    node = world.register(instance_id)
    waits, heard = threading.Event(), threading.Event()
    node.wake = waits.set
    seen: list[str] = []

    def work() -> None:
        assert waits.wait(10)
        invocation = node.take()
        assert invocation is not None
        invocation.finish(3, "", "no")

    def hear(event: dict[str, Any]) -> None:
        if event["detail-type"] == INVOCATION and event["detail"]["status"] == "Failed":
            seen.append(state(ssm, event["detail"]["command-id"], instance_id)[1])
            heard.set()

    world.on_event(hear)
    thread = threading.Thread(target=work)
    thread.start()
    send(ssm, instance_id)
    thread.join(10)
    assert heard.wait(10)
    assert seen == ["Failed"]
