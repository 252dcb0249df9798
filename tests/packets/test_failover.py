"""A router's end under pings every 10 ms: who takes over, how soon, and that nothing flaps afterwards."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.packets import failover
from tests.packets.failover import (
    FLUSHED,
    HUNG,
    KILLED,
    NOT_FORWARDING,
    PLANNED,
    STOPPED,
    TERMINATED,
    Case,
    Outage,
    measure,
)
from tests.packets.probe import answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.packets.lab import Lab

REACHED, MOST_LOST = 3.0, 1.0
"""The bounds on a failover: seconds from the queue to the first answer, and seconds lost when it is planned."""


def best(lab: Lab, case: Case, good: Callable[[Outage], bool]) -> Outage:
    """Measure until it is good, three times at most: a machine that does something else must not turn it red."""
    outages = []
    for _ in range(3):
        outages.append(measure(lab, case))
        assert outages[-1].healed, lab.told()
        if good(outages[-1]):
            return outages[-1]
    pytest.fail("\n" + failover.table(outages))


@pytest.mark.parametrize("case", [TERMINATED, STOPPED], ids=lambda case: case.name)
def test_standby_takes_over_from_a_router_that_is_gone(lab: Lab, case: Case) -> None:
    """From the wake-up in the queue to the last flow's first answer it takes no more than REACHED."""
    outage = best(lab, case, lambda outage: outage.to_reach <= REACHED)
    assert list(outage.phases) == list(failover.PHASES), outage.phases
    assert outage.phases["queued"] < outage.phases["decided"] < outage.phases["written"]
    assert lab.complaints() == []


def test_planned_switchover_loses_next_to_nothing(lab: Lab) -> None:
    """Nobody has died: what is lost is the time in which the tunnel changes hands."""
    before = lab.router
    outage = best(lab, PLANNED, lambda outage: outage.lost <= MOST_LOST)
    assert "decided" in outage.phases
    assert lab.complaints() == []
    lab.until(lambda: lab.tunnels() == [lab.router], "the loser ends its tunnel by itself")
    assert before in lab.machines


def test_hung_router_is_left_and_takes_nothing_over_when_it_comes_back(lab: Lab) -> None:
    """Its status check tells; and when its system lives again it sees that the address is elsewhere."""
    old = lab.router
    outage = measure(lab, HUNG)
    assert outage.healed
    new = lab.router
    lab.revive(old)
    lab.until(
        lambda: lab.machines[old].said("is elsewhere", time.monotonic() - 30), "the old router has looked"
    )
    lab.mooring.tick()
    assert (lab.router, lab.tunnels(), lab.complaints()) == (new, [new], [])
    assert (
        lab.machines[old].run("systemctl", "is-active", "openvpn-client@mooring", check=False) == "inactive\n"
    )


def test_killed_openvpn_is_started_again_on_the_same_router(lab: Lab) -> None:
    """Systemd's restart does it; Mooring writes nothing."""
    router = lab.router
    lab.world.forget_calls()
    assert measure(lab, KILLED).healed
    lab.mooring.tick()
    assert lab.router == router
    assert [
        c.operation for c in lab.world.calls if c.by == "product" and c.service == "ec2" and c.write
    ] == []


@pytest.mark.parametrize("case", [FLUSHED, NOT_FORWARDING], ids=lambda case: case.name)
def test_router_that_only_looks_alive_is_left_by_a_switchover(lab: Lab, case: Case) -> None:
    """AWS sees a router that is well, and so does the office; an operator who asks for the other one is back at once."""
    outage = measure(lab, case)
    assert outage.healed
    assert max(loss.lost for loss in outage.losses.values()) > 0


def test_nothing_flaps_after_a_failover(lab: Lab) -> None:
    """The tunnel is started once on the new router and never again, and the server sees one client come."""
    measure(lab, TERMINATED)
    began = time.monotonic()
    for _ in range(4):
        time.sleep(1)
        lab.mooring.tick()
    lines = [line.text for m in lab.machines.values() for line in m.journal() if line.at > began]
    assert [
        text for text in lines if "Initialization" in text or "restarting" in text or "is here" in text
    ] == []
    assert answers(lab.namespace("private"), lab.address("lan0"))
