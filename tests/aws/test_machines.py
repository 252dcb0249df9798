"""Run Command and Parameter Store as the push uses them: pinned documents, versions, agents, and every kind of answer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.aws.ssm.certificate import record_path
from chalicelib.aws.ssm.run_command import SystemsManager
from chalicelib.core.errors import ObservationError, PushError
from chalicelib.core.machines.certificate import PARTS, CertificateRecord
from chalicelib.core.machines.machine import Agent, Invocation
from chalicelib.core.machines.readiness import box_of
from chalicelib.core.network.change import PushConfig
from chalicelib.core.tunnel.documents import CONFIGURE, CONFIRM, INSPECT, fingerprint
from chalicelib.core.tunnel.render import render
from tests.aws.conftest import ONCE
from tests.builders import NOON, TUNNEL
from tests.fake_aws.agent import FAILS, NEVER_TAKEN, TOO_LONG, UNDELIVERABLE, Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.core.network.topology import Topology
    from tests.aws.office import Office
    from tests.fake_aws import Client, World

CONTENTS: dict[str, dict[str, Any]] = {
    name: {
        "schemaVersion": "2.2",
        "parameters": {word: {"type": "String", "interpolationType": "ENV_VAR"} for word in words},
        "mainSteps": [{"action": "aws:runShellScript", "name": "run", "inputs": {"runCommand": ["true"]}}],
    }
    for name, words in ((CONFIGURE, ("Path", "Version", "Digest")), (INSPECT, ()), (CONFIRM, ("Digest",)))
}


@pytest.fixture
def ssm(office: Office, world: World) -> Client:
    """A hand's SSM client, and our documents."""
    client = world.client("ssm")
    for name, content in CONTENTS.items():
        client.create_document(Name=name, Content=json.dumps(content), DocumentType="Command")
    return client


@pytest.fixture
def machines(ssm: Client, world: World) -> SystemsManager:
    """The port, as the worker has it."""
    known = {name: fingerprint(content) for name, content in CONTENTS.items()}
    world.forget_calls()
    return SystemsManager(world.client("ssm", ONCE, by="product"), known)


@pytest.fixture
def declared(office: Office) -> Topology:
    """The network with its tunnel."""
    return replace(office.topology, tunnel=TUNNEL)


@pytest.fixture
def instance_id(office: Office, world: World) -> str:
    """A candidate whose agent is online and answers."""
    instance_id = office.candidates()[0].id
    world.agent(instance_id)
    return instance_id


@pytest.fixture
def pushed(office: Office, declared: Topology, instance_id: str) -> PushConfig:
    """A push of what is declared."""
    seen = office.observe()
    box = box_of(declared, seen, next(i for i in seen.instances if i.id == instance_id))
    assert box
    return PushConfig(instance_id, str(box.private_address), render(declared, box), None, "a test")


def calls(world: World) -> list[str]:
    """List what the product called."""
    return [call.operation for call in world.calls if (call.by, call.service) == ("product", "ssm")]


def test_agents_of_the_candidates_are_read_with_one_call(
    office: Office, machines: SystemsManager, declared: Topology, world: World, instance_id: str
) -> None:
    """Online, lost and unknown agents are told apart; a stopped instance has none."""
    other = office.candidates()[1].id
    assert machines.agents(declared) == {instance_id: Agent(online=True, version="3.3.2746.0")}
    world.agent(other).node.fall_silent()
    assert machines.agents(declared)[other].online is False
    assert calls(world) == ["DescribeInstanceInformation"] * 2


def test_a_push_stores_the_bundle_and_sends_path_version_and_digest_alone(
    machines: SystemsManager, declared: Topology, pushed: PushConfig, world: World, ssm: Client
) -> None:
    """The document is pinned by version and hash, found once per process; a bundle that lies there is not written anew."""
    world.forget_calls()
    command_id = machines.push(declared, pushed)
    first = calls(world)
    assert first == ["GetParameter", "PutParameter", "GetDocument", "DescribeDocument", "SendCommand"]
    sent = ssm.list_commands(CommandId=command_id)["Commands"][0]
    path = f"/mooring/{declared.name}/router/{pushed.address}"
    assert sent["Parameters"] == {"Path": [path], "Version": ["1"], "Digest": [pushed.bundle.digest]}
    assert (sent["DocumentName"], sent["DocumentVersion"]) == (CONFIGURE, "1")
    assert sent["TimeoutSeconds"] <= 60
    stored = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [path]}])["Parameters"][0]
    assert (stored["Type"], stored["Tier"]) == ("String", "Standard")
    world.forget_calls()
    machines.push(declared, pushed)
    assert calls(world) == ["GetParameter", "SendCommand"]
    machines.push(declared, replace(pushed, confirm_within=300))
    assert ssm.get_parameter(Name=path)["Parameter"]["Version"] == 2


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (Answer(stdout="{}\n"), Invocation("Success", "{}\n")),
        (replace(FAILS, stdout="no"), Invocation("Failed", "no")),
        (UNDELIVERABLE, Invocation("Undeliverable", "")),
        (TOO_LONG, Invocation("ExecutionTimedOut", "")),
        (NEVER_TAKEN, Invocation("DeliveryTimedOut", "")),
    ],
)
def test_every_end_of_a_command_is_read_as_what_it_is(
    machines: SystemsManager, world: World, instance_id: str, script: Answer, expected: Invocation
) -> None:
    """None is the moment in which SSM does not know the invocation yet; then comes its StatusDetails."""
    world.agent(instance_id).answer(INSPECT, script)
    world.command_dwell, world.invocation_lag = None, 1
    command_id = machines.inspect([instance_id])
    assert machines.answer(command_id, instance_id) is None
    while world.settle():  # taken, then ended
        pass
    world.expire_commands()
    assert machines.answer(command_id, instance_id) == expected


