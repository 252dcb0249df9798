"""The push on its one path: what is sent to which machine and when, what is waited for, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.controller.reconcile import reconcile
from chalicelib.core.machines.answer import PATIENCE
from chalicelib.core.machines.certificate import PARTS, CertificateRecord
from chalicelib.core.machines.machine import FRESH, TRY_AGAIN, Agent
from chalicelib.core.machines.rollout import INSPECTED, SETTLES
from chalicelib.core.machines.window import read_window
from chalicelib.core.network.history import READ_LAG
from chalicelib.core.network.topology import Tags
from chalicelib.core.request import Request
from chalicelib.core.tunnel.render import Box, render
from tests.builders import NOON, ROUTER, STANDBY, THIRD, TUNNEL, instance, seen, standby, topology
from tests.core.model import Model
from tests.fakes import Scene, Sent
from tests.histories import remembered

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Instance
    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology

MINUTE = timedelta(minutes=1)
ELASTIC = IPv4Address("203.0.113.8")
ADDRESSES = {ROUTER: IPv4Address("10.0.0.8"), STANDBY: IPv4Address("10.0.10.9")}


def managed(window: str | None = None, *, port: int = 1194) -> Topology:
    """Declare the network with its tunnel."""
    return topology(
        tunnel=replace(TUNNEL, port=port, change_window=read_window(window)[0] if window else None)
    )


def stage(
    declared: Topology | None = None, *instances: Instance, online: tuple[str, ...] = (ROUTER, STANDBY)
) -> Scene:
    """Return a converged network, a journal that knows the router, and machines that nobody has asked yet."""
    declared = declared or managed()
    scene = Scene(declared, Model.of(seen(declared, *(instances or (instance(), standby())))))
    scene.journal.histories[declared.name] = remembered(declared)
    scene.machines.online = {instance_id: Agent(online=True) for instance_id in online}
    return scene


def digest(declared: Topology, instance_id: str) -> str:
    """Return the digest that a candidate should have."""
    return render(declared, Box(ADDRESSES[instance_id], ELASTIC)).digest


def run(scene: Scene, after: timedelta = MINUTE, request: Request | None = None) -> Report:
    """Let time pass, and run."""
    scene.clock.sleep(after.total_seconds())
    return reconcile(scene.topology, scene.ports, request or Request("tick"))


def settled(declared: Topology | None = None) -> Scene:
    """Return a network whose machines have said that they are as declared."""
    scene = stage(declared)
    run(scene)
    for instance_id in (ROUTER, STANDBY):
        scene.machines.say(1, instance_id, digest=digest(scene.topology, instance_id), forwarding=True)
    assert run(scene).verdict == "converged"
    return scene


def sent(scene: Scene, *kinds: str) -> list[Sent]:
    """List what was sent."""
    return [one for one in scene.machines.sent if one.kind in kinds]


def test_a_machine_that_nobody_asked_is_asked_before_anything_is_pushed() -> None:
    """Unknown means no write: one inspection of all, and the run says what it waits for."""
    scene = stage()
    report = run(scene)
    assert report.verdict == "pending"
    assert scene.machines.sent == [Sent("inspect", (ROUTER, STANDBY))]
    assert report.waiting == (
        f"{ROUTER} has yet to say how it stands",
        f"{STANDBY} has yet to say how it stands",
    )


def test_bare_machines_are_pushed_their_own_configuration_and_proved_by_their_own_word() -> None:
    """Standbys are pushed before they are needed; a push is not called done until the machine says so."""
    scene = stage()
    run(scene)
    for instance_id in (ROUTER, STANDBY):
        scene.machines.say(1, instance_id, digest=None)
    report = run(scene)
    assert report.verdict == "pending"
    assert {o.result for o in report.outcomes} == {"sent"}
    assert sent(scene, "push") == [Sent("push", (i,), digest(scene.topology, i)) for i in (ROUTER, STANDBY)]
    assert scene.journal.outcomes[-1] == report
    waiting = run(scene)
    assert (waiting.verdict, len(sent(scene, "push"))) == ("pending", 2)
    scene.machines.say(2, ROUTER, result="applied", digest=digest(scene.topology, ROUTER), forwarding=True)
    scene.machines.say(3, STANDBY, result="applied", digest=digest(scene.topology, STANDBY), forwarding=True)
    assert run(scene).verdict == "converged"


def test_converged_machines_are_left_alone_but_for_the_inspection_that_is_due() -> None:
    """Same state, however often asked: no push, nothing written, one inspection of all in its time."""
    scene = settled()
    before = len(scene.machines.sent)
    revision = scene.journal.histories["office"].revision
    for _ in range(20):
        assert run(scene, timedelta(seconds=1)).verdict == "converged"
    assert len(scene.machines.sent) == before
    assert scene.journal.histories["office"].revision == revision
    run(scene, INSPECTED)
    assert scene.machines.sent[before:] == [Sent("inspect", (ROUTER, STANDBY))]


def test_drift_on_a_machine_is_pushed_over_and_the_reason_says_what_was_changed() -> None:
    """Who wonders why it was pushed reads what somebody changed."""
    scene = settled()
    run(scene, INSPECTED)
    line = "net.ipv4.ip_forward is 0"
    scene.machines.say(
        2, ROUTER, digest=digest(scene.topology, ROUTER), forwarding=True, drift=[line, "more"]
    )
    scene.machines.say(2, STANDBY, digest=digest(scene.topology, STANDBY), forwarding=True)
    report = run(scene)
    assert [(o.change.reason, o.result) for o in report.outcomes] == [
        (f"somebody changed the machine: {line}, and 1 more", "sent")
    ]


def test_rule_of_somebody_else_that_stops_traffic_is_a_problem_and_is_not_pushed_over() -> None:
    """A push mends nothing there: it is told, machine and rule, for as long as the machine says so."""
    scene = settled()
    run(scene, INSPECTED)
    line = "table inet firewalld, chain filter_FORWARD, `reject` stops 10.0.1.0/24 to the internet"
    own = digest(scene.topology, ROUTER)
    scene.machines.say(2, ROUTER, digest=own, forwarding=True, hooks=[line])
    scene.machines.say(2, STANDBY, digest=digest(scene.topology, STANDBY), forwarding=True)

    report = run(scene)

    assert report.outcomes == ()
    assert [p for p in report.problems if line in p] == [
        f"{ROUTER} does not carry all of it: {line}; Mooring leaves other people's rules alone"
    ]
    run(scene, INSPECTED)
    scene.machines.say(3, ROUTER, digest=own, forwarding=True, hooks=[])
    scene.machines.say(3, STANDBY, digest=digest(scene.topology, STANDBY), forwarding=True)
    assert run(scene).problems == ()


def test_what_is_declared_anew_waits_for_the_window_on_the_router_alone() -> None:
    """A standby carries no traffic; the router is pushed once its window opens."""
    scene = settled(managed("Mon 13:00-14:00"))
    scene.topology = managed("Mon 13:00-14:00", port=1195)
    report = run(scene)
    assert [one.instance_ids for one in sent(scene, "push")] == [(STANDBY,)]
    assert any("in the change window Mon 13:00-14:00 UTC" in line for line in report.waiting)
    scene.machines.say(2, STANDBY, result="applied", digest=digest(scene.topology, STANDBY), forwarding=True)
    scene.clock.time = NOON + timedelta(hours=1, minutes=1)
    run(scene)  # the word on the router is an hour old: it is asked first
    scene.machines.say(3, ROUTER, digest="0" * 64, forwarding=True)
    scene.machines.say(3, STANDBY, digest=digest(scene.topology, STANDBY), forwarding=True)
    run(scene)
    assert [one.instance_ids for one in sent(scene, "push")] == [(STANDBY,), (ROUTER,)]


@pytest.mark.parametrize("word", [{"digest": None}, {"digest": "declared", "drift": ["a rule was deleted"]}])
def test_what_nobody_declared_does_not_wait_for_the_window(word: dict[str, Any]) -> None:
    """A router without its configuration, or one that somebody changed, is mended at once."""
    scene = stage(managed("Sat 02:00-03:00"))
    run(scene)
    wanted = digest(scene.topology, ROUTER)
    scene.machines.say(1, ROUTER, **word | {"digest": wanted if word["digest"] else None}, forwarding=True)
    run(scene)
    assert sent(scene, "push") == [Sent("push", (ROUTER,), wanted)]


def test_an_operators_push_does_not_wait_and_reaches_only_the_machine_named() -> None:
    """`mooring push --to`: whatever is known of the machine, with the time to confirm it in."""
    scene = settled(managed("Sat 02:00-03:00"))
    scene.topology = managed("Sat 02:00-03:00", port=1195)
    run(scene, request=Request(action="push", to=ROUTER, confirm_within=300))
    assert Sent("push", (ROUTER,), digest(scene.topology, ROUTER), 300) in sent(scene, "push")


def test_a_push_that_nobody_confirmed_is_not_pushed_again_by_itself() -> None:
    """Commit confirmed: the machine went back, and Mooring leaves it there until an operator says otherwise."""
    scene = settled()
    old, scene.topology = digest(scene.topology, ROUTER), managed(port=1195)
    new = digest(scene.topology, ROUTER)
    run(scene, request=Request(action="push", to=ROUTER, confirm_within=120))
    number = 1 + scene.machines.sent.index(Sent("push", (ROUTER,), new, 120))
    scene.machines.say(number, ROUTER, result="pending", digest=new, forwarding=True)
    report = run(scene)
    assert any("`mooring confirm office`" in line for line in report.waiting)
    run(scene, timedelta(minutes=4))
    assert ROUTER in sent(scene, "inspect")[-1].instance_ids
    scene.machines.say(len(scene.machines.sent), ROUTER, digest=old, forwarding=True)
    pushes = len([one for one in sent(scene, "push") if one.instance_ids == (ROUTER,)])
    report = run(scene)
    assert report.verdict == "drifting"
    assert any("nobody confirmed it in time" in problem for problem in report.problems)
    for _ in range(3):
        run(scene, timedelta(minutes=20))
    assert len([one for one in sent(scene, "push") if one.instance_ids == (ROUTER,)]) == pushes


@pytest.mark.parametrize("late", [True, False], ids=["confirmed too late", "never confirmed"])
def test_what_was_given_up_is_not_pushed_without_its_condition(*, late: bool) -> None:
    """Also where secrets are stored, whose set no confirmation names."""
    scene = settled()
    scene.machines.stored = record(400)
    run(scene)
    answered(scene, 2, record(400).expires)
    old, scene.topology = digest(scene.topology, ROUTER), managed(port=1195)
    new = digest(scene.topology, ROUTER)
    run(scene, request=Request(action="push", to=ROUTER, confirm_within=60))
    number = 1 + scene.machines.sent.index(Sent("push", (ROUTER,), new, 60))
    scene.machines.say(number, ROUTER, result="pending", digest=new, forwarding=True)
    run(scene, request=Request(action="confirm", to=ROUTER) if late else None)
    if not late:
        run(scene, timedelta(minutes=4))
    word = {"result": "refused", "reason": "no push waits"} if late else {}
    status = "Failed" if late else "Success"
    scene.machines.say(len(scene.machines.sent), ROUTER, status, digest=old, forwarding=True, **word)
    pushes = len(sent(scene, "push"))
    report = run(scene)
    assert any("tries again" in problem for problem in report.problems)
    assert Sent("push", (ROUTER,), new) not in sent(scene, "push")[pushes:]


def test_a_confirmation_reaches_the_machine_on_trial_and_ends_the_trial() -> None:
    """`mooring confirm`: the machine keeps what it has; where nothing is on trial, it says so."""
    scene = settled()
    scene.topology = managed(port=1195)
    new = digest(scene.topology, ROUTER)
    refused = run(scene, request=Request(action="confirm"))
    assert (refused.verdict, len(sent(scene, "confirm"))) == ("refused", 0)
    run(scene, request=Request(action="push", to=ROUTER, confirm_within=300))
    number = 1 + scene.machines.sent.index(Sent("push", (ROUTER,), new, 300))
    scene.machines.say(number, ROUTER, result="pending", digest=new, forwarding=True)
    run(scene, request=Request(action="confirm"))
    assert sent(scene, "confirm") == [Sent("confirm", (ROUTER,), new)]
    scene.machines.say(len(scene.machines.sent), ROUTER, result="applied", digest=new, forwarding=True)
    run(scene)
    assert scene.journal.histories["office"].machine(ROUTER).provisional is None


def test_a_push_that_was_refused_is_tried_again_with_patience() -> None:
    """A machine that cannot take it is not asked every minute, and the run says when it is asked again."""
    scene = settled()
    scene.topology = managed(port=1195)
    for tries, pause in enumerate(TRY_AGAIN, start=1):
        run(scene)
        pushes = [
            n
            for n, one in enumerate(scene.machines.sent, 1)
            if (one.kind, one.instance_ids) == ("push", (ROUTER,))
        ]
        assert len(pushes) == tries
        scene.machines.say(
            pushes[-1],
            ROUTER,
            "Failed",
            result="refused",
            digest="0" * 64,
            reason="no space",
            forwarding=True,
        )
        report = run(scene, timedelta(seconds=1))
        assert any("refused it: no space; the next try is at" in problem for problem in report.problems)
        scene.clock.sleep(max(0.0, (pause - MINUTE).total_seconds()))
        keep_fresh(scene)


def keep_fresh(scene: Scene) -> None:
    """Have every machine's word on itself be of now, so that a test about time is about one time only."""
    history = scene.journal.histories["office"]
    for machine in history.machines:
        if machine.inspection:
            history = history.knows(
                replace(machine, inspection=replace(machine.inspection, at=scene.clock.now()))
            )
    scene.journal.histories["office"] = history


