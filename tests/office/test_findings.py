"""A backup is held against the topology: whatever takes the tunnel's packets is found wherever it is, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.office.findings import check
from chalicelib.office.reading import read
from tests.builders import topology
from tests.office.backups import AT, CONFIG, judged
from tests.office.shapes import ALIASES, IROUTES, LAPTOPS_OWN, LAST_ROUTE, LOCAL, MODE, OLD_BRANCH, ROUTES
from tests.on_router.rendered import declared

CASES = Path(__file__).with_name("cases")
STATIC = "<network>172.20.0.0/16</network>"
CLIENT = "<remote_network>172.21.0.0/16</remote_network>"
OPT1 = "<if>igb2</if>\n\t\t\t<ipaddr>10.100.200.1</ipaddr>"
PHASE1 = "<ikeid>1</ikeid>\n\t\t\t<pre-shared-key>CANARY-pre-shared-key</pre-shared-key>\n\t\t</phase1>"


def _phase2(remote: str, more: str = "", local: str = "<type>lan</type>") -> str:
    return (
        f"{PHASE1}<phase2><ikeid>1</ikeid><mode>tunnel</mode>{more}<localid>{local}</localid>"
        f"<remoteid><type>network</type><address>{remote}</address><netbits>16</netbits></remoteid></phase2>"
    )


def test_backup_that_has_everything_has_no_finding() -> None:
    """Disabled servers and routes, other overrides and clients are no fault."""
    assert judged().findings == ()


@pytest.mark.parametrize(
    ("old", "new", "what", "page", "weakly"),
    [
        pytest.param(STATIC, "<network>10.0.0.0/24</network>", "a static route leads part of the VPC", "Static Routes", False, id="static route"),
        pytest.param(STATIC, "<network>10.0.1.128/25</network>", "a static route leads part of the VPC", "Static Routes", False, id="static route, more exact"),
        pytest.param(STATIC, "<network>10.0.0.0/16</network>", "a static route leads part of the VPC", "Static Routes", True, id="static route, less exact"),
        pytest.param(CLIENT, "<remote_network>10.0.1.0/24</remote_network>", "an OpenVPN client of the firewall routes", "IPv4 Remote network(s)", False, id="client"),
        pytest.param(CLIENT, "<custom_options>route 10.0.1.0 255.255.255.0</custom_options>", "an OpenVPN client of the firewall routes", "Custom options", False, id="client's custom option"),
        pytest.param(CLIENT, "<tunnel_network>192.168.0.128/30</tunnel_network>", "has a tunnel network that overlaps", "IPv4 Tunnel Network", False, id="client's tunnel network"),
        pytest.param(OPT1, "<enable></enable><if>igb2</if><ipaddr>10.0.1.1</ipaddr>", "the interface opt1 is in the VPC's networks", "Interfaces > OPT1", False, id="interface"),
        pytest.param(OPT1, "<enable></enable><if>igb2</if><ipaddr>192.168.0.200</ipaddr>", "is in the tunnel network", "Interfaces > OPT1", False, id="interface in the tunnel network"),
        pytest.param("<staticroutes>", "<virtualip><vip><mode>carp</mode><subnet>10.0.2.1</subnet><subnet_bits>24</subnet_bits></vip></virtualip><staticroutes>", "a virtual address is in the VPC's networks", "Virtual IPs", False, id="virtual address"),
        pytest.param(PHASE1, _phase2("10.0.0.0"), "an IPsec phase 2 takes packets", "Phase 2", False, id="IPsec"),
        pytest.param(PHASE1, _phase2("10.0.0.0").replace(">16<", ">4<"), "an IPsec phase 2 takes packets", "Phase 2", False, id="IPsec for everything"),
        pytest.param(LAPTOPS_OWN, f"{LAPTOPS_OWN}<remote_network>10.0.2.128/25</remote_network>", "another client's override claims part of the VPC", "IPv4 Remote Network/s", False, id="inner route of another"),
        pytest.param(LAPTOPS_OWN, f"{LAPTOPS_OWN}<remote_network>10.0.0.0/8</remote_network>", "another client's override claims part of the VPC", "IPv4 Remote Network/s", True, id="inner route of another, less exact"),
        pytest.param(LAPTOPS_OWN, "<tunnel_network>192.168.0.254/24</tunnel_network>", "gives 192.168.0.254 as well", "IPv4 Tunnel Network", False, id="address of another"),
    ],
)  # fmt: skip
def test_what_takes_packets_elsewhere_is_found_where_it_is(
    old: str, new: str, what: str, page: str, *, weakly: bool
) -> None:
    """The most exact route wins: a rival that is less exact takes nothing as long as the tunnel is up."""
    found = judged((old, new))

    assert [(f.kind, what in f.what, page in f.page, f.weakly) for f in found.findings] == [
        ("shadowed", True, True, weakly)
    ]
    assert found.verdict == ("works, weakly" if weakly else "does not work")


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param((PHASE1, _phase2("10.0.0.0", "<disabled></disabled>")), id="phase 2 disabled"),
        pytest.param((PHASE1, f"<disabled></disabled>{_phase2('10.0.0.0')}"), id="phase 1 disabled"),
        pytest.param((PHASE1, _phase2("172.16.0.0")), id="phase 2 of another network"),
        pytest.param((PHASE1, _phase2("10.0.0.0", local="<type>network</type><address>172.30.0.0</address><netbits>16</netbits>")), id="phase 2 from another network"),
        pytest.param((OPT1, "<if>igb2</if><ipaddr>10.0.1.1</ipaddr>"), id="interface that is off"),
        pytest.param((STATIC, "<network>10.1.0.0/16</network>"), id="static route beside"),
    ],
)  # fmt: skip
def test_what_takes_nothing_is_not_found(changed: tuple[str, str]) -> None:
    """What is off, or for other networks, is no rival."""
    assert judged(changed).findings == ()


def test_rivals_by_an_alias_are_found() -> None:
    """An alias is what the same backup says it holds."""
    route = judged(ALIASES[:2], (STATIC, "<network>VPC</network>"))
    client = judged(ALIASES[:2], (CLIENT, "<remote_network>VPC</remote_network>"))

    assert [f.kind for f in (*route.findings, *client.findings)] == ["shadowed"] * 2


@pytest.mark.parametrize(
    ("text", "kind"),
    [("missing", "missing"), ("<name>LANs</name><address>lans.example.com</address>", "missing")],
)
def test_alias_whose_content_is_not_here_is_said_to_be_unknown(text: str, kind: str) -> None:
    """A name is looked up by the firewall alone."""
    alias = f"<aliases><alias>{text}</alias></aliases><staticroutes>" if "<" in text else "<staticroutes>"
    found = judged((LOCAL, "<local_network>LANs</local_network>"), ("<staticroutes>", alias)).findings

    assert [(f.kind, "what an alias holds cannot be seen here" in f.what) for f in found] == [(kind, True)]


def test_second_server_on_the_same_port_and_network_shadows_the_first() -> None:
    """Taken out of retirement, the old branch has the port, the addresses and the VPC's route."""
    found = judged((OLD_BRANCH, "<mode>p2p_shared_key</mode>")).findings

    assert [f.kind for f in found] == ["shadowed"] * 3
    assert all(f.what.startswith("server 2 ") for f in found)


