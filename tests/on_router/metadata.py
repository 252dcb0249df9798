"""A stand-in for the instance metadata service, version 2: what it knows, and ways in which it fails."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    Fault = Literal["silent", "error", "garbage", "no-token", "refuses", "disabled"]

MAC = "0a:ff:ee:dd:cc:01"
OTHER_MAC = "0a:ff:ee:dd:cc:02"


class Metadata:
    """The service of one instance; `associated` maps Elastic IPs to the private addresses they lead to."""

    def __init__(self, private: str = "10.0.0.4") -> None:
        self.interfaces = {OTHER_MAC: ["10.0.10.9"], MAC: [private]}
        self.associated: dict[str, str] = {}
        self.fault: Fault | None = None
        self.flickers = False
        """Every other question for an association finds none."""
        self._answers = 0
        self.tokens: set[str] = set()
        self.asked: list[str] = []
        self._changed = threading.Condition()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                stand_in.answer(self)

            def do_GET(self) -> None:
                stand_in.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start."""
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.fault = None
        self._server.shutdown()
        self._server.server_close()

    def looks(self, count: int, within: float = 30) -> None:
        """Wait until it has been asked for so many things more."""
        with self._changed:
            wanted = len(self.asked) + count
            assert self._changed.wait_for(lambda: len(self.asked) >= wanted, within), "nobody asks"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        with self._changed:
            self.asked.append(f"{request.command} {request.path}")
            self._changed.notify_all()
        while self.fault == "silent":
            time.sleep(0.01)
        status, body = self._judge(request)
        try:
            request.send_response(status)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
        except OSError:  # who asked has given up
            return

    def _judge(self, request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if self.fault == "error":
            return 503, b"try later"
        if self.fault == "disabled":
            return 403, b""
        if request.command == "PUT":
            good = request.path == "/latest/api/token" and 1 <= int(request.headers[_TTL]) <= 21600
            if self.fault == "no-token" or not good:
                return 400, b""
            token = f"token-{len(self.asked)}"
            self.tokens.add(token)
            return 200, token.encode()
        if self.fault == "refuses" or request.headers["X-aws-ec2-metadata-token"] not in self.tokens:
            return 401, b""
        if self.fault == "garbage":
            return 200, b"<html>\xff</html>"
        listing = list(self._listing(request.path.removeprefix("/latest/meta-data/network/interfaces/macs/")))
        return (200, "\n".join(listing).encode()) if listing else (404, b"<?xml version='1.0'?>")

    def _listing(self, path: str) -> Iterator[str]:
        mac, _, rest = path.partition("/")
        addresses = self.interfaces.get(mac, [])
        if not path:
            yield from (f"{one}/" for one in self.interfaces)
        elif rest == "local-ipv4s":
            yield from addresses
        elif rest.startswith("ipv4-associations/"):
            leads_to = self.associated.get(rest.removeprefix("ipv4-associations/"))
            self._answers += 1
            if self.flickers and self._answers % 2:
                return
            yield from (one for one in addresses if one == leads_to)


_TTL = "X-aws-ec2-metadata-token-ttl-seconds"
