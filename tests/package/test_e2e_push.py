"""End to end on the very zip: a tunnel is declared, and routers get, refuse and keep their configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.network import TUNNEL
from tests.package.e2e import WORKER

if TYPE_CHECKING:
    from tests.fake_routers import Box
    from tests.package.e2e import Office, Stage


def _routers(stage: Stage, office: Office) -> dict[str, Box]:
    """Return what runs on the office's two routers, the current one first."""
    return {instance_id: stage.boxes[instance_id] for instance_id in (office.router, office.standby)}


def _managed(stage: Stage, office: Office) -> dict[str, Box]:
    """Have both configured."""
    boxes = _routers(stage, office)
    office.declare(TUNNEL)
    stage.router.settle()
    assert all(box.digest for box in boxes.values())
    stage.forget()
    return boxes


def _look(stage: Stage, office: Office) -> dict[str, Any]:
    """Look through the API, which writes nothing down."""
    return dict(stage.router.call("GET", f"/topologies/{office.name}").body["now"])


def _machine(stage: Stage, office: Office, instance_id: str) -> dict[str, Any]:
    found = _look(stage, office)["machines"]
    return next(machine for machine in found if machine["instance_id"] == instance_id)


def test_declared_tunnel_configures_both_routers_before_any_tick(stage: Stage, office: Office) -> None:
    """The parameter's event has them asked, their answers' events have them pushed, and then heard: all is as declared."""
    boxes = _routers(stage, office)
    before = office.facts()
    office.declare(TUNNEL)
    stage.router.settle()
    assert [box.pushes for box in boxes.values()] == [1, 1]
    assert len({box.digest for box in boxes.values()} - {None}) == 2  # each has its own address in it
    now = _look(stage, office)
    assert (now["verdict"], now["problems"], now["waiting"], now["advice"]) == ("converged", [], [], [])
    assert {m["instance_id"]: m["said"]["digest"] for m in now["machines"]} == {
        instance_id: box.digest for instance_id, box in boxes.items()
    }
    assert (office.facts(), stage.writes()) == (before, [])
    assert stage.metric("TunnelUp", office.name)[-1] == 1
    assert stage.metric("PushFailed", office.name) == []
    (entry,) = [run for run in [office.last_run()] if run["changes"]]
    assert {(change["because"], change["result"]) for change in entry["changes"]} == {
        ("it has no configuration yet", "sent")
    }


def test_configured_routers_are_left_alone_by_a_tick(stage: Stage, office: Office) -> None:
    """Converged means quiet: no command, no parameter, no entry in the journal."""
    boxes = _managed(stage, office)
    entry = office.last_run()
    stage.forget()
    stage.router.tick()
    stage.router.settle()
    asked = {call.operation for call in stage.world.calls if call.by == "product"}
    assert not asked & {"SendCommand", "PutParameter", "TransactWriteItems", "PutItem", "UpdateItem"}
    assert [box.pushes for box in boxes.values()] == [1, 1]
    assert office.last_run() == entry
    assert stage.metric("Converged", office.name) == [1.0]


def test_router_that_refuses_is_told_and_the_network_is_untouched(stage: Stage, office: Office) -> None:
    """The other has it; the failure is a metric that alarms, a problem with when it is tried again, and no route moves."""
    (router, refusing), (standby, taking) = _managed(stage, office).items()
    had = refusing.digest
    refusing.refuses = "no space left on device"
    before = office.facts()
    office.declare(TUNNEL.replace("vpn.", "vpn2."))
    stage.router.settle()
    stage.router.tick()
    stage.router.settle()
    assert (refusing.digest, refusing.pushes) == (had, 2)
    assert taking.pushes == 2
    assert stage.metric("PushFailed", office.name)[-1] == 1
    (told,) = [problem for problem in _look(stage, office)["problems"] if router in problem]
    assert "refused it: no space left on device; the next try is at" in told
    assert standby not in told
    assert (office.facts(), office.router, stage.writes(), office.complaints()) == (before, router, [], [])


def test_operators_push_after_the_cause_is_gone_ends_the_failure(stage: Stage, office: Office) -> None:
    """By the API at once, whatever the next try's time; PushFailed is told no more."""
    router, box = next(iter(_managed(stage, office).items()))
    box.refuses = "no space left on device"
    office.declare(TUNNEL.replace("vpn.", "vpn3."))
    stage.router.settle()
    assert stage.metric("PushFailed", office.name)[-1] == 1
    box.refuses = None
    assert stage.router.call("POST", f"/topologies/{office.name}/push", {"to": router}).status == 202
    stage.router.settle()
    assert _machine(stage, office, router)["setback"] is None
    stage.forget()
    stage.router.tick()
    stage.router.settle()
    assert stage.metric("PushFailed", office.name) == []
    assert stage.metric("Converged", office.name) == [1.0]


def test_lost_answers_are_made_up_for_by_the_tick(stage: Stage, office: Office) -> None:
    """SSM's events are best effort: the worker waits for nobody, and the next minute's look brings the result."""
    router, box = next(iter(_managed(stage, office).items()))
    stage.world.command_dwell = None
    office.declare(TUNNEL.replace("vpn.", "vpn4."))
    stage.router.settle()
    assert _machine(stage, office, router)["command"]["kind"] == "push"
    while stage.world.settle():
        pass
    stage.world.command_dwell = 0.0
    lost = stage.router.take()
    assert {event["detail-type"].split()[1] for event in lost} == {"Command"}
    stage.forget()
    stage.router.settle()
    assert stage.served(WORKER) == []
    stage.router.tick()
    stage.router.settle()
    assert stage.metric("Converged", office.name) == [1.0]
    machine = _machine(stage, office, router)
    assert (machine["command"], machine["said"]["digest"]) == (None, box.digest)


def test_failover_goes_to_the_standby_that_is_configured_and_its_tunnel_is_told(
    stage: Stage, office: Office
) -> None:
    """Pushed before it was needed: nothing is pushed on the way, and what is launched anew is configured by itself."""
    boxes = _managed(stage, office)
    standby = office.standby
    gone = office.terminate_router()
    stage.router.settle()
    assert (office.router, office.complaints()) == (standby, [])
    assert boxes[standby].pushes == 1
    assert gone not in {machine["instance_id"] for machine in _look(stage, office)["machines"]}
    assert stage.boxes[office.standby].digest, "the group's next router was not configured"
