"""The worker: a batch of messages, AWS's notices, and the hook that a terminating router waits for."""

from __future__ import annotations

import copy
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

import pytest

from chalicelib.core.messages.message import Message
from chalicelib.core.request import Request
from tests.stand_ins.functions import Context, sample

if TYPE_CHECKING:
    from tests.app.office import Office
    from tests.stand_ins.functions import Event, Functions

GONE = "i-0123456789abcdef0"


def _message(number: int, group: str, body: str | None = None) -> Event:
    """Make a record of a message that was never on a queue."""
    message = Message(group, datetime.now(UTC), Request("tick"))
    return {
        "messageId": f"{group}-{number}",
        "receiptHandle": f"receipt-{number}",
        "body": message.dumps() if body is None else body,
        "attributes": {"MessageGroupId": group},
    }


def _terminating(functions: Functions, instance_id: str) -> Event:
    """Have the group end an instance; returns the event that it waits for its hook."""
    functions.world.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=instance_id, ShouldDecrementDesiredCapacity=False
    )
    kind = "EC2 Instance-terminate Lifecycle Action"
    return next(event for event in functions.world.events if event["detail-type"] == kind)


def _state(office: Office, instance_id: str) -> str:
    reservation = office.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]
    return str(reservation["Instances"][0]["State"]["Name"])


# -- notices -----------------------------------------------------------------------------------------


def test_notice_takes_the_network_off_a_router_that_still_runs(functions: Functions, office: Office) -> None:
    """AWS's word is enough: the move is over before the router is, and the journal has the word."""
    doomed, reason = office.router, "gets a Spot terminate in two minutes"
    functions.deliver(sample("spot-interruption", instance_id=doomed))
    assert office.complaints() == []
    assert office.router != doomed
    assert _state(office, doomed) == "running"
    assert f"{doomed} {reason}" in office.runs()[0]["sentence"]
    (notice,) = office.history().notices
    assert (notice.instance_id, notice.reason, notice.kind, notice.hook) == (
        doomed,
        reason,
        "interruption",
        None,
    )
    functions.tick()
    assert office.router != doomed


def test_rebalance_recommendation_takes_nothing_off_a_router(functions: Functions, office: Office) -> None:
    """It is an elevated risk with no date: it is noted, and what drifts is repaired where it was."""
    router = office.router
    functions.deliver(sample("spot-rebalance", instance_id=router))
    assert [(n.instance_id, n.kind) for n in office.history().notices] == [(router, "rebalance")]
    office.delete_default_route()
    functions.tick()
    assert (office.router, office.complaints()) == (router, [])


def test_router_that_is_put_in_service_stays_the_router(functions: Functions, office: Office) -> None:
    """A group's word that an instance serves is noted, and takes nothing off it."""
    router = office.router
    functions.deliver(sample("asg-launch-successful", instance_id=router))
    functions.tick()
    assert office.router == router
    assert [line["report"]["verdict"] for line in functions.log.lines if "report" in line] == [
        "converged"
    ] * 2


def test_notice_of_an_instance_that_is_gone_holds_nothing_up(functions: Functions, office: Office) -> None:
    """What was said of it is of no more consequence; the next decision is made and carried out."""
    doomed = office.router
    functions.deliver(sample("spot-interruption", instance_id=doomed))
    office.terminate(doomed)
    office.delete_default_route()
    functions.tick()
    assert office.complaints() == []


def test_notice_to_the_last_candidate_leaves_the_network_as_it_is(
    functions: Functions, office: Office
) -> None:
    """With nowhere to go the router stays the router, and an operator is told what AWS is about to do with it."""
    functions.deliver(sample("spot-interruption", instance_id=office.standby))
    before, doomed = office.facts(), office.router
    functions.forget()
    functions.deliver(sample("spot-interruption", instance_id=doomed))
    assert office.facts() == before
    (line,) = functions.log.lines
    assert line["report"]["verdict"] == "drifting"
    (problem,) = line["report"]["problems"]
    assert problem == f"{doomed} gets a Spot terminate in two minutes, and no candidate is better"


def test_notice_that_cannot_be_noted_is_said_and_stops_nothing(functions: Functions, office: Office) -> None:
    """A journal that takes no notice leaves a look, a complaint, and a queue that is not blocked."""
    standby = office.standby
    functions.world.deny("PutItem")
    functions.deliver(sample("spot-rebalance", instance_id=standby))
    complaint, run = functions.log.lines
    assert complaint["message"] == "a notice about office could not be noted"
    assert complaint["aws_code"] == "AccessDeniedException"
    assert run["report"]["verdict"] == "converged"


def test_answer_that_cannot_be_written_stops_nothing(functions: Functions) -> None:
    """Who asked does not hear of it; the run is made, once, and the queue is not blocked."""
    message = Message("office", datetime.now(UTC), Request("anna"), request_id=str(uuid.UUID(int=1)))
    functions.world.deny("PutItem")
    assert functions.app.worker.handle_batch([_message(1, "office", message.dumps())]) == []
    said = [line["message"] for line in functions.log.lines]
    assert said.count(f"request {message.request_id} could not be answered") == 2
    assert "wake-up ignored" in said


