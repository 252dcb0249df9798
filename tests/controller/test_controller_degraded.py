"""Runs that lack something: a router, a reading, the declared address. What does not need it is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.network.observation import ElasticIp
from chalicelib.core.network.problems import UNREAD
from tests.builders import (
    BOOTSTRAP,
    EIP,
    FOREIGN_EIP,
    GROUP,
    PRIVATE_A,
    PRIVATE_B,
    PUBLIC,
    ROUTER,
    ROUTER_ENI,
    STANDBY,
    STANDBY_ENI,
    THIRD,
    instance,
    ssh_rule,
    standby,
)
from tests.core.inspection import inspect
from tests.fakes import Fault
from tests.oracle import judge
from tests.scenes import DEFAULT, moored, results

if TYPE_CHECKING:
    from tests.fakes import Scene

NAT = "nat-00000000000000001"


# -- nobody may be the router ---------------------------------------------------------------------------------


def test_network_without_a_router_keeps_what_needs_none() -> None:
    """The way to the internet of the public subnets comes back, and the ssh rule goes; no pin is touched (7 and 10)."""
    scene = moored(instance())
    scene.model.become(ROUTER, state="stopped")
    scene.model.unroute(PUBLIC, DEFAULT)
    scene.model.unroute(PRIVATE_A, DEFAULT)
    scene.model.ingress[BOOTSTRAP] = ssh_rule()

    report = scene.reconcile()

    assert report.verdict == "no-router"
    assert results(report) == {
        f"route {PUBLIC} {DEFAULT}": "verified",
        f"ingress {GROUP} {BOOTSTRAP}": "verified",
    }
    assert report.sentence == (
        f"office: no eligible router: {ROUTER} is stopped; what needs none is kept; 2 of 2 changes verified"
    )
    assert scene.model.tables[PUBLIC].static(DEFAULT)
    assert (report.election, report.moored, report.retryable) == (None, False, False)
    assert scene.history.router == ROUTER
    again = scene.run()
    assert again.report
    assert (again.report.verdict, again.writes) == ("no-router", [])
    assert again.report.sentence.endswith("is stopped; the network is left as it is")


def test_router_that_comes_back_is_the_router_again() -> None:
    """The journal kept who it was."""
    scene = moored(instance())
    scene.model.become(ROUTER, state="stopped")
    scene.reconcile()
    scene.model.become(ROUTER, state="running")
    scene.model.instances[ROUTER] = replace(scene.model.instances[ROUTER], launched_at=scene.clock.now())

    report = scene.reconcile()

    assert (report.verdict, report.router_id) == ("converged", ROUTER)


@pytest.mark.parametrize("ailment", ["impaired", "noticed", "untagged"])
def test_running_router_that_nobody_can_follow_is_repaired_and_told_of(ailment: str) -> None:
    """An EBS event, a false alarm, a notice to the last: what carries goes on carrying, and the alarm says why."""
    scene = moored()
    scene.model.become(STANDBY, checks="impaired")
    match ailment:
        case "impaired":
            scene.model.become(ROUTER, checks="impaired")
        case "noticed":
            scene.model.become(ROUTER, notice="gets a Spot stop in two minutes")
        case _:
            scene.model.instances[ROUTER] = replace(instance(), tags={})
    scene.model.unroute(PRIVATE_A, DEFAULT)

    report = scene.reconcile()

    assert (report.verdict, report.router_id) == ("drifting", ROUTER)
    assert results(report) == {f"route {PRIVATE_A} {DEFAULT}": "verified"}
    assert report.problems[0].endswith(", and no candidate is better")
    assert report.problems[0].startswith(ROUTER)
    assert scene.history.leaves == scene.history.moves == ()


# -- who can hold the pins ------------------------------------------------------------------------------------


def hold_foreign_address(scene: Scene, eni: str = STANDBY_ENI, address: str = "10.0.10.9") -> None:
    """Put somebody else's Elastic IP where the declared one would belong."""
    scene.model.elastic_ips[FOREIGN_EIP] = ElasticIp(FOREIGN_EIP, "203.0.113.99", eni, address)


def test_standby_with_an_address_of_its_own_is_passed_over_and_told_of_before_it_is_needed() -> None:
    """Issue 9, 6: it could not hold the declared address; the free one follows, though it is younger."""
    free = standby(THIRD, "eni-00000000000000003")
    free = replace(free, interfaces=(replace(free.interfaces[0], addresses=("10.0.10.10",)),))
    scene = moored(instance(), replace(standby(), launched_at=instance().launched_at), free)
    hold_foreign_address(scene)

    before = scene.reconcile()
    scene.model.terminate(ROUTER)
    after = scene.reconcile()

    assert any(
        problem.startswith(f"{STANDBY} could not take over: elastic ip") for problem in before.problems
    )
    assert (before.verdict, after.router_id) == ("drifting", THIRD)
    assert judge(scene.topology, scene.model.facts()) == []
    assert scene.model.elastic_ips[FOREIGN_EIP].interface_id == STANDBY_ENI


