"""The agent stand-in: commands reach it through Systems Manager, and end as AWS would have them end."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.core.document import CONFIGURE
from chalicelib.core.envelope import seal
from tests.box.agent import Invalid
from tests.box.router import PATH, bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.box.router import Router


@pytest.fixture(scope="module")
def instance_id(bare: Router) -> Iterator[str]:
    """Register the router's instance, and have its agent take what waits for it."""
    ec2 = bare.world.client("ec2")
    launched = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)
    instance = str(launched["Instances"][0]["InstanceId"])
    bare.world.settle()
    for name, content in bare.documents.items():
        bare.ssm.create_document(
            Name=name, Content=json.dumps(content), DocumentType="Command", DocumentFormat="JSON"
        )
    over = threading.Event()
    serving = threading.Thread(target=bare.agent.serve, args=(bare.world.register(instance), over))
    serving.start()
    yield instance
    over.set()
    serving.join()


def sent(router: Router, instance_id: str, digest: str) -> dict[str, Any]:
    """Send a push as the controller does, and give the invocation once it has ended."""
    version = router.keep(seal(bundle().canonical, probe=None))
    parameters = {"Path": [PATH], "Version": [str(version)], "Digest": [digest]}
    asked = router.ssm.send_command(
        InstanceIds=[instance_id], DocumentName=CONFIGURE, TimeoutSeconds=60, Parameters=parameters
    )
    until = time.monotonic() + 120
    while time.monotonic() < until:
        time.sleep(0.2)
        try:
            told: dict[str, Any] = router.ssm.get_command_invocation(
                CommandId=asked["Command"]["CommandId"], InstanceId=instance_id
            )
        except router.ssm.exceptions.InvocationDoesNotExist:
            continue
        if told["Status"] not in ("Pending", "InProgress", "Delayed"):
            return told
    raise TimeoutError("the command did not end")


def test_command_that_was_sent_ends_with_the_routers_own_report(bare: Router, instance_id: str) -> None:
    """From SendCommand to GetCommandInvocation, with a real router in between."""
    told = sent(bare, instance_id, bundle().digest)

    assert (told["Status"], told["ResponseCode"]) == ("Success", 0)
    assert json.loads(told["StandardOutputContent"].splitlines()[-1])["result"] == "applied"
    assert bare.reaches()


def test_refused_push_is_a_failed_command_with_a_report(bare: Router, instance_id: str) -> None:
    """AWS says Failed, and the report says why."""
    told = sent(bare, instance_id, "0" * 64)

    assert (told["Status"], told["ResponseCode"]) == ("Failed", 20)
    assert "was asked for" in json.loads(told["StandardOutputContent"].splitlines()[-1])["reason"]


def step(*lines: str, **other: Any) -> dict[str, Any]:  # noqa: ANN401 - a document's
    """Write a document with one step."""
    inputs = {"runCommand": list(lines), "timeoutSeconds": "60"} | other
    parameters = {
        "Plain": {"type": "String", "default": "plain"},
        "Safe": {"type": "String", "default": "safe", "interpolationType": "ENV_VAR"},
    }
    return {
        "schemaVersion": "2.2",
        "parameters": parameters,
        "mainSteps": [{"action": "aws:runShellScript", "name": "one", "inputs": inputs}],
    }


def test_agent_hands_parameters_over_as_the_real_one_does(bare: Router) -> None:
    """ENV_VAR is a variable from 3.3.2746.0 on; all else, and all of it before, is pasted into the script."""
    document = step('echo "[{{Plain}}] [{{ Safe }}] [${SSM_Safe-none}]"', "echo $AWS_SSM_REGION_NAME $HOME")
    values = {"Safe": ["$(echo injected)"]}

    new = bare.agent.perform(document, values)
    bare.agent.version = "3.3.2299.0"
    old = bare.agent.perform(document, values)
    bare.agent.version = "3.3.2746.0"

    assert new.stdout == "[plain] [{{ Safe }}] [$(echo injected)]\neu-west-1\n"
    assert old.stdout == "[plain] [injected] [none]\neu-west-1\n"


def test_agent_cuts_output_and_kills_the_whole_process_group(bare: Router) -> None:
    """24,000 and 8,000 characters are kept; a script that takes too long dies with all that it started."""
    loud = bare.agent.perform(step("yes | head -c 50000", "yes | head -c 50000 >&2", "exit 3"), {})
    slow = bare.agent.perform(step("sleep 300 & sleep 300", timeoutSeconds="1"), {})

    assert (loud.status, loud.code, len(loud.stdout), len(loud.stderr)) == ("Failed", 3, 24_000, 8_000)
    assert (slow.status, slow.code) == ("TimedOut", 137)
    assert bare.machine.shell("pgrep -c sleep", check=False).strip() == "0"


def test_agent_turns_down_what_it_does_not_know(bare: Router) -> None:
    """Another schema, a parameter that is not declared, a value of another pattern."""
    document = step("true")
    guarded = {**document, "parameters": {"Safe": {"type": "String", "allowedPattern": "^[a-z]+$"}}}

    for wrong, values in (
        ({**document, "schemaVersion": "1.2"}, {}),
        (document, {"Other": ["x"]}),
        (guarded, {"Safe": ["a b"]}),
        (guarded, {}),
    ):
        with pytest.raises(Invalid):
            bare.agent.perform(wrong, values)
