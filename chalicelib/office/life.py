"""How soon each end misses the other, and what throws out a router that does nothing wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.office.backup import number
from chalicelib.office.pushes import general, taken_back, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.office.case import Case
    from chalicelib.office.finding import Finding
    from chalicelib.office.pushes import Told

WITHOUT = 120
"""Seconds: what a client waits for a silent server that told it nothing (OpenVPN's own, for clients that pull)."""

SOON = 15


def life(case: Case) -> Iterator[Finding]:
    """Judge pings and what ends an idle session."""
    restarts = [one for one in told(case) if one.words[0] == "ping-restart" and one.seconds is not None]
    if restarts:
        yield from _given_up(case, restarts[-1])
    else:
        yield from _never_told(case)
    pings = [one for one in told(case) if one.words[0] == "ping"]
    if restarts and not pings and case.server.last("keepalive", "ping-restart", "ping-exit"):
        what = f"{case.name} does not have the router ping, and drops it when it is idle"
        yield case.find("weak", what, "ping_push", line=taken_back(case, "ping"), override=_own(case, "ping"))
    yield from _idle(case)


def _own(case: Case, option: str) -> bool:
    """Return whether it is the router's own file that lacks an option."""
    return taken_back(case, option) is not None


def _never_told(case: Case) -> Iterator[Finding]:
    back = taken_back(case, "ping-restart")
    if back and any(one.words[0] == "ping-restart" for one in general(case)):
        name = case.tunnel.common_name
        what = f"the override of {name} takes back the server's pings, so that a dead server goes unnoticed for {WITHOUT} s"
        yield case.find("weak", what, back.line.element or "push_reset", line=back, override=True)
    else:
        what = f"{case.name} does not tell the router when to give a dead server up"
        yield case.find("weak", what, "ping_action_push")


def _given_up(case: Case, last: Told) -> Iterator[Finding]:
    seconds, interval = last.seconds or 0, _interval(case)
    who = f"{case.name}, by the override of {case.tunnel.common_name}," if last.override else case.name
    element = last.line.line.element or "keepalive_timeout"
    if seconds and interval and interval >= seconds:
        what = f"{who} pings every {interval} s, and is given up after {seconds} s: an idle router dials again and again"
        yield case.find("weak", what, element, line=last.line, override=last.override)
    elif seconds == 0:
        yield case.find(
            "weak", f"{who} is never given up for dead", element, line=last.line, override=last.override
        )
    elif seconds > SOON:
        what = f"{who} is given up for dead only after {seconds} s"
        yield case.find("weak", what, element, line=last.line, override=last.override)


def _interval(case: Case) -> int | None:
    """Return how often the server pings."""
    found = case.server.last("keepalive", "ping")
    return number(found.value) if found else None


def _idle(case: Case) -> Iterator[Finding]:
    """Judge the limit on idleness: pings do not count as traffic."""
    limit = case.server.last("inactive")
    seconds = number(limit.value) if limit else None
    if seconds:
        what = f"{case.name} drops a router that was idle for {seconds} s; it is back seconds later"
        yield case.find("weak", what, "inactive_seconds", line=limit)
