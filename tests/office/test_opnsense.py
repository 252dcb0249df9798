"""OPNsense's instances and servers of before are judged by what it writes of them, like pfSense's."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from chalicelib.cli.office.verb import lines
from chalicelib.office.findings import check
from chalicelib.office.reading import read
from tests.office.backups import AT
from tests.office.opnsense import SHAPES, judged
from tests.on_router.rendered import declared


@pytest.mark.parametrize("name", SHAPES)
def test_shape_has_its_verdict(name: str) -> None:
    """One change, one finding with OPNsense's own page."""
    _, _, verdict, phrase = SHAPES[name]
    found = judged(name)

    assert found.verdict == verdict, found.findings
    assert any(phrase in f.what for f in found.findings) == bool(phrase)
    assert all(f.page.startswith("VPN > OpenVPN > ") and f.mend for f in found.findings)


def test_secrets_stay_in_the_parser() -> None:
    """Keys are there or not."""
    assert "CANARY" not in repr(judged("has everything"))


def test_xml_that_is_printed_is_an_openvpn_element_that_has_everything() -> None:
    """Put into a backup, and with a certificate chosen, it has no finding; it warns in its first line."""
    printed = "\n".join(lines(declared(), "opnsense-xml"))
    element = ET.fromstring(printed)  # noqa: S314 - our own

    document = b"<opnsense><OPNsense>" + ET.tostring(element) + b"</OPNsense></opnsense>"
    found = check(declared(), read(document), AT)
    assert element.tag == "OpenVPN"
    assert "take every other instance and override away" in printed.splitlines()[0]
    assert [f.what for f in found.findings] == ["server 1 has no certificate"]


def test_firewall_without_an_instance_is_told_to_add_one() -> None:
    """By OPNsense's page."""
    (finding,) = check(declared(), read(b"<opnsense/>"), AT).findings

    assert finding.page == "VPN > OpenVPN > Instances > Add"