def test_a_young_machine_is_waited_for_and_an_old_one_without_an_agent_is_a_problem() -> None:
    """It takes a while from running to online; what takes longer will not come by itself."""
    young = replace(standby(), launched_at=NOON)
    scene = stage(None, instance(), young, online=(ROUTER,))
    report = run(scene)
    assert f"{STANDBY} runs, and its SSM agent is not online yet" in report.waiting
    report = run(scene, SETTLES)
    assert f"{STANDBY} has no SSM agent online, so it cannot be configured" in report.problems
    scene.machines.online[STANDBY] = Agent(online=False)
    report = run(scene)
    assert any("out of Systems Manager's reach" in problem for problem in report.problems)


def test_a_deaf_systems_manager_stops_no_repair_of_the_network() -> None:
    """Blind to machines is not blind to routes: the failover goes on, and nothing is pushed."""
    scene = settled()
    scene.machines.deaf = True
    scene.model.terminate(ROUTER)
    before = len(scene.machines.sent)
    report = run(scene)
    assert report.router_id == STANDBY
    assert all(outcome.result == "verified" for outcome in report.outcomes)
    assert report.verdict == "drifting"
    assert any("no machine can be configured or asked" in problem for problem in report.problems)
    assert len(scene.machines.sent) == before


def test_a_send_that_fails_is_reported_and_stops_nothing_else() -> None:
    """A denied SendCommand fails the pushes; the network's changes stand."""
    scene = stage()
    run(scene)
    scene.machines.say(1, ROUTER, digest=None)
    scene.machines.broken = True
    report = run(scene)
    assert [(o.result, o.failure and o.failure.code) for o in report.outcomes] == [
        ("failed", "AccessDeniedException")
    ]
    assert report.verdict == "drifting"
    assert scene.journal.histories["office"].machine(ROUTER).failed


