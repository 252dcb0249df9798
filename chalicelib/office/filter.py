"""Whether a firewall's rules let something pass: first floating rules that are quick, then the interface's, first match wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from chalicelib.office.backup import number
from chalicelib.office.finding import overlap, uncovered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network

    from chalicelib.office.backup import Backup, Entry

State = Literal["pass", "block", "unclear"]
Match = Literal["all", "some", "none"]


@dataclass(frozen=True, slots=True)
class Flow:
    """What is to pass: where it comes in, what it speaks, from where and to where.

    `source` is None for a host on the internet that the backup does not know. `here` is whether the target is the firewall's own
    address on that interface; `target` is None where only the firewall knows it. Without a protocol it is all of them.
    """

    interfaces: frozenset[str]
    source: IPv4Network | None
    target: IPv4Network | None
    protocol: str = ""
    port: int = 0
    here: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """What the rules make of a flow, and why; `gateway` is set where a rule sends it out by one; `bare` where no rule is there."""

    state: State
    why: str = ""
    gateway: bool = False
    bare: bool = False


def passage(backup: Backup, flow: Flow) -> Passage:
    """Return whether the rules let a flow pass."""
    rules = list(_rules(backup, flow.interfaces))
    part = ""
    for rule in rules:
        match, kind = _match(backup, rule, flow), rule.text("type") or "pass"
        if match == "none" or kind == "match":
            continue
        passes = kind == "pass"
        if match == "some":
            part = part or ("a rule passes part of it" if passes else "a rule blocks part of it")
            continue
        if part:
            return Passage("unclear", part)
        if passes and rule.text("gateway"):
            return Passage("pass", gateway=True)
        return Passage("pass") if passes else Passage("block", "a rule blocks it")
    if part:
        return Passage("unclear", part)
    return Passage("block", "no rule passes it", bare=not rules)


def _rules(backup: Backup, interfaces: frozenset[str]) -> Iterator[Entry]:
    """Return the rules that packets meet, in their order: quick floating ones, the interface's, then the other floating ones."""
    on = [
        rule
        for rule in backup.of("filter/rule")
        if not rule.is_set("disabled") and rule.text("ipprotocol") != "inet6"
    ]
    floating = [
        r for r in on if r.is_set("floating") and r.text("direction") != "out" and _meets(r, interfaces)
    ]
    yield from (rule for rule in floating if rule.is_true("quick"))
    yield from (rule for rule in on if not rule.is_set("floating") and _meets(rule, interfaces))
    # Of floating rules that are not quick the last match counts.
    yield from (rule for rule in reversed(floating) if not rule.is_true("quick"))


def _meets(rule: Entry, interfaces: frozenset[str]) -> bool:
    named = {name.strip().lower() for name in rule.text("interface").split(",") if name.strip()}
    return bool(named & interfaces) or (rule.is_set("floating") and (not named or "any" in named))


def _match(backup: Backup, rule: Entry, flow: Flow) -> Match:
    """Return how much of a flow a rule matches."""
    matches = [
        _protocol(rule, flow),
        _end(backup, rule, flow, "source", flow.source),
        _end(backup, rule, flow, "destination", flow.target),
        _port(backup, rule, flow),
    ]
    if "none" in matches:
        return "none"
    return "some" if "some" in matches or rule.text("source/port") else "all"


def _protocol(rule: Entry, flow: Flow) -> Match:
    spoken = rule.text("protocol").lower()
    if spoken in ("", "any"):
        return "all"
    if not flow.protocol:
        return "some"
    return "all" if flow.protocol in spoken.split("/") else "none"


def _end(backup: Backup, rule: Entry, flow: Flow, side: str, wanted: IPv4Network | None) -> Match:
    """Match one end of a rule; `(self)` and `wanip` are the firewall's own addresses."""
    if rule.is_set(f"{side}/any"):
        return "all"
    text = rule.text(f"{side}/network") or rule.text(f"{side}/address")
    match: Match
    if text == "(self)" or (text.removesuffix("ip") in backup.interfaces and text.endswith("ip")):
        mine = text == "(self)" or text.removesuffix("ip") in flow.interfaces
        match = "all" if flow.here and side == "destination" and mine else "none"
    else:
        networks = list(_networks(backup, text))
        if wanted is None or not networks:
            match = "some"
        elif not uncovered([wanted], networks):
            match = "all"
        else:
            match = "some" if overlap([wanted], networks) else "none"
    return _opposite(match) if rule.is_set(f"{side}/not") else match


def _opposite(match: Match) -> Match:
    return {"all": "none", "none": "all", "some": "some"}[match]  # type: ignore[return-value]


def _networks(backup: Backup, text: str) -> Iterator[IPv4Network]:
    interface = backup.interfaces.get(text)
    if interface is not None:
        yield from backup.networks(f"{interface.text('ipaddr')}/{interface.text('subnet') or '32'}")
    else:
        yield from backup.networks(text)


def _port(backup: Backup, rule: Entry, flow: Flow) -> Match:
    text = rule.text("destination/port")
    if not text:
        return "all"
    if not flow.port:
        return "some"
    alias = backup.alias(text)
    ports = (alias.text("address") or alias.text("content")).split() if alias else [text]
    unknown = False
    for port in ports:
        first, _, last = port.replace(":", "-").partition("-")
        begin, end = number(first), number(last or first)
        if begin is None or end is None:
            unknown = True
        elif begin <= flow.port <= end:
            return "all"
    return "some" if unknown else "none"
