"""When the controller is wrong, packets stop: bugs planted in the planner, which its own verification cannot see."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.network.change import AssociateAddress, DisableSourceDestCheck, ReplaceRoute
from chalicelib.core.network.plan import make_plan
from tests.packets import failover
from tests.packets.drift import OFFICE, OUT, stopped

if TYPE_CHECKING:
    from chalicelib.core.network.change import NetworkChange
    from chalicelib.core.network.election import Election
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.plan import Plan
    from chalicelib.core.network.topology import Topology
    from tests.packets.lab import Lab


@pytest.mark.parametrize(
    ("forgotten", "lost"),
    [(AssociateAddress, OFFICE), (ReplaceRoute, OFFICE | OUT), (DisableSourceDestCheck, OFFICE | OUT)],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_planner_that_forgets_one_kind_of_change_stops_packets(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, forgotten: type, lost: set[tuple[str, str]]
) -> None:
    """It is content with what it did, since it forgets when it verifies too; the packets are not."""

    def forgetful(topology: Topology, observation: Observation, election: Election) -> Plan[NetworkChange]:
        plan = make_plan(topology, observation, election)
        return replace(plan, changes=tuple(c for c in plan.changes if not isinstance(c, forgotten)))

    for module in ("reconcile", "run"):
        monkeypatch.setattr(import_module(f"chalicelib.controller.{module}"), "make_plan", forgetful)
    lab.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=lab.state.card(lab.standby).id, SourceDestCheck={"Value": True}
    )
    if forgotten is ReplaceRoute:
        lab.ec2.terminate_instances(InstanceIds=[lab.router])
    else:
        failover.switch(lab)
    lab.mooring.rest()
    verdict = json.loads(lab.mooring.log.text[-1])["report"]["verdict"]
    assert verdict in ("converged", "repaired", "pending")
    lab.until(lambda: stopped(lab) == lost, f"exactly these stop: {sorted(lost)}")

    monkeypatch.undo()
    lab.mooring.tick()
    lab.until(lambda: stopped(lab) == set(), "a planner that forgets nothing brings them back")