# -- the hook of a terminating router ----------------------------------------------------------------


def test_terminating_router_goes_after_the_pins_and_once(functions: Functions, office: Office) -> None:
    """Everything leads to the standby and is seen to, and only then is the old router let go, with one call."""
    leaving = office.router
    event = _terminating(functions, leaving)
    functions.forget()
    functions.deliver(event)
    asked = functions.calls()
    (completed,) = [n for n, call in enumerate(asked) if call.operation == "CompleteLifecycleAction"]
    written = [n for n, call in enumerate(asked) if call.write and call.service == "ec2"]
    seen = [n for n, call in enumerate(asked) if call.operation == "DescribeRouteTables"]
    assert max(written) < max(seen) < completed
    functions.world.settle()
    assert _state(office, leaving) == "terminated"
    assert office.complaints() == []
    assert [notice.hook for notice in office.history().notices] == [None]


def test_doubled_hook_lets_go_once(functions: Functions, office: Office) -> None:
    """EventBridge delivers at least once; the second word finds that the first was done."""
    event = _terminating(functions, office.router)
    functions.deliver(event)
    functions.deliver(copy.deepcopy(event))
    functions.tick()
    assert functions.asked().count("CompleteLifecycleAction") == 1


def test_terminating_standby_is_let_go_at_once(functions: Functions, office: Office) -> None:
    """Nothing leads to it, so nothing keeps it."""
    router, standby = office.router, office.standby
    functions.deliver(_terminating(functions, standby))
    assert office.router == router
    functions.world.settle()
    assert _state(office, standby) == "terminated"


def test_refused_completion_is_repeated_by_the_next_run(functions: Functions, office: Office) -> None:
    """The pins are away and the message is served; the hook stays noted until it is completed."""
    leaving = office.router
    denied = functions.world.deny("CompleteLifecycleAction")
    functions.deliver(_terminating(functions, leaving))
    assert office.router != leaving
    complaint = next(line for line in functions.log.lines if line["level"] == "WARNING")
    assert complaint["message"] == f"{leaving} could not be let go"
    denied.stop()
    functions.tick()
    functions.world.settle()
    assert _state(office, leaving) == "terminated"


def test_blind_run_keeps_the_terminating_router(functions: Functions, office: Office) -> None:
    """What was not seen to be away is not let go; the next run that sees does it."""
    leaving = office.router
    event = _terminating(functions, leaving)
    functions.world.deny("DescribeRouteTables")
    functions.deliver(event)
    assert "CompleteLifecycleAction" not in functions.asked()
    functions.world.heal()
    functions.tick()
    functions.world.settle()
    assert _state(office, leaving) == "terminated"
    assert office.complaints() == []


@pytest.mark.parametrize("hindered", ["paused", "drifting"])
def test_router_that_something_still_leads_to_is_kept(
    functions: Functions, office: Office, hindered: str
) -> None:
    """A run that changed nothing, or not all, lets nobody go; its timeout is the bound."""
    leaving = office.router
    if hindered == "paused":
        functions.call("POST", "/topologies/office/pause", {"for": "1h", "reason": "lunch"})
    else:
        functions.world.deny("ReplaceRoute")
    functions.deliver(_terminating(functions, leaving))
    assert functions.log.lines[-1]["report"]["verdict"] == hindered
    assert "CompleteLifecycleAction" not in functions.asked()
    assert _state(office, leaving) == "running"


def test_hook_is_not_forgotten_for_a_later_word(functions: Functions, office: Office) -> None:
    """A terminating router that gets a Spot warning besides still waits to be let go."""
    leaving = office.router
    event = _terminating(functions, leaving)
    functions.world.deny("DescribeRouteTables")
    functions.deliver(event)
    functions.deliver(sample("spot-interruption", instance_id=leaving))
    hooks = {notice.kind: notice.hook is not None for notice in office.history().notices}
    assert hooks == {"termination": True, "interruption": False}
    functions.world.heal()
    functions.tick()
    assert functions.asked().count("CompleteLifecycleAction") == 1


def test_hook_that_is_over_is_no_error(functions: Functions, office: Office) -> None:
    """Its timeout was faster: AWS answers ValidationError, and nothing is said of it again."""
    event = _terminating(functions, office.router)
    functions.world.expire_hooks()
    functions.forget()
    functions.deliver(event)
    functions.tick()
    assert functions.asked().count("CompleteLifecycleAction") == 1
    assert [line["level"] for line in functions.log.lines if line["message"].endswith("let go")] == []


