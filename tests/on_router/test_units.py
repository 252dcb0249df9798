"""The units say what systemd understands, and start in an order that leaves no packet untranslated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.core.tunnel.render import UNIT, UNITS
from tests.on_router.box import install, needs, run
from tests.on_router.rendered import rendered, text_of

if TYPE_CHECKING:
    from pathlib import Path

VERIFY = "systemd-analyze verify --man=no 2>&1"


@needs("systemd-analyze", "openvpn")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """Its own verifier has nothing to say of our units, nor of OpenVPN's with our drop-in."""
    root = install(rendered(), tmp_path)

    assert run(root, f"{VERIFY} {UNIT} {' '.join(f'/etc/systemd/system/{unit}' for unit in UNITS)}") == ""


@needs("systemd-analyze", "openvpn")
@pytest.mark.parametrize(
    "file", ["mooring-role.service", "mooring-firewall.service", f"{UNIT}.d/mooring.conf"]
)
def test_line_that_systemd_does_not_understand_would_be_seen(tmp_path: Path, file: str) -> None:
    """The verifier judges the very files that are rendered."""
    root = install(rendered(), tmp_path)
    unit = file.partition(".d/")[0]
    path = f"/etc/systemd/system/{file}"

    said = run(root, f"sed -i 's/^\\[Service\\]/&\\nRestart=perhaps/' {path}; {VERIFY} {unit} || true")

    assert "perhaps" in said


def test_what_is_enabled_can_be_and_the_tunnel_is_not() -> None:
    """At boot the rules load and the role looks; OpenVPN's unit is the role's to start."""
    for unit in UNITS:
        assert "[Install]\nWantedBy=multi-user.target\n" in text_of(rendered(), unit)
    assert UNIT not in UNITS
    assert "[Install]" not in text_of(rendered(), f"{UNIT}.d/mooring.conf")


def test_rules_come_before_the_network_and_after_what_could_undo_them() -> None:
    """Before any packet, and after sysctl's files, which may say that nothing is forwarded."""
    unit = text_of(rendered(), "mooring-firewall.service")

    assert "Before=network-pre.target" in unit
    assert "systemd-sysctl.service" in next(line for line in unit.splitlines() if line.startswith("After="))


def test_tunnel_is_restarted_for_ever_and_keeps_one_capability() -> None:
    """The stock unit has no Restart=, and systemd's own limit would end it after five starts."""
    lines = text_of(rendered(), f"{UNIT}.d/mooring.conf").splitlines()

    assert {"StartLimitIntervalSec=0", "Restart=always"} <= set(lines)
    bounding = [line for line in lines if line.startswith("CapabilityBoundingSet=")]
    assert bounding == [
        "CapabilityBoundingSet=",
        "CapabilityBoundingSet=CAP_NET_ADMIN",
    ]  # the first empties the stock list
