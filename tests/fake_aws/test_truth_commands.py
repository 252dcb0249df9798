"""Run Command, as AWS answers it and moto does not; every deviation with AWS's documented behaviour."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from .agent import FAILS, NEVER_ENDS, NEVER_TAKEN, TOO_LONG, UNDELIVERABLE, Answer
from .conftest import code

if TYPE_CHECKING:
    from . import Client, World
    from .agent import Agent
    from .conftest import Network

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


# -- whom it may be sent to --------------------------------------------------------------------------


def test_instance_whose_agent_has_not_registered_is_refused(
    world: World, ssm: Client, instance_id: str
) -> None:
    """API reference, InvalidInstanceId: the agent is not running, or not registered. aws.md 3.1."""
    assert code(lambda: send(ssm, instance_id)) == "InvalidInstanceId"
    node = world.register(instance_id)
    node.fall_silent()
    assert code(lambda: send(ssm, instance_id)) == "InvalidInstanceId"
    node.come_back()
    send(ssm, instance_id)


def test_stopped_instance_is_no_node(world: World, network: Network, ssm: Client, agent: Agent) -> None:
    """Stopped and terminated nodes are not returned. aws.md 3.1; one that starts is a node again."""
    instance_id = agent.node.instance_id
    network.ec2.stop_instances(InstanceIds=[instance_id])
    assert ssm.describe_instance_information()["InstanceInformationList"] == []
    assert code(lambda: send(ssm, instance_id)) == "InvalidInstanceId"
    network.ec2.start_instances(InstanceIds=[instance_id])
    send(ssm, instance_id)
    network.ec2.terminate_instances(InstanceIds=[instance_id])
    assert code(lambda: send(ssm, instance_id)) == "InvalidInstanceId"


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"DocumentName": "Mooring-Other"}, "InvalidDocument"),
        ({"DocumentVersion": "7"}, "InvalidDocumentVersion"),
        ({"DocumentHash": "0" * 64, "DocumentHashType": "Sha256"}, "InvalidDocument"),
        ({"Parameters": {}}, "InvalidParameters"),
        ({"Parameters": {"Digest": ["beef"], "Else": ["x"]}}, "InvalidParameters"),
        ({"Parameters": {"Digest": ["BEEF"]}}, "InvalidParameters"),
        ({"Parameters": {"Digest": ["beef", "beef"]}}, "InvalidParameters"),
        ({"Parameters": {"Digest": ["beef"], "Mode": ["wet"]}}, "InvalidParameters"),
        ({"TimeoutSeconds": 2_592_001}, "ValidationException"),
        ({"Comment": "x" * 101}, "ValidationException"),
        ({"InstanceIds": [f"i-{n:017x}" for n in range(51)]}, "ValidationException"),
        ({"InstanceIds": []}, "ValidationException"),
    ],
)
def test_command_that_is_not_valid_is_refused_and_nothing_is_sent(
    ssm: Client, agent: Agent, asked: dict[str, object], refused: str
) -> None:
    """API reference, SendCommand; aws.md 3.1, 3.2."""
    assert code(lambda: send(ssm, agent.node.instance_id, **asked)) == refused
    assert ssm.list_commands()["Commands"] == []
    assert agent.asked == []


def test_instance_named_twice_is_refused(ssm: Client, agent: Agent) -> None:
    """API reference, DuplicateInstanceId."""
    twice = [agent.node.instance_id] * 2
    assert code(lambda: send(ssm, agent.node.instance_id, InstanceIds=twice)) == "DuplicateInstanceId"


def test_tag_that_matches_nobody_is_a_success(ssm: Client, agent: Agent) -> None:
    """Success (NoInstancesInTag): so push to ids, never to tags. aws.md 3.1."""
    asked = {"Key": "tag:mooring:router", "Values": ["office"]}
    sent = ssm.send_command(Targets=[asked], DocumentName=DOCUMENT, Parameters={"Digest": ["beef"]})
    (command,) = ssm.list_commands(CommandId=sent["Command"]["CommandId"])["Commands"]
    assert (command["Status"], command["StatusDetails"], command["TargetCount"]) == (
        "Success",
        "NoInstancesInTag",
        0,
    )
    assert ssm.list_command_invocations()["CommandInvocations"] == []


# -- documents ---------------------------------------------------------------------------------------


def test_pinned_version_and_hash_are_those_of_the_document_sent(
    ssm: Client, world: World, instance_id: str
) -> None:
    """A version stays what it was; $DEFAULT moves only when told, $LATEST with each update. API reference."""
    node = world.register(instance_id)
    pinned = ssm.describe_document(Name=DOCUMENT)["Document"]
    newer = CONTENT | {"description": "newer"}
    ssm.update_document(Name=DOCUMENT, Content=json.dumps(newer), DocumentVersion="$LATEST")
    seen = {}
    for version in ("1", "2", "$DEFAULT", "$LATEST"):
        send(ssm, instance_id, DocumentVersion=version)
        invocation = node.take()
        assert invocation is not None
        seen[version] = invocation.document.get("description")
    assert seen == {"1": None, "2": "newer", "$DEFAULT": None, "$LATEST": "newer"}
    send(ssm, instance_id, DocumentVersion="1", DocumentHash=pinned["Hash"], DocumentHashType="Sha256")
    with_old_hash = {"DocumentVersion": "2", "DocumentHash": pinned["Hash"], "DocumentHashType": "Sha256"}
    assert code(lambda: send(ssm, instance_id, **with_old_hash)) == "InvalidDocument"


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"mainSteps": []}, "InvalidDocumentContent"),
        ({"mainSteps": [{"action": "aws:runShellScript"}]}, "InvalidDocumentContent"),
        ({"parameters": {"A": {"type": "SecureString"}}}, "InvalidDocumentContent"),
        ({"parameters": {"A": {"type": "String", "allowedPattern": "("}}}, "InvalidDocumentContent"),
        (
            {"parameters": {"A": {"type": "StringList", "interpolationType": "ENV_VAR"}}},
            "InvalidDocumentContent",
        ),
        ({"description": "x" * 65_536}, "MaxDocumentSizeExceeded"),
    ],
)
def test_document_that_is_not_valid_is_not_stored(ssm: Client, change: dict[str, Any], refused: str) -> None:
    """Schema 2.2, at most 64 KB. aws.md 3.2."""
    content = json.dumps(CONTENT | change)
    assert (
        code(lambda: ssm.create_document(Name="Mooring-Bad", Content=content, DocumentType="Command"))
        == refused
    )


def test_document_of_a_stack_gets_a_new_default_version(world: World, ssm: Client) -> None:
    """AWS::SSM::Document with UpdateMethod NewVersion: the name stays, older versions stay what they were."""
    formation = world.client("cloudformation")

    def template(description: str) -> str:
        content = CONTENT | {"description": description}
        properties = {
            "Name": "Mooring-Stack",
            "DocumentType": "Command",
            "UpdateMethod": "NewVersion",
            "Content": content,
        }
        return json.dumps({"Resources": {"Try": {"Type": "AWS::SSM::Document", "Properties": properties}}})

    formation.create_stack(StackName="documents", TemplateBody=template("first"))
    formation.update_stack(StackName="documents", TemplateBody=template("second"))
    found = ssm.describe_document(Name="Mooring-Stack")["Document"]
    assert (found["DefaultVersion"], found["LatestVersion"], found["DocumentVersion"]) == ("2", "2", "2")
    kept = ssm.get_document(Name="Mooring-Stack", DocumentVersion="1")
    assert json.loads(kept["Content"])["description"] == "first"


# -- its life ----------------------------------------------------------------------------------------


def test_command_just_sent_is_not_seen_by_the_first_look(world: World, ssm: Client, instance_id: str) -> None:
    """InvocationDoesNotExist right after SendCommand: eventual consistency. aws.md 3.1."""
    world.register(instance_id)
    world.invocation_lag = 2
    command_id = send(ssm, instance_id)
    for _ in range(2):
        asked = {"CommandId": command_id, "InstanceId": instance_id}
        assert code(lambda: ssm.get_command_invocation(**asked)) == "InvocationDoesNotExist"  # noqa: B023 - called at once
    assert ssm.get_command_invocation(**asked)["Status"] == "Pending"
    assert code(lambda: ssm.get_command_invocation(**asked | {"CommandId": "0" * 36})) == "InvalidCommandId"


@pytest.mark.parametrize(
    ("answer", "expected", "events"),
    [
        (Answer(stdout="ok"), ("Success", "Success", 0), ["InProgress", "Success"]),
        (FAILS, ("Failed", "Failed", 1), ["InProgress", "Failed"]),
        (TOO_LONG, ("TimedOut", "ExecutionTimedOut", 137), ["InProgress", "TimedOut"]),
        (UNDELIVERABLE, ("Failed", "Undeliverable", -1), ["Failed"]),
        (NEVER_TAKEN, ("TimedOut", "DeliveryTimedOut", -1), ["Delayed", "TimedOut"]),
        (NEVER_ENDS, ("TimedOut", "DeliveryTimedOut", -1), ["InProgress", "TimedOut"]),
    ],
    ids=["succeeds", "fails", "takes too long", "is undeliverable", "is never taken", "never ends"],
)
def test_command_ends_as_its_agent_does(
    world: World,
    ssm: Client,
    agent: Agent,
    answer: Answer,
    expected: tuple[str, str, int],
    events: list[str],
) -> None:
    """Status, details, code and events of each end. Systems Manager guide, "Understanding command statuses"."""
    agent.answer(DOCUMENT, answer)
    command_id = send(ssm, agent.node.instance_id, TimeoutSeconds=30)
    world.expire_commands()
    assert state(ssm, command_id, agent.node.instance_id) == expected
    assert told(world, INVOCATION) == events
    (command,) = ssm.list_commands(CommandId=command_id)["Commands"]
    assert (command["Status"], command["StatusDetails"]) == expected[:2]
    assert told(world, COMMAND)[-1] == expected[0]


def test_command_waits_for_its_agent_as_long_as_the_test_wants(
    world: World, ssm: Client, agent: Agent
) -> None:
    """With no dwell but `settle`, each settling is one step of its life."""
    world.command_dwell = None
    command_id = send(ssm, agent.node.instance_id)
    states = [state(ssm, command_id, agent.node.instance_id)[0]]
    while world.settle():
        states.append(state(ssm, command_id, agent.node.instance_id)[0])
    assert states == ["Pending", "InProgress", "Success"]


def test_cancelled_command_ends_when_its_agent_stops_it(world: World, ssm: Client, agent: Agent) -> None:
    """One that waits is Cancelled at once; one that runs is Cancelling first. API reference, CancelCommand."""
    world.command_dwell = None
    waiting = send(ssm, agent.node.instance_id)
    ssm.cancel_command(CommandId=waiting)
    assert state(ssm, waiting, agent.node.instance_id)[0] == "Cancelled"
    running = send(ssm, agent.node.instance_id)
    world.settle()
    ssm.cancel_command(CommandId=running)
    assert state(ssm, running, agent.node.instance_id)[0] == "Cancelling"
    world.settle()
    assert state(ssm, running, agent.node.instance_id)[0] == "Cancelled"
    assert len(agent.asked) == 1
    assert code(lambda: ssm.cancel_command(CommandId="0" * 36)) == "InvalidCommandId"


def test_stand_in_sees_that_it_should_stop(ssm: Client, world: World, instance_id: str) -> None:
    """It kills what runs and says so; a result that comes too late is not heard."""
    node = world.register(instance_id)
    command_id = send(ssm, instance_id)
    invocation = node.take()
    assert invocation is not None
    wanted = [invocation.cancelling]
    ssm.cancel_command(CommandId=command_id)
    wanted.append(invocation.cancelling)
    assert wanted == [False, True]
    invocation.finish(cancelled=True)
    invocation.finish(0, "late")
    assert state(ssm, command_id, instance_id)[0] == "Cancelled"
    assert told(world, INVOCATION) == ["InProgress", "Cancelling", "Cancelled"]


def test_command_not_taken_in_time_is_never_run(
    world: World, ssm: Client, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TimeoutSeconds: "if not already started, won't run". aws.md 3.1."""
    node = world.register(instance_id)
    send(ssm, instance_id, TimeoutSeconds=30)
    (invocation,) = node.waiting
    monkeypatch.setattr(invocation.command, "sent_at", invocation.command.sent_at - 31)
    assert node.take() is None
    assert invocation.status == "Pending"  # until its total timeout, 30 + 60 seconds
    monkeypatch.setattr(invocation.command, "sent_at", invocation.command.sent_at - 60)
    assert state(ssm, invocation.command.command_id, instance_id)[1] == "DeliveryTimedOut"


