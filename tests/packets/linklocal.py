"""What AWS answers at link-local addresses inside a VPC: instance metadata (IMDSv2) and names.

Both are asked through the instance's own interface, and know who asks by the address it asks from.
Source: EC2 user guide, "Instance metadata categories" and "Use IMDSv2"; VPC user guide, "DNS attributes".
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import sys
import threading
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from tests.packets import net
from tests.packets.fabric import VPC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.packets.state import Card, State

METADATA, NAMES = "169.254.169.254", "169.254.169.253"
_TREE = "/latest/meta-data/"
_BY_MAC = "network/interfaces/macs/"


class Metadata(ThreadingHTTPServer):
    """The instance metadata service of every instance of the VPC."""

    daemon_threads = True

    def __init__(self, state: Callable[[], State]) -> None:
        super().__init__((METADATA, 80), _Asked)
        self.state = state
        self.tokens: dict[str, str] = {}
        self.numbers = itertools.count(1)

    def handle_error(self, *_: object) -> None:
        """Let who asks hang up without a word, such as a box that loses its power; an error of our own is shown."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()

    def answer(self, asker: str, path: str) -> str | None:
        """Answer a path as AWS does; None when there is nothing there."""
        state = self.state()
        card = next((c for c in state.cards.values() if asker in c.addresses), None)
        if card is None or not path.startswith(_TREE):
            return None
        return dict(_tree(state, card)).get(path.removeprefix(_TREE))


class _Asked(BaseHTTPRequestHandler):
    server: Metadata
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        """Give a token."""
        if self.path != "/latest/api/token" or "X-aws-ec2-metadata-token-ttl-seconds" not in self.headers:
            self._reply(HTTPStatus.BAD_REQUEST, "")
            return
        token = f"token-{next(self.server.numbers)}"
        self.server.tokens[token] = self.client_address[0]
        self._reply(HTTPStatus.OK, token)

    def do_GET(self) -> None:
        """Answer the instance whose token it is."""
        asker = self.client_address[0]
        if self.server.tokens.get(self.headers.get("X-aws-ec2-metadata-token", "")) != asker:
            self._reply(HTTPStatus.UNAUTHORIZED, "")
            return
        found = self.server.answer(asker, self.path)
        self._reply(HTTPStatus.OK if found is not None else HTTPStatus.NOT_FOUND, found or "")

    def _reply(self, status: HTTPStatus, text: str) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _tree(state: State, asking: Card) -> Iterator[tuple[str, str]]:
    cards = [c for c in state.cards.values() if c.instance_id == asking.instance_id]
    primary = min(cards, key=lambda c: c.index)
    yield "instance-id", asking.instance_id
    yield "local-ipv4", primary.addresses[0]
    yield "mac", primary.mac
    if public := state.public(primary.addresses[0]):
        yield "public-ipv4", public
    yield _BY_MAC, "\n".join(f"{c.mac}/" for c in cards)
    for card in cards:
        here = f"{_BY_MAC}{card.mac}/"
        publics = {p: a for a in card.addresses if (p := state.public(a))}
        yield f"{here}interface-id", card.id
        yield f"{here}device-number", str(card.index)
        yield f"{here}local-ipv4s", "\n".join(card.addresses)
        if publics:
            yield f"{here}public-ipv4s", "\n".join(publics)
            yield f"{here}ipv4-associations/", "\n".join(publics)
        for public, private in publics.items():
            yield f"{here}ipv4-associations/{public}", private


class Names(threading.Thread):
    """The VPC's resolver: it knows the names it is told, and nothing else."""

    def __init__(self, known: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.known = known
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((NAMES, 53))

    def run(self) -> None:
        """Answer until closed."""
        while True:
            question, asker = self._socket.recvfrom(512)
            if not question:
                return
            self._socket.sendto(self._answer(question), asker)

    def close(self) -> None:
        """Answer no more."""
        with contextlib.suppress(OSError):  # it is not connected, it says, and wakes its reader
            self._socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self._socket.close()

    def _answer(self, question: bytes) -> bytes:
        """Answer a query of one name, as RFC 1035 (4.1) writes it; only its address is known."""
        labels, at = [], 12
        while size := question[at]:
            labels.append(question[at + 1 : at + 1 + size].decode())
            at += size + 1
        kind = struct.unpack("!H", question[at + 1 : at + 3])[0]
        address = self.known.get(".".join(labels))
        found = address is not None and kind == 1
        flags = 0x8180 if address else 0x8183  # no such name
        head = question[:2] + struct.pack("!HHHHH", flags, 1, int(found), 0, 0) + question[12 : at + 5]
        if not found:
            return head
        return head + struct.pack("!HHHIH", 0xC00C, 1, 1, 5, 4) + IPv4Address(address).packed


@contextlib.contextmanager
def answering(state: Callable[[], State], names: dict[str, str]) -> Iterator[None]:
    """Answer in the VPC's implicit router for the duration of the block."""
    net.ip(VPC, [f"addr add {address}/32 dev lo" for address in (METADATA, NAMES)])
    metadata = net.within(VPC, lambda: Metadata(state))
    resolver = net.within(VPC, lambda: Names(names))
    thread = threading.Thread(target=metadata.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    resolver.start()
    try:
        yield
    finally:
        resolver.close()
        metadata.shutdown()
        metadata.server_close()
        thread.join()
