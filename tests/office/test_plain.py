"""A plain OpenVPN server's own files are read in OpenVPN's language, and judged by the same rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.cli.errors import FileUnusable
from chalicelib.cli.office.backup import judge_file
from chalicelib.office.language import LONGEST_LINE, Line, parse, split
from chalicelib.office.plain import check_plain, looks_plain
from chalicelib.office.required import office
from tests.office.backups import AT
from tests.on_router.rendered import declared

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.office.finding import Judged

WANTED = office(declared())
SERVER = "\n".join(
    [*(line.text for line in WANTED.server), "<tls-crypt>", "key", "</tls-crypt>", "ca ca.crt"]
)
OWN = "\n".join(line.text for line in WANTED.override)


def judged(server: str, own: str | None = OWN, **files: str) -> Judged:
    """Judge a server and the router's file; other files may be read in between."""
    clients = {} if own is None else {"aws-router": own}
    return check_plain(declared(), "server.conf", server, files.get, clients)


def test_lines_that_are_printed_are_those_that_work() -> None:
    """What `--format openvpn` says has no finding."""
    assert judged(SERVER).findings == ()


@pytest.mark.parametrize(
    ("old", "new", "verdict", "what"),
    [
        ("topology subnet", "topology subnet # of 2.7", "works", ""),
        ("topology subnet", "--topology subnet", "works", ""),
        ("topology subnet", "topology 'subnet'", "works", ""),
        ('push "route 10.0.1.0 255.255.255.0"', "push 'route 10.0.1.0 255.255.255.0'", "works", ""),
        ('push "route 10.0.1.0 255.255.255.0"', "push route\\ 10.0.1.0\\ 255.255.255.0", "works", ""),
        ("allow-compression no", "comp-lzo", "does not work", "frames packets"),
        ("keepalive 1 5", "keepalive 10 60", "works, weakly", "after 60 s"),
        ("keepalive 1 5", "", "works, weakly", "does not tell the router when"),
        ("<tls-crypt>", "<tls-auth>", "does not work", "has no end"),
        ("proto udp4", "proto tcp4-server", "does not work", "does not speak udp4"),
        ("data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305", "data-ciphers AES-256-CBC", "does not work", "offers no cipher"),
        ("client-config-dir ccd", "", "does not work", "has no folder of clients' files"),
        ("remote-cert-tls client", "remote-cert-tls client\nduplicate-cn", "works, weakly", "two clients of one name"),
        ("remote-cert-tls client", "remote-cert-tls client\nauth-user-pass-verify /bin/check via-env", "does not work", "password"),
        ("remote-cert-tls client", "remote-cert-tls client\nno-such-option", "does not work", "knows no option"),
        ("remote-cert-tls client", "remote-cert-tls client\nignore-unknown-option no-such-option\nno-such-option", "works", ""),
        ("remote-cert-tls client", "remote-cert-tls client\nsetenv opt no-such-option", "works", ""),
        ("remote-cert-tls client", f"remote-cert-tls client\npush \"echo {'x' * LONGEST_LINE}\"", "does not work", "longer than 255"),
    ],
)  # fmt: skip
def test_server_is_judged_by_its_lines(old: str, new: str, verdict: str, what: str) -> None:
    """Quotes, blocks and comments are OpenVPN's own."""
    found = judged(SERVER.replace(old, new))

    assert (found.verdict, any(what in f.what for f in found.findings)) == (verdict, bool(what)), (
        found.findings
    )


@pytest.mark.parametrize(
    ("own", "verdict", "what"),
    [
        (None, "does not work", "there is no file of aws-router"),
        (f"{OWN}\ndisable", "does not work", "blocks its connection"),
        (f"{OWN}\npush-reset", "works, weakly", "takes back the server's pings"),
        (f'{OWN}\npush-reset\npush "ping 1"\npush "ping-restart 5"', "works", ""),
        (f'{OWN}\npush "ping-restart 3600"', "works, weakly", "after 3600 s"),
        (OWN.replace(".254", ".77"), "does not work", "another address"),
        (f"{OWN}\nifconfig-push 192.168.0.77 255.255.255.0", "does not work", "another address"),
        (OWN.replace("iroute 10.0.1.0", "# iroute 10.0.1.0"), "does not work", "lacks 10.0.1.0/24"),
    ],
)
def test_routers_file_is_judged_by_its_lines(own: str | None, verdict: str, what: str) -> None:
    """What comes later counts, and a reset takes back what came before it."""
    found = judged(SERVER, own)

    assert (found.verdict, any(what in f.what for f in found.findings)) == (verdict, bool(what)), (
        found.findings
    )


def test_file_that_is_read_in_between_counts() -> None:
    """`config` includes; one that is not here, or includes itself, is told of."""
    whole = SERVER.replace("topology subnet", "config more.conf")

    assert judged(whole, **{"more.conf": "topology subnet"}).findings == ()
    assert ["reads a file that is not here" in f.what for f in judged(whole).findings] == [True]
    assert judged(whole, **{"more.conf": "config more.conf"}).verdict == "does not work"


def test_folder_of_clients_files_is_the_one_that_is_named(tmp_path: Path) -> None:
    """`--ccd`, else the one of client-config-dir beside the file; where neither is here it is unclear."""
    conf = tmp_path / "server.conf"
    conf.write_text(SERVER)
    without = judge_file(declared(), str(conf), None, AT)
    (tmp_path / "ccd").mkdir()
    (tmp_path / "ccd" / "aws-router").write_text(OWN)
    (tmp_path / "elsewhere").mkdir()

    assert [f.kind for f in without.unclear] == ["unclear"]
    assert judge_file(declared(), str(conf), None, AT).findings == ()
    assert judge_file(declared(), str(conf), str(tmp_path / "elsewhere"), AT).verdict == "does not work"
    with pytest.raises(FileUnusable, match="is no folder"):
        judge_file(declared(), str(conf), str(tmp_path / "none"), AT)


@pytest.mark.parametrize(
    ("document", "plain"),
    [(SERVER, True), ("# one\n\n  port 1194", True), ("<ca>\nx\n</ca>", True), ("--port 1194", True), ("<pfsense/>", False), ("", False), ("hello", False)],
)  # fmt: skip
def test_configuration_is_told_from_a_backup_by_its_first_word(document: str, plain: bool) -> None:  # noqa: FBT001
    """A directive, or a block of one."""
    assert looks_plain(document.encode()) is plain


@given(st.text(max_size=400))
def test_any_line_is_split_and_any_file_parsed(text: str) -> None:
    """Nothing that stands in a file is a traceback."""
    words, fault = split(text.replace("\n", " "))
    assert isinstance(words, tuple)
    assert isinstance(fault, str)
    parse(map(Line, text.splitlines()))
    judged(f"{SERVER}\n{text}", f"{OWN}\n{text}")
