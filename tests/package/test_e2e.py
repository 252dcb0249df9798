"""End to end on the very zip: what AWS does reaches the packaged functions, and an oracle judges the network."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import json
import random
import zipfile
from typing import TYPE_CHECKING, Any

from tests.bench import fleet
from tests.bench.cost import LOG_BYTES, metrics
from tests.oracle import leads, untouched
from tests.package.e2e import API, ON_EVENT, WORKER
from tools.package import ROOT

if TYPE_CHECKING:
    from tests.fake_aws.events import Event
    from tests.package.e2e import Office, Stage
    from tests.package.router import Served
    from tools.package import Package

MARGIN = 30
"""Seconds that a machine may be busy with what a test takes for the passing of none."""

NOT_IN_MOTO = {
    "AWS::ApiGateway::Account",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::Dashboard",  # refers to alarms
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",  # the API's
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}


def test_package_runs_on_any_processor(package: Package) -> None:
    """What is built for arm64 holds no machine code, so running it here is running it there."""
    with zipfile.ZipFile(package.zip) as archive:
        names = archive.namelist()
        wheels = [archive.read(name).decode() for name in names if name.endswith(".dist-info/WHEEL")]
    assert [name for name in names if name.endswith((".so", ".pyd", ".dylib"))] == []
    assert wheels
    assert all("Root-Is-Purelib: true" in wheel for wheel in wheels)


def test_stack_is_made_from_the_template_as_far_as_moto_can(stage: Stage) -> None:
    """Only what moto does not know is left out; the queues, table, topic, rules, roles and functions are there."""
    assert set(stage.deployment.left_out.values()) <= NOT_IN_MOTO
    for logical in ("ReconcileQueue", "ReconcileDeadLetters", "Journal", "AlarmTopic", ON_EVENT, WORKER, API):
        assert stage.deployment.names[logical]
    assert all(route.signed for route in stage.deployment.routes)


def test_terminated_router_is_replaced_and_everything_says_why(stage: Stage, office: Office) -> None:
    """EC2's events alone move the routes, before any tick; journal and metrics tell the story."""
    gone = office.terminate_router()
    before = office.facts()
    assert office.complaints()
    stage.router.settle()
    assert office.complaints() == []
    assert office.router != gone
    assert untouched(office.topology, before, office.facts()) == []
    assert stage.metric("RouterMoved", office.name).count(1.0) == 1
    assert max(stage.metric("Repaired", office.name)) > 0
    assert sum(stage.metric("RepairFailed", office.name)) == 0
    assert len(stage.metric("SecondsFromEventToVerified", office.name)) == 1
    run = office.last_run()
    assert run["verdict"] == "repaired"
    assert gone in run["woken_by"]
    assert gone in run["sentence"]
    moved = [change for change in run["changes"] if change["line"].startswith("~ route")]
    assert moved
    assert all(gone in change["because"] for change in moved)


def test_hand_edit_is_repaired_at_the_next_tick(stage: Stage, office: Office) -> None:
    """AWS tells nobody of an edited route; the minute's look finds it, and says that it was a tick."""
    office.delete_default_route()
    stage.router.settle()
    assert len(office.complaints()) == 1
    stage.router.tick()
    stage.router.settle()
    assert office.complaints() == []
    assert stage.metric("Drift", office.name) == [1.0]
    assert stage.metric("Repaired", office.name) == [1.0]
    assert stage.metric("RouterMoved", office.name) == []
    assert office.last_run()["woken_by"] == "tick"


def test_quiet_tick_writes_nothing(stage: Stage, office: Office) -> None:
    """Converged means quiet: a look at each topology, no change, no entry in the journal."""
    entry = office.last_run()
    stage.forget()
    stage.router.tick()
    stage.router.settle()
    assert stage.metric("Converged", office.name) == [1.0]
    assert stage.writes() == []
    assert office.last_run() == entry


