"""What AWS does between the world and the functions: EventBridge, the queue's poller, and the REST API.

It knows of Mooring only what the packaged template says. Time passes when it is told to: `tick` is the schedule's
minute, `wait` lets it pass for the queues, `visible_again` until a visibility timeout is over.
"""

from __future__ import annotations

import collections
import itertools
import json
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from moto.events.models import EventPattern

from tests.fake_aws.events import event as enveloped
from tests.package.deployment import Patience
from tests.stand_ins.api_gateway import OPERATOR, matched, proxied
from tests.stand_ins.functions import Reply, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.fake_aws import World
    from tests.fake_aws.events import Event
    from tests.package.deployment import Deployment, Rule, Source
    from tests.package.runtime import Answer

MOST_AT_ONCE = 4
"""Batches that are served at once; Lambda would start with five, and this is a laptop."""


class Invocable(Protocol):
    """A function, as its callers know it."""

    def invoke(self, event: object) -> Answer:
        """Serve one event."""
        ...


@dataclass(frozen=True)
class Served:
    """One invocation: of what, with what, when (on the monotonic clock) and what came of it."""

    function: str
    event: Any
    began: float
    until: float
    answer: Answer


@dataclass(frozen=True)
class Message:
    """One message in flight."""

    source: Source
    id: str
    receipt: str
    group: str
    record: Mapping[str, Any]


class Router:
    """Delivers what happens in a world to a deployment's functions."""

    def __init__(self, world: World, deployment: Deployment, functions: Mapping[str, Invocable]) -> None:
        self.deployment = deployment
        self.served: list[Served] = []
        self._world, self._functions = world, functions
        self._heard: collections.deque[Event] = collections.deque()
        self._failed: dict[str, Message] = {}
        self._sqs = world.client("sqs")
        world.on_event(self._heard.append)

    # -- events --------------------------------------------------------------------------------------

    def take(self) -> list[Event]:
        """Take what happened off its way, to be delivered late, doubled, in another order or never."""
        taken = list(self._heard)
        self._heard.clear()
        return taken

    def deliver(self, event: Event) -> None:
        """Invoke every function whose rule's pattern matches."""
        for rule in self.deployment.rules:
            if rule.pattern and EventPattern.load(rule.pattern).matches_event(event):
                self._send(rule, event)

    def tick(self) -> None:
        """Let the schedule's time come, once."""
        for rule in self.deployment.rules:
            if rule.schedule:
                event = enveloped(self._world.region, "aws.events", "Scheduled Event", [rule.arn], {})
                self._send(rule, event)

    def settle(self) -> None:
        """Deliver what happened and serve the queues, until nothing is on its way any more."""
        busy: dict[Future[None], tuple[str, ...]] = {}
        with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            while True:
                while self._heard:
                    self.deliver(self._heard.popleft())
                for source in self.deployment.sources:
                    for batch in self._receive(source):
                        busy[pool.submit(self._serve, source, batch)] = tuple(m.id for m in batch)
                if not busy:
                    if self._heard:
                        continue
                    return
                done, _ = wait(busy, return_when=FIRST_COMPLETED)
                for future in done:
                    busy.pop(future)
                    future.result()

    def _send(self, rule: Rule, event: Event) -> None:
        """Invoke a rule's functions asynchronously, in Lambda's own way: a failure is tried again, then a dead letter."""
        for target in rule.targets:
            payload = json.loads(target.input) if target.input else event
            patience = self.deployment.patience.get(target.function, Patience())
            answers = (self._invoke(target.function, payload) for _ in range(1 + patience.retries))
            if not any(answer.ok for answer in answers) and patience.dead_letters:
                self._bury(patience.dead_letters, payload)

    def _bury(self, queue_arn: str, payload: object) -> None:
        url = self._sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]
        self._sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"requestPayload": payload}))

    def _invoke(self, function: str, event: object) -> Answer:
        began = time.monotonic()
        answer = self._functions[function].invoke(event)
        self.served.append(Served(function, event, began, time.monotonic(), answer))
        return answer

    # -- the queue -----------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let time pass for the queues; nothing is served before it is asked to settle."""
        self._world.pass_time(seconds)

    def visible_again(self) -> int:
        """Let the visibility timeout of the messages that were not served pass; say how many come again."""
        self.wait(max((source.visibility for source in self.deployment.sources), default=0))
        failed, self._failed = self._failed, {}
        return len(failed)

    def _receive(self, source: Source) -> list[list[Message]]:
        """Receive whatever may be served now: SQS gives nothing of a group that is in flight."""
        received: list[Message] = []
        while found := self._sqs.receive_message(
            QueueUrl=source.queue_url,
            MaxNumberOfMessages=min(10, source.batch_size),
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages"):
            received += [_message(source, raw) for raw in found]
            for raw in found:
                self._failed.pop(raw["MessageId"], None)
        by_group = itertools.groupby(sorted(received, key=attrgetter("group")), key=attrgetter("group"))
        return [list(messages) for _, messages in by_group]

    def _serve(self, source: Source, batch: Sequence[Message]) -> None:
        """Invoke the function with a batch, and delete what it served."""
        answer = self._invoke(source.function, {"Records": [message.record for message in batch]})
        failed = _unserved(source, batch, answer)
        for message in batch:
            if message.id in failed:
                self._failed[message.id] = message
            else:
                self._sqs.delete_message(QueueUrl=source.queue_url, ReceiptHandle=message.receipt)

    # -- the API -------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        query: dict[str, str] | None = None,
        by: str | None = OPERATOR,
    ) -> Reply:
        """Call the REST API as an IAM identity; None signs nothing."""
        found = [(route, matched(route.path, path)) for route in self.deployment.routes]
        matches = [(route, names) for route, names in found if names is not None and route.method == method]
        if not matches or (by is None and matches[0][0].signed):
            return Reply(403, {"message": "Missing Authentication Token"}, {})
        route, names = matches[0]
        event = proxied(
            method,
            path,
            b"" if body is None else json.dumps(body).encode(),
            route=(route.path, names),
            query={name: [value] for name, value in query.items()} if query else None,
            by=by,
        )
        answer = self._invoke(route.function, event)
        if not answer.ok or "statusCode" not in answer.payload:
            return Reply(502, {"message": "Internal server error"}, {})
        payload = answer.payload
        return Reply(payload["statusCode"], json.loads(payload["body"]), payload["headers"])


def _message(source: Source, raw: Mapping[str, Any]) -> Message:
    """Put a message in flight; one of a standard queue belongs to no group: it is a batch of its own."""
    group = raw["Attributes"].get("MessageGroupId", raw["MessageId"])
    return Message(source, raw["MessageId"], raw["ReceiptHandle"], group, record(dict(raw), source.queue_arn))


def _unserved(source: Source, batch: Sequence[Message], answer: Answer) -> set[str]:
    """Return which messages come again (developer guide, "Implementing partial batch responses").

    All do when the function failed, or named a message that was not in the batch.
    """
    ids = {message.id for message in batch}
    if not answer.ok:
        return ids
    if not source.partial or not answer.payload:
        return set()
    failures: Iterable[Mapping[str, str]] = answer.payload.get("batchItemFailures") or ()
    named = {failure.get("itemIdentifier", "") for failure in failures}
    return named if named.issubset(ids) else ids
