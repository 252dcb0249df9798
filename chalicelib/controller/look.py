"""Looks, elects, plans and judges: what a run sees and would do, before anything is changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib import errands
from chalicelib.controller.ports import LOOK_SECONDS
from chalicelib.core.change import PushConfig, digest
from chalicelib.core.configuration import readiness
from chalicelib.core.election import elect, hold
from chalicelib.core.errors import ObservationError, UnsafePlan
from chalicelib.core.guard import hold_down, judge
from chalicelib.core.once import derived
from chalicelib.core.plan import Plan, make_plan
from chalicelib.core.push import check, plan_pushes, relevant
from chalicelib.errands import Words

if TYPE_CHECKING:
    from concurrent.futures import Future
    from datetime import datetime

    from chalicelib.controller.ports import Ports
    from chalicelib.core.change import Change, NetworkChange
    from chalicelib.core.election import Election
    from chalicelib.core.guard import Judgement, Refusal
    from chalicelib.core.history import History
    from chalicelib.core.machine import Order
    from chalicelib.core.observation import Observation
    from chalicelib.core.topology import Topology

RUN_SECONDS = 45.0
"""How long a run may take where nobody says: the worker's Lambda ends after 60 s, and what hangs is ended before that."""

PROOF_SECONDS = 10.0
"""What is kept of a run's time, while it writes, for looking again and for the journal."""

DOUBT_PAUSES = (1.0, 2.0)
"""Seconds before looking again where EC2's readings contradict each other about the router."""

ENDED = ("shutting-down", "terminated")
"""The states that no instance comes back from (EC2 user guide, "Amazon EC2 instance state changes")."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, and by whom or what; with no wishes it is a plain wake-up.

    Attributes:
        woken_by: who or what asked, for the report and the journal.
        to: the instance an operator names as the router (a switchover).
        force: an operator overrules the guards that may be overruled, and what speaks against the instance named.
        order: what an operator asks of the candidates' machines.
        agreed: the `change.digest` of the plan an operator was shown and consented to; any other that would change
            something is refused.
        deadline: when the run must be over, UTC; None for the controller's own bound.
        problems: what the one who asks must tell of in any case, such as a declaration that could not be read anew.
    """

    woken_by: str = "operator"
    to: str | None = None
    force: bool = False
    agreed: str | None = None
    order: Order | None = None
    deadline: datetime | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
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
    def allowed(self) -> Look:
        """The look with the changes that no guard refuses."""
        if not self.judgement.refused:
            return self
        return replace(
            self,
            network=replace(self.network, changes=tuple(filter(self.judgement.allows, self.network.changes))),
            pushes=replace(self.pushes, changes=tuple(filter(self.judgement.allows, self.pushes.changes))),
        )


def look(topology: Topology, ports: Ports, request: Request) -> Look:
    """Observe, elect, plan and judge; never writes.

    Raises:
        ObservationError: the network or the journal could not be read whole, or another run decided meanwhile.
        NoEligibleRouter: the instance named may not be the router.
        UnsafePlan: the plan is not the one agreed to, or what is asked of a machine cannot be done.
    """
    deadline = deadline_of(ports, request)
    sight = _see(topology, ports, deadline)
    return _think(topology, request, sight, heard(ports, sight.words, deadline))


@dataclass(frozen=True, slots=True)
class _Sight:
    """One look: what was seen, what is on record, and what machines say, which may take longer."""

    observation: Observation
    recorded: History
    words: Future[Words]


def deadline_of(ports: Ports, request: Request) -> datetime:
    """Say when a run must be over, UTC."""
    return request.deadline or ports.clock.now() + timedelta(seconds=RUN_SECONDS)


def left(ports: Ports, deadline: datetime) -> float:
    """Count the seconds that are left; none once it is over."""
    return max(0.0, (deadline - ports.clock.now()).total_seconds())


