"""Finds out whether other people's packet filters stop what this router must forward, and names the rule that does.

Every chain on a netfilter hook has its own say: that ours accepts a packet does not keep another from dropping it.
Rules are not read for what they mean: they are loaded into a namespace of their own, beside ours, and packets of each
kind that the router is there for are sent through. What does not come out was stopped, and the kernel's own trace, or
a counter, names the rule. Nothing of it leaves the namespace.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from . import replica, sandbox, tunnel
from .chains import listed
from .shell import Broken, Refused, apart, run
from .wires import SYN, Packet, Wires

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICE = "tun-mooring"
INTERNET = "52.94.76.1"
"""An address of AWS's own (ip-ranges.json), as any instance may speak to."""
PORTS = (443, 22, 80, 5432, 50077)
"""A rule that stops some of them is its owner's policy; who stops all of them stops the router."""

_SECONDS = 10.0
_TRACED, _COUNTED_FLOWS = 40, 4
"""Flows for which a rule is looked for; one rule mostly stops them all."""
_TOLD = 3
"""Packets of one flow that the trace has told of without a verdict, until another place is looked at."""
_TRACE_TABLE = "table ip mooring-trace {\n chain probes {\n  type filter hook prerouting priority -401;\n  meta nftrace set 1\n }\n}\n"
_OF = r"^trace id (?P<trace>\w+) (?P<table>\w+ \S+) (?P<chain>\S+) "
_PACKET = re.compile(_OF + r"packet: .*\bip id (?P<id>\d+)\b", re.MULTILINE)
_DROPPED = re.compile(
    _OF + r"(?:rule (?P<rule>.*) \(verdict drop\)|policy (?P<policy>drop))\s*$", re.MULTILINE
)
_COUNTED = re.compile(r"\[(?P<packets>\d+):\d+\]")
_STOPS = re.compile(r"-j (?:DROP|REJECT)\b|^:\S+ DROP ")
_NOISE = re.compile(
    r'\bcounter packets \d+ bytes \d+ ?| ?\bcomment "[^"]*"| -m comment --comment (?:"[^"]*"|\S+)'
)


@dataclass(frozen=True)
class Verdict:
    """Each rule that stops flows, with their names; or why that could not be found out."""

    stops: dict[str, list[str]]
    unclear: str = ""

    @property
    def lines(self) -> list[str]:
        """Return all of it, a line each."""
        found = [self.line(rule) for rule in self.stops]
        unclear = f"whether other people's rules stop anything could not be found out: {self.unclear}"
        return found + ([unclear] if self.unclear else [])

    def line(self, rule: str) -> str:
        """Return what a rule stops."""
        first, *more = self.stops[rule]
        others = f" and {len(more)} more flow{'s' if len(more) > 1 else ''}" if more else ""
        return f"{rule} stops {first}{others}"


@dataclass(frozen=True)
class Flow:
    """A kind of traffic that the router is there for, by one of its packets."""

    name: str
    source: str
    destination: str
    enters: str
    leaves: str


def judge() -> Verdict:
    """Judge the rules that are in force on this router beside the ones that its files hold."""
    try:
        loader = Path(sandbox.FIREWALL).read_text()
        private = str(tunnel.settings().get("private_address"))
        told = {
            "inside": listed(loader, "PRIVATE"),
            "outside": listed(loader, "REMOTE"),
            "private": private,
            "uplink": _uplink(private),
            "copy": replica.take(),
        }
        found = apart("hooks", text=json.dumps(told), seconds=_SECONDS)
        return Verdict(dict(found["stops"]), str(found["unclear"]))
    except FileNotFoundError:
        return Verdict({})  # a bare router forwards nothing
    except (Broken, Refused, OSError) as error:
        return Verdict({}, str(error))


def main(_: str) -> None:
    """Be the half inside: play the neighbours, load the copy, print what is stopped."""
    told = json.load(sys.stdin)
    stops: dict[str, list[str]] = {}
    unclear = ""
    try:
        stops = _stopped(told)
    except Broken as error:
        unclear = str(error)
    print(json.dumps({"stops": stops, "unclear": unclear}))  # noqa: T201 - the half outside reads it


