"""The deployed functions, in this process, over the embedded AWS: what Lambda, SQS and API Gateway do around them."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from chalicelib.aws import telemetry
from tests.stand_ins.api_gateway import ACCOUNT, OPERATOR, REGION, asked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from chalicelib.bootstrap import Edge
    from tests.fake_aws import Call, World

Event: TypeAlias = "dict[str, Any]"

EVENTS = Path(__file__).parent.parent / "events"
SAMPLE_ID = "i-1234567890abcdef0"
NAMES = {"on_event": "mooring-on-event", "reconcile": "mooring-reconcile", "app": "mooring-api"}
"""What the functions of app.py are called as Lambda functions."""


def sample(
    name: str, /, *, instance_id: str = SAMPLE_ID, at: datetime | None = None, **detail: object
) -> Event:
    """Return an event of tests/events as AWS sends it now, of another instance and with other details if asked."""
    text = (EVENTS / f"{name}.json").read_text().replace(SAMPLE_ID, instance_id)
    event: Event = json.loads(text)
    event["time"] = f"{at or datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    event["detail"] |= detail
    return event


@dataclass(frozen=True)
class Context:
    """Lambda's context, as far as anybody looks at it."""

    function_name: str
    memory_limit_in_mb: int = 256
    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    milliseconds_left: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        """How much of the function's timeout is left."""
        return self.milliseconds_left

    @property
    def invoked_function_arn(self) -> str:
        """Whose account it is."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.function_name}"


def record(
    message: Event, queue_arn: str = f"arn:aws:sqs:{REGION}:{ACCOUNT}:mooring-reconcile.fifo"
) -> Event:
    """Make the record that Lambda makes of a message (Lambda developer guide, "Example Amazon SQS message event")."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


class Reply(NamedTuple):
    """What the API's caller gets; every body is JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Log(logging.Handler):
    """Keeps every line that the functions log."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(telemetry.logger.registered_formatter)
        self.text: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.text.append(self.format(record))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines as they can be queried."""
        return [json.loads(line) for line in self.text]


@dataclass
class Functions:
    """All functions of one Mooring, and its queue."""

    app: ModuleType
    world: World
    queue_url: str
    log: Log

    def forget(self) -> None:
        """Count calls and log lines anew."""
        self.world.forget_calls()
        self.log.text.clear()

    def calls(self) -> list[Call]:
        """List the functions' calls of AWS."""
        return [call for call in self.world.calls if call.by == "product"]

    def asked(self) -> list[str]:
        """Name the functions' calls of AWS."""
        return [call.operation for call in self.calls()]

    def _run(self, function: str, event: object) -> Any:  # noqa: ANN401 - any JSON
        """Have a function of app.py serve an event."""
        return getattr(self.app, function)(event, Context(NAMES[function]))

    # -- events --------------------------------------------------------------------------------------

    def event(self, event: object) -> list[str]:
        """Deliver an event; returns the names of the topologies that were woken."""
        woken: list[str] = self._run("on_event", event)["woken"]
        return woken

    def ignored(self, event: object) -> str:
        """Deliver an event that wakes nobody; returns the reason, which is logged once and with nothing else."""
        self.log.text.clear()
        assert self.event(event) == []
        (line,) = self.log.lines
        assert (line["level"], line["message"]) == ("INFO", "event ignored")
        reason: str = line["reason"]
        return reason

    # -- the queue -----------------------------------------------------------------------------------

    def waiting(self) -> list[Event]:
        """Take what waits in the queue, as the records that Lambda makes of it."""
        sqs, records = self.world.client("sqs"), []
        while found := sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"]
        ).get("Messages"):
            records += [record(message) for message in found]
        return records

    def reconcile(self, records: list[Event]) -> list[str]:
        """Have the worker serve a batch; what it served is deleted; returns the ids of what it did not."""
        answer = self._run("reconcile", {"Records": records})
        failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
        sqs = self.world.client("sqs")
        for record in records:
            if record["messageId"] not in failed:
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=record["receiptHandle"])
        return failed

    def work(self) -> list[str]:
        """Serve whatever waits, one message at a time; returns the ids of what could not be served."""
        return [failed for record in self.waiting() for failed in self.reconcile([record])]

    def deliver(self, event: Event) -> None:
        """Deliver an event and serve whom it wakes."""
        self.event(event)
        assert self.work() == []

    def tick(self) -> None:
        """Let a minute pass."""
        self.deliver(sample("scheduled"))

    # -- the API -------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: dict[str, str] | None = None,
        by: str | None = OPERATOR,
    ) -> Reply:
        """Call the API with a JSON body."""
        raw = b"" if body is None else json.dumps(body).encode()
        return self.send(method, path, raw, query=query, by=by)

    def send(
        self,
        method: str,
        path: str,
        body: bytes,
        *,
        content_type: str | None = "application/json",
        query: dict[str, str] | None = None,
        by: str | None = OPERATOR,
    ) -> Reply:
        """Call the API with whatever body."""
        queries = {name: [value] for name, value in query.items()} if query else None
        event = asked(self.app, method, path, body, content_type=content_type, query=queries, by=by)
        answer = self._run("app", event)
        json.dumps(answer)  # or Lambda could not give it back
        headers: dict[str, str] = answer["headers"]
        assert headers["Content-Type"] == "application/json"
        return Reply(answer["statusCode"], json.loads(answer["body"]), headers)


def forget_what_is_declared(app: ModuleType) -> None:
    """Have a function that is warm look as one that has just started; its clients take long to make."""
    edge: Edge = app.edge
    edge.topologies.forget()
    app.worker.known.clear()
