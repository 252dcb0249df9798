"""Managed nodes and Run Command's life cycle, as Systems Manager keeps them; and the hook for whoever plays the agent.

An instance is no node until somebody registers it. Two kinds of agent can stand behind a node:

* a scripted one, `world.agent(instance_id)` (`tests.world.agent`): it answers by itself, as the test told it;
* a stand-in of yours, for a real operating system or anything else. It registers, pulls and reports::

      node = world.register(instance_id, agent_version="3.3.2746.0")   # Online from now on
      while running:
          invocation = node.take()                 # the oldest that waits: Pending -> InProgress; None: nothing waits
          if invocation is None:
              continue                             # sleep as you like, or be woken: node.wake = event.set
          invocation.document                      # the content, parsed: schemaVersion, parameters, mainSteps
          invocation.parameters                    # name -> list of strings, defaults filled in
          invocation.command.document_name         # and document_version, timeout_seconds, command_id
          if invocation.cancelling:                # look while you work: CancelCommand wants it killed
              invocation.finish(cancelled=True)
          invocation.finish(code, stdout, stderr)  # 0 is Success, else Failed
          invocation.finish(timed_out=True)        # the step's timeoutSeconds ran out: ExecutionTimedOut
      node.fall_silent()                           # the box dies: ConnectionLost; SendCommand refuses it
      node.come_back()                             # after a reboot

  `invocation.step(name).finish(...)` reports one step of several; `finish` of the invocation ends the rest. Every
  method may be called from any thread, outside the world's lock; each status told in AWS's events as it changes.

Sources: Systems Manager user guide, "Understanding command statuses" (monitor-commands) and "Handling timeouts in runbooks
and commands"; API reference of each operation; aws.md 3.1. A command that an agent has taken and never answers ends
as DeliveryTimedOut when its total timeout does: the agent alone reports ExecutionTimedOut.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.ec2.models import ec2_backends

from tests.world import events
from tests.world.reality import aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world.agent import Agent

STDOUT, STDERR = 24_000, 8_000
"""Characters of output that GetCommandInvocation gives."""
TERMINAL = frozenset({"Success", "Failed", "TimedOut", "Cancelled"})


def now() -> dt.datetime:
    """Give the time, as AWS stamps things with it."""
    return dt.datetime.now(dt.UTC)


@dataclass(eq=False)
class Step:
    """One step of a document on one node, which AWS calls a plugin."""

    name: str
    status: str = "Pending"
    details: str = "Pending"
    code: int = -1
    stdout: str = ""
    stderr: str = ""
    began: dt.datetime | None = None
    ended: dt.datetime | None = None

    def end(self, status: str, details: str, code: int, stdout: str = "", stderr: str = "") -> None:
        """End it; output is kept as far as AWS keeps it."""
        self.status, self.details, self.code = status, details, code
        self.stdout, self.stderr = stdout[:STDOUT], stderr[:STDERR]
        self.ended = now()

    def finish(self, code: int = 0, stdout: str = "", stderr: str = "", *, timed_out: bool = False) -> None:
        """Report how it went."""
        with aws.lock:
            if timed_out:
                self.end("TimedOut", "ExecutionTimedOut", code or 137, stdout, stderr)
            else:
                status = "Failed" if code else "Success"
                self.end(status, status, code, stdout, stderr)


@dataclass(eq=False)
class Command:
    """What SendCommand asked for; times are seconds on the monotonic clock."""

    asked: dict[str, Any]
    document_name: str
    document_version: str
    document: dict[str, Any]
    parameters: dict[str, list[str]]
    timeout_seconds: int
    execution_timeout: int
    command_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    sent: dt.datetime = field(default_factory=now)
    sent_at: float = field(default_factory=time.monotonic)
    invocations: list[Invocation] = field(default_factory=list)
    told: str = "Pending"

    @property
    def total_timeout(self) -> int:
        """Seconds after which whatever has not ended is over."""
        return self.timeout_seconds + self.execution_timeout

    @property
    def expires_after(self) -> dt.datetime:
        """When that is."""
        return self.sent + dt.timedelta(seconds=self.total_timeout)

    @property
    def state(self) -> tuple[str, str]:
        """Status and details, from those of the invocations; MaxErrors is 0: one failure fails it."""
        if not self.invocations:
            return ("Success", "NoInstancesInTag")
        states = {(one.status, one.details) for one in self.invocations}
        if len(states) == 1:
            ((status, details),) = states
            return ("Pending", "Pending") if status == "Delayed" else (status, details)
        if any(status not in TERMINAL for status, _ in states):
            return ("InProgress", "InProgress")
        for worst in ("Failed", "Cancelled"):
            if worst in {status for status, _ in states}:
                return (worst, worst)
        return (
            ("Failed", "Failed")
            if ("TimedOut", "ExecutionTimedOut") in states
            else ("TimedOut", "DeliveryTimedOut")
        )

    def tell(self) -> None:
        """Emit an event if the command as a whole is in another state."""
        status, _ = self.state
        if status != self.told:
            self.told = status
            aws.bus.emit(events.command_change(aws.region, self, status))


@dataclass(eq=False)
class Invocation:
    """One command on one node."""

    command: Command
    node: Node
    steps: list[Step]
    status: str = "Pending"
    details: str = "Pending"
    unseen: int = 0
    """How many more looks say InvocationDoesNotExist."""

    @property
    def document(self) -> dict[str, Any]:
        """The document's content."""
        return self.command.document

    @property
    def parameters(self) -> dict[str, list[str]]:
        """What was sent, and the document's defaults for the rest."""
        return self.command.parameters

    @property
    def key(self) -> str:
        """Names it among all."""
        return f"{self.command.command_id} {self.node.instance_id}"

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status in TERMINAL

    @property
    def cancelling(self) -> bool:
        """Whether somebody wants it ended."""
        return self.status == "Cancelling"

    def step(self, name: str) -> Step:
        """Give a step by its name."""
        return next(step for step in self.steps if step.name == name)

    def finish(
        self,
        code: int = 0,
        stdout: str = "",
        stderr: str = "",
        *,
        timed_out: bool = False,
        cancelled: bool = False,
    ) -> None:
        """Report the result of the steps that have none yet; what comes after the end is not heard."""
        with aws.lock:
            self.conclude(code, stdout, stderr, timed_out=timed_out, cancelled=cancelled)
        aws.transitions.wake()

    def conclude(
        self,
        code: int = 0,
        stdout: str = "",
        stderr: str = "",
        *,
        timed_out: bool = False,
        cancelled: bool = False,
    ) -> None:
        """Do the same under the world's lock."""
        if self.over:
            return
        for step in self.steps:
            if step.status not in TERMINAL:
                if cancelled:
                    step.end("Cancelled", "Cancelled", code or -1)
                else:
                    step.finish(code, stdout, stderr, timed_out=timed_out)
        worst = next((step for step in self.steps if step.status != "Success"), self.steps[-1])
        self.enter(worst.status, worst.details)

    def enter(self, status: str, details: str) -> None:
        """Be in another state, and tell of it; the end of it all ends the steps too."""
        if self.over or (self.status, self.details) == (status, details):
            return
        self.status, self.details = status, details
        if status in TERMINAL:
            for step in self.steps:
                if step.status not in TERMINAL:
                    step.end(status, details, -1)
        aws.bus.emit(events.invocation_change(aws.region, self))
        self.command.tell()

    def deliver(self) -> None:
        """Hand it to the agent."""
        if self.status in {"Pending", "Delayed"}:
            for step in self.steps:
                step.status = step.details = "InProgress"
                step.began = now()
            self.enter("InProgress", "InProgress")

    def cancel(self) -> None:
        """End it at once if nobody has it yet, else ask the agent to."""
        if self.status in {"Pending", "Delayed"}:
            self.enter("Cancelled", "Cancelled")
        elif not self.over:
            self.enter("Cancelling", "Cancelling")
            if self.node.agent is not None:
                self.node.agent.stop(self)


