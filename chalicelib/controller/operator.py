"""What people may ask of a topology, by the API or the command line: a run, a pause, its end; and what became of it."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.core.errors import ApplyError, ControllerError
from chalicelib.core.fields import UUID
from chalicelib.core.messages.message import Message
from chalicelib.core.network.topology import Limits
from chalicelib.core.toml_reader import read_duration
from chalicelib.core.tunnel.bundle import MOST_CONFIRM_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.controller.ports import Amendable, OperatorPorts
    from chalicelib.core.network.history import History, Pause
    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology
    from chalicelib.core.request import Request

LONGEST = timedelta(days=30)
"""Of all durations that anybody may name."""

UNANSWERED = timedelta(seconds=130)
"""How long a worker may still be about to answer what it has begun, or was just in time to begin: one that is killed
hides the message for the queue's 65 seconds, and the next run of it takes up to 60 (.chalice/resources.yaml)."""

_REASON = re.compile(
    r"[^\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]{1,200}"
)
"""One line that any terminal shows as it is: nothing that moves the cursor, turns the direction or is invisible."""


class InvalidValueError(ValueError):
    """A value that means nothing here; `wanted` says what would."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted


def duration(value: object) -> timedelta:
    """Read 90s, 30m, 2h or 1d.

    Raises:
        InvalidValueError: it is none, or longer than `LONGEST`.
    """
    read, _ = read_duration(value)
    if read is None or read > LONGEST:
        raise InvalidValueError(f"a duration such as 30m, 2h or 1d, at most {LONGEST.days}d")
    return read


def confirm_within(value: object) -> int:
    """Read for how long a push may wait for its confirmation, as seconds.

    Raises:
        InvalidValueError: it is no duration, or too short for anybody to confirm in, or longer than a machine waits.
    """
    wanted = "a duration from 1m to 1h, such as 5m"
    try:
        seconds = int(duration(value).total_seconds())
    except InvalidValueError:
        raise InvalidValueError(wanted) from None
    if not 60 <= seconds <= MOST_CONFIRM_SECONDS:
        raise InvalidValueError(wanted)
    return seconds


def reason(value: object) -> str:
    """Read why somebody pauses a topology.

    Raises:
        InvalidValueError: it is empty, too long, or no one line of plain text.
    """
    if not isinstance(value, str) or not _REASON.fullmatch(value) or not value.strip():
        raise InvalidValueError("1 to 200 characters on one line")
    return value.strip()


@dataclass(frozen=True, slots=True)
class Objection:
    """Why the worker would refuse a request, and the way out."""

    code: str
    message: str
    remedy: str


def objection(request: Request, shown: Report) -> Objection | None:
    """Return why the worker would refuse a request whose preview is `shown`; None where it would not.

    A confirmation changes nothing in the network: it is sent in a pause, too.
    """
    if shown.verdict not in ("paused", "refused") or (request.action == "confirm" and not shown.error):
        return None
    refusal, error = shown.refusal, shown.error
    code = "Paused" if shown.verdict == "paused" else (error.code if error else "UnsafePlan")
    remedy = refusal.remedy if refusal else (error.hint if error else "")
    return Objection(code, shown.sentence, remedy or "")


def enqueue(name: str, request: Request, ports: OperatorPorts) -> str:
    """Put a request on the queue and return its id; its answer says queued before the worker can say running.

    Raises:
        ApplyError: it could not be noted or sent.
    """
    request_id = str(uuid.uuid4())
    ports.journal.answer(request_id, name, "queued")
    try:
        ports.queue.send([Message(name, ports.clock.now(), request, request_id)])
    except ApplyError as error:
        raise ApplyError(
            f"the worker could not be asked: {error.message}",
            hint=f"ask again; where SQS took it all the same, request {request_id} tells what became of it",
            aws_code=error.aws_code,
        ) from error
    return request_id


def answered(request_id: str, ports: OperatorPorts) -> dict[str, Any] | None:
    """Read how far a request has come, as `progress` has it; None when no request of that id is known.

    Raises:
        ObservationError: the journal could not be read.
    """
    answer = ports.journal.answered(request_id) if UUID.fullmatch(request_id) else None
    return answer and progress(answer, ports.clock.now(), ports.topologies.read)


def progress(answer: Mapping[str, Any], now: datetime, read: Callable[[str], Topology]) -> dict[str, Any]:
    """Judge how far a request has come, for good when it is older than an answer can be; `note` says what that means.

    `expired`: nobody began it in time, and whoever comes upon it now refuses it. `lost`: a worker began it, and neither
    that one nor the next has answered.
    """
    judged = {"at": None, **answer, "note": None}
    at = judged["at"] and datetime.fromisoformat(judged["at"])
    if at is None or now - at <= UNANSWERED:
        return judged
    look = f"the history of {judged['topology']} tells what was decided since {at:%H:%M:%S} UTC"
    if judged["state"] == "running":
        lost = "a worker began it and did not answer: it was cut off, or could not write its answer"
        return judged | {"state": "lost", "note": f"{lost}; {look}"}
    if judged["state"] == "queued" and now - at > _age(judged["topology"], read) + UNANSWERED:
        expired = "no worker began it while it counted (limits.request_age), and none will"
        return judged | {"state": "expired", "note": f"{expired}; one that could not say so: {look}"}
    return judged


def _age(name: str, read: Callable[[str], Topology]) -> timedelta:
    """Return how old a request may be; of a topology that cannot be read, as long as one that says nothing."""
    try:
        return read(name).limits.request_age
    except ControllerError:
        return Limits().request_age


def pause(name: str, wanted: Pause, caller: str, journal: Amendable) -> Pause:
    """Have the worker look and not touch until the pause ends; who asked becomes part of the reason.

    Raises:
        ObservationError, ApplyError: the journal could not be read or written.
    """
    signed = replace(wanted, reason=f"{wanted.reason} ({caller})")
    journal.amend(name, lambda history: replace(history, pause=signed))
    return signed


def resume(name: str, now: datetime, journal: Amendable) -> Pause | None:
    """End a pause and return it, if one was in force; one that is declared only its declaration ends.

    Raises:
        ObservationError, ApplyError: the journal could not be read or written.
    """
    ended: Pause | None = None

    def change(history: History) -> History:
        nonlocal ended
        # A second try finds it ended, when the reply to the first was lost.
        ended = ended or history.paused(now)
        return replace(history, pause=None)

    journal.amend(name, change)
    return ended
