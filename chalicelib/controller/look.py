"""Looks, elects, plans and judges: what a run sees and would do, before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.controller import run_command
from chalicelib.controller.ports import LOOK_SECONDS
from chalicelib.controller.run_command import Words
from chalicelib.core.errors import ObservationError, UnsafePlan
from chalicelib.core.machines.readiness import readiness
from chalicelib.core.machines.rollout import check, plan_pushes, relevant
from chalicelib.core.network.change import PushConfig, digest
from chalicelib.core.network.election import elect, hold
from chalicelib.core.network.guard import hold_down, judge
from chalicelib.core.network.plan import Plan, make_plan

if TYPE_CHECKING:
    from concurrent.futures import Future
    from datetime import datetime

    from chalicelib.controller.ports import Clock, Ports
    from chalicelib.core.network.change import Change, NetworkChange
    from chalicelib.core.network.election import Election
    from chalicelib.core.network.guard import Judgement, Refusal
    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.topology import Topology
    from chalicelib.core.request import Request

RUN_SECONDS = 45.0
"""How long a run may take where nobody says: the worker's Lambda ends after 60 s, and what hangs is ended before that."""

PROOF_SECONDS = 10.0
"""What is kept of a run's time, while it writes, for looking again and for the journal."""

DOUBT_PAUSES = (1.0, 2.0)
"""Seconds before looking again where EC2's readings contradict each other about the router."""

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


@dataclass(frozen=True, slots=True)
class Look:
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

    @property
    def plan(self) -> Plan[Change]:
        """All that would be changed, the network first."""
        return self.network + self.pushes

    @property
    def refusal(self) -> Refusal | None:
        """The refusal to tell: a pause, else why the router is not left, else why a change is not made."""
        first = self.judgement.first
        return first if first and first.guard == "paused" else self.election.held or first

    @property
    def allowed(self) -> Look:
        """The look with the changes that no guard refuses."""
        return replace(
            self,
            network=replace(self.network, changes=tuple(filter(self.judgement.allows, self.network.changes))),
            pushes=replace(self.pushes, changes=tuple(filter(self.judgement.allows, self.pushes.changes))),
        )


def look(task: Task, ports: Ports) -> Look:
    """Observe, elect, plan and judge; never writes.

    Raises:
        ObservationError: the network or the journal could not be read whole, or another run decided meanwhile.
        NoEligibleRouter: the instance named may not be the router.
        UnsafePlan: the plan is not the one agreed to, or what is asked of a machine cannot be done.
    """
    sight = _see(task, ports)
    return _think(task, sight, heard(task, ports, sight.words))


@dataclass(frozen=True, slots=True)
class _Sight:
    """One look: what was seen, what is on record, and what machines say, which may take longer."""

    observation: Observation
    recorded: History
    words: Future[Words]


def _see(task: Task, ports: Ports) -> _Sight:
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
    return _Sight(_with_router(task, ports, observation, recorded), recorded, words)


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


def look_until_sure(task: Task, ports: Ports) -> tuple[Look, Future[Words]]:
    """Look, and look again in a moment where EC2 contradicts itself about the router.

    What mends the network is not kept waiting for machines: Systems Manager may be slow, or gone.
    """
    for pause in (*DOUBT_PAUSES, None):
        sight = _see(task, ports)
        at_once = task.topology.tunnel is None or task.request.for_machines
        seen = _think(task, sight, heard(task, ports, sight.words) if at_once else None)
        if pause and seen.election.doubtful and task.left(ports.clock) >= PROOF_SECONDS + pause:
            ports.clock.sleep(pause)
            continue
        if seen.words is None and not seen.allowed.network.changes:
            seen = _think(task, sight, heard(task, ports, sight.words))
        return seen, sight.words
    raise AssertionError  # the last round returns


def heard(task: Task, ports: Ports, words: Future[Words]) -> Words:
    """Wait for what machines say while there is time for it; what comes later, a later run hears."""
    try:
        return words.result(max(0.0, task.left(ports.clock) - PROOF_SECONDS))
    except TimeoutError:
        return Words(unheard="Systems Manager did not answer in time")


def _think(task: Task, sight: _Sight, words: Words | None) -> Look:
    """Elect, plan and judge; without the machines' words nothing is planned for them yet.

    Raises:
        NoEligibleRouter: the instance named may not be the router.
        UnsafePlan: the plan is not the one agreed to, or what is asked of a machine cannot be done.
    """
    topology, request = task.topology, task.request
    observation, history = (
        words.told(sight.observation, sight.recorded) if words else (sight.observation, sight.recorded)
    )
    history = relevant(topology, observation, history)
    observation = history.mark(observation)
    if request.for_machines:
        check(topology, observation, history, request)
    election = _elect(topology, observation, history, request)
    network = make_plan(topology, observation, election)
    if request.agreed is not None and network.changes and request.agreed != digest(network.changes):
        raise UnsafePlan(
            "the network changed since the plan was shown", hint="look at the new plan and apply that"
        )
    pushes: Plan[PushConfig] = Plan()
    if words:
        pushes = plan_pushes(topology, observation, history, election, request)
    judgement = judge(topology, observation, history, election, network + pushes, force=request.force)
    return Look(observation, sight.recorded, history, election, network, pushes, judgement, words)


def _elect(topology: Topology, observation: Observation, history: History, request: Request) -> Election:
    """Elect, and keep the router for now where leaving it has to wait."""
    said = readiness(topology, observation, history)
    election = elect(topology, observation, history, said, to=request.next_router, force=request.force)
    held = None if request.force else hold_down(topology, history, election, observation.taken_at)
    stays = hold(topology, observation, history, held.reason) if held else None
    return replace(stays, held=held, problems=()) if stays else election