@dataclass(eq=False)
class Node:
    """An instance whose agent has registered."""

    instance_id: str
    agent_version: str = "3.3.2746.0"
    online: bool = True
    registered: dt.datetime = field(default_factory=now)
    pinged: dt.datetime = field(default_factory=now)
    agent: Agent | None = None
    wake: Callable[[], object] = field(default=lambda: None)
    """Called when a command begins to wait, under the world's lock: set a flag in it, and no more."""

    @property
    def waiting(self) -> list[Invocation]:
        """What the agent can take, the oldest first; what was not taken in its TimeoutSeconds will never run."""
        elapsed = time.monotonic()
        return [
            one
            for one in aws.fleet.invocations()
            if one.node is self
            and one.status in {"Pending", "Delayed"}
            and elapsed - one.command.sent_at < one.command.timeout_seconds
        ]

    def take(self) -> Invocation | None:
        """Take the oldest command that waits, if this node can be reached; it is InProgress then."""
        with aws.lock:
            aws.fleet.expire(time.monotonic())
            waiting = self.waiting if self.listed and self.online else []
            for invocation in waiting[:1]:
                invocation.deliver()
        aws.transitions.wake()
        return next(iter(waiting), None)

    def fall_silent(self) -> None:
        """Send no more heartbeats: ConnectionLost."""
        self.online = False

    def come_back(self) -> None:
        """Send heartbeats again."""
        self.online, self.pinged = True, now()

    @property
    def listed(self) -> bool:
        """Whether its instance runs: a stopped or terminated one is no node that SSM knows of (aws.md 3.1)."""
        instance = _instance(self.instance_id)
        return instance is not None and instance.state == "running"

    @property
    def described(self) -> dict[str, Any]:
        """What DescribeInstanceInformation says of it."""
        instance = _instance(self.instance_id)
        return {
            "InstanceId": self.instance_id,
            "PingStatus": "Online" if self.online else "ConnectionLost",
            "LastPingDateTime": self.pinged,
            "AgentVersion": self.agent_version,
            "IsLatestVersion": False,
            "PlatformType": "Linux",
            "PlatformName": "Amazon Linux",
            "PlatformVersion": "2023",
            "ResourceType": "EC2Instance",
            "IPAddress": instance.private_ip,
            "ComputerName": instance.private_dns_name,
        }

    @property
    def tags(self) -> dict[str, str]:
        """The instance's tags."""
        backend = ec2_backends[aws.account_id][aws.region]
        return {
            tag["key"]: tag["value"] for tag in backend.describe_tags({"resource-id": [self.instance_id]})
        }


