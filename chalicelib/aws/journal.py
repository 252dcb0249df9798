"""The journal in DynamoDB: a state item per topology, and a timeline whose entries expire."""

from __future__ import annotations

import json
import random
import time
import zlib
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.exceptions import ClientError

from chalicelib.aws.answers import listing
from chalicelib.aws.errors import AwsError, blind, code_of, message_of
from chalicelib.core.declaration import Kept
from chalicelib.core.errors import ApplyError, ObservationError
from chalicelib.core.machines.machine import (
    Command,
    FailedPush,
    Inspection,
    Machine,
    Provisional,
    Unresponsive,
)
from chalicelib.core.network.history import History, Pause, Sighting
from chalicelib.core.network.notice import read_notice
from chalicelib.core.network.report import as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutTypeDef

    from chalicelib.aws.errors import Unanswered
    from chalicelib.core.network.report import Report

_T = TypeVar("_T")

KEPT = timedelta(days=90)
"""How long a timeline entry lives; DynamoDB removes it within days after (TTL)."""

READABLE = 300_000
"""The most bytes of a report that are kept as plain text: an item holds 400 KB, and a report repeats itself."""

ANSWERED = timedelta(days=1)
"""How long a request's answer is kept."""

AMENDS = 10
"""Tries to amend a history that others write at the same time; in each of them one of these gets through."""

PACE = 0.02
"""Seconds to wait, at most, for each try that others were faster in: who waits differently long meets less."""

_STATE, _RUN, _REQUESTS, _DECLARATION = "state", "run#", "#requests", "declaration"

_TIMES = ("since", "decided_at", "launched_at", "insisted_at")
_WRITTEN_AS = {"failed": "setback", "provisional": "trial", "unresponsive": "silence"}
_VALUES = ("pause", "notices", "machines", "sighting")


