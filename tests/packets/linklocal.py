"""What AWS answers at link-local addresses inside a VPC: instance metadata (IMDSv2) and names.

Both are asked through the instance's own interface, and know who asks by the address it asks from.
Source: EC2 user guide, "Instance metadata categories" and "Use IMDSv2"; VPC user guide, "DNS attributes".
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from tests.packets import net
from tests.packets.fabric import VPC
from tests.stand_ins.metadata import Interface, Metadata, MetadataServer, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.packets.state import Card, State

METADATA, NAMES = "169.254.169.254", "169.254.169.253"


def told(state: State, asker: str, path: str) -> str | None:
    """Return what an instance is told of itself; None when there is nothing there, or nobody."""
    asking = next((card for card in state.cards.values() if asker in card.addresses), None)
    return dict(_tree(state, asking)).get(path) if asking else None


def _tree(state: State, asking: Card) -> Iterator[tuple[str, str]]:
    cards = [c for c in state.cards.values() if c.instance_id == asking.instance_id]
    primary = min(cards, key=lambda c: c.index)
    yield "instance-id", asking.instance_id
    yield "local-ipv4", primary.addresses[0]
    yield "mac", primary.mac
    if public := state.public(primary.addresses[0]):
        yield "public-ipv4", public
    publics = dict(state.publics)
    yield from tree(Interface(c.mac, list(c.addresses), publics, c.id, c.index) for c in cards)


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
    service = Metadata(lambda asker, path: told(state(), asker, path))
    metadata = net.within(VPC, lambda: MetadataServer(service, (METADATA, 80)))
    resolver = net.within(VPC, lambda: Names(names))
    with metadata:
        resolver.start()
        try:
            yield
        finally:
            resolver.close()
