"""Decides which candidate is sent its configuration, and when: drift on a machine is drift like any other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.core.errors import UnsafePlan
from chalicelib.core.machines.readiness import box_of
from chalicelib.core.network.advice import create_tags
from chalicelib.core.network.candidates import candidates
from chalicelib.core.network.change import PushConfig, short
from chalicelib.core.network.plan import Plan
from chalicelib.core.request import Request
from chalicelib.core.tunnel.render import render

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from chalicelib.core.machines.machine import Inspection, Machine, Provisional
    from chalicelib.core.network.election import Election
    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Instance, Observation
    from chalicelib.core.network.topology import Topology
    from chalicelib.core.tunnel.render import Box, Bundle

SETTLES = timedelta(minutes=10)
"""How long a machine may take from its launch until its SSM agent is online, before that is a problem."""

ROUTER_TAG = "mooring:router"
"""What the worker's role asks of every instance it commands; any value will do (.chalice/policy-reconcile.json)."""

INSPECTED = timedelta(minutes=5)
"""How often a machine is asked how it stands."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    why: str


def plan_pushes(
    topology: Topology,
    observation: Observation,
    history: History,
    election: Election,
    request: Request = Request(),  # noqa: B008 - immutable
) -> Plan[PushConfig]:
    """Compare what every candidate should have with what it said it has; the same arguments always give the same plan.

    Standbys are pushed before they are needed. What is declared anew waits, on the current router alone, for the
    declared change window; what nobody declared (no configuration, drift) and what an operator asks for does not wait.
    """
    if topology.tunnel is None:
        return Plan()
    if observation.agents is None:
        return Plan(problems=(f"no machine can be configured or asked: {observation.unheard}",))
    steps: list[PushConfig | _Waiting | str] = []
    for instance in candidates(topology, observation):
        box = box_of(topology, observation, instance)
        if instance.state == "running" and box:
            current = election.router is not None and instance.id == election.router.id
            seat = _Seat(topology, observation, instance, box, render(topology, box), current=current)
            steps += _step(seat, history, request)
    return Plan(
        tuple(step for step in steps if isinstance(step, PushConfig)),
        tuple(step for step in steps if isinstance(step, str)),
        tuple(step.why for step in steps if isinstance(step, _Waiting)),
    )


def check(topology: Topology, observation: Observation, history: History, request: Request) -> None:
    """See that what an operator asks of machines can be done.

    Raises:
        UnsafePlan: no tunnel is declared, the machine named is no candidate, or nothing waits for a confirmation.
    """
    if topology.tunnel is None:
        raise UnsafePlan(
            f"{topology.name} declares no tunnel, so its machines are not Mooring's to configure",
            hint="declare [tunnel] first",
        )
    names = {candidate.id for candidate in candidates(topology, observation)}
    if request.to is not None and request.to not in names:
        raise UnsafePlan(
            f"{request.to} is no candidate of {topology.name}", hint=f"candidates: {', '.join(names)}"
        )
    if request.action == "confirm" and not awaiting(history, request):
        raise UnsafePlan(
            "no configuration waits for a confirmation", hint="`mooring status` tells what is in force"
        )


def awaiting(history: History, request: Request) -> list[tuple[str, Provisional]]:
    """List the machines whose configuration a request confirms."""
    return [
        (m.instance_id, m.provisional)
        for m in history.machines
        if m.provisional and request.covers(m.instance_id) and not (m.command and m.command.kind == "push")
    ]


def relevant(topology: Topology, observation: Observation, history: History) -> History:
    """Return the history without what is past: machines that are gone or no longer ours, pushes of what nobody declares now."""
    history = history.surviving(observation)
    if topology.tunnel is None:
        return replace(history, machines=()) if history.machines else history
    for machine in history.machines:
        instance = observation.instance(machine.instance_id) if machine.failed else None
        box = box_of(topology, observation, instance) if instance else None
        if box and machine.failed and machine.failed.digest != render(topology, box).digest:
            history = history.knows(replace(machine, failed=None))
    return history


def due(topology: Topology, observation: Observation, history: History) -> list[str]:
    """List the running candidates to be asked how they stand: online, not busy, and not heard of for a while.

    One whose configuration is provisional is asked again as soon as its time is over.
    """
    if topology.tunnel is None:
        return []
    now, found = observation.taken_at, []
    for instance in candidates(topology, observation):
        machine, agent = history.machine(instance.id), (observation.agents or {}).get(instance.id)
        reached = instance.state == "running" and ROUTER_TAG in instance.tags
        if not reached or agent is None or not agent.online or machine.command:
            continue
        word, provisional = _word(machine, instance), machine.provisional
        over = provisional is not None and word is not None and word.at < provisional.until <= now
        if word is None or now - word.at >= INSPECTED or over:
            found.append(instance.id)
    return found


@dataclass(frozen=True, slots=True)
class _Seat:
    """A running candidate: where it sits and what it should have."""

    topology: Topology
    observation: Observation
    instance: Instance
    box: Box
    bundle: Bundle
    current: bool


def _step(seat: _Seat, history: History, request: Request) -> Iterator[PushConfig | _Waiting | str]:
    machine = history.machine(seat.instance.id)
    asked = request.action == "push" and request.covers(seat.instance.id)
    word, now = _word(machine, seat.instance), seat.observation.taken_at
    for stopping in word.hooks if word else ():
        yield f"{seat.instance.id} does not carry all of it: {stopping}; Mooring leaves other people's rules alone"
    if machine.command and machine.command.kind == "push":
        yield _Waiting(
            f"{seat.instance.id} has been sent {short(machine.command.digest)}; its answer is awaited"
        )
    elif (away := _away(seat)) is not None:
        yield away
    elif asked:
        yield _push(seat, word, "an operator asked for it", request.confirm_within)
    elif word is None:
        yield _mute(machine, now) or _Waiting(f"{seat.instance.id} has yet to say how it stands")
    elif machine.provisional and now < machine.provisional.until + INSPECTED:
        until, ask = f"{machine.provisional.until:%H:%M} UTC", f"`mooring confirm {seat.topology.name}`"
        yield _Waiting(f"{seat.instance.id} goes back by {until} unless somebody confirms: {ask}")
    elif machine.fresh(now) is None:
        yield (
            _mute(machine, now)
            or f"{seat.instance.id} has not said how it stands since {word.at:%H:%M} UTC, though its agent is online"
        )
    elif (reason := _reason(seat, machine, word)) is not None:
        yield _held(seat, machine, word) or _push(seat, word, reason)


def _word(machine: Machine, instance: Instance) -> Inspection | None:
    """Return a machine's word on itself; one from before it was started last tells of another life."""
    word = machine.inspection
    return None if word is None or word.at < instance.launched_at else word


