"""Speaks to machines by Run Command: asks what became of commands, sends pushes and inspections, and never waits for a machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chalicelib.core.errors import ControllerError, ObservationError, PushError
from chalicelib.core.machines.lifecycle import hear
from chalicelib.core.machines.machine import Command, Machine
from chalicelib.core.machines.rollout import awaiting, due
from chalicelib.core.network.report import Blocked, Failure

if TYPE_CHECKING:
    from concurrent.futures import Future
    from datetime import datetime

    from chalicelib.controller.ports import Clock, Machines
    from chalicelib.core.machines.certificate import CertificateRecord
    from chalicelib.core.machines.machine import Agent
    from chalicelib.core.network.change import PushConfig
    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.topology import Topology
    from chalicelib.core.request import Request


@dataclass(frozen=True, slots=True)
class Words:
    """What could be learned of machines: their agents, the record of the stored secrets, and what they answered.

    `unheard` says why the first two are not known, `unread` why some answers are not.
    """

    agents: dict[str, Agent] | None = None
    certificate: CertificateRecord | None = None
    unheard: str = ""
    learned: tuple[Machine, ...] = ()
    unread: str = ""

    def told(self, observation: Observation, history: History) -> tuple[Observation, History]:
        """Return a snapshot and a history with all this in them."""
        said = (self.agents, self.certificate, self.unheard)
        if said != (observation.agents, observation.certificate, observation.unheard):
            observation = replace(
                observation, agents=self.agents, certificate=self.certificate, unheard=self.unheard
            )
        return observation, history.learned(self.learned)


def listen(topology: Topology, machines: Machines, remembered: Future[History], clock: Clock) -> Words:
    """Ask after the candidates' agents, the stored secrets and every command on its way, as far as it can be known.

    What could not be read stops no repair of the network, and a later run learns it; nothing is asked where no tunnel is
    declared.
    """
    if topology.tunnel is None:
        return Words()
    try:
        words = Words(machines.agents(topology), machines.certificate(topology))
    except ObservationError as error:
        words = Words(unheard=error.message)
    try:
        history = remembered.result()
    except ControllerError:  # whoever looks at the network says so
        return words
    return _heard_all(words, history, machines, clock)


def _heard_all(words: Words, history: History, machines: Machines, clock: Clock) -> Words:
    """Read what became of every command; the first that cannot be had is the last that is asked for: time is short."""
    learned: list[Machine] = []
    for machine in history.machines:
        if machine.command is None:
            continue
        try:
            learned.append(_heard(machine, machines, clock.now()))
        except ObservationError as error:
            unread = f"what {machine.instance_id} answered could not be read: {error.message}"
            return replace(words, learned=tuple(learned), unread=unread)
    return replace(words, learned=tuple(learned))


def _heard(machine: Machine, machines: Machines, now: datetime) -> Machine:
    if machine.command is None:
        return machine
    return hear(machine, machines.answer(machine.command.id, machine.instance_id), now)


def push(
    topology: Topology,
    machines: Machines,
    change: PushConfig,
    history: History,
    observation: Observation,
    now: datetime,
) -> tuple[History, Failure | None]:
    """Send a push; return the history with the command that was sent, and why it was not, if it was not."""
    secrets = observation.certificate.digest if observation.certificate else None
    machine = history.machine(change.instance_id)
    command = Command("", "push", now, change.bundle.digest, change.confirm_within, secrets)
    if not machines.commands:
        return history, Blocked("only the deployed worker speaks to routers")
    try:
        sent = replace(command, id=machines.push(topology, change))
    except PushError as error:
        failure = Failure(error.aws_code or error.code, error.message, error.retryable)
        return history.knows(machine.refused(command, error.message, now)), failure
    return history.knows(machine.asked(sent)), None


def ask(
    topology: Topology, machines: Machines, observation: Observation, history: History, request: Request
) -> tuple[History, ControllerError | None]:
    """Send the confirmation that was ordered, and an inspection to every machine that is due; at worst a later run does."""
    if not machines.commands:
        return history, None
    now, failed = observation.taken_at, None
    for instance_id, provisional in awaiting(history, request) if request.action == "confirm" else ():
        try:
            command = Command(
                machines.confirm(instance_id, provisional.digest), "confirm", now, provisional.digest
            )
            history = history.knows(history.machine(instance_id).asked(command))
        except PushError as error:
            failed = error
    asked = [history.machine(instance_id) for instance_id in due(topology, observation, history)]
    if asked:
        try:
            command = Command(machines.inspect([machine.instance_id for machine in asked]), "inspect", now)
            history = history.learned([machine.asked(command) for machine in asked])
        except PushError as error:
            failed = failed or error
            history = history.learned([machine.silent(error.message, now) for machine in asked])
    return history, failed
