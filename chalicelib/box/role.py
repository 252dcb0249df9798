#!/usr/bin/python3
"""Keeps the tunnel up on the router that holds the Elastic IP, and down on every other.

Two clients with one certificate throw each other out for ever, so exactly one may run. This asks the instance's own
metadata service who it is, and needs neither Mooring nor AWS's API: a failover sends no command to either router,
the loser fences itself, and a reboot needs nobody. What cannot be seen changes nothing: blind is not down.

Standard library of Python 3.9 and later, which is what the routers' systems bring.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = os.environ.get("MOORING_ROLE", "/etc/mooring/role.json")
METADATA = os.environ.get("MOORING_METADATA", "http://169.254.169.254")
"""The instance metadata service (EC2 user guide, "Access instance metadata"); named otherwise in tests only."""

UNIT = "openvpn-client@mooring.service"
TOKEN_SECONDS = 21600
MOST_BYTES = 65536
TIMEOUT = 2.0
"""Seconds that the metadata service, a neighbour, may take for one answer."""

INTERFACES = "/latest/meta-data/network/interfaces/macs/"


class Blind(Exception):  # noqa: N818 - it is a state, and the word the rest of Mooring has for it
    """The metadata service did not say who holds the address."""


class Metadata:
    """The instance metadata service, version 2: a token first, renewed when it is refused."""

    def __init__(self, base: str, timeout: float = TIMEOUT) -> None:
        self._address = urlsplit(base)
        self._timeout = timeout
        self._token = ""

    def get(self, path: str) -> str | None:
        """Read a path; None when there is nothing there.

        Raises:
            Blind: no answer, or none that can be understood.
        """
        for _ in range(2):
            if not self._token:
                headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
                self._token = self._ask("PUT", "/latest/api/token", headers)[1].strip()
            status, body = self._ask("GET", path, {"X-aws-ec2-metadata-token": self._token})
            if status != http.client.UNAUTHORIZED:
                return body if status == http.client.OK else None
            self._token = ""  # it ran out, or the instance was stopped meanwhile
        raise Blind("the metadata service refuses its own token")

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=self._timeout
        )
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(MOST_BYTES).decode("ascii")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Blind(
                f"the metadata service gives no answer: {str(error) or type(error).__name__}"
            ) from error
        finally:
            connection.close()
        known = (
            (http.client.OK,)
            if method == "PUT"
            else (http.client.OK, http.client.NOT_FOUND, http.client.UNAUTHORIZED)
        )
        if answer.status not in known:
            raise Blind(f"the metadata service answers {answer.status}")
        return answer.status, body


class Place:
    """Where the Elastic IP must be for this instance to be the router: on its interface, at its private address."""

    def __init__(self, metadata: Metadata, private_address: str, elastic_ip: str) -> None:
        self._metadata, self._private, self._elastic = metadata, private_address, elastic_ip
        self._mac = ""

    def held(self) -> bool:
        """Say whether this instance holds the address.

        Raises:
            Blind: nobody can tell.
        """
        self._mac = self._mac or self._find()
        if self._mac and self._private in self._associated():
            return True
        # A no closes the tunnel, so it is given only by a metadata service that knows the interface as well.
        self._mac = self._find()
        return bool(self._mac) and self._private in self._associated()

    def _associated(self) -> list[str]:
        """List the private addresses of the interface that the Elastic IP leads to."""
        return addresses(
            self._metadata.get(INTERFACES + self._mac + "/ipv4-associations/" + self._elastic) or ""
        )

    def _find(self) -> str:
        """Find the interface that has the private address; none when it was detached."""
        listing = self._metadata.get(INTERFACES)
        if not listing:
            raise Blind("the metadata service lists no network interface")
        for line in listing.split():
            mac = line.rstrip("/")
            if len(mac) != 17 or set(mac) - set("0123456789abcdef:"):
                raise Blind("the metadata service lists what is no network interface")
            if self._private in addresses(self._metadata.get(INTERFACES + mac + "/local-ipv4s") or ""):
                return mac
        return ""


def addresses(listing: str) -> list[str]:
    """Read a listing of addresses.

    Raises:
        Blind: there is something else in it.
    """
    try:
        return [str(IPv4Address(line)) for line in listing.split()]
    except AddressValueError as error:
        raise Blind("the metadata service lists what is no address") from error


class Tunnel:
    """OpenVPN's unit."""

    def runs(self) -> bool:
        """Say whether the unit runs, or is about to by itself."""
        return self._systemctl("is-active", UNIT) in ("active", "activating", "reloading")

    def start(self) -> None:
        """Start it, and do not wait: OpenVPN says ready long before it is connected."""
        self._systemctl("start", "--no-block", UNIT)

    def stop(self) -> None:
        """Stop it, and do not wait: the next look tells."""
        self._systemctl("stop", "--no-block", UNIT)

    def _systemctl(self, *words: str) -> str:
        command = ["systemctl", *words]
        try:
            ended = subprocess.run(  # noqa: S603 - our own words
                command,
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RuntimeError(f"{' '.join(command)}: {error}") from error
        if ended.returncode and words[0] != "is-active":
            raise RuntimeError(f"{' '.join(command)}: {ended.stderr.strip() or ended.returncode}")
        return ended.stdout.strip()


class Role:
    """What was last seen and said; one `look` after the other decides."""

    def __init__(
        self, held: Callable[[], bool], tunnel: Tunnel, elastic_ip: str, say: Callable[[str], None]
    ) -> None:
        self._held, self._tunnel, self._elastic_ip, self._say = held, tunnel, elastic_ip, say
        self._said = ""
        self._doubted = False

    def look(self) -> None:
        """Look once, and start or stop the tunnel when it is not as it must be."""
        try:
            held = self._held()
            if held:
                self._doubted = False
                if not self._tunnel.runs():
                    self._tunnel.start()
                self._tell(f"{self._elastic_ip} is here: the tunnel runs")
            elif not self._doubted:
                self._doubted = True  # one no may be a hiccup, and would cost a working tunnel
            else:
                if self._tunnel.runs():
                    self._tunnel.stop()
                self._tell(f"{self._elastic_ip} is elsewhere: the tunnel is down")
        except Blind as error:
            self._doubted = False
            self._tell(f"{error}; the tunnel stays as it is")
        except RuntimeError as error:
            self._tell(f"failed: {error}")

    def _tell(self, what: str) -> None:
        if what != self._said:
            self._say(what)
            self._said = what


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)): ready, or alive; nothing happens where nobody asked."""
    name = os.environ.get("NOTIFY_SOCKET")
    if name:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
            speaker.sendto(state.encode(), "\0" + name[1:] if name.startswith("@") else name)


def say(what: str) -> None:
    """Write a line to the journal: systemd takes standard output there."""
    print(what, flush=True)  # noqa: T201 - it is the log


def main() -> None:
    """Look until told to end; the tunnel stays as it is then."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = json.loads(Path(SETTINGS).read_text(encoding="utf-8"))
    elastic_ip = settings["elastic_ip"]
    place = Place(Metadata(METADATA), settings["private_address"], elastic_ip)
    role = Role(place.held, Tunnel(), elastic_ip, say)
    notify("READY=1")
    while True:
        began = time.monotonic()
        role.look()
        notify("WATCHDOG=1")
        time.sleep(max(0.0, settings["poll_seconds"] - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
