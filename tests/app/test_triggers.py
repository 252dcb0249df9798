"""Events wake whom they concern with as few calls as can be, and nobody else."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.errors import ApplyError, ObservationError
from chalicelib.core.messages.message import loads
from chalicelib.core.tunnel.documents import DOCUMENTS
from tests.app.office import PRIVATE_TABLE, declare, minimal
from tests.stand_ins.functions import sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.app.office import Managed, Office
    from tests.fake_aws import Client
    from tests.stand_ins.functions import Event, Functions

OTHER = "i-0123456789abcdef0"


@dataclass(frozen=True)
class Site:
    """A declared network of which only what events ask for is there: a VPC, a subnet, a candidate."""

    ec2: Client
    vpc_id: str
    subnet_id: str
    candidate: str


@pytest.fixture
def site(functions: Functions) -> Site:
    """One declared network."""
    ec2 = functions.world.client("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    declare(functions, "office", minimal(vpc_id, subnet_id))
    site = Site(ec2, vpc_id, subnet_id, _launch(ec2, subnet_id, "office"))
    functions.forget()
    return site


def _launch(ec2: Client, subnet_id: str, router_of: str | None = None) -> str:
    tags = [{"Key": "mooring:router", "Value": router_of}] if router_of else []
    reservation = ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet_id,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}] if tags else [],
    )
    return str(reservation["Instances"][0]["InstanceId"])


def _woken(functions: Functions) -> list[str]:
    """Return the topologies whose wake-ups wait."""
    return [loads(record["body"]).topology for record in functions.waiting()]


@pytest.mark.parametrize("state", ["running", "stopping", "stopped", "shutting-down", "terminated"])
def test_state_of_a_candidate_wakes_its_topology(functions: Functions, site: Site, state: str) -> None:
    """Whatever became of a candidate, its topology looks; the report says what woke it."""
    event = sample("ec2-state-change", instance_id=site.candidate, state=state)
    assert functions.event(event) == ["office"]
    (record,) = functions.waiting()
    assert record["attributes"]["MessageGroupId"] == "office"
    assert loads(record["body"]).request.woken_by == f"{site.candidate} is {state}"


@pytest.mark.parametrize(
    "name",
    [
        "spot-interruption",
        "spot-rebalance",
        "asg-launch-lifecycle",
        "asg-terminate-lifecycle",
        "asg-launch-successful",
        "asg-launch-unsuccessful",
        "asg-terminate-successful",
        "asg-terminate-unsuccessful",
    ],
)
def test_news_of_a_candidate_wakes_its_topology(functions: Functions, site: Site, name: str) -> None:
    """Spot and Auto Scaling speak of instances, each in its own words."""
    assert functions.event(sample(name, instance_id=site.candidate)) == ["office"]
    assert _woken(functions) == ["office"]


@pytest.mark.parametrize("document", sorted(DOCUMENTS))
@pytest.mark.parametrize("status", ["Success", "Failed", "TimedOut", "Cancelled"])
def test_answer_of_a_router_wakes_its_topology(
    functions: Functions, site: Site, document: str, status: str
) -> None:
    """A command of ours that ended, however it did: its topology looks what it brought."""
    event = _answered(site.candidate, status=status, **{"document-name": document})
    assert functions.event(event) == ["office"]
    (record,) = functions.waiting()
    assert loads(record["body"]).request.woken_by == f"{site.candidate} has answered {document}"


def test_answer_to_a_push_is_heard_by_its_event_alone(functions: Functions, managed: Managed) -> None:
    """Before any tick the router's word is on record, though the event itself says nothing of it."""
    router = managed.router
    managed.declare_anew()
    functions.call("POST", "/topologies/office/push", {"to": router})
    assert functions.work() == []
    assert managed.history().machine(router).command
    told = next(e for e in reversed(functions.world.events) if e["detail"].get("instance-id") == router)
    functions.deliver(told)
    machine = managed.history().machine(router)
    assert machine.command is None
    assert machine.inspection
    assert machine.inspection.digest == managed.boxes[router].digest


