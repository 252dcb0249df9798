"""What is known of a candidate's operating system: what was sent to it, and how it said it stands.

How that changes with each answer is `lifecycle`'s table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

FRESH = timedelta(minutes=12)
"""How long a machine's word on itself is leaned on: two inspections may be missed."""

TRY_AGAIN = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 15))
"""How long to wait after a failed push, by the number of tries; the last one holds for all that follow."""

Kind: TypeAlias = Literal["push", "inspect", "confirm"]


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
class FailedPush:
    """A push that failed: of what, why, how often in a row, and whether it is given up: only an operator may try it again."""

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
class Unresponsive:
    """Since when a machine has been asked how it stands and has not said, and why not the last time."""

    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Provisional:
    """A configuration in force that the machine gives up unless an operator confirms it in time (commit confirmed)."""

    digest: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Machine:
    """One candidate's operating system, as far as it is known.

    Attributes:
        instance_id: the candidate.
        command: the one command that is on its way.
        inspection: the machine's last word on how it stands.
        failed: the push that failed last, until it is made up for.
        provisional: the configuration in force that waits for its confirmation.
        secrets: the digest of those that the last push brought.
        unresponsive: that it was asked how it stands and has not said.
    """

    instance_id: str
    command: Command | None = None
    inspection: Inspection | None = None
    failed: FailedPush | None = None
    provisional: Provisional | None = None
    secrets: str | None = None
    unresponsive: Unresponsive | None = None

    def fresh(self, at: datetime) -> Inspection | None:
        """Return the machine's word on itself while it may be leaned on."""
        if self.inspection is None or at - self.inspection.at > FRESH:
            return None
        return self.inspection

    @property
    def met_at(self) -> datetime | None:
        """When the machine was last spoken to or heard of; None when it never was."""
        sent = self.command and self.command.sent_at
        moments = (sent, self.inspection and self.inspection.at, self.failed and self.failed.at)
        return max((moment for moment in moments if moment), default=None)

    def asked(self, command: Command) -> Machine:
        """Return the machine with a command on its way."""
        return replace(self, command=command)

    def refused(self, push: Command, reason: str, at: datetime, *, final: bool = False) -> Machine:
        """Return the machine after a push that failed; the same push failing again counts on."""
        before = self.failed
        again = before is not None and (before.digest, before.secrets) == (push.digest, push.secrets)
        tries = before.tries + 1 if before and again else 1
        failed = FailedPush(push.digest or "", reason, at, tries, final, push.secrets)
        return replace(self, command=None, failed=failed)

    def silent(self, why: str, at: datetime) -> Machine:
        """Return the machine after it was asked how it stands and did not say; how long is counted from the first time."""
        since = self.unresponsive.since if self.unresponsive else at
        return replace(self, command=None, unresponsive=Unresponsive(since, why))
