"""Plays the SSM agent on a router: takes a command, and does with our documents what the real one does.

Sources: amazon-ssm-agent, `agent/executers/executers.go` (a process group of its own, SIGKILL to all of it when the time
is up, exit code 137; AWS_SSM_INSTANCE_ID and AWS_SSM_REGION_NAME), `agent/framework/docparser` (parameters by pattern,
`{{ name }}` replaced anywhere in a step's inputs, preconditions), `appconfig` (24,000 and 8,000 characters of output); user guide,
"Data elements and parameters" (interpolationType ENV_VAR: SSM_<name>, from agent 3.3.2746.0 on).
"""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.box.machine import Machine
    from tests.world.nodes import Node

STDOUT, STDERR = 24_000, 8_000
KILLED = 137
KNOWS_VARIABLES = (3, 3, 2746, 0)
_PLACE = "/var/lib/amazon/ssm/orchestration"


class Invalid(Exception):  # noqa: N818 - it is the document or its parameters that are
    """What the agent turns down before it runs anything."""


@dataclass(frozen=True)
class Ended:
    """How a document ended, as GetCommandInvocation tells."""

    status: str
    code: int
    stdout: str = ""
    stderr: str = ""


@dataclass
class Agent:
    """One router's agent."""

    machine: Machine
    instance_id: str = "i-0123456789abcdef0"
    region: str = "eu-west-1"
    version: str = "3.3.2746.0"
    commands: int = field(default=0, init=False)

    def perform(
        self,
        document: Mapping[str, Any],
        parameters: Mapping[str, list[str]],
        kill_after: float | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Ended:
        """Run a document's steps, one after the other until one fails.

        Args:
            document: its content, schema 2.2.
            parameters: name -> values, as SendCommand takes them.
            kill_after: seconds after which somebody kills it, sooner than the document's own timeout would.
            cancelled: says whether somebody wants it ended.

        Raises:
            Invalid: the document or its parameters are not what this agent runs.
        """
        if document.get("schemaVersion") != "2.2":
            raise Invalid(f"schema {document.get('schemaVersion')}")
        values = self._values(document.get("parameters", {}), parameters)
        ended = Ended("Success", 0)
        for step in document["mainSteps"]:
            if not self._applies(step):
                continue
            lines, variables = self._filled(step, document.get("parameters", {}), values)
            limit = int(step["inputs"].get("timeoutSeconds", "3600")) if kill_after is None else kill_after
            ended = self._script(lines, variables, limit, cancelled)
            if ended.status != "Success":
                break
        return ended

    def serve(self, node: Node, over: threading.Event) -> None:
        """Take the commands that wait for a node, perform each, and report it, until it is over."""
        woken = threading.Event()
        node.wake = woken.set
        while not over.is_set():
            invocation = node.take()
            if invocation is None:
                woken.wait(0.2)
                woken.clear()
                continue
            cancelling = functools.partial(getattr, invocation, "cancelling")
            try:
                ended = self.perform(invocation.document, invocation.parameters, cancelled=cancelling)
            except Invalid as error:
                ended = Ended("Failed", 1, "", str(error))
            timed_out, cancelled = ended.status == "TimedOut", ended.status == "Cancelled"
            invocation.finish(
                ended.code, ended.stdout, ended.stderr, timed_out=timed_out, cancelled=cancelled
            )

    def _values(self, declared: Mapping[str, Any], given: Mapping[str, list[str]]) -> dict[str, str]:
        if unknown := set(given) - set(declared):
            raise Invalid(f"no such parameter: {', '.join(sorted(unknown))}")
        values = {}
        for name, parameter in declared.items():
            if name not in given and "default" not in parameter:
                raise Invalid(f"parameter {name} is missing")
            value = given[name][0] if name in given else str(parameter["default"])
            if not re.search(parameter.get("allowedPattern", ""), value):
                raise Invalid(f"parameter {name} does not match its pattern")
            values[name] = value
        return values

    def _applies(self, step: Mapping[str, Any]) -> bool:
        known, wanted = step.get("precondition", {}).get("StringEquals", ["Linux", "Linux"])
        return wanted == "Linux" if known in ("platformType", "Linux") else False

    def _filled(
        self, step: Mapping[str, Any], declared: Mapping[str, Any], values: Mapping[str, str]
    ) -> tuple[list[str], dict[str, str]]:
        """Give a step's lines and variables, with the parameters where this agent puts them."""
        if step["action"] != "aws:runShellScript":
            raise Invalid(f"action {step['action']}")
        variables = {"AWS_SSM_INSTANCE_ID": self.instance_id, "AWS_SSM_REGION_NAME": self.region}
        lines = list(step["inputs"]["runCommand"])
        for name, value in values.items():
            if declared[name].get("interpolationType") == "ENV_VAR" and self._version >= KNOWS_VARIABLES:
                variables[f"SSM_{name}"] = value
            else:
                lines = [_paste(name, value, line) for line in lines]
        return lines, variables

    @property
    def _version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))

    def _script(
        self, lines: list[str], variables: Mapping[str, str], limit: float, cancelled: Callable[[], bool]
    ) -> Ended:
        """Write the script to disk and run it as the leader of a process group of its own."""
        self.commands += 1
        path = f"{_PLACE}/{self.commands}/_script.sh"
        self.machine.write(path, "\n".join(lines) + "\n")
        self.machine.run("chmod", "700", path)
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        # a service has no HOME, and systemd's PATH
        clean = "env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
        leader = f"echo $$ >{path}.pid; exec {clean} {exports} sh -c {path}"
        words = self.machine.inside("setsid", "--wait", "sh", "-c", leader)
        until = time.monotonic() + limit
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own
        killed: str | None = None
        while True:
            try:
                stdout, stderr = child.communicate(timeout=0.05)
                break
            except subprocess.TimeoutExpired:
                if killed is None and (cancelled() or time.monotonic() > until):
                    killed = "Cancelled" if cancelled() else "TimedOut"
                    self._kill(path)
        code = KILLED if killed and child.returncode else child.returncode
        status = killed if killed and code else "Failed" if code else "Success"
        return Ended(status, code, stdout[:STDOUT], stderr[:STDERR])

    def _kill(self, path: str) -> None:
        self.machine.run("bash", "-c", f"kill -KILL -- -$(cat {path}.pid)", check=False)


def _paste(name: str, value: str, line: str) -> str:
    """Put a value where a line names it, as an agent does that knows no variables."""
    return re.sub(r"\{\{\s*" + name + r"\s*\}\}", value.replace("\\", r"\\"), line)