def _answered(instance_id: str, **detail: str) -> Event:
    event = sample("ssm-command-invocation")
    event["detail"] |= {"instance-id": instance_id, **detail}
    return event


def test_terminated_router_is_left_by_its_event_alone(functions: Functions, office: Office) -> None:
    """EC2's event of a dead router, which has no VPC any more, moves everything to the standby."""
    gone = office.router
    office.terminate(gone)
    functions.deliver(sample("ec2-state-change", instance_id=gone))
    assert office.complaints() == []
    assert office.router != gone
    assert office.runs()[0]["woken_by"] == f"{gone} is terminated"


def test_foreign_instance_costs_one_call_and_wakes_nobody(functions: Functions, site: Site) -> None:
    """After a tick, a region full of other instances costs one DescribeInstances each, and no more."""
    instance_id = _launch(site.ec2, site.subnet_id)
    functions.event(sample("scheduled"))
    functions.waiting()
    functions.forget()
    reason = functions.ignored(sample("ec2-state-change", instance_id=instance_id, state="running"))
    assert reason == f"{instance_id} is running: concerns no declared topology"
    assert functions.asked() == ["DescribeInstances"]
    assert functions.waiting() == []


def test_unknown_instance_costs_one_call_and_may_concern_anybody(functions: Functions, site: Site) -> None:
    """An instance that EC2 has forgotten, or does not show yet, is no error: who knows whose it is."""
    functions.event(sample("scheduled"))
    functions.forget()
    assert functions.event(sample("ec2-state-change", instance_id=OTHER)) == ["office"]
    assert functions.asked() == ["DescribeInstances", "SendMessageBatch"]


def test_notice_to_an_unknown_instance_is_nobodys(functions: Functions, site: Site) -> None:
    """Everybody looks, and nobody notes a word, or completes a hook, that may be about another's instance."""
    assert functions.event(sample("asg-terminate-lifecycle", instance_id=OTHER)) == ["office"]
    (record,) = functions.waiting()
    assert loads(record["body"]).notice is None


def test_nothing_declared_costs_no_lookup(functions: Functions) -> None:
    """Where nothing is declared, no event can concern anybody; the listing says so."""
    functions.ignored(sample("ec2-state-change"))
    assert functions.asked() == ["GetParametersByPath"]


def test_topology_just_declared_is_known_to_the_next_event(functions: Functions, site: Site) -> None:
    """A function that has read the declarations lately reads them anew once told of another: no tick is waited for."""
    instance_id = _launch(site.ec2, site.subnet_id, "branch")
    event = sample("ec2-state-change", instance_id=instance_id)
    functions.ignored(event)
    branch = minimal(site.vpc_id, site.subnet_id).replace(b'"office"', b'"branch"')
    declare(functions, "branch", branch)
    functions.forget()
    functions.event(sample("parameter-change", name="/mooring/topologies/branch", operation="Create"))
    assert functions.asked() == ["SendMessageBatch"]
    assert functions.event(event) == ["branch"]


def test_unreadable_declarations_fail_the_event(functions: Functions, site: Site) -> None:
    """Whom it concerns is not known, so Lambda must try it again, and keep it if that fails, too."""
    functions.world.deny("DescribeInstances")
    with pytest.raises(ObservationError, match="UnauthorizedOperation"):
        functions.event(sample("ec2-state-change", instance_id=site.candidate))


# -- the tick ----------------------------------------------------------------------------------------


def test_tick_wakes_every_declared_topology_in_batches_of_ten(functions: Functions) -> None:
    """A fleet of 23 takes three calls; nobody is forgotten, not even one whose declaration is broken."""
    names = sorted(f"office-{number}" for number in range(23))
    for name in names:
        declare(functions, name, b"name = 3")
    functions.forget()
    assert functions.event(sample("scheduled")) == names
    assert functions.asked().count("SendMessageBatch") == 3
    records = functions.waiting()
    assert sorted(record["attributes"]["MessageGroupId"] for record in records) == names
    assert len({record["attributes"]["MessageDeduplicationId"] for record in records}) == 23


