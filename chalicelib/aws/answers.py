"""Reads members of AWS's answers: any may be absent, or of a kind that nobody expects, and none of that raises by accident.

AWS's models require hardly a member of what they answer with. What is absent, empty or of another type than it should be
is absent here; only `needed` and `listing` insist.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from chalicelib.aws.errors import MalformedAnswer

Raw: TypeAlias = Mapping[str, object]
"""A structure as botocore gives it."""

NOTHING: Raw = {}


def text(raw: Raw, key: str) -> str | None:
    """Return a text; None when there is none."""
    value = raw.get(key)
    return value if isinstance(value, str) and value else None


def flag(raw: Raw, key: str) -> bool | None:
    """Return a truth value; None when there is none."""
    value = raw.get(key)
    return value if isinstance(value, bool) else None


def number(raw: Raw, key: str) -> int | None:
    """Return a whole number; None when there is none."""
    value = raw.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment(raw: Raw, key: str) -> datetime | None:
    """Return a time that names its zone; None when there is none."""
    value = raw.get(key)
    return value if isinstance(value, datetime) and value.tzinfo else None


def inner(raw: Raw, key: str) -> Raw:
    """Return a structure; an empty one when there is none."""
    value = raw.get(key)
    return value if isinstance(value, Mapping) else NOTHING


def members(raw: Raw, key: str) -> list[Raw]:
    """Return a list of structures; an empty one when there is none, which must not matter to who asks."""
    value = raw.get(key)
    return [one if isinstance(one, Mapping) else NOTHING for one in value] if isinstance(value, list) else []


def listing(raw: Raw, key: str) -> list[Raw]:
    """Return a list of structures whose emptiness means something.

    Raises:
        MalformedAnswer: it is absent, which must not look like an empty one.
    """
    if not isinstance(raw.get(key), list):
        raise MalformedAnswer(f"it lists no {key}")
    return members(raw, key)


def needed(raw: Raw, key: str) -> str:
    """Return a text that nobody can do without.

    Raises:
        MalformedAnswer: there is none.
    """
    found = text(raw, key)
    if found is None:
        raise MalformedAnswer(f"it has no {key}")
    return found


def needed_number(raw: Raw, key: str) -> int:
    """Return a whole number that nobody can do without.

    Raises:
        MalformedAnswer: there is none.
    """
    found = number(raw, key)
    if found is None:
        raise MalformedAnswer(f"it has no {key}")
    return found


def tags(raw: Raw) -> dict[str, str]:
    """Return the tags; one without a key is none, one without a value has an empty one."""
    return {key: text(tag, "Value") or "" for tag in members(raw, "Tags") if (key := text(tag, "Key"))}
