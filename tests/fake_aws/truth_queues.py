"""SQS as it is: time that a test lets pass, and a FIFO queue that remembers what it took after that is gone.

SQS developer guide, "Amazon SQS visibility timeout", "Exactly-once processing in Amazon SQS".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.sqs import models
from moto.sqs.models import Message, Queue

from .patches import truth
from .reality import aws

if TYPE_CHECKING:
    from .patches import Moto, Original

REMEMBERED = 300_000
"""Milliseconds for which a message of the same deduplication id is dropped."""


@truth.around(models, "unix_time")
def _seconds(original: Original) -> float:
    return float(original()) + aws.passed


@truth.around(models, "unix_time_millis")
def _milliseconds(original: Original) -> float:
    return float(original()) + aws.passed * 1000


@truth.attributes_of(Message)
def visible(message: Moto) -> bool:
    """In the very millisecond, too, in which its time is over: moto's comes a little later."""
    return bool(models.unix_time_millis() >= message.visible_at)


@truth.around(Queue, "add_message")
def _add(original: Original, queue: Moto, message: Moto) -> None:
    """Drop what was taken before, also when that has been served and deleted since."""
    if queue.fifo_queue and message.deduplication_id:
        scope = message.group_id if queue.deduplication_scope == "messageGroup" else None
        taken = queue.__dict__.setdefault("taken", {})
        before = taken.get((scope, message.deduplication_id))
        if before is not None and message.sent_timestamp - before < REMEMBERED:
            return
        taken[scope, message.deduplication_id] = message.sent_timestamp
    original(queue, message)