def test_a_machine_that_stays_silent_is_a_problem_when_its_word_is_stale() -> None:
    """A dead agent's last word is leaned on for a while, and then no more."""
    scene = settled()
    for _ in range(5):
        report = run(scene, FRESH / 4)
    assert any("has not said how it stands since" in problem for problem in report.problems)


def test_a_failover_prefers_the_standby_that_is_configured() -> None:
    """Of two standbys the configured one is elected, though the other is older."""
    third = replace(standby(THIRD, "eni-00000000000000003"), launched_at=NOON - timedelta(hours=9))
    third = replace(third, interfaces=(replace(third.interfaces[0], addresses=("10.0.10.10",)),))
    scene = stage(None, instance(), standby(), third, online=(ROUTER, STANDBY, THIRD))
    run(scene)
    scene.machines.say(1, STANDBY, digest=digest(scene.topology, STANDBY), forwarding=True)
    scene.machines.say(1, THIRD, digest=None)
    run(scene)  # what they said is in the journal by then: a failover waits for no machine
    scene.model.terminate(ROUTER)
    report = run(scene)
    assert report.router_id == STANDBY


def test_a_router_that_does_not_forward_gives_way_to_one_that_does() -> None:
    """Routes right, no traffic: the machine's own word is reason enough, where another can take over."""
    scene = settled()
    run(scene, INSPECTED)
    scene.machines.say(
        2, ROUTER, digest=digest(scene.topology, ROUTER), forwarding=False, drift=["forwarding is off"]
    )
    report = run(scene)
    assert report.election
    assert (report.router_id, report.election.reason) == (
        STANDBY,
        f"{ROUTER} says that it does not forward",
    )


