"""Troubles of several acts: something is over, and only then what it left behind matters; each act finds its own moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.request import Request
from tests.simulator import deeds, people
from tests.simulator.vpc import INSTANCES, Status, moment

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.simulator.schedule import Schedule

OLDEST = 300.0
"""Seconds that a reading may be late."""


def _ticks(s: Schedule, *moments: float) -> None:
    """Have ticks come at moments, too, and the schedule last until the last of them."""
    for when in moments:
        s.course.at(when, s.events.tick)
    s.lasts = max(s.lasts, *moments)


def _standbys(s: Schedule) -> list[str]:
    return [i.id for i in deeds.candidates(s, "running") if i.id != s.judge.router]


# -- readings that are late -----------------------------------------------------------------------------


def fall_behind(s: Schedule, most: float, share: float) -> None:
    """Have a share of all reads lag from now on, each by its own age."""
    course = s.course
    if s.over:
        return
    course.lag = lambda _: most * course.random.random() if course.random.random() < share else 0.0
    s.judge.lag_seen = True


def stand_still(s: Schedule, at: float, share: float, apis: Collection[str] = ()) -> None:
    """Have a share of the reads, of these APIs or of all, show one moment of the past from now on."""
    course = s.course
    if s.over:
        return

    def age(api: str) -> float:
        still = (not apis or api in apis) and course.random.random() < share
        return min(OLDEST, course.vpc.now - at) if still else 0.0

    course.lag = age
    s.judge.lag_seen = True


def _blur(s: Schedule, at: float) -> None:
    """Have reads lag from now on, at random or so that they show a moment."""
    if s.course.chance(0.5):
        fall_behind(s, OLDEST, 0.7)
    else:
        stand_still(s, at, s.course.pick((0.5, 1.0)))


# -- the stories ----------------------------------------------------------------------------------------


def comeback(s: Schedule) -> None:
    """Have a standby go and come back, and the router go just then: what is shown of the new one may be old."""
    standbys = _standbys(s)
    if not standbys:
        return
    name, how = s.course.pick(standbys), s.course.pick(("stops", "hangs", "is new", "holds an address"))
    s.course.say(f"{name} {how} and comes back, and then the router goes")
    now = s.vpc.now
    if how == "stops":
        deeds.stop(s, s.vpc.instances[name])
        s.course.at(now + s.course.between(45, 60), lambda: deeds.start_again(s, name))
    elif how == "hangs":
        s.vpc.status(name, Status("impaired", moment(now).replace(microsecond=0)))
        s.course.at(now + s.course.between(5, 60), lambda: deeds.recovered(s, name))
    elif how == "holds an address" and s.vpc.instances[name].interfaces[0].addresses:
        card = s.vpc.instances[name].interfaces[0]
        s.vpc.new_address(card.id, card.addresses[0])
        s.course.at(now + s.course.between(5, 60), lambda: _released(s, card.id))
    else:
        deeds.launch(s)
    when = now + s.course.between(76, 100)
    s.course.at(when, lambda: deeds.end(s, s.judge.router or ""))
    if s.course.chance(0.5):  # else the best of those that are left becomes the router
        s.course.at(when + 0.1, lambda: people.ask(s, Request(action="switchover", to=name)))
    s.course.at(when + 8, lambda: _blur(s, now + 3))
    _ticks(s, when + 5, when + 15, when + 40, when + 80)


def _released(s: Schedule, eni: str) -> None:
    for elastic_ip in list(s.vpc.elastic_ips.values()):
        if elastic_ip.interface_id == eni:
            s.vpc.release(elastic_ip.allocation_id)


def roll_out(s: Schedule) -> None:
    """Have an operator switch over to a new instance; just then readings may be from before there was one."""
    before = s.vpc.now - 1
    name = deeds.launch(s)
    when = s.vpc.now + s.course.between(20, 120)
    s.course.at(when, lambda: people.ask(s, Request(action="switchover", to=name)))
    s.course.at(when + 8, lambda: _blur(s, before))
    _ticks(s, when + 15, when + 40, when + 80)


def relaunch_the_router(s: Schedule) -> None:
    """Have the router stop and start within half a minute; just then one reading still shows the stop."""
    name = s.judge.router or ""
    if name not in _running(s):
        return
    now = s.vpc.now
    s.course.say(f"{name}, the router, is stopped and started at once")
    deeds.become(s, name, "stopping")
    s.course.at(now + 5, lambda: deeds.become(s, name, "stopped", "stopping"))
    s.course.at(now + 8, lambda: deeds.start_again(s, name))
    s.course.at(now + 24, lambda: stand_still(s, now + s.course.between(0.1, 10), 1.0, {INSTANCES}))
    _ticks(s, now + 26, now + 40, now + 80)


def _running(s: Schedule) -> list[str]:
    return [i.id for i in deeds.candidates(s, "running")]


def rehearse(s: Schedule) -> None:
    """Have an operator rehearse the failover, to and fro; when they are done the router fails."""
    when = s.vpc.now

    def there_or_back() -> None:
        if others := _standbys(s):
            people.ask(s, Request(action="switchover", to=s.course.pick(others)))

    for _ in range(s.course.pick((2, 4, 4, 5))):
        when += s.course.between(20, 50)
        s.course.at(when, there_or_back)
    when += s.course.between(310, 500)
    s.course.at(when, lambda: _fails(s))
    _ticks(s, when + 5, when + 65, when + 125)


def _fails(s: Schedule) -> None:
    if s.vpc.statuses.get(s.judge.router or "") is not None:
        s.course.say(f"{s.judge.router}, the router, fails its status checks")
        s.vpc.status(s.judge.router or "", Status("impaired", moment(s.vpc.now).replace(microsecond=0)))


def false_alarm(s: Schedule) -> None:
    """Have Spot warn of what does not come to pass; when the warning's time is over the router goes."""
    for name in _standbys(s):
        deeds.warn(s, name, "terminate")
    when = s.vpc.now + s.course.between(deeds.INTERRUPTION + 10, 1500)
    s.course.at(when, lambda: deeds.end(s, s.judge.router or ""))
    _ticks(s, when + 5, when + 65, when + 125)
