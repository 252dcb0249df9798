"""Whatever a backup is made of, it is judged or refused in one line: no traceback, no secret, no endless work."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.office.findings import check
from chalicelib.office.language import without_secrets
from chalicelib.office.merge import NoMerge, merge
from chalicelib.office.reading import READ, NoBackup, read
from tests.office.backups import AT, CONFIG, changed
from tests.office.opnsense import INSTANCES
from tests.on_router.rendered import declared

if TYPE_CHECKING:
    from chalicelib.office.finding import Judged

TOPOLOGY = declared()
TAGS = sorted(
    {name.partition("/")[0] for names in READ.values() for name in names.split()} | {"tls", "any", "not"}
)
WORDS = (
    "", "0", "1", "-1", "yes", "disabled", "1194", "99999999999999999999", "²", "10.0.0.0/16", "10.0.0.0/99", "192.168.0.0/24",
    "192.168.0.254/24", "255.255.255.255/0", "::/0", "AWS_VPC", "AWS_VPC,AWS_VPC", "a-b", "10.0.0.9-10.0.0.1", "aws-router", "server_tls",
    "p2p_tls", "p2p_shared_key", "UDP4", "TCP", "subnet", "net30", "keepalive", "ping", "ping_restart", 'push "', "route 10.0.0.0", "\\",
    "keepalive 1;ping x", "x" * 300, "any", "(self)", "wanip", "1:2:3", "AES-256-GCM, , BF-CBC", "\u202e", "wan", "_vip1",
)  # fmt: skip
LISTS = sorted(READ)


def survives(document: bytes) -> Judged | None:
    """Read, judge, write and merge a document; None where it is refused."""
    try:
        backup = read(document)
    except NoBackup as refused:
        one_line(refused)
        return None
    judged = check(TOPOLOGY, backup, AT)
    for file in [judged.effective.server, *judged.effective.overrides.values()] if judged.effective else []:
        assert all(isinstance(without_secrets(line), str) for line in file.lines)
    assert TOPOLOGY.tunnel is not None
    try:
        read(merge(document, TOPOLOGY, TOPOLOGY.tunnel, backup))
    except NoMerge as refused:
        one_line(refused)
    return judged


def one_line(refused: Exception) -> None:
    """What is refused is refused in one line."""
    assert "\n" not in str(refused)


@st.composite
def elements(draw: st.DrawFn) -> str:
    """Draw an element that is read, with a text that is or is not what it should be, or with elements within."""
    tag = draw(st.sampled_from(TAGS))
    text = draw(
        st.sampled_from(WORDS) | st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20)
    )
    inner = draw(
        st.sampled_from(
            ["", "<network>lan</network>", "<any/>", "<address>10.0.0.0/8</address><port>1:9</port>"]
        )
    )
    return f"<{tag}>{escape(text)}{inner}</{tag}>"


@st.composite
def backups(draw: st.DrawFn) -> str:
    """Draw a backup of either product with lists of such entries."""
    body = ""
    for path in draw(st.lists(st.sampled_from(LISTS), max_size=8)):
        entry = "".join(draw(st.lists(elements(), max_size=12)))
        for tag in reversed(path.split("/")):
            entry = f"<{tag}>{entry}</{tag}>"
        body += entry
    root = draw(st.sampled_from(["pfsense", "opnsense", "openvpn"]))
    version = draw(st.sampled_from(["19.1", "21.7", "22.2", "23.3", "24.5", "x", "999.999", ""]))
    return f"<{root}><version>{version}</version>{body}</{root}>"


@given(backups())
def test_backup_of_any_entries_is_judged(text: str) -> None:
    """Fields may hold anything; lists may be anywhere and of any length."""
    survives(text.encode())


@given(st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(WORDS)), min_size=1, max_size=4))
@pytest.mark.parametrize("base", [changed(), INSTANCES], ids=["pfSense", "OPNsense"])
def test_good_backup_with_strange_values_is_judged(base: str, values: list[tuple[str, str]]) -> None:
    """One field after another is made something else."""
    for tag, text in values:
        base = base.replace(f"<{tag}>", f"<{tag}>{escape(text)}")
    assert survives(base.encode()) is not None


@given(st.integers(0, 6000), st.binary(min_size=1, max_size=4))
@example(0, b"\xff\xfe")
@example(0, b"\xef\xbb\xbf")
def test_backup_with_bytes_exchanged_is_judged_or_refused(place: int, put: bytes) -> None:
    """A disk, a mail or an editor may do that."""
    document = CONFIG.read_bytes()
    survives(document[:place] + put + document[place + len(put) :])


@given(st.binary(max_size=200))
def test_bytes_are_refused_or_judged(document: bytes) -> None:
    """Whatever is named for a backup."""
    survives(document)


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE x [<!ENTITY a "b">]><pfsense><openvpn>&a;</openvpn></pfsense>',
        b"<pfsense>" + b"<openvpn>" * 50_000 + b"</openvpn>" * 50_000 + b"</pfsense>",
        "<?xml version='1.0' encoding='utf-16'?><pfsense><openvpn/></pfsense>".encode("utf-16"),
        "<pfsense><openvpn><openvpn-server><vpnid>é</vpnid></openvpn-server></openvpn></pfsense>".encode(),
        b"<pfsense a='>' b=\"'>\"><openvpn/></pfsense>",
        b"<pfsense><!-- <openvpn> --><![CDATA[<openvpn>]]><openvpn/></pfsense>",
        b"<pfsense><?php echo '>' ?><openvpn></openvpn></pfsense>",
    ],
    ids=["entity", "deep", "UTF-16", "letters", "attributes", "comments", "instruction"],
)
def test_strange_xml_is_judged_or_refused(document: bytes) -> None:
    """Entities, depth, other encodings, and a > that ends nothing."""
    survives(document)


def test_alias_that_names_itself_ends() -> None:
    """PfSense refuses a loop; a file may hold one."""
    loop = "<aliases><alias><name>A</name><address>B B B</address></alias><alias><name>B</name><address>A A A</address></alias></aliases>"
    text = changed(("<staticroutes>", f"{loop}<staticroutes>"), ("<network>172.20.0.0/16", "<network>A"))

    judged = survives(text.encode())

    assert judged is not None
    assert judged.findings == ()


def test_many_entries_are_judged_in_a_moment() -> None:
    """Ten thousand overrides, routes and rules are a large office."""
    many = "<route><network>172.16.1.0/24</network></route>" * 10_000
    more = (
        "<openvpn-csc><common_name>x</common_name><remote_network>172.16.0.0/24</remote_network></openvpn-csc>"
        * 3_000
    )
    text = changed(
        ("<staticroutes>", f"<staticroutes>{many}"),
        ("\t\t<openvpn-csc>\n\t\t\t<server_list></", f"{more}<openvpn-csc><server_list></"),
    )

    assert survives(text.encode()) is not None
