"""Tries a bundle on the box as it would be: in namespaces of its own, over a copy that vanishes with them.

The new files lie over /etc and /usr/local (overlayfs), the network is an empty one. What runs there is what would run
outside: OpenVPN's own parser on the very configuration, the very rules into a real kernel, systemd's own verdict.
Nothing outside is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from .chains import ours
from .pull import KEYS
from .shell import Broken, Refused, apart, last_words, run
from .tunnel import CONFIGURATION, UNIT

SCRATCH = Path("/run/mooring/sandbox")
"""On tmpfs: secrets lie here for as long as the sandbox is there."""
FIREWALL = "/usr/local/lib/mooring/firewall"
RULES = "/etc/mooring/rules.v4"

_OVER = ("/etc", "/usr/local")
# OpenVPN says READY once its options are parsed, and reads keys only then (init.c); alive so long after, it has read them.
_KEYS_READ = 0.7


def hold(files: dict[str, dict[str, Any]]) -> list[str]:
    """Try the files, and give what our chains would be.

    Raises:
        Refused: names everything that is wrong.
    """
    try:
        for path, one in files.items():
            target = SCRATCH / "upper" / path[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch(0o600)
            target.write_text(one["text"])
            target.chmod(int(one["mode"], 8))
        return _within(str(SCRATCH), seconds=15)
    finally:
        wipe()


def meant() -> list[str]:
    """Return what our chains would be if the box's own rules were loaded now.

    Raises:
        Refused: the box's rules do not load.
    """
    return _within("", seconds=8)


def wipe() -> None:
    """Remove what one left behind."""
    run("rm", "-rf", str(SCRATCH))


def _within(scratch: str, seconds: float) -> list[str]:
    """Run this module's other half in its namespaces."""
    verdict = apart("sandbox", scratch, seconds=seconds)
    if verdict["problems"]:
        raise Refused("; ".join(verdict["problems"]))
    return list(verdict["chains"])


def main(scratch: str) -> None:
    """Be the half inside: lay the new files over the box, look at them with the box's own tools, print the verdict."""
    problems: list[str] = []
    chains: list[str] = []
    try:
        if scratch:
            _lay_over(Path(scratch))
            problems += _scripts(Path(scratch)) + _keys() + _openvpn(Path(scratch)) + _units(Path(scratch))
        run("ip", "link", "set", "lo", "up")
        problems += _rules()
        chains = ours()
    except Broken as error:
        problems.append(str(error))
    print(json.dumps({"problems": problems, "chains": chains}))  # noqa: T201 - the half outside reads it


def _lay_over(scratch: Path) -> None:
    for place in _OVER:
        upper, work = scratch / "upper" / place[1:], scratch / "work" / place[1:]
        upper.mkdir(parents=True, exist_ok=True)
        work.mkdir(parents=True)
        options = f"lowerdir={place},upperdir={upper},workdir={work}"
        mounted = run("mount", "-t", "overlay", "mooring-sandbox", "-o", options, place)
        if mounted.returncode:
            raise Broken(f"the sandbox cannot lay files over {place}: {last_words(mounted)}")


def _new(scratch: Path) -> list[Path]:
    """Return the files that are tried, where they would lie."""
    upper = scratch / "upper"
    return sorted(Path("/") / path.relative_to(upper) for path in upper.rglob("*") if path.is_file())


def _scripts(scratch: Path) -> list[str]:
    """Parse every script with its own interpreter."""
    problems = []
    for path in _new(scratch):
        first = path.read_text().partition("\n")[0]
        if first.startswith("#!") and "python" in first:
            parsed = run(
                "python3", "-I", "-c", "import ast, sys; ast.parse(sys.stdin.read())", text=path.read_text()
            )
        elif first.startswith("#!"):
            parsed = run("bash", "-n", str(path))
        else:
            continue
        if parsed.returncode:
            problems.append(f"{path}: {last_words(parsed)}")
    return problems


