"""The one path, run on a model VPC: what is done, in which order, what is proved, and what is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from chalicelib.controller.run import VERIFY_PAUSES
from chalicelib.core.network.change import DisableSourceDestCheck, resource_key
from tests.builders import (
    EIP,
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
    standby,
    topology,
)
from tests.core.inspection import inspect
from tests.fakes import Decided, Fault, Scene, Sight, Write
from tests.oracle import judge
from tests.scenes import DEFAULT, moored, results


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
    assert results(report) == {
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
    """Return a network in which a subnet lost its table, and that table its default route."""
    scene = moored(faults=faults)
    scene.model.unroute(PRIVATE_A, DEFAULT)
    table = scene.model.tables[PRIVATE_A]
    scene.model.tables[PRIVATE_A] = replace(table, associations={})
    return scene


def test_subnet_moves_only_after_its_table_has_its_default_route() -> None:
    """A subnet on a table without a way out has lost what it had on the table it came from."""
    scene = unserved()

    assert scene.reconcile().verdict == "repaired"
    assert [resource_key(write.change) for write in scene.network.writes] == [
        f"route {PRIVATE_A} {DEFAULT}",
        f"subnet {PRIVATE_SUBNET_A}",
    ]


def test_subnet_stays_where_it_is_when_its_tables_default_route_fails() -> None:
    """It is held back, and moves in the run in which the route is written."""
    scene = unserved(faults=(Fault("write", 0, "refuse"),))

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert results(report) == {f"route {PRIVATE_A} {DEFAULT}": "failed", f"subnet {PRIVATE_SUBNET_A}": "held"}
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
    assert results(report)[f"route {PRIVATE_A} {DEFAULT}"] == "unneeded"


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
    assert set(results(report).values()) == {"unseen"}
    assert report.finished_at - report.started_at == timedelta(seconds=sum(VERIFY_PAUSES))
    assert scene.reconcile().verdict == "converged"


def test_look_after_writing_that_fails_is_made_again() -> None:
    """One throttled reading takes nothing from what was done."""
    scene = moored(faults=(Fault("observe", 1, "refuse"),))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert (report.verdict, report.error) == ("repaired", None)
    assert set(results(report).values()) == {"verified"}


def test_blind_after_writing_claims_nothing() -> None:
    """If the network cannot be looked at again, nothing is called done."""
    scene = moored(faults=(Fault("observe", 1, "refuse", times=len(VERIFY_PAUSES)),))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert set(results(report).values()) == {"unseen"}
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
    assert (after.router_id, after.election.previous) == (STANDBY, ROUTER)
    assert judge(scene.topology, scene.model.facts()) == []


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


@pytest.mark.parametrize("change", [{"state": "stopping"}, {"checks": "impaired"}])
def test_router_that_goes_while_it_is_verified_is_told_of(change: dict[str, str]) -> None:
    """All was written and seen, and leads to who carries nothing by then: that is not called repaired."""
    gone = Fault("observe", 1, "happen", event=lambda vpc: vpc.become(STANDBY, **change))
    scene = moored(faults=(gone,))
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.verdict == "drifting"
    assert set(results(report).values()) == {"verified"}
    assert report.problems[0].startswith(f"{STANDBY} ")
