"""What the journal remembers of a topology: the one strongly consistent memory, which no old reading takes anything from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from chalicelib.core.machines.machine import Machine
from chalicelib.core.network.notice import TOO_OLD

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from datetime import datetime

    from chalicelib.core.network.notice import Hook, Notice
    from chalicelib.core.network.observation import Instance, Observation, ScheduledEvent

READ_LAG = timedelta(minutes=5)
"""How old what an EC2 describe shows may be: "wait up to five minutes" is what EC2's developer guide asks of those who poll
("Eventual consistency in the Amazon EC2 API")."""

REMEMBERED = timedelta(days=1)
"""How long a move is remembered: longer than any guard looks back."""

NOTICED = {"interruption": timedelta(minutes=15), "termination": timedelta(hours=2)}
"""How long a notice of a kind takes an instance away at most. Spot takes it two minutes after its warning; a lifecycle hook
holds for an hour unless its group says otherwise (Auto Scaling user guide, "How lifecycle hooks work")."""

SCHEDULED = timedelta(hours=1)
"""How long before AWS's own date a scheduled event takes an instance away."""

Cause: TypeAlias = Literal["operator", "dead", "unfit", "unwanted", "adopted", "none"]
"""Why a router is left for another. `dead`: it does not run. `unfit`: it runs and is impaired, noticed or says that it does
not forward. `unwanted`: nothing is wrong with it, and it may be the router no more. `adopted`: somebody moved the network."""


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator's order to look and not touch, until a moment or until resumed."""

    reason: str
    until: datetime | None = None

    def __str__(self) -> str:
        """`paused until 2026-11-25 16:00 UTC: the reason`."""
        return f"{self.state}: {self.reason}"

    @property
    def state(self) -> str:
        """Return that it is paused, and until when, if that is known."""
        return "paused" + (f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else "")


@dataclass(frozen=True, slots=True)
class Sighting:
    """Looks in a row that saw the whole network lead to another candidate than the router: who, and since when."""

    router: str
    since: datetime