def _keys() -> list[str]:
    """Hold key, certificate and CA against each other, and the certificate against the clock."""
    ca, certificate, key = f"{KEYS}/ca.crt", f"{KEYS}/router.crt", f"{KEYS}/router.key"
    fingerprint = run("openssl", "x509", "-in", certificate, "-noout", "-pubkey")
    if fingerprint.returncode:
        return [f"router.crt is no certificate: {last_words(fingerprint)}"]
    public = run("openssl", "pkey", "-in", key, "-pubout", "-passin", "pass:")
    if public.returncode:
        return ["router.key is no private key, or asks for a passphrase"]
    problems = []
    if public.stdout.split() != fingerprint.stdout.split():
        problems.append("router.key does not fit router.crt")
    if run("openssl", "x509", "-in", certificate, "-noout", "-checkend", "0").returncode:
        problems.append("router.crt is expired")
    signed = run("openssl", "verify", "-CAfile", ca, "-purpose", "sslclient", "-no_check_time", certificate)
    if signed.returncode:
        problems.append(f"router.crt is no client certificate of ca.crt's: {last_words(signed)}")
    return problems


def _openvpn(scratch: Path) -> list[str]:
    """Start the very client in the empty network: does it parse its options, and read its keys?"""
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify = scratch / "notify"
    with contextlib.closing(heard), tempfile.TemporaryFile(mode="w+", dir=scratch) as said:
        heard.bind(str(notify))
        for place in ("/run/openvpn-client", "/run/openvpn"):
            Path(place).mkdir(exist_ok=True)
        run(
            "mount", "-t", "tmpfs", "mooring-sandbox", "/run/openvpn-client"
        )  # the running client's socket stays its own
        client = subprocess.Popen(  # noqa: S603 - our own words
            (  # noqa: S607 - the PATH is the document's
                "openvpn",
                "--suppress-timestamps",
                "--cd",
                str(CONFIGURATION.parent),
                "--config",
                str(CONFIGURATION),
            ),
            env={**os.environ, "NOTIFY_SOCKET": str(notify)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        ready = _says_ready(heard, client)
        with contextlib.suppress(subprocess.TimeoutExpired):
            client.wait(_KEYS_READ if ready else 0)
        alive = client.poll() is None
        client.send_signal(signal.SIGKILL)
        client.wait()
        said.seek(0)
        words = [line.strip() for line in said if line.strip()]
    if ready and alive:
        return []
    complaints = [w for w in words if "error" in w.lower() or "cannot" in w.lower() or "exiting" in w.lower()]
    return [f"OpenVPN refuses mooring.conf: {(complaints or words or ['no word'])[0][:240]}"]


def _says_ready(heard: socket.socket, client: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if select.select([heard], [], [], 0.05)[0]:
            if b"READY=1" in heard.recv(4096):
                return True
        elif client.poll() is not None:
            return False
    return False


def _units(scratch: Path) -> list[str]:
    """Ask systemd what it thinks of every unit that is new; a word about one of them is a word too many."""
    new = [path for path in _new(scratch) if str(path).startswith("/etc/systemd/system/")]
    units = sorted({UNIT if path.parent.name.endswith(".d") else path.name for path in new})
    if not units:
        return []
    ended = run("systemd-analyze", "verify", "--man=no", *units)
    names = {path.name for path in new} | set(units)
    said = [line.strip() for line in ended.stderr.splitlines() if any(name in line for name in names)]
    if ended.returncode and not said:
        said = [last_words(ended)]
    return [f"systemd refuses it: {line[:240]}" for line in said[:3]]


def _rules() -> list[str]:
    """Parse the rules, then load them the way the box does; --test alone lets a jump to no chain pass."""
    tested = run("iptables-restore", "--test", RULES)
    loaded = run(FIREWALL) if tested.returncode == 0 else tested
    return [f"the rules do not load: {last_words(loaded)}"] if loaded.returncode else []