def test_output_is_cut_as_aws_cuts_it(ssm: Client, agent: Agent) -> None:
    """24,000 and 8,000 characters; 2,500 in ListCommandInvocations; none unless it ended by itself. aws.md 3.1."""
    instance_id = agent.node.instance_id
    agent.answer(DOCUMENT, Answer(stdout="o" * 30_000, stderr="e" * 9_000))
    command_id = send(ssm, instance_id)
    found = look(ssm, command_id, instance_id)
    assert (len(found["StandardOutputContent"]), len(found["StandardErrorContent"])) == (24_000, 8_000)
    (listed,) = ssm.list_command_invocations(CommandId=command_id, Details=True)["CommandInvocations"]
    output = listed["CommandPlugins"][0]["Output"]
    assert len(output) == 2_500
    assert output.endswith("---Output truncated---")
    agent.answer(DOCUMENT, Answer(stdout="half", ending="takes too long"))
    assert look(ssm, send(ssm, instance_id), instance_id)["StandardOutputContent"] == ""


def test_step_of_several_is_asked_for_by_name(world: World, ssm: Client, instance_id: str) -> None:
    """PluginName is needed if there is more than one step; one that fails fails the command. aws.md 3.1."""
    steps = [{**CONTENT["mainSteps"][0], "name": name} for name in ("first", "second")]
    two = json.dumps(CONTENT | {"mainSteps": steps})
    ssm.create_document(Name="Mooring-Two", Content=two, DocumentType="Command")
    node = world.register(instance_id)
    world.invocation_lag = 0
    asked = {"CommandId": send(ssm, instance_id, DocumentName="Mooring-Two"), "InstanceId": instance_id}
    invocation = node.take()
    assert invocation is not None
    invocation.step("first").finish(1, "one")
    invocation.finish(0, "two")
    assert code(lambda: ssm.get_command_invocation(**asked)) == "InvalidPluginName"
    first = ssm.get_command_invocation(**asked, PluginName="first")
    assert (first["StandardOutputContent"], first["ResponseCode"], first["Status"]) == ("one", 1, "Failed")
    assert ssm.get_command_invocation(**asked, PluginName="second")["StandardOutputContent"] == "two"


