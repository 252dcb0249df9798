"""The event router is like AWS: who is invoked with what, what comes again, and what a stack must have to be made."""

from __future__ import annotations

import json
import threading
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.fake_aws.events import state_change
from tests.package.deployment import deploy, supported
from tests.package.router import Router
from tests.package.runtime import Answer
from tests.package.template import of_type, translate
from tests.stand_ins.api_gateway import OPERATOR
from tools.package import Package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fake_aws import World
    from tests.package.deployment import Deployment
    from tests.package.template import Template

Behaviour: TypeAlias = Callable[[Any], Any]

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Listener:
    Type: AWS::Serverless::Function
    Properties: &function
      FunctionName: listener
      CodeUri: ./deployment.zip
      Handler: app.listen
      Runtime: python3.11
      Timeout: 20
      Role: {Fn::GetAtt: [Role, Arn]}
      LoggingConfig: {LogFormat: JSON}
      Environment: {Variables: {QUEUE: {Ref: Queue}}}
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        DestinationConfig: {OnFailure: {Type: SQS, Destination: {Fn::GetAtt: [DeadEvents, Arn]}}}
      Events:
        Stopped:
          Type: EventBridgeRule
          Properties: {Pattern: {source: [aws.ec2], detail: {state: [stopped]}}}
        Terminated:
          Type: EventBridgeRule
          Properties: {State: DISABLED, Pattern: {source: [aws.ec2], detail: {state: [terminated]}}}
        Tick: {Type: Schedule, Properties: {Schedule: rate(1 minute)}}
        Constant: {Type: Schedule, Properties: {Schedule: rate(1 hour), Input: '{"constant": true}'}}
  Role:
    Type: AWS::IAM::Role
    Properties: {AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      <<: *function
      FunctionName: worker
      Events:
        Queue:
          Type: SQS
          Properties:
            Queue: {Fn::GetAtt: [Queue, Arn]}
            BatchSize: 3
            FunctionResponseTypes: [ReportBatchItemFailures]
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: work.fifo
      FifoQueue: true
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: {Fn::GetAtt: [Dead, Arn]}, maxReceiveCount: 2}
  Dead: {Type: AWS::SQS::Queue, Properties: {QueueName: dead.fifo, FifoQueue: true}}
  DeadEvents: {Type: AWS::SQS::Queue, Properties: {QueueName: dead-events}}
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      DefinitionBody:
        swagger: "2.0"
        securityDefinitions: {sigv4: {type: apiKey, x-amazon-apigateway-authtype: awsSigv4}}
        paths:
          /things/{name}: {get: &method {security: [{sigv4: []}], x-amazon-apigateway-integration: {uri: {Fn::Sub: "a:${Worker.Arn}/b"}}}}
          /open: {get: {x-amazon-apigateway-integration: {uri: {Fn::Sub: "a:${Worker.Arn}/b"}}}}
  Alarm: {Type: AWS::CloudWatch::Alarm, Properties: {}}
  Board: {Type: AWS::CloudWatch::Dashboard, Properties: {DashboardBody: {Fn::Sub: "${Alarm.Arn}"}}}
Outputs:
  Url: {Value: {Ref: Queue}}
  Alarm: {Value: {Ref: Alarm}}
"""


class Fake:
    """A function that does as told; `running` and `most` count who is in it at once."""

    def __init__(self, behaviour: Behaviour = lambda _: None) -> None:
        self.behaviour = behaviour
        self.events: list[Any] = []
        self.running: list[str] = []
        self.together: list[list[str]] = []
        self._lock = threading.Lock()

    def invoke(self, event: Any) -> Answer:  # noqa: ANN401 - any event
        """Note the event, and behave; an exception is the function's error."""
        group = event["Records"][0]["attributes"]["MessageGroupId"] if "Records" in event else ""
        with self._lock:
            self.events.append(event)
            self.running.append(group)
            self.together.append(list(self.running))
        try:
            return Answer(ok=True, payload=self.behaviour(event))
        except LookupError as error:
            return Answer(ok=False, payload={"errorType": "LookupError", "errorMessage": str(error)})
        finally:
            with self._lock:
                self.running.remove(group)

    @property
    def bodies(self) -> list[list[str]]:
        """The messages of each batch."""
        return [[record["body"] for record in event["Records"]] for event in self.events]