def test_quiet_minute_takes_no_more_than_the_page_about_costs_says(stage: Stage, office: Office) -> None:
    """One read of the journal, two lines of metrics and one of log; Lambda itself writes a kilobyte more."""
    stage.forget()
    stage.router.tick()
    stage.router.settle()
    asked = [call.operation for call in stage.world.calls if call.by == "product"]
    assert [name for name in asked if name in ("GetItem", "PutItem", "UpdateItem", "TransactWriteItems")] == [
        "GetItem"
    ]
    assert asked.count("SendMessageBatch") == 1
    lines = [line for one in stage.router.served for line in one.answer.log]
    assert sum(len(line) for line in lines) + 1000 <= LOG_BYTES
    told = {(m.name, tuple(m.dimensions)) for one in stage.router.served for m in one.answer.metrics}
    assert len(told) == metrics(1, tunnels=False)


def test_look_and_failover_make_the_calls_that_the_page_about_fleets_counts(
    stage: Stage, office: Office
) -> None:
    """From what fleet on an account is too small follows from them; `python -m tests.bench.fleet` prints the page's table."""
    quiet, _ = fleet.look(stage)
    taken = fleet.uses(quiet, fleet.failover(stage, office))
    rows = [
        [cell.strip() for cell in row.strip("|\n").split("|")]
        for row in (ROOT / "docs" / "fleet.md").read_text().splitlines()
        if row.startswith("| ec2:")
    ]
    assert {row[0]: (row[1], row[2], row[3], row[6]) for row in rows} == {
        name: (str(use.bucket.capacity), str(use.bucket.refill), f"{use.look:g}", f"{use.failover:g}")
        for name, use in taken.items()
    }


def test_planned_replacement_is_over_before_the_router_goes(stage: Stage, office: Office) -> None:
    """A terminating router waits for its hook until nothing leads to it any more, and then goes by our word."""
    leaving = office.router
    stage.world.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=leaving, ShouldDecrementDesiredCapacity=False
    )
    assert office.state(leaving) == "running"
    stage.router.settle()
    assert office.complaints() == []
    assert office.router != leaving
    assert office.state(leaving) == "terminated"
    assert "CompleteLifecycleAction" in [call.operation for call in stage.world.calls]


def test_every_route_of_the_api_answers(stage: Stage, office: Office) -> None:
    """Each method does its work through the packaged functions, and gives a caller's mistake a 4xx."""
    call, path = stage.router.call, f"/topologies/{office.name}"
    assert office.name in call("GET", "/topologies").body["topologies"]
    assert call("GET", path).body["now"]["verdict"] == "converged"
    assert call("GET", f"{path}/plan").body["changes"] == []
    asked = call("POST", f"{path}/reconcile")
    assert (asked.status, asked.headers["Content-Type"]) == (202, "application/json")
    request = f"/requests/{asked.body['request_id']}"
    assert call("GET", request).body["state"] == "queued"
    stage.router.settle()
    assert call("GET", request).body["report"]["verdict"] == "converged"
    old, new = office.router, office.standby
    assert call("POST", f"{path}/switchover", {"to": new}).status == 202
    stage.router.settle()
    assert (office.router, office.complaints()) == (new, [])
    assert {call("POST", f"{path}/{verb}").status for verb in ("push", "confirm")} == {409}  # no tunnel
    runs = call("GET", f"{path}/history", query={"limit": "5"}).body["runs"]
    assert runs[0]["router"]["previous"] == old
    assert call("POST", f"{path}/pause", {"for": "2h", "reason": "an experiment"}).status == 200
    office.delete_default_route()
    stage.router.tick()
    stage.router.settle()
    assert len(office.complaints()) == 1
    assert call("POST", f"{path}/switchover", {"to": old}).status == 409
    assert call("POST", f"{path}/resume").status == 202
    stage.router.settle()
    assert office.complaints() == []
    asked_for = {(one.event["httpMethod"], one.event["resource"]) for one in stage.served(API)}
    assert asked_for == {(route.method, route.path) for route in stage.deployment.routes}


def test_mistaken_or_unsigned_call_of_the_api_is_refused(stage: Stage, office: Office) -> None:
    """Unknown things are 404, a bad body is 400; a call that nobody signed never reaches the function."""
    call, path = stage.router.call, f"/topologies/{office.name}"
    assert call("GET", "/topologies/nowhere").status == 404
    assert call("GET", "/requests/00000000-0000-4000-8000-000000000000").status == 404
    assert call("POST", f"{path}/pause", {"for": "soon", "reason": "x"}).status == 400
    stage.forget()
    assert {call(route.method, route.path, by=None).status for route in stage.deployment.routes} == {403}
    assert stage.served(API) == []