def test_tick_finds_what_was_declared_since_the_last(functions: Functions, site: Site) -> None:
    """Every tick reads anew, and what it read serves the events of its minute."""
    assert functions.event(sample("scheduled")) == ["office"]
    declare(functions, "branch", b"name = 3")
    assert functions.event(sample("scheduled")) == ["branch", "office"]
    functions.forget()
    functions.event(sample("ec2-state-change", instance_id=site.candidate))
    assert functions.asked() == ["DescribeInstances", "SendMessageBatch"]


def test_same_tick_twice_is_two_looks(functions: Functions, site: Site) -> None:
    """EventBridge delivers at least once: a wanted look is never swallowed as a duplicate."""
    tick = sample("scheduled")
    functions.event(tick)
    functions.event(copy.deepcopy(tick))
    assert _woken(functions) == ["office", "office"]


def test_wake_ups_that_cannot_be_sent_fail_the_event(functions: Functions, site: Site) -> None:
    """The error names who was not woken, and what to do."""
    functions.world.deny("SendMessageBatch")
    with pytest.raises(ApplyError, match=r"office \(AccessDenied"):
        functions.event(sample("scheduled"))


def test_half_sent_batch_names_those_left_out(functions: Functions) -> None:
    """A batch that SQS refuses leaves the others of the fleet woken."""
    for number in range(15):
        declare(functions, f"office-{number:02}", b"name = 3")
    functions.world.fail("SendMessageBatch", "InternalError", times=4, when=_first_batch)
    with pytest.raises(ApplyError) as failed:
        functions.event(sample("scheduled"))
    assert "office-09" in str(failed.value)
    assert "office-10" not in str(failed.value)
    assert sorted(_woken(functions)) == [f"office-{number:02}" for number in range(10, 15)]


def _first_batch(asked: dict[str, object]) -> bool:
    return '"office-00"' in str(asked).replace("\\", "")


# -- what is declared --------------------------------------------------------------------------------


def test_declaration_wakes_its_topology_without_a_call(functions: Functions) -> None:
    """The event names it: nothing is looked up, and the worker will read it anyway."""
    assert functions.event(sample("parameter-change", operation="Create")) == ["office"]
    assert functions.asked() == ["SendMessageBatch"]


def test_withdrawn_topology_is_dropped_by_the_worker_after_one_call(functions: Functions) -> None:
    """What is declared no more is not looked at, and said to be so once."""
    functions.event(sample("parameter-change", operation="Update"))
    functions.forget()
    assert functions.work() == []
    assert functions.asked() == ["GetParameter"]
    (line,) = functions.log.lines
    assert (line["message"], line["reason"]) == ("wake-up ignored", "office is declared no more")


@pytest.mark.parametrize("operation", ["Delete", "LabelParameterVersion"])
def test_change_that_declares_nothing_wakes_nobody(functions: Functions, operation: str) -> None:
    """A deleted topology is not looked at, and a label changes nothing."""
    reason = functions.ignored(sample("parameter-change", operation=operation))
    assert reason == f"/mooring/topologies/office: {operation} asks for nothing"
    assert functions.asked() == []


# -- CloudTrail --------------------------------------------------------------------------------------


def test_edit_of_a_declared_table_wakes_its_topology_without_a_lookup(
    functions: Functions, site: Site
) -> None:
    """A declared id says by itself whom it concerns; the report names who did it."""
    event = sample("cloudtrail-replace-route")
    event["detail"]["requestParameters"]["routeTableId"] = PRIVATE_TABLE
    assert functions.event(event) == ["office"]
    assert "Describe" not in " ".join(functions.asked())
    (record,) = functions.waiting()
    assert loads(record["body"]).request.woken_by == (
        "ReplaceRoute by arn:aws:sts::123456789012:assumed-role/Engineer/anna"
    )


# -- what wakes nobody -------------------------------------------------------------------------------


def _minutes(number: int) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=number)


def _without(key: str) -> Event:
    event = sample("ec2-state-change")
    del event[key]
    return event


