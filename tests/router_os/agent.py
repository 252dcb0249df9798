"""Plays the SSM agent on a router: takes a command, and does with our documents what the real one does.

Sources: amazon-ssm-agent, `agent/executers/executers.go` (a process group of its own; a script has ended once its output is
closed; SIGKILL to all of the group when the time is up, exit code 137, or 1 when nobody is left in it; AWS_SSM_INSTANCE_ID and
AWS_SSM_REGION_NAME), `agent/plugins/runscript` ("failed to run commands"), `agent/plugins/pluginutil` (ValidateExecutionTimeout),
`agent/framework/docparser` (parameters by pattern, those that are not declared are dropped, `{{ name }}` replaced anywhere in a
step's inputs, preconditions), `appconfig` (24,000 characters of each stream); user guide, "Data elements and parameters"
(interpolationType ENV_VAR: SSM_<name>, from agent 3.3.2746.0 on).
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fake_aws.nodes import Node
    from tests.router_os.machine import Machine

MOST_OUTPUT = 24_000
"""Characters of either stream; Systems Manager gives fewer of stderr."""
KILLED, NOBODY_LEFT = 137, 1
SHORTEST, LONGEST, DEFAULT = 5, 172_800, 3600
"""Seconds that a step may ask for; any other number, or none, is the default."""
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
            limit = _limit(step) if kill_after is None else kill_after
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
        """Return a step's lines and variables, with the parameters where this agent puts them."""
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
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603 - our own
        streams = [_Stream(cast("IO[bytes]", stream)) for stream in (child.stdout, child.stderr)]
        # a child of the script may hold its output for longer than the script lives
        while any(stream.open for stream in streams):
            time.sleep(0.02)
            if not (cancelled() or time.monotonic() > until):
                continue
            killed = self._kill(path)
            if not killed and child.poll() is None:
                continue  # it has yet to begin
            stdout, stderr = (stream.cut() for stream in streams)
            child.wait()
            if not killed:
                return Ended("Failed", NOBODY_LEFT, stdout, _failed(stderr, "no such process"))
            return Ended("Cancelled" if cancelled() else "TimedOut", KILLED, stdout, stderr)
        code = child.wait()
        stdout, stderr = (stream.cut() for stream in streams)
        if code == KILLED:  # the agent takes it for its own
            return Ended("TimedOut", code, stdout, stderr)
        if code:
            return Ended("Failed", code, stdout, _failed(stderr, f"exit status {code}"))
        return Ended("Success", 0, stdout, stderr)

    def _kill(self, path: str) -> bool:
        """Kill the script's group; say whether anybody was in it."""
        said = self.machine.shell(f"kill -KILL -- -$(cat {path}.pid) && echo killed", check=False)
        return said == "killed\n"


class _Stream:
    """One stream of a script, read as it comes; after a cut nothing more of it counts."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self._heard = source, bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def open(self) -> bool:
        """Whether anybody can still write to it."""
        return self._reader.is_alive()

    def cut(self) -> str:
        """Return what was written so far, as much as the agent keeps."""
        return bytes(self._heard).decode(errors="replace")[:MOST_OUTPUT]

    def _read(self) -> None:
        with self._source:
            while more := os.read(self._source.fileno(), 65536):
                self._heard += more


def _limit(step: Mapping[str, Any]) -> float:
    """Return the seconds that a step may take."""
    try:
        seconds = int(float(step["inputs"].get("timeoutSeconds", DEFAULT)))
    except ValueError:
        return DEFAULT
    return seconds if SHORTEST <= seconds <= LONGEST else DEFAULT


def _failed(stderr: str, why: str) -> str:
    """Add the agent's own word to a failure."""
    return f"{stderr}failed to run commands: {why}\n"[:MOST_OUTPUT]


def _paste(name: str, value: str, line: str) -> str:
    """Put a value where a line names it, as an agent does that knows no variables."""
    return re.sub(r"\{\{\s*" + name + r"\s*\}\}", value.replace("\\", r"\\"), line)
