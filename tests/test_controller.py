"""The one path, run on a model VPC: what is done, in which order, what is proved, and what is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from chalicelib.controller import APPLY_SECONDS, VERIFY_PAUSES, Request, preview, reconcile
from chalicelib.core.change import DisableSourceDestCheck, ReplaceRoute, digest, subject
from chalicelib.core.history import History, Pause
from chalicelib.core.observation import ElasticIp, Instance, Observation
from chalicelib.core.topology import Limits, Topology
from tests.builders import (
    EIP,
    FOREIGN_EIP,
    FOREIGN_ENI,
    NOON,
    PRIVATE_A,
    PRIVATE_B,
    PRIVATE_SUBNET_A,
    PUBLIC,
    PUBLIC_SUBNET,
    ROUTER,
    ROUTER_ENI,
    STANDBY,
    STANDBY_ENI,
    instance,
    interface,
    private_table,
    public_table,
    seen,
    standby,
    topology,
)
from tests.core.inspection import inspect
from tests.core.model import Model
from tests.fakes import Decided, FakeClock, FakeJournal, FakeNetwork, Fault, Scene, Sight, Write
from tests.oracle import judge

if TYPE_CHECKING:
    from chalicelib.core.report import Report

DEFAULT = "0.0.0.0/0"


def moored(*instances: Instance, declared: Topology | None = None, faults: tuple[Fault, ...] = ()) -> Scene:
    """Give a converged network with the router, a standby unless told otherwise, and a journal that knows."""
    declared = declared or topology()
    scene = Scene(declared, Model.of(seen(declared, *(instances or (instance(), standby())))), faults)
    scene.journal.histories[declared.name] = History(1, ROUTER, NOON - timedelta(days=1))
    return scene


def results(scene: Scene) -> dict[str, str]:
    """Give what became of each change of the last run."""
    report = scene.runs[-1].report
    assert report
    return {subject(o.change): o.result for o in report.outcomes}


def test_converged_network_is_never_written_however_often_asked() -> None:
    """Same state, zero writes: twenty runs, one look each (invariant 9)."""
    scene = moored()

    reports = [scene.reconcile() for _ in range(20)]

    assert {r.verdict for r in reports} == {"converged"}
    assert scene.network.writes == []
    assert len(scene.network.sights) == 20
    assert scene.history.revision == 1


def test_terminated_router_is_followed_by_the_standby() -> None:
    """A failover: one look, one write per wrong thing, one look that proves it."""
    scene = moored()
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "repaired"
    assert report.sentence == (
        f"office: router moved from {ROUTER} to {STANDBY} because {ROUTER} is terminated; 6 of 6 changes verified"
    )
    assert [type(entry) for entry in scene.network.log] == [Sight, Decided, *[Write] * 6, Sight]
    assert judge(scene.topology, scene.model.facts()) == []
    assert inspect(scene.runs[-1]) == []


def test_first_run_on_a_network_nobody_moored_pins_everything() -> None:
    """Routes, Elastic IP and check, from nothing."""
    scene = moored(instance(eni=interface(check=True)))
    for table in (PRIVATE_A, PRIVATE_B, PUBLIC):
        scene.model.tables[table] = replace(scene.model.tables[table], routes=(), associations={})
    scene.model.put_address(EIP, None)

    assert scene.reconcile().verdict == "repaired"
    assert judge(scene.topology, scene.model.facts()) == []


def test_run_after_a_repair_is_quiet() -> None:
    """Second round: what was repaired stays repaired, and nothing is written again."""
    scene = moored()
    scene.model.terminate(ROUTER)
    scene.reconcile()

    again = scene.run()

    assert again.report
    assert again.report.verdict == "converged"
    assert again.writes == []


def test_report_says_since_when_the_router_is_the_router() -> None:
    """`since` is the moment of the decision, and stays while the router does."""
    scene = moored()
    before = scene.reconcile()
    scene.model.terminate(ROUTER)
    after = scene.reconcile()

    assert before.since == NOON - timedelta(days=1)
    assert after.since == after.started_at


def test_fresh_instance_gets_its_check_off_before_any_route() -> None:
    """A route is pointed only at an interface whose check is already off (invariant 3)."""
    scene = moored(instance(), standby(check=True))
    scene.model.terminate(ROUTER)

    scene.reconcile()

    assert isinstance(scene.network.writes[0].change, DisableSourceDestCheck)
    assert inspect(scene.runs[-1]) == []


def test_check_that_cannot_be_switched_off_holds_the_routes_back_and_nothing_else() -> None:
    """Routes wait for the check; the Elastic IP does not (invariants 3 and 10)."""
    scene = moored(instance(), standby(check=True), faults=(Fault("write", 0, "refuse"),))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert results(scene) == {
        f"source/dest check {STANDBY_ENI}": "failed",
        f"route {PRIVATE_A} {DEFAULT}": "held",
        f"route {PRIVATE_B} {DEFAULT}": "held",
        f"elastic ip {EIP}": "verified",
        f"route {PUBLIC} 10.100.100.0/24": "held",
        f"route {PUBLIC} 10.100.30.0/24": "held",
        f"route {PUBLIC} 192.168.0.0/24": "held",
    }
    assert inspect(scene.runs[-1]) == []
    assert report.retryable


def unserved(*, faults: tuple[Fault, ...] = ()) -> Scene:
    """Give a network in which a subnet lost its table, and that table its default route."""
    scene = moored(faults=faults)
    scene.model.unroute(PRIVATE_A, DEFAULT)
    table = scene.model.tables[PRIVATE_A]
    scene.model.tables[PRIVATE_A] = replace(table, associations={})
    return scene


def test_subnet_moves_only_after_its_table_has_its_default_route() -> None:
    """A subnet on a table without a way out has lost what it had on the table it came from."""
    scene = unserved()

    assert scene.reconcile().verdict == "repaired"
    assert [subject(write.change) for write in scene.network.writes] == [
        f"route {PRIVATE_A} {DEFAULT}",
        f"subnet {PRIVATE_SUBNET_A}",
    ]


def test_subnet_stays_where_it_is_when_its_tables_default_route_fails() -> None:
    """It is held back, and moves in the run in which the route is written."""
    scene = unserved(faults=(Fault("write", 0, "refuse"),))

    assert scene.reconcile().verdict == "drifting"
    assert results(scene) == {f"route {PRIVATE_A} {DEFAULT}": "failed", f"subnet {PRIVATE_SUBNET_A}": "held"}
    assert scene.reconcile().verdict == "repaired"


def test_one_refused_write_stops_no_other_and_is_reported() -> None:
    """Every independent change gets its attempt, every failure is told with AWS's code (invariant 10)."""
    scene = moored(faults=(Fault("write", 1, "refuse", code="UnauthorizedOperation"),))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert report.sentence.endswith("; 5 of 6 changes verified; 1 failed")
    failed = [o for o in report.outcomes if o.result == "failed"]
    assert [o.failure.code for o in failed if o.failure] == ["UnauthorizedOperation"]
    assert scene.reconcile().verdict == "repaired"


