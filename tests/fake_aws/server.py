"""The HTTP front door: loopback, one thread per connection, keep-alive, silent."""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, TypeAlias

from werkzeug.test import run_wsgi_app

from .wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from wsgiref.types import WSGIApplication

# Method, path with query, headers, body -> what goes back; None closes the connection without a word.
Answer: TypeAlias = "Callable[[str, str, Mapping[str, str], bytes], Reply | None]"


class _Handler(BaseHTTPRequestHandler):
    """Reads one request, has it answered, writes the reply in one go."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # without it a call costs 40 ms and more
    wbufsize = -1
    server: Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = self.server.answer(self.command, self.path, dict(self.headers.items()), body)
        if reply is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def handle_expect_100(self) -> bool:
        """Let the body come: who asks first, as S3's clients do, would wait a second for a word left in the buffer."""
        waits = super().handle_expect_100()
        self.wfile.flush()
        return waits

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Serve every method alike: http.server looks for `do_GET`, `do_POST` and so on."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Return nothing."""


class Server(ThreadingHTTPServer):
    """A server on a random loopback port; `stop` also ends the connections that are kept alive."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """End to serve: no request is answered after this."""
        self.shutdown()
        self._thread.join()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Remember the connection, to end it with the server."""
        if isinstance(request, socket.socket):
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Forget the connection."""
        if isinstance(request, socket.socket):
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """Let a client hang up without a word; an error of our own is shown."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


def ask(app: WSGIApplication, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Have a WSGI application answer one request."""
    address, _, query = path.partition("?")
    environ: dict[str, object] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": address,
        "QUERY_STRING": query,
        "RAW_URI": path,
        "REQUEST_URI": path,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(body)),
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value
    chunks, status, reply_headers = run_wsgi_app(app, environ, buffered=True)
    return Reply(int(status.split()[0]), list(reply_headers.items()), b"".join(chunks))
