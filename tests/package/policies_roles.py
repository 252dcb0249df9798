"""Runs the three functions in this process as Lambda runs them, and notes under whose role each AWS call was made.

Lambda itself uses a function's role too: to write its log, to poll its queue, and to put aside an event that failed.
It does so here as well, by real calls; else nobody could say whether those grants are used.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import logging
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped] # it has no types

from chalicelib.bootstrap import Edge
from chalicelib.controller.worker import Worker
from chalicelib.core.errors import ControllerError
from tests.fake_aws.events import event as enveloped
from tests.network import JOURNAL, deploy_documents, deploy_journal
from tests.package.policies_calls import Facts, accesses
from tests.stand_ins.functions import Functions, Log, Reply, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Self

    from tests.fake_aws import Client, World
    from tests.fake_aws.events import Event
    from tests.package.policies import Access

CHALICE = Path(__file__).parent.parent.parent / ".chalice"
STAGE = json.loads((CHALICE / "config.json").read_text())["stages"]["prod"]
POLICIES = {name: CHALICE / one["iam_policy_file"] for name, one in STAGE["lambda_functions"].items()}


@functools.cache
def around() -> dict[str, Any]:
    """Read what lies around the functions: .chalice/resources.yaml, not yet merged."""
    template: dict[str, Any] = cfn_yaml.load(str(CHALICE / "resources.yaml"))
    return template


def names(region: str, account: str) -> dict[str, str]:
    """Return what the policies' intrinsics resolve to, as resources.yaml names things."""
    template, place = around(), f"{region}:{account}"
    known = {"AWS::Partition": "aws", "AWS::Region": region, "AWS::AccountId": account}
    known |= {name: str(one["Default"]) for name, one in template["Parameters"].items() if "Default" in one}
    for logical_id, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        match resource.get("Type"):
            case "AWS::SQS::Queue":
                known[f"{logical_id}.Arn"] = f"arn:aws:sqs:{place}:{properties['QueueName']}"
            case "AWS::Logs::LogGroup":
                known[f"{logical_id}.Arn"] = f"arn:aws:logs:{place}:log-group:{properties['LogGroupName']}:*"
    return known


