"""Runs errands to machines: asks what became of commands, sends pushes and inspections, and never waits for a machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from chalicelib.core.errors import ControllerError, ObservationError, PushError
from chalicelib.core.machine import Command, Machine
from chalicelib.core.push import due, on_trial
from chalicelib.core.report import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from chalicelib.controller.ports import Clock
    from chalicelib.core.certificate import CertificateRecord
    from chalicelib.core.change import PushConfig
    from chalicelib.core.history import History
    from chalicelib.core.machine import Agent, Invocation, Order
    from chalicelib.core.observation import Observation
    from chalicelib.core.topology import Topology


class Machines(Protocol):
    """The candidates' operating systems, as far as Systems Manager reaches them."""

    @property
    def commands(self) -> bool:
        """Whether this process may send commands: only the deployed worker knows the documents that are ours."""
        ...

    def agents(self, topology: Topology) -> dict[str, Agent]:
        """Read which candidates' SSM agents are known, and online.

        Raises:
            ObservationError: Systems Manager did not answer.
        """
        ...

    def certificate(self, topology: Topology) -> CertificateRecord | None:
        """Read what may be known of the secrets that are stored, without reading them; None when none are.

        Raises:
            ObservationError: Systems Manager did not answer, or what is stored is no record of ours.
        """
        ...

    def answer(self, command_id: str, instance_id: str) -> Invocation | None:
        """Read what became of a command on a machine; None while Systems Manager knows no such invocation.

        Raises:
            ObservationError: Systems Manager did not answer.
        """
        ...

    def push(self, topology: Topology, change: PushConfig) -> str:
        """Store a configuration and have a machine take it; gives the command's id, and does not wait.

        Raises:
            PushError: it could not be stored or sent.
        """
        ...

    def inspect(self, instance_ids: Sequence[str]) -> str:
        """Ask machines how they stand; gives the one command's id, and does not wait.

        Raises:
            PushError: it could not be sent.
        """
        ...

    def confirm(self, instance_id: str, digest: str) -> str:
        """Have a machine keep the configuration that is on trial; gives the command's id, and does not wait.

        Raises:
            PushError: it could not be sent.
        """
        ...


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
        """Give a snapshot and a history with all this in them."""
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
    return machine.heard(machines.answer(machine.command.id, machine.instance_id), now)


def push(
    topology: Topology,
    machines: Machines,
    changes: Iterable[PushConfig],
    history: History,
    observation: Observation,
    now: datetime,
) -> tuple[History, list[Failure | None]]:
    """Send every push; gives the history with the commands that were sent, and one failure or None per push."""
    secrets = observation.certificate.digest if observation.certificate else None
    failures: list[Failure | None] = []
    for change in changes:
        machine = history.machine(change.instance_id)
        command = Command("", "push", now, change.bundle.digest, change.confirm_within, secrets)
        if not machines.commands:
            failures.append(Failure("Held", "only the deployed worker speaks to routers", retryable=True))
            continue
        try:
            sent = replace(command, id=machines.push(topology, change))
        except PushError as error:
            failures.append(Failure(error.aws_code or error.code, error.message, error.retryable))
            history = history.knows(machine.refused(command, error.message, now))
        else:
            failures.append(None)
            history = history.knows(machine.asked(sent))
    return history, failures


def ask(
    topology: Topology, machines: Machines, observation: Observation, history: History, order: Order | None
) -> tuple[History, ControllerError | None]:
    """Send the confirmation that was ordered, and an inspection to every machine that is due; at worst a later run does."""
    if not machines.commands:
        return history, None
    now, failed = observation.taken_at, None
    for instance_id, trial in on_trial(history, order) if order and order.kind == "confirm" else ():
        try:
            command = Command(machines.confirm(instance_id, trial.digest), "confirm", now, trial.digest)
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