def _stopped(told: dict[str, Any]) -> dict[str, list[str]]:
    """Return what the copy stops of all that passes without it.

    Raises:
        Broken: that cannot be tried here.
    """
    uplink = told["uplink"]
    flows = list(_flows(told["inside"], told["outside"], uplink))
    if not flows:
        return {}
    with contextlib.closing(Wires([uplink, DEVICE, *_others(told["copy"]["interfaces"], uplink)])) as wires:
        _be_the_router(told["private"], uplink, told["outside"])
        probe = _Probe(wires)
        _load()
        passed = probe.send(flows, PORTS[:1])[
            0
        ]  # laptops begin and the VPC only goes on: our own rules see to that
        meant = [flow for flow in flows if flow in passed]
        if not meant:
            raise Broken("not even Mooring's own rules let a packet pass here")
        replica.put(told["copy"])
        _load()  # jumps that are missing are drift, and said as such
        carried = probe.carried(meant)
        stopped = [flow for flow in meant if flow not in carried]
        return _named(probe, stopped) if stopped else {}


def _flows(inside: list[str], outside: list[str], uplink: str) -> Iterator[Flow]:
    """Return every private network to the internet, and each network at an end of the tunnel with one at the other end."""
    for network in inside:
        yield Flow(f"{network} to the internet", _host(network), INTERNET, uplink, uplink)
    pairs = [(one, outside[0]) for one in inside if outside] + [
        (inside[0], one) for one in outside[1:] if inside
    ]
    for here, there in pairs:
        yield Flow(f"{here} to {there}", _host(here), _host(there), uplink, DEVICE)
        yield Flow(f"{there} to {here}", _host(there), _host(here), DEVICE, uplink)


def _host(network: str) -> str:
    """Return an address in a network that a host may have."""
    addresses = IPv4Network(network)
    return str(addresses[max(0, min(77, addresses.num_addresses - 2))])


def _uplink(private: str) -> str:
    """Name the interface that has the router's private address.

    Raises:
        Broken: none has.
    """
    shown = run("ip", "-o", "-4", "address", "show", "to", private).stdout.split()
    if len(shown) < 2:  # a number, and the name
        raise Broken(f"no interface has the router's address {private}")
    return shown[1]


def _others(interfaces: list[str], uplink: str) -> list[str]:
    return [name for name in interfaces if name not in ("lo", uplink, DEVICE)]


def _be_the_router(private: str, uplink: str, outside: list[str]) -> None:
    """Have the router's address and routes; whether replies come the same way is not the question here."""
    routes = "".join(f"route add {network} dev {DEVICE}\n" for network in outside)
    orders = (
        f"link set lo up\naddress add {private}/32 dev {uplink}\nroute add default dev {uplink}\n{routes}"
    )
    ended = run("ip", "-batch", "-", text=orders)
    if ended.returncode:
        raise Broken(f"routes: {ended.stderr.strip()[:200]}")
    for file in Path("/proc/sys/net/ipv4/conf").glob("*/rp_filter"):
        file.write_text("0")


def _load() -> None:
    """Load the router's own rules."""
    loaded = run(sandbox.FIREWALL)
    if loaded.returncode:
        raise Broken(f"our own rules do not load: {loaded.stderr.strip()[:200]}")


class _Probe:
    """Sends packets of flows; no two have the same ports, so that no flow is known from an earlier try."""

    def __init__(self, wires: Wires) -> None:
        self._wires, self._ids = wires, itertools.count(1)

    def carried(self, flows: list[Flow]) -> set[Flow]:
        """Return the flows of which a first packet and its answer get through, by whichever port."""
        passed = self.send(flows, PORTS[:1])[0]
        return passed | self.send([flow for flow in flows if flow not in passed], PORTS[1:])[0]

    def send(self, flows: list[Flow], ports: tuple[int, ...]) -> tuple[set[Flow], dict[int, Flow]]:
        """Send a first packet of each flow to each port; give the flows that pass and answer, and whose each id was."""
        firsts, of = {}, {}
        for flow, port in itertools.product(flows, ports):
            packet = self._first(flow, port)
            firsts[packet.id], of[packet.id] = packet, flow
        seen = self._wires.exchange(firsts, {number: one.destination for number, one in firsts.items()})
        answers, reach = {}, {}
        for number, came in seen.items():
            answer = firsts[number].answer(came, self._next())
            answers[answer.id], reach[answer.id], of[answer.id] = answer, of[number].source, of[number]
        back = self._wires.exchange(answers, reach)
        return {of[number] for number in back}, of

    def _first(self, flow: Flow, port: int) -> Packet:
        number = self._next()
        sport = 10000 + number % 50000
        return Packet(number, flow.source, flow.destination, sport, port, SYN, flow.enters, flow.leaves)

    def _next(self) -> int:
        return 1 + next(self._ids) % 65000


