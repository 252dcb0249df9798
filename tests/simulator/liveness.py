"""The judge of what must come to pass: after each calm run the network is as declared, and nobody dead is the router.

A calm run saw the truth (its reads were fresh), nothing went wrong in it, nothing happened beside it, and nobody had it
paused. So liveness under lag means: one tick after the lag has passed. What may hold a calm run up even so is written
down here, each with its bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.builders import EIP
from tests.simulator.truth import DEFAULT, HOUR, WINDOW, is_candidate
from tests.simulator.vpc import (
    ADDRESSES,
    INSTANCES,
    LONG_AGO,
    NAT_CARD,
    RULES,
    STATUS,
    SUBNETS,
    TABLES,
    VPCS,
    created,
    seconds,
)

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Instance
    from chalicelib.core.network.topology import Topology
    from tests.simulator.course import Course, Run
    from tests.simulator.journal import SimulatedJournal
    from tests.simulator.judge import Judge

RUN_SECONDS = 45.0
"""What a run may take; the worker's own calls after it come on top, below the function's timeout."""

PAUSES = (0, 0, 60, 120, 240, 480, 900)
"""Seconds that Mooring may wait before it leaves a router that runs, by how often it did so within the hour."""

AGREES = 90.0
"""Seconds that may pass until looks that agree on a network moved whole are believed."""

READS = (INSTANCES, TABLES, ADDRESSES)
NEEDED = {"GetItem", "TransactWriteItems", *READS}
"""The APIs without which nothing can be decided; what needs none of the others comes to pass whatever becomes of them."""

TOUCHES = {
    RULES: ("ingress",),
    SUBNETS: ("subnet",),
    VPCS: ("dhcp",),
    "ModifyNetworkInterfaceAttribute": ("check", "route", "subnet"),
    "CreateRoute": ("route", "subnet"),
    "ReplaceRoute": ("route", "subnet"),
    "AssociateAddress": ("elastic", "route", "subnet"),
    "AssociateRouteTable": ("subnet",),
    "AssociateDhcpOptions": ("dhcp",),
    "RevokeSecurityGroupIngress": ("ingress",),
}
"""What may be left as it is where an API fails."""

SPOKEN = 300.0
"""Seconds after which a command that was sent has been heard, late as it may be."""

LOOKS = 8
"""How often one run may look."""


class Liveness:
    """Judges each run when it has ended. `epoch` counts what people did, `redeclared` is when they last declared."""

    def __init__(self, course: Course, judge: Judge, journal: SimulatedJournal) -> None:
        self._course, self._judge, self._truth, self._journal = course, judge, judge.truth, journal
        self._dead: dict[str, int] = {}
        self._settled: tuple[int, int, int] | None = None
        self._whole: tuple[str, float] | None = None
        self.epoch = 0
        self.redeclared = LONG_AGO

    def cut(self) -> None:
        """Take note that a run was cut off: where it stood, nobody knows."""
        self._settled = self._whole = None

    def ended(self, run: Run) -> None:
        """Judge a run that has ended by itself."""
        course, judge, report = self._course, self._judge, run.report
        took = course.vpc.now - run.started - run.stolen
        if took > RUN_SECONDS + 8:  # the answer to whoever asked comes after the run
            judge.blame("I14 a run takes longer than it may", f"{took:.0f} s")
        if run.looks > LOOKS:
            judge.blame("I14 a run looks too often", f"{run.looks} times")
        for failure in (outcome.failure for outcome in (report.outcomes if report else ())):
            if failure and failure.code == "foreign":
                judge.blame("I6 a change is planned that touches what is not declared", failure.message)
        self._wished(run)
        settled, self._settled = self._settled, None
        if not self._is_calm(run) or run.topology is None or report is None:
            self._whole = None
            return
        self._calm(run, run.topology)
        quiet = settled == (run.version, self.epoch, run.noted) and not self._truth.warned
        if quiet and not run.heard and not run.failed and (run.writes or run.pushes or run.decided):
            judge.blame("I9 something is written although nothing happened", f"{run.writes}, {run.pushes}")
        # what machines said while the network was mended, the next run acts on
        if report.verdict in ("repaired", "converged") and not run.failed and not (run.heard and run.writes):
            self._settled = (self._truth.vpc.version, self.epoch, judge.noted)

    def _is_calm(self, run: Run) -> bool:
        """Return whether a run saw the truth and was asked for nothing but to look."""
        wished = run.to or (run.message and run.message.request.for_machines)
        return self._saw_truth(run) and not wished

    def _saw_truth(self, run: Run) -> bool:
        """Return whether a run had all that a decision needs, as it is, and nobody had it paused."""
        seen = run.report is not None and run.report.verdict != "expired"
        declared = run.topology is self._truth.declared and not run.failed & NEEDED
        return seen and declared and run.calm and not (run.overtaken or run.maybe_paused)

    def _wished(self, run: Run) -> None:
        """Judge that an operator who names a fit router gets it; what AWS or it itself says against it, force overrules."""
        mark = self._truth.marks.get(run.to or "")
        if run.to is None or mark is None or mark.why or run.failed or run.skew or not self._saw_truth(run):
            return
        decided = self._journal.history("office").decided_at
        if run.report and run.report.verdict == "blind" and decided and seconds(decided) > run.started:
            return  # decided by a clock that is ahead
        said = not self._truth.fit_throughout(run.to, self._course.vpc.now)
        if self._judge.router != run.to and (run.force or not said):
            beside = ", though forced" if said else ""
            verdict = run.report.verdict if run.report else ""
            self._judge.blame(f"I15 a switchover is not made{beside} (verdict {verdict})", run.to)

    def _calm(self, run: Run, declared: Topology) -> None:
        judge, vpc = self._judge, self._truth.vpc
        verdict = run.report.verdict if run.report else ""
        there = vpc.instances.get(judge.router or "")
        if STATUS not in run.failed:
            self._deserted(run, declared, there, verdict)
        elastic_ip = vpc.elastic_ips.get(EIP)
        if run.left_nat and elastic_ip and elastic_ip.interface_id == NAT_CARD:
            judge.blame("I10 a route is taken from what carries for what cannot", run.left_nat[0])
        usable = there and there.state == "running" and not self._truth.useless(there, declared)
        router = there if usable else None
        wrongs, moved = self._truth.wrongs(declared, router), self._moved_by_hand(run, declared)
        if wrongs and verdict in ("converged", "repaired") and router:
            subject, what = next(iter(wrongs.items()))
            judge.blame("I10 a verdict that is not so", f"{verdict}, but {subject} {what}")
            return
        if "PutItem" in run.failed:  # what was seen could not be noted down
            self._whole, moved = None, True
        self._drifted(run, declared, verdict)
        excused = tuple(kind for api in sorted(run.failed) for kind in TOUCHES.get(api, ()))
        held = self._too_much(declared, router) if self._held_back(declared) else set()
        left = {
            subject: what
            for subject, what in wrongs.items()
            if not subject.startswith(excused) and subject not in held
        }
        if left and not moved:
            subject, what = next(iter(left.items()))
            beside = "" if router else ", without a router"
            judge.blame(
                f"I15 {_kind(subject)} is not repaired (verdict {verdict}{beside})", f"{subject} {what}"
            )

    def _drifted(self, run: Run, declared: Topology, verdict: str) -> None:
        """Judge that nothing is called well while a machine that may be pushed to has told of drift, in its present life."""
        judge, vpc = self._judge, self._truth.vpc
        if verdict not in ("converged", "repaired") or run.failed or run.kind != "worker" or judge.forgetful:
            return
        for instance_id, told in judge.drifted.items():
            machine = vpc.instances.get(instance_id)
            running = machine and machine.state == "running" and is_candidate(machine, declared)
            if machine and running and seconds(machine.launched_at) < told - SPOKEN:
                judge.blame(
                    "I10 a verdict that is not so", f"{verdict}, but {instance_id} has drifted, and said so"
                )

    def _moved_by_hand(self, run: Run, declared: Topology) -> bool:
        """Return whether somebody has moved the network whole to one that is fit: it takes several looks to believe that."""
        truth = self._truth
        unseen = "it fails its status checks" if STATUS in run.failed else ""  # nobody could know
        others = [i for i in truth.vpc.instances if i != self._judge.router]
        there = [i for i in others if truth.marks[i].why in ("", unseen)]
        there = [i for i in there if truth.all_lead_to(declared, i)]
        now = self._course.vpc.now
        if not there:
            self._whole = None
            return False
        if now <= self._judge.decided_at + WINDOW:
            return True
        if self._whole is None or self._whole[0] != there[0]:
            self._whole = (there[0], now)  # the first calm look that could be noted down
        return now - self._whole[1] <= AGREES

    def _held_back(self, declared: Topology) -> bool:
        """Return whether limits may hold back what is declared anew: within tight ones an operator carries it out."""
        return declared.limits.tables < 250 and (self.redeclared > LONG_AGO or self._judge.router is None)

    def _too_much(self, declared: Topology, router: Instance | None) -> set[str]:
        """Return what limits may hold back: what leads to somebody else or nowhere yet, if it is more than they allow."""
        wrongs = self._truth.wrongs(declared, router, waiting=True)
        takes = {subject for subject in wrongs if self._takes(declared, subject)}
        tables = {subject.split(" ")[1] for subject in takes if subject.startswith("route")}
        limits = declared.limits
        return takes if len(takes) > limits.changes or len(tables) > limits.tables else set()

    def _takes(self, declared: Topology, subject: str) -> bool:
        """Return whether mending something takes it from anybody but a router that was, or a candidate."""
        kind, *where = subject.split(" ")
        if kind not in ("route", "elastic"):
            return kind in ("subnet", "dhcp")
        if kind == "elastic":
            elastic_ip = self._truth.vpc.elastic_ips[declared.elastic_ip]
            target = elastic_ip.interface_id or ""
        else:
            route = created(self._truth.vpc.tables[where[0]], where[1])
            if route is None:
                return True
            target = "" if route.state == "blackhole" else route.target
        owner = self._truth.vpc.owner_of(target)
        return bool(target) and not (owner and is_candidate(owner, declared))

    def _deserted(self, run: Run, declared: Topology, router: Instance | None, verdict: str) -> None:
        """A router that is dead in truth, beside one that is fit, is left within two calm runs."""
        judge, now, truth = self._judge, self._course.vpc.now, self._truth
        fit = [
            i.id
            for i in truth.vpc.instances.values()
            if i.id != judge.router and not truth.marks[i.id].why and not truth.warned_since(i.id, now)
        ]
        if judge.router is None:
            if fit and not self._held_back(declared):
                judge.blame(f"I15 nobody is made router (verdict {verdict})", f"{fit[0]} is fit")
            return
        why = self._why_dead(declared, router)
        if not why or not fit or self._waits(router, why):
            self._dead.clear()
            return
        self._dead[judge.router] = self._dead.get(judge.router, 0) + 1
        if self._dead[judge.router] == 2:
            judge.blame(
                f"I15 a router that is {why} is kept (verdict {verdict})",
                f"{judge.router}, though {fit[0]} is fit",
            )

    def _why_dead(self, declared: Topology, router: Instance | None) -> str:
        if router is None:
            return "terminated"
        if router.state != "running":
            return "stopped"
        if self._truth.useless(router, declared):
            return "useless"
        status = self._truth.vpc.statuses.get(router.id)
        if status and status.checks == "impaired":
            return "impaired"
        chosen = (
            self._judge.chosen
        )  # of what was said before, who chose it had heard; the word since may have been lost
        noted = [n for n in self._journal.history("office").notices if n.instance_id == router.id]
        known = any(n.kind in ("interruption", "termination") and seconds(n.at) >= chosen for n in noted)
        return "notified" if known and self._truth.notice_in_force(router, chosen) else ""

    def _waits(self, router: Instance | None, why: str) -> bool:
        """Return whether Mooring may wait: undated evidence just after a decision, or a pause that bounds flapping."""
        now, judge = self._course.vpc.now, self._judge
        if router is None:
            return False
        if now - judge.since <= WINDOW:
            return True
        if why == "notified" and now - seconds(router.launched_at) <= WINDOW:
            return True  # what is scheduled may have been so for the launch before
        if why not in ("impaired", "notified"):
            return False
        recent = [at for at in judge.left if at > now - HOUR]
        return bool(recent) and now - recent[-1] <= PAUSES[min(len(recent), len(PAUSES) - 1)] + 60


def _kind(subject: str) -> str:
    if subject.startswith(("route", "elastic")):
        return (
            "the public default route"
            if subject.endswith(DEFAULT) and "rtb-00000000000000001" in subject
            else "a pin"
        )
    return subject.split(" ", maxsplit=1)[0]
