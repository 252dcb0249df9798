"""The instance metadata service, version 2: what an instance is told of itself, and ways in which the service fails.

Source: EC2 user guide, "Instance metadata categories" and "Use IMDSv2".
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from tests.fake_aws.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Fault: TypeAlias = Literal["silent", "error", "garbage", "no-token", "refuses", "disabled"]

# The address that asks, a path below `meta-data/` -> the text that is there; None: nothing is.
Told: TypeAlias = "Callable[[str, str], str | None]"

_MACS = "network/interfaces/macs/"
_TREE = "/latest/meta-data/"


class Metadata:
    """The service: who asks with a token of its own is told what `told` knows; `fault` is what is wrong with it."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self.fault: Fault | None = None
        self.tokens: dict[str, str] = {}
        """Whose each token is."""
        self.asked: list[str] = []
        self._changed = threading.Condition()

    def looks(self, count: int, within: float = 30) -> None:
        """Wait until it has been asked for so many things more."""
        with self._changed:
            wanted = len(self.asked) + count
            assert self._changed.wait_for(lambda: len(self.asked) >= wanted, within), "nobody asks"

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], _: bytes = b"", asker: str = ""
    ) -> Reply:
        """Answer one request."""
        with self._changed:
            self.asked.append(f"{method} {path}")
            self._changed.notify_all()
        while self.fault == "silent":
            time.sleep(0.01)
        given = {name.lower().removeprefix("x-aws-ec2-metadata-token"): v for name, v in headers.items()}
        match self.fault:
            case "error":
                return _reply(503, "try later")
            case "disabled":
                return _reply(403)
        if method == "PUT":
            return self._token(path, given.get("-ttl-seconds", "0"), asker)
        if self.fault == "refuses" or self.tokens.get(given.get("", "")) != asker:
            return _reply(401)
        if self.fault == "garbage":
            return _reply(200, "<html>\xff</html>")
        told = self._told(asker, path.removeprefix(_TREE)) if path.startswith(_TREE) else None
        return _reply(404, "<?xml version='1.0'?>") if told is None else _reply(200, told)

    def _token(self, path: str, seconds: str, asker: str) -> Reply:
        if self.fault == "no-token" or path != "/latest/api/token" or not 1 <= int(seconds) <= 21600:
            return _reply(400)
        token = f"token-{len(self.asked)}"
        self.tokens[token] = asker
        return _reply(200, token, ("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", seconds))


def _reply(status: int, text: str = "", *headers: tuple[str, str]) -> Reply:
    return Reply(status, [("Content-Type", "text/plain"), *headers], text.encode("latin-1"))


class MetadataServer(ThreadingHTTPServer):
    """Serves it on a socket, from where it is made until the end of the block."""

    daemon_threads = True

    def __init__(self, service: Metadata, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address, _Asked)
        self.service = service
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.service.fault = None
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, *_: object) -> None:
        """Let who asks hang up without a word, such as a box that loses its power; an error of our own is shown."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class _Asked(BaseHTTPRequestHandler):
    server: MetadataServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        reply = self.server.service.answer(
            self.command, self.path, dict(self.headers.items()), asker=self.client_address[0]
        )
        self.send_response_only(reply.status)
        for name, value in (*reply.headers, ("Content-Length", str(len(reply.body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: object) -> None:
        """Return nothing."""


@dataclass
class Interface:
    """A network interface, as its instance is told of it; `associated` leads public addresses to its own."""

    mac: str
    addresses: list[str]
    associated: dict[str, str] = field(default_factory=dict)
    id: str = "eni-00000000000000001"
    number: int = 0


def tree(interfaces: Iterable[Interface]) -> Iterator[tuple[str, str]]:
    """List what an instance is told of its interfaces: paths below `meta-data/`, and the text there."""
    listed = list(interfaces)
    yield _MACS, "\n".join(f"{one.mac}/" for one in listed)
    for one in listed:
        here = f"{_MACS}{one.mac}/"
        publics = {public: mine for public, mine in one.associated.items() if mine in one.addresses}
        yield f"{here}interface-id", one.id
        yield f"{here}device-number", str(one.number)
        yield f"{here}local-ipv4s", "\n".join(one.addresses)
        if publics:
            yield f"{here}public-ipv4s", "\n".join(publics)
            yield f"{here}ipv4-associations/", "\n".join(publics)
        for public, private in publics.items():
            yield f"{here}ipv4-associations/{public}", private
