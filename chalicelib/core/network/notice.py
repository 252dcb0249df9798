"""AWS's word on what becomes of an instance: interruption notices, and lifecycle hooks that wait for us."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from chalicelib.core.fields import INSTANCE, LINE, UUID, matched, moment

if TYPE_CHECKING:
    from datetime import datetime


TOO_OLD = timedelta(minutes=15)
"""EventBridge may deliver an event up to 24 hours late; after this long some tick has looked already."""


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
        instance_id=matched(raw["instance_id"], INSTANCE),
        reason=matched(raw["reason"], LINE),
        at=moment(raw["at"]),
        hook=hook
        and Hook(matched(hook["group"], LINE), matched(hook["name"], LINE), matched(hook["token"], UUID)),
        kind=kind,
    )
