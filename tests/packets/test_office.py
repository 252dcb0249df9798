"""The office's side fails: the tunnel is back by itself soon after the office is, with no action of Mooring's."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.packets.beyond import SECOND_WAN
from tests.packets.probe import answers

if TYPE_CHECKING:
    from tests.packets.lab import Lab

BACK, AWAY = 6.0, 45.0
"""The bounds on a return: seconds until the tunnel is back once the server is, and for how long it is unreachable."""


def back_within(lab: Lab, since: float) -> float:
    """Wait until both ways work again, and give the seconds since a moment."""
    lab.until(
        lambda: answers(lab.namespace("private"), lab.address("lan0"), patience=0.1), "the tunnel is back", 60
    )
    took = time.monotonic() - since
    assert answers("lan0", lab.address("private"))
    return took


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_restarted_server_has_its_router_back(lab: Lab, how: signal.Signals) -> None:
    """An orderly end tells the router; a sudden one shows when keepalive's answers stay away."""
    lab.world.forget_calls()
    lab.beyond.stop_server(how)
    time.sleep(1)
    lab.beyond.start_server()
    since = time.monotonic()
    # Killed, it is missed after ping-restart's 5 s, counted from the last packet, and what follows is quick.
    assert back_within(lab, since) <= BACK
    assert [c for c in lab.world.calls if c.by == "product"] == []


def test_unreachable_office_has_its_router_back(lab: Lab) -> None:
    """A client that has tried in vain for 45 s tries again within seconds."""
    lab.world.forget_calls()
    lab.beyond.cut(off=True)
    time.sleep(AWAY)
    assert not answers(lab.namespace("private"), lab.address("lan0"))
    lab.beyond.cut(off=False)
    assert back_within(lab, time.monotonic()) <= BACK
    assert [c for c in lab.world.calls if c.by == "product"] == []


def test_office_at_another_address_behind_its_name_is_found(lab: Lab) -> None:
    """The name is asked for again: the server moves, and the name with it."""
    lab.beyond.stop_server(signal.SIGKILL)
    lab.beyond.move(SECOND_WAN)
    lab.names["vpn.example.com"] = SECOND_WAN
    time.sleep(12)  # by now the client misses the server
    lab.beyond.start_server()
    assert back_within(lab, time.monotonic()) <= BACK
    router = lab.machines[lab.router]
    assert router.said(f"link remote: [AF_INET]{SECOND_WAN}:1194")
