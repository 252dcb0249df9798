"""The judge of every write, decision and command: each against the truth, never against what was shown.

It knows what is declared, and nothing of elections, plans or guards. A verdict begins with the invariant's number
(docs/architecture.md) and names no ids first, so that verdicts of one kind can be counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core.machines.answer import PATIENCE
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    CreateRoute,
    DisableSourceDestCheck,
    ReplaceRoute,
    RevokeIngress,
)
from tests.simulator.truth import DEFAULT, WINDOW, is_candidate, opens_ssh, pinned, through
from tests.simulator.vpc import ADDRESSES, INSTANCES, LONG_AGO, NAT, RULES, STATUS, created

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.core.network.change import NetworkChange, PushConfig
    from chalicelib.core.network.history import History
    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology
    from tests.simulator.course import Course, Run
    from tests.simulator.machines import Box
    from tests.simulator.truth import Truth

LEADS = (CreateRoute, ReplaceRoute)
TELLING = {INSTANCES, STATUS, ADDRESSES}
"""The readings that tell who is fit."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What was broken, of which invariant, when and in which run."""

    kind: str
    detail: str
    at: float
    run: int


class Judge:
    """Judges one schedule.

    `router` and `since` are the journal's, `chosen` when an operator named it, who had heard of what was said, `left` when Mooring by itself left one that ran; `forgetful` says that the
    journal may have missed what was sent to machines.
    """

    def __init__(self, course: Course, truth: Truth) -> None:
        self._course, self.truth = course, truth
        self.violations: list[Violation] = []
        self.router: str | None = None
        self.since = LONG_AGO
        self.decided_at = self.chosen = self._before = self._sighted_from = LONG_AGO
        self._deciding: Run | None = None
        self._sighting: object = None
        self.left: list[float] = []
        self.past: set[str] = set()
        self.lag_seen = False
        self.forgetful = False
        self.drifted: dict[str, float] = {}
        self.noted = 0
        self._launch: datetime | None = None
        self._was: str | None = None
        self._thrown: str | None = None

    def blame(self, kind: str, detail: str) -> None:
        """Note a violation."""
        run = self._course.running[-1].number if self._course.running else 0
        self._course.say(f"VIOLATION {kind}: {detail}")
        self.violations.append(Violation(kind, detail, self._course.vpc.now, run))

    # -- decisions -----------------------------------------------------------------------------------

    def decided(self, run: Run, before: History, after: History, _: Report) -> None:
        """Judge a decision that is on record now."""
        run.decided = True
        self.noted += 1
        for other in self._course.running:
            other.overtaken |= other is not run
        if run.paused:
            self.blame("I13 a decision while paused", f"{after.router}")
        self._named(run, before, after)
        if self._deciding is not run:
            self._deciding, self._before = run, self.decided_at
        self.decided_at = self._course.vpc.now
        self._launch = after.launched_at
        if after.insisted_at != before.insisted_at:
            self.chosen = self._course.vpc.now

    def amended(self, run: Run, before: History, after: History) -> None:
        """Judge what else was written into the journal."""
        self.noted += 1
        if after.sighting and after.sighting != self._sighting:
            self._sighting = after.sighting  # evidence counts from the last decision before it
            self._sighted_from = self._before if self._deciding is run else self.decided_at
        if after.router != before.router:
            self._named(run, before, after)
        self._launch = after.launched_at

    def _named(self, run: Run, before: History, after: History) -> None:
        old, new, now = before.router, after.router, self._course.vpc.now
        if old == new or new is None:
            return
        wished = run.to == new and not run.expired
        if run.to == new and run.expired:
            self.blame("I8 a request that is too old is carried out", f"switchover to {new}")
            wished = True
        if old is not None and not wished and self._protected(run, old) and not self._adopted(new, run):
            age = "after a stale look" if self.lag_seen else "on fresh reads"
            if self.truth.all_lead_to(self.truth.declared, new):
                age = "too soon for what somebody moved whole"
            self.blame(f"I8 a fit router is left {age}", f"{old} for {new}")
        followed = self.truth.all_lead_to(self.truth.declared, new) or (old is None and self._leads_to(new))
        unread = (
            STATUS in run.failed and self.truth.marks[new].why == "it fails its status checks"
        )  # who could have known?
        if not self.truth.fit_within(new, _seen_from(run)) and not followed and not unread:
            self.blame("I3 an unfit router is named", f"{new}: {self.truth.marks[new].why}")
        ran = old in self.truth.vpc.instances and self.truth.vpc.instances[old].state == "running"
        if ran and not wished:
            self.left.append(now)
        left = self.truth.vpc.instances.get(old or "")
        self.past |= {card.id for card in left.interfaces} if left else set()
        self.router, self.since = new, now
        self.chosen = now if wished else LONG_AGO

    def _leads_to(self, instance_id: str) -> bool:
        instance = self.truth.vpc.instances.get(instance_id)
        cards = [card.id for card in instance.interfaces] if instance else []
        return any(target in cards for _, target in self.truth.pins(self.truth.declared))

    def _protected(self, run: Run, router: str) -> bool:
        """Return whether a router carried in truth for as long as anybody could have looked back.

        That is not beyond its being the router, if the journal knows the launch that it runs in; and only to this run's
        begin if no reading but that of instances was late, since the other contradicts it.
        """
        instance, since = self.truth.vpc.instances.get(router), run.started - WINDOW
        known = instance is not None and instance.launched_at == self._launch
        if self.truth.fit_throughout(router, max(since, self.since) if known else since):
            return True
        if not run.late <= {INSTANCES} or STATUS in run.failed or self.truth.warned_since(router, since):
            return False
        return self.truth.fit_throughout(router, run.started)

    def _adopted(self, new: str, run: Run) -> bool:
        """Return whether somebody has moved the whole network, and no look since the last decision could show an older state."""
        if self._course.vpc.now <= self._sighted_from + WINDOW - 1:
            return False
        return self.truth.whole.get(new, LONG_AGO) >= run.started - WINDOW or self.truth.all_lead_to(
            self.truth.declared, new
        )

    # -- writes --------------------------------------------------------------------------------------

    def attempted(self, run: Run, change: NetworkChange) -> None:
        """Judge that a write was asked for, and remember what is so before it."""
        if run.paused:
            self.blame("I13 a write while paused", str(change))
        if run.blind:
            self.blame("I7 a write after a look that failed", str(change))
        asked = run.message is not None and run.message.request.for_machines
        if run.in_turn and run.writes == 1 and run.waited > 1 and not asked:
            self.blame("I14 the network waits for machines", f"{run.waited:.1f} s")
        if not run.decided:
            self.blame("I10 a write that is not on record", str(change))
        vpc = self.truth.vpc
        self._was = self._thrown = None
        if isinstance(change, LEADS) and change.table_id in vpc.tables:
            route = created(vpc.tables[change.table_id], change.destination)
            self._was = route.target if route else None
        elif isinstance(change, AssociateAddress):
            elastic_ip = vpc.elastic_ips.get(change.allocation_id)
            self._was = elastic_ip.interface_id if elastic_ip else None
            where = (change.interface_id, change.private_address)
            sat = (a for a, p in self.truth.placed.items() if p[:2] == where and a != change.allocation_id)
            self._thrown = next((a for a in sat if a in vpc.elastic_ips), None)
        elif isinstance(change, RevokeIngress):
            self._judge_rule(run, change)

    def written(self, run: Run, change: NetworkChange) -> None:
        """Judge a write that took place."""
        declared = run.topology or self.truth.declared
        match change:
            case CreateRoute() | ReplaceRoute():
                self._judge_route(run, change)
            case AssociateAddress():
                self._judge_address(run, change, declared)
            case DisableSourceDestCheck():
                owner = self.truth.vpc.owner_of(change.interface_id)
                if owner is None or not is_candidate(owner, declared):
                    self.blame("I6 the check of a foreign interface is switched", change.interface_id)
            case AssociateRouteTable():
                ours = [i for t, i in self.truth.writable(declared) if change.subnet_id in t.subnets]
                if change.table_id not in ours:
                    self.blame("I1 an undeclared association", f"{change.subnet_id} {change.table_id}")
            case AssociateDhcpOptions() if change.options_id != declared.dhcp_options:
                self.blame("I1 undeclared dhcp options", change.options_id)

    def _judge_address(self, run: Run, change: AssociateAddress, declared: Topology) -> None:
        if change.allocation_id != declared.elastic_ip:
            self.blame("I6 a foreign elastic ip is moved", change.allocation_id)
        placed = self.truth.placed.get(self._thrown or "", (None, None, self._course.vpc.now))
        if self._thrown and placed[2] < run.started - WINDOW:
            self.blame("I6 a foreign elastic ip is thrown off", str(self._thrown))
        self._judge_target(run, change.interface_id, "the elastic ip")
        self._judge_taken(run, change.interface_id, "the elastic ip")

    def _judge_rule(self, run: Run, change: RevokeIngress) -> None:
        declared = run.topology or self.truth.declared
        if declared.ssh != "closed" and change.group_id == declared.security_group:
            self.blame("I6 a foreign rule is revoked", change.rule_id)
        floor = run.started - WINDOW if RULES in run.late else run.started
        shown = self.truth.vpc.shown_since(RULES, floor)
        if not any(opens_ssh(rule) for rules in shown for rule in rules):
            self.blame("I6 a rule is to be revoked that opens ssh to nobody else", change.rule_id)

    def _judge_route(self, run: Run, change: CreateRoute | ReplaceRoute) -> None:
        declared = run.topology or self.truth.declared
        entry = next((t for t, i in self.truth.writable(declared) if i == change.table_id), None)
        what = f"{change.table_id} {change.destination}"
        if entry is None:
            self.blame("I1 an undeclared table is written", what)
        elif entry.kind == "public" and change.destination == DEFAULT:
            if change.target != declared.internet_gateway:
                self.blame("I1 the internet is led elsewhere", change.target)
        elif change.destination not in through(declared, entry):
            self.blame("I1 an undeclared destination is written", what)
        else:
            self._judge_target(run, change.target, what)
            self._judge_taken(run, change.target, what)
            if self._was == NAT and change.destination == DEFAULT:
                run.left_nat.append(what)

    def _judge_target(self, run: Run, eni: str, what: str) -> None:
        """A route leads to the current router, or to one that was fit at some moment of what reads may show; its check is off."""
        owner = self.truth.vpc.owner_of(eni)
        if owner is None:
            self.blame("I3 a pin leads to an interface of nobody", f"{what} -> {eni}")
            return
        mark = self.truth.marks[owner.id]
        forced = run.to == owner.id
        if owner.id != self.router and not forced and not self.truth.fit_within(owner.id, _seen_from(run)):
            self.blame("I3 a pin leads to an unfit instance", f"{what} -> {owner.id}: {mark.why}")
        card = self.truth.vpc.card(eni)
        if (
            card
            and card.source_dest_check
            and mark.check_off < run.started - WINDOW
            and what != "the elastic ip"
        ):
            self.blame("I3 a route leads to an interface with its check on", f"{what} -> {eni}")

    def _judge_taken(self, run: Run, target: str, what: str) -> None:
        """Nothing is taken from a router that carries."""
        router = self.truth.vpc.instances.get(self.router or "")
        cards = [card.id for card in router.interfaces] if router else []
        if self._was not in cards or target in cards or router is None:
            return
        wished = run.to is not None and not run.expired
        if not wished and not run.overtaken and self._protected(run, router.id):
            age = "after a stale look" if self.lag_seen else "on fresh reads"
            self.blame(f"I8 a pin is taken from a fit router {age}", f"{what}: {self._was} -> {target}")

    # -- machines ------------------------------------------------------------------------------------

    def pushed(self, run: Run, change: PushConfig, box: Box) -> None:
        """Judge that a configuration was sent."""
        run.pushes += 1
        now = self._course.vpc.now
        request = run.message.request if run.message and not run.expired else None
        ordered = request is not None and request.action == "push"
        gave_up, box.gave_up = box.gave_up, None if ordered else box.gave_up
        if run.paused:
            self.blame("I13 a push while paused", change.instance_id)
        if run.expired:
            self.blame("I8 a request that is too old is carried out", "push")
        if self.forgetful or run.expired:
            return
        if box.busy is not None and now - box.busy <= PATIENCE.total_seconds() - 5:
            self.blame("I11 a push while another is awaited", change.instance_id)
        if not ordered and not box.spoken:
            self.blame("I11 a push to a machine that nobody has asked", change.instance_id)
        if not ordered and gave_up == change.bundle.digest:
            self.blame("I11 a push of what was given up", change.instance_id)

    def confirmed(self, run: Run, instance_id: str) -> None:
        """Judge that a trial was confirmed; in a pause, too: without it the machine would go back, which is a change."""
        if run.expired:
            self.blame("I8 a request that is too old is carried out", "confirm")

    def heard(self, instance_id: str, word: str) -> None:
        """Take note that a machine spoke, and maybe denied to forward: it may be believed."""
        self._course.running[-1].heard = True
        if '"forwarding": false' in word:
            self.truth.denied[instance_id] = self._course.vpc.now
        said = json.loads(word.strip().splitlines()[-1]) if word else {}
        if said and "result" not in said:
            self.drifted.pop(instance_id, None)
            if said["drift"] and said["digest"]:
                self.drifted[instance_id] = self._course.vpc.now
        elif said.get("result") in ("applied", "unchanged", "pending"):
            self.drifted.pop(instance_id, None)

    def completed(self, instance_id: str) -> None:
        """Judge that a terminating instance was let go."""
        instance = self.truth.vpc.instances.get(instance_id)
        declared = self._course.running[-1].topology or self.truth.declared
        card = pinned(instance, declared) if instance else None
        led = [what for what, target in self.truth.pins(declared) if card and target == card.id]
        if led and not self.lag_seen and not self._course.running[-1].overtaken:
            self.blame("I10 an instance is let go that things lead to", f"{instance_id}: {led[0]}")


def _seen_from(run: Run) -> float:
    """Return the earliest moment that what was read of who is fit may be from."""
    return run.started - WINDOW if run.late & TELLING else run.started