def test_write_whose_reply_was_lost_is_found_done_by_looking() -> None:
    """Not the reply but the network says whether it is done."""
    scene = moored(faults=(Fault("write", 0, "lose"),))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "repaired"
    assert results(scene)[f"route {PRIVATE_A} {DEFAULT}"] == "unneeded"


def test_write_that_is_seen_late_is_waited_for() -> None:
    """EC2 is eventually consistent: an old view after a write is looked at again, not called a failure."""
    scene = moored(faults=(Fault("observe", 1, "stale", times=2, age=6),))
    scene.network.happen(lambda vpc: vpc.terminate(ROUTER))

    report = scene.reconcile()

    assert report.verdict == "repaired"
    assert len(scene.network.sights) == 4


def test_write_that_is_never_seen_is_not_called_done() -> None:
    """Patience ends, and what was not seen is not said to be repaired (invariant 10)."""
    scene = moored(faults=(Fault("observe", 1, "stale", times=len(VERIFY_PAUSES), age=6),))
    scene.network.happen(lambda vpc: vpc.terminate(ROUTER))

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert set(results(scene).values()) == {"unseen"}
    assert report.finished_at - report.started_at == timedelta(seconds=sum(VERIFY_PAUSES))
    assert scene.reconcile().verdict == "converged"


def test_blind_after_writing_claims_nothing() -> None:
    """If the network cannot be looked at again, nothing is called done."""
    scene = moored(faults=(Fault("observe", 1, "refuse", times=len(VERIFY_PAUSES)),))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert set(results(scene).values()) == {"unseen"}
    assert report.error


@pytest.mark.parametrize("fault", [Fault("observe", 0, "refuse"), Fault("read", 0, "refuse")])
def test_blind_run_writes_nothing(fault: Fault) -> None:
    """Blind is not down: a failed reading is never an empty one (invariant 7)."""
    scene = moored(faults=(fault,))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "blind"
    assert report.retryable
    assert scene.network.writes == []
    assert scene.reconcile().verdict == "repaired"