@pytest.mark.parametrize("bare", [(), ("no address",)], ids=["no interface", "no address"])
def test_candidate_without_interface_or_address_ends_no_run(bare: tuple[str, ...]) -> None:
    """Issue 9, 6: an IndexError in every run; it is told, passed over and left alone."""
    cards = tuple(replace(standby().interfaces[0], addresses=()) for _ in bare)
    scene = moored(instance(), replace(standby(), interfaces=cards))

    before = scene.reconcile()
    scene.model.terminate(ROUTER)
    after = scene.reconcile()

    assert any(problem.startswith(f"{STANDBY} could not take over: ") for problem in before.problems)
    assert (before.router_id, after.verdict) == (ROUTER, "no-router")


def test_foreign_elastic_ip_on_the_router_is_told_every_time_and_never_touched() -> None:
    """What only an operator can solve does not keep the rest from being kept."""
    scene = moored(instance())
    scene.model.put_address(EIP, None)
    hold_foreign_address(scene, ROUTER_ENI, "10.0.0.8")
    scene.model.unroute(PRIVATE_A, DEFAULT)

    first, second = scene.reconcile(), scene.reconcile()

    assert [r.verdict for r in (first, second)] == ["drifting", "drifting"]
    assert f"{ROUTER} holds the elastic ip {FOREIGN_EIP}" in second.problems[0]
    assert len(scene.network.writes) == 1
    assert [c for run in scene.runs for c in inspect(run) if "called" not in c] == []


# -- what carries until the router does -------------------------------------------------------------------------


def behind_a_nat_gateway(*faults: Fault) -> Scene:
    """Return a network on its way from a NAT gateway, which has the address, to a router."""
    scene = moored(faults=faults)
    scene.model.put_address(EIP, "eni-of-the-gateway", "10.0.0.50")
    for table_id in (PRIVATE_A, PRIVATE_B):
        scene.model.route(table_id, DEFAULT, NAT)
    return scene


def test_private_defaults_leave_a_nat_gateway_after_the_address() -> None:
    """Not a packet before the router can send it on."""
    scene = behind_a_nat_gateway()

    assert scene.reconcile().router_id == ROUTER
    written = [type(write.change).__name__ for write in scene.network.writes]
    assert written == ["AssociateAddress", "ReplaceRoute", "ReplaceRoute"]
    assert judge(scene.topology, scene.model.facts()) == []


def test_private_defaults_stay_with_a_nat_gateway_that_keeps_the_address() -> None:
    """Issue 9, 6: EC2 answers AuthFailure, and both defaults had left the gateway already."""
    scene = behind_a_nat_gateway(Fault("write", 0, "refuse", code="AuthFailure", times=50))

    report = scene.reconcile()

    assert results(report) == {
        f"route {PRIVATE_A} {DEFAULT}": "held",
        f"route {PRIVATE_B} {DEFAULT}": "held",
        f"elastic ip {EIP}": "failed",
    }
    held = next(o.failure for o in report.outcomes if o.result == "held")
    assert held
    assert held.message == f"it waits for elastic ip {EIP}, which is not as declared yet"
    assert (report.verdict, report.retryable) == ("drifting", True)
    for table_id in (PRIVATE_A, PRIVATE_B):
        route = scene.model.tables[table_id].static(DEFAULT)
        assert route
        assert route.target == NAT


def test_missing_default_beside_a_nat_gateway_that_keeps_the_address_is_created() -> None:
    """What leads nowhere loses nothing."""
    scene = behind_a_nat_gateway(Fault("write", 0, "refuse", code="AuthFailure"))
    scene.model.unroute(PRIVATE_B, DEFAULT)

    report = scene.reconcile()

    assert results(report)[f"route {PRIVATE_A} {DEFAULT}"] == "held"
    assert results(report)[f"route {PRIVATE_B} {DEFAULT}"] == "verified"


# -- readings that failed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", sorted(UNREAD))
def test_reading_that_no_move_needs_is_a_problem_in_words_and_stops_none(part: str) -> None:
    """Issue 9, 7: security group rules throttled, and a dead router that could be seen stayed the router."""
    scene = moored()
    scene.network.unread = {part: "RequestLimitExceeded"}
    scene.model.terminate(ROUTER)

    report = scene.reconcile()

    assert report.router_id == STANDBY
    assert set(results(report).values()) == {"verified"}
    assert report.moored
    (problem,) = report.problems
    assert f"({part}: RequestLimitExceeded)" in problem
    assert problem.endswith(UNREAD[part][1])
    assert report.verdict == "drifting"
    scene.network.unread = {}
    assert scene.reconcile().verdict == "converged"
    assert scene.history.router == STANDBY
