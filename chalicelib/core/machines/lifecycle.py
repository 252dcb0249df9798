"""The life of a push, as one table: what each answer makes of the configuration that waits and of the push that failed.

`TRANSITIONS` is all there is: the first row whose command, result and condition fit an answer says what becomes of the
machine. docs/push.md shows it, made from here by `python -m tools.tables`. Its invariants, which tests hold against every
row and against random lives:

1. A provisional configuration ends in one of three ways: it is confirmed, a push that stays takes its place, or it is
   found to be no longer in force. An answer that does not come ends none.
2. A push that is given up is cleared by the machine's own word that it has it, or by another push, and by nothing else here.
3. What is not answered changes nothing of what is known to be in force.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from chalicelib.core.machines.answer import Answer, Result, read_answer
from chalicelib.core.machines.machine import Command, Inspection, Invocation, Kind, Machine, Provisional
from chalicelib.core.tunnel.bundle import MOST_CONFIRM_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

ON_ITS_WAY = timedelta(minutes=2)
"""At most between sending a push and the moment from which the machine counts the time to confirm it."""


class Waits(StrEnum):
    """What becomes of the provisional configuration."""

    STAYS = "goes on waiting"
    ENDS = "ends"
    BEGINS = "begins to wait"
    IF_IN_FORCE = "goes on waiting if it is in force"
    AS_SAID = "waits if the machine says so, or it is in force and in time"


class Fails(StrEnum):
    """What becomes of the push that failed."""

    STAYS = "stays as it was"
    CLEARED = "is forgotten"
    RETRIED = "is tried again, with growing pauses"
    GIVEN_UP = "waits for an operator"
    EXPIRED = "is what nobody confirmed, and waits for an operator"


class Has(StrEnum):
    """Which secrets the machine has then."""

    WHAT_IT_HAD = "those that it had"
    PUSHED = "those of this push"
    FAILED = "those of the push that failed"


@dataclass(frozen=True, slots=True)
class Heard:
    """A machine, the command that it answered, and its answer."""

    machine: Machine
    command: Command
    answer: Answer

    @property
    def in_force(self) -> str | None:
        """The digest of the configuration that the machine says is in force."""
        return self.answer.word.digest if self.answer.word else None


Condition: TypeAlias = "Callable[[Heard], bool]"


def on_condition(heard: Heard) -> bool:
    """The push was to be confirmed."""
    return heard.command.confirm_within is not None


def bare(heard: Heard) -> bool:
    """The machine has no configuration, and the push was not to be confirmed."""
    return heard.in_force is None and not on_condition(heard)


def waits_longer(heard: Heard) -> bool:
    """The same configuration was waiting already, and for longer."""
    waits = heard.machine.provisional
    if waits is None or waits.digest != heard.in_force:
        return False
    return not on_condition(heard) or waits.until >= _begun(heard.command).until


def given_up_waits(heard: Heard) -> bool:
    """The push that was given up is in force, undrifted, and waits for its confirmation."""
    failed = heard.machine.failed
    return _has_failed(heard) and failed is not None and failed.final and heard.answer.waits == failed.digest


def expired(heard: Heard) -> bool:
    """What waited for its confirmation is no longer in force."""
    waits = heard.machine.provisional
    return waits is not None and waits.digest != heard.in_force


def made_up_for(heard: Heard) -> bool:
    """The push that failed is in force, undrifted, with the secrets that it brought."""
    failed = heard.machine.failed
    return _has_failed(heard) and failed is not None and failed.secrets in (None, heard.machine.secrets)


def _has_failed(heard: Heard) -> bool:
    failed, word = heard.machine.failed, heard.answer.word
    return failed is not None and word is not None and word.digest == failed.digest and not word.drift


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: which command, what it came to, under which condition; and what follows."""

    command: Kind
    result: Result
    provisional: Waits
    failed: Fails
    when: Condition | None = None
    secrets: Has = Has.WHAT_IT_HAD

    def fits(self, heard: Heard) -> bool:
        """Whether it is the row for an answer."""
        named = (self.command, self.result) == (heard.command.kind, heard.answer.result)
        return named and (self.when is None or self.when(heard))


