"""The firewall's rules are read as the firewall reads them: what passes, what is blocked, and what cannot be told."""

from __future__ import annotations

import pytest

from tests.office.backups import judged
from tests.office.shapes import DEVICE, MODE, REMOTE, ROUTES, V26

END = "\t</filter>"
WAN = "<interface>wan</interface>\n\t\t\t<ipprotocol>inet"
WAN_SOURCE = (
    "<source><any></any></source>\n\t\t\t<destination><network>wanip</network><port>1194</port></destination>"
)
ANY = "<source><any></any></source><destination><any></any></destination>"
BLOCK = "<rule><type>block</type><interface>{}</interface>{}</rule>"
NAT = "\t<filter>"


def rule(interface: str, ends: str = ANY, kind: str = "pass", more: str = "") -> tuple[str, str]:
    """Add a rule behind the others."""
    return (END, f"<rule><type>{kind}</type><interface>{interface}</interface>{more}{ends}</rule>{END}")


def rules(*texts: str) -> tuple[str, str]:
    """Add rules behind the others."""
    return (END, "".join(texts) + END)


def one(interface: str, ends: str = ANY, kind: str = "pass", more: str = "") -> str:
    """Write a rule."""
    return f"<rule><type>{kind}</type><interface>{interface}</interface>{more}{ends}</rule>"


def between(source: str, target: str) -> str:
    """Write the ends of a rule."""
    return (
        f"<source><address>{source}</address></source><destination><address>{target}</address></destination>"
    )


BOTH = (one("openvpn"), one("lan"))


def told(*changes: tuple[str, str]) -> list[tuple[str, str]]:
    """List what is said of rules: kind and what."""
    found = judged(*changes)
    return [
        (f.kind, f.what)
        for f in (*found.findings, *found.unclear)
        if f.page.startswith("Firewall") or f.field == "interface"
    ]


def test_rules_that_pass_everything_are_no_finding() -> None:
    """WAN, OpenVPN and LAN each have one."""
    assert told(rules(*BOTH)) == []


def test_interfaces_without_any_rule_are_told_of() -> None:
    """An empty page lets nothing pass; whether a package fills it the backup does not say."""
    assert [kind for kind, _ in told()] == ["unclear", "unclear"]
    assert all("has no rule at all" in what for _, what in told())


@pytest.mark.parametrize(
    ("changes", "kind", "what"),
    [
        pytest.param([(WAN, WAN.replace("wan", "opt1"))], "blocked", "UDP port 1194 from the internet does not pass: no rule", id="no rule on WAN"),
        pytest.param([("<protocol>udp</protocol>", "<protocol>tcp</protocol>")], "blocked", "UDP port 1194", id="another protocol"),
        pytest.param([("<port>1194</port>", "<port>1195</port>")], "blocked", "UDP port 1194", id="another port"),
        pytest.param([("<type>pass</type>\n\t\t\t<interface>wan", "<type>block</type>\n\t\t\t<interface>wan")], "blocked", "a rule blocks it", id="WAN blocks"),
        pytest.param([("<ipprotocol>inet</ipprotocol>", "<ipprotocol>inet6</ipprotocol>")], "blocked", "UDP port 1194", id="IPv6 alone"),
        pytest.param([("<type>pass</type>\n\t\t\t<interface>wan", "<disabled></disabled><type>pass</type>\n\t\t\t<interface>wan")], "blocked", "UDP port 1194", id="rule disabled"),
        pytest.param([(WAN_SOURCE, WAN_SOURCE.replace("<any></any>", "<address>203.0.113.7</address>"))], "unclear", "is the Elastic IP among the sources", id="one source"),
    ],
)  # fmt: skip
def test_way_in_needs_a_rule_on_wan(changes: list[tuple[str, str]], kind: str, what: str) -> None:
    """The router dials the firewall's address there."""
    found = told(rules(*BOTH), *changes)

    assert [(k, what in w) for k, w in found] == [(kind, True)]


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("<network>(self)</network>", []),
        ("<address>198.51.100.10</address>", []),
        ("<network>wan</network>", []),
        ("<any></any>", []),
        ("<address>198.51.100.11</address>", ["blocked"]),
        ("<network>lanip</network>", ["blocked"]),
    ],
)
def test_rule_on_wan_must_be_for_the_servers_own_address(target: str, found: list[str]) -> None:
    """By name, by address, by its network, or for any."""
    new = WAN_SOURCE.replace("<network>wanip</network>", target)

    assert [kind for kind, _ in told(rules(*BOTH), (WAN_SOURCE, new))] == found


@pytest.mark.parametrize("port", ["1194", "1190:1200", "1190-1200"])
def test_range_and_alias_of_ports_hold_the_port(port: str) -> None:
    """A rule may name more than one port."""
    alias = (
        "<staticroutes>",
        f"<aliases><alias><name>P</name><address>22 {port}</address></alias></aliases><staticroutes>",
    )

    assert told(rules(*BOTH), ("<port>1194</port>", f"<port>{port}</port>")) == []
    assert told(rules(*BOTH), alias, ("<port>1194</port>", "<port>P</port>")) == []


