"""The push under every kind of trouble: when it ends, every router has what is declared, and no rule was broken on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.controller import Ports, Request, reconcile
from chalicelib.core.errors import ObservationError, PushError
from chalicelib.core.machines.machine import PATIENCE, Agent, Invocation, Order
from chalicelib.core.machines.readiness import wanted
from chalicelib.core.network.topology import Limits
from tests.builders import ROUTER, STANDBY, TUNNEL, instance, seen, standby, topology
from tests.core.model import Model
from tests.fakes import InPlace, Scene
from tests.histories import remembered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from chalicelib.core.network.change import PushConfig
    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology
    from tests.fakes import FakeClock

MINUTE = timedelta(minutes=1)
Trouble: TypeAlias = Literal[
    "none", "deaf", "denied", "undelivered", "unanswered", "refusing", "rolling back"
]
TROUBLES: tuple[Trouble, ...] = (
    "none",
    "none",
    "deaf",
    "denied",
    "undelivered",
    "unanswered",
    "refusing",
    "rolling back",
)
WITHIN = 300


@dataclass
class Router:
    """One router's operating system: what is in force, what it would go back to and when, and what it gave up."""

    digest: str | None = None
    drift: tuple[str, ...] = ()
    before: tuple[str | None, tuple[str, ...]] = (None, ())
    until: datetime | None = None
    gave_up: str | None = None
    spoken: bool = False
    busy: datetime | None = None

    def at(self, now: datetime) -> None:
        """Go back, when it is time and nobody has confirmed."""
        if self.until and now >= self.until:
            new, (self.digest, self.drift), self.until = self.digest, self.before, None
            self.gave_up = new if new != self.digest else None

    def has(self, digest: str) -> bool:
        """Say whether a push of this would change nothing."""
        return self.digest == digest and not self.drift

    def word(self, **more: object) -> str:
        """Say how it stands."""
        self.spoken = True
        said = {
            "mooring": 1,
            "digest": self.digest,
            "drift": self.drift,
            "forwarding": not self.drift,
            "pending": self.digest if self.until else None,
        }
        return json.dumps(said | more)


@dataclass
class Routers:
    """The machines port: routers that answer at once, in trouble or not; `broken` names the rules that were broken."""

    clock: FakeClock
    known: dict[str, Router] = field(default_factory=lambda: {i: Router() for i in (ROUTER, STANDBY)})
    trouble: Trouble = "none"
    ordered: bool = False
    paused: bool = False
    answers: dict[str, Invocation] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    commands: bool = True

    def agents(self, _: Topology) -> dict[str, Agent]:
        """All are online."""
        if self.trouble == "deaf":
            raise ObservationError("ssm:DescribeInstanceInformation failed: InternalServerError")
        return {instance_id: Agent(online=True) for instance_id in self.known}

    def certificate(self, _: Topology) -> None:
        """No secrets are stored: their renewal has tests of its own."""

    def answer(self, command_id: str, instance_id: str) -> Invocation | None:
        """Give what a command brought, if it brought anything."""
        if self.trouble == "deaf":
            raise ObservationError("ssm:GetCommandInvocation failed: InternalServerError")
        found = self.answers.get(f"{command_id} {instance_id}")
        if found:
            self.known[instance_id].busy = None
        return found

    def push(self, _: Topology, change: PushConfig) -> str:
        """Have a router take a configuration; the rules of when one may be sent are judged here."""
        router, now = self.known[change.instance_id], self.clock.now()
        router.at(now)
        self._judge(router, change, now)
        command_id = self._send("push")
        router.busy = now
        if self.trouble == "undelivered":
            return command_id
        result = {"refusing": "refused", "rolling back": "rolled-back"}.get(self.trouble, "applied")
        if router.until:  # what waits goes on waiting (chalicelib/on_router/agent/configure.py)
            result = "pending" if router.digest == change.bundle.digest else "refused"
        elif result == "applied" and router.has(change.bundle.digest):
            result = "unchanged"
        elif result == "applied":
            router.before = router.digest, router.drift
            router.digest, router.drift, router.until = change.bundle.digest, (), None
            if change.confirm_within:
                result, router.until = "pending", now + timedelta(seconds=change.confirm_within)
        if self.trouble != "unanswered":
            status = "Failed" if result in ("refused", "rolled-back") else "Success"
            word = router.word(result=result, reason="a test")
            self.answers[f"{command_id} {change.instance_id}"] = Invocation(status, word)
        return command_id

    def inspect(self, instance_ids: Sequence[str]) -> str:
        """Ask routers how they stand."""
        command_id = self._send("inspect")
        for instance_id in instance_ids:
            router = self.known[instance_id]
            router.at(self.clock.now())
            if self.trouble not in ("undelivered", "unanswered"):
                self.answers[f"{command_id} {instance_id}"] = Invocation("Success", router.word())
        return command_id

    def confirm(self, instance_id: str, digest: str) -> str:
        """Have a router keep what is on trial."""
        if self.paused:
            self.broken.append("confirmed while paused")
        command_id, router = self._send("confirm"), self.known[instance_id]
        router.at(self.clock.now())
        if self.trouble == "undelivered":
            return command_id
        kept = router.until is not None and router.digest == digest
        router.until = None if kept else router.until
        if self.trouble != "unanswered":
            word = router.word(result="applied" if kept else "refused", reason="nothing waits")
            self.answers[f"{command_id} {instance_id}"] = Invocation("Success" if kept else "Failed", word)
        return command_id

    def _send(self, kind: str) -> str:
        if self.trouble == "denied":
            raise PushError("ssm:SendCommand failed: AccessDeniedException")
        self.sent.append(kind)
        return f"command-{len(self.sent)}"

    def _judge(self, router: Router, change: PushConfig, now: datetime) -> None:
        if self.paused:
            self.broken.append("pushed while paused")
        if router.busy and now - router.busy <= PATIENCE:
            self.broken.append(f"{change.instance_id} was pushed while its answer was awaited")
        if not self.ordered and not router.spoken:
            self.broken.append(f"{change.instance_id} was pushed before anybody had asked it")
        if not self.ordered and router.gave_up == change.bundle.digest:
            self.broken.append(f"{change.instance_id} was pushed by itself what it gave up")
        if self.ordered:
            router.gave_up = None


