"""What is judged: a server's configuration and the router's file, against a topology, with the pages where it is mended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from chalicelib.office.backup import network
from chalicelib.office.finding import Finding
from chalicelib.office.language import parse, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from ipaddress import IPv4Network

    from chalicelib.core.network.topology import Topology, Tunnel
    from chalicelib.office.finding import Kind
    from chalicelib.office.language import Directive, Line

_THROUGH_TUNNEL = ("vpn_gateway", "default")


class Places(Protocol):
    """Where a thing is entered, and what; things are named by pfSense's elements, whatever the firewall."""

    def page(self, element: str, *, override: bool) -> str:
        """Return the page and the label."""

    def mend(self, element: str, text: str, *, override: bool) -> str:
        """Return what to enter there: a text that a judgement gives, or a field's own."""

    def routed(self, networks: tuple[IPv4Network, ...]) -> tuple[str, str]:
        """Return the field that sends networks into the tunnel, and what to enter there."""


@dataclass(frozen=True, slots=True)
class Config:
    """The directives of a file."""

    directives: tuple[Directive, ...]

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Config:
        """Parse the lines of a file."""
        return cls(tuple(parse(lines)))

    def all(self, *names: str) -> list[Directive]:
        """Return the directives of a name, or of one of several."""
        return [d for d in self.directives if d.name in names]

    def last(self, *names: str) -> Directive | None:
        """Return the one in force, where a later one overrules an earlier."""
        found = self.all(*names)
        return found[-1] if found else None

    def value(self, name: str, default: str = "") -> str:
        """Return the first argument of the one in force."""
        found = self.last(name)
        return found.value if found else default

    def pushed(self) -> Iterator[tuple[tuple[str, ...], Directive]]:
        """Return what is pushed, split into words."""
        for directive in self.all("push"):
            words, _ = split(directive.value)
            if words:
                yield words, directive

    def networks(self, name: str) -> list[IPv4Network]:
        """Read the networks of `route` or `iroute` lines that lead into the tunnel."""
        return [found for found, foreign, _ in self.routes(name) if not foreign]

    def routes(self, name: str) -> Iterator[tuple[IPv4Network, bool, Directive]]:
        """Read the networks of `route` or `iroute` lines, and whether each leads past the tunnel."""
        for directive in self.all(name):
            found = _network(directive.words)
            if found is not None:
                gateway = directive.words[3] if len(directive.words) > 3 else "default"
                yield found, name == "route" and gateway not in _THROUGH_TUNNEL, directive

    def pushed_networks(self) -> list[IPv4Network]:
        """Read the networks that clients are told of."""
        found = (_network(words) for words, _ in self.pushed() if words[0] == "route")
        return [one for one in found if one is not None]


def _network(words: tuple[str, ...]) -> IPv4Network | None:
    if len(words) < 2:
        return None
    mask = words[2] if len(words) > 2 and words[2] != "default" else "255.255.255.255"
    return network(words[1], mask)


@dataclass(frozen=True, slots=True)
class Case:
    """One server as it runs, and the router that dials it.

    `others` are other clients' files, by common name. `old` is what the firewall's OpenVPN still knows beside the directives of 2.6; `modern` is whether its OpenSSL is 3, which
    knows no Blowfish.
    """

    topology: Topology
    tunnel: Tunnel
    name: str
    server: Config
    override: Config | None
    places: Places
    others: Mapping[str, Config] = field(default_factory=dict)
    old: frozenset[str] = field(default_factory=frozenset)
    modern: bool = True

    def find(  # noqa: PLR0913 - what a finding says, each by its name
        self,
        kind: Kind,
        what: str,
        element: str,
        *,
        line: Directive | None = None,
        override: bool = False,
        mend: str = "",
        weakly: bool = False,
    ) -> Finding:
        """Make a finding about a field; where its line comes from custom options, those are to be changed."""
        if line is not None and line.line.element == "custom_options":
            element = "custom_options"
            mend = mend or f"remove {line.shown}"
        elif line is not None and element == "custom_options":
            element = line.line.element or element
        page = self.places.page(element, override=override)
        entry = self.places.mend(element, mend, override=override)
        return Finding(kind, what, page, entry, line.shown if line else "", element, weakly)