def _named(probe: _Probe, stopped: list[Flow]) -> dict[str, list[str]]:
    """Name what stops the flows, by the kernel's trace of nftables' rules, by counters of the other iptables'."""
    blamed = _traced(probe, stopped[:_TRACED])
    unnamed = [flow for flow in stopped if flow not in blamed]
    for flow in unnamed[:_COUNTED_FLOWS]:
        rule = _by_counters(probe, flow)
        if rule is not None:
            blamed[flow] = rule or "something that netfilter does not name"
    found: dict[str, list[str]] = {}
    for flow, rule in blamed.items():
        found.setdefault(rule, []).append(flow.name)
    for flow in unnamed[_COUNTED_FLOWS:]:  # not looked for one by one
        if found:
            next(reversed(found.values())).append(flow.name)
    return found


def _traced(probe: _Probe, flows: list[Flow]) -> dict[Flow, str]:
    """Have nftables trace the flows' packets; nothing where there is no nft."""
    if run("nft", "-f", "-", text=_TRACE_TABLE).returncode:
        return {}
    monitor = subprocess.Popen(
        ("nft", "monitor", "trace"),  # noqa: S607 - the PATH is the document's
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    blamed: dict[Flow, str] = {}
    of: dict[int, Flow] = {}
    told: Counter[Flow] = Counter()
    said = b""
    until = time.monotonic() + 2
    with monitor:
        heard = cast("IO[bytes]", monitor.stdout)
        os.set_blocking(heard.fileno(), False)
        # it listens a moment after it was started; a flow that it told of often enough is dropped where it does not look
        while time.monotonic() < until and (left := [one for one in flows if told[one] < _TOLD]):
            of.update(probe.send(left, PORTS[:1])[1])
            time.sleep(0.05)
            said += heard.read() or b""
            told = _read_trace(said.decode(errors="replace"), of, blamed)
        monitor.kill()
    run("nft", "delete", "table", "ip", "mooring-trace")
    return blamed


def _read_trace(text: str, of: dict[int, Flow], blamed: dict[Flow, str]) -> Counter[Flow]:
    """Blame the rule that dropped each packet which the trace tells of; count the packets that it tells of."""
    whose = {one["trace"]: of[int(one["id"])] for one in _PACKET.finditer(text) if int(one["id"]) in of}
    told = Counter(whose.values())
    for one in _DROPPED.finditer(text):
        if one["trace"] in whose:
            flow = whose[one["trace"]]
            blamed[flow] = _rule(f"table {one['table']}", one["chain"], one["rule"] or "policy drop")
            told[flow] = _TOLD
    return told


def _by_counters(probe: _Probe, flow: Flow) -> str | None:
    """Find the rule of iptables that counts a flow's packet and drops it; None when the flow passes after all."""
    before = replica.counted()
    if flow in probe.send([flow], PORTS[:1])[0]:
        return None
    for (table, was), (_, now) in zip(before, replica.counted()):
        if was != now and _STOPS.search(now):
            text = _COUNTED.sub("", now).strip()
            chain = text[1:].split()[0] if text.startswith(":") else text.split()[1]
            return _rule(table, chain, "policy DROP" if text.startswith(":") else text)
    return ""


def _rule(table: str, chain: str, rule: str) -> str:
    """Name a rule so that its owner finds it; a comment may hold anything, and is left out."""
    words = " ".join(_NOISE.sub("", rule).split())
    readable = "".join(c if c.isprintable() else "?" for c in words)
    return f"{table}, chain {chain}, `{readable[:60] + '…' if len(readable) > 60 else readable}`"