# -- events ------------------------------------------------------------------------------------------


def test_events_have_aws_s_shape_with_the_parameters_in_clear(
    world: World, ssm: Client, agent: Agent
) -> None:
    """No secret may ever be a parameter of a command. aws.md 1.2."""
    instance_id = agent.node.instance_id
    command_id = send(ssm, instance_id)
    change = next(event for event in world.events if event["detail-type"] == COMMAND)
    assert (change["source"], change["resources"]) == (
        "aws.ssm",
        [f"arn:aws:ec2:eu-west-1:123456789012:instance/{instance_id}"],
    )
    detail = change["detail"]
    assert set(detail) == {
        "command-id",
        "document-name",
        "expire-after",
        "parameters",
        "requested-date-time",
        "status",
    }
    assert detail["parameters"] == {"executionTimeout": ["60"], "Digest": ["beef"], "Mode": ["full"]}
    one = next(event for event in world.events if event["detail-type"] == INVOCATION)
    assert one["detail"].pop("requested-date-time").endswith("Z")
    assert one["detail"] == {
        "command-id": command_id,
        "document-name": DOCUMENT,
        "instance-id": instance_id,
        "status": "InProgress",
    }


def test_lost_event_changes_nothing_but_that_nobody_hears(world: World, ssm: Client, agent: Agent) -> None:
    """SSM's events are best effort. aws.md 1.1."""
    heard: list[str] = []
    world.on_event(lambda event: heard.append(event["detail-type"]))
    world.lose_events("EC2 Command")
    command_id = send(ssm, agent.node.instance_id)
    assert state(ssm, command_id, agent.node.instance_id)[0] == "Success"
    assert [kind for kind in heard if kind.startswith("EC2 Command")] == []


