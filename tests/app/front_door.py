"""API Gateway on a real socket: takes only what is signed, and passes it on to the app in this process."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from tests.app.sigv4 import Key, refuse
from tests.stand_ins.api_gateway import OPERATOR, REGION, asked
from tests.stand_ins.functions import Context

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

KEY = Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


@dataclass
class FrontDoor:
    """Where the API is, whom it lets in, what came, and what it answers instead of the app when it is told to."""

    url: str
    key: Key = KEY
    came: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    instead: tuple[int, bytes, dict[str, str]] | None = None


@contextlib.contextmanager
def open_front_door(app: ModuleType) -> Iterator[FrontDoor]:
    """Serve the app's stage v1 on a loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            door.came.append((self.command, self.path, headers))
            self._answer(*self._given(headers, body))

        def _given(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
            if door.instead:
                return door.instead
            if why := refuse(door.key, REGION, self.command, self.path, headers, body):
                return 403, json.dumps({"message": why}).encode(), {}
            parts = urlsplit(self.path)
            event = asked(
                app,
                self.command,
                unquote(parts.path).removeprefix("/v1"),
                body,
                content_type=headers.get("content-type"),
                query=parse_qs(parts.query, keep_blank_values=True),
                by=OPERATOR,
            )
            answer = json.loads(json.dumps(app.app(event, Context("mooring-api"))))
            return answer["statusCode"], answer["body"].encode(), answer["headers"]

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Return nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    door = FrontDoor(f"http://127.0.0.1:{server.server_port}/v1/")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
