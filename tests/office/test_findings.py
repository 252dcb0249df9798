"""A backup is held against the topology: whatever would keep the tunnel from working is found, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.cli.backup import read_backup
from chalicelib.office.findings import check
from tests.builders import topology
from tests.office.backups import CONFIG, changed
from tests.router.rendered import declared

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.office.finding import Finding

MODE = "<mode>server_tls</mode>"
PORT = "<local_port>1194</local_port>\n\t\t\t<description><![CDATA[Laptops and AWS]]>"
NETWORK = "<tunnel_network>192.168.0.0/24</tunnel_network>"
OVERRIDE = "<common_name>aws-router</common_name>"
IROUTES = "<remote_network>10.0.0.0/24,10.0.1.0/24,10.0.2.0/24,10.0.10.0/24</remote_network>"
OWN = "<tunnel_network>192.168.0.254/24</tunnel_network>"
LAPTOP = "<common_name>ada-laptop</common_name>"
LAPTOPS_OWN = "<tunnel_network>192.168.0.20/24</tunnel_network>"
OLD_BRANCH = "<disable></disable>\n\t\t\t<mode>p2p_shared_key</mode>"
COMPRESSION = "<compression></compression>"
ALLOW = "<allow_compression>no</allow_compression>"
CIPHERS = "<data_ciphers>AES-256-GCM,AES-128-GCM,CHACHA20-POLY1305</data_ciphers>"
FALLBACK = "<data_ciphers_fallback>AES-256-CBC</data_ciphers_fallback>"
LOCAL = "<local_network>10.100.100.0/24,10.100.200.0/24,10.100.30.0/24,10.0.0.0/16</local_network>"
LAST_ROUTE = "; route 10.0.10.0 255.255.255.0"
TIMEOUT = "<keepalive_timeout>10</keepalive_timeout>"


def findings(folder: Path, *changes: tuple[str, str]) -> tuple[Finding, ...]:
    """Check a backup with some of its text exchanged."""
    path = folder / "config.xml"
    path.write_text(changed(*changes))
    return check(declared(), read_backup(str(path)))


def test_backup_that_has_everything_has_no_finding() -> None:
    """Disabled servers and routes, other overrides and clients are no fault."""
    assert check(declared(), read_backup(str(CONFIG))) == ()


@pytest.mark.parametrize(
    ("old", "new", "kind", "what", "page"),
    [
        pytest.param(OVERRIDE, "<common_name>aws-routr</common_name>", "missing", "there is no override of aws-router; without it", "Common Name", id="no override"),
        pytest.param(OVERRIDE, "<common_name>AWS-Router</common_name>", "missing", "differs by capital letters", "Common Name", id="capital letters"),
        pytest.param(OVERRIDE, f"{OVERRIDE}<disable></disable>", "missing", "the override of aws-router is disabled", "Disable", id="override disabled by an empty element"),
        pytest.param(f"<server_list>1</server_list>\n\t\t\t{OVERRIDE}", f"<server_list>2,7</server_list>{OVERRIDE}", "wrong", "is for other servers than server 1", "Server List", id="override of another server"),
        pytest.param(f"{OVERRIDE}\n\t\t\t<block></block>", f"{OVERRIDE}<block>yes</block>", "wrong", "blocks its connection", "Connection blocking", id="blocked"),
        pytest.param(OWN, "<tunnel_network></tunnel_network>", "missing", "gives no address", "IPv4 Tunnel Network", id="no fixed address"),
        pytest.param(OWN, "<tunnel_network>192.168.0.253/24</tunnel_network>", "wrong", "gives another address than 192.168.0.254/24", "IPv4 Tunnel Network", id="another fixed address"),
        pytest.param(OWN, "<tunnel_network>192.168.0.254/30</tunnel_network>", "wrong", "gives another address", "IPv4 Tunnel Network", id="another mask"),
        pytest.param(IROUTES, "<remote_network>10.0.0.0/24,10.0.1.0/24</remote_network>", "missing", "lacks 10.0.2.0/24,10.0.10.0/24: packets for it are dropped", "IPv4 Remote Network/s", id="iroutes missing"),
        pytest.param(IROUTES, "<remote_network>AWS_nets</remote_network>", "missing", "what an alias holds cannot be seen", "IPv4 Remote Network/s", id="alias"),
        pytest.param(IROUTES, "<remote_network>10.0.0.0/16,10.100.30.0/24</remote_network>", "wrong", "claims networks of the office", "IPv4 Remote Network/s", id="office claimed for the VPC"),
        pytest.param("<push_reset></push_reset>", "<push_reset>yes</push_reset>", "weak", "takes back the server's pings", "Reset Server Options", id="pings taken back"),
        pytest.param(LAPTOP, OVERRIDE, "shadowed", "2 overrides are named aws-router", "Common Name", id="two overrides"),
        pytest.param(LAPTOPS_OWN, f"{LAPTOPS_OWN}<remote_network>10.0.2.128/25</remote_network>", "shadowed", "another client's override claims part of the VPC", "IPv4 Remote Network/s", id="iroute of another"),
        pytest.param(LAPTOPS_OWN, "<tunnel_network>192.168.0.254/24</tunnel_network>", "shadowed", "gives 192.168.0.254 as well", "IPv4 Tunnel Network", id="address of another"),
        pytest.param(MODE, "<mode>server_tls_user</mode>", "wrong", "asks for a user's password", "Server mode", id="password"),
        pytest.param(MODE, "<mode>server_user</mode>", "wrong", "asks for a user's password", "Server mode", id="password alone"),
        pytest.param(MODE, "<mode>strange</mode>", "wrong", "in no mode that is known", "Server mode", id="unknown mode"),
        pytest.param(MODE, f"{MODE}<disable></disable>", "missing", "server 1 is disabled", "Disabled", id="server disabled by an empty element"),
        pytest.param(MODE, f"{MODE}<duplicate_cn></duplicate_cn>", "weak", "lets two clients of one name stay", "Duplicate Connection", id="duplicates, by an empty element"),
        pytest.param("<remote_cert_tls></remote_cert_tls>", "", "weak", "takes a server's certificate for a client's", "Key Usage", id="key usage"),
        pytest.param(PORT, PORT.replace("1194", "1195"), "wrong", "listens on port 1195, the router dials 1194", "Local port", id="port"),
        pytest.param("<protocol>UDP4</protocol>\n\t\t\t<dev_mode>tun</dev_mode>\n\t\t\t<interface>wan</interface>\n\t\t\t<ipaddr>", "<protocol>TCP4</protocol><ipaddr>", "wrong", "does not speak udp4", "Protocol", id="protocol"),
        pytest.param(NETWORK, "<tunnel_network>192.168.7.0/24</tunnel_network>", "wrong", "another tunnel network than 192.168.0.0/24", "IPv4 Tunnel Network", id="tunnel network"),
        pytest.param("<tls>CANARY-tls-key</tls>", "<tls></tls>", "missing", "has no TLS key", "TLS Configuration", id="no TLS key"),
        pytest.param("<tls_type>crypt</tls_type>", "<tls_type>auth</tls_type>", "wrong", "speaks tls-auth", "TLS Key Usage Mode", id="tls-auth"),
        pytest.param("<topology>subnet</topology>", "<topology>net30</topology>", "wrong", "a topology in which", "Topology", id="net30"),
        pytest.param("<topology>subnet</topology>", "<topology></topology>", "wrong", "a topology in which", "Topology", id="topology never saved"),
        pytest.param(CIPHERS, "<data_ciphers>aes-256-gcm, BF-CBC</data_ciphers>", "weak", "offers old ciphers", "Data Encryption Algorithms", id="Blowfish among others"),
        pytest.param(CIPHERS, "<data_ciphers>AES-256-CBC</data_ciphers>", "wrong", "offers no cipher that the router accepts", "Data Encryption Algorithms", id="CBC alone"),
        pytest.param("<ncp_enable>enabled</ncp_enable>", "<ncp_enable>disabled</ncp_enable>", "wrong", "offers no cipher", "Data Encryption Algorithms", id="no negotiation"),
        pytest.param(FALLBACK, "<data_ciphers_fallback>BF-CBC</data_ciphers_fallback>", "weak", "offers old ciphers", "Data Encryption Algorithms", id="Blowfish"),
        pytest.param(LAST_ROUTE, "", "missing", "does not route 10.0.10.0/24 into the tunnel", "Custom options", id="route missing"),
        pytest.param(LOCAL, LOCAL.replace("10.100.30.0/24,", ""), "missing", "does not tell laptops of 10.100.30.0/24", "IPv4 Local network(s)", id="push missing"),
        pytest.param(LOCAL, "<local_network>LANs</local_network>", "missing", "what an alias holds cannot be seen", "IPv4 Local network(s)", id="alias for the push"),
        pytest.param(LAST_ROUTE, f"{LAST_ROUTE};comp-lzo adaptive", "weak", "has comp-lzo among its custom options", "Custom options", id="comp-lzo"),
        pytest.param(ALLOW, "<allow_compression>asym</allow_compression>", "weak", "allows compression", "Allow Compression", id="compression allowed"),
        pytest.param(TIMEOUT, "", "weak", "given up for dead only after 60 s", "Timeout", id="pfSense's default timeout"),
        pytest.param("<ping_method>keepalive</ping_method>", "<ping_method>ping</ping_method>", "weak", "does not tell the router when", "Ping settings", id="pings not pushed"),
        pytest.param("<network>172.20.0.0/16</network>", "<network>10.0.0.0/16</network>", "shadowed", "a static route leads part of the VPC elsewhere", "Static Routes", id="static route"),
        pytest.param("<remote_network>172.21.0.0/16</remote_network>", "<remote_network>10.0.1.0/24</remote_network>", "shadowed", "an OpenVPN client of the firewall routes", "Clients", id="client of the firewall"),
    ],
)  # fmt: skip
def test_what_differs_is_found_with_its_kind_and_its_page(
    tmp_path: Path, old: str, new: str, kind: str, what: str, page: str
) -> None:
    """Each thing that would keep the tunnel from working is one finding that says what, where and what to enter."""
    found = findings(tmp_path, (old, new))

    assert [(f.kind, what in f.what, page in f.page, bool(f.mend)) for f in found if what in f.what] == [
        (kind, True, True, True)
    ]
    assert len(found) <= 3


def test_second_server_on_the_same_port_and_network_shadows_the_first(tmp_path: Path) -> None:
    """Taken out of retirement, the old branch has the port, the addresses and the VPC's route."""
    found = findings(tmp_path, (OLD_BRANCH, "<mode>p2p_shared_key</mode>"))

    assert [f.kind for f in found] == ["shadowed"] * 3
    assert all(f.what.startswith("server 2 ") for f in found)


