"""Looks at the tunnel: does this box hold the Elastic IP, is OpenVPN connected, does the office answer."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .shell import run

CONFIGURATION = Path("/etc/openvpn/client/mooring.conf")
SETTINGS = Path("/etc/mooring/role.json")
UNIT = "openvpn-client@mooring.service"


def settings() -> dict[str, Any]:
    """Read the role's settings; empty without any."""
    try:
        content = json.loads(SETTINGS.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def holds_address() -> bool | None:
    """Return whether the metadata service puts the declared Elastic IP on this box; None when it does not say.

    IMDSv2: EC2 user guide, "Instance metadata categories", network/interfaces/macs/<mac>/ipv4-associations/<address>.
    """
    declared = settings()
    elastic_ip, private = str(declared.get("elastic_ip")), str(declared.get("private_address"))
    try:
        token = _metadata("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        headers = {"X-aws-ec2-metadata-token": token}
        interfaces = "/latest/meta-data/network/interfaces/macs/"
        macs = _metadata("GET", interfaces, headers).split()
        if not token or not macs or not declared:
            return None
        places = (f"{interfaces}{mac.rstrip('/')}/ipv4-associations/{elastic_ip}" for mac in macs)
        return any(private in _metadata("GET", place, headers).split() for place in places)
    except (OSError, http.client.HTTPException, ValueError):
        return None


def _metadata(method: str, path: str, headers: dict[str, str]) -> str:
    """Ask the metadata service, past any proxy; empty when there is nothing."""
    base = urlsplit(os.environ.get("MOORING_METADATA", "http://169.254.169.254"))
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=2)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read(65536).decode("ascii")
        if answer.status not in (200, 404):
            raise ValueError(f"the metadata service answers {answer.status}")
        return body.strip() if answer.status == 200 else ""


def state() -> dict[str, Any]:
    """Ask OpenVPN's management socket for its state and its bytes; `down` when no OpenVPN of ours runs.

    Line formats: OpenVPN 2.6, doc/management-notes.txt. One client at a time is served, so this one is quick.
    """
    where = _management()
    if where is None:
        return {"state": "down", "bytes_in": 0, "bytes_out": 0}
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(2)
            connection.connect(where)
            states, statistics = _ask(connection, "state"), _ask(connection, "status")
    except FileNotFoundError:
        return {"state": "down", "bytes_in": 0, "bytes_out": 0}
    except OSError:
        active = run("systemctl", "is-active", "--quiet", UNIT).returncode == 0
        return {"state": "unknown" if active else "down", "bytes_in": 0, "bytes_out": 0}
    fields = next((line.split(",") for line in states if re.match(r"\d+,", line)), ["", "unknown"])
    counted = dict(line.rsplit(",", 1) for line in statistics if line.count(",") == 1)
    return {
        "state": fields[1],
        "bytes_in": _count(counted.get("TCP/UDP read bytes")),
        "bytes_out": _count(counted.get("TCP/UDP write bytes")),
    }


def _management() -> str | None:
    """Read where OpenVPN listens from its own configuration."""
    try:
        found = re.search(r"^management (\S+) unix$", CONFIGURATION.read_text(), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None


def _ask(connection: socket.socket, question: str) -> list[str]:
    """Ask one question whose answer ends with END; lines that OpenVPN says by itself begin with >."""
    connection.sendall(f"{question}\n".encode())
    heard = b""
    while b"\nEND" not in heard and not heard.startswith(b"END"):
        more = connection.recv(4096)
        if not more:
            raise ConnectionResetError("OpenVPN closed the management socket")
        heard += more
    return [line.strip() for line in heard.decode(errors="replace").splitlines() if not line.startswith(">")]


def _count(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


def answers(address: str, tries: int = 1) -> bool:
    """Return whether an office address answers one of a few pings, a second each."""
    return (
        run(
            "ping", "-n", "-q", "-c", str(tries), "-W", "1", "-i", "0.2", address, seconds=tries + 2
        ).returncode
        == 0
    )
