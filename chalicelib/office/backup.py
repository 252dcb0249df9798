"""A firewall's backup as far as it concerns the tunnel: the entries of its lists, with PHP's idea of what is on.

pfSense mixes two ways to store a flag: present at all (`isset`), or a text that PHP takes for true. An empty
`<duplicate_cn></duplicate_cn>` is on, an empty `<client2client></client2client>` off (`openvpn.inc`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    NetmaskValueError,
    summarize_address_range,
)
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

MOST_NESTED = 8
"""How deep an alias may name aliases; pfSense refuses loops, a file from elsewhere may hold one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list: element to text, `source/network` for an element within one; what is absent is not in it."""

    elements: Mapping[str, str]

    def text(self, name: str) -> str:
        """Return an element's text, without blanks around it; nothing when it is absent."""
        return self.elements.get(name, "").strip()

    def is_set(self, name: str) -> bool:
        """Return whether an element is there, be it empty: PHP's `isset`."""
        return name in self.elements

    def is_true(self, name: str) -> bool:
        """Return whether PHP takes an element's text for true."""
        return self.elements.get(name, "") not in ("", "0")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of the backup, without its key: whose it is, how long it is good, what it may be used for.

    `uses` is None where it names no use at all; `authority` is the reference of the CA that the backup says signed it.
    """

    reference: str
    common_name: str
    begins: datetime
    ends: datetime
    serial: int
    uses: frozenset[Literal["server", "client", "other"]] | None
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Revocations:
    """A revocation list: the certificates on it, by the backup's references and by serial number."""

    reference: str
    references: frozenset[str]
    serials: frozenset[int]


@dataclass(frozen=True, slots=True)
class Backup:
    """The lists that concern the tunnel, each in the order in which the firewall works on it.

    `version` is the configuration's, which tells the release; None where the backup does not say. `whole` is whether it is
    more than the OpenVPN area. Interfaces are by the firewall's own name for them: wan, lan, opt1.
    """

    servers: tuple[Entry, ...]
    overrides: tuple[Entry, ...] = ()
    clients: tuple[Entry, ...] = ()
    lists: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    interfaces: Mapping[str, Entry] = field(default_factory=dict)
    certificates: tuple[Certificate, ...] = ()
    revocations: tuple[Revocations, ...] = ()
    version: tuple[int, int] | None = None
    product: Literal["pfSense", "OPNsense"] = "pfSense"
    whole: bool = True

    def of(self, name: str) -> tuple[Entry, ...]:
        """Return the entries of a list by its path, such as `filter/rule`."""
        return self.lists.get(name, ())

    def certificate(self, reference: str) -> Certificate | None:
        """Return the certificate of a reference."""
        return next((c for c in self.certificates if reference and c.reference == reference), None)

    def alias(self, name: str) -> Entry | None:
        """Return the alias of a name."""
        return next((a for a in self.of("aliases/alias") if a.text("name") == name), None)

    def networks(self, text: str) -> list[IPv4Network]:
        """Read comma-separated networks, aliases by what they hold; what is none of IPv4 is left out."""
        return [found.network for part in _parts(text) for found in self._interfaces(part, 0)]

    def interface(self, text: str) -> IPv4Interface | None:
        """Read one address with its prefix length, or the alias of one; None when it is something else."""
        found = [one for part in _parts(text) for one in self._interfaces(part, 0)]
        return found[0] if len(found) == 1 else None

    def unknown(self, text: str) -> bool:
        """Return whether part of a text is neither a network nor an alias whose content is all here."""
        return any(not self._known(part, 0) for part in _parts(text))

    def _interfaces(self, part: str, depth: int) -> Iterator[IPv4Interface]:
        alias = self.alias(part)
        if alias is None:
            yield from _read(part)
        elif depth < MOST_NESTED:
            for inner in _members(alias):
                yield from self._interfaces(inner, depth + 1)

    def _known(self, part: str, depth: int) -> bool:
        alias = self.alias(part)
        if alias is None:
            return bool(list(_read(part))) or ":" in part
        inside = _members(alias)
        return depth < MOST_NESTED and all(self._known(inner, depth + 1) for inner in inside)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _members(alias: Entry) -> list[str]:
    """List what an alias holds: pfSense parts it by blanks, OPNsense by lines."""
    return (alias.text("address") or alias.text("content")).split()


def _read(part: str) -> Iterator[IPv4Interface]:
    """Read a network, a single address or a range of addresses."""
    try:
        begin, dash, end = part.partition("-")
        if dash:
            ranged = summarize_address_range(IPv4Address(begin.strip()), IPv4Address(end.strip()))
            yield from (IPv4Interface(network) for network in ranged)
        else:
            yield IPv4Interface(part)
    except (AddressValueError, NetmaskValueError, ValueError, TypeError):
        return


def number(text: str) -> int | None:
    """Read a whole number of at most nine digits; None when it is something else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def network(address: str, mask: str) -> IPv4Network | None:
    """Read a network as OpenVPN writes it; None when it is none."""
    try:
        return IPv4Network(f"{address}/{mask}", strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None
