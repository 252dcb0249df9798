"""The one way in: takes the lock, does what the document asks for, and ends with one line of JSON.

The line fits in what ListCommandInvocations and the console show (2,500 characters) and holds no secret.
"""

from __future__ import annotations

import fcntl
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Callable

from . import configure, hooks, inspection, sandbox, transaction
from .shell import Broken, Refused

MOST = 2400
"""Bytes of the last line."""
CODES = {"applied": 0, "unchanged": 0, "pending": 0, "refused": 20, "rolled-back": 21, "failed": 22}
"""The exit code tells how it ended even when the output is lost."""

_PLACE = Path("/run/mooring")
_PATIENCE = {"configure": 5, "confirm": 20, "inspect": 20, "undo": 300, "undo-at-boot": 5}
"""Seconds to wait for whoever has the lock."""


def main(words: list[str]) -> int:
    """Do one action: configure, confirm, inspect, undo, undo-at-boot."""
    action, started = words[0], time.monotonic()
    push = words[1] if len(words) > 1 else None
    try:
        lock = _lock(_PATIENCE[action])
        with lock:
            report = _act(action, started, push)
    except Refused as error:
        report = {"result": "refused", "reason": str(error)}
    except Exception as error:  # noqa: BLE001 - the outer edge: whatever it was, the report says it
        traceback.print_exc()
        where = f"{type(error).__name__} in {action}"
        report = {"result": "failed", "reason": where}
    print(line({"mooring": 1, "action": action, **report}))  # noqa: T201 - it is the answer
    if action.startswith("undo") and report["result"] == "rolled-back":
        return 0  # what was to be done is done, and systemd need not start it again
    return CODES[report.get("result", "applied")]


def _act(action: str, started: float, push: str | None) -> dict[str, Any]:
    if action == "inspect":
        return {
            "digest": inspection.digest(),
            "drift": inspection.drift(),
            "hooks": hooks.judge().lines,
            **_pending(),
            **inspection.running(),
        }
    if action in ("undo", "undo-at-boot"):
        return _undo(push, booting=action == "undo-at-boot")
    sandbox.wipe()
    tried: Callable[[], dict[str, Any]] = {
        "configure": lambda: configure.configure(started),
        "confirm": configure.confirm,
    }[action]
    try:
        report = tried()
    except (Refused, Broken) as error:
        report = {"result": "refused", "reason": str(error), "changed": []}
    except Exception as error:  # noqa: BLE001 - a push that is under way must not stay half done
        traceback.print_exc()
        why = error.strerror if isinstance(error, OSError) else type(error).__name__
        if transaction.journal() is not None:
            report = configure.undone(f"{why} while pushing")
        else:
            report = {"result": "refused", "reason": f"{why} before anything was touched", "changed": []}
    return {**report, "digest": inspection.digest(), **inspection.running()}


def _undo(push: str | None, *, booting: bool) -> dict[str, Any]:
    """Undo the push that this timer was armed for, and no later one."""
    waiting = transaction.journal()
    if waiting is not None and not booting and waiting["id"] != push:
        return {"result": "unchanged"}
    why = "the router was started anew" if booting else "the push was cut off, or nobody confirmed it in time"
    return {"result": "unchanged" if transaction.undo(why, booting=booting) is None else "rolled-back"}


def _pending() -> dict[str, Any]:
    waiting = transaction.journal()
    return {"pending": waiting["wanted"] if waiting else None}


def _lock(patience: float) -> Any:  # noqa: ANN401 - an open file
    """Hold the lock for as long as this process lives.

    Raises:
        Refused: another push, inspection or undo has it.
    """
    _PLACE.mkdir(mode=0o700, exist_ok=True)
    file = (_PLACE / "lock").open("w")
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > until:
                file.close()
                raise Refused("another push or inspection is under way on this router") from None
            time.sleep(0.1)
        else:
            return file


def line(report: dict[str, Any]) -> str:
    """Write the report on one line, its long parts cut so that it fits."""
    for most in (400, 200, 100, 40):
        cut = {key: _cut(value, most) for key, value in report.items()}
        written = json.dumps(cut, separators=(",", ":"))
        if len(written) < MOST:
            return written
    return json.dumps({key: report.get(key) for key in ("mooring", "action", "result", "digest")})


def _cut(value: object, most: int) -> object:
    if isinstance(value, str):
        return value if len(value) <= most else value[:most] + "…"
    if isinstance(value, list):
        few = max(2, most // 40)
        more = [f"and {len(value) - few} more"] if len(value) > few else []
        return [_cut(one, min(most, 160)) for one in value[:few]] + more
    if isinstance(value, dict):
        return {key: _cut(one, most) for key, one in value.items()}
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
