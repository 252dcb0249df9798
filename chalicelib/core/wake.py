"""The messages on the queue: who should look and why, what an operator wishes, and AWS's word on an instance."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from chalicelib.core.machine import Order

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""What a topology may be called, as `declaration` has it."""

INSTANCE = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_DIGEST = re.compile(r"[0-9a-f]{32}")
_LINE = re.compile(r".{1,1024}")


@dataclass(frozen=True, slots=True)
class Hook:
    """A lifecycle hook that keeps a terminating instance until somebody completes it, or its timeout does."""

    group: str
    name: str
    token: str


NoticeKind: TypeAlias = Literal["interruption", "rebalance", "termination", "in-service"]


@dataclass(frozen=True, slots=True)
class Notice:
    """AWS's word on what becomes of an instance, and the hook that waits for us, if one does.

    Attributes:
        instance_id: the instance.
        reason: the word itself, to be read after the instance's id.
        at: when AWS says it was given, UTC.
        hook: the lifecycle hook that keeps the instance for us.
        kind: `interruption`: Spot takes it in two minutes. `rebalance`: Spot may take it, some day or never.
            `termination`: its Auto Scaling group is ending it. `in-service`: its group has it in service, whatever
            was said before.
    """

    instance_id: str
    reason: str
    at: datetime
    hook: Hook | None = None
    kind: NoticeKind = "interruption"


@dataclass(frozen=True, slots=True)
class Wake:
    """One message on the queue: who should look, why, and what an operator wishes.

    `at` is when the cause happened, UTC; `request_id` lets the one who asked find the report; `agreed` is the
    `change.digest` of the plan that an operator consented to; `order` is what an operator asks of the machines.
    """

    topology: str
    woken_by: str
    at: datetime
    to: str | None = None
    force: bool = False
    request_id: str | None = None
    notice: Notice | None = None
    agreed: str | None = None
    order: Order | None = None

    def dumps(self) -> str:
        """Write it as JSON."""
        return _JSON.encode(_plain(self))


def _plain(value: Any) -> Any:  # noqa: ANN401 - what JSON has no word for
    """Give a moment in ISO 8601, and any other value by its fields."""
    if isinstance(value, datetime):
        return value.isoformat()
    return {field.name: getattr(value, field.name) for field in fields(value)}


_JSON = json.JSONEncoder(default=_plain)


def loads(body: str) -> Wake:
    """Read a message back; one of another version may have fields more or less.

    Raises:
        ValueError: it is none of ours; says why, and quotes nothing of it.
    """
    try:
        raw = json.loads(body)
        wake = Wake(
            topology=_matched(raw["topology"], NAME),
            woken_by=_matched(raw["woken_by"], _LINE),
            at=moment(raw["at"]),
            to=raw.get("to") and _matched(raw["to"], INSTANCE),
            force=raw.get("force") is True,
            request_id=raw.get("request_id") and _matched(raw["request_id"], UUID),
            notice=raw.get("notice") and read_notice(raw["notice"]),
            order=raw.get("order") and _order(raw["order"]),
            agreed=None if raw.get("agreed") is None else _matched(raw["agreed"], _DIGEST),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"no message of Mooring's ({type(error).__name__})") from None
    return wake


def _order(raw: dict[str, Any]) -> Order:
    within = raw.get("confirm_within")
    if raw["kind"] not in ("push", "confirm") or not (within is None or isinstance(within, int)):
        raise ValueError
    return Order(raw["kind"], raw.get("to") and _matched(raw["to"], INSTANCE), within)


def read_notice(raw: dict[str, Any]) -> Notice:
    """Read a notice of its fields, as a message or the journal has it; one that names no kind is an older version's.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    hook = raw.get("hook")
    kind = raw.get("kind", "termination" if hook else "interruption")
    if kind not in get_args(NoticeKind):
        raise ValueError
    return Notice(
        instance_id=_matched(raw["instance_id"], INSTANCE),
        reason=_matched(raw["reason"], _LINE),
        at=moment(raw["at"]),
        hook=hook
        and Hook(
            _matched(hook["group"], _LINE), _matched(hook["name"], _LINE), _matched(hook["token"], UUID)
        ),
        kind=kind,
    )


def moment(value: str) -> datetime:
    """Read a moment in ISO 8601.

    Raises:
        ValueError: it is none, or names no time zone.
    """
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError
    return at


def _matched(value: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(value):
        raise ValueError
    return value