@contextlib.contextmanager
def at_work(world: World) -> Iterator[FunctionsByRole]:
    """Deploy the functions into a world, and hear of what happens there from now on."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.environment().items():
            patch.setenv(name, value)
        mooring = FunctionsByRole(world, importlib.import_module("app"), patch)
        try:
            yield mooring
        finally:
            mooring.close()


class FunctionsByRole(Functions):
    """The functions of one Mooring, and what each needed of AWS."""

    def __init__(self, world: World, app: ModuleType, patch: pytest.MonkeyPatch) -> None:
        super().__init__(app, world, "", Log())
        self.needed: dict[str, list[Access]] = {name: [] for name in POLICIES}
        self.failures: list[ControllerError] = []
        self.running = ""
        self._patch = patch
        self._edges = {name: Edge(world.session, world.endpoint_url) for name in POLICIES}
        self._workers = {name: Worker(edge) for name, edge in self._edges.items()}
        self._sqs: Client = world.client("sqs", by="product")
        self._logs: Client = world.client("logs", by="product")
        self._events: list[Event] = []
        self._make()
        logging.getLogger("mooring").addHandler(self.log)

    def close(self) -> None:
        """Hear no more."""
        logging.getLogger("mooring").removeHandler(self.log)

    def _make(self) -> None:
        """Make what resources.yaml puts around the functions; time is not waited for, so nothing stays invisible."""
        resources = around()["Resources"]
        sqs, logs = self.world.client("sqs"), self.world.client("logs")
        deploy_journal(self.world)
        self.queue_url = sqs.create_queue(
            QueueName=resources["ReconcileQueue"]["Properties"]["QueueName"],
            Attributes={"FifoQueue": "true", "VisibilityTimeout": "0"},
        )["QueueUrl"]
        self.aside_url = sqs.create_queue(QueueName=resources["EventDeadLetters"]["Properties"]["QueueName"])[
            "QueueUrl"
        ]
        self._log_groups = {
            name: resources[logical_id]["Properties"]["LogGroupName"]
            for name, logical_id in zip(
                POLICIES, ("OnEventLogGroup", "ReconcileLogGroup", "ApiLogGroup"), strict=True
            )
        }
        for group in self._log_groups.values():
            logs.create_log_group(logGroupName=group)
        self._patch.setenv("MOORING_QUEUE_URL", self.queue_url)
        self._patch.setenv("MOORING_JOURNAL", JOURNAL)
        self._patch.setenv("MOORING_DOCUMENTS", deploy_documents(self.world))
        self.world.on_event(self._events.append)

    # -- what happens ------------------------------------------------------------------------------------

    def event(self, event: object) -> list[str]:
        """Have an event passed on; one that fails is put aside, as Lambda does when its retries are over."""
        with self._as("on_event"):
            try:
                return super().event(event)
            except ControllerError as error:
                self.failures.append(error)
                self._put_aside(event)
        return []

    def settle(self) -> list[str]:
        """Deliver what happened, and serve the queue until nothing is left or a message came back; returns the log."""
        heard = len(self.log.text)
        served = True
        while served:
            while self._events:
                self.event(self._events.pop(0))
            served = self._serve()
        return self.log.text[heard:]

    def tick(self) -> None:
        """Let a minute pass."""
        self._events.append(minute(self.world))
        self.settle()

    def send(self, *request: Any, **more: Any) -> Reply:  # noqa: ANN401 - see there
        """Call the API in the role of its function."""
        with self._as("api_handler"):
            return super().send(*request, **more)

    def poison(self) -> list[str]:
        """Have the worker choke on a message, and take it off the queue in the end; returns the log."""
        hand = self.world.client("sqs")
        hand.send_message(
            QueueUrl=self.queue_url, MessageBody="{}", MessageGroupId="office", MessageDeduplicationId="{}"
        )
        said = self.settle()
        hand.purge_queue(QueueUrl=self.queue_url)
        return said

    def queued(self) -> int:
        """Count the wake-ups that wait."""
        return self._count(self.queue_url)

    def put_aside(self) -> int:
        """Count the events that failed."""
        return self._count(self.aside_url)

    # -- what Lambda does --------------------------------------------------------------------------------

    def _as(self, function: str) -> Invocation:
        return Invocation(self, function)

    def enter(self, function: str) -> None:
        """Return the function its own edge, and begin its log."""
        self.running = function
        self._patch.setattr(self.app, "edge", self._edges[function])
        self._patch.setattr(self.app, "worker", self._workers[function])
        stream = {"logGroupName": self._log_groups[function], "logStreamName": str(uuid.uuid4())}
        try:
            self._logs.create_log_stream(**stream)
            self._logs.put_log_events(**stream, logEvents=[{"timestamp": 0, "message": "START"}])
        except ClientError:
            return  # a function runs whether or not its log can be written

    def _serve(self) -> bool:
        """Poll the queue once; False when there was nothing, or what there was came back."""
        with self._as("reconcile") as invocation:
            try:
                self._sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["All"])
                (message, *_) = self._sqs.receive_message(
                    QueueUrl=self.queue_url, MessageSystemAttributeNames=["All"]
                ).get("Messages", [None])
                if message is None:
                    return False
                invocation.facts = Facts.of(self.world)
                if self._run("reconcile", {"Records": [record(message)]})["batchItemFailures"]:
                    return False
                self._sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
            except ClientError:  # Lambda's own call was refused: it polls again later
                return False
            return True

    def _put_aside(self, event: object) -> None:
        try:
            self._sqs.send_message(QueueUrl=self.aside_url, MessageBody=json.dumps(event))
        except ClientError:
            return  # Lambda drops the event; the tick looks anyway

    def _count(self, queue_url: str) -> int:
        asked = self.world.client("sqs").get_queue_attributes(
            QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(asked["Attributes"]["ApproximateNumberOfMessages"])


class Invocation:
    """One function at work: whatever is asked of AWS meanwhile, its role must allow."""

    def __init__(self, owner: FunctionsByRole, function: str) -> None:
        self._owner, self._function = owner, function
        self.facts = Facts.none(owner.world)

    def __enter__(self) -> Self:
        self._before = len(self._owner.world.calls)
        self._owner.enter(self._function)
        return self

    def __exit__(self, *_: object) -> None:
        calls = [call for call in self._owner.world.calls[self._before :] if call.by == "product"]
        for call in calls:
            self._owner.needed[self._function] += accesses(call, self.facts)


def happened(world: World, source: str, kind: str, detail: dict[str, Any], *resources: str) -> Event:
    """Make an event that the world does not send by itself."""
    return enveloped(world.region, source, kind, list(resources), detail)


def minute(world: World) -> Event:
    """Make the schedule's event."""
    rule = f"arn:aws:events:{world.region}:{world.account_id}:rule/mooring-tick"
    return happened(world, "aws.events", "Scheduled Event", {}, rule)


def api_call(world: World, name: str, **parameters: str) -> Event:
    """Make CloudTrail's event of somebody's API call."""
    who = {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/somebody"}
    detail = {
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "userIdentity": who,
        "requestParameters": parameters,
    }
    return happened(world, "aws.ec2", "AWS API Call via CloudTrail", detail)