def test_a_pause_pushes_nothing_and_still_looks() -> None:
    """Paused: observe, report and alarm; never write."""
    scene = stage(replace(managed(), paused=True))
    run(scene)
    scene.machines.say(1, ROUTER, digest=None)
    report = run(scene)
    assert (report.verdict, sent(scene, "push")) == ("paused", [])
    assert sent(scene, "inspect")


def test_a_topology_without_a_tunnel_asks_no_machine_anything() -> None:
    """Its machines are not Mooring's."""
    scene = stage(topology())
    assert run(scene).verdict == "converged"
    assert (scene.machines.sent, scene.machines.asked) == ([], [])
    report = run(scene, request=Request(action="push"))
    assert report.verdict == "refused"
    assert report.error
    assert "declares no tunnel" in report.error.message


def test_a_command_without_an_answer_is_given_up_and_a_gone_machine_forgotten() -> None:
    """Nothing waits for ever; of one that a listing lacks something is known until no listing can be older."""
    scene = stage()
    run(scene)
    run(scene, PATIENCE + MINUTE)
    assert len(sent(scene, "inspect")) == 2
    scene.model.terminate(STANDBY)
    run(scene)
    assert [m.instance_id for m in scene.history.machines] == [ROUTER, STANDBY]
    run(scene, READ_LAG)
    assert [m.instance_id for m in scene.history.machines] == [ROUTER]