def _see(topology: Topology, ports: Ports, deadline: datetime) -> _Sight:
    """Look at the network and the journal at the same time, and start to ask after the machines.

    Raises:
        ObservationError: one of the first two could not be read, or another run decided meanwhile.
    """
    remembered = ports.beside.submit(ports.journal.read, topology.name)
    words = ports.beside.submit(errands.listen, topology, ports.machines, remembered, ports.clock)
    observation = ports.network.observe(topology, min(LOOK_SECONDS, left(ports, deadline)))
    try:
        recorded = remembered.result(left(ports, deadline))
    except TimeoutError as error:
        raise ObservationError(
            "the journal did not answer in time", hint="the next run looks again"
        ) from error
    if recorded.decided_at and observation.taken_at < recorded.decided_at <= ports.clock.now():
        raise ObservationError(
            f"another run decided about {topology.name} during this look", hint="look again"
        )
    return _Sight(_with_router(ports, observation, recorded, deadline), recorded, words)


def _with_router(
    ports: Ports, observation: Observation, recorded: History, deadline: datetime
) -> Observation:
    """Look by its id for a router that the listing leaves out: it has ended, or the listing is older than it.

    Raises:
        ObservationError: it could not be told which.
    """
    if recorded.router is None or observation.instance(recorded.router):
        return observation
    found = ports.network.instance(recorded.router, min(LOOK_SECONDS, left(ports, deadline)))
    if found is None and not recorded.settled(observation.taken_at):
        raise ObservationError(
            f"EC2 does not list {recorded.router}, the router, yet", hint="the next run looks again"
        )
    if found is None or found.state in ENDED:
        return observation
    return replace(observation, instances=(*observation.instances, found))


def look_until_sure(
    topology: Topology, ports: Ports, request: Request, deadline: datetime
) -> tuple[Look, Future[Words]]:
    """Look, and look again in a moment where EC2 contradicts itself about the router.

    What mends the network is not kept waiting for machines: Systems Manager may be slow, or gone.
    """
    for pause in (*DOUBT_PAUSES, None):
        sight = _see(topology, ports, deadline)
        at_once = topology.tunnel is None or request.order
        seen = _think(topology, request, sight, heard(ports, sight.words, deadline) if at_once else None)
        if pause and seen.election.doubtful and left(ports, deadline) >= PROOF_SECONDS + pause:
            ports.clock.sleep(pause)
            continue
        if seen.words is None and not seen.allowed.network.changes:
            seen = _think(topology, request, sight, heard(ports, sight.words, deadline))
        return seen, sight.words
    raise AssertionError  # the last round returns


def heard(ports: Ports, words: Future[Words], deadline: datetime) -> Words:
    """Wait for what machines say while there is time for it; what comes later, a later run hears."""
    try:
        return words.result(max(0.0, left(ports, deadline) - PROOF_SECONDS))
    except TimeoutError:
        return Words(unheard="Systems Manager did not answer in time")


def _think(topology: Topology, request: Request, sight: _Sight, words: Words | None) -> Look:
    """Elect, plan and judge; without the machines' words nothing is planned for them yet.

    Raises:
        NoEligibleRouter: the instance named may not be the router.
        UnsafePlan: the plan is not the one agreed to, or what is asked of a machine cannot be done.
    """
    observation, history = (
        words.told(sight.observation, sight.recorded) if words else (sight.observation, sight.recorded)
    )
    history = relevant(topology, observation, history)
    observation = history.mark(observation)
    if request.order:
        check(topology, observation, history, request.order)
    election = _elect(topology, observation, history, request)
    network = make_plan(topology, observation, election)
    if request.agreed is not None and network.changes and request.agreed != digest(network.changes):
        raise UnsafePlan(
            "the network changed since the plan was shown", hint="look at the new plan and apply that"
        )
    pushes: Plan[PushConfig] = Plan()
    if words:
        pushes = plan_pushes(topology, observation, history, election, request.order)
    judgement = judge(topology, observation, history, election, network + pushes, force=request.force)
    return Look(observation, sight.recorded, history, election, network, pushes, judgement, words)


def _elect(topology: Topology, observation: Observation, history: History, request: Request) -> Election:
    """Elect, and keep the router for now where leaving it has to wait."""
    said = readiness(topology, observation, history)
    election = elect(topology, observation, history, said, to=request.to, force=request.force)
    held = None if request.force else hold_down(topology, history, election, observation.taken_at)
    stays = hold(topology, observation, history, held.reason) if held else None
    return replace(stays, held=held, problems=()) if stays else election
