"""Decides what to tell the operator about what machines said of themselves, and no push mends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.machines.certificate import RENEW_WITHIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.core.machines.machine import Inspection
    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.topology import Topology


def advise_on_machines(
    topology: Topology, observation: Observation, history: History, router_id: str
) -> tuple[str, ...]:
    """List what the candidates said of themselves, and what is stored for them, that Mooring cannot mend."""
    at = observation.taken_at
    words = {m.instance_id: word for m in history.machines if (word := m.fresh(at))}
    found = list(_tunnel(router_id, words[router_id])) if router_id in words else []
    ends = [(word.expires, f"the certificate on {i}") for i, word in words.items() if word.expires]
    if observation.certificate:
        ends.append((observation.certificate.ends, "the certificate that is stored, or its CA,"))
    for moment, what in ends:
        if moment - at <= RENEW_WITHIN:
            days = (moment - at).days
            when = f"ends in {days} day{'s' * (days > 1)}" if days > 0 else "has ended, or ends today"
            found.append(f"{what} {when}: mooring secrets put {topology.name}")
    return tuple(found)


def _tunnel(router_id: str, word: Inspection) -> Iterator[str]:
    if word.holds_address and word.tunnel != "CONNECTED":
        state = f"OpenVPN says {word.tunnel}" if word.tunnel else "OpenVPN does not run"
        yield f"{router_id} is the router and its tunnel is down: {state}; is the office's server up?"
    if word.tunnel == "CONNECTED" and word.grown == 0:
        yield f"{router_id} is connected, and nothing comes through the tunnel"
