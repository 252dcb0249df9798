"""Reads DescribeInstanceStatus: whether an instance's checks pass, since when one fails, and what AWS has scheduled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib.aws.answers import inner, members, moment, text
from chalicelib.core.network.observation import ScheduledEvent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from chalicelib.aws.answers import Raw

_CHECKS = ("SystemStatus", "InstanceStatus", "AttachedEbsStatus")

_OVER = ("[Completed]", "[Canceled]")
"""How the description of an event begins that is over (API reference, InstanceStatusEvent): it stays for a week."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is said of one instance; as it stands, nothing is known."""

    checks: str = "unknown"
    listed: bool | None = None
    impaired_since: datetime | None = None
    events: tuple[ScheduledEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Statuses:
    """The region's statuses by instance; `whole` says that an instance that is not among them was not listed."""

    known: dict[str, Status] = field(default_factory=dict)
    whole: bool = False

    def of(self, instance_id: str) -> Status:
        """Return what is said of an instance."""
        return self.known.get(instance_id) or Status(listed=False if self.whole else None)


def statuses(raws: Iterable[Raw]) -> Statuses:
    """Read a whole listing; it names running instances only, since nothing else is asked for."""
    known, whole = {}, True
    for raw in raws:
        instance_id = text(raw, "InstanceId")
        if instance_id is None:
            whole = False  # it may be anybody's
        else:
            known[instance_id] = _status(raw)
    return Statuses(known, whole)


def _status(raw: Raw) -> Status:
    failing = [check for key in _CHECKS if text(check := inner(raw, key), "Status") == "impaired"]
    details = (detail for check in failing for detail in members(check, "Details"))
    since = [
        at
        for detail in details
        if text(detail, "Status") != "passed" and (at := moment(detail, "ImpairedSince"))
    ]
    state = text(inner(raw, "InstanceState"), "Name") or "running"
    return Status(
        checks="impaired" if failing else text(inner(raw, "InstanceStatus"), "Status") or "unknown",
        listed=state == "running",
        impaired_since=min(since, default=None),
        events=tuple(_event(one) for one in members(raw, "Events") if not _is_over(one)),
    )


def _is_over(raw: Raw) -> bool:
    return (text(raw, "Description") or "").startswith(_OVER)


def _event(raw: Raw) -> ScheduledEvent:
    return ScheduledEvent(text(raw, "Code") or "unknown", moment(raw, "NotBefore"))
