"""Replaces files so that a push ends wholly new or wholly old, whenever it is cut off.

A journal says which files a push replaces, and is on the disk before the first is. Every old file stays beside its
successor as a hard link, so going back needs no space. While the journal is there, the old set is the one that counts:
the next push, a timer that runs by itself, and the next boot each put it back. Removing the journal is the one step that
makes the new set count.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from . import chains, sandbox
from .inspection import ENABLED, LAST, STATE, forwarding
from .shell import PROGRAM, Broken, Refused, last_words, run
from .tunnel import UNIT

PUSH = STATE / "push"
_CODE = PUSH / "router.pyz"
JOURNAL = PUSH / "journal.json"
BOOT_UNIT = Path("/etc/systemd/system/mooring-undo.service")
_WANTED_BY = Path("/etc/systemd/system/sysinit.target.wants/mooring-undo.service")
_PUSH_TIMER, _PENDING_TIMER = "mooring-undo-push", "mooring-undo-pending"
_NEW, _OLD = ".mooring-new", ".mooring-old"

# Directories that are Mooring's alone: gone with the last file in them.
_OURS = (
    "/etc/mooring",
    "/etc/openvpn/client/mooring",
    f"/etc/systemd/system/{UNIT}.d",
    "/usr/local/lib/mooring",
)

# Runs before anything of the push does at a boot that nobody confirmed it before.
_BOOT = """\
[Unit]
Description=Mooring: put back what an unconfirmed push replaced, and clear away what a finished one left
DefaultDependencies=no
ConditionPathExists={push}
After=local-fs.target
Before=mooring-firewall.service mooring-role.service sysinit.target

[Service]
Type=oneshot
ExecStart={interpreter} -I -B {code} undo-at-boot

