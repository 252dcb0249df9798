"""Looks at what is really in force on this router, and says in one line each where that differs from its bundle."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import sandbox, tunnel
from .chains import differences, listed, ours, unreachable_routes
from .pull import KEYS, SECRETS, Bundle, canonicalize
from .shell import Broken, Refused, run

STATE = Path("/var/lib/mooring")
RECORD = STATE / "bundle.json"
"""What was pushed last and confirmed: the bundle itself, and digests of the secrets. No secret is in it."""
LAST = STATE / "last.json"
"""How the last push that did not stay ended."""
ENABLED = ("mooring-firewall.service", "mooring-role.service")
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


@dataclass(frozen=True)
class Record:
    """What the box was told to be."""

    bundle: Bundle
    secrets: dict[str, str]

    @property
    def paths(self) -> list[str]:
        """Every file, secrets among them."""
        return [*self.bundle.files, *self.secrets]


def record() -> Record | None:
    """Read what was pushed last; None on a bare box."""
    try:
        content = json.loads(RECORD.read_text())
        return Record(Bundle.read(canonicalize(content["bundle"])), dict(content["secrets"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, Refused):
        return None


def written(bundle: Bundle, secrets: dict[str, dict[str, Any]]) -> str:
    """Write the record of a bundle and its secrets, these by their digests."""
    digests = {path: hashlib.sha256(one["text"].encode()).hexdigest() for path, one in secrets.items()}
    return (
        json.dumps({"schema": 1, "bundle": json.loads(bundle.canonical), "secrets": digests}, sort_keys=True)
        + "\n"
    )


def digest() -> str | None:
    """Digest the files that are really there, as the bundle would be; None on a bare box or with a file missing."""
    told = record()
    if told is None:
        return None
    content = json.loads(told.bundle.canonical)
    for path, one in content["files"].items():
        try:
            one["text"], one["mode"] = Path(path).read_text(errors="replace"), _mode(Path(path))
        except OSError:
            return None
    return hashlib.sha256(canonicalize(content)).hexdigest()


def forwarding() -> bool:
    """Return whether the kernel forwards."""
    return _FORWARD.read_text().strip() == "1"


def drift() -> list[str]:
    """Describe in one line each what is not as the last push left it; never what a changed line holds."""
    told = record()
    if told is None:
        return (
            [f"{RECORD} cannot be read"] if RECORD.exists() else []
        )  # a bare router has nothing to drift from
    # what stops traffic comes first: a report that is cut short must not lose it
    found = [] if forwarding() else ["net.ipv4.ip_forward is 0: this router does not forward"]
    found += (
        [] if routed() else ["an unreachable route is missing: office traffic would leave by the internet"]
    )
    found += _units() + _files(told)
    try:
        found += differences(sandbox.meant(), ours())
    except (Refused, Broken) as error:
        found.append(str(error))
    return found


def routed() -> bool:
    """Return whether every office network has the unreachable route that keeps it off the internet."""
    told = record()
    loader = told.bundle.files.get(sandbox.FIREWALL, {}).get("text", "") if told else ""
    shown = (line.split()[1] for line in unreachable_routes())
    there = {network if "/" in network else f"{network}/32" for network in shown}
    return set(listed(loader, "REMOTE")) <= there


def not_running() -> str | None:
    """Name a unit of ours that is not enabled or not active."""
    return next(iter(_units()), None)


def _units() -> list[str]:
    found = []
    for unit in ENABLED:
        enabled = run("systemctl", "is-enabled", unit).stdout.strip()
        active = run("systemctl", "is-active", unit).stdout.strip()
        found += (
            []
            if enabled == "enabled"
            else [f"{unit} is {enabled or 'not there'}, not enabled: a reboot loses it"]
        )
        found += [] if active == "active" else [f"{unit} is {active or 'not there'}, not active"]
    return found


def same(path: Path, one: dict[str, Any]) -> bool:
    """Return whether a file is there with this text and mode."""
    try:
        return path.read_bytes() == str(one["text"]).encode() and _mode(path) == str(one["mode"])
    except OSError:
        return False


def _files(told: Record) -> list[str]:
    found = []
    for path, one in sorted(told.bundle.files.items()):
        found += _compare(Path(path), one["mode"], one["text"])
    for path, expected in sorted(told.secrets.items()):
        try:
            text, mode = Path(path).read_bytes(), _mode(Path(path))
        except OSError as error:
            found.append(f"{path}: {error.strerror}")
            continue
        found += (
            [] if hashlib.sha256(text).hexdigest() == expected else [f"{path} is another than was pushed"]
        )
        found += [] if mode == "0600" else [f"{path} has mode {mode}, not 0600"]
    return found


def _compare(path: Path, mode: str, text: str) -> list[str]:
    try:
        there, its_mode = path.read_text(errors="replace"), _mode(path)
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    found = [] if its_mode == mode else [f"{path} has mode {its_mode}, not {mode}"]
    if there != text:
        pairs = zip([*there.splitlines(), ""], [*text.splitlines(), ""])
        line = next((n for n, (a, b) in enumerate(pairs, 1) if a != b), 1)
        found.append(f"{path} was edited, from line {line} on")
    return found


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


def certificate_expires() -> str | None:
    """Return the end of the certificate's life in ISO 8601; None without one."""
    said = run("openssl", "x509", "-in", f"{KEYS}/{SECRETS['cert']}", "-noout", "-enddate").stdout
    found = re.match(r"notAfter=(.+) GMT", said)
    if not found:
        return None
    moment = dt.datetime.strptime(found[1], "%b %d %H:%M:%S %Y").replace(tzinfo=dt.timezone.utc)
    return moment.isoformat().replace("+00:00", "Z")


def versions() -> dict[str, str]:
    """Name the versions of what carries the traffic."""
    openvpn = re.search(r"OpenVPN (\S+)", run("openvpn", "--version").stdout)
    iptables = re.search(r"v(\S+)", run("iptables", "--version").stdout)
    return {
        "openvpn": openvpn[1] if openvpn else "none",
        "iptables": iptables[1] if iptables else "none",
        "kernel": run("uname", "-r").stdout.strip(),
    }


def running() -> dict[str, Any]:
    """Return what a push and an inspection both tell: forwarding, the tunnel, the Elastic IP, versions, the last failure."""
    return {
        "forwarding": forwarding(),
        "tunnel": tunnel.state(),
        "holds_address": tunnel.holds_address(),
        "certificate_expires": certificate_expires(),
        "versions": versions(),
        "last": last(),
    }


def last() -> dict[str, Any] | None:
    """Read how the last push that did not stay ended."""
    try:
        content = json.loads(LAST.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