def test_nobody_eligible_leaves_everything_as_it_is() -> None:
    """No candidate: keep the state and say so (invariant 7)."""
    scene = moored(instance())
    scene.model.become(ROUTER, state="stopped")

    report = scene.reconcile()

    assert report.verdict == "no-router"
    assert not report.retryable
    assert scene.network.writes == []


def test_decision_that_cannot_be_recorded_is_not_carried_out() -> None:
    """The journal has the decision before the first write."""
    scene = moored(faults=(Fault("decide", 0, "refuse"),))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert report.error
    assert scene.network.writes == []
    assert scene.reconcile().verdict == "repaired"


def test_decision_on_record_names_every_change_and_its_reason() -> None:
    """Who reads the journal after a crash knows what was under way and why."""
    scene = moored(faults=(Fault("write", 0, "cut-before"),))
    scene.model.terminate(ROUTER)

    scene.run()

    (decided,) = (entry for entry in scene.network.log if isinstance(entry, Decided))
    assert decided.after.router == STANDBY
    assert len(decided.decision.outcomes) == 6
    assert {o.change.reason for o in decided.decision.outcomes} == {f"{ROUTER} is terminated"}
    assert {o.result for o in decided.decision.outcomes} == {"planned"}


def test_outcome_that_cannot_be_recorded_is_still_reported() -> None:
    """The network is repaired whether or not the journal hears of it."""
    scene = moored(faults=(Fault("close", 0, "refuse"),))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "repaired"
    assert report.error
    assert scene.journal.outcomes == []


def test_outcome_is_recorded_as_it_is_reported() -> None:
    """Journal and caller get the same report."""
    scene = moored()
    scene.model.terminate(ROUTER)

    assert scene.journal.outcomes == [scene.reconcile()]


class Overtaken(FakeJournal):
    """A journal that lets another run through just before a decision is recorded."""

    scene: Scene | None = None

    def decide(self, name: str, before: History, after: History, decision: Report) -> None:
        """Let the other run decide first."""
        other, self.scene = self.scene, None
        if other:
            reconcile(other.topology, other.ports, Request("the other run"))
        super().decide(name, before, after, decision)


class Early(FakeNetwork):
    """A network that was looked at a while ago."""

    seen: Observation | None = None

    def observe(self, topology: Topology, seconds: float = 20.0) -> Observation:
        """Give that look."""
        return self.seen or super().observe(topology, seconds)


class Late(FakeJournal):
    """A journal in which another run decided after this one's look was taken, and a moment before it was read."""

    clock: FakeClock | None = None

    def read(self, name: str) -> History:
        """Let a moment pass, and the other run's decision with it."""
        assert self.clock
        self.clock.sleep(1)
        return History(revision=7, router=ROUTER, decided_at=self.clock.now())


def test_look_that_another_run_outdated_makes_no_plan() -> None:
    """What was seen before another run decided is no ground for a decision after it (invariant 5)."""
    scene = moored()
    scene.model.terminate(ROUTER)
    network, late = Early(scene.model, scene.clock), Late()
    network.seen, late.clock = scene.network.observe(scene.topology), scene.clock

    report = reconcile(
        scene.topology, replace(scene.ports, network=network, journal=late), Request("schedule")
    )

    assert (report.verdict, network.writes) == ("blind", [])


def test_older_plan_never_overwrites_a_newer_one() -> None:
    """A run that was overtaken finds the journal changed and leaves its plan (invariant 5)."""
    scene = moored()
    journal = Overtaken(log=scene.network.log, histories=scene.journal.histories)
    scene.journal = journal
    scene.model.terminate(ROUTER)
    journal.scene = scene

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert report.error
    assert report.error.retryable
    assert len(scene.network.writes) == 6
    assert judge(scene.topology, scene.model.facts()) == []


@pytest.mark.parametrize("declared", [True, False])
def test_paused_run_looks_reports_and_writes_nothing(*, declared: bool) -> None:
    """Paused: observe and report; resumed: repaired at once (invariant 13)."""
    scene = moored(declared=topology(paused=declared))
    if not declared:
        scene.journal.histories["office"] = replace(scene.history, pause=Pause("maintenance"))
    scene.model.terminate(ROUTER)
    before = scene.model.facts()

    report = scene.reconcile()

    assert report.verdict == "paused"
    assert "6 changes to make" in report.sentence
    assert scene.model.facts() == before
    scene.topology = replace(scene.topology, paused=False)
    scene.journal.histories["office"] = replace(scene.history, pause=None)
    assert scene.reconcile().verdict == "repaired"


