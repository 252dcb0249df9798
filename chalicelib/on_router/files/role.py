#!/usr/bin/python3
"""Keeps the tunnel up on the router that holds the Elastic IP and down on every other, by instance metadata alone.

Two clients with one certificate throw each other out for ever. What cannot be seen changes nothing: blind is not down.
Runs on Python 3.9 and later.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

UNIT = "openvpn-client@mooring.service"
MACS = "/latest/meta-data/network/interfaces/macs/"


class Blind(Exception):  # noqa: N818 - a state, not a fault
    """Nobody can tell who holds the address."""


class Metadata:
    """The instance metadata service, version 2."""

    def __init__(self, base: str) -> None:
        self.server = urlsplit(base).netloc
        self.token = ""

    def get(self, path: str) -> list[str]:
        """Read a listing; an empty one when there is none. Raises Blind without an answer that makes sense."""
        for _ in range(2):
            if not self.token:
                self.token = self.ask("PUT", "/latest/api/token", "-ttl-seconds", "21600")[1]
            status, body = self.ask("GET", path, "", self.token)
            if status != 401:
                return body.split() if status == 200 else []
            self.token = ""  # it ran out
        raise Blind("metadata refuses its own token")

    def ask(self, method: str, path: str, header: str, value: str) -> tuple[int, str]:
        """Ask once, for two seconds at most."""
        link = HTTPConnection(self.server, timeout=2)
        try:
            link.request(method, path, headers={"X-aws-ec2-metadata-token" + header: value})
            answer = link.getresponse()
            status, body = answer.status, answer.read(65536).decode("ascii")
        except (OSError, HTTPException, ValueError) as error:
            raise Blind(f"metadata gives no answer ({str(error) or type(error).__name__})") from error
        finally:
            link.close()
        if status not in ((200,) if method == "PUT" else (200, 401, 404)):
            raise Blind(f"metadata answers {status}")
        return status, body


def holds(metadata: Metadata, private: str, elastic: str) -> bool:
    """Return whether the Elastic IP leads to the private address, on whichever interface that is. Raises Blind."""
    macs = metadata.get(MACS)
    if not macs:
        raise Blind("metadata lists no interface")
    for mac in macs:
        if len(mac) != 18 or set(mac) - set("0123456789abcdef:/"):
            raise Blind("metadata lists what is no interface")
        if private in addresses(metadata.get(f"{MACS}{mac}local-ipv4s")):
            return private in addresses(metadata.get(f"{MACS}{mac}ipv4-associations/{elastic}"))
    return False


def addresses(listed: list[str]) -> list[str]:
    """Check that these are addresses. Raises Blind."""
    try:
        return [str(IPv4Address(one)) for one in listed]
    except ValueError as error:
        raise Blind("metadata lists what is no address") from error


def systemctl(*words: str) -> str:
    """Run systemctl. Raises RuntimeError."""
    try:
        ended = subprocess.run(  # noqa: S603 - our own words
            ["systemctl", *words],  # noqa: S607 - systemd's PATH
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"systemctl {words[0]}: {error}") from error
    if ended.returncode and words[0] != "is-active":
        raise RuntimeError(f"systemctl {words[0]}: {ended.stderr.strip() or ended.returncode}")
    return ended.stdout.strip()


class Role:
    """Starts and stops the tunnel, one look after the other, and tells what changed."""

    def __init__(self, metadata: Metadata, private: str, elastic: str) -> None:
        self.metadata, self.private, self.elastic = metadata, private, elastic
        self.doubted, self.told = False, ""

    def look(self) -> None:
        """Look once. One no may be a hiccup, and would cost a working tunnel: only the second in a row counts."""
        try:
            if held := holds(self.metadata, self.private, self.elastic):
                self.doubted = False
            elif not self.doubted:
                self.doubted = True
                return
            runs = systemctl("is-active", UNIT) in ("active", "activating", "reloading")
            if held != runs:  # not waited for: OpenVPN says ready long before it is connected
                systemctl("start" if held else "stop", "--no-block", UNIT)
            self.tell(
                f"{self.elastic} is {'here: the tunnel runs' if held else 'elsewhere: the tunnel is down'}"
            )
        except Blind as error:
            self.doubted = False
            self.tell(f"{error}; the tunnel stays as it is")
        except RuntimeError as error:
            self.tell(f"failed: {error}")

    def tell(self, what: str) -> None:
        """Log what was not the last thing logged."""
        if what != self.told:
            print(what, flush=True)  # noqa: T201 - systemd's journal
        self.told = what


def notify(state: str) -> None:
    """Tell systemd, sd_notify(3)."""
    if name := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.sendto(state.encode(), name.replace("@", "\0", 1) if name[0] == "@" else name)


def main() -> None:
    """Look until told to end; the tunnel then stays as it is. The two variables are for tests."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = json.loads(Path(os.environ.get("MOORING_ROLE", "/etc/mooring/role.json")).read_text("utf-8"))
    metadata = Metadata(os.environ.get("MOORING_METADATA", "http://169.254.169.254"))
    role = Role(metadata, settings["private_address"], settings["elastic_ip"])
    notify("READY=1")
    while True:
        began = time.monotonic()
        role.look()
        notify("WATCHDOG=1")
        time.sleep(max(0.0, settings["poll_seconds"] - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
