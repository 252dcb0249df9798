"""Plays a router's neighbours: each interface is a TUN device whose other end is in our hands, so packets go in and come out.

A packet that is written to a TUN device is received on it by the kernel, which filters and forwards it like any other
(Linux, Documentation/networking/tuntap.rst). Names of interfaces are the router's own: rules match on them.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .shell import Broken, last_words, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SYN, SYN_ACK = 0x02, 0x12

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_TCP, _ICMP, _UNREACHABLE = 6, 1, 3
_SHORTEST = 40
"""Bytes of an IPv4 and a TCP header; an ICMP error is longer."""
_TRIES, _QUIET = 2, 0.15
"""A packet that has not come out by then was dropped, or this machine is busy: it gets another chance."""


@dataclass(frozen=True)
class Packet:
    """A TCP segment without data, on its way through the router; `id` is IPv4's, which no translation changes."""

    id: int
    source: str
    destination: str
    sport: int
    dport: int
    flags: int
    enters: str
    leaves: str

    def answer(self, seen: bytes, id_: int) -> Packet:
        """Return what its receiver answers, by what the receiver saw of it; it is to reach the first sender."""
        source, destination = (socket.inet_ntoa(seen[at : at + 4]) for at in (12, 16))
        sport, dport = struct.unpack_from("!HH", seen, _length(seen))
        return Packet(id_, destination, source, dport, sport, SYN_ACK, self.leaves, self.enters)

    def write(self) -> bytes:
        """Write it as it goes over a wire (RFC 791, RFC 9293)."""
        source, destination = socket.inet_aton(self.source), socket.inet_aton(self.destination)
        acknowledged = 2 if self.flags == SYN_ACK else 0
        segment = struct.pack(
            "!HHIIBBHHH", self.sport, self.dport, 1, acknowledged, 5 << 4, self.flags, 8192, 0, 0
        )
        summed = _checksum(source + destination + struct.pack("!HH", _TCP, len(segment)) + segment)
        segment = segment[:16] + struct.pack("!H", summed) + segment[18:]
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), self.id, 0, 64, _TCP, 0)
        header += source + destination
        return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + segment


class Wires:
    """The other ends of all interfaces, alive until `close`.

    Raises:
        Broken: this machine gives no TUN device.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._ends: dict[int, str] = {}
        for name in dict.fromkeys(names):
            try:
                end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                self._ends[end] = name
                fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
            except OSError as error:
                raise Broken(f"no TUN device {name}: {error.strerror}") from None
        orders = "".join(f"link set {name} up\n" for name in self._ends.values())
        ended = run("ip", "-batch", "-", text=orders)
        if ended.returncode:
            raise Broken(f"TUN devices: {last_words(ended)}")

    def exchange(self, packets: Mapping[int, Packet], reach: Mapping[int, str]) -> dict[int, bytes]:
        """Send packets, and give those that came out where they should, each as it was then.

        Args:
            packets: by their id.
            reach: the address that each is to arrive at, by its id; no answer on its behalf does.
        """
        ends = {name: end for end, name in self._ends.items()}
        seen: dict[int, bytes] = {}
        refused: set[int] = set()
        for _ in range(_TRIES):
            for packet in packets.values():
                if packet.id not in seen and packet.id not in refused:
                    os.write(ends[packet.enters], packet.write())
                    self._collect(packets, reach, seen, refused, 0)
            until = time.monotonic() + _QUIET
            while len(seen) + len(refused) < len(packets) and time.monotonic() < until:
                self._collect(packets, reach, seen, refused, _QUIET / 5)
        return seen

    def close(self) -> None:
        """Take the interfaces away."""
        for end in self._ends:
            os.close(end)

    def _collect(
        self,
        packets: Mapping[int, Packet],
        reach: Mapping[int, str],
        seen: dict[int, bytes],
        refused: set[int],
        seconds: float,
    ) -> None:
        for end in select.select(list(self._ends), [], [], seconds)[0]:
            try:
                came = os.read(end, 4096)
            except BlockingIOError:
                continue
            if len(came) < _SHORTEST or came[0] >> 4 != 4:
                continue
            if came[9] == _ICMP and came[_length(came)] == _UNREACHABLE:
                refused.add(_id(came[_length(came) + 8 :]))
                continue
            meant = packets.get(_id(came))
            arrived = meant and meant.leaves == self._ends[end]
            if meant and arrived and came[9] == _TCP and socket.inet_ntoa(came[16:20]) == reach[meant.id]:
                seen[meant.id] = came


def _id(packet: bytes) -> int:
    """Return the identification of an IPv4 packet."""
    return int.from_bytes(packet[4:6], "big")


def _length(packet: bytes) -> int:
    """Return the length of an IPv4 header."""
    return (packet[0] & 15) * 4


def _checksum(content: bytes) -> int:
    """Return the internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