def test_static_key_is_weak_and_everything_else_of_that_server_is_told_as_well(tmp_path: Path) -> None:
    """One flaw never hides another."""
    found = findings(
        tmp_path, (MODE, "<mode>p2p_shared_key</mode>"), (CIPHERS, ""), (OWN, ""), (LAST_ROUTE, "")
    )

    assert {f.kind for f in found} == {"weak", "missing"}
    assert len(found) == 3


def test_compression_that_is_on_is_weak_whatever_pushes_it(tmp_path: Path) -> None:
    """`allow_compression` not being `no` lets the old setting through."""
    found = findings(
        tmp_path,
        (ALLOW, "<allow_compression>yes</allow_compression>"),
        (COMPRESSION, "<compression>lz4</compression>"),
    )

    assert [f.kind for f in found] == ["weak"]
    assert "the router refuses that" in found[0].what


def test_remote_networks_of_a_laptops_server_route_nothing_and_those_of_a_peers_do(tmp_path: Path) -> None:
    """Kernel routes of a server's remote networks exist in peer-to-peer modes alone (pfSense's openvpn.inc)."""
    remote = ("<remote_network></remote_network>", "<remote_network>10.0.0.0/16</remote_network>")
    bare = (
        "route 10.0.0.0 255.255.255.0;route 10.0.1.0 255.255.255.0;\nroute 10.0.2.0 255.255.255.0; route 10.0.10.0 255.255.255.0",
        "",
    )

    laptops = findings(tmp_path, remote, bare)
    peers = findings(tmp_path, remote, bare, (MODE, "<mode>p2p_tls</mode>"))

    assert ["its remote networks are ignored in this mode" in f.what for f in laptops] == [True]
    assert peers == ()