def test_doubled_shuffled_and_late_events_change_nothing_but_the_delay(stage: Stage, office: Office) -> None:
    """Whatever the order and number of events, the network ends as declared, and the rest of them write nothing."""
    office.terminate_router()
    told = stage.router.take()
    assert len(told) >= 3
    shuffled = random.Random(7).sample(told * 2, 2 * len(told))  # noqa: S311 - no secret
    _deliver(stage, shuffled)
    assert office.complaints() == []
    assert len(stage.metric("Converged", office.name)) >= 3
    stage.forget()
    _deliver(stage, [_as_if(event, minutes=-10) for event in reversed(told)])
    assert len(stage.metric("Converged", office.name)) >= 3
    assert stage.writes() == []
    assert office.complaints() == []


def test_lost_events_are_made_up_for_by_the_tick(stage: Stage, office: Office) -> None:
    """EC2's events are best effort: without one of them the next minute's look does the same."""
    office.terminate_router()
    stage.router.take()
    stage.router.settle()
    assert office.complaints()
    stage.router.tick()
    stage.router.settle()
    assert office.complaints() == []


def test_foreign_old_replayed_and_malformed_events_wake_nobody(stage: Stage, office: Office) -> None:
    """What concerns nobody is said once in the log; nothing fails, so nothing is tried again."""
    instance_id = office.terminate_router()
    told = next(e for e in stage.router.take() if e["detail"].get("state") == "terminated")
    stage.router.settle()
    stage.forget()
    strange: list[Event] = [
        _as_if(told, minutes=-20),
        told | {"account": "999999999999"},
        told | {"region": "us-east-1"},
        told | {"replay-name": "yesterday"},
        told | {"detail": {"state": "terminated"}},
        told | {"detail": {"state": "terminated", "instance-id": f"{instance_id}; reboot"}},
        told | {"time": "yesterday"},
    ]
    _deliver(stage, strange)
    served = stage.served(ON_EVENT)
    assert [one.answer.payload for one in served] == [{"woken": []}] * len(strange)
    assert [len([r for r in one.answer.records if r.get("reason")]) for one in served] == [1] * len(strange)
    assert stage.served(WORKER) == []
    assert stage.writes() == []


def test_broken_topology_hinders_no_other(stage: Stage, office: Office, branch: Office) -> None:
    """Two routers die at once and one network cannot be seen: the other is repaired at the same time."""
    vpc_id = branch.topology.vpc_id
    stage.world.deny("DescribeRouteTables", when=lambda asked: vpc_id in asked.values())
    stage.world.delay(0.03)
    office.terminate_router()
    branch.terminate_router()
    before = leads(branch.topology, branch.facts())
    stage.router.settle()
    assert office.complaints() == []
    assert leads(branch.topology, branch.facts()) == before
    assert set(stage.metric("Blind", branch.name)) == {1.0}
    assert stage.metric("Blind", office.name) == []
    assert _overlap(stage, office, branch)
    stage.world.heal()
    stage.router.tick()
    stage.router.settle()
    assert branch.complaints() == []


def test_worker_killed_in_mid_run_costs_one_visibility_timeout_and_the_next_run_converges(
    stage: Stage, office: Office
) -> None:
    """A run that dies after its first write has left its decision on record; nobody else acts until it is repeated.

    That is once the message's time is over, and not before: it stands before the ticks that came meanwhile.
    """
    writes = itertools.count()

    def dies(_: object) -> bool:
        stage.function(WORKER).kill()
        return True

    stage.world.fail("ReplaceRoute", times=None, when=lambda _: next(writes) > 0)  # one gets through
    stage.world.lose("ReplaceRoute", when=dies)
    gone = office.terminate_router()
    before = office.facts()
    stage.router.settle()
    (died,) = [one for one in stage.served(WORKER) if not one.answer.ok]
    assert died.answer.payload["errorType"] == "Runtime.ExitError"
    assert office.complaints()
    decided = office.last_run()
    assert gone in decided["sentence"]
    assert {change["result"] for change in decided["changes"]} == {"planned"}
    stage.world.heal()
    stage.forget()
    stage.router.tick()
    stage.router.settle()
    (source,) = stage.deployment.sources
    stage.router.wait(source.visibility - MARGIN)
    stage.router.settle()
    assert _served_for(stage, office) == []
    assert office.complaints()
    stage.router.wait(MARGIN)
    stage.router.settle()
    assert office.complaints() == []
    assert untouched(office.topology, before, office.facts()) == []
    assert office.last_run()["verdict"] == "repaired"
    again, *behind = [one.event["Records"][0] for one in _served_for(stage, office)]
    assert (again["body"], again["attributes"]["ApproximateReceiveCount"]) == (
        died.event["Records"][0]["body"],
        "2",
    )
    assert "tick" in behind[-1]["body"]


