"""What goes wrong in a schedule, and what people ask for: each schedule enables a few kinds of trouble, drawn anew (swarm)."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.controller import operator
from chalicelib.core.messages.message import Message
from chalicelib.core.messages.request import Request
from chalicelib.core.network.history import Pause
from tests.simulator import deeds, edits
from tests.simulator.course import Fault, Kind
from tests.simulator.declared import variants
from tests.simulator.machines import MOODS
from tests.simulator.vpc import READS, moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from chalicelib.core.messages.request import Action
    from tests.simulator.schedule import Schedule

end = deeds.end

WRITES = (
    "ModifyNetworkInterfaceAttribute",
    "CreateRoute",
    "ReplaceRoute",
    "AssociateAddress",
    "AssociateRouteTable",
    "AssociateDhcpOptions",
    "RevokeSecurityGroupIngress",
)
JOURNAL = ("GetItem", "TransactWriteItems", "PutItem")
OTHERS = (
    "GetParameter",
    "ChangeMessageVisibility",
    "CompleteLifecycleAction",
    "DescribeInstanceInformation",
    "GetCommandInvocation",
    "SendCommand",
)
WITHIN = 300
KINDS_OF_FAULT: tuple[Kind, ...] = ("throttle", "refuse", "lose", "hang")


def _switchover(s: Schedule) -> None:
    found = deeds.candidates(s, "running", "stopped")
    if found:
        to = s.course.pick(found).id
        _ask(s, Request(action="switchover", to=to, force=s.course.chance(0.3)))


def _apply(s: Schedule) -> None:
    _ask(s, Request(force=s.course.chance(0.5)))


def _ask(s: Schedule, request: Request) -> None:
    """Put a request on the queue, as the API does; now and then it has waited for long already."""
    age = s.course.pick((0.0, 0.0, 0.0, 1000.0)) if "old" in s.features else 0.0
    request_id = str(uuid.UUID(int=s.course.random.getrandbits(128)))
    at = moment(s.vpc.now - age)
    s.course.say(f"an operator asks {age:.0f} s ago: {request}")
    s.liveness.epoch += 1
    s.queue.put(Message("office", at, request, request_id))


def _here(s: Schedule) -> None:
    """Have an operator run it where they sit, maybe in the middle of the worker's run."""
    if len(s.course.running) > 1:
        return
    found = deeds.candidates(s, "running")
    to = s.course.pick(found).id if found and s.course.chance(0.3) else None
    action: Action = "switchover" if to else "reconcile"
    s.here(Request("operator", action, to, force=s.course.chance(0.2)))


def _twice(s: Schedule) -> None:
    """Deliver the message in flight to a second worker."""
    if len(s.course.running) == 1 and s.flight:
        s.course.say("the message in flight is delivered once more")
        s.serve(*s.flight)


def _pause(s: Schedule) -> None:
    s.course.say("an operator pauses it")
    s.liveness.epoch += 1
    for run in s.course.running:
        run.calm = False
    until = s.course.pick((None, 60.0, 180.0, 1800.0))
    wanted = Pause("maintenance", moment(s.vpc.now) + timedelta(seconds=until) if until else None)
    operator.pause("office", wanted, "somebody", s.desk)


def _resume(s: Schedule) -> None:
    s.course.say("an operator resumes it")
    s.liveness.epoch += 1
    for run in s.course.running:
        run.paused = run.calm = False
    operator.resume("office", moment(s.vpc.now), s.desk)


def _declare(s: Schedule) -> None:
    _put(s, s.course.pick(variants(s.first)))


def _put(s: Schedule, anew: object) -> None:
    s.course.say("it is declared anew")
    s.liveness.epoch += 1
    s.liveness.redeclared = s.vpc.now
    for run in s.course.running:
        run.paused = run.calm = False
    s.parameters.declared = anew  # type: ignore[assignment]
    s.truth.declare(s.parameters.declared)
    detail = {"name": "/mooring/topologies/office", "operation": "Update"}
    s.events.emit("aws.ssm", "Parameter Store Change", detail)


def _push(s: Schedule) -> None:
    _ask(s, Request(action="push", confirm_within=s.course.pick((None, WITHIN))))


def _confirm(s: Schedule) -> None:
    _ask(s, Request(action="confirm"))


def _mood(s: Schedule) -> None:
    if found := deeds.candidates(s, "running"):
        box = s.machines.box(s.course.pick(found).id)
        box.mood = s.course.pick(MOODS)
        box.broken = s.course.chance(0.3)
        box.online = s.course.chance(0.9)
        if s.course.chance(0.3):
            box.drift = ("a rule was deleted",)