TRANSITIONS = (
    Transition("push", Result.TAKEN, Waits.ENDS, Fails.CLEARED, secrets=Has.PUSHED),
    Transition("push", Result.WAITS, Waits.STAYS, Fails.CLEARED, waits_longer, Has.PUSHED),
    Transition("push", Result.WAITS, Waits.BEGINS, Fails.CLEARED, secrets=Has.PUSHED),
    Transition("push", Result.REFUSED, Waits.IF_IN_FORCE, Fails.GIVEN_UP, on_condition),
    Transition("push", Result.REFUSED, Waits.IF_IN_FORCE, Fails.RETRIED),
    Transition("push", Result.ROLLED_BACK, Waits.IF_IN_FORCE, Fails.RETRIED, bare),
    Transition("push", Result.ROLLED_BACK, Waits.IF_IN_FORCE, Fails.GIVEN_UP),
    Transition("push", Result.NONE, Waits.STAYS, Fails.GIVEN_UP, on_condition),
    Transition("push", Result.NONE, Waits.STAYS, Fails.RETRIED),
    Transition("confirm", Result.TAKEN, Waits.ENDS, Fails.CLEARED),
    Transition("confirm", Result.WAITS, Waits.STAYS, Fails.CLEARED, waits_longer),
    Transition("confirm", Result.WAITS, Waits.BEGINS, Fails.CLEARED),
    Transition("confirm", Result.REFUSED, Waits.IF_IN_FORCE, Fails.GIVEN_UP),
    Transition("confirm", Result.ROLLED_BACK, Waits.IF_IN_FORCE, Fails.GIVEN_UP),
    Transition("confirm", Result.NONE, Waits.STAYS, Fails.STAYS),
    Transition("inspect", Result.LOOKED, Waits.AS_SAID, Fails.CLEARED, given_up_waits, Has.FAILED),
    Transition("inspect", Result.LOOKED, Waits.AS_SAID, Fails.EXPIRED, expired),
    Transition("inspect", Result.LOOKED, Waits.AS_SAID, Fails.CLEARED, made_up_for),
    Transition("inspect", Result.LOOKED, Waits.AS_SAID, Fails.STAYS),
    Transition("inspect", Result.NONE, Waits.STAYS, Fails.STAYS),
)


def hear(machine: Machine, invocation: Invocation | None, now: datetime) -> Machine:
    """Return the machine after SSM was asked about its command; None is a command that SSM does not know (yet)."""
    command = machine.command
    if command is None or (answer := read_answer(command, invocation, machine.inspection, now)) is None:
        return machine
    heard = Heard(machine, command, answer)
    row = next(row for row in TRANSITIONS if row.fits(heard))
    after = replace(machine, command=None, provisional=_provisional(row.provisional, heard))
    if answer.word:
        after = replace(after, inspection=_known(heard, answer.word), unresponsive=None)
    elif command.kind != "push":
        after = after.silent(answer.why, now)
    after = replace(after, secrets=_secrets(row.secrets, heard))
    return _failed(row.failed, heard, after, now)


def _provisional(becomes: Waits, heard: Heard) -> Provisional | None:
    waits, word = heard.machine.provisional, heard.answer.word
    in_force = waits if waits and waits.digest == heard.in_force else None
    match becomes:
        case Waits.STAYS:
            return waits
        case Waits.ENDS:
            return None
        case Waits.BEGINS:
            return _begun(heard.command)
        case Waits.IF_IN_FORCE:
            return in_force
        case Waits.AS_SAID:
            in_time = in_force if in_force and word and word.at < in_force.until else None
            says = word is not None and word.digest is not None and heard.answer.waits == word.digest
            return in_time or (_waiting(word.digest or "", word.at) if word and says else None)


def _failed(becomes: Fails, heard: Heard, machine: Machine, now: datetime) -> Machine:
    command, why, lost = heard.command, heard.answer.why, heard.machine.provisional
    match becomes:
        case Fails.STAYS:
            return machine
        case Fails.CLEARED:
            return replace(machine, failed=None)
        case Fails.RETRIED | Fails.GIVEN_UP:
            return machine.refused(command, why, now, final=becomes is Fails.GIVEN_UP)
        case Fails.EXPIRED:
            push = Command("", "push", now, lost.digest if lost else None, secrets=machine.secrets)
            expired_ = "nobody confirmed it in time, so the machine went back to what it had"
            return machine.refused(push, expired_, now, final=True)


def _known(heard: Heard, word: Inspection) -> Inspection:
    """Return a machine's word with what its command did not look at as it was known: drift, and other people's rules.

    Neither a push nor a confirmation looks for drift, and only a push that was taken mends it; one that went back left other
    people's rules as they were.
    """
    before, result = heard.machine.inspection, heard.answer.result
    taken = heard.command.kind == "push" and result in (Result.TAKEN, Result.WAITS)
    if before is None or heard.command.kind == "inspect":
        return word
    word = word if taken else replace(word, drift=before.drift)
    return word if heard.answer.hooks else replace(word, hooks=before.hooks)


def _secrets(has: Has, heard: Heard) -> str | None:
    failed, had = heard.machine.failed, heard.machine.secrets
    match has:
        case Has.WHAT_IT_HAD:
            return had
        case Has.PUSHED:
            return heard.command.secrets
        case Has.FAILED:
            return (failed and failed.secrets) or had


def _begun(command: Command) -> Provisional:
    return _waiting(command.digest or "", command.sent_at, command.confirm_within)


def _waiting(digest: str, since: datetime, within: int | None = None) -> Provisional:
    """Return a provisional configuration, which lasts at most so long: when it began, only the machine knows."""
    return Provisional(digest, since + ON_ITS_WAY + timedelta(seconds=within or MOST_CONFIRM_SECONDS))
