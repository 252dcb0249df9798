"""What people ask for: switchovers, pauses, pushes, another declaration; each as the API or the CLI passes it on."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.controller import operator
from chalicelib.core.messages.message import Message
from chalicelib.core.network.history import Pause
from chalicelib.core.request import Action, Request
from tests.simulator import deeds
from tests.simulator.declared import larger, variants
from tests.simulator.vpc import moment

if TYPE_CHECKING:
    from chalicelib.core.network.topology import Topology
    from tests.simulator.schedule import Schedule

WITHIN = 300


def switchover(s: Schedule) -> None:
    """Have an operator name the router."""
    found = deeds.candidates(s, "running", "stopped")
    if found:
        to = s.course.pick(found).id
        ask(s, Request(action="switchover", to=to, force=s.course.chance(0.3)))


def apply(s: Schedule) -> None:
    """Have an operator ask for a run."""
    ask(s, Request(force=s.course.chance(0.5)))


def ask(s: Schedule, request: Request) -> None:
    """Put a request on the queue, as the API does; now and then it has waited for long already."""
    age = s.course.pick((0.0, 0.0, 0.0, 1000.0)) if "old" in s.features else 0.0
    request_id = str(uuid.UUID(int=s.course.random.getrandbits(128)))
    at = moment(s.vpc.now - age)
    s.course.say(f"an operator asks {age:.0f} s ago: {request}")
    s.liveness.epoch += 1
    s.queue.put(Message("office", at, request, request_id))


def here(s: Schedule) -> None:
    """Have an operator run it where they sit, maybe in the middle of the worker's run."""
    if len(s.course.running) > 1:
        return
    found = deeds.candidates(s, "running")
    to = s.course.pick(found).id if found and s.course.chance(0.3) else None
    action: Action = "switchover" if to else "reconcile"
    s.here(Request("operator", action, to, force=s.course.chance(0.2)))


def pause(s: Schedule) -> None:
    """Have an operator pause it, for ever or for a while."""
    s.course.say("an operator pauses it")
    s.liveness.epoch += 1
    for run in s.course.running:
        run.calm = False
    until = s.course.pick((None, 60.0, 180.0, 1800.0))
    wanted = Pause("maintenance", moment(s.vpc.now) + timedelta(seconds=until) if until else None)
    operator.pause("office", wanted, "somebody", s.desk)


def resume(s: Schedule) -> None:
    """Have an operator end a pause."""
    s.course.say("an operator resumes it")
    s.liveness.epoch += 1
    for run in s.course.running:
        run.paused = run.calm = False
    operator.resume("office", moment(s.vpc.now), s.desk)


def declare(s: Schedule) -> None:
    """Have somebody declare something else, or what was declared first."""
    put(s, s.course.pick(variants(s.first)))


def declare_more(s: Schedule) -> None:
    """Have somebody declare routes to the office in every private table: maybe more than limits allow at once."""
    put(s, larger(s.first))


def put(s: Schedule, anew: Topology) -> None:
    """Declare something anew."""
    s.course.say("it is declared anew")
    s.liveness.epoch += 1
    s.liveness.redeclared = s.vpc.now
    for run in s.course.running:
        run.paused = run.calm = False
    for box in s.machines.boxes.values():  # what was given up of an earlier declaration is asked for anew
        box.at(s.vpc.now)
        box.gave_up = None
    s.parameters.declared = anew
    s.truth.declare(s.parameters.declared)
    detail = {"name": "/mooring/topologies/office", "operation": "Update"}
    s.events.emit("aws.ssm", "Parameter Store Change", detail)


def push(s: Schedule) -> None:
    """Have an operator push to every machine, maybe on condition."""
    ask(s, Request(action="push", confirm_within=s.course.pick((None, WITHIN))))


def confirm(s: Schedule) -> None:
    """Have an operator confirm what is on trial."""
    ask(s, Request(action="confirm"))