def _mute(machine: Machine, now: datetime) -> str | None:
    """Name a machine that has been asked how it stands for a while and does not say."""
    if machine.unresponsive is None or now - machine.unresponsive.since <= SETTLES:
        return None
    since, why = machine.unresponsive.since, machine.unresponsive.why
    return f"{machine.instance_id} does not say how it stands, asked since {since:%H:%M} UTC: {why}"


def _away(seat: _Seat) -> _Waiting | str | None:
    """Name a machine that Systems Manager cannot reach: a young one is waited for."""
    if ROUTER_TAG not in seat.instance.tags:
        tag = create_tags([seat.instance.id], seat.topology.name, ROUTER_TAG)
        return f"no command may reach {seat.instance.id} without the tag {ROUTER_TAG}: {tag}"
    agent = (seat.observation.agents or {}).get(seat.instance.id)
    if agent and agent.online:
        return None
    if agent:
        return f"{seat.instance.id} is out of Systems Manager's reach: its agent has stopped answering"
    if seat.observation.taken_at - seat.instance.launched_at < SETTLES:
        return _Waiting(f"{seat.instance.id} runs, and its SSM agent is not online yet")
    return f"{seat.instance.id} has no SSM agent online, so it cannot be configured"


def _reason(seat: _Seat, machine: Machine, word: Inspection) -> str | None:
    if word.drift:
        more = f", and {len(word.drift) - 1} more" if len(word.drift) > 1 else ""
        return f"somebody changed the machine: {word.drift[0]}{more}"
    if word.digest is None:
        return "it has no configuration yet"
    if word.digest != seat.bundle.digest:
        return f"{short(word.digest)} is not the declared one"
    stored = seat.observation.certificate
    if stored and (machine.secrets != stored.digest if machine.secrets else word.expires != stored.expires):
        return (
            f"other secrets are stored than it has; their certificate is good until {stored.expires:%Y-%m-%d}"
        )
    return None


def _held(seat: _Seat, machine: Machine, word: Inspection) -> _Waiting | str | None:
    """Return what keeps a push back: one that failed before, or the change window."""
    failed, now = machine.failed, seat.observation.taken_at
    stored = seat.observation.certificate.digest if seat.observation.certificate else None
    if (
        failed
        and failed.digest == seat.bundle.digest
        and (stored is None or failed.secrets in (None, stored))  # not to know which they were is no leave
        and (failed.again_at is None or now < failed.again_at)
    ):
        ask = f"`mooring push {seat.topology.name} --to {machine.instance_id}` tries again"
        again = f"the next try is at {failed.again_at:%H:%M} UTC" if failed.again_at else ask
        return f"{machine.instance_id} did not take {short(failed.digest)}: {failed.reason}; {again}"
    window = seat.topology.tunnel and seat.topology.tunnel.change_window
    declared_anew = word.digest is not None and not word.drift
    if seat.current and window and declared_anew and not window.contains(now):
        return _Waiting(
            f"{machine.instance_id} is given {short(seat.bundle.digest)} in the change window {window}"
        )
    return None


def _push(seat: _Seat, word: Inspection | None, reason: str, confirm_within: int | None = None) -> PushConfig:
    was = word.digest if word else None
    return PushConfig(
        seat.instance.id, str(seat.box.private_address), seat.bundle, was, reason, confirm_within
    )
