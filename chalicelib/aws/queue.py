"""The Reconcile queue: SQS FIFO, one message group per topology, so that each topology has one writer at a time."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from chalicelib.aws.answers import members, needed, text
from chalicelib.aws.errors import AwsError, blind, code_of, message_of
from chalicelib.core.errors import ApplyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs import SQSClient

    from chalicelib.core.messages.message import Message

BATCH = 10
"""The most messages that one SendMessageBatch takes."""

PARALLEL = 8

AGAIN = 5
"""Seconds until a message that could not be served comes again: until then nobody else of its group is served."""


NAME = "mooring-reconcile.fifo"
"""What .chalice/resources.yaml calls it."""


def find_queue(sqs: SQSClient) -> str | None:
    """Find the queue's URL; None when no Mooring is deployed in this account and region.

    Raises:
        ObservationError: SQS refused or did not answer.
    """
    try:
        return needed(sqs.get_queue_url(QueueName=NAME), "QueueUrl")
    except AwsError as error:
        if code_of(error) in ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"):
            return None
        raise blind("sqs:GetQueueUrl", error) from error


class FifoQueue:
    """Sends messages; implements `ports.Queue`."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs, self._url = sqs, url

    def send(self, messages: Sequence[Message], once: str | None = None) -> None:
        """Send every message, ten to a call; each carries an id of its own, so that no wanted look is swallowed.

        Of those that are sent `once`, the queue takes one of the same word for each topology, whichever process sends it,
        and drops the others for five minutes (SQS developer guide, "Exactly-once processing in Amazon SQS").

        Raises:
            ApplyError: names the topologies that could not be woken; the others were.
        """
        batches = [messages[start : start + BATCH] for start in range(0, len(messages), BATCH)]
        with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
            failures = [
                failure for failed in pool.map(lambda b: self._send(b, once), batches) for failure in failed
            ]
        if failures:
            raise ApplyError(
                f"sqs:SendMessageBatch failed for {', '.join(failures)}", hint="the next tick messages them"
            )

    def postpone(self, receipt: str) -> None:
        """Have a message come again soon, not only when the queue's visibility timeout is over.

        Raises:
            ApplyError: it could not be changed; the queue's own timeout holds.
        """
        try:
            self._sqs.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=AGAIN
            )
        except AwsError as error:
            raise ApplyError(
                f"sqs:ChangeMessageVisibility failed: {code_of(error)}: {message_of(error)}",
                hint="the message comes again when the queue's visibility timeout is over",
                aws_code=code_of(error),
            ) from error

    def _send(self, batch: Sequence[Message], once: str | None) -> list[str]:
        try:
            answer = self._sqs.send_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {
                        "Id": str(place),
                        "MessageBody": message.dumps(),
                        "MessageGroupId": message.topology,
                        "MessageDeduplicationId": f"{message.topology}-{once}" if once else str(uuid.uuid4()),
                    }
                    for place, message in enumerate(batch)
                ],
            )
        except AwsError as error:
            return [f"{message.topology} ({code_of(error)}: {message_of(error)})" for message in batch]
        sent = {text(entry, "Id") for entry in members(answer, "Successful")}
        codes = {text(entry, "Id"): text(entry, "Code") for entry in members(answer, "Failed")}
        return [
            f"{message.topology} ({codes.get(str(place)) or 'SQS does not say why'})"
            for place, message in enumerate(batch)
            if str(place) not in sent
        ]