class DynamoJournal:
    """The controller's journal port on one DynamoDB table with keys `topology` and `entry`."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def read(self, name: str) -> History:
        """Read a topology's history, strongly consistent; one never seen has an empty one.

        Raises:
            ObservationError: the table could not be read.
        """
        item = self._item(name, _STATE)
        with _as_written(f"{name}'s state"):
            return _history(item)

    def decide(self, name: str, before: History, after: History, decision: Report) -> None:
        """Write the decision and the new state, both or neither, unless another run decided since `before`.

        Raises:
            ObservationError: another run has decided since; look again.
            ApplyError: the table could not be written.
        """
        state = self._if_latest(name, before, after)
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

    def amend(self, name: str, change: Callable[[History], History]) -> History:
        """Change a topology's history, whatever others write meanwhile; what changes nothing is not written.

        Raises:
            ObservationError: it could not be read, or others were faster each time.
            ApplyError: it could not be written.
        """
        for overtaken in range(AMENDS):
            time.sleep(random.uniform(0, PACE * overtaken))  # noqa: S311 - no secret
            before = self.read(name)
            changed = change(before)
            if changed == before:
                return before
            after = replace(changed, revision=before.revision + 1)
            try:
                self._dynamodb.put_item(**self._if_latest(name, before, after))
            except AwsError as error:
                if code_of(error) not in ("ConditionalCheckFailedException", "TransactionConflictException"):
                    raise self._unwritten(error) from error
            else:
                return after
        raise ObservationError(f"others keep deciding about {name}", hint="try again in a moment")

    def timeline(self, name: str, limit: int) -> list[dict[str, Any]]:
        """Read the latest runs that decided something, the newest first, each as `report.as_json` gave it.

        Raises:
            ObservationError: the table could not be read.
        """
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="topology = :name AND begins_with(entry, :run)",
            ExpressionAttributeValues={":name": {"S": name}, ":run": {"S": _RUN}},
            ScanIndexForward=False,
            PaginationConfig={"MaxItems": limit, "PageSize": limit},
        )
        try:
            items = [item for page in pages for item in listing(page, "Items")]
        except AwsError as error:
            raise _unread(self._table, "dynamodb:Query", error) from error
        with _as_written(f"{name}'s timeline"):
            return [_content(cast("Any", item)["report"]) for item in items]

    def answer(self, request_id: str, name: str, state: str, report: Report | None = None) -> None:
        """Note how far a request has come: queued, running or done, and since when.

        Raises:
            ApplyError: the table could not be written.
        """
        now = datetime.now(UTC)
        known = {
            "request_id": request_id,
            "topology": name,
            "state": state,
            "at": now.isoformat(),
            "report": report and as_json(report),
        }
        item = _key(_REQUESTS, request_id) | {
            "answer": _document(known),
            "ttl": {"N": str(int((now + ANSWERED).timestamp()))},
        }
        try:
            self._dynamodb.put_item(TableName=self._table, Item=item)
        except AwsError as error:
            raise self._unwritten(error) from error

    def answered(self, request_id: str) -> dict[str, Any] | None:
        """Read how far a request has come; None when there was none of that id.

        Raises:
            ObservationError: the table could not be read.
        """
        item = self._item(_REQUESTS, request_id)
        with _as_written(f"the request {request_id}"):
            return _content(item["answer"]) if item else None

    def keep(self, name: str, kept: Kept) -> None:
        """Keep a valid declaration for the day when none can be read.

        Raises:
            ApplyError: the table could not be written.
        """
        item = _key(name, _DECLARATION) | {
            "document": {"S": kept.document.decode()},
            "at": {"S": kept.at.isoformat()},
        }
        try:
            self._dynamodb.put_item(TableName=self._table, Item=item)
        except AwsError as error:
            raise self._unwritten(error) from error

    def kept(self, name: str) -> Kept | None:
        """Read the declaration that was kept last; None when none was.

        Raises:
            ObservationError: the table could not be read.
        """
        item = self._item(name, _DECLARATION)
        with _as_written(f"{name}'s declaration"):
            at = _time(item, "at")
            return Kept(item["document"]["S"].encode(), at) if at else None

    def _item(self, name: str, entry: str) -> dict[str, Any]:
        try:
            answer = self._dynamodb.get_item(
                TableName=self._table, Key=_key(name, entry), ConsistentRead=True
            )
        except AwsError as error:
            raise _unread(self._table, "dynamodb:GetItem", error) from error
        return answer.get("Item", {})

    def _if_latest(self, name: str, before: History, after: History) -> PutTypeDef:
        return {
            "TableName": self._table,
            "Item": _state(name, after),
            "ConditionExpression": "attribute_not_exists(entry) OR revision = :before",
            "ExpressionAttributeValues": {":before": {"N": str(before.revision)}},
        }

    def _unwritten(self, error: Unanswered) -> ApplyError:
        return ApplyError(
            f"the journal {self._table} could not be written: {code_of(error)}: {message_of(error)}",
            hint="the next run tries again",
            aws_code=code_of(error),
        )


@contextmanager
def _as_written(what: str) -> Iterator[None]:
    """Turn what somebody else wrote into the table, or changed there, into one error."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, zlib.error) as error:
        raise ObservationError(
            f"the journal's item of {what} is not as Mooring writes it: {type(error).__name__}: {error}",
            hint="restore it, or delete the item: what is remembered begins anew",
        ) from error


def _outrun(error: Unanswered) -> bool:
    """Return whether another run was faster; a transaction is cancelled for a throttled table, too."""
    if code_of(error) == "TransactionConflictException":
        return True
    if not isinstance(error, ClientError) or code_of(error) != "TransactionCanceledException":
        return False
    reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
    return bool(reasons & {"ConditionalCheckFailed", "TransactionConflict"})


def _unread(table: str, doing: str, error: Unanswered) -> ObservationError:
    if code_of(error) == "ResourceNotFoundException":
        return ObservationError(
            f"there is no journal table {table} in this account and region",
            hint="make deploy makes it; MOORING_JOURNAL names another",
            aws_code=code_of(error),
        )
    return blind(doing, error)


def _key(name: str, entry: str) -> dict[str, Any]:
    return {"topology": {"S": name}, "entry": {"S": entry}}