@pytest.mark.parametrize(
    ("interface", "protocol", "ipaddr", "same"),
    [
        ("wan", "UDP4", "", True),
        ("any", "UDP4", "", True),
        ("opt1", "UDP4", "", False),
        ("wan", "UDP4", "198.51.100.11", False),
        ("wan", "UDP6", "", False),
        ("wan", "TCP4", "", False),
        ("wan", "UDP", "", True),
    ],
)
def test_same_port_is_a_rival_at_the_same_address_alone(
    interface: str, protocol: str, ipaddr: str, *, same: bool
) -> None:
    """Interface, address and family part two servers of one port, as pfSense itself has it."""
    old = f"{OLD_BRANCH}\n\t\t\t<protocol>UDP4</protocol>\n\t\t\t<dev_mode>tun</dev_mode>\n\t\t\t<interface>wan</interface>"
    new = f"<mode>server_tls</mode><protocol>{protocol}</protocol><interface>{interface}</interface><ipaddr>{ipaddr}</ipaddr>"
    network = (
        "<tunnel_network>192.168.0.0/30</tunnel_network>",
        "<tunnel_network>192.168.9.0/24</tunnel_network>",
    )
    found = judged((old, new), network).findings

    assert ["has the same port" in f.what for f in found] == [True] * same


