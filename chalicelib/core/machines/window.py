"""The change window: when what is declared anew may be pushed to the router that carries the traffic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WANTED = 'must be days and times in UTC, such as "Sat,Sun 02:00-04:30" or "daily 23:00-01:00"'

_FORM = re.compile(r"(daily|[A-Z][a-z]{2}(?:,[A-Z][a-z]{2})*) ([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Window:
    """Weekly hours in UTC. `days` are those on which it opens, Monday 0; one that ends before it begins ends a day later."""

    days: frozenset[int]
    opens: time
    closes: time

    def contains(self, at: datetime) -> bool:
        """Return whether a moment lies inside; the minute it closes does not."""
        at = at.astimezone(UTC)
        now, today, yesterday = at.time(), at.weekday(), (at - timedelta(days=1)).weekday()
        if self.opens < self.closes:
            return today in self.days and self.opens <= now < self.closes
        return (today in self.days and now >= self.opens) or (yesterday in self.days and now < self.closes)

    def __str__(self) -> str:
        """As it is declared, with its time zone."""
        days = "daily" if len(self.days) == len(DAYS) else ",".join(DAYS[day] for day in sorted(self.days))
        return f"{days} {self.opens:%H:%M}-{self.closes:%H:%M} UTC"


def read_window(value: object) -> tuple[Window | None, str]:
    """Read a window as it is declared, or say what would be right."""
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None, WANTED
    names = DAYS if found[1] == "daily" else tuple(found[1].split(","))
    try:
        days = frozenset(DAYS.index(name) for name in names)
        opens, closes = time(int(found[2]), int(found[3])), time(int(found[4]), int(found[5]))
    except ValueError:
        return None, WANTED
    if opens == closes:
        return None, "must not open and close at the same time"
    return Window(days, opens, closes), WANTED