def _state(name: str, history: History) -> dict[str, Any]:
    """Write a history as an item: times as text, lists of values as JSON; what is not known is not there."""
    times = {key: at.isoformat() for key in _TIMES if (at := getattr(history, key))}
    values = {key: _json(value) for key in _VALUES if (value := getattr(history, key))}
    names = {key: text for key in ("router", "kept") if (text := getattr(history, key))}
    return (
        _key(name, _STATE)
        | {"revision": {"N": str(history.revision)}}
        | {key: {"L": [{"S": at.isoformat()} for at in getattr(history, key)]} for key in ("moves", "leaves")}
        | {key: {"S": text} for key, text in (times | values | names).items()}
    )


def _json(value: Any) -> str:  # noqa: ANN401 - one dataclass or several
    plain = [_plain(one) for one in value] if isinstance(value, tuple) else _plain(value)
    return json.dumps(plain, default=datetime.isoformat)


def _plain(one: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """Return the fields of a dataclass, under the names that the journal has always had for them."""
    return {_WRITTEN_AS.get(name, name): value for name, value in asdict(one).items()}


def _history(item: dict[str, Any]) -> History:
    if not item:
        return History()
    values = {key: json.loads(item[key]["S"]) for key in _VALUES if key in item}
    pause, sighting = values.get("pause"), values.get("sighting")
    return History(
        revision=int(item["revision"]["N"]),
        router=item["router"]["S"] if "router" in item else None,
        since=_time(item, "since"),
        moves=_times(item, "moves"),
        pause=pause and Pause(pause["reason"], pause["until"] and datetime.fromisoformat(pause["until"])),
        notices=tuple(map(read_notice, values.get("notices", ()))),
        decided_at=_time(item, "decided_at"),
        machines=tuple(map(_machine, values.get("machines", ()))),
        launched_at=_time(item, "launched_at"),
        leaves=_times(item, "leaves"),
        insisted_at=_time(item, "insisted_at"),
        kept=item["kept"]["S"] if "kept" in item else None,
        sighting=_made(Sighting, sighting, "since"),
    )


def _times(item: dict[str, Any], key: str) -> tuple[datetime, ...]:
    return tuple(datetime.fromisoformat(at["S"]) for at in item[key]["L"]) if key in item else ()


def _time(item: dict[str, Any], key: str) -> datetime | None:
    return datetime.fromisoformat(item[key]["S"]) if key in item else None


def _machine(raw: dict[str, Any]) -> Machine:
    return Machine(
        raw["instance_id"],
        command=_made(Command, raw["command"], "sent_at"),
        inspection=_made(Inspection, raw["inspection"], "at", "expires"),
        failed=_made(FailedPush, raw["setback"], "at"),
        provisional=_made(Provisional, raw["trial"], "until"),
        secrets=raw.get("secrets"),
        unresponsive=_made(Unresponsive, raw.get("silence"), "since"),
    )


def _made(kind: Callable[..., _T], raw: dict[str, Any] | None, *times: str) -> _T | None:
    """Make a value of its fields; JSON has neither times nor tuples, and another version may have written more."""
    if raw is None:
        return None
    known = {field.name for field in fields(cast("type[Any]", kind))}
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items() if k in known}
    return kind(**plain | {key: datetime.fromisoformat(raw[key]) for key in times if raw.get(key)})


def _entry(name: str, report: Report) -> dict[str, Any]:
    """Make the timeline entry of a run: one per run, since a run's start is unique within its topology."""
    return _key(name, f"{_RUN}{report.started_at.isoformat()}") | {
        "sentence": {"S": report.sentence},
        "report": _document(as_json(report)),
        "ttl": {"N": str(int((report.started_at + KEPT).timestamp()))},
    }


def _document(content: object) -> dict[str, Any]:
    """Return it as JSON, to be read in any console; deflated where an item could not hold it."""
    text = json.dumps(content, separators=(",", ":")).encode()
    return {"S": text.decode()} if len(text) <= READABLE else {"B": zlib.compress(text)}


def _content(document: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `_document` gave."""
    text = document["S"] if "S" in document else zlib.decompress(document["B"])
    return cast("dict[str, Any]", json.loads(text))