def test_one_flaw_never_hides_another() -> None:
    """All that is wrong with a server is told at once."""
    found = judged((MODE, "<mode>server_user</mode>"), (IROUTES, ""), (ROUTES, "")).findings

    assert [f.kind for f in found] == ["wrong", "missing", "missing"]


def test_finding_names_the_line_the_field_and_the_page() -> None:
    """An engineer sees what pfSense writes, of which field, and where that is entered."""
    (finding,) = judged((LAST_ROUTE, f"{LAST_ROUTE};fragment 1300")).findings

    assert (finding.line, finding.field, finding.mend) == (
        "fragment 1300",
        "custom_options",
        "remove fragment 1300",
    )
    assert finding.page == "VPN > OpenVPN > Servers > Edit > Advanced Configuration > Custom options"


def test_certificate_of_another_name_is_wrong() -> None:
    """The router takes the server by its certificate's name, so the backup's certificate is read."""
    topology_ = declared(('server_name = "office-vpn"', 'server_name = "vpn"'))
    found = check(topology_, read(CONFIG.read_bytes()), AT).findings

    assert [(f.kind, "another name than vpn" in f.what) for f in found] == [("wrong", True)]


@pytest.mark.parametrize(
    ("case", "verdict", "kinds", "phrase"),
    [
        ("alias-remote-network-of-rival", "works, weakly", ["shadowed"], "an OpenVPN client of the firewall"),
        ("alias-static-route", "works, weakly", ["shadowed"], "a static route"),
        ("alias-tunnel-network", "works", [], ""),
        ("cert-expired", "does not work", ["wrong"], "expired on 2026-10-28"),
        ("client-custom-route", "works, weakly", ["shadowed"], "an OpenVPN client of the firewall"),
        ("data-ciphers-empty", "does not work", ["wrong"], "offers no cipher"),
        ("inactive-300", "works, weakly", ["weak"], "idle for 300 s"),
        ("lan-in-vpc", "does not work", ["shadowed"], "the interface opt1"),
        ("ncp-leftover-27", "works", [], ""),
        ("other-interface", "works", [], ""),
        ("push-reset-28", "works, weakly", ["weak"], "takes back the server's pings"),
    ],
)
def test_backup_from_elsewhere_has_its_verdict(
    case: str, verdict: str, kinds: list[str], phrase: str
) -> None:
    """Backups that were misjudged once: each with what is so, and nothing else."""
    found = check(declared(), read((CASES / f"pf-{case}.xml").read_bytes()), AT)

    assert (found.verdict, [f.kind for f in found.findings]) == (verdict, kinds)
    assert all(phrase in f.what for f in found.findings)


def test_firewall_without_a_server_is_told_to_add_one() -> None:
    """Then nothing else is worth saying."""
    (finding,) = check(declared(), read(b"<pfsense><version>23.3</version></pfsense>"), AT).findings

    assert (finding.kind, finding.page) == ("missing", "VPN > OpenVPN > Servers > Add")


def test_topology_without_a_tunnel_asks_nothing_of_an_office() -> None:
    """There is nothing to hold a backup against."""
    with pytest.raises(ValueError, match="declares no tunnel"):
        check(topology(), read(CONFIG.read_bytes()), AT)
