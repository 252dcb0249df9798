"""The VPC's data plane: AWS's state as namespaces, routes and rules of the kernel, changed by difference.

`vpc` is the implicit router, `igw` the internet gateway; every running instance has a namespace of its own id.

* Each AWS route table is a kernel table, chosen by the cable a packet comes in by. The `local` route is a `throw`: it
  falls through to the table of all interfaces' addresses, so that the longest prefix wins as it does in AWS.
* The router keeps no connections: a change bites on the next packet. The gateway translates one to one and keeps them,
  since the headers inside ICMP errors must be translated too; it forgets them when an address moves.
* The router answers ARP for every address at once.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from tests.packets import net
from tests.packets.groups import ruleset
from tests.packets.state import INTERNET, LOCAL, NOWHERE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.packets.state import Card, State

VPC, GATEWAY = "vpc", "igw"
MTU = 9001
"""What AWS carries inside a VPC; the internet carries 1500."""

TO_GATEWAY = "v-igw"
_HERE, _THERE = "169.254.11.2", "169.254.11.1"
_ADDRESSES = 500
"""The kernel table that leads to every interface; route tables have numbers from 1000."""

FORWARDS = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.default.send_redirects=0",
)

_CHECKS = f"""
table inet checks {{
  set own     {{ type ifname . ipv4_addr; }}
  set nocheck {{ type ifname; }}
  counter wrong_source {{}}
  counter wrong_destination {{}}
  chain arriving {{
    type filter hook prerouting priority raw; policy accept;
    notrack
    meta nfproto ipv6 drop
    iifname "v-*" iifname != "{TO_GATEWAY}" iifname != @nocheck iifname . ip saddr != @own counter name wrong_source drop
  }}
  chain leaving {{
    type filter hook forward priority filter; policy accept;
    oifname != "{TO_GATEWAY}" oifname != @nocheck oifname . ip daddr != @own counter name wrong_destination drop
  }}
}}
"""

_TRANSLATION = """
table ip gateway {
  map inward  { type ipv4_addr : ipv4_addr; }
  map outward { type ipv4_addr : ipv4_addr; }
  set known   { type ipv4_addr; }
  counter refused {}
  chain arriving { type nat hook prerouting priority dstnat; policy accept;
    iifname "ext" dnat to ip daddr map @inward
  }
  chain leaving { type nat hook postrouting priority srcnat; policy accept;
    oifname "ext" snat to ip saddr map @outward
  }
  chain through { type filter hook forward priority filter; policy drop;
    iifname "int" oifname "ext" ip saddr @known accept
    iifname "ext" oifname "int" ip daddr @known accept
    counter name refused drop
  }
}
"""


class Fabric:
    """The kernel's picture of one VPC; `apply` makes it that of a state."""

    def __init__(self, cidr: str) -> None:
        self.cards: dict[str, Card] = {}
        self._routes: dict[tuple[int, str], str] = {}
        self._rules: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._gateways: set[str] = set()
        self._loaded: dict[str, str] = {}
        net.add((VPC, GATEWAY))
        net.ip(
            VPC,
            [
                f"link add {TO_GATEWAY} mtu {MTU} type veth peer name int mtu {MTU} netns {GATEWAY}",
                f"addr add {_HERE}/30 dev {TO_GATEWAY}",
                f"link set {TO_GATEWAY} up",
                f"rule add pref 200 lookup {_ADDRESSES}",
                "rule add pref 300 blackhole",
            ],
        )
        net.ip(
            GATEWAY,
            [
                f"addr add {_THERE}/30 dev int",
                "link set int up",
                f"route add {cidr} via {_HERE}",
            ],
        )
        net.sysctl(VPC, *FORWARDS)
        net.sysctl(GATEWAY, *FORWARDS)
        net.nft(VPC, _CHECKS)
        net.nft(GATEWAY, _TRANSLATION)

    def apply(self, state: State, dead: Iterable[str] = ()) -> set[str]:
        """Make the kernel's network that of a state; `dead` instances run, says AWS, and carry nothing.

        Gives the instances whose namespaces are new.
        """
        alive = state.powered.difference(dead)
        wanted = {c.id: c for c in state.cards.values() if c.instance_id in alive}
        gone = [card for key, card in self.cards.items() if _cable(card) != _cable(wanted.get(key))]
        new = [card for key, card in wanted.items() if _cable(card) != _cable(self.cards.get(key))]
        self._unplug(gone)
        for cards in ([card for card in wanted.values() if card not in new], list(wanted.values())):
            # What was there moves first: a new cable takes longer than all else, and nobody waits for it.
            self._plug(state, [card for card in cards if card in new])
            self.cards = {card.id: card for card in cards}
            self._route(state)
            self._check()
            self._load(VPC, ruleset(state, self.cards))
            self._translate(state)
        return {card.instance_id for card in new if card.index == 0}

    # -- cables --------------------------------------------------------------------------------------

    def _plug(self, state: State, cards: list[Card]) -> None:
        """Return each card a cable to the router and its addresses; an instance's first card brings its namespace."""
        present = {card.instance_id for card in self.cards.values()}
        net.add(dict.fromkeys(c.instance_id for c in cards if c.instance_id not in present))
        lines = []
        for card in cards:
            gateway = _gateway(state.subnets[card.subnet_id])
            if gateway not in self._gateways:
                self._gateways.add(gateway)
                lines.append(f"addr add {gateway}/32 dev lo")
            lines += [
                f"link add {card.device} mtu {MTU} type veth peer name eth{card.index} mtu {MTU} netns {card.instance_id}",
                f"link set {card.device} up",
            ]
        net.ip(VPC, lines)
        for card in cards:
            net.sysctl(
                VPC,
                f"net.ipv4.conf.{card.device}.proxy_arp=1",
                f"net.ipv4.conf.{card.device}.proxy_arp_pvlan=1",
                f"net.ipv4.neigh.{card.device}.proxy_delay=0",  # or it answers up to 0.8 s late
            )
            gateway, length = (
                _gateway(state.subnets[card.subnet_id]),
                state.subnets[card.subnet_id].split("/")[1],
            )
            device = f"eth{card.index}"
            default = [f"route add default via {gateway} dev {device}"] if card.index == 0 else []
            net.ip(
                card.instance_id,
                [
                    f"link set {device} address {card.mac}",
                    *(f"addr add {address}/{length} dev {device}" for address in card.addresses),
                    f"link set {device} up",
                    *default,
                ],
            )

    def _unplug(self, cards: list[Card]) -> None:
        """Lead nothing to these cards any more, then take cable and, with the last one, the namespace."""
        for card in cards:
            del self.cards[card.id]
            ends = {key for key, how in self._routes.items() if how.endswith(f"dev {card.device} onlink")}
            net.ip(VPC, [f"route replace blackhole {to} table {table}" for table, to in sorted(ends)])
            self._routes |= dict.fromkeys(ends, "blackhole")
            number = self._rules.pop(card.device, None)
            rules = [] if number is None else [f"rule del pref 100 iif {card.device} lookup {number}"]
            net.ip(VPC, [*rules, f"link del {card.device}"])
            if all(other.instance_id != card.instance_id for other in self.cards.values()):
                net.delete(card.instance_id)

    # -- routes --------------------------------------------------------------------------------------

    def _route(self, state: State) -> None:
        wanted = {
            (_ADDRESSES, f"{address}/32"): self._to(card)
            for card in self.cards.values()
            for address in card.addresses
        }
        for table_id, routes in state.tables.items():
            number = self._numbers.setdefault(table_id, 1000 + len(self._numbers))
            wanted |= {(number, destination): self._how(target) for destination, target in routes.items()}
        lines = [
            f"route replace {_line(to, how)} table {table}"
            for (table, to), how in wanted.items()
            if self._routes.get((table, to)) != how
        ]
        lines += [
            f"route del {_line(to, how)} table {table}"
            for (table, to), how in self._routes.items()
            if (table, to) not in wanted
        ]
        rules = {c.device: self._numbers[state.table_of[c.subnet_id]] for c in self.cards.values()}
        for device, number in rules.items():
            if (old := self._rules.get(device)) != number:
                lines.append(f"rule add pref 100 iif {device} lookup {number}")
                lines += [] if old is None else [f"rule del pref 100 iif {device} lookup {old}"]
        net.ip(VPC, lines)
        self._routes, self._rules = wanted, rules

    def _how(self, target: str) -> str:
        if target == LOCAL:
            return "throw"
        if target == INTERNET:
            return f"via {_THERE} dev {TO_GATEWAY} onlink"
        card = None if target == NOWHERE else self.cards.get(target)
        return self._to(card) if card else "blackhole"

    @staticmethod
    def _to(card: Card) -> str:
        return f"via {card.addresses[0]} dev {card.device} onlink"

    # -- rules ---------------------------------------------------------------------------------------

    def _check(self) -> None:
        cards = self.cards.values()
        own = (f'"{card.device}" . {address}' for card in cards for address in card.addresses)
        unchecked = (f'"{card.device}"' for card in cards if not card.check)
        self._load(VPC, _fill("set inet checks own", own) + _fill("set inet checks nocheck", unchecked))

    def _translate(self, state: State) -> None:
        here = {address for card in self.cards.values() for address in card.addresses}
        pairs = sorted((public, private) for public, private in state.publics.items() if private in here)
        text = (
            _fill("map ip gateway inward", (f"{public} : {private}" for public, private in pairs))
            + _fill("map ip gateway outward", (f"{private} : {public}" for public, private in pairs))
            + _fill("set ip gateway known", (private for _, private in pairs))
        )
        if self._load(GATEWAY, text):
            net.run(*net.inside(GATEWAY, "conntrack", "-F"))  # what runs already must move too

    def _load(self, namespace: str, text: str) -> bool:
        """Load rules unless they are those that were loaded last; say whether they were."""
        key = f"{namespace} {text.split(maxsplit=5)[:5]}"
        if self._loaded.get(key) == text:
            return False
        net.nft(namespace, text)
        self._loaded[key] = text
        return True


def _cable(card: Card | None) -> object:
    """Return what a cable depends on; all else changes without unplugging it."""
    return card and (card.instance_id, card.index, card.mac, card.subnet_id, card.addresses)


def _gateway(subnet: str) -> str:
    return str(IPv4Network(subnet)[1])


def _line(destination: str, how: str) -> str:
    return f"{how} {destination}" if how in ("throw", "blackhole") else f"{destination} {how}"


def _fill(what: str, elements: Iterable[str]) -> str:
    """Write what replaces the elements of a set or map."""
    kind, name = what.split(maxsplit=1)
    listed = ", ".join(elements)
    return f"flush {kind} {name}\n" + (f"add element {name} {{ {listed} }}\n" if listed else "")