@dataclass(frozen=True, slots=True)
class History:
    """What the journal remembers of a topology.

    Attributes:
        revision: grows with everything that is written.
        router: the instance that was decided on last: the incumbent.
        since: when it became the router.
        launched_at: the launch in which it was last seen running; what shows an earlier one is old.
        moves: when Mooring by itself left a router that nothing was wrong with.
        leaves: when Mooring by itself left one that ran and was unfit.
        insisted_at: when an operator chose the router whatever spoke against it: what was said by then does not count.
        kept: what was declared, and in which tables, when the last decision was made (`guard.scope`).
        sighting: the evidence so far that somebody moved the network whole.
        decided_at: when the last decision was made.
    """

    revision: int = 0
    router: str | None = None
    since: datetime | None = None
    moves: tuple[datetime, ...] = ()
    pause: Pause | None = None
    notices: tuple[Notice, ...] = ()
    decided_at: datetime | None = None
    machines: tuple[Machine, ...] = ()
    launched_at: datetime | None = None
    leaves: tuple[datetime, ...] = ()
    insisted_at: datetime | None = None
    kept: str | None = None
    sighting: Sighting | None = None

    def machine(self, instance_id: str) -> Machine:
        """Return what is known of a candidate's operating system; of one never met, nothing."""
        known = (machine for machine in self.machines if machine.instance_id == instance_id)
        return next(known, None) or Machine(instance_id)

    def knows(self, machine: Machine) -> History:
        """Return the history with this word on a machine instead of the one before."""
        others = (m for m in self.machines if m.instance_id != machine.instance_id)
        machines = sorted((*others, machine), key=lambda m: m.instance_id)
        return replace(self, machines=tuple(machines))

    def learned(self, machines: Iterable[Machine], gone: Container[str] = ()) -> History:
        """Return the history with these words on machines, and nothing of those that are gone."""
        left = tuple(m for m in self.machines if m.instance_id not in gone)
        known = self if left == self.machines else replace(self, machines=left)
        for machine in machines:
            known = known.knows(machine)
        return known

    def paused(self, at: datetime) -> Pause | None:
        """Return the pause in force at a moment; one that ran out is no pause."""
        if self.pause and (self.pause.until is None or at < self.pause.until):
            return self.pause
        return None

    def settled(self, at: datetime) -> bool:
        """Whether the router has been the router for longer than any reading is old: none can be from before."""
        return self.since is None or at - self.since >= READ_LAG

    def decided(self, instance: Instance | None, at: datetime, cause: Cause, *, insisted: bool) -> History:
        """Return the history after a decision; None leaves the router that was, where nobody may follow it."""
        recent = at - REMEMBERED
        stays = instance is None or instance.id == self.router
        after = replace(
            self,
            revision=self.revision + 1,
            decided_at=at,
            sighting=None,
            moves=_after(self.moves, recent, at if cause == "unwanted" else None),
            leaves=_after(self.leaves, recent, at if cause == "unfit" else None),
            router=instance.id if instance else self.router,
            since=self.since if stays else at,
            launched_at=self.launched_at if stays else None,
            insisted_at=at if insisted and instance else self.insisted_at if stays else None,
        )
        return after.met(instance) if instance else after

    def met(self, router: Instance) -> History:
        """Return the history with the launch in which the router was seen running."""
        if router.id != self.router or router.state != "running" or self.outdates(router):
            return self
        if router.launched_at == self.launched_at:
            return self
        return replace(self, launched_at=router.launched_at)

    def outdates(self, instance: Instance) -> bool:
        """Whether what was seen of the router is older than what is known of it.

        An instance runs through pending, running, stopping and stopped in this order, and a start after a stop is
        another launch; only `LaunchTime` grows (EC2 user guide, "Amazon EC2 instance state changes").
        """
        if instance.id != self.router or self.launched_at is None:
            return False
        if instance.state == "pending":
            return instance.launched_at <= self.launched_at
        return instance.launched_at < self.launched_at

    def surviving(self, observation: Observation) -> History:
        """Return the history without notices that have ended, and without what is known of instances that are gone.

        One that a listing leaves out may be younger than the listing: what is of late about it stays.
        """
        if not self.notices and not self.machines:
            return self
        at = observation.taken_at
        alive = {instance.id for instance in observation.instances}
        return replace(
            self,
            notices=tuple(n for n in self.notices if not _over(n, at, listed=n.instance_id in alive)),
            machines=tuple(
                m
                for m in self.machines
                if m.instance_id in alive or (m.met_at is not None and at - m.met_at <= READ_LAG)
            ),
        )

    def noticed(self, notice: Notice) -> History:
        """Return the history with AWS's word on an instance: the latest of each kind, and none from before it was in service."""
        mine = {n.kind: n for n in self.notices if n.instance_id == notice.instance_id}
        known = mine.get(notice.kind)
        if known and known.at >= notice.at:
            return self  # the same word once more, or one that was overtaken
        mine[notice.kind] = notice
        if served := mine.get("in-service"):
            # told in one second, they may have come in either order: to leave a router is the lesser harm
            mine = {kind: n for kind, n in mine.items() if n is served or n.at >= served.at}
        others = (n for n in self.notices if n.instance_id != notice.instance_id)
        after = replace(self, notices=(*others, *mine.values()))
        return self if after == self else after

    def completed(self, hook: Hook) -> History:
        """Return the history in which nothing waits for a hook any more."""
        return replace(
            self, notices=tuple(replace(n, hook=None) if n.hook == hook else n for n in self.notices)
        )

    def mark(self, observation: Observation) -> Observation:
        """Return a snapshot in which every instance carries what AWS has said of it, as far as that is in force."""
        said = {notice.instance_id for notice in self.notices}
        if not said and not any(i.events for i in observation.instances):
            return observation
        at = observation.taken_at
        marked = (self._marked(i, at) if i.id in said or i.events else i for i in observation.instances)
        return replace(observation, instances=tuple(marked))

    def _marked(self, instance: Instance, at: datetime) -> Instance:
        """Mark one instance: a notice belongs to one launch, and an operator who insists has heard what was said before."""
        insisted = self.insisted_at if instance.id == self.router else None
        launched = instance.launched_at
        if self.launched_at and instance.id == self.router:
            launched = max(launched, self.launched_at)
        taken = risk = None
        for notice in self.notices:
            if (
                notice.instance_id != instance.id
                or launched > notice.at
                or (insisted and notice.at <= insisted)
            ):
                continue
            lasts = NOTICED.get(notice.kind)
            taken = notice.reason if lasts and at <= notice.at + lasts else taken
            risk = notice.reason if notice.kind == "rebalance" else risk
        for event in instance.events if self._credible(instance, at) else ():
            due = event.not_before - SCHEDULED if event.not_before else None
            if insisted and due and due <= insisted:
                continue
            if due and at >= due:
                taken = taken or f"has {_scheduled(event)}"
            else:
                risk = risk or f"has {_scheduled(event)}"
        return replace(instance, notice=taken, risk=risk)

    def _credible(self, instance: Instance, at: datetime) -> bool:
        """Whether what AWS has scheduled cannot be of the launch before, or of before the instance was the router."""
        return at - instance.launched_at >= READ_LAG and (instance.id != self.router or self.settled(at))


def _scheduled(event: ScheduledEvent) -> str:
    when = f" from {event.not_before:%Y-%m-%d %H:%M} UTC" if event.not_before else ""
    return f"{event.code} scheduled{when}"


def _over(notice: Notice, at: datetime, *, listed: bool) -> bool:
    """Whether a notice need not be kept: its time is over, or its instance is gone from every listing that can be had."""
    lasts = NOTICED.get(notice.kind) or (TOO_OLD if notice.kind == "in-service" else None)
    if lasts is not None:
        return at > notice.at + lasts
    return at - notice.at > READ_LAG and not listed


def _after(known: tuple[datetime, ...], recent: datetime, at: datetime | None) -> tuple[datetime, ...]:
    return tuple(moment for moment in (*known, *([at] if at else [])) if moment > recent)
