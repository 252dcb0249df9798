"""Managed nodes and Run Command's life cycle, as Systems Manager keeps them; and the hook for whoever plays the agent.

An instance is no node until somebody registers it. Two kinds of agent can stand behind a node:

* a scripted one, `world.agent(instance_id)` (`fake_aws.agent`): it answers by itself, as the test told it;
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

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.ec2.models import ec2_backends

from .commands import Command, Invocation, Step, now
from .reality import aws

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from .agent import Agent


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
        """Make a node of an instance that runs; one that was a node before is the same, back again."""
        instance = _instance(instance_id)
        if instance is None or instance.state != "running":
            raise LookupError(f"{instance_id} does not run, so no agent can register it")
        node = self.nodes.setdefault(instance_id, Node(instance_id))
        node.agent_version = agent_version
        node.come_back()
        return node

    def invocations(self) -> Iterator[Invocation]:
        """Return every invocation, the oldest first."""
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