def test_poison_message_ends_in_the_dead_letters_and_blocks_no_other(
    stage: Stage, office: Office, branch: Office
) -> None:
    """What cannot be served is tried as often as the queue says; meanwhile others are served, afterwards its own group is."""
    sqs, queue_url = stage.world.client("sqs"), stage.deployment.outputs["QueueUrl"]
    sqs.send_message(
        QueueUrl=queue_url,
        MessageBody="not ours",
        MessageGroupId=branch.name,
        MessageDeduplicationId="poison",
    )
    office.delete_default_route()
    branch.delete_default_route()
    stage.router.tick()
    stage.router.settle()
    assert office.complaints() == []
    assert branch.complaints()
    while stage.router.visible_again():
        stage.router.settle()
    (dead,) = _drain(stage, "ReconcileDeadLetters")
    assert dead["Body"] == "not ours"
    policy = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["RedrivePolicy"])["Attributes"]
    tries = [one for one in _served_for(stage, branch) if one.event["Records"][0]["body"] == "not ours"]
    assert len(tries) == int(json.loads(policy["RedrivePolicy"])["maxReceiveCount"])
    assert branch.complaints() == []


def test_event_that_cannot_be_passed_on_ends_in_the_dead_letters(stage: Stage, office: Office) -> None:
    """Lambda tries an event as often as the template says, and then keeps it where an alarm looks."""
    stage.world.deny("SendMessage*")
    stage.router.tick()
    stage.world.heal()
    (function,) = {target.function for rule in stage.deployment.rules for target in rule.targets}
    tries = stage.served(ON_EVENT)
    assert len(tries) == 1 + stage.deployment.patience[function].retries
    assert not any(one.answer.ok for one in tries)
    (dead,) = _drain(stage, "EventDeadLetters")
    assert json.loads(dead["Body"])["requestPayload"]["detail-type"] == "Scheduled Event"


def test_functions_write_nothing_where_their_code_is(stage: Stage) -> None:
    """Lambda's task directory is read-only; whoever may write everywhere is found out here."""
    with zipfile.ZipFile(stage.package.zip) as archive:
        packed = {name for name in archive.namelist() if not name.endswith("/")}
    assert {str(p.relative_to(stage.task)) for p in stage.task.rglob("*") if p.is_file()} == packed


def _deliver(stage: Stage, events: list[Event]) -> None:
    for event in events:
        stage.router.deliver(event)
    stage.router.settle()


def _as_if(event: Event, minutes: int) -> Event:
    """Return an event as if it had happened at another time."""
    then = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
    return copy.deepcopy(event) | {"time": then.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _served_for(stage: Stage, office: Office) -> list[Served]:
    return [
        one
        for one in stage.served(WORKER)
        if one.event["Records"][0]["attributes"]["MessageGroupId"] == office.name
    ]


def _overlap(stage: Stage, one: Office, other: Office) -> bool:
    """Return whether the worker ever served both at the same time."""
    return any(
        a.began < b.until and b.began < a.until
        for a in _served_for(stage, one)
        for b in _served_for(stage, other)
    )


def _drain(stage: Stage, logical: str) -> list[dict[str, Any]]:
    """Take every message out of a queue of the stack."""
    sqs = stage.world.client("sqs")
    arn = stage.deployment.names[logical]
    url = sqs.get_queue_url(QueueName=arn.rpartition("/")[2].rpartition(":")[2])["QueueUrl"]
    messages: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
        "Messages", []
    )
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return messages