@dataclass(frozen=True)
class Round:
    """A while: what is the trouble, what somebody does, who is asked what, and how long it takes."""

    trouble: Trouble
    deed: Literal["nothing", "edits", "declares anew", "pauses"]
    order: Order | None
    minutes: int


orders = st.builds(
    Order,
    st.sampled_from(("push", "push", "confirm")),
    st.sampled_from((None, ROUTER, STANDBY)),
    st.sampled_from((None, WITHIN)),
).map(lambda order: replace(order, confirm_within=None) if order.kind == "confirm" else order)
rounds = st.builds(
    Round,
    st.sampled_from(TROUBLES),
    st.sampled_from(("nothing", "nothing", "edits", "declares anew", "pauses")),
    st.none() | orders,
    st.integers(1, 12),
)


def _stage() -> tuple[Scene, Routers]:
    """Give a converged network whose routers nobody has asked yet."""
    declared = topology(tunnel=TUNNEL, limits=Limits(moves_per_hour=100))
    scene = Scene(declared, Model.of(seen(declared, instance(), standby())))
    scene.journal.histories[declared.name] = remembered(declared)
    return scene, Routers(scene.clock)


def _run(scene: Scene, routers: Routers, order: Order | None = None, *, after: timedelta = MINUTE) -> Report:
    scene.clock.sleep(after.total_seconds())
    routers.ordered = order is not None and order.kind == "push"
    ports = Ports(scene.network, scene.journal, scene.clock, routers, InPlace())
    return reconcile(scene.topology, ports, Request(order=order))


def _go_through(scene: Scene, routers: Routers, during: Round) -> None:
    routers.trouble = during.trouble
    routers.paused = during.deed == "pauses"
    scene.topology = replace(scene.topology, paused=routers.paused)
    if during.deed == "edits":
        routers.known[ROUTER].drift = ("a rule was deleted",)
    if during.deed == "declares anew" and scene.topology.tunnel:
        tunnel = replace(scene.topology.tunnel, port=scene.topology.tunnel.port + 1)
        scene.topology = replace(scene.topology, tunnel=tunnel)
    _run(scene, routers, during.order)
    for _ in range(during.minutes):
        _run(scene, routers)


@given(trouble=st.lists(rounds, min_size=2, max_size=6))
def test_trouble_that_ends_leaves_every_router_as_declared(trouble: list[Round]) -> None:
    """No rule is broken meanwhile; then an operator's push, if one was given up, and time, and all are as declared."""
    scene, routers = _stage()
    for during in trouble:
        _go_through(scene, routers, during)
    assert routers.broken == []

    routers.trouble, routers.paused = "none", False
    scene.topology = replace(scene.topology, paused=False)
    for _ in range(8):  # whoever is still on trial gives up, whoever was sent something answers
        _run(scene, routers, after=timedelta(minutes=2))
    _run(scene, routers, Order("push"))
    report = _run(scene, routers)
    for _ in range(8):
        if report.verdict == "converged":
            break
        report = _run(scene, routers, after=timedelta(minutes=2))

    assert report.verdict == "converged", report.sentence
    observation = scene.model.observe(scene.topology, scene.clock.now())
    for instance_id, router in routers.known.items():
        bundle = wanted(
            scene.topology, observation, next(i for i in observation.instances if i.id == instance_id)
        )
        assert bundle
        assert (router.digest, router.drift, router.until) == (bundle.digest, (), None)
    pushed = routers.sent.count("push")
    for _ in range(3):
        assert _run(scene, routers).verdict == "converged"
    assert routers.sent.count("push") == pushed
    assert routers.broken == []


@given(
    trouble=st.lists(rounds.map(lambda one: replace(one, order=None)), min_size=1, max_size=5).filter(
        lambda them: all(one.trouble != "rolling back" for one in them)
    )
)
def test_trouble_that_no_operator_had_part_in_needs_none_to_end(trouble: list[Round]) -> None:
    """Only what a router gave up waits for an operator: all else is tried again, with patience, until it is as declared."""
    scene, routers = _stage()
    for during in trouble:
        _go_through(scene, routers, during)
    routers.trouble, routers.paused = "none", False
    scene.topology = replace(scene.topology, paused=False)
    for _ in range(20):
        report = _run(scene, routers, after=timedelta(minutes=2))
        if report.verdict == "converged":
            break
    assert report.verdict == "converged", report.sentence
    assert routers.broken == []