class Small:
    """A small stack with fake functions."""

    def __init__(self, world: World, deployment: Deployment) -> None:
        self.world, self.deployment = world, deployment
        self.listener, self.worker = Fake(), Fake()
        self.router = Router(world, deployment, {"listener": self.listener, "worker": self.worker})
        self.sqs = world.client("sqs")
        self.url = deployment.outputs["Url"]

    def send(self, *messages: str) -> None:
        """Put messages on the queue: the first letter is the group."""
        for message in messages:
            self.sqs.send_message(
                QueueUrl=self.url,
                MessageBody=message,
                MessageGroupId=message[0],
                MessageDeduplicationId=str(uuid.uuid4()),
            )

    def dead(self, queue: str) -> list[str]:
        """Take the messages out of a dead-letter queue."""
        url = self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in found]


@pytest.fixture(scope="module")
def deployment(embedded: World, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The stack, deployed once."""
    embedded.reset()
    return deploy(embedded, _package(tmp_path_factory.mktemp("small"), TEMPLATE))


@pytest.fixture
def small(embedded: World, deployment: Deployment) -> Iterator[Small]:
    """The stack with idle functions and empty queues."""
    small = Small(embedded, deployment)
    yield small
    small.worker.behaviour = lambda _: None
    small.router.visible_again()
    small.router.settle()


def _package(folder: Path, template: str) -> Package:
    package = Package.at(folder)
    with zipfile.ZipFile(package.zip, "w") as archive:
        archive.writestr("app.py", "")
    package.template.write_text(template)
    return package


def _instance(state: str) -> dict[str, Any]:
    return state_change("eu-west-1", "i-0123456789abcdef0", state)


def _raise(_: object) -> None:
    raise LookupError("not here")


def test_event_reaches_the_function_whose_rule_matches(small: Small) -> None:
    """A rule's pattern decides; a rule that is switched off is none."""
    for state in ("running", "stopped", "terminated"):
        small.router.deliver(_instance(state))
    assert [event["detail"]["state"] for event in small.listener.events] == ["stopped"]


def test_what_happens_in_the_world_is_delivered_by_itself(small: Small) -> None:
    """An instance that stops is an event, once it is asked to settle; what was taken off its way is not."""
    ec2 = small.world.client("ec2")
    (instance,) = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)["Instances"]
    ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    assert small.listener.events == []
    small.router.settle()
    assert len(small.listener.events) == 1
    ec2.start_instances(InstanceIds=[instance["InstanceId"]])
    ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    assert [event["detail"]["state"] for event in small.router.take()][-1] == "stopped"
    small.router.settle()
    assert len(small.listener.events) == 1


def test_schedule_sends_awss_own_event_or_the_rules_constant(small: Small) -> None:
    """A tick is a Scheduled Event from its rule; a rule with an input sends that and nothing else."""
    small.router.tick()
    constant, tick = sorted(small.listener.events, key=len)
    assert constant == {"constant": True}
    assert (tick["source"], tick["detail-type"], tick["detail"]) == ("aws.events", "Scheduled Event", {})
    assert ":rule/" in tick["resources"][0]


def test_failing_event_is_tried_again_and_then_kept(small: Small) -> None:
    """Lambda tries an asynchronous event as often as its configuration says; after that it is a dead letter."""
    small.listener.behaviour = _raise
    small.router.deliver(_instance("stopped"))
    assert len(small.listener.events) == 2
    (kept,) = small.dead("dead-events")
    assert json.loads(kept)["requestPayload"]["detail"]["state"] == "stopped"


def test_messages_of_a_group_are_served_in_order_and_groups_at_once(small: Small) -> None:
    """At most a batch of each group is under way; the groups do not wait for each other."""
    small.worker.behaviour = lambda _: time.sleep(0.1)
    small.send("a1", "a2", "a3", "a4", "b1", "b2")
    small.router.settle()
    served = sorted(small.worker.bodies, key=lambda batch: batch[0])
    assert served == [["a1", "a2", "a3"], ["a4"], ["b1", "b2"]]
    assert ["a", "b"] in [sorted(groups) for groups in small.worker.together]
    assert all(len(groups) == len(set(groups)) for groups in small.worker.together)


