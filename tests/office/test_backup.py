"""A backup is a file from elsewhere: whatever it is, one line says what is wrong with it, and none of its secrets is kept."""

from __future__ import annotations

import dataclasses
import gzip
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from chalicelib.cli.errors import FileUnusable
from chalicelib.cli.office.backup import MOST, read_backup
from chalicelib.office.findings import check
from tests.office.backups import AT, CONFIG, changed
from tests.on_router.rendered import declared

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.office.finding import Finding

LAUGHS = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        pytest.param(b"", "is empty", id="nothing"),
        pytest.param(b" \n", "is empty", id="blank"),
        pytest.param(f"{LAUGHS}]><pfsense>&i;</pfsense>".encode(), "declares entities", id="billion laughs"),
        pytest.param(b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><pfsense>&a;</pfsense>', "declares entities", id="file as an entity"),
        pytest.param(b'<!DOCTYPE pfsense SYSTEM "http://192.0.2.1/x.dtd"><pfsense/>', "document type", id="document type from elsewhere"),
        pytest.param(changed().encode()[:-400], "no whole XML: it stops making sense at line", id="truncated"),
        pytest.param(b"PK\x03\x04" + bytes(range(256)), "no whole XML", id="zip"),
        pytest.param(gzip.compress(b"<pfsense/>"), "no whole XML", id="gzip"),
        pytest.param(b'{"pfsense": {}}', "no whole XML", id="JSON"),
        pytest.param(b"<m0n0wall><system/></m0n0wall>", "is a backup of m0n0wall, but none of pfSense", id="m0n0wall"),
        pytest.param(b"<html><body/></html>", "is XML, but none of pfSense", id="the login page"),
        pytest.param(b"---- BEGIN config.xml ----\nQ0FOQVJZ\n---- END config.xml ----", "is encrypted", id="encrypted"),
        pytest.param(b"<?xml version='1.0' encoding='klingon'?><pfsense/>", "no whole XML|encoding", id="unknown encoding"),
        pytest.param("<pfsense>é</pfsense>".encode("latin-1"), "no whole XML", id="latin-1 without saying so"),
        pytest.param(b"<pfsense>\x00</pfsense>", "no whole XML", id="null byte"),
    ],
)  # fmt: skip
def test_file_that_is_no_backup_gets_one_clear_line(tmp_path: Path, document: bytes, why: str) -> None:
    """The line names the file and what is wrong, and shows nothing of what is in it."""
    path = tmp_path / "config.xml"
    path.write_bytes(document)

    with pytest.raises(FileUnusable, match=why) as caught:
        read_backup(str(path))

    assert caught.value.message.startswith(str(path))
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_file_of_a_hundred_megabytes_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    """No more is read than a backup can have."""
    path = tmp_path / "config.xml"
    with path.open("wb") as file:
        file.write(b"<pfsense>")
        file.truncate(100 << 20)

    tracemalloc.start()
    with pytest.raises(FileUnusable, match="larger than 32 MB"):
        read_backup(str(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 3 * MOST


def test_file_that_is_not_there_or_a_folder_is_told_of(tmp_path: Path) -> None:
    """What the system says is passed on."""
    for path, why in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(FileUnusable, match=why):
            read_backup(str(path))


def test_deep_and_wide_xml_is_read_as_well(tmp_path: Path) -> None:
    """A hundred thousand levels or entries are no backup, but no crash either."""
    deep, wide = tmp_path / "deep.xml", tmp_path / "wide.xml"
    deep.write_text("<pfsense>" + "<a>" * 100_000 + "</a>" * 100_000 + "</pfsense>")
    wide.write_text("<pfsense><openvpn>" + "<openvpn-csc/>" * 100_000 + "</openvpn></pfsense>")

    assert read_backup(str(deep)).servers == ()
    assert len(read_backup(str(wide)).overrides) == 100_000


def test_nothing_secret_of_a_backup_is_kept_but_custom_options() -> None:
    """Keys and passwords do not even leave the parser; custom options are needed for their routes, and never shown."""
    kept = dataclasses.asdict(read_backup(str(CONFIG)))
    for entry in (*kept["servers"], *kept["overrides"], *kept["clients"]):
        entry["elements"].pop("custom_options", None)
    for entries in kept["lists"].values():
        for entry in entries:
            entry["elements"].pop("custom_options", None)

    assert "CANARY" in CONFIG.read_text()
    assert "CANARY" not in repr(kept)


def test_no_finding_shows_what_a_backup_says(tmp_path: Path) -> None:
    """Whatever stands in any element that is read, findings are made of our words and of typed values."""
    text = changed()
    everything: list[Finding] = []
    for element in (
        *(
            "mode",
            "protocol",
            "local_port",
            "vpnid",
            "topology",
            "tls_type",
            "tunnel_network",
            "data_ciphers",
        ),
        *(
            "common_name",
            "remote_network",
            "custom_options",
            "keepalive_timeout",
            "local_network",
            "server_list",
        ),
    ):
        path = tmp_path / f"{element}.xml"
        path.write_text(text.replace(f"<{element}>", f"<{element}>CANARY-{element} "))
        everything += check(declared(), read_backup(str(path)), AT).findings

    assert len(everything) > 9
    assert "CANARY" not in repr(everything)