def test_a_document_that_somebody_changed_is_not_run(
    machines: SystemsManager, world: World, ssm: Client, instance_id: str
) -> None:
    """Who may write documents could otherwise run anything on a router: neither what is new nor what came meanwhile is run."""
    machines.inspect([instance_id])
    other = CONTENTS[INSPECT] | {"description": "another"}
    ssm.update_document(Name=INSPECT, Content=json.dumps(other), DocumentVersion="$LATEST")
    machines.inspect([instance_id])  # still the version that is ours
    fresh = SystemsManager(world.client("ssm", ONCE, by="product"), {INSPECT: fingerprint(CONTENTS[INSPECT])})
    world.forget_calls()
    with pytest.raises(PushError, match="not the one that was deployed"):
        fresh.inspect([instance_id])
    assert "SendCommand" not in calls(world)


def test_a_confirmation_names_the_digest(machines: SystemsManager, ssm: Client, instance_id: str) -> None:
    """What is kept is what the operator saw."""
    command_id = machines.confirm(instance_id, "a" * 64)
    assert ssm.list_commands(CommandId=command_id)["Commands"][0]["Parameters"] == {"Digest": ["a" * 64]}


def test_whoever_was_not_deployed_sends_nothing(world: World, ssm: Client, instance_id: str) -> None:
    """An operator's process does not know which document is the right one, and says who does."""
    with pytest.raises(PushError, match="is not known here") as caught:
        SystemsManager(world.client("ssm", ONCE, by="product"), {}).inspect([instance_id])
    assert "make deploy" in caught.value.hint


@pytest.mark.parametrize(
    ("operation", "doing"),
    [
        ("GetParameter", "ssm:GetParameter /mooring/"),
        ("PutParameter", "ssm:PutParameter /mooring/"),
        ("GetDocument", f"reading the document {CONFIGURE}"),
        ("DescribeDocument", f"reading the document {CONFIGURE}"),
        ("SendCommand", f"ssm:SendCommand {CONFIGURE}"),
    ],
)
def test_each_refusal_on_the_way_of_a_push_says_where_it_happened(
    machines: SystemsManager, declared: Topology, pushed: PushConfig, world: World, operation: str, doing: str
) -> None:
    """AWS's code and the call are in the message, and the next push succeeds."""
    world.deny(operation, times=1)
    with pytest.raises(PushError) as caught:
        machines.push(declared, pushed)
    assert caught.value.message.startswith(doing)
    assert caught.value.aws_code == "AccessDeniedException"
    assert machines.push(declared, pushed)


@pytest.mark.parametrize("operation", ["DescribeInstanceInformation", "GetCommandInvocation"])
def test_a_failed_reading_is_no_answer(
    machines: SystemsManager, declared: Topology, world: World, instance_id: str, operation: str
) -> None:
    """It never looks like no agents, or like a command that nobody knows."""
    command_id = machines.inspect([instance_id])
    world.settle()
    world.fail(operation, code="InternalServerError", status=500)
    read: dict[str, Callable[[], object]] = {
        "DescribeInstanceInformation": lambda: machines.agents(declared),
        "GetCommandInvocation": lambda: machines.answer(command_id, instance_id),
    }
    with pytest.raises(ObservationError, match=operation):
        read[operation]()


def test_a_machine_that_is_not_registered_yet_takes_no_command(
    machines: SystemsManager, office: Office
) -> None:
    """SendCommand refuses it; the run reports it and the next one tries again."""
    with pytest.raises(PushError) as caught:
        machines.inspect([office.candidates()[0].id])
    assert caught.value.aws_code == "InvalidInstanceId"


def test_what_is_stored_is_known_from_its_record_alone(
    machines: SystemsManager, declared: Topology, world: World, ssm: Client
) -> None:
    """One plain parameter, no decryption; what is no record of ours is no answer."""
    assert machines.certificate(declared) is None
    ends = NOON + timedelta(days=90)
    record = CertificateRecord(
        "aws-router", ends, ends + timedelta(days=1000), "ab" * 32, dict.fromkeys(PARTS, 1)
    )
    path = record_path(declared.name)
    ssm.put_parameter(Name=path, Value=record.dumps(), Type="String")
    world.forget_calls()
    assert machines.certificate(declared) == record
    assert calls(world) == ["GetParameter"]
    ssm.put_parameter(Name=path, Value="{}", Type="String", Overwrite=True)
    with pytest.raises(ObservationError, match=path):
        machines.certificate(declared)
