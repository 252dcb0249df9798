"""A topology on its way to a file: each value with what is known about it, written as TOML for a person to read."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, TypeAlias, assert_never

from chalicelib.core.network.topology import Limits
from chalicelib.core.toml_reader import write_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

TO_FILL_IN = "TO FILL IN"
"""What stands for an unknown value: `declare` refuses it, with its key."""

_COLUMN = 42
"""Where notes begin, as in examples/office.toml."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A value that AWS or the operator gave."""

    value: object
    note: str = ""


@dataclass(frozen=True, slots=True)
class Guess:
    """A value that an operator should look at, and why it was taken."""

    value: object
    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only an operator knows."""

    what: str


Entry: TypeAlias = Fact | Guess | Unknown


@dataclass(frozen=True, slots=True)
class Section:
    """A TOML table: its header as written, its entries, and remarks that follow them."""

    header: str
    entries: dict[str, Entry]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A whole topology; `title` is the comment above it, `untagged` what the deployed worker may not write yet."""

    title: tuple[str, ...]
    sections: tuple[Section, ...]
    remarks: tuple[str, ...] = field(default=())
    untagged: tuple[str, ...] = field(default=())

    def keys(self, kind: type[Guess | Unknown]) -> list[str]:
        """List the key paths whose values are guessed, or unknown."""
        found = []
        for section in self.sections:
            path = section.header.strip("[]")
            found += [
                ".".join(filter(None, (path, k))) for k, e in section.entries.items() if isinstance(e, kind)
            ]
        return found

    def toml(self) -> str:
        """Write it."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from _comments(self.title)
        for section in self.sections:
            if section.header:
                yield ""
                yield section.header
            for key, entry in section.entries.items():
                yield _entry(key, entry)
            yield from _comments(section.remarks)
        if self.remarks:
            yield ""
            yield from _comments(self.remarks)


def tunnel(vpn_clients: str | None) -> Section:
    """Write down a tunnel as comments: without it nothing is wrong, and most of it only the operator knows."""
    own = _last_host(vpn_clients) or TO_FILL_IN
    entries: dict[str, Entry] = {
        "server": Unknown("the office's OpenVPN server, a host name or an IPv4 address"),
        "common_name": Fact("aws-router", "of the router's certificate"),
        "server_name": Unknown("the common name of the server's certificate"),
        "address": Guess(own, "the last of vpn_clients; it must be the router's alone"),
    }
    remarks = ("Without the comment signs Mooring looks after the router's own configuration as well:",)
    return Section("# [tunnel]", {}, (*remarks, *(_entry(key, entry) for key, entry in entries.items())))


def _last_host(network: str | None) -> str | None:
    """Return the last host of a network that OpenVPN serves; None of any other."""
    with contextlib.suppress(ValueError):
        clients = IPv4Network(network or "")
        return str(clients.broadcast_address - 1) if 16 <= clients.prefixlen <= 29 else None
    return None


def limits() -> Section:
    """Write the default limits down, where an operator finds them."""
    default = Limits()
    return Section(
        "[limits]",
        {
            "changes": Fact(default.changes, "a plan larger than this is shown and refused"),
            "tables": Fact(default.tables),
            "moves_per_hour": Fact(default.moves_per_hour, "moves off a router that nothing is wrong with"),
            "request_age": Fact(
                write_duration(default.request_age), "a request that waited for longer is answered expired"
            ),
        },
    )


def _comments(remarks: tuple[str, ...]) -> Iterator[str]:
    for remark in remarks:
        yield f"# {_one_line(remark)}"


def _one_line(comment: str) -> str:
    """Keep a stranger's words, such as a tag, within their comment; TOML allows no control characters there."""
    return "".join(filter(str.isprintable, " ".join(comment.split())))


def _entry(key: str, entry: Entry) -> str:
    match entry:
        case Fact(value, note):
            comment = note
        case Guess(value, why):
            comment = f"guessed: {why}"
        case Unknown(what):
            value, comment = TO_FILL_IN, f"unknown: {what}"
        case _:
            assert_never(entry)
    text = f"{key} = {_value(value)}"
    return f"{text:<{_COLUMN - 2}}  # {_one_line(comment)}" if comment else text


def _value(value: object) -> str:
    """Write a value: JSON's strings and numbers are TOML's, its tables are not."""
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }" if value else "{}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else json.dumps(key, ensure_ascii=False)
