"""Security groups as rules: what a group lets through one way, it lets answer the other way.

The implicit router keeps no connections, so the rules remember flows themselves, as the answer's addresses and ports.
ICMP errors and later fragments always pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.packets.state import Card, Group, Rule, State

_FRAME = """
table ip groups {
  set flows { type ifname . ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service
    flags dynamic,timeout; timeout 350s; size 65536; }
  set pings { typeof iifname . ip saddr . ip daddr . icmp id
    flags dynamic,timeout; timeout 350s; size 65536; }
  counter refused_out {}
  counter refused_in {}
  chain begun_out {
    meta l4proto icmp update @pings { iifname . ip daddr . ip saddr . icmp id } return
    meta l4proto { tcp, udp } update @flows { iifname . ip daddr . ip saddr . meta l4proto . th dport . th sport }
  }
  chain begun_in {
    meta l4proto icmp update @pings { oifname . ip daddr . ip saddr . icmp id } return
    meta l4proto { tcp, udp } update @flows { oifname . ip daddr . ip saddr . meta l4proto . th dport . th sport }
  }
  chain outbound { }
  chain inbound { }
  chain forwarding {
    type filter hook forward priority 10; policy drop;
    ip frag-off & 0x1fff != 0 accept
    icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
    jump outbound
    jump inbound
    accept
  }
}
flush chain ip groups outbound
flush chain ip groups inbound
"""


def ruleset(state: State, cards: Mapping[str, Card]) -> str:
    """Write the rules of the cards' groups; loaded over earlier ones, they forget no flow."""
    return _FRAME + "\n".join(f"add rule ip groups {line}" for line in _lines(state, cards)) + "\n"


def _lines(state: State, cards: Mapping[str, Card]) -> Iterator[str]:
    for way, mine, other in (("out", "iifname", "ip daddr"), ("in", "oifname", "ip saddr")):
        chain = f"{way}bound"
        yield f'{chain} {mine} "v-igw" return'
        yield f"{chain} meta l4proto icmp {mine} . ip saddr . ip daddr . icmp id @pings return"
        yield (
            f"{chain} meta l4proto {{ tcp, udp }} "
            f"{mine} . ip saddr . ip daddr . meta l4proto . th sport . th dport @flows return"
        )
        for card in sorted(cards.values(), key=lambda c: c.id):
            for rule in (r for g in card.groups for r in _rules(state.groups[g], way)):
                if networks := rule.network or _members(rule, cards):
                    matched = f'{mine} "{card.device}" {other} {{ {networks} }}{_traffic(rule)}'
                    yield f"{chain} {matched} goto begun_{way}"
        yield f"{chain} counter name refused_{way} drop"


def _rules(group: Group, way: str) -> tuple[Rule, ...]:
    return group.egress if way == "out" else group.ingress


def _members(rule: Rule, cards: Mapping[str, Card]) -> str:
    """List the addresses of the interfaces that are in the group a rule names."""
    return ", ".join(sorted(a for c in cards.values() if rule.group in c.groups for a in c.addresses))


def _traffic(rule: Rule) -> str:
    if rule.protocol == "-1":
        return ""
    if rule.protocol in ("tcp", "udp") and rule.ports and rule.ports != (0, 65535):
        return f" {rule.protocol} dport {rule.ports[0]}-{rule.ports[1]}"
    return f" meta l4proto {rule.protocol}"
