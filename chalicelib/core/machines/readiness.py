"""Decides which configuration a candidate should have, and whether it is known to have it and to work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core.network.interface import address_of, pinned_address, router_interface
from chalicelib.core.tunnel.render import Box, render

if TYPE_CHECKING:
    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Instance, Observation
    from chalicelib.core.network.topology import Topology
    from chalicelib.core.tunnel.render import Bundle


def box_of(topology: Topology, observation: Observation, instance: Instance) -> Box | None:
    """Tell a candidate's box; None when it has no interface to pin, or the declared Elastic IP was not seen."""
    interface = router_interface(topology, instance)
    elastic_ip = observation.elastic_ip(topology.elastic_ip)
    if interface is None or elastic_ip is None or not interface.addresses:
        return None
    return Box(pinned_address(topology, interface), address_of(elastic_ip.public_address))


def wanted(topology: Topology, observation: Observation, instance: Instance) -> Bundle | None:
    """Return the configuration that a candidate should have; None when none is declared, or none can be known."""
    box = box_of(topology, observation, instance)
    return render(topology, box) if topology.tunnel and box else None


@dataclass(frozen=True, slots=True)
class Readiness:
    """What candidates' machines said of themselves of late, as far as an election asks for it.

    `unready` are those not known to be configured as declared, and online; `forwarding` and `idle` those that say that
    they forward, or do not.
    """

    unready: frozenset[str] = frozenset()
    forwarding: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()


def readiness(topology: Topology, observation: Observation, history: History) -> Readiness:
    """Sum up what machines said; nothing where no tunnel is declared, since their configuration is not ours then."""
    if topology.tunnel is None:
        return Readiness()
    found = [i for i in observation.instances if topology.preference(i.tags) is not None]
    said = {i.id: forwards(topology, observation, history, i) for i in found}
    return Readiness(
        unready=frozenset(i.id for i in found if not ready(topology, observation, history, i)),
        forwarding=frozenset(i for i, word in said.items() if word),
        idle=frozenset(i for i, word in said.items() if word is False),
    )


def ready(topology: Topology, observation: Observation, history: History, instance: Instance) -> bool:
    """Return whether a machine has said of late that it is configured as declared; so it is where nothing is declared."""
    if topology.tunnel is None:
        return True
    word = history.machine(instance.id).fresh(observation.taken_at)
    bundle = wanted(topology, observation, instance)
    agent = (observation.agents or {}).get(instance.id)
    online = observation.agents is None or (agent is not None and agent.online)
    return bool(word and bundle and online and word.digest == bundle.digest and not word.drift)


def forwards(
    topology: Topology, observation: Observation, history: History, instance: Instance
) -> bool | None:
    """Return whether a machine has said of late that it forwards; None when nobody knows.

    What it said in another launch, or before it was the router, does not count.
    """
    word = history.machine(instance.id).fresh(observation.taken_at)
    if topology.tunnel is None or word is None or word.at < instance.launched_at:
        return None
    if instance.id == history.router and word.at < max(
        filter(None, (history.since, history.insisted_at)), default=word.at
    ):
        return None
    bare = word.digest is None and not word.drift  # it is no router yet
    return None if bare else word.forwarding
