"""What is found, what it means for packets, and the questions that every judgement asks."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import collapse_addresses
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Network

    from chalicelib.office.effective import Effective

Kind = Literal["missing", "wrong", "shadowed", "blocked", "weak", "unclear"]
Verdict = Literal["works", "works, weakly", "does not work"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be: what, on which page, what to enter there, and the line and field it is about.

    `weakly` is set where packets pass all the same.
    """

    kind: Kind
    what: str
    page: str
    mend: str
    line: str = ""
    field: str = ""
    weakly: bool = False

    @property
    def stops(self) -> bool:
        """Whether the tunnel, or part of its traffic, does not work because of it."""
        return self.kind not in ("weak", "unclear") and not self.weakly


@dataclass(frozen=True, slots=True)
class Judged:
    """A server judged: what it runs with, None where there is none; what was found; and what cannot be told from here."""

    effective: Effective | None
    findings: tuple[Finding, ...]
    unclear: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, effective: Effective | None, found: Iterable[Finding]) -> Judged:
        """Sort what was found, each once."""
        every = tuple(dict.fromkeys(found))
        clear = tuple(finding for finding in every if finding.kind != "unclear")
        return cls(effective, clear, tuple(finding for finding in every if finding.kind == "unclear"))

    @property
    def verdict(self) -> Verdict:
        """What packets do: pass, pass for now, or do not."""
        if any(finding.stops for finding in self.findings):
            return "does not work"
        return "works, weakly" if self.findings else "works"


def uncovered(wanted: Iterable[IPv4Network], given: Iterable[IPv4Network]) -> tuple[IPv4Network, ...]:
    """Return the wanted networks that the given ones, taken together, do not hold."""
    known = list(collapse_addresses(given))
    return tuple(network for network in wanted if not any(network.subnet_of(one) for one in known))


def overlap(some: Iterable[IPv4Network], others: Iterable[IPv4Network]) -> bool:
    """Return whether any of the one overlaps any of the other."""
    rest = list(others)
    return any(a.overlaps(b) for a in some for b in rest)


def takes(rivals: Iterable[IPv4Network], routes: Iterable[IPv4Network]) -> bool:
    """Return whether a rival is as exact as a route it overlaps, or more so: the most exact route gets a packet."""
    mine = list(routes)
    return any(r.overlaps(m) and r.prefixlen >= m.prefixlen for r in rivals for m in mine)
