"""The agent stand-in: commands reach it through Systems Manager, and end as AWS would have them end."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.core.tunnel.bundle import seal
from chalicelib.core.tunnel.documents import CONFIGURE, INSPECT
from tests.router_os.agent import Invalid, _limit
from tests.router_os.router import PATH, bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.router_os.router import Router


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


def test_agent_cuts_output_and_adds_its_own_word_to_a_failure(bare: Router) -> None:
    """24,000 characters of each stream are kept, and a failure that is short enough ends with one more line."""
    loud = bare.agent.perform(step("yes | head -c 50000", "yes | head -c 50000 >&2", "exit 3"), {})
    short = bare.agent.perform(step("echo no >&2", "exit 3"), {})

    assert (loud.status, loud.code, len(loud.stdout), len(loud.stderr)) == ("Failed", 3, 24_000, 24_000)
    assert (short.stdout, short.stderr) == ("", "no\nfailed to run commands: exit status 3\n")


def test_agent_kills_the_whole_process_group_when_the_time_is_up(bare: Router) -> None:
    """A script that takes too long dies with all that it started; what it said until then is kept."""
    slow = bare.agent.perform(step("echo begun; sleep 300 & sleep 300", timeoutSeconds="5"), {})

    assert (slow.status, slow.code, slow.stdout, slow.stderr) == ("TimedOut", 137, "begun\n", "")
    assert bare.machine.shell("pgrep -c sleep", check=False).strip() == "0"


def test_script_that_ended_is_waited_for_while_a_child_holds_its_output(bare: Router) -> None:
    """It exited 0, and is called timed out: whoever leaves a child behind must take the output from it."""
    held = bare.agent.perform(step("echo done; sleep 300 & exit 0", timeoutSeconds="5"), {})
    freed = bare.agent.perform(step("echo done; sleep 300 >/dev/null 2>&1 & exit 0", timeoutSeconds="5"), {})
    away = bare.agent.perform(step("echo done; setsid sleep 300 & exit 0", timeoutSeconds="5"), {})

    assert (held.status, held.code, held.stdout) == ("TimedOut", 137, "done\n")
    assert (freed.status, freed.code, freed.stdout) == ("Success", 0, "done\n")
    assert (away.status, away.code) == ("Failed", 1)
    assert away.stderr == "failed to run commands: no such process\n"
    bare.machine.shell("pkill sleep")


@pytest.mark.parametrize(
    ("declared", "means"),
    [("4", 3600), ("5", 5), ("60.9", 60), ("172801", 3600), ("soon", 3600), ("", 3600), (60, 60)],
)
def test_agent_takes_a_time_that_it_does_not_like_for_an_hour(declared: object, means: int) -> None:
    """A document that asks for three seconds runs for an hour."""
    assert _limit(step("true", timeoutSeconds=declared)["mainSteps"][0]) == means


def test_agent_drops_a_parameter_that_the_document_does_not_declare(bare: Router) -> None:
    """Neither a variable nor pasted: who misspells a parameter gets its default."""
    ended = bare.agent.perform(step('echo "${SSM_Other-none} {{Other}}"'), {"Other": ["x"]})

    assert ended.stdout == "none {{Other}}\n"


def test_agent_turns_down_what_it_does_not_know(bare: Router) -> None:
    """Another schema, a value of another pattern, a parameter without a value."""
    document = step("true")
    guarded = {**document, "parameters": {"Safe": {"type": "String", "allowedPattern": "^[a-z]+$"}}}

    for wrong, values in (
        ({**document, "schemaVersion": "1.2"}, {}),
        (guarded, {"Safe": ["a b"]}),
        (guarded, {}),
    ):
        with pytest.raises(Invalid):
            bare.agent.perform(wrong, values)


def test_tool_that_leaves_a_child_behind_holds_up_no_document(bare: Router) -> None:
    """Its output is not the script's, so the script ends for the agent when it ends."""
    wrapper = '#!/bin/sh\nsleep 300 &\nexec /usr/bin/openssl "$@"\n'
    bare.machine.write("/usr/local/sbin/openssl", wrapper)
    bare.machine.shell("chmod 755 /usr/local/sbin/openssl")

    ended = bare.agent.perform(bare.documents[INSPECT], {})

    assert (ended.status, ended.code, ended.stderr) == ("Success", 0, "")
    assert bare.machine.shell("pgrep -c sleep; pkill sleep; rm /usr/local/sbin/openssl").strip() != "0"
