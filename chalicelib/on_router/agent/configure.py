"""Pushes a bundle: pull, judge, arm the way back, swap, load, and stay only if the way home still works."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import chains, hooks, inspection, pull, sandbox, transaction, tunnel
from .shell import Broken, Refused

# Seconds after the start. The agent kills the script at 60 (the document's timeoutSeconds).
_ARMED_BY, _HOME_BY = 26, 46
_HOME_WITHIN = 18
"""Seconds for the way home to work once the push is loaded: three of OpenVPN's attempts (connect-timeout 5)."""
_UNDO_AFTER = 50
"""Seconds after arming: later than a push that still runs would take, undo included."""


@dataclass(frozen=True)
class Before:
    """How the way home was before the push."""

    bare: bool
    connected: bool
    answered: bool

    @classmethod
    def look(cls, probe: str | None) -> Before:
        """Look at the tunnel and at the office."""
        answered = probe is not None and tunnel.answers(probe, tries=2)
        return cls(inspection.record() is None, tunnel.state()["state"] == "CONNECTED", answered)


def configure(started: float) -> dict[str, Any]:
    """Push what the parameters name, and report how it ended.

    Args:
        started: on the monotonic clock.

    Raises:
        Refused: nothing was touched.
    """
    asked = pull.asked(os.environ)
    _end_what_was_cut_off(asked[2])
    pending = transaction.journal()
    if pending is not None:
        return {"result": "pending", "wanted": asked[2], "changed": [], "reason": _until(pending)}
    wanted = pull.wanted(*asked)
    files = _changed(wanted)
    report = {"wanted": wanted.bundle.digest, "changed": sorted(files)}
    drift = inspection.drift()
    standing = hooks.judge()
    if not files and not drift:
        return {**report, "result": "unchanged", **_told(standing)}
    meant = sandbox.hold({**wanted.bundle.files, **wanted.secrets})
    before = Before.look(wanted.probe)
    loads = transaction.effects(files) | ({"firewall"} if _rules_drift(meant) else set())
    if time.monotonic() - started > _ARMED_BY:
        raise Refused(f"after {_ARMED_BY} s there was no time left to try the bundle and go back")
    content = transaction.prepare(files, loads, {"wanted": wanted.bundle.digest}, _UNDO_AFTER)
    try:
        transaction.replace(content, files)
        transaction.load(loads, meant)
        stops = _passable(standing)
        until = min(started + _HOME_BY, time.monotonic() + _HOME_WITHIN)
        _hold_on(wanted, before, meant, until, steady=_steady(loads))
        if wanted.confirm_within is not None:
            transaction.keep(wanted.confirm_within)
            return {**report, "result": "pending", **_told(stops, _until(transaction.journal() or {}))}
        transaction.confirm()
    except (Broken, OSError) as error:
        return {**report, **undone(str(error))}
    return {**report, "result": "applied", **_told(stops, *drift[:3])}


def confirm() -> dict[str, Any]:
    """Confirm the push that waits for it.

    Raises:
        Refused: none with this digest waits.
    """
    digest = os.environ.get("SSM_Digest", "")  # noqa: SIM112 - the agent's own spelling
    if not pull.DIGEST.fullmatch(digest):
        raise Refused(f"parameter Digest is not {pull.DIGEST.pattern}")
    waiting = transaction.journal()
    if waiting is not None and waiting["pending_until"] is not None and waiting["wanted"] == digest:
        transaction.confirm()
        return {"result": "applied", "wanted": digest, "changed": []}
    if waiting is None and inspection.digest() == digest:
        return {"result": "unchanged", "wanted": digest, "changed": []}
    last = inspection.last() or {}
    ended = f"; it was undone: {last.get('reason')}" if last.get("digest") == digest else ""
    raise Refused(f"no push of {digest[:12]}… waits for a confirmation{ended}")


def undone(reason: str) -> dict[str, Any]:
    """Undo the push that is under way, and report it; the timer goes on where this fails."""
    try:
        transaction.undo(reason)
    except (Broken, OSError) as error:
        return {
            "result": "failed",
            "reason": f"{reason}; and going back failed, the timer tries again: {error}",
        }
    return {"result": "rolled-back", "reason": reason}