@pytest.mark.parametrize(("left", "seconds"), [(60, 45), (58, 45), (40, 28), (12, 0)])
def test_run_is_over_before_its_function_is(
    functions: Functions, monkeypatch: pytest.MonkeyPatch, left: int, seconds: int
) -> None:
    """At most 45 seconds from now, and 12 before Lambda's timeout, however much of that a start has taken."""
    told: list[datetime] = []

    def take_nothing(_worker: object, _records: object, deadline: datetime) -> list[str]:
        told.append(deadline)
        return []

    monkeypatch.setattr(type(functions.app.worker), "handle_batch", take_nothing)
    before = datetime.now(UTC)
    context = Context("mooring-reconcile", milliseconds_left=left * 1000)
    assert functions.app.reconcile({"Records": []}, context) == {"batchItemFailures": []}
    (deadline,) = told
    assert timedelta() <= deadline - before - timedelta(seconds=seconds) < timedelta(seconds=5)


# -- a batch -----------------------------------------------------------------------------------------


def test_poison_comes_again_in_a_moment_and_hinders_no_other(functions: Functions, office: Office) -> None:
    """The batch says which message failed; the others are served, and its group waits seconds, not the queue's time."""
    office.delete_default_route()
    sqs = functions.world.client("sqs")
    sqs.send_message(
        QueueUrl=functions.queue_url,
        MessageBody="not ours",
        MessageGroupId="branch",
        MessageDeduplicationId="poison",
    )
    functions.event(sample("scheduled"))
    records = functions.waiting()
    (poison,) = [record["messageId"] for record in records if record["body"] == "not ours"]
    functions.forget()
    assert functions.reconcile(records) == [poison]
    assert office.complaints() == []
    (postponed,) = [call for call in functions.calls() if call.operation == "ChangeMessageVisibility"]
    assert postponed.params["VisibilityTimeout"] == 5
    complaint = next(line for line in functions.log.lines if line["level"] == "ERROR")
    assert (complaint["message"], complaint["error"]) == ("a message could not be served", "ValueError")


def test_poison_ends_in_the_dead_letters(functions: Functions) -> None:
    """After as many tries as the template says, the message is where an alarm looks."""
    sqs = functions.world.client("sqs")
    sqs.send_message(
        QueueUrl=functions.queue_url,
        MessageBody="{}",
        MessageGroupId="office",
        MessageDeduplicationId="poison",
    )
    for _ in range(5):
        (record,) = functions.waiting()
        assert functions.reconcile([record]) == [record["messageId"]]
        sqs.change_message_visibility(
            QueueUrl=functions.queue_url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=0
        )
    assert functions.waiting() == []
    dead = sqs.get_queue_url(QueueName="mooring-reconcile-dead-letters.fifo")["QueueUrl"]
    assert [m["Body"] for m in sqs.receive_message(QueueUrl=dead)["Messages"]] == ["{}"]


def test_messages_behind_a_failed_one_of_their_group_come_again_with_it(functions: Functions) -> None:
    """A group keeps its order: nothing of it is served past a message that was not; another group goes on."""
    records = [
        _message(1, "office", "poison"),
        _message(2, "branch"),
        _message(3, "office"),
        _message(4, "branch"),
    ]
    assert functions.app.worker.handle_batch(records) == ["office-1", "office-3"]
    dropped = [line["reason"] for line in functions.log.lines if line["message"] == "wake-up ignored"]
    assert dropped == ["branch is declared no more"] * 2


def test_message_in_the_group_of_another_topology_is_poison(functions: Functions) -> None:
    """Groups are what makes one writer per topology: a message that strayed is not served."""
    strayed = _message(1, "office", Message("branch", datetime.now(UTC), Request("tick")).dumps())
    assert functions.app.worker.handle_batch([strayed]) == ["office-1"]


def test_fault_of_our_own_fails_the_message_alone(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a run raises, the message stays and the next one is served; the log says where, not what it said."""

    def read(name: str) -> NoReturn:
        raise RuntimeError(f"{name} is a s3cr3t")

    monkeypatch.setattr(functions.app.edge.topologies, "document", read)
    records = [_message(1, "office"), _message(2, "branch")]
    assert functions.app.worker.handle_batch(records) == ["office-1", "branch-2"]
    first, *_ = functions.log.lines
    assert first["error"] == "RuntimeError"
    assert first["where"][-1].endswith(" read")
    assert "s3cr3t" not in str(functions.log.text)


def test_message_that_cannot_be_postponed_is_said_to_be_late(functions: Functions) -> None:
    """The queue's own time holds; that is worth a line."""
    assert functions.app.worker.handle_batch([_message(1, "office", "poison")]) == ["office-1"]
    assert functions.log.lines[-1]["message"] == "a message comes again late"


def test_broken_declaration_is_a_blind_run(functions: Functions) -> None:
    """What cannot be parsed is not guessed at: the run says so, and the message is served."""
    functions.world.client("ssm").put_parameter(
        Name="/mooring/topologies/office", Value="name = 3", Type="String"
    )
    assert functions.app.worker.handle_batch([_message(1, "office")]) == []
    (line,) = functions.log.lines
    assert line["report"]["verdict"] == "blind"
    assert line["report"]["error"]["code"] == "TopologyError"
