"""The embedded AWS by TLS, as every call to AWS goes, that ends the connections which nobody uses."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from botocore.httpsession import DEFAULT_CA_BUNDLE
from cryptography import x509

from tests.fake_aws.server import Server
from tests.stand_ins.pki import SERVER, ca, issue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fake_aws.wire import Call, Reply
    from tests.fake_aws.world import World


class Latency(NamedTuple):
    """Seconds that a call takes in all."""

    ec2: float
    journal: float

    def __str__(self) -> str:
        """Name it as the tables do."""
        alike = self.ec2 == self.journal
        return f"{self.ec2 * 1000:.0f} ms" + ("" if alike else f", journal {self.journal * 1000:.0f} ms")

    def of(self, call: Call) -> float:
        """Return that of one call."""
        return self.journal if call.service == "dynamodb" else self.ec2


class TlsServer(Server):
    """A second way into a world; a client trusts it by `bundle`, which is botocore's own and one authority more."""

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(self._answer)
        self._front, self.latency = world._front, Latency(0.0, 0.0)
        hosts = (x509.IPAddress(IPv4Address("127.0.0.1")),)
        server = issue("127.0.0.1", ca("aws"), uses=SERVER, hosts=hosts)
        pair, self.bundle = folder / "server.pem", folder / "bundle.pem"
        pair.write_bytes(server.pem + server.key_pem())
        self.bundle.write_bytes(Path(DEFAULT_CA_BUNDLE).read_bytes() + ca("aws").pem)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"https://127.0.0.1:{self.server_port}"

    def get_request(self) -> tuple[socket.socket, object]:
        """Take a connection; its handshake is made in its own thread, with the first byte that is read."""
        connection, address = super().get_request()
        shown = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return shown, address

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """Answer when the latency is over: the embedded AWS's own work is within it, as AWS's is."""
        began = time.monotonic()
        reply = self._front.answer(method, path, headers, body)
        journal = "/dynamodb/aws4_request" in headers.get("Authorization", "")
        seconds = self.latency.journal if journal else self.latency.ec2
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        return reply

    def hang_up(self) -> None:
        """End every connection, as AWS does in a minute in which nothing is asked."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
