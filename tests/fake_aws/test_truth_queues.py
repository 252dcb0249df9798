"""SQS FIFO: what is received is hidden and blocks its group, comes again when its time is over, and at last is put aside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from . import Client, World

TRIES = 2


class Queue:
    """A FIFO queue and its dead letters."""

    def __init__(self, world: World) -> None:
        self.sqs: Client = world.client("sqs")
        self.dead = self._make("dead.fifo")
        arn = self.sqs.get_queue_attributes(QueueUrl=self.dead, AttributeNames=["QueueArn"])["Attributes"]
        redrive = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": TRIES}
        self.url = self._make("work.fifo", VisibilityTimeout="65", RedrivePolicy=json.dumps(redrive))

    def _make(self, name: str, **attributes: str) -> str:
        fifo = {"FifoQueue": "true", "DeduplicationScope": "messageGroup"}
        made = self.sqs.create_queue(QueueName=name, Attributes=fifo | attributes)
        return str(made["QueueUrl"])

    def send(self, *messages: str) -> None:
        """Put messages on the queue; the first letter is the group, the whole its deduplication id."""
        for body in messages:
            self.sqs.send_message(
                QueueUrl=self.url, MessageBody=body, MessageGroupId=body[0], MessageDeduplicationId=body
            )

    def receive(self, url: str = "") -> list[dict[str, Any]]:
        """Receive one after the other whatever may be served."""
        received: list[dict[str, Any]] = []
        while found := self.sqs.receive_message(QueueUrl=url or self.url, AttributeNames=["All"]).get(
            "Messages"
        ):
            received += found
        return received

    def bodies(self, url: str = "") -> list[str]:
        """Receive, and give what it says."""
        return [message["Body"] for message in self.receive(url)]


@pytest.fixture
def queue(world: World) -> Queue:
    """An empty one."""
    return Queue(world)


def test_received_message_is_hidden_until_its_time_is_over(world: World, queue: Queue) -> None:
    """To the second, and counted each time; its group waits behind it, the others do not."""
    queue.send("a1", "a2", "b1")
    assert queue.bodies() == ["a1", "b1"]
    world.pass_time(60)
    assert queue.bodies() == []
    queue.send("a3", "c1")
    assert queue.bodies() == ["c1"]
    world.pass_time(5)
    again = queue.receive()
    assert [(m["Body"], m["Attributes"]["ApproximateReceiveCount"]) for m in again] == [
        ("a1", "2"),
        ("b1", "2"),
    ]


def test_deleted_message_frees_its_group_and_order_is_kept(queue: Queue) -> None:
    """What was sent first is served first, whoever else came meanwhile."""
    queue.send("a1", "a2")
    (first,) = queue.receive()
    queue.send("a3")
    queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=first["ReceiptHandle"])
    (second,) = queue.receive()
    assert second["Body"] == "a2"
    queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=second["ReceiptHandle"])
    assert queue.bodies() == ["a3"]


def test_message_that_is_never_deleted_is_put_aside_after_its_tries(world: World, queue: Queue) -> None:
    """The delivery after the last one allowed goes to the dead letters, and the group goes on."""
    queue.send("a1", "a2")
    for _ in range(TRIES):
        assert queue.bodies() == ["a1"]
        world.pass_time(65)
    assert queue.bodies() == ["a2"]
    assert queue.bodies(queue.dead) == ["a1"]


def test_message_comes_again_as_soon_as_its_receiver_asks(world: World, queue: Queue) -> None:
    """ChangeMessageVisibility counts from then, not from the receipt."""
    queue.send("a1")
    (message,) = queue.receive()
    queue.sqs.change_message_visibility(
        QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=5
    )
    assert queue.bodies() == []
    world.pass_time(5)
    assert queue.bodies() == ["a1"]


def test_doubled_message_is_dropped_for_five_minutes_though_the_first_is_gone(
    world: World, queue: Queue
) -> None:
    """Of the same group; another group's may have the same id."""
    queue.send("a1")
    (first,) = queue.receive()
    queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=first["ReceiptHandle"])
    queue.send("a1")
    assert queue.bodies() == []
    queue.sqs.send_message(
        QueueUrl=queue.url, MessageBody="b", MessageGroupId="b", MessageDeduplicationId="a1"
    )
    assert queue.bodies() == ["b"]
    world.pass_time(301)
    queue.send("a1")
    assert "a1" in queue.bodies()