def test_refused_plan_is_shown_whole_and_can_be_forced() -> None:
    """A guard's refusal costs nothing but the time until an operator insists."""
    scene = moored(declared=topology(limits=Limits(changes=5)))
    scene.model.terminate(ROUTER)

    refused = scene.reconcile()
    writes = len(scene.network.writes)
    forced = scene.reconcile(Request("operator", force=True))

    assert (refused.verdict, len(refused.outcomes), writes) == ("refused", 6, 0)
    assert forced.verdict == "repaired"


def test_switchover_moves_everything_there_and_back() -> None:
    """An operator names the next router; the next wake-up leaves it where it is."""
    scene = moored()

    there = scene.reconcile(Request("operator", to=STANDBY))
    quiet = scene.reconcile()
    back = scene.reconcile(Request("operator", to=ROUTER))

    assert [r.verdict for r in (there, quiet, back)] == ["repaired", "converged", "repaired"]
    assert quiet.election
    assert quiet.election.router.id == STANDBY
    assert len(scene.history.moves) == 2
    assert judge(scene.topology, scene.model.facts()) == []


def test_switchover_to_a_dead_instance_is_refused_and_changes_nothing() -> None:
    """An operator's mistake is no failover."""
    scene = moored()
    scene.model.become(STANDBY, state="stopped")

    report = scene.reconcile(Request("operator", to=STANDBY))

    assert report.verdict == "refused"
    assert report.error
    assert report.error.hint == f"eligible now: {ROUTER}"
    assert scene.network.writes == []


def test_flapping_router_is_held_down() -> None:
    """Two routers that fail in turn do not drag the network to and fro for ever (invariant 8)."""
    scene = moored(declared=topology(limits=Limits(moves_per_hour=2)))
    verdicts = []
    for _ in range(4):
        sick, well = (ROUTER, STANDBY) if scene.history.router == ROUTER else (STANDBY, ROUTER)
        scene.model.become(sick, checks="impaired")
        scene.model.become(well, checks="ok")
        verdicts.append(scene.reconcile().verdict)

    assert verdicts == ["repaired", "repaired", "refused", "refused"]
    scene.clock.sleep(3600)
    assert scene.reconcile().verdict == "repaired"


def test_move_that_keeps_failing_does_not_use_up_the_hold_down() -> None:
    """Attempts are no moves: when AWS lets go, the next run converges (invariant 15)."""
    denied = Fault("write", 0, "refuse", times=100)
    scene = moored(declared=topology(limits=Limits(moves_per_hour=1)), faults=(denied,))
    scene.model.become(ROUTER, checks="impaired")
    for _ in range(5):
        assert scene.reconcile().verdict == "drifting"

    scene.script.stop()

    assert scene.reconcile().verdict == "repaired"
    assert len(scene.history.moves) == 1


def test_run_that_was_agreed_to_is_carried_out() -> None:
    """What an operator was shown is what is done."""
    scene = moored()
    scene.model.terminate(ROUTER)
    shown = preview(scene.topology, scene.ports, Request())

    report = scene.reconcile(Request(agreed=digest(o.change for o in shown.outcomes)))

    assert (shown.verdict, report.verdict) == ("drifting", "repaired")


def test_run_that_would_do_something_else_than_was_agreed_to_is_refused() -> None:
    """The network changed while the operator read: nothing is done behind his back."""
    scene = moored()
    scene.model.terminate(ROUTER)
    shown = preview(scene.topology, scene.ports, Request())
    scene.model.unroute(PRIVATE_A, DEFAULT)

    report = scene.reconcile(Request(agreed=digest(o.change for o in shown.outcomes)))

    assert report.verdict == "refused"
    assert scene.network.writes == []


def test_run_after_the_agreed_plan_was_made_by_another_has_nothing_to_do() -> None:
    """A tick was faster than the operator: nothing is done that was not agreed to, and that is no refusal."""
    scene = moored()
    scene.model.unroute(PRIVATE_A, DEFAULT)
    shown = preview(scene.topology, scene.ports, Request())
    scene.reconcile()

    report = scene.reconcile(Request(agreed=digest(o.change for o in shown.outcomes)))

    assert report.verdict == "converged"


def test_pause_of_a_converged_network_is_told() -> None:
    """A pause matters before there is anything to repair; the sentence says it."""
    scene = moored()
    wanted = Pause("the line is being dug up (anna)", NOON + timedelta(hours=2))
    scene.journal.histories["office"] = replace(scene.history, pause=wanted)

    report = preview(scene.topology, scene.ports, Request())

    assert (report.verdict, report.pause) == ("converged", wanted)
    assert report.sentence.endswith("; everything is as declared; paused until 2026-11-23 14:00 UTC")
    declared = replace(scene.topology, paused=True)
    assert preview(declared, scene.ports, Request()).pause == Pause("it is declared paused")