@pytest.mark.parametrize(
    ("texts", "kind", "what"),
    [
        pytest.param([one("openvpn", kind="block"), one("openvpn")], "blocked", "a rule blocks it", id="blocked first"),
        pytest.param([one("openvpn"), one("openvpn", kind="block")], "", "", id="passed first"),
        pytest.param([one("openvpn", between("192.168.0.0/24", "10.100.0.0/16"))], "blocked", "no rule passes it", id="laptops alone"),
        pytest.param([one("openvpn", between("10.0.0.0/16", "10.100.0.0/16"))], "", "", id="the VPC"),
        pytest.param([one("openvpn", between("10.0.0.0/16", "10.100.100.7"))], "blocked", "what comes out of the tunnel", id="one host"),
        pytest.param([one("openvpn", more="<protocol>tcp</protocol>")], "unclear", "a rule passes part of it", id="TCP alone"),
        pytest.param([one("", kind="block", more="<floating>yes</floating><quick>yes</quick><direction>any</direction>"), one("openvpn")], "blocked", "a rule blocks it", id="floating, quick"),
        pytest.param([one("", kind="block", more="<floating>yes</floating><direction>any</direction>"), one("openvpn")], "", "", id="floating, not quick"),
        pytest.param([one("", kind="block", more="<floating>yes</floating><quick>yes</quick><direction>out</direction>"), one("openvpn")], "", "", id="floating, out"),
        pytest.param([one("openvpn", more="<gateway>WAN_DHCP</gateway>")], "blocked", "leaves by a gateway", id="gateway"),
        pytest.param([one("openvpn", "<source><not></not><address>10.0.0.0/16</address></source><destination><any></any></destination>")], "blocked", "no rule passes it", id="all but the VPC"),
    ],
)  # fmt: skip
def test_what_comes_out_of_the_tunnel_needs_a_rule(texts: list[str], kind: str, what: str) -> None:
    """The first match wins, quick floating rules before the interface's own."""
    wan = "<rule><type>pass</type><interface>wan</interface><floating>yes</floating><quick>yes</quick>"
    before = (
        NAT,
        f"{NAT}{wan}<source><any></any></source><destination><network>(self)</network></destination></rule>",
    )
    lan = "<rule><type>pass</type><interface>lan</interface><floating>yes</floating><quick>yes</quick>"
    found = (
        told(before, rules(f"{lan}{ANY}</rule>", *texts))
        if "floating" in str(texts)
        else told(rules(one("lan"), *texts))
    )

    assert [k for k, w in found if "out of the tunnel" in w] == ([kind] if kind else [])
    assert all(what in w for _, w in found if "out of the tunnel" in w)


def test_rule_of_the_interface_that_the_tunnel_is_assigned_to_counts() -> None:
    """An assigned tunnel has a page of its own."""
    opt = ("\t</interfaces>", "<opt9><enable></enable><if>ovpns1</if></opt9>\t</interfaces>")

    assert told(opt, rules(one("opt9"), one("lan"))) == []


@pytest.mark.parametrize(
    ("texts", "kind", "what"),
    [
        (
            [one("lan", "<source><network>lan</network></source><destination><any></any></destination>")],
            "",
            "",
        ),
        (
            [one("lan", more="<gateway>WAN_DHCP</gateway>")],
            "blocked",
            "what lan sends to the VPC leaves by a gateway",
        ),
        (
            [
                one("lan", between("10.100.100.0/24", "10.0.0.0/16")),
                one("lan", more="<gateway>WAN</gateway>"),
            ],
            "",
            "",
        ),
        ([one("lan", more="<protocol>tcp</protocol>")], "unclear", "what lan sends to the VPC may not pass"),
    ],
)
def test_what_the_office_sends_needs_a_rule_without_a_gateway(texts: list[str], kind: str, what: str) -> None:
    """A gateway in a rule overrules every route."""
    found = told(rules(one("openvpn"), *texts))

    assert [(k, what in w) for k, w in found] == ([(kind, True)] if kind else [])


def test_release_2_6_takes_a_peers_networks_out_of_gateways_by_itself() -> None:
    """Later ones do not, nor does it for laptops' servers."""
    peer = [
        (MODE, "<mode>p2p_tls</mode>"),
        (ROUTES, ""),
        (REMOTE, "<remote_network>10.0.0.0/16</remote_network>"),
    ]
    gateway = rules(one("openvpn"), one("lan", more="<gateway>WAN_DHCP</gateway>"))

    assert told(gateway, *peer, V26) == []
    assert [k for k, _ in told(gateway, *peer)] == ["blocked"]
    assert [k for k, _ in told(gateway, V26)] == ["blocked"]


@pytest.mark.parametrize("place", ["lan", "lo0"])
def test_server_inside_is_out_of_reach_without_a_port_forward(place: str) -> None:
    """The router is on the internet."""
    inside = (DEVICE, DEVICE.replace("wan", place))
    address = {"lan": "10.100.100.1", "lo0": "127.0.0.1"}[place]
    forward = (
        NAT,
        (
            "<nat><rule><interface>wan</interface><protocol>udp</protocol><destination><port>1194</port></destination>"
            f"<target>{address}</target><local-port>1194</local-port></rule></nat>{NAT}"
        ),
    )

    assert [k for k, w in told(inside, rules(*BOTH)) if "listens on an inner interface" in w] == ["wrong"]
    assert told(inside, forward, rules(*BOTH)) == []


@pytest.mark.parametrize(
    ("nat", "found"),
    [
        ("<mode>automatic</mode>", []),
        (
            "<mode>hybrid</mode><rule><interface>openvpn</interface><source><network>any</network></source></rule>",
            ["weak"],
        ),
        (
            "<mode>advanced</mode><rule><interface>wan</interface><source><network>any</network></source></rule>",
            [],
        ),
        (
            "<mode>hybrid</mode><rule><nonat></nonat><interface>openvpn</interface></rule><rule><interface>openvpn</interface></rule>",
            [],
        ),
        ("<mode>disabled</mode><rule><interface>openvpn</interface></rule>", []),
    ],
)
def test_outbound_nat_on_the_tunnel_is_weak(nat: str, found: list[str]) -> None:
    """Automatic rules leave OpenVPN out; one by hand hides who speaks."""
    assert [k for k, _ in told((NAT, f"<nat><outbound>{nat}</outbound></nat>{NAT}"), rules(*BOTH))] == found