def record(days: int, ca: int = 1) -> CertificateRecord:
    """Return the record of a certificate that is good for so many days."""
    ends, versions = NOON + timedelta(days=days), dict.fromkeys(PARTS, 1)
    versions["ca"] = ca
    return CertificateRecord("aws-router", ends, ends, "ab" * 32, versions)


def answered(scene: Scene, first: int, ends: datetime) -> Report:
    """Have both machines say that they took a push, and run."""
    for number, instance_id in enumerate((ROUTER, STANDBY), first):
        wanted, until = digest(scene.topology, instance_id), ends.isoformat()
        scene.machines.say(
            number, instance_id, result="applied", digest=wanted, forwarding=True, certificate_expires=until
        )
    return run(scene)


def test_secrets_that_were_stored_anew_are_pushed_once_each_time() -> None:
    """The bundle is the same, and its digest: a new certificate shows by its end, a new CA or key by the record alone."""
    scene = settled()
    scene.machines.stored = record(400)
    report = run(scene)
    assert [o.result for o in report.outcomes] == ["sent", "sent"]
    assert (
        "other secrets are stored than it has; their certificate is good until 2027-12-28"
        in report.outcomes[0].change.reason
    )
    assert answered(scene, 2, record(400).expires).verdict == "converged"
    assert run(scene).verdict == "converged"
    scene.machines.stored = record(400, ca=2)
    assert [o.result for o in run(scene).outcomes] == ["sent", "sent"]
    assert answered(scene, 4, record(400).expires).verdict == "converged"


