"""What is merged into an engineer's backup is all that changes in it, and mends what was wrong."""

from __future__ import annotations

import difflib
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.office.findings import check
from chalicelib.office.merge import NoMerge, merge
from chalicelib.office.reading import read
from tests.office.backups import AT, CONFIG, changed, judged
from tests.office.shapes import BY_NAME, MODE, SHAPES, Shape
from tests.on_router.rendered import declared

BY_HAND = {
    "push reset by hand", "pings removed by hand", "passwords beside certificates", "passwords alone", "comp-lzo by hand",
    "fragments", "disabled by hand", "route past the tunnel", "clients' files elsewhere", "another name asked for",
    "unknown option", "client's option in the server", "quotation without an end", "TLS 1.1 at most", "two overrides",
    "a disabled override comes last", "no override of that name", "capital letters", "override for everybody",
    "two of a name may stay", "CBC, good fallback", "packets without numbers", "room for one client", "no bind", "client's directive",
    "pool beside the pool", "no pool", "routes not set", "compression allowed after all", "port shared over UDP", "removed option",
}  # fmt: skip
"""What an engineer wrote there by hand, or another client's, is left to be mended by hand."""

CHANGED = [shape for shape in SHAPES if shape.name not in BY_HAND]


def merged(document: bytes, key: bytes | None = b"key") -> bytes:
    """Merge the document's topology into a backup."""
    topology = declared()
    assert topology.tunnel is not None
    return merge(document, topology, topology.tunnel, read(document), key)


@pytest.mark.parametrize("shape", CHANGED, ids=lambda shape: shape.name)
def test_merged_backup_works_and_is_not_changed_twice(shape: Shape) -> None:
    """Whatever was wrong with its fields is right then, and merging again changes no byte."""
    once = merged(changed(*shape.changes).encode())

    found = check(declared(), read(once), AT)
    assert found.verdict == "works" or shape.name.endswith("of 2.4.5"), found.findings
    assert merged(once) == once


def test_everything_beside_the_openvpn_area_is_the_same_byte_for_byte() -> None:
    """An engineer's backup is not written anew."""
    before = changed(*BY_NAME["net30, with the whole network"].changes).replace("\n", "\r\n").encode()
    after = merged(before)

    begin, end = b"<openvpn>", b"</openvpn>"
    assert after != before
    assert after.partition(begin)[0] == before.partition(begin)[0]
    assert after.partition(end)[2] == before.partition(end)[2]


def test_other_servers_clients_and_overrides_stay() -> None:
    """Nobody loses a VPN."""
    before, after = CONFIG.read_bytes(), merged(CONFIG.read_bytes())
    old, new = (text.decode().splitlines() for text in (before, after))
    kept = [one for one in difflib.ndiff(old, new) if one[:1] in "+-"]

    assert {one.strip("+- \t").partition(">")[0] for one in kept} <= {
        "<keepalive_interval",
        "<keepalive_timeout",
    }
    assert len(read(after).servers) == 2
    assert [o.text("common_name") for o in read(after).overrides] == ["aws-router", "ada-laptop"]


@pytest.mark.parametrize(
    "document",
    [
        b"<pfsense><version>23.3</version></pfsense>",
        b"<pfsense>\n\t<openvpn/>\n</pfsense>\n",
        b"<pfsense>\n\t<openvpn>\n\t</openvpn>\n</pfsense>\n",
        b"<pfsense><openvpn><openvpn-client><vpnid>4</vpnid></openvpn-client></openvpn></pfsense>",
    ],
)
@pytest.mark.parametrize("version", ["19.1", "21.7", "22.2", "23.3", "24.5"])
def test_firewall_without_a_server_gets_one_with_the_next_number(document: bytes, version: str) -> None:
    """Server and override are added; what is missing then is the certificate alone, which only the firewall can make."""
    given_ = document.replace(b"<version>23.3</version>", b"").replace(
        b"<pfsense>", f"<pfsense><version>{version}</version>".encode()
    )
    after = merged(given_)

    backup = read(after)
    found = [f.what for f in check(declared(), backup, AT).findings if f.stops]
    assert found == ["server {} has no certificate".format("5" if b"<vpnid>4" in document else "1")]
    assert backup.overrides[0].text("server_list") == backup.servers[0].text("vpnid")


def test_certificate_of_the_backup_is_chosen_by_its_name() -> None:
    """The one that the router takes is there already."""
    after = merged(changed(("<certref>5f0000000003</certref>", "<certref></certref>")).encode())

    assert b"<certref>5f0000000003</certref>" in after
    assert check(declared(), read(after), AT).verdict == "works"


def test_server_of_laptops_with_passwords_is_left_alone() -> None:
    """Their passwords are not taken away: the router needs a server of its own."""
    with pytest.raises(NoMerge, match="give the router a second one"):
        merged(changed((MODE, "<mode>server_tls_user</mode>")).encode())


@pytest.mark.parametrize("document", [b"<openvpn></openvpn>", b"<opnsense></opnsense>"])
def test_what_is_no_whole_backup_of_pfsense_is_refused(document: bytes) -> None:
    """There is nothing to keep byte for byte."""
    with pytest.raises(NoMerge, match="no whole backup of pfSense"):
        merged(document)


@given(st.sampled_from(SHAPES), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_merged_backup_is_whole_xml_whatever_it_was(shape: Shape, end: str, comment: bool) -> None:  # noqa: FBT001
    """Line ends, comments and self-closing elements are an engineer's own."""
    text = changed(*shape.changes).replace("<crlref></crlref>", "<crlref/>").replace("\n", end)
    text = text.replace("<openvpn>", "<openvpn><!-- > ' -->") if comment else text
    try:
        after = merged(text.encode())
    except NoMerge:
        return
    ET.fromstring(after)  # noqa: S314 - our own
    assert b"<crlref/>" in after


def test_shapes_that_are_merged_were_judged_before() -> None:
    """The list of what is left by hand names shapes that exist."""
    assert {shape.name for shape in SHAPES} >= BY_HAND
    assert judged().verdict == "works"
