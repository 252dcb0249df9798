"""A command's life, as Systems Manager keeps it: the command, its invocation on each node, and their steps.

Sources: `fake_aws.nodes` names them.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import events
from .reality import aws

if TYPE_CHECKING:
    from .nodes import Node

STDOUT, STDERR = 24_000, 8_000
"""Characters of output that GetCommandInvocation gives."""
TERMINAL = frozenset({"Success", "Failed", "TimedOut", "Cancelled"})


def now() -> dt.datetime:
    """Return the time, as AWS stamps things with it."""
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
        """Return a step by its name."""
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