def _end_what_was_cut_off(digest: str) -> None:
    """Undo a push that was killed; one that waits for its confirmation goes on waiting.

    Raises:
        Refused: what waits is another push than this, or the old set does not load.
    """
    waiting = transaction.journal()
    if waiting is None:
        return
    if waiting["pending_until"] is None:
        try:
            transaction.undo("the push was cut off")
        except (Broken, OSError) as error:
            raise Refused(f"an earlier push was cut off, and going back failed: {error}") from None
    elif waiting["wanted"] != digest:
        raise Refused(f"another push waits: {_until(waiting)}")


def _until(waiting: dict[str, Any]) -> str:
    seconds = max(0, int(waiting.get("pending_until") or 0) - int(time.time()))
    return f"{str(waiting.get('wanted'))[:12]}… is undone in {seconds} s unless it is confirmed"


def _changed(wanted: pull.Wanted) -> dict[str, dict[str, Any] | None]:
    """Return what is to be written, the record among it, and None for what is to go."""
    told = inspection.record()
    files: dict[str, dict[str, Any] | None] = {**wanted.bundle.files, **wanted.secrets}
    files[str(inspection.RECORD)] = {
        "mode": "0644",
        "text": inspection.written(wanted.bundle, wanted.secrets),
    }
    gone = {path: None for path in (told.paths if told else ()) if path not in files and Path(path).exists()}
    return {
        path: one
        for path, one in {**files, **gone}.items()
        if one is None or not inspection.same(Path(path), one)
    }


def _rules_drift(meant: list[str]) -> bool:
    return not inspection.forwarding() or chains.ours() != meant or not inspection.routed()


def _passable(standing: hooks.Verdict) -> hooks.Verdict:
    """Judge other people's rules beside the new ones; those that stopped traffic before the push are none of its doing.

    Raises:
        Broken: one stops what must be forwarded, and did not before, or there was nothing to stop.
    """
    stops = hooks.judge()
    if new := [rule for rule in stops.stops if rule not in standing.stops]:
        raise Broken(
            f"{stops.line(new[0])}; it is not Mooring's: allow there what is to pass, then push again"
        )
    return stops


def _told(stops: hooks.Verdict, *reasons: str) -> dict[str, Any]:
    """Report what other people's rules stop, and why it ended so."""
    return {"hooks": stops.lines, "reason": "; ".join([*stops.lines, *reasons])}


def _steady(loads: set[str]) -> float:
    """Return for how many seconds the way home must go on working: two looks of a role that is new, which may close it."""
    return min(2.0 * float(tunnel.settings().get("poll_seconds", 1)) + 1, 8.0) if "role" in loads else 0.0


def _hold_on(wanted: pull.Wanted, before: Before, meant: list[str], until: float, *, steady: float) -> None:
    """Wait for the way home to work as it did before, and to go on working.

    Raises:
        Broken: it does not, and why.
    """
    since: float | None = None
    while True:
        wrong = _wrong(wanted, before, meant)
        now = time.monotonic()
        since = None if wrong else since or now
        if since is not None and now - since >= steady:
            return
        if wrong and now > until:
            raise Broken(wrong)
        time.sleep(0.25)


def _wrong(wanted: pull.Wanted, before: Before, meant: list[str]) -> str | None:
    """Return what is wrong with the way home, the quickest looks first."""
    if not inspection.forwarding():
        return "the kernel does not forward"
    if chains.ours() != meant:
        return "our chains are not what the rules say"
    if held := inspection.not_running():
        return held
    held_here = tunnel.holds_address()
    needed = (held_here or (held_here is None and before.connected)) and (before.bare or before.connected)
    if needed and (state := tunnel.state()["state"]) != "CONNECTED":
        return f"the tunnel is not connected: {state}"
    if before.answered and wanted.probe is not None and not tunnel.answers(wanted.probe):
        return f"the office ({wanted.probe}) answered before, and does not any more"
    return pull.reachable(wanted)
