"""Reads TOML by key and type: a value, or a flaw that names the key and says what would be right."""

from __future__ import annotations

import difflib
import re
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from chalicelib.core.errors import Flaw
from chalicelib.core.network.topology import Network

if TYPE_CHECKING:
    from collections.abc import Callable

_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

T = TypeVar("T")
Read: TypeAlias = tuple[T | None, str]
"""A reader's answer: the value, or None and what would be right."""


class Section:
    """A TOML table being read: takes keys by name and type, and remembers which were known."""

    def __init__(self, raw: dict[str, object], path: str, flaws: list[Flaw]) -> None:
        self.raw, self.path, self.flaws = raw, path, flaws
        self.known: set[str] = set()

    def flaw(self, key: str, value: object, wanted: str) -> None:
        """Note a flaw of a key of this table."""
        self.flaws.append(Flaw(self._at(key), value, wanted))

    def _at(self, key: str) -> str:
        return ".".join(part for part in (self.path, key) if part)

    def take(self, key: str, read: Callable[[object], Read[T]], *, required: bool = True) -> T | None:
        """Read one key; a missing or wrong one leaves a flaw and None."""
        self.known.add(key)
        if key not in self.raw:
            if required:
                self.flaw(key, None, "missing")
            return None
        value, wanted = read(self.raw[key])
        if value is None:
            self.flaw(key, self.raw[key], wanted)
        return value

    def take_list(
        self, key: str, read: Callable[[object], Read[T]], *, required: bool = True
    ) -> dict[str, T]:
        """Read a list of at least one entry, each by its key; a wrong entry leaves a flaw of its own."""
        good = {}
        for index, item in enumerate(self.take(key, read_list, required=required) or ()):
            value, wanted = read(item)
            if value is None:
                self.flaw(f"{key}[{index}]", item, wanted)
            else:
                good[self._at(f"{key}[{index}]")] = value
        return good

    def section(self, key: str, *, required: bool = True) -> Section:
        """Open a nested TOML table; a missing one reads as empty."""
        raw = self.take(key, read_dict, required=required)
        return Section(raw or {}, self._at(key), self.flaws)

    def sections(self, key: str) -> list[Section]:
        """Open an array of TOML tables."""
        return [Section(raw, path, self.flaws) for path, raw in self.take_list(key, read_dict).items()]

    def close(self) -> None:
        """Flag every key nobody asked for, with the nearest known one."""
        for key in (k for k in self.raw if k not in self.known):
            near = difflib.get_close_matches(key, self.known, n=1)
            wanted = f"unknown key; did you mean {near[0]}?" if near else "unknown key"
            self.flaw(key, None, f"{wanted} (known here: {', '.join(sorted(self.known))})")


def read_dict(value: object) -> Read[dict[str, object]]:
    """Read a TOML table."""
    return (cast("dict[str, object]", value) if isinstance(value, dict) else None), "must be a table"


def read_list(value: object) -> Read[list[object]]:
    """Read a list that is not empty."""
    return (value if isinstance(value, list) and value else None), "must be a list of at least one entry"


def read_bool(value: object) -> Read[bool]:
    """Read true or false; 0 and 1 are neither."""
    return (value if isinstance(value, bool) else None), "must be true or false"


def read_count(value: object) -> Read[int]:
    """Read a whole number from 0 on."""
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return (cast("int", value) if good else None), "must be a whole number, 0 or more"


def read_duration(value: object) -> Read[timedelta]:
    """Read a duration such as 90s, 30m, 2h or 1d."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    read = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    return read, "must be a duration, such as 90s, 30m or 2h"


def duration_reader(least: str, most: str) -> Callable[[object], Read[timedelta]]:
    """Return a reader of durations within bounds, both as they are written, both allowed."""
    (lower, _), (upper, _) = read_duration(least), read_duration(most)
    assert lower is not None and upper is not None  # noqa: S101, PT018 - the caller's own words

    def read(value: object) -> Read[timedelta]:
        found, _ = read_duration(value)
        good = found is not None and lower <= found <= upper
        return (found if good else None), f"must be a duration from {least} to {most}, such as 90s or 5m"

    return read


def write_duration(duration: timedelta) -> str:
    """Write whole seconds as `read_duration` reads them, in the largest unit that holds them."""
    seconds = int(duration.total_seconds())
    unit, size = next((u, s) for u, s in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if seconds % s == 0)
    return f"{seconds // size}{unit}"


def id_reader(prefix: str) -> Callable[[object], Read[str]]:
    """Return a reader of AWS ids: 8 hexadecimal digits, or 17 since 2016."""
    pattern = re.compile(rf"{prefix}-([0-9a-f]{{8}}|[0-9a-f]{{17}})")

    def read(value: object) -> Read[str]:
        good = isinstance(value, str) and pattern.fullmatch(value)
        return (cast("str", value) if good else None), f"must be an id such as {prefix}-0123456789abcdef0"

    return read


def word_reader(*words: str) -> Callable[[object], Read[str]]:
    """Return a reader of one of a few words."""

    def read(value: object) -> Read[str]:
        return (value if isinstance(value, str) and value in words else None), "must be " + " or ".join(words)

    return read


def read_network(value: object) -> Read[IPv4Network]:
    """Read a CIDR; say which octet is out of range, and which network the host bits belong to."""
    if not isinstance(value, str):
        return None, "must be a CIDR in quotes, such as 10.100.30.0/24"
    address, slash, length = value.partition("/")
    if why := octet_flaw(address):
        return None, why
    if not slash or not (length.isascii() and length.isdigit() and len(length) <= 2 and int(length) <= 32):
        return None, "must end in a prefix length from /0 to /32, such as /24"
    network = Network(value, strict=False)
    if str(network.network_address) != address:
        return None, f"has host bits set; the network is {network}"
    return network, ""


@lru_cache(maxsize=1024)
def as_network(text: str) -> IPv4Network | None:
    """Read a range as AWS lists it; None when it is none of IPv4, such as an IPv6 range or a prefix list."""
    try:
        return IPv4Network(text)
    except ValueError:
        return None


def octet_flaw(address: str) -> str:
    """Return why this is no IPv4 address in dotted decimal; nothing when it is one."""
    octets = address.split(".")
    if len(octets) != 4 or not all(o.isascii() and o.isdigit() for o in octets):
        return "must have four decimal octets, such as 10.100.30.0/24"
    for place, octet in enumerate(octets, start=1):
        if len(octet) > 1 and octet.startswith("0"):
            return f"octet {place} is {octet:.9}; write it without leading zeros"
        if len(octet) > 3 or int(octet) > 255:
            return f"octet {place} is {octet:.9}; an octet is at most 255"
    return ""


def read_address(value: object) -> Read[IPv4Address]:
    """Read an IPv4 address."""
    if not isinstance(value, str) or (why := octet_flaw(value)):
        return None, why if isinstance(value, str) else "must be an address in quotes, such as 10.0.0.8"
    return IPv4Address(value), ""