def test_a_machine_that_has_the_stored_certificate_is_left_alone_though_nobody_remembers_the_push() -> None:
    """A journal that was lost is no reason to push to every router."""
    scene = settled()
    history = scene.journal.histories["office"]
    for machine in history.machines:
        assert machine.inspection
        history = history.knows(
            replace(machine, inspection=replace(machine.inspection, expires=record(9).expires))
        )
    scene.journal.histories["office"] = history
    scene.machines.stored = record(9)
    report = run(scene)
    assert report.verdict == "converged"
    assert any(
        "the certificate that is stored, or its CA, ends in 8 days" in advice for advice in report.advice
    )


def test_a_bare_machine_that_went_back_is_tried_again_by_itself() -> None:
    """It has nothing to lose, and private subnets wait for it; one that had a configuration waits for an operator."""
    scene = stage()
    run(scene)
    for instance_id in (ROUTER, STANDBY):
        scene.machines.say(1, instance_id, digest=None)
    run(scene)
    scene.machines.say(
        2, ROUTER, "Failed", result="rolled-back", digest=None, reason="the tunnel is not connected"
    )
    scene.machines.say(3, STANDBY, result="applied", digest=digest(scene.topology, STANDBY), forwarding=True)
    assert any("the next try is at" in problem for problem in run(scene, timedelta(seconds=1)).problems)
    keep_fresh(scene)
    run(scene, TRY_AGAIN[0])
    assert len([one for one in sent(scene, "push") if one.instance_ids == (ROUTER,)]) == 2


def test_an_instance_without_the_tag_that_commands_need_is_told_of_and_left_alone() -> None:
    """The worker's role reaches only what carries mooring:router; one that does not must not spoil the command for all."""
    tags = {"role": "router"}
    declared = replace(managed(), candidates=(Tags((("role", "router"),)),))
    untagged = replace(standby(), tags=tags)
    scene = stage(declared, instance(tags=tags | {"mooring:router": "office"}), untagged)
    report = run(scene)
    assert sent(scene, "inspect") == [Sent("inspect", (ROUTER,))]
    tag = f"aws ec2 create-tags --resources {STANDBY} --tags Key=mooring:router,Value=office"
    assert any(tag in problem for problem in report.problems)


def test_secrets_that_a_machine_went_back_from_wait_for_an_operator_or_for_others() -> None:
    """They cost traffic once; the next ones that are stored are another push."""
    scene = settled()
    scene.machines.stored = record(400)
    run(scene)
    for number, instance_id in enumerate((ROUTER, STANDBY), 2):
        wanted = digest(scene.topology, instance_id)
        scene.machines.say(
            number,
            instance_id,
            "Failed",
            result="rolled-back",
            digest=wanted,
            forwarding=True,
            reason="no tunnel",
        )
    report = run(scene)
    assert any("tries again" in problem for problem in report.problems)
    for _ in range(3):
        keep_fresh(scene)
        assert run(scene, timedelta(minutes=20)).outcomes == ()
    assert len(sent(scene, "push")) == 2
    keep_fresh(scene)
    scene.machines.stored = record(401)
    assert [o.result for o in run(scene).outcomes] == ["sent", "sent"]


def test_a_failed_push_of_what_is_no_longer_declared_is_forgotten() -> None:
    """The declaration was taken back: nothing is wrong any more, and no alarm goes on."""
    scene = settled()
    old, scene.topology = scene.topology, managed(port=1195)
    scene.machines.broken = True
    assert run(scene).verdict == "drifting"
    assert scene.journal.histories["office"].machine(ROUTER).failed
    scene.machines.broken, scene.topology = False, old
    assert run(scene).verdict == "converged"
    assert [m.failed for m in scene.journal.histories["office"].machines] == [None, None]


def test_machines_of_a_tunnel_that_is_declared_no_more_are_forgotten() -> None:
    """They are not Mooring's any longer, and what failed on them alarms nobody."""
    scene = settled()
    scene.topology = topology()
    report = run(scene)
    assert (report.verdict, report.machines) == ("converged", ())
    assert scene.journal.histories["office"].machines == ()