# -- nodes -------------------------------------------------------------------------------------------


def test_nodes_are_found_by_id_and_tag_and_by_their_ping(world: World, network: Network, ssm: Client) -> None:
    """DescribeInstanceInformation: an id asked for by filter that is no node is not in the list. aws.md 3.1."""
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "mooring:router", "Value": "office"}]}]
    ids = [network.launch(TagSpecifications=tags)[0] for _ in range(3)]
    nodes = [world.register(one, "3.3.987.0") for one in ids[:2]]
    nodes[1].fall_silent()

    def found(key: str, *values: str) -> dict[str, str]:
        asked = [{"Key": key, "Values": list(values)}]
        listed = ssm.describe_instance_information(Filters=asked)["InstanceInformationList"]
        assert {one["AgentVersion"] for one in listed} <= {"3.3.987.0"}
        return {one["InstanceId"]: one["PingStatus"] for one in listed}

    both = {ids[0]: "Online", ids[1]: "ConnectionLost"}
    assert found("InstanceIds", *ids) == both
    assert found("InstanceIds", ids[2]) == {}
    assert found("tag:mooring:router", "office") == both
    assert found("tag:mooring:router", "depot") == {}
    assert found("PingStatus", "Online") == {ids[0]: "Online"}
    assert code(lambda: found("InstanceIds", "nonsense")) == "InvalidInstanceId"