def test_record_is_what_lambda_makes_of_a_message(small: Small) -> None:
    """Powertools and Chalice read these keys."""
    small.send("a1")
    small.router.settle()
    (record,) = small.worker.events[0]["Records"]
    assert (record["eventSource"], record["awsRegion"]) == ("aws:sqs", "eu-west-1")
    assert record["eventSourceARN"].endswith(":work.fifo")
    assert (record["body"], record["attributes"]["MessageGroupId"]) == ("a1", "a")
    assert record["attributes"]["ApproximateReceiveCount"] == "1"


def test_only_the_messages_named_as_failed_come_again(small: Small) -> None:
    """A partial failure deletes what was served; what was not is there again when its time has passed, not before."""
    small.worker.behaviour = lambda event: {
        "batchItemFailures": [{"itemIdentifier": event["Records"][1]["messageId"]}]
    }
    small.send("a1", "a2", "a3")
    small.router.settle()
    small.worker.behaviour = lambda _: None
    small.router.settle()
    assert small.worker.bodies == [["a1", "a2", "a3"]]
    assert small.router.visible_again() == 1
    small.router.settle()
    assert small.worker.bodies[1:] == [["a2"]]


@pytest.mark.parametrize("answer", ["error", "stranger"])
def test_whole_batch_comes_again_when_the_answer_is_no_answer(small: Small, answer: str) -> None:
    """A function error, or a failure of a message that nobody sent, is a failure of all."""
    strange = {"batchItemFailures": [{"itemIdentifier": "nobody"}]}
    small.worker.behaviour = _raise if answer == "error" else lambda _: strange
    small.send("a1", "a2")
    small.router.settle()
    assert small.router.visible_again() == 2


def test_failed_message_holds_up_its_own_group_alone_until_it_is_a_dead_letter(small: Small) -> None:
    """FIFO: later messages of the group wait; SQS puts the message aside after the queue's number of tries."""

    def poisoned(event: dict[str, Any]) -> None:
        if event["Records"][0]["body"] == "a1":
            raise LookupError("poison")

    small.worker.behaviour = poisoned
    small.send("a1")
    small.router.settle()
    small.send("a2", "b1")
    small.router.settle()
    assert small.worker.bodies == [["a1"], ["b1"]]
    small.router.visible_again()
    small.router.settle()
    assert ["a2"] not in small.worker.bodies
    small.router.visible_again()
    small.router.settle()
    assert small.dead("dead.fifo") == ["a1"]
    assert small.worker.bodies.count(["a2"]) == 1


def test_message_that_its_function_makes_visible_is_waited_for_no_more(small: Small) -> None:
    """A function may shorten its message's wait; what came again so is not made to come once more."""

    def hasty(event: dict[str, Any]) -> None:
        receipt = event["Records"][0]["receiptHandle"]
        small.worker.behaviour = lambda _: None
        small.sqs.change_message_visibility(QueueUrl=small.url, ReceiptHandle=receipt, VisibilityTimeout=0)
        raise LookupError("in a moment")

    small.worker.behaviour = hasty
    small.send("a1")
    small.router.settle()
    small.router.settle()
    assert small.worker.bodies == [["a1"], ["a1"]]
    assert small.router.visible_again() == 0


def test_api_passes_a_signed_call_on_with_its_names(small: Small) -> None:
    """The function gets the proxy event of its route; names in the path are decoded."""
    small.worker.behaviour = lambda event: {
        "statusCode": 200,
        "headers": {},
        "body": json.dumps(event["pathParameters"]),
    }
    reply = small.router.call("GET", "/things/a%20b", query={"limit": "3"})
    assert (reply.status, reply.body) == (200, {"name": "a b"})
    (event,) = small.worker.events
    assert event["requestContext"]["identity"]["userArn"] == OPERATOR
    assert event["multiValueQueryStringParameters"] == {"limit": ["3"]}


