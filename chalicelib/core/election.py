"""Decides which instance is the router: the incumbent while it is eligible, else the best candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core.configuration import forwards, ready, router_interface
from chalicelib.core.errors import NoEligibleRouter

if TYPE_CHECKING:
    from chalicelib.core.observation import History, Instance, Interface, Observation
    from chalicelib.core.topology import Topology


@dataclass(frozen=True, slots=True)
class Election:
    """The router and why.

    `previous` is the instance that was the router before; `counted` says that it still runs and the pins still lead
    to it, so that taking them away is a move for the hold-down, counted once however often it has to be attempted.
    """

    router: Instance
    interface: Interface
    reason: str
    previous: str | None = None
    counted: bool = False

    @property
    def moved(self) -> bool:
        """Whether the router is another instance than before."""
        return self.previous is not None


def elect(topology: Topology, observation: Observation, history: History, to: str | None = None) -> Election:
    """Choose the router; the same snapshot always gives the same answer.

    Args:
        topology: what is declared.
        observation: what was seen.
        history: what the journal remembers; its router stays the incumbent while anything is pinned to it.
        to: the instance an operator names (a switchover); it must be eligible.

    Raises:
        NoEligibleRouter: no candidate, or not the one named, may be the router; says why for each.
    """
    found = _by_readiness(topology, observation, history)
    incumbent = _incumbent(topology, observation, history, found)
    unfit = {c.id: why for c in found if (why := ineligible(topology, c))}
    unfit |= _idle(topology, observation, history, [c for c in found if c.id not in unfit])
    eligible = [c for c in found if c.id not in unfit]
    if to is not None:
        chosen = next((c for c in eligible if c.id == to), None)
        if chosen is None:
            why = unfit.get(to, f"{to} is no candidate of {topology.name}")
            raise NoEligibleRouter(f"{to} cannot be the router: {why}", hint=_choices(eligible))
        reason = "an operator chose it"
    elif incumbent in {c.id for c in eligible}:
        chosen = next(c for c in eligible if c.id == incumbent)
        reason = (
            "the incumbent is eligible"
            if history.router == incumbent
            else f"the network already follows {incumbent}"
        )
    elif eligible:
        chosen, reason = eligible[0], _why_not(observation, incumbent, unfit)
    else:
        raise NoEligibleRouter(
            _nobody(topology, unfit), hint="start or repair a candidate; nothing was changed"
        )
    interface = router_interface(topology, chosen)
    if interface is None:  # never so: an eligible candidate has one
        raise NoEligibleRouter(f"{chosen.id} has no interface to pin")
    before = history.router if chosen.id == incumbent else incumbent
    previous = before if before != chosen.id else None
    runs = any(c.id == incumbent and c.state == "running" for c in found)
    counted = runs and chosen.id not in (incumbent, history.router)  # a move decided before was counted then
    return Election(chosen, interface, reason, previous, counted=counted)


def _by_readiness(topology: Topology, observation: Observation, history: History) -> list[Instance]:
    """List the candidates, the best first: by declared order, then configured and online, then as `candidates` has them."""

    def unready(instance: Instance) -> bool:
        return not ready(topology, observation, history, instance)

    found = candidates(topology, observation)
    return sorted(found, key=lambda c: (_preference(topology, c) or 0, unready(c)))


def _idle(
    topology: Topology, observation: Observation, history: History, fit: list[Instance]
) -> dict[str, str]:
    """Find those that say they do not forward, where another says that it does: routes right, no traffic."""
    said = {c.id: forwards(topology, observation, history, c.id) for c in fit}
    if True not in said.values():
        return {}
    return {c: f"{c} says that it does not forward" for c, word in said.items() if word is False}


def _preference(topology: Topology, instance: Instance) -> int | None:
    """Give the place of the first declared selector that an instance's tags match; None when none does."""
    return next((n for n, tags in enumerate(topology.candidates) if tags.match(instance.tags)), None)


def candidates(topology: Topology, observation: Observation) -> list[Instance]:
    """List the instances that may be elected when eligible, the best first.

    By declared order, then prepared (its source/dest check is off already), then oldest launch, then id.
    """
    ranked = []
    for instance in observation.instances:
        preference = _preference(topology, instance)
        if preference is not None:
            interface = router_interface(topology, instance)
            unprepared = interface is None or interface.source_dest_check
            ranked.append((preference, unprepared, instance.launched_at, instance.id, instance))
    return [instance for *_, instance in sorted(ranked, key=lambda rank: rank[:-1])]


def ineligible(topology: Topology, instance: Instance) -> str | None:
    """Say why an instance may not be the router, or None when it may."""
    if instance.state != "running":
        return f"{instance.id} is {instance.state}"
    if instance.checks == "impaired":
        return f"{instance.id} fails its status checks"
    if instance.notice is not None:
        return f"{instance.id} {instance.notice}"
    interface = router_interface(topology, instance)
    if interface is None:
        return f"{instance.id} does not hold {topology.private_address or 'a network interface'}"
    if interface.subnet_id not in topology.public_subnets:
        return f"{instance.id} sits in {interface.subnet_id}, no declared public subnet"
    return None


def _incumbent(
    topology: Topology, observation: Observation, history: History, found: list[Instance]
) -> str | None:
    """Find whom the network follows now.

    The journal's router as long as anything is pinned to it, so that a stray edit or a run cut off half way never
    moves the router. Otherwise the candidate that most things are pinned to: what somebody moved whole, stays.
    Otherwise whoever the journal remembers, dead or alive.
    """
    pins = _pins(topology, observation)
    held = {c.id: sum(pins.count(i.id) for i in c.interfaces) for c in found}
    if history.router is not None and held.get(history.router):
        return history.router
    most = max(found, key=lambda c: held[c.id], default=None)
    return most.id if most and held[most.id] else history.router


def _pins(topology: Topology, observation: Observation) -> list[str]:
    """List the target of every pinned route, and the interface that holds the Elastic IP."""
    targets = []
    for declared in topology.tables:
        for table in observation.select(declared.selector):
            routes = (table.static(str(d)) for d in topology.router_destinations(declared))
            targets += [route.target for route in routes if route]
    elastic_ip = observation.elastic_ip(topology.elastic_ip)
    return [*targets, elastic_ip.interface_id] if elastic_ip and elastic_ip.interface_id else targets


def _why_not(observation: Observation, incumbent: str | None, unfit: dict[str, str]) -> str:
    if incumbent is None:
        return "there was no router"
    if incumbent in unfit:
        return unfit[incumbent]
    seen = next((i for i in observation.instances if i.id == incumbent), None)
    if seen is None:  # no instance leaves its VPC alive, and EC2 lists a terminated one under no VPC
        return f"{incumbent} is terminated"
    return (
        f"{incumbent} is {seen.state}" if seen.state != "running" else f"{incumbent} is no candidate any more"
    )


def _nobody(topology: Topology, unfit: dict[str, str]) -> str:
    tags = " or ".join(str(tags) for tags in topology.candidates)
    return "no eligible router: " + ("; ".join(unfit.values()) or f"no instance is tagged {tags}")


def _choices(eligible: list[Instance]) -> str:
    names = ", ".join(c.id for c in eligible)
    return f"eligible now: {names}" if names else "no candidate is eligible now; see `mooring status`"
