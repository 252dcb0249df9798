"""The journal in DynamoDB: a state item per topology, and a timeline whose entries expire."""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib.aws.errors import AwsError, blind, code_of, message_of
from chalicelib.core.errors import ApplyError, ObservationError
from chalicelib.core.observation import History, Pause
from chalicelib.core.report import as_json

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutTypeDef

    from chalicelib.core.report import Report

KEPT = timedelta(days=90)
"""How long a timeline entry lives; DynamoDB removes it within days after (TTL)."""

READABLE = 300_000
"""The most bytes of a report that are kept as plain text: an item holds 400 KB, and a report repeats itself."""

_STATE = "state"


class DynamoJournal:
    """The controller's journal port on one DynamoDB table with keys `topology` and `entry`."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def read(self, name: str) -> History:
        """Read a topology's history, strongly consistent; one never seen has an empty one.

        Raises:
            ObservationError: the table could not be read.
        """
        try:
            answer = self._dynamodb.get_item(
                TableName=self._table, Key=_key(name, _STATE), ConsistentRead=True
            )
        except AwsError as error:
            raise _unread(self._table, error) from error
        return _history(answer.get("Item", {}))

    def decide(self, name: str, before: History, after: History, decision: Report) -> None:
        """Write the decision and the new state, both or neither, unless another run decided since `before`.

        Raises:
            ObservationError: another run has decided since; look again.
            ApplyError: the table could not be written.
        """
        state: PutTypeDef = {
            "TableName": self._table,
            "Item": _state(name, after),
            "ConditionExpression": "attribute_not_exists(entry) OR revision = :before",
            "ExpressionAttributeValues": {":before": {"N": str(before.revision)}},
        }
        entry: PutTypeDef = {"TableName": self._table, "Item": _entry(name, decision)}
        try:
            self._dynamodb.transact_write_items(TransactItems=[{"Put": state}, {"Put": entry}])
        except AwsError as error:
            if _outrun(error):
                raise ObservationError(
                    f"another run has decided about {name} meanwhile",
                    hint="look again",
                    aws_code=code_of(error),
                ) from error
            raise self._unwritten(error) from error

    def close(self, name: str, report: Report) -> None:
        """Replace the decision's entry by the whole report.

        Raises:
            ApplyError: the table could not be written.
        """
        try:
            self._dynamodb.put_item(TableName=self._table, Item=_entry(name, report))
        except AwsError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: BotoCoreError | ClientError) -> ApplyError:
        return ApplyError(
            f"the journal {self._table} could not be written: {code_of(error)}: {message_of(error)}",
            hint="the next run tries again",
            aws_code=code_of(error),
        )


def _outrun(error: BotoCoreError | ClientError) -> bool:
    """Say whether another run was faster; a transaction is cancelled for a throttled table, too."""
    if code_of(error) == "TransactionConflictException":
        return True
    if not isinstance(error, ClientError) or code_of(error) != "TransactionCanceledException":
        return False
    reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
    return bool(reasons & {"ConditionalCheckFailed", "TransactionConflict"})


def _unread(table: str, error: BotoCoreError | ClientError) -> ObservationError:
    if code_of(error) == "ResourceNotFoundException":
        return ObservationError(
            f"there is no journal table {table} in this account and region",
            hint="deploy .chalice/resources.yaml, or name the table in MOORING_JOURNAL",
            aws_code=code_of(error),
        )
    return blind("dynamodb:GetItem", error)


def _key(name: str, entry: str) -> dict[str, Any]:
    return {"topology": {"S": name}, "entry": {"S": entry}}


def _state(name: str, history: History) -> dict[str, Any]:
    item = _key(name, _STATE) | {
        "revision": {"N": str(history.revision)},
        "moves": {"L": [{"S": at.isoformat()} for at in history.moves]},
    }
    if history.router:
        item["router"] = {"S": history.router}
    if history.since:
        item["since"] = {"S": history.since.isoformat()}
    if history.pause:
        item["pause"] = {
            "S": json.dumps({"reason": history.pause.reason, "until": _iso(history.pause.until)})
        }
    return item


def _history(item: dict[str, Any]) -> History:
    if not item:
        return History()
    pause = json.loads(item["pause"]["S"]) if "pause" in item else None
    return History(
        revision=int(item["revision"]["N"]),
        router=item["router"]["S"] if "router" in item else None,
        since=datetime.fromisoformat(item["since"]["S"]) if "since" in item else None,
        moves=tuple(datetime.fromisoformat(at["S"]) for at in item["moves"]["L"]),
        pause=pause and Pause(pause["reason"], pause["until"] and datetime.fromisoformat(pause["until"])),
    )


def _entry(name: str, report: Report) -> dict[str, Any]:
    """Make the timeline entry of a run: one per run, since a run's start is unique within its topology."""
    return _key(name, f"run#{report.started_at.isoformat()}") | {
        "sentence": {"S": report.sentence},
        "report": _document(report),
        "ttl": {"N": str(int((report.started_at + KEPT).timestamp()))},
    }


def _document(report: Report) -> dict[str, Any]:
    """Give the report as JSON, to be read in any console; deflated where an item could not hold it."""
    text = json.dumps(as_json(report), separators=(",", ":")).encode()
    return {"S": text.decode()} if len(text) <= READABLE else {"B": zlib.compress(text)}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
