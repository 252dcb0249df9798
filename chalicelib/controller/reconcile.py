"""The one path: observe, elect, plan, guard, apply, verify, report; whatever happens, the answer is a report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.controller.assessment import PROOF_SECONDS, Assessment, Task, heard, observe
from chalicelib.controller.outcome import advised, planned, report_of, stopped
from chalicelib.controller.run import Run
from chalicelib.core.errors import ControllerError, UnsafePlan
from chalicelib.core.machines.readiness import readiness
from chalicelib.core.machines.rollout import check, plan_pushes, relevant
from chalicelib.core.network.change import digest
from chalicelib.core.network.election import elect, hold
from chalicelib.core.network.guard import hold_down, judge
from chalicelib.core.network.plan import Plan, make_plan

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.controller.assessment import Sight
    from chalicelib.controller.ports import Ports
    from chalicelib.controller.run_command import Words
    from chalicelib.core.network.change import PushConfig
    from chalicelib.core.network.election import Election
    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology
    from chalicelib.core.request import Request

DOUBT_PAUSES = (1.0, 2.0)
"""Seconds before looking again where EC2's readings contradict each other about the router."""


def reconcile(
    topology: Topology,
    ports: Ports,
    request: Request,
    *,
    deadline: datetime | None = None,
    problems: tuple[str, ...] = (),
) -> Report:
    """Make the network as declared, prove it, and report.

    Args:
        topology: what is declared.
        ports: the outside.
        request: what is asked, and by whom.
        deadline: when the run must be over, UTC; without one it is over after `RUN_SECONDS`.
        problems: what must be told in any case, such as a declaration that could not be read anew.
    """
    task = Task.begin(topology, request, ports.clock)
    task = replace(task, deadline=deadline or task.deadline, problems=problems)
    try:
        sight, assessment = look(task, ports)
    except ControllerError as error:
        return stopped(task, error, ports.clock.now())
    run = Run(task, ports, assessment)
    if run.decides:
        run.decide()
        run.apply()
        run.verify()
    run.hear(sight.words)
    run.push()
    return run.report()


def preview(topology: Topology, ports: Ports, request: Request) -> Report:
    """Report what a run would do; never writes, and never raises for what it saw or could not see."""
    task = Task.begin(topology, request, ports.clock)
    try:
        sight = observe(task, ports)
        assessment = assess(task, sight, heard(task, ports, sight.words))
    except ControllerError as error:
        return stopped(task, error, ports.clock.now())
    outcomes = planned(assessment.plan, assessment.judgement)
    return advised(report_of(task, assessment, outcomes, ports.clock.now()), topology, assessment)


def look(task: Task, ports: Ports) -> tuple[Sight, Assessment]:
    """Observe and assess, and again in a moment where EC2 contradicts itself about the router.

    What mends the network is not kept waiting for machines: Systems Manager may be slow, or gone.

    Raises:
        ObservationError: the network or the journal could not be read whole, or another run decided meanwhile.
        NoEligibleRouter: the instance named may not be the router.
        UnsafePlan: the plan is not the one agreed to, or what is asked of a machine cannot be done.
    """
    for pause in (*DOUBT_PAUSES, None):
        sight = observe(task, ports)
        at_once = task.topology.tunnel is None or task.request.for_machines
        assessment = assess(task, sight, heard(task, ports, sight.words) if at_once else None)
        if pause and assessment.election.doubtful and task.left(ports.clock) >= PROOF_SECONDS + pause:
            ports.clock.sleep(pause)
            continue
        if assessment.words is None and not assessment.allowed.network.changes:
            assessment = assess(task, sight, heard(task, ports, sight.words))
        return sight, assessment
    raise AssertionError  # the last round returns


def assess(task: Task, sight: Sight, words: Words | None) -> Assessment:
    """Elect, plan and guard; without the machines' words nothing is planned for them yet.

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
    return Assessment(observation, sight.recorded, history, election, network, pushes, judgement, words)


def _elect(topology: Topology, observation: Observation, history: History, request: Request) -> Election:
    """Elect, and keep the router for now where leaving it has to wait."""
    said = readiness(topology, observation, history)
    election = elect(topology, observation, history, said, to=request.next_router, force=request.force)
    held = None if request.force else hold_down(topology, history, election, observation.taken_at)
    stays = hold(topology, observation, history, held.reason) if held else None
    return replace(stays, held=held, problems=()) if stays else election