def test_a_machine_that_never_says_how_it_stands_is_a_problem_after_a_while() -> None:
    """First it is waited for; what lasts is told with its reason, whatever else is known."""
    scene = stage()
    scene.machines.broken = True
    assert run(scene).verdict == "pending"
    assert run(scene, SETTLES).verdict == "pending"
    report = run(scene)
    assert report.verdict == "drifting"
    assert any("does not say how it stands" in p and "SendCommand" in p for p in report.problems)


def test_a_trial_does_not_hide_that_a_machine_fell_silent() -> None:
    """Once its time is over by far, the machine is like any other."""
    scene = settled()
    scene.topology = managed(port=1195)
    new = digest(scene.topology, ROUTER)
    run(scene, request=Request(action="push", to=ROUTER, confirm_within=60))
    number = 1 + scene.machines.sent.index(Sent("push", (ROUTER,), new, 60))
    scene.machines.say(number, ROUTER, result="pending", digest=new, forwarding=True)
    assert any("unless somebody confirms" in line for line in run(scene).waiting)
    report = run(scene, timedelta(minutes=20))
    assert any(f"{ROUTER} has not said how it stands since" in problem for problem in report.problems)


def test_a_word_from_before_an_instance_was_started_is_none() -> None:
    """Stopped and started, it may have come up otherwise: it is asked at once."""
    scene = settled()
    before = len(scene.machines.sent)
    router = replace(scene.model.instances[ROUTER], launched_at=scene.clock.now() + timedelta(seconds=1))
    scene.model.instances[ROUTER] = router
    report = run(scene)
    assert scene.machines.sent[before:] == [Sent("inspect", (ROUTER,))]
    assert f"{ROUTER} has yet to say how it stands" in report.waiting


def test_a_process_that_may_send_no_command_keeps_its_hands_off_the_machines() -> None:
    """`mooring apply --here` keeps the network; what its machines need waits for the worker, and is no failed push."""
    scene = stage()
    run(scene)
    for instance_id in (ROUTER, STANDBY):
        scene.machines.say(1, instance_id, digest=None)
    scene.machines.commands = False
    before = len(scene.machines.sent)
    report = run(scene)
    assert [o.result for o in report.outcomes] == ["held", "held"]
    assert len(scene.machines.sent) == before
    assert [m.failed for m in scene.journal.histories["office"].machines] == [None, None]


def test_a_run_writes_down_only_the_machines_that_it_learned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run may have learned of the others meanwhile."""
    scene = settled()
    run(scene, INSPECTED)
    scene.machines.say(2, ROUTER, digest=digest(scene.topology, ROUTER), forwarding=True)
    other = replace(scene.history.machine(STANDBY), secrets="7" * 64)
    amend = scene.journal.amend

    def overtaken(name: str, change: Callable[[History], History]) -> History:
        scene.journal.histories[name] = scene.history.knows(other)
        return amend(name, change)

    monkeypatch.setattr(scene.journal, "amend", overtaken)
    run(scene)
    assert scene.history.machine(STANDBY).secrets == "7" * 64
    assert scene.history.machine(ROUTER).command is None


def test_answers_that_cannot_be_read_are_asked_for_once_and_stop_no_repair() -> None:
    """A Systems Manager that hangs costs one call, not one for each machine; a later run hears."""
    scene = stage()
    run(scene)
    scene.machines.deaf = True
    scene.model.terminate(ROUTER)
    asked = len(scene.machines.asked)
    report = run(scene)
    assert len(scene.machines.asked) == asked + 1
    assert report.router_id == STANDBY
    assert all(outcome.result == "verified" for outcome in report.outcomes)
    assert any("answered could not be read" in advice for advice in report.advice)


def test_a_push_that_failed_keeps_no_instance_that_is_being_terminated() -> None:
    """Its hook is completed once the network leads to another, whatever machines say."""
    scene = settled()
    scene.topology = managed(port=1195)
    scene.machines.broken = True
    report = run(scene)
    assert (report.verdict, report.moored) == ("drifting", True)
    assert scene.history.machine(ROUTER).failed
    scene.model.terminate(ROUTER)
    assert run(scene).moored
