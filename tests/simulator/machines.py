"""The machines port: routers' operating systems behind Systems Manager, whose words are true, late or lies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from chalicelib.core.errors import ObservationError, PushError
from chalicelib.core.machines.machine import Agent, Invocation
from tests.simulator.course import CODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.core.network.change import PushConfig
    from chalicelib.core.network.topology import Topology
    from tests.simulator.course import Course
    from tests.simulator.judge import Judge

Mood: TypeAlias = Literal["well", "mute", "undelivered", "late", "refusing", "rolling back", "liar"]
MOODS: tuple[Mood, ...] = ("well", "mute", "undelivered", "late", "refusing", "rolling back", "liar")
LATE = 240.0
"""Seconds that a late answer takes: more than `machine.PATIENCE`."""


@dataclass
class Box:
    """One router's operating system: what is in force, what it goes back to and when, and whether it forwards."""

    digest: str | None = None
    drift: tuple[str, ...] = ()
    before: tuple[str | None, tuple[str, ...]] = (None, ())
    until: float | None = None
    gave_up: str | None = None
    spoken: bool = False
    busy: float | None = None
    broken: bool = False
    mood: Mood = "well"
    online: bool = True

    @property
    def forwards(self) -> bool:
        """Whether it forwards, in truth."""
        return self.digest is not None and not self.drift and not self.broken

    def at(self, now: float) -> None:
        """Go back, when it is time and nobody has confirmed."""
        if self.until is not None and now >= self.until:
            new, (self.digest, self.drift), self.until = self.digest, self.before, None
            self.gave_up = new if new != self.digest else None

    def word(self, **more: object) -> str:
        """Return how it stands; a liar says the opposite of whether it forwards."""
        self.spoken = True
        said = {
            "mooring": 1,
            "digest": self.digest,
            "drift": self.drift,
            "forwarding": self.forwards != (self.mood == "liar"),
            "pending": self.digest if self.until is not None else None,
        }
        return json.dumps(said | more)


class SimulatedMachines:
    """Implements `ports.Machines`; the rules of when a machine may be sent what are judged."""

    def __init__(self, course: Course, judge: Judge) -> None:
        self._course, self._judge = course, judge
        self.boxes: dict[str, Box] = {}
        self._answers: dict[tuple[str, str], tuple[float, Invocation]] = {}
        self._sent = 0

    @property
    def commands(self) -> bool:
        """Only the deployed worker speaks to routers."""
        return self._course.running[-1].kind == "worker"

    def box(self, instance_id: str) -> Box:
        """Return an instance's operating system; a new one is bare."""
        return self.boxes.setdefault(instance_id, Box())

    def agents(self, _: Topology) -> dict[str, Agent]:
        """Read which agents are online: those of running instances, unless their box is cut off."""
        self._read("DescribeInstanceInformation")
        vpc = self._course.vpc
        return {
            i.id: Agent(online=i.state == "running" and self.box(i.id).online) for i in vpc.instances.values()
        }

    def certificate(self, _: Topology) -> None:
        """No secrets are stored."""

    def answer(self, command_id: str, instance_id: str) -> Invocation | None:
        """Read what a command brought, once it has."""
        self._read("GetCommandInvocation", instance_id)
        ready, invocation = self._answers.get((command_id, instance_id), (float("inf"), Invocation("")))
        if ready > self._course.vpc.now:
            return Invocation("InProgress") if (command_id, instance_id) in self._answers else None
        self.box(instance_id).busy = None
        self._judge.heard(instance_id, invocation.output)
        return invocation

    def push(self, _: Topology, change: PushConfig) -> str:
        """Have a router take a configuration."""
        box, now = self.box(change.instance_id), self._course.vpc.now
        box.at(now)
        command_id = self._send("push", change.instance_id)
        self._judge.pushed(self._course.running[-1], change, box)
        box.busy = now
        if box.mood in ("mute", "undelivered"):
            return command_id
        result = {"refusing": "refused", "rolling back": "rolled-back"}.get(box.mood, "applied")
        if box.until is not None:  # what waits goes on waiting (chalicelib/on_router/agent/configure.py)
            result = "pending" if box.digest == change.bundle.digest else "refused"
        elif result == "applied" and box.digest == change.bundle.digest and not box.drift:
            result = "unchanged"
        elif result == "applied":
            box.before = box.digest, box.drift
            box.digest, box.drift, box.until = change.bundle.digest, (), None
            if change.confirm_within:
                result, box.until = "pending", now + change.confirm_within
        status = "Failed" if result in ("refused", "rolled-back") else "Success"
        self._answer(command_id, change.instance_id, status, box.word(result=result, reason="a test"))
        return command_id

    def inspect(self, instance_ids: Sequence[str]) -> str:
        """Ask routers how they stand."""
        command_id = self._send("inspect", instance_ids[0])
        for instance_id in instance_ids:
            box = self.box(instance_id)
            box.at(self._course.vpc.now)
            if box.mood not in ("mute", "undelivered"):
                self._answer(command_id, instance_id, "Success", box.word())
        return command_id

    def confirm(self, instance_id: str, digest: str) -> str:
        """Have a machine keep what is on trial."""
        command_id, box = self._send("confirm", instance_id), self.box(instance_id)
        self._judge.confirmed(self._course.running[-1], instance_id)
        box.at(self._course.vpc.now)
        if box.mood in ("mute", "undelivered"):
            return command_id
        kept = box.until is not None and box.digest == digest
        box.until = None if kept else box.until
        word = box.word(result="applied" if kept else "refused", reason="nothing waits")
        self._answer(command_id, instance_id, "Success" if kept else "Failed", word)
        return command_id

    def _answer(self, command_id: str, instance_id: str, status: str, word: str) -> None:
        late = LATE if self.box(instance_id).mood == "late" else 1.0
        self._answers[command_id, instance_id] = (
            self._course.vpc.now + late,
            Invocation(status, f"some noise\n{word}\n"),
        )

    def _read(self, api: str, resource: str = "") -> None:
        run, before = self._course.running[-1], self._course.vpc.now
        kind = self._course.call(api, resource)
        run.waited += self._course.vpc.now - before
        if kind:
            raise ObservationError(f"ssm:{api} failed: {CODES[kind]}", aws_code=CODES[kind])
        self._course.done(api)

    def _send(self, what: str, instance_id: str) -> str:
        """Send a command; one whose answer is lost has been sent and is nobody's."""
        kind = self._course.call("SendCommand", instance_id)
        if kind:
            raise PushError(f"ssm:SendCommand failed: {CODES[kind]}", aws_code=CODES[kind])
        self._sent += 1
        self._course.say(f"{what} sent to {instance_id} as command-{self._sent}")
        self._course.done("SendCommand")
        return f"command-{self._sent}"
