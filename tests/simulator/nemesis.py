"""What goes wrong in a schedule, and what people ask for: each schedule enables a few kinds of trouble, drawn anew (swarm)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulator import deeds, edits, people, stories
from tests.simulator.course import Fault, Kind
from tests.simulator.machines import MOODS
from tests.simulator.vpc import READS

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

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
SSM = ("DescribeInstanceInformation", "GetCommandInvocation", "SendCommand")
OTHERS = ("GetParameter", "ChangeMessageVisibility", "CompleteLifecycleAction", *SSM)
KINDS_OF_FAULT: tuple[Kind, ...] = ("throttle", "refuse", "lose", "hang")


def _twice(s: Schedule) -> None:
    """Deliver the message in flight to a second worker."""
    if len(s.course.running) == 1 and s.flight:
        s.course.say("the message in flight is delivered once more")
        s.serve(*s.flight)


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


def _unreadable(s: Schedule) -> None:
    """Have nobody read for minutes what is declared, not even a worker that has just been started."""
    s.course.faults.append(Fault("GetParameter", s.course.pick(KINDS_OF_FAULT), s.vpc.now, s.vpc.now + 300))
    if s.course.chance(0.5):
        s.course.say("the worker is another process now")
        s.parameters.known_here.clear()


def _deaf(s: Schedule) -> None:
    """Have Systems Manager hang for a while, or fail."""
    kind: Kind = "hang" if s.course.chance(0.7) else "throttle"
    lasts = s.course.pick((60.0, 300.0))
    s.course.faults.append(Fault(s.course.pick(SSM[:2]), kind, s.vpc.now, s.vpc.now + lasts))
    s.judge.forgetful = True


def _crash(s: Schedule) -> None:
    nth = s.course.calls + 1 + int(s.course.between(0, 25))
    s.course.crashes[nth] = s.course.pick(("before", "after"))
    s.judge.forgetful = True


def _lag(s: Schedule) -> None:
    """Have reads lag from now on, each by its own age, or have them fresh again."""
    if s.course.lag is not None:
        s.course.lag = None
        return
    if s.course.chance(0.3):
        apis = s.course.pick(((), (), *((api,) for api in READS)))
        stories.stand_still(s, s.vpc.now, s.course.pick((0.7, 1.0)), apis)
    else:
        stories.fall_behind(s, s.course.pick((5.0, 60.0, 300.0, 300.0)), s.course.pick((0.3, 0.7, 1.0)))


KINDS: dict[str, tuple[Callable[[Schedule], object], ...]] = {
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
    "comeback": (stories.comeback,),
    "rollout": (stories.roll_out,),
    "relaunch": (stories.relaunch_the_router,),
    "rehearsal": (stories.rehearse,),
    "spot": (deeds.interrupt, deeds.recommend, stories.false_alarm),
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
    "operators": (people.switchover, people.switchover, people.apply),
    "pauses": (people.pause, people.resume),
    "here": (people.here,),
    "twice": (_twice,),
    "declare": (people.declare,),
    "large": (people.declare_more, people.declare_more, people.declare, edits.tag_main),
    "unreadable": (_unreadable,),
    "deaf": (_deaf,),
    "machines": (_mood, people.push, people.confirm),
    "old": (people.switchover,),
    "events": (),
    "skew": (),
    "losses": (),
}
LOSSES = {"losses"}
MACHINES = {"machines", "deaf"}
"""What takes a topology with a tunnel."""
TOLD = ("comeback", "rollout", "relaunch", "rehearsal")
"""Stories (`stories.py`)."""
NOTICES = {"spot", "hooks"}
"""What comes by events alone."""
FAULTS = (_reads, _writes, _others, _unreadable, _deaf, _crash)
BESIDE = (people.here, _twice)
"""What is drawn to fall into the middle of the tick's run."""

STORIES = (
    stories.comeback,
    stories.roll_out,
    stories.relaunch_the_router,
    stories.rehearse,
    stories.false_alarm,
)
_NAMES = tuple(KINDS)


def features(random: Random) -> set[str]:
    """Choose which kinds of trouble a schedule has: few, so that each meets each of the others alone, too."""
    share = (0.1, 0.2, 0.35)[int(random.random() * 3)]
    found = {name for name in _NAMES if random.random() < share}
    if found & MACHINES and random.random() < 0.5:
        found -= MACHINES  # they cost the most
    if told := [name for name in TOLD if name in found]:
        found.difference_update(told)  # they cost much, too, and a schedule has one of them at most
        found.update({random.choice(told)} if random.random() < 0.5 else ())
    return found or {random.choice(_NAMES)}


def begin(s: Schedule) -> None:
    """Set a schedule's stage: what of its trouble lasts from the beginning."""
    s.skew = s.course.pick((0.5, 2.0)) if "skew" in s.features else 0.0
    if "losses" in s.features:
        s.events.fate = (0.4, 0.2, 0.3)
    elif not s.features & {"events", *NOTICES}:
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
        course.at(when, lambda deed=deed: _do(s, deed))  # type: ignore[misc]


def _do(s: Schedule, deed: Callable[[Schedule], object]) -> None:
    """Do it; of stories, a schedule has one: two at once are none."""
    if not (deed in STORIES and s.lasts):
        deed(s)


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
        people.resume(s)
    if s.parameters.declared.paused:
        people.put(s, s.first)
