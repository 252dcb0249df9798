"""What is known of a candidate's operating system: what was sent to it, what came back, how it said it stands."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from chalicelib.core.envelope import MOST_CONFIRM_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = timedelta(minutes=3)
"""How long a command may go unanswered: a minute to be delivered, a minute to run, and as long again for SSM to say so."""

ON_ITS_WAY = timedelta(minutes=2)
"""At most between sending a push and the moment from which the machine counts the time to confirm it."""

FRESH = timedelta(minutes=12)
"""How long a machine's word on itself is leaned on: two inspections may be missed."""

TRY_AGAIN = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 15))
"""How long to wait after a failed push, by the number of tries; the last one holds for all that follow."""

Kind: TypeAlias = Literal["push", "inspect", "confirm"]

_TAKEN = ("applied", "unchanged", "pending")
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


@dataclass(frozen=True, slots=True)
class Agent:
    """The SSM agent of an instance, as Systems Manager knows it."""

    online: bool
    version: str = ""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What SSM says of a command on one machine: its StatusDetails, and what it printed once it has ended."""

    status: str
    output: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator asks of machines: to push, or to confirm a push that waits for it.

    `confirm_within` is in seconds: without a confirmation by then the machine goes back by itself.
    """

    kind: Literal["push", "confirm"]
    to: str | None = None
    confirm_within: int | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A command that was sent and has not been answered.

    `digest` is what a push or a confirmation is about, `secrets` what a push brings of them (`CertificateRecord.digest`).
    """

    id: str
    kind: Kind
    sent_at: datetime
    digest: str | None = None
    confirm_within: int | None = None
    secrets: str | None = None


@dataclass(frozen=True, slots=True)
class Inspection:
    """How a machine said it stands; `digest` is that of the configuration in force, None when it has none.

    `hooks` tells which of other people's rules on it stop what it must forward, a line each.
    `tunnel` is OpenVPN's own word for its state, None when it does not run. `received` counts the tunnel's bytes since it
    started, `grown` how many came since the inspection before (None when that cannot be told).
    """

    at: datetime
    digest: str | None
    drift: tuple[str, ...] = ()
    forwarding: bool = False
    holds_address: bool = False
    tunnel: str | None = None
    received: int = 0
    grown: int | None = None
    expires: datetime | None = None
    hooks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setback:
    """A push that failed: of what, why, how often in a row, and whether only an operator may try it again."""

    digest: str
    reason: str
    at: datetime
    tries: int = 1
    final: bool = False
    secrets: str | None = None

    @property
    def again_at(self) -> datetime | None:
        """When the next try is due; None when it waits for an operator."""
        return None if self.final else self.at + TRY_AGAIN[min(self.tries, len(TRY_AGAIN)) - 1]


@dataclass(frozen=True, slots=True)
class Silence:
    """Since when a machine has been asked how it stands and has not said, and why not the last time."""

    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A configuration in force that the machine gives up unless an operator confirms it in time."""

    digest: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Machine:
    """One candidate's operating system, as far as it is known; `secrets` are those that the last push brought."""

    instance_id: str
    command: Command | None = None
    inspection: Inspection | None = None
    setback: Setback | None = None
    trial: Trial | None = None
    secrets: str | None = None
    silence: Silence | None = None

    def fresh(self, at: datetime) -> Inspection | None:
        """Give the machine's word on itself while it may be leaned on."""
        if self.inspection is None or at - self.inspection.at > FRESH:
            return None
        return self.inspection

    @property
    def met_at(self) -> datetime | None:
        """When the machine was last spoken to or heard of; None when it never was."""
        sent = self.command and self.command.sent_at
        moments = (sent, self.inspection and self.inspection.at, self.setback and self.setback.at)
        return max((moment for moment in moments if moment), default=None)

    def asked(self, command: Command) -> Machine:
        """Give the machine with a command on its way."""
        return replace(self, command=command)

    def refused(self, push: Command, reason: str, at: datetime, *, final: bool = False) -> Machine:
        """Give the machine after a push that failed; the same push failing again counts on."""
        before = self.setback
        again = before is not None and (before.digest, before.secrets) == (push.digest, push.secrets)
        tries = before.tries + 1 if before and again else 1
        return replace(
            self, command=None, setback=Setback(push.digest or "", reason, at, tries, final, push.secrets)
        )

    def silent(self, why: str, at: datetime) -> Machine:
        """Give the machine after it was asked how it stands and did not say; how long that lasts is counted from the first."""
        return replace(self, command=None, silence=Silence(self.silence.since if self.silence else at, why))

    def heard(self, invocation: Invocation | None, now: datetime) -> Machine:
        """Give the machine after SSM was asked about its command; None is a command that SSM does not know (yet).

        Just after SendCommand every command is unknown for a moment (`InvocationDoesNotExist`); one that stays unknown
        never reached a machine.
        """
        command = self.command
        if command is None:
            return self
        if invocation is None or invocation.status in _UNFINISHED:
            if now - command.sent_at <= PATIENCE:
                return self
            why = "it reached no machine" if invocation is None else "the machine never answered"
            return self._unanswered(command, why, now)
        said = read(invocation.output)
        if said is None or invocation.status not in _SPOKEN:
            unclear = f"it ended as {invocation.status} and said nothing that Mooring understands"
            return self._unanswered(command, _ENDED.get(invocation.status, unclear), now)
        if "digest" not in said:  # it could not look at itself: the lock is taken, or a tool is missing
            return self._unanswered(command, _outcome(said), now)
        word = _inspection(said, self.inspection, command.sent_at)
        if word is None:
            return self._unanswered(command, "it said nothing that Mooring understands", now)
        if command.kind == "inspect":
            return self._looked(word, said.get("pending"), now)
        return self._answered(command, said, word, now)

    def _unanswered(self, command: Command, why: str, now: datetime) -> Machine:
        """Give the machine after a command that brought no word on how it stands: what was known goes on to hold.

        A push on condition may have been taken and given up since: only an operator may push it again.
        """
        if command.kind == "push":
            return self.refused(command, why, now, final=command.confirm_within is not None)
        return self.silent(why, now)

    def _answered(
        self, command: Command, said: Mapping[str, Any], word: Inspection, now: datetime
    ) -> Machine:
        """Give the machine after a push or a confirmation that it answered."""
        result, before = said.get("result"), self.inspection
        if before and not (command.kind == "push" and result in _TAKEN):
            # neither looks for drift, and only a push that was taken mends it
            word = replace(word, drift=before.drift)
        if before and "hooks" not in said:  # a push that went back left them as they were
            word = replace(word, hooks=before.hooks)
        # what waits for its confirmation goes on waiting, whatever is pushed meanwhile (chalicelib/command/configure.py)
        waits = self.trial if self.trial and self.trial.digest == word.digest else None
        machine = replace(self, command=None, silence=None, inspection=word)
        if result not in _TAKEN:
            # a bare machine has nothing to lose by another try, and private subnets wait for it
            undone = result == "rolled-back" and word.digest is not None
            final = undone or command.kind == "confirm" or command.confirm_within is not None
            return replace(machine, trial=waits).refused(command, _outcome(said), now, final=final)
        if command.kind == "push":
            machine = replace(machine, secrets=command.secrets)
        if result != "pending" or not command.digest:
            return replace(machine, setback=None, trial=None)
        anew = _on_trial(command.digest, command.sent_at, command.confirm_within)
        if waits and (command.confirm_within is None or waits.until >= anew.until):
            return replace(machine, setback=None, trial=waits)
        # the one before may have been over, which nobody had seen: then this push began another
        return replace(machine, setback=None, trial=anew)

    def _looked(self, word: Inspection, pending: object, now: datetime) -> Machine:
        """Give the machine after it said how it stands: what failed may be in force after all, and a trial may be over.

        `pending` is the configuration that it says waits for a confirmation: then it does, whatever was reckoned here; how
        long, only the machine knows.
        """
        machine = replace(self, command=None, silence=None, inspection=word)
        setback, trial = self.setback, self.trial
        waits = trial if trial and trial.digest == word.digest and word.at < trial.until else None
        if word.digest is not None and pending == word.digest:
            waits = waits or _on_trial(word.digest, word.at)
        if setback and word.digest == setback.digest and not word.drift:
            if setback.final and pending == setback.digest:
                return replace(machine, setback=None, trial=waits, secrets=setback.secrets or self.secrets)
            if setback.secrets in (None, self.secrets):
                machine = replace(machine, setback=None)
        if trial and word.digest != trial.digest:
            given_up = Command("", "push", word.at, trial.digest, secrets=self.secrets)
            why = "nobody confirmed it in time, so the machine went back to what it had"
            machine = machine.refused(given_up, why, now, final=True)
        return replace(machine, trial=waits)


def _on_trial(digest: str, since: datetime, within: int | None = None) -> Trial:
    """Give a trial; how long it lasts at most, where only the machine knows when it began."""
    return Trial(digest, since + ON_ITS_WAY + timedelta(seconds=within or MOST_CONFIRM_SECONDS))


def _outcome(said: Mapping[str, Any]) -> str:
    """Say what a machine made of a command that it did not carry out, fit to be shown: a machine is not trusted."""
    reason = "".join(
        c if c.isprintable() else " " for c in str(said.get("reason") or "it gave no reason")[:300]
    )
    return f"{_SAID.get(str(said.get('result')), 'failed')}: {reason}"


def read(output: str) -> dict[str, Any] | None:
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