def test_flag_that_php_takes_for_false_is_off(tmp_path: Path) -> None:
    """An empty element or 0 is off where pfSense looks at the text, unlike where it looks for the element."""
    found = findings(
        tmp_path,
        (LOCAL, "<local_network></local_network>"),
        ("<gwredir></gwredir>\n\t\t\t<gwredir6>", "<gwredir>0</gwredir><gwredir6>"),
    )
    redirected = findings(
        tmp_path,
        (LOCAL, "<local_network></local_network>"),
        ("<gwredir></gwredir>\n\t\t\t<gwredir6>", "<gwredir>yes</gwredir><gwredir6>"),
    )

    assert ["does not tell laptops" in f.what for f in found] == [True]
    assert redirected == ()


def test_certificate_of_another_name_is_wrong(tmp_path: Path) -> None:
    """The router takes the server by its certificate's name, so the backup's certificate is read."""
    path = tmp_path / "config.xml"
    path.write_text(changed())

    found = check(declared(('server_name = "office-vpn"', 'server_name = "vpn"')), read_backup(str(path)))

    assert [(f.kind, "another name than vpn" in f.what) for f in found] == [("wrong", True)]


def test_firewall_without_a_server_is_told_to_add_one(tmp_path: Path) -> None:
    """Then nothing else is worth saying."""
    path = tmp_path / "config.xml"
    path.write_text("<pfsense><version>23.3</version></pfsense>")

    (finding,) = check(declared(), read_backup(str(path)))

    assert (finding.kind, finding.page) == ("missing", "VPN > OpenVPN > Servers > Add")


def test_topology_without_a_tunnel_asks_nothing_of_an_office() -> None:
    """There is nothing to hold a backup against."""
    with pytest.raises(ValueError, match="declares no tunnel"):
        check(topology(), read_backup(str(CONFIG)))