def test_every_instance_that_boots_may_bring_its_agent(world: World, network: Network, ssm: Client) -> None:
    """Those that run already, those launched later, and one that was stopped: the same node again."""
    first, _ = network.launch()
    world.agents(lambda agent: agent.answer(DOCUMENT, Answer(stdout=agent.node.instance_id)))
    second, _ = network.launch()
    network.ec2.stop_instances(InstanceIds=[first])
    network.ec2.start_instances(InstanceIds=[first])
    for instance_id in (first, second):
        command_id = send(ssm, instance_id)
        assert look(ssm, command_id, instance_id)["StandardOutputContent"] == instance_id
    assert len(ssm.describe_instance_information()["InstanceInformationList"]) == 2


def test_reset_leaves_no_node_no_command_and_no_loss(world: World, ssm: Client, agent: Agent) -> None:
    """And every knob as in the beginning."""
    send(ssm, agent.node.instance_id)
    world.lose_events("EC2")
    world.invocation_lag, world.command_dwell = 7, None
    world.reset()
    assert ssm.list_commands()["Commands"] == []
    assert ssm.describe_instance_information()["InstanceInformationList"] == []
    knobs: tuple[int, float | None] = (world.invocation_lag, world.command_dwell)
    assert knobs == (1, 0.0)
    world.client("ec2").run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)
    assert world.events


def test_nodes_come_in_pages(world: World, network: Network, ssm: Client) -> None:
    """MaxResults 5 to 50, and AWS's own page of ten."""
    for _ in range(12):
        world.register(network.launch()[0])
    first = ssm.describe_instance_information()
    assert len(first["InstanceInformationList"]) == 10
    rest = ssm.describe_instance_information(NextToken=first["NextToken"])
    assert len(rest["InstanceInformationList"]) == 2
    assert "NextToken" not in rest
    assert code(lambda: ssm.describe_instance_information(MaxResults=51)) == "ValidationException"
