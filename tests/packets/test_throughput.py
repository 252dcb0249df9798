"""The rendered configuration is no slower than what OpenVPN brings by itself; the table is in docs/how-it-is-tested.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.packets.throughput import DEFAULTS, PLAIN, RENDERED, measure

if TYPE_CHECKING:
    from tests.packets.lab import Lab


def test_rendered_tunnel_carries_what_the_defaults_do(lab: Lab) -> None:
    """Half of it would be a fault of the configuration; less than that the noise of a shared machine cannot tell."""
    speeds = measure(lab, seconds=1, rounds=2)
    assert speeds[RENDERED].there > speeds[DEFAULTS].there / 2
    assert speeds[RENDERED].back > speeds[DEFAULTS].back / 2
    assert speeds[PLAIN].there > speeds[RENDERED].there