def _fault(s: Schedule, apis: tuple[str, ...]) -> None:
    """Have an API fail: once, for a while or for minutes; all of it, or some of its calls, or one table's."""
    course = s.course
    lasts = course.pick((5.0, 60.0, 60.0, 300.0))
    share = course.pick((1.0, 1.0, 0.3))
    api, kind = course.pick(apis), course.pick(KINDS_OF_FAULT)
    resource = (
        course.pick(list(s.vpc.tables)) if "Route" in api and api in WRITES and course.chance(0.3) else ""
    )
    course.faults.append(Fault(api, kind, s.vpc.now, s.vpc.now + lasts, resource, share))
    s.judge.forgetful = True


def _reads(s: Schedule) -> None:
    _fault(s, READS)


def _writes(s: Schedule) -> None:
    _fault(s, WRITES)


def _others(s: Schedule) -> None:
    _fault(s, (*JOURNAL, *OTHERS))


def _crash(s: Schedule) -> None:
    nth = s.course.calls + 1 + int(s.course.between(0, 25))
    s.course.crashes[nth] = s.course.pick(("before", "after"))
    s.judge.forgetful = True


def _lag(s: Schedule) -> None:
    """Have reads lag from now on, each by its own age, or have them fresh again."""
    if s.course.lag is not None:
        s.course.lag = None
        return
    deeds.fall_behind(s, s.course.pick((5.0, 60.0, 300.0, 300.0)), s.course.pick((0.3, 0.7, 1.0)))


KINDS: dict[str, tuple[Callable[[Schedule], None], ...]] = {
    "lag": (_lag,),
    "reads": (_reads,),
    "writes": (_writes,),
    "others": (_others,),
    "crash": (_crash,),
    "instances": (
        deeds.stop,
        deeds.start,
        deeds.relaunch,
        deeds.terminate,
        deeds.launch,
        deeds.replace_by_group,
    ),
    "health": (deeds.impair, deeds.impair, deeds.recover, deeds.flap),
    "comeback": (deeds.comeback,),
    "spot": (deeds.interrupt, deeds.recommend),
    "hooks": (deeds.hook, deeds.schedule_event),
    "drift": (
        edits.delete_route,
        edits.delete_route,
        edits.point_route,
        edits.take_address,
        edits.switch_check,
        edits.move_subnet,
        edits.open_ssh,
        edits.use_options,
    ),
    "odd": (
        edits.foreign_address,
        edits.to_nat,
        edits.delete_table,
        deeds.launch,
        edits.tag_main,
        edits.delete_subnet,
    ),
    "whole": (edits.move_whole,),
    "operators": (_switchover, _switchover, _apply),
    "pauses": (_pause, _resume),
    "here": (_here,),
    "twice": (_twice,),
    "declare": (_declare,),
    "machines": (_mood, _push, _confirm),
    "old": (_switchover,),
    "events": (),
    "skew": (),
    "losses": (),
}
LOSSES = {"losses"}
FAULTS = (_reads, _writes, _others, _crash)
BESIDE = (_here, _twice)
"""What is drawn to fall into the middle of the tick's run."""

_NAMES = tuple(KINDS)


def features(random: Random) -> set[str]:
    """Choose which kinds of trouble a schedule has: few, so that each meets each of the others alone, too."""
    share = (0.1, 0.2, 0.35)[int(random.random() * 3)]
    found = {name for name in _NAMES if random.random() < share}
    if "machines" in found and random.random() < 0.5:
        found.discard("machines")  # they cost the most
    return found or {random.choice(_NAMES)}


def begin(s: Schedule) -> None:
    """Set a schedule's stage: what of its trouble lasts from the beginning."""
    s.skew = s.course.pick((0.5, 2.0)) if "skew" in s.features else 0.0
    if "losses" in s.features:
        s.events.fate = (0.4, 0.2, 0.3)
    elif "events" not in s.features:
        s.events.fate = (1.0, 0.0, 0.0)
    s.deeds = [deed for name in _NAMES if name in s.features for deed in KINDS[name]]


def minute(s: Schedule, until: float) -> None:
    """Draw what happens until the next tick, and in the middle of its run."""
    course = s.course
    if not s.deeds:
        return
    for _ in range(1 + int(course.random.random() * 3.5)):
        deed = course.pick(s.deeds)
        inside = deed in BESIDE or course.chance(0.4 if deed in FAULTS else 0.15)
        when = until + course.between(0, 0.6) if inside else course.between(s.vpc.now, until)
        course.at(when, lambda deed=deed: deed(s))  # type: ignore[misc]


def stop(s: Schedule) -> None:
    """End all trouble: what is under way at AWS goes on, and who paused it resumes it."""
    course = s.course
    course.faults, course.crashes, course.lag = [], {}, None
    s.over = True
    s.events.fate = (1.0, 0.0, 0.0)
    s.skew = 0.0
    for box in s.machines.boxes.values():
        box.mood, box.online, box.broken = "well", True, False
    if s.journal.history("office").pause:
        _resume(s)
    if s.parameters.declared.paused:
        _put(s, s.first)