def _instance(instance_id: str) -> Any:  # noqa: ANN401 - moto's own
    backend = ec2_backends[aws.account_id][aws.region]
    return next((one for one in backend.all_instances() if one.id == instance_id), None)


@dataclass
class Fleet:
    """Every node and every command of this region."""

    nodes: dict[str, Node] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    invocation_lag: int = 1

    def register(self, instance_id: str, agent_version: str) -> Node:
        """Make a node of an instance that runs; one that was a node before registers anew."""
        instance = _instance(instance_id)
        if instance is None or instance.state != "running":
            raise LookupError(f"{instance_id} does not run, so no agent can register it")
        self.nodes[instance_id] = node = Node(instance_id, agent_version)
        return node

    def invocations(self) -> Iterator[Invocation]:
        """Give every invocation, the oldest first."""
        return (one for command in self.commands.values() for one in command.invocations)

    def send(self, command: Command, instance_ids: list[str]) -> None:
        """Have a command wait for its nodes' agents."""
        self.commands[command.command_id] = command
        names = [step["name"] for step in command.document["mainSteps"]]
        for instance_id in instance_ids:
            node = self.nodes[instance_id]
            invocation = Invocation(command, node, [Step(name) for name in names], unseen=self.invocation_lag)
            command.invocations.append(invocation)
            if node.agent is not None:
                node.agent.expect(invocation)
            node.wake()
        command.tell()

    def expire(self, moment: float) -> int:
        """End what is over its total timeout, and say how many."""
        late = [one for one in self.invocations() if not one.over]
        late = [one for one in late if one.command.sent_at + one.command.total_timeout <= moment]
        for one in late:
            one.enter("TimedOut", "DeliveryTimedOut")
        return len(late)

    def reset(self) -> None:
        """Forget everything."""
        self.nodes.clear()
        self.commands.clear()
        self.invocation_lag = 1
