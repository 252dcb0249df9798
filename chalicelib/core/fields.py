"""Reads single fields of JSON that may come from anywhere: names, ids, moments; what is none of these is refused."""

from __future__ import annotations

import re
from datetime import datetime

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""What a topology may be called, as `declaration` has it."""

INSTANCE = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
LINE = re.compile(r".{1,1024}")


def moment(value: str) -> datetime:
    """Read a moment in ISO 8601.

    Raises:
        ValueError: it is none, or names no time zone.
    """
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError
    return at


def matched(value: str, pattern: re.Pattern[str]) -> str:
    """Return a text that matches a pattern whole.

    Raises:
        ValueError: it does not.
    """
    if not pattern.fullmatch(value):
        raise ValueError
    return value