[Install]
WantedBy=sysinit.target
"""


def journal() -> dict[str, Any] | None:
    """Read what a push that has not ended is doing; None when none is."""
    try:
        content: dict[str, Any] = json.loads(JOURNAL.read_text())
    except FileNotFoundError:
        return None
    return content


def prepare(
    files: dict[str, dict[str, Any] | None], loads: set[str], note: dict[str, Any], seconds: int
) -> dict[str, Any]:
    """Keep the running set, arm the way back, and write the journal; nothing is replaced yet.

    Args:
        files: path -> mode and text; None removes the file.
        loads: what will be loaded for them, and again for the old ones after an undo.
        note: what the report of an undo needs: the digests.
        seconds: after so many the timer undoes the push.

    Raises:
        Refused: the way back cannot be armed.
    """
    forget()
    try:
        PUSH.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROGRAM, _CODE)
        entries = [
            {"path": path, "was": Path(path).exists(), "removed": one is None} for path, one in files.items()
        ]
        units = {unit: _state(unit) for unit in (*ENABLED, UNIT)}
        content = {
            **note,
            "id": secrets.token_hex(8),
            "entries": entries,
            "units": units,
            "forwarding": forwarding(),
            "routes": chains.unreachable_routes(),
            "loads": sorted(loads),
            "pending_until": None,
        }
        boot = _BOOT.format(push=PUSH, interpreter=sys.executable, code=_CODE)
        _write(BOOT_UNIT, boot, 0o644)
        _WANTED_BY.parent.mkdir(exist_ok=True)
        _WANTED_BY.symlink_to(BOOT_UNIT)
        arm(_PUSH_TIMER, seconds, content["id"])
        _write_journal(content)
    except (OSError, Broken) as error:
        forget()
        raise Refused(f"the way back cannot be armed: {error}") from None
    return content


def arm(timer: str, seconds: int, push: str) -> None:
    """Have systemd undo the push after so many seconds, whatever becomes of us.

    Raises:
        Broken: systemd does not take it.
    """
    undo = (sys.executable, "-I", "-B", str(_CODE), "undo", push)
    when = (f"--on-active={seconds}s", "--timer-property=AccuracySec=200ms")
    again = ("--property=Restart=on-failure", "--property=RestartSec=5s", "--property=Type=oneshot")
    ended = run("systemd-run", "--quiet", "--collect", f"--unit={timer}-{push}", *when, *again, "--", *undo)
    if ended.returncode:
        raise Broken(f"systemd-run: {last_words(ended)}")


def replace(content: dict[str, Any], files: dict[str, dict[str, Any] | None]) -> None:
    """Write all the new files beside the old ones, and only then put each in place.

    Raises:
        OSError: the disk is full, or worse; the caller undoes it.
    """
    for path, one in files.items():
        target = Path(path)
        if one is not None:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if one["mode"] == "0600" else 0o755)
            _stage(target, one["text"], int(one["mode"], 8))
    for entry in content["entries"]:
        if entry["was"]:
            os.link(entry["path"], entry["path"] + _OLD)
    for path, one in files.items():
        if one is None:
            Path(path).unlink(missing_ok=True)
        else:
            Path(path + _NEW).replace(path)
    for folder in {Path(path).parent for path in files}:
        _flush(folder)


def effects(paths: dict[str, dict[str, Any] | None]) -> set[str]:
    """Return what must be loaded for these files: the least that makes each of them count."""
    found: set[str] = set()
    for path in paths:
        name = Path(path).name
        if path.startswith("/etc/systemd/system/"):
            found.add("units")
        if name in ("rules.v4", "firewall", "mooring-firewall.service"):
            found.add("firewall")
        if name in ("role", "role.json", "mooring-role.service"):
            found.add("role")
        if path.startswith("/etc/openvpn/client/") or f"{UNIT}.d" in path:
            found.add("tunnel")
    return found


def load(wanted: set[str], meant: list[str]) -> None:
    """Load what changed: units, then rules, then the tunnel if it runs, then the role that starts and stops it.

    Args:
        wanted: of `units`, `firewall`, `tunnel`, `role`.
        meant: what our chains are to be; whatever else is in them goes.

    Raises:
        Broken: a unit does not start.
    """
    if "units" in wanted:
        _systemctl("daemon-reload")
    _systemctl("enable", "--quiet", *ENABLED)
    if "firewall" in wanted:
        _systemctl("reload-or-restart", ENABLED[0])
        chains.clear(meant)
    if "tunnel" in wanted and run("systemctl", "is-active", "--quiet", UNIT).returncode == 0:
        # killed, not stopped: a farewell to the server costs a second, and the next client replaces this one anyway
        run("systemctl", "kill", "--kill-who=main", "--signal=SIGKILL", UNIT)
        _systemctl("restart", UNIT)
    if "role" in wanted:
        _systemctl("restart", ENABLED[1])
    _systemctl("start", *ENABLED)


def keep(seconds: int) -> None:
    """Let the new set run, and undo it after so many seconds unless it is confirmed.

    Raises:
        Broken: systemd does not take the timer.
    """
    content = journal()
    if content is None:
        raise Broken("the journal is gone")
    arm(_PENDING_TIMER, seconds, content["id"])
    _write_journal({**content, "pending_until": int(time.time()) + seconds})
    _disarm(_PUSH_TIMER)


def confirm() -> None:
    """Make the new set the one that counts."""
    JOURNAL.unlink()  # from here on the push is wholly new
    _flush(PUSH)
    LAST.unlink(missing_ok=True)
    forget()


def undo(reason: str, *, booting: bool = False) -> dict[str, Any] | None:
    """Put back what an unconfirmed push replaced, byte for byte, and what was in force with it.

    May be cut off and run again. Returns the journal of what was undone, None when there was nothing to undo.

    Raises:
        Broken: the old set is back on the disk, and something of it does not load.
    """
    content = journal()
    if content is None:
        forget()
        return None
    new_units = [unit for unit in ENABLED if content["units"][unit]["there"] is False]
    if not booting and new_units:
        run("systemctl", "disable", "--quiet", "--now", *new_units)
        run("systemctl", "stop", UNIT)
    for unit in new_units:
        Path(f"/etc/systemd/system/multi-user.target.wants/{unit}").unlink(missing_ok=True)
    for entry in content["entries"]:
        _restore(entry)
    for folder in _OURS:
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    if booting:
        run("systemctl", "daemon-reload")
        run("systemctl", "--no-block", "stop", *new_units, *([UNIT] if new_units else []))
    else:
        _reload(content)
    ended = {"digest": content["wanted"], "reason": reason[:400], "at": _now()}
    with contextlib.suppress(OSError):  # a full disk keeps no report, and must not keep the journal either
        _write(LAST, json.dumps(ended) + "\n", 0o644)
    JOURNAL.unlink()  # from here on it is wholly old
    _flush(PUSH)
    forget()
    return content


def _restore(entry: dict[str, Any]) -> None:
    """Put one file back; done before, it does nothing."""
    path, old = Path(entry["path"]), Path(entry["path"] + _OLD)
    Path(entry["path"] + _NEW).unlink(missing_ok=True)
    if entry["was"]:
        if old.exists():
            old.replace(path)
            old.unlink(missing_ok=True)  # rename(2) leaves both names of one and the same file
    else:
        path.unlink(missing_ok=True)
    if path.parent.exists():
        _flush(path.parent)


def _reload(content: dict[str, Any]) -> None:
    """Put back in force what was before."""
    _systemctl("daemon-reload")
    bare = content["units"][ENABLED[0]]["there"] is False
    if not bare:
        disabled = [unit for unit in ENABLED if not content["units"][unit]["enabled"]]
        try:
            load(set(content["loads"]) - {"units"}, sandbox.meant())
        except Refused as error:
            raise Broken(str(error)) from None
        for unit in disabled:
            run("systemctl", "disable", "--quiet", unit)
    else:
        chains.clear([])
        run("systemctl", "reset-failed", *ENABLED, UNIT)
    chains.keep_routes(content["routes"])
    if forwarding() is not content["forwarding"]:
        run("sysctl", "-qw", f"net.ipv4.ip_forward={int(content['forwarding'])}")


def forget() -> None:
    """Remove what a push that ended leaves: timers, the boot unit, its copy of this code, names beside files."""
    _disarm("mooring-undo")
    _WANTED_BY.unlink(missing_ok=True)
    BOOT_UNIT.unlink(missing_ok=True)
    shutil.rmtree(PUSH, ignore_errors=True)
    for folder in (*_OURS, "/etc/openvpn/client", "/etc/systemd/system", str(STATE)):
        for suffix in (_NEW, _OLD):
            for path in Path(folder).glob(f"*{suffix}"):
                path.unlink(missing_ok=True)


def _disarm(timer: str) -> None:
    run("systemctl", "stop", f"{timer}-*.timer")


def _state(unit: str) -> dict[str, Any]:
    """Tell a unit that is there from one that is not, and an enabled from a disabled one."""
    enabled = run("systemctl", "is-enabled", unit).stdout.strip()
    return {
        "there": Path("/etc/systemd/system", unit).exists() or unit == UNIT,
        "enabled": enabled == "enabled",
    }


def _systemctl(*words: str) -> None:
    ended = run("systemctl", *words, seconds=20)
    if ended.returncode:
        raise Broken(f"systemctl {' '.join(words)}: {last_words(ended)}")


def _write_journal(content: dict[str, Any]) -> None:
    _write(JOURNAL, json.dumps(content) + "\n", 0o600)


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file whole: it is there with all of the text, or as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _stage(path, text, mode)
    Path(str(path) + _NEW).replace(path)
    _flush(path.parent)


def _stage(path: Path, text: str, mode: int) -> None:
    """Write the text beside the file, readable by nobody else from the first byte."""
    beside = Path(str(path) + _NEW)
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)


def _flush(folder: Path) -> None:
    """Have the disk know the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
