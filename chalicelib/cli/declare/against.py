"""Holds a topology that is about to be declared against the network as it is seen now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core.errors import Flaw, ObservationError, TopologyError
from chalicelib.core.network.advice import advise_on_declaration
from chalicelib.core.network.limits import takeover_needs
from chalicelib.core.network.problems import find_problems

if TYPE_CHECKING:
    from chalicelib.controller.ports import Network
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.topology import Topology


@dataclass(frozen=True, slots=True)
class Held:
    """What a look told: `problems` that a person can mend, and `advice`; `unseen` says why there was no look, if there was none."""

    problems: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    unseen: str | None = None


def hold(topology: Topology, network: Network) -> Held:
    """Look at the network, and find what is declared that cannot be kept.

    A network that cannot be seen is no reason to refuse: whoever declares may have no right to look, and AWS may be away
    when it matters most. Each run of the worker tells the same, as advice and problems, for as long as it is so.

    Raises:
        TopologyError: the limits are below what a takeover or failover of the network seen changes.
    """
    try:
        observation = network.observe(topology)
    except ObservationError as error:
        return Held(unseen=error.message)
    flaws = _limit_flaws(topology, observation)
    if flaws:
        raise TopologyError(flaws)
    return Held(find_problems(topology, observation), advise_on_declaration(topology, observation))


def _limit_flaws(topology: Topology, observation: Observation) -> tuple[Flaw, ...]:
    limits = {"changes": topology.limits.changes, "tables": topology.limits.tables}
    return tuple(
        Flaw(
            f"limits.{key}",
            limits[key],
            f"to take over, or fail over, the network seen needs {least}; declare at least that",
        )
        for key, least in takeover_needs(topology, observation).items()
        if limits[key] < least
    )