STRANGE: dict[str, tuple[Callable[[], object], str]] = {
    "no object": (lambda: ["tick"], "malformed: an event is no object"),
    "nothing": (lambda: None, "malformed: an event is no object"),
    "empty": (dict, "malformed: an event has no proper source"),
    "an API Gateway event": (lambda: {"httpMethod": "GET"}, "malformed: an event has no proper source"),
    "no detail": (
        lambda: _without("detail"),
        "malformed: the detail of EC2 Instance State-change Notification is no object",
    ),
    "no time": (lambda: _without("time"), "malformed: an event has no proper time"),
    "no time zone": (
        lambda: sample("ec2-state-change") | {"time": "2026-11-23T12:00:00"},
        "malformed: an event has no proper time",
    ),
    "powertools' sample": (
        lambda: (
            sample("ec2-state-change")
            | {"detail": {"instance_id": "i-1234567890abcdef0", "state": "running"}}
        ),
        "malformed: the detail of EC2 Instance State-change Notification has no proper instance-id",
    ),
    "no instance": (
        lambda: sample("ec2-state-change", instance_id="i-1; reboot"),
        "malformed: the detail of EC2 Instance State-change Notification has no proper instance-id",
    ),
    "no state": (
        lambda: sample("ec2-state-change", state="well"),
        "malformed: the detail of EC2 Instance State-change Notification has no proper state",
    ),
    "a replay": (lambda: sample("ec2-state-change") | {"replay-name": "again"}, "replayed from an archive"),
    "late": (lambda: sample("ec2-state-change", at=_minutes(-20)), "of another time: it happened at"),
    "early": (lambda: sample("ec2-state-change", at=_minutes(20)), "of another time: it happened at"),
    "another account": (
        lambda: sample("ec2-state-change") | {"account": "999999999999"},
        "of another place: account 999999999999, region eu-west-1",
    ),
    "another region": (
        lambda: sample("ec2-state-change") | {"region": "us-east-1"},
        "of another place: account 123456789012, region us-east-1",
    ),
    "another source": (
        lambda: sample("ec2-state-change") | {"source": "com.example"},
        "of no kind that concerns Mooring: com.example: EC2 Instance State-change Notification",
    ),
    "another kind": (
        lambda: sample("ec2-state-change") | {"detail-type": "EBS Volume Notification"},
        "of no kind that concerns Mooring: aws.ec2: EBS Volume Notification",
    ),
    "another parameter": (
        lambda: sample("parameter-change", name="/mooring/routers/office/digest"),
        "a parameter that declares no topology",
    ),
    "a parameter beneath": (
        lambda: sample("parameter-change", name="/mooring/topologies/office/key"),
        "a parameter that declares no topology",
    ),
    "a command of somebody else's": (
        lambda: _answered(OTHER, **{"document-name": "AWS-RunShellScript"}),
        "a command that is none of ours, or has not ended: Success",
    ),
    "a document that only sounds like ours": (
        lambda: _answered(OTHER, **{"document-name": "Mooring-ConfigureRouter2"}),
        "a command that is none of ours, or has not ended: Success",
    ),
    "a command that has not ended": (
        lambda: _answered(OTHER, status="InProgress"),
        "a command that is none of ours, or has not ended: InProgress",
    ),
    "a command on what is no instance": (
        lambda: _answered("mi-0123456789abcdef0"),
        "malformed: the detail of EC2 Command Invocation Status-change Notification has no proper instance-id",
    ),
    "a launch that EC2 refused": (
        lambda: sample("asg-launch-unsuccessful", EC2InstanceId=""),
        "EC2 Instance Launch Unsuccessful: there is no instance to look at",
    ),
    "a call without parameters": (
        lambda: sample("cloudtrail-replace-route", requestParameters=None),
        "malformed: an API call without requestParameters",
    ),
}


@pytest.mark.parametrize("what", STRANGE)
def test_strange_event_is_logged_once_and_asks_nothing_of_aws(functions: Functions, what: str) -> None:
    """Malformed, replayed, old, foreign: the reason is logged, nothing is read or written, nothing is tried again."""
    make, reason = STRANGE[what]
    assert functions.ignored(make()).startswith(reason)
    assert functions.asked() == []
