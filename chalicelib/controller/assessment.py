"""What a run sees and would do: the snapshot it takes, and what it makes of it, before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.controller import run_command
from chalicelib.controller.ports import LOOK_SECONDS
from chalicelib.controller.run_command import Words
from chalicelib.core.errors import ObservationError
from chalicelib.core.once import derived

if TYPE_CHECKING:
    from concurrent.futures import Future
    from datetime import datetime

    from chalicelib.controller.ports import Clock, Ports
    from chalicelib.core.network.change import Change, NetworkChange, PushConfig
    from chalicelib.core.network.election import Election
    from chalicelib.core.network.guard import Judgement, Refusal
    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.plan import Plan
    from chalicelib.core.network.topology import Topology
    from chalicelib.core.request import Request

RUN_SECONDS = 45.0
"""How long a run may take where nobody says: the worker's Lambda ends after 60 s, and what hangs is ended before that."""

PROOF_SECONDS = 10.0
"""What is kept of a run's time, while it writes, for looking again and for the journal."""

ENDED = ("shutting-down", "terminated")
"""The states that no instance comes back from (EC2 user guide, "Amazon EC2 instance state changes")."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one run is about.

    Attributes:
        topology: what is declared.
        request: what is asked, and by whom.
        started_at: when it began, UTC: its name in the journal.
        deadline: when it must be over, UTC.
        problems: what must be told in any case, such as a declaration that could not be read anew.
    """

    topology: Topology
    request: Request
    started_at: datetime
    deadline: datetime
    problems: tuple[str, ...] = ()

    @classmethod
    def begin(cls, topology: Topology, request: Request, clock: Clock) -> Task:
        """Begin a task now, which is to be over after `RUN_SECONDS`."""
        now = clock.now()
        return cls(topology, request, now, now + timedelta(seconds=RUN_SECONDS))

    def left(self, clock: Clock) -> float:
        """Count the seconds that are left; none once it is over."""
        return max(0.0, (self.deadline - clock.now()).total_seconds())


@dataclass(frozen=True)
class Assessment:
    """What a run sees and would do: nothing has been changed.

    `recorded` is the history that the journal has, `history` the same with what has ended left out and the machines'
    latest answers. `network` and `pushes` are the plan's two halves; `judgement` says which changes are refused. `words`
    are what machines said; None while the network is mended, which does not wait for them: no push is planned then.
    """

    observation: Observation
    recorded: History
    history: History
    election: Election
    network: Plan[NetworkChange]
    pushes: Plan[PushConfig]
    judgement: Judgement
    words: Words | None

    @derived
    def plan(self) -> Plan[Change]:
        """All that would be changed, the network first."""
        return self.network + self.pushes

    @derived
    def refusal(self) -> Refusal | None:
        """The refusal to tell: a pause, else why the router is not left, else why a change is not made."""
        first = self.judgement.first
        return first if first and first.guard == "paused" else self.election.held or first

    @derived
    def allowed(self) -> Assessment:
        """The same with the changes that no guard refuses."""
        if not self.judgement.refused:
            return self
        return replace(
            self,
            network=replace(self.network, changes=tuple(filter(self.judgement.allows, self.network.changes))),
            pushes=replace(self.pushes, changes=tuple(filter(self.judgement.allows, self.pushes.changes))),
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """One look: what was seen, what is on record, and what machines say, which may take longer."""

    observation: Observation
    recorded: History
    words: Future[Words]


def observe(task: Task, ports: Ports) -> Sight:
    """Look at the network and the journal at the same time, and start to ask after the machines.

    Raises:
        ObservationError: one of the first two could not be read, or another run decided meanwhile.
    """
    topology = task.topology
    remembered = ports.executor.submit(ports.journal.read, topology.name)
    words = ports.executor.submit(run_command.listen, topology, ports.machines, remembered, ports.clock)
    observation = ports.network.observe(topology, min(LOOK_SECONDS, task.left(ports.clock)))
    try:
        recorded = remembered.result(task.left(ports.clock))
    except TimeoutError as error:
        raise ObservationError(
            "the journal did not answer in time", hint="the next run looks again"
        ) from error
    if recorded.decided_at and observation.taken_at < recorded.decided_at <= ports.clock.now():
        raise ObservationError(
            f"another run decided about {topology.name} during this look", hint="look again"
        )
    return Sight(_with_router(task, ports, observation, recorded), recorded, words)


def _with_router(task: Task, ports: Ports, observation: Observation, recorded: History) -> Observation:
    """Look by its id for a router that the listing leaves out: it has ended, or the listing is older than it.

    Raises:
        ObservationError: it could not be told which.
    """
    if recorded.router is None or observation.instance(recorded.router):
        return observation
    found = ports.network.instance(recorded.router, min(LOOK_SECONDS, task.left(ports.clock)))
    if found is None and not recorded.settled(observation.taken_at):
        raise ObservationError(
            f"EC2 does not list {recorded.router}, the router, yet", hint="the next run looks again"
        )
    if found is None or found.state in ENDED:
        return observation
    return replace(observation, instances=(*observation.instances, found))


def heard(task: Task, ports: Ports, words: Future[Words]) -> Words:
    """Wait for what machines say while there is time for it; what comes later, a later run hears."""
    try:
        return words.result(max(0.0, task.left(ports.clock) - PROOF_SECONDS))
    except TimeoutError:
        return Words(unheard="Systems Manager did not answer in time")
