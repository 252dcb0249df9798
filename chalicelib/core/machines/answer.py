"""Reads what became of a command on a machine: a machine is not trusted, and whatever it prints is read without an exception."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from chalicelib.core.machines.machine import Inspection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.core.machines.machine import Command, Invocation

PATIENCE = timedelta(minutes=3)
"""How long a command may go unanswered: a minute to be delivered, a minute to run, and as long again for SSM to say so."""

_SAID = {"refused": "refused it", "rolled-back": "went back to what it had"}
_UNFINISHED = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})

_SPOKEN = frozenset({"Success", "Failed", "ExecutionTimedOut", "TimedOut"})
"""Ends after which a word counts: it is the last thing a script prints, and somebody who holds its output longer than it lives
makes the agent call it timed out."""

_ENDED = {
    "Cancelled": "it was cancelled",
    "Canceled": "it was cancelled",
    "DeliveryTimedOut": "it was not delivered in time: the agent does not answer",
    "ExecutionTimedOut": "it ran out of time on the machine",
    "TimedOut": "it ran out of time",
    "Undeliverable": "it could not be delivered: no agent took it",
    "Terminated": "SSM ended it, since its sibling commands failed",
    "InvalidPlatform": "the document does not fit the machine's platform",
    "AccessDenied": "the machine may not run it: AccessDenied",
}
"""SSM's StatusDetails of a command that brought no result (Systems Manager user guide, "Understanding command statuses")."""


class Result(StrEnum):
    """What a command came to."""

    TAKEN = "taken"
    WAITS = "taken, and waits for its confirmation"
    REFUSED = "refused"
    ROLLED_BACK = "rolled back"
    LOOKED = "said how it stands"
    NONE = "no answer"


_RESULTS = {
    "applied": Result.TAKEN,
    "unchanged": Result.TAKEN,
    "pending": Result.WAITS,
    "rolled-back": Result.ROLLED_BACK,
}
"""A machine's own words for how a push or a confirmation ended; every other one means that it refused."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command came to, and how the machine stands then.

    Attributes:
        result: what it came to.
        why: in words, where it was not carried out.
        word: how the machine said it stands; None with `Result.NONE`.
        waits: the digest of the configuration that it says waits for a confirmation.
        hooks: whether it looked for other people's rules.
    """

    result: Result
    why: str = ""
    word: Inspection | None = None
    waits: str | None = None
    hooks: bool = False


def read_answer(
    command: Command, invocation: Invocation | None, before: Inspection | None, now: datetime
) -> Answer | None:
    """Read what SSM says of a command; None while it may still be answered.

    Just after SendCommand every command is unknown for a moment (`InvocationDoesNotExist`), so `invocation` is None; one that
    stays unknown never reached a machine.
    """
    if invocation is None or invocation.status in _UNFINISHED:
        if now - command.sent_at <= PATIENCE:
            return None
        return Answer(
            Result.NONE, "it reached no machine" if invocation is None else "the machine never answered"
        )
    said = find(invocation.output)
    if said is None or invocation.status not in _SPOKEN:
        unclear = f"it ended as {invocation.status} and said nothing that Mooring understands"
        return Answer(Result.NONE, _ENDED.get(invocation.status, unclear))
    if "digest" not in said:  # it could not look at itself: the lock is taken, or a tool is missing
        return Answer(Result.NONE, _outcome(said))
    word = _inspection(said, before, command.sent_at)
    if word is None:
        return Answer(Result.NONE, "it said nothing that Mooring understands")
    result = Result.LOOKED if command.kind == "inspect" else _result(said)
    waits = said.get("pending")
    return Answer(
        result, _outcome(said), word, waits if isinstance(waits, str) else None, hooks="hooks" in said
    )


def _result(said: Mapping[str, Any]) -> Result:
    result = said.get("result")
    return _RESULTS.get(result, Result.REFUSED) if isinstance(result, str) else Result.REFUSED


def _outcome(said: Mapping[str, Any]) -> str:
    """Return what a machine made of a command that it did not carry out, fit to be shown: a machine is not trusted."""
    reason = "".join(
        c if c.isprintable() else " " for c in str(said.get("reason") or "it gave no reason")[:300]
    )
    return f"{_SAID.get(str(said.get('result')), 'failed')}: {reason}"


def find(output: str) -> dict[str, Any] | None:
    """Find a machine's word in what its command printed: the last line that is a JSON object of Mooring's."""
    for text in reversed(output.strip().splitlines()):
        if not text.startswith("{"):
            continue
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict) and said.get("mooring") == 1:
            return cast("dict[str, Any]", said)
    return None


def _inspection(said: Mapping[str, Any], before: Inspection | None, at: datetime) -> Inspection | None:
    """Read what `inspect` and `configure` say; None when a field is not what it should be: a machine is not trusted."""
    tunnel = said.get("tunnel") or {}
    try:
        received = int(tunnel.get("bytes_in") or 0)
        expires = said.get("certificate_expires")
        return Inspection(
            at=at,
            digest=_word(said.get("digest"), 64),
            drift=_words(said.get("drift")),
            forwarding=said.get("forwarding") is True,
            holds_address=said.get("holds_address") is True,
            tunnel=_word(tunnel.get("state"), 40),
            received=received,
            grown=_grown(before, received, at),
            expires=datetime.fromisoformat(expires).astimezone(UTC) if expires else None,
            hooks=_words(said.get("hooks")),
        )
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None


def _grown(before: Inspection | None, received: int, at: datetime) -> int | None:
    """Count the bytes that came since the word before; within less than a minute a good tunnel may bring none."""
    if before is None or received < before.received or at - before.at < timedelta(minutes=1):
        return None
    return received - before.received


def _words(value: object) -> tuple[str, ...]:
    """Read a list of lines; what is no list is no word of a router's."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError
    return tuple(_word(line, 200) or "" for line in value[:20])


def _word(value: object, most: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError
    return value[:most]