def test_preview_never_writes() -> None:
    """A look is a look, also when there is much to do or nothing to see."""
    scene = moored(faults=(Fault("observe", 1, "refuse"),))
    scene.model.terminate(ROUTER)

    verdicts = [preview(scene.topology, scene.ports, Request()).verdict for _ in range(2)]

    assert verdicts == ["drifting", "blind"]
    assert scene.network.log == [Sight(scene.network.sights[0].shown, stale=False)]
    assert scene.history.revision == 1


def test_adopted_router_is_remembered_without_a_write() -> None:
    """Where a hand moved all pins, the journal follows and the network is left alone."""
    scene = Scene(topology(), Model.of(seen(topology(), instance(), standby(), eni=STANDBY_ENI)))
    scene.journal.histories["office"] = History(4, ROUTER, NOON)

    report = scene.reconcile()

    assert report.verdict == "converged"
    assert scene.network.writes == []
    assert (scene.history.router, scene.history.revision) == (STANDBY, 5)
    assert scene.reconcile().verdict == "converged"
    assert scene.history.revision == 5


def test_replaced_instance_on_the_prepared_interface_needs_no_write_at_all() -> None:
    """The post's own way: Elastic IP and routes stay with the interface, and a new instance takes it."""
    scene = moored(instance(), declared=topology(private_address=IPv4Address("10.0.0.8")))
    scene.model.terminate(ROUTER, ROUTER_ENI)
    between = scene.reconcile()
    scene.model.launch(replace(standby(), interfaces=()), ROUTER_ENI)

    after = scene.reconcile()

    assert (between.verdict, after.verdict) == ("no-router", "converged")
    assert scene.network.writes == []
    assert after.election
    assert (after.election.router.id, after.election.previous) == (STANDBY, ROUTER)
    assert judge(scene.topology, scene.model.facts()) == []


def test_foreign_elastic_ip_in_the_way_is_a_problem_every_time_and_never_touched() -> None:
    """What only an operator can solve is told, and does not keep the rest from being kept."""
    scene = moored()
    scene.model.put_address(EIP, None)
    scene.model.elastic_ips[FOREIGN_EIP] = ElasticIp(FOREIGN_EIP, "203.0.113.99", ROUTER_ENI, "10.0.0.8")
    scene.model.unroute(PRIVATE_A, DEFAULT)

    first, second = scene.reconcile(), scene.reconcile()

    assert [r.verdict for r in (first, second)] == ["drifting", "drifting"]
    assert "1 problem for an operator" in second.sentence
    assert len(scene.network.writes) == 1
    assert [c for run in scene.runs for c in inspect(run) if "called" not in c] == []


def test_writes_that_find_no_time_are_left_for_the_next_run() -> None:
    """A run is bounded: what does not fit is a failure told, and the most valuable writes come first (invariant 14)."""
    scene = moored()
    scene.network.write_seconds = APPLY_SECONDS / 2
    scene.model.terminate(ROUTER)

    first = scene.reconcile()

    assert [type(w.change) for w in scene.network.writes] == [ReplaceRoute, ReplaceRoute]
    assert {w.change.table_id for w in scene.network.writes if isinstance(w.change, ReplaceRoute)} == {
        PRIVATE_A,
        PRIVATE_B,
    }
    assert first.verdict == "drifting"
    assert first.retryable
    assert [scene.reconcile().verdict for _ in range(2)] == ["drifting", "repaired"]


def test_stranger_in_the_vpc_is_never_elected_nor_touched() -> None:
    """An instance without the declared tags is somebody else's, whatever leads to it."""
    stranger = instance("i-stranger", interface(FOREIGN_ENI, "10.0.0.99", PUBLIC_SUBNET, check=True), tags={})
    scene = moored(instance(), stranger)
    scene.model.route(PRIVATE_A, DEFAULT, FOREIGN_ENI)

    assert scene.reconcile().verdict == "repaired"
    assert scene.model.instances["i-stranger"] == stranger
    assert inspect(scene.runs[-1]) == []


def test_many_tables_cost_one_write_each_and_two_looks() -> None:
    """The number of looks does not grow with the number of tables."""
    tables = tuple(private_table(f"rtb-{n:017x}", ()) for n in range(100, 150))
    scene = moored(declared=topology(tables=(public_table(), *tables)))
    scene.model.terminate(ROUTER)

    assert scene.reconcile().verdict == "repaired"
    assert len(scene.network.writes) == 50 + 1 + 3
    assert len(scene.network.sights) == 2