def test_api_keeps_the_unsigned_and_the_unknown_away_from_the_function(small: Small) -> None:
    """API Gateway answers 403 by itself, but for a method that asks for no signature."""
    small.worker.behaviour = lambda _: {"statusCode": 200, "headers": {}, "body": "{}"}
    assert small.router.call("GET", "/things/a", by=None).status == 403
    assert small.router.call("POST", "/things/a").status == 403
    assert small.router.call("GET", "/nothing").status == 403
    assert small.worker.events == []
    assert small.router.call("GET", "/open", by=None).status == 200


def test_api_hides_what_a_function_could_not_answer(small: Small) -> None:
    """A function error, or an answer of another shape, is 502."""
    small.worker.behaviour = _raise
    assert small.router.call("GET", "/things/a").status == 502
    small.worker.behaviour = lambda _: {"no": "status"}
    assert small.router.call("GET", "/things/a").status == 502


def test_functions_run_with_what_the_template_says(small: Small, tmp_path: Path) -> None:
    """Timeout, log format and variables are the stack's, resolved; the AWS they reach is the embedded one."""
    settings = small.deployment.settings(small.world, tmp_path, tmp_path)["worker"]
    assert (settings.handler, settings.timeout, settings.log_format) == ("app.listen", 20.0, "JSON")
    assert settings.variables["QUEUE"] == small.url
    assert settings.variables["AWS_ENDPOINT_URL"] == small.world.endpoint_url


def test_what_moto_lacks_is_left_out_with_all_that_refers_to_it(small: Small) -> None:
    """A reference to nothing would fail the whole stack; what is left out is named, and no output lies."""
    assert small.deployment.left_out["Alarm"] == "AWS::CloudWatch::Alarm"
    assert small.deployment.left_out["Board"] == "AWS::CloudWatch::Dashboard"
    assert "Queue" not in small.deployment.left_out
    assert set(small.deployment.outputs) == {"Url"}


@pytest.mark.parametrize(
    "reference",
    [
        {"Ref": "Alarm"},
        {"Fn::GetAtt": ["Alarm", "Arn"]},
        {"Fn::GetAtt": "Alarm.Arn"},
        {"Fn::Sub": "x-${Alarm}"},
        {"Fn::Sub": ["x-${Alarm.Arn}", {}]},
        {"Fn::Join": ["", ["x", {"Ref": "Alarm"}]]},
    ],
)
def test_every_kind_of_reference_is_followed(reference: dict[str, Any]) -> None:
    """Intrinsic functions nest, and each names resources in its own way."""
    template = {
        "Resources": {
            "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {}},
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": reference}},
            "Other": {"Type": "AWS::SNS::Topic", "DependsOn": "Topic", "Properties": {}},
            "Free": {
                "Type": "AWS::SNS::Topic",
                "Properties": {"TopicName": {"Fn::Sub": "Alarm ${AWS::Region}"}},
            },
        }
    }
    kept, left_out = supported(template)
    assert set(kept["Resources"]) == {"Free"}
    assert set(left_out) == {"Alarm", "Topic", "Other"}


def test_queue_that_forgets_sooner_than_its_function_works_is_refused(small: Small, tmp_path: Path) -> None:
    """Lambda makes no such mapping: the message would come again while it is served."""
    template = _elsewhere(TEMPLATE).replace("VisibilityTimeout: 60", "VisibilityTimeout: 10")
    with pytest.raises(ValueError, match="less than Function timeout"):
        deploy(small.world, _package(tmp_path, template), "hasty")


def test_rule_whose_function_does_not_let_it_in_is_refused(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EventBridge would drop every event without a word."""

    def without_permissions(package: Package, code: str) -> Template:
        template = translate(package, code)
        for permission in of_type(template, "AWS::Lambda::Permission").values():
            permission["Properties"]["SourceArn"] = "arn:aws:events:eu-west-1:123456789012:rule/another"
        return template

    monkeypatch.setattr("tests.package.deployment.translate", without_permissions)
    with pytest.raises(ValueError, match="does not let"):
        deploy(small.world, _package(tmp_path, _elsewhere(TEMPLATE)), "closed")


def _elsewhere(template: str) -> str:
    """Take the names away that only one stack can have."""
    return "\n".join(line for line in template.splitlines() if "FunctionName" not in line).replace(
        "QueueName: ", f"QueueName: {uuid.uuid4().hex[:8]}-"
    )
