"""Decides which instance is the router: the journal's while nothing credible speaks against it, else the best candidate.

What EC2 shows may be minutes old, each listing by itself; what the journal holds never is. So evidence against the router
counts only if it cannot be from before the router was decided on (docs/decisions/0008).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.core.errors import NoEligibleRouter, ObservationError
from chalicelib.core.network.candidates import candidates, follows, ineligible, misplaced, noticed, unable
from chalicelib.core.network.history import READ_LAG, Cause, History, Sighting
from chalicelib.core.network.interface import router_interface

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from chalicelib.core.machines.readiness import Readiness
    from chalicelib.core.network.guard import Refusal
    from chalicelib.core.network.observation import Instance, Interface, Observation
    from chalicelib.core.network.topology import Topology

AGREEING = timedelta(seconds=30)
"""How far apart looks must be that agree on a network moved whole: two listings in one breath are one witness."""


@dataclass(frozen=True, slots=True)
class Election:
    """The router and why.

    Attributes:
        router: the instance, None where nobody may be the router: then all stays that needs one.
        interface: where the pins go; None with the router.
        reason: why it is the router, or why nobody is.
        previous: the instance that was the router before; None when it stays.
        cause: why that one is left.
        problems: what is wrong with a router that stays all the same, and what was not believed.
        sighting: evidence, not enough yet, that somebody moved the whole network to another candidate.
        held: the guard that keeps the network on a router that would be left.
        against: what an operator overruled.
        doubtful: EC2's readings contradict each other about the router, or what is known of it: another look may help.
    """

    router: Instance | None
    interface: Interface | None
    reason: str
    previous: str | None = None
    cause: Cause = "none"
    problems: tuple[str, ...] = ()
    sighting: Sighting | None = None
    held: Refusal | None = None
    against: str | None = None
    doubtful: bool = False

    @property
    def moved(self) -> bool:
        """Whether the router is another instance than before."""
        return self.previous is not None


def elect(
    topology: Topology,
    observation: Observation,
    history: History,
    readiness: Readiness,
    *,
    to: str | None = None,
    force: bool = False,
) -> Election:
    """Choose the router; the same arguments always give the same answer.

    Args:
        topology: what is declared.
        observation: what was seen, marked with what AWS has said of instances (`History.mark`).
        history: what the journal remembers; its router is the incumbent.
        readiness: what machines said of late of themselves.
        to: the instance an operator names (a switchover); it must be eligible.
        force: the operator insists on it against a notice, or against its own word.

    Raises:
        NoEligibleRouter: the instance named may not be the router; says why.
        ObservationError: the router is not to be seen, and the listing may be older than the router.
    """
    found = candidates(topology, observation, readiness.unready)
    against = {c.id: why for c in found if (why := ineligible(topology, observation, c))}
    idle = _idle(readiness, [c for c in found if c.id not in against])
    against |= {i: f"{i} says that it does not forward" for i in idle if i not in against}
    if to is not None:
        return _named(topology, observation, history, (found, against), to, force=force)
    eligible = [c for c in found if c.id not in against]
    if history.router is None:
        return _first(topology, observation, found, eligible, against)
    cause, why, doubt = _leave(topology, observation, history, idle)
    followed = _followed(topology, observation, eligible)
    if cause == "none":
        return _stay(topology, observation, history, followed, doubt)
    best = followed or next((c for c in eligible if c.id != history.router), None)
    if best is not None:
        return Election(best, router_interface(topology, best), why, history.router, cause)
    in_place = hold(topology, observation, history, f"{why}, and no candidate is better")
    if in_place is not None:
        return in_place
    unsure = any(c.state == "running" and c.listed is False for c in found)
    return Election(None, None, _nobody(topology, against, why), doubtful=unsure)


def seat(topology: Topology, observation: Observation, router_id: str | None) -> Election:
    """Return the election that was decided, as a later look shows it; nothing is judged anew.

    Raises:
        ObservationError: the router, or its interface, is not to be seen.
    """
    if router_id is None:
        return Election(None, None, "nobody is the router")
    router = observation.instance(router_id)
    interface = router_interface(topology, router) if router else None
    if interface is None:
        raise ObservationError(f"{router_id}, the router, is not to be seen", hint="the next run looks again")
    return Election(router, interface, "it was decided on")


def hold(topology: Topology, observation: Observation, history: History, why: str) -> Election | None:
    """Return the election in which the router stays and is repaired in place; None where it does not run."""
    router = observation.instance(history.router)
    interface = router_interface(topology, router) if router else None
    if router is None or interface is None or not interface.addresses:
        return None
    if router.state != "running" and not history.outdates(router):
        return None
    return Election(router, interface, "it stays and is repaired in place", problems=(why,))


def _idle(readiness: Readiness, fit: list[Instance]) -> frozenset[str]:
    """Return those that say they do not forward, where another that is fit says that it does: routes right, no traffic."""
    others = any(c.id in readiness.forwarding for c in fit)
    return readiness.idle if others else frozenset()


def _named(
    topology: Topology,
    observation: Observation,
    history: History,
    standing: tuple[Sequence[Instance], dict[str, str]],
    to: str,
    *,
    force: bool,
) -> Election:
    """Choose whom an operator names; one who insists overrules what AWS or the machine says, and none of what is."""
    found, against = standing
    chosen, why = next((c for c in found if c.id == to), None), against.get(to)
    if chosen is None:
        why = f"it is no candidate of {topology.name}"
    if why and (chosen is None or not force or unable(topology, observation, chosen)):
        forceable = chosen is not None and not unable(topology, observation, chosen)
        raise NoEligibleRouter(
            f"{to} cannot be the router: {why}",
            hint=f"--force insists on it; {_choices(found, against)}"
            if forceable
            else _choices(found, against),
        )
    assert chosen is not None  # noqa: S101 - for the type checker: None was refused above
    reason = f"an operator chose it, though {why}" if why else "an operator chose it"
    previous = history.router if history.router not in (None, to) else None
    cause: Cause = "operator" if previous else "none"
    return Election(chosen, router_interface(topology, chosen), reason, previous, cause, against=why)


def _first(
    topology: Topology,
    observation: Observation,
    found: Sequence[Instance],
    eligible: list[Instance],
    against: dict[str, str],
) -> Election:
    """Choose for a network that was never decided on: whom most of it follows already, else the best."""
    held = follows(topology, observation)

    def pins(instance: Instance) -> int:
        return sum(held.get(interface.id, 0) for interface in instance.interfaces)

    most = max(found, key=pins, default=None)
    if most and pins(most) and most in eligible:
        return Election(most, router_interface(topology, most), f"the network already follows {most.id}")
    if eligible:
        why = against[most.id] if most and pins(most) else "there was no router"
        before = most.id if most and pins(most) else None
        return Election(
            eligible[0], router_interface(topology, eligible[0]), why, before, "dead" if before else "none"
        )
    runs = most if most and pins(most) and most.state == "running" else None
    interface = router_interface(topology, runs) if runs else None
    if runs and interface and interface.addresses:
        problem = f"{against[runs.id]}, and no candidate is better"
        return Election(runs, interface, f"the network already follows {runs.id}", problems=(problem,))
    return Election(None, None, _nobody(topology, against))


def _leave(
    topology: Topology, observation: Observation, history: History, idle: Collection[str]
) -> tuple[Cause, str, str]:
    """Judge the incumbent: the cause to leave it and its words, or `none`; and what was shown and not believed.

    Raises:
        ObservationError: what was shown of it lacks its interface, and may be older than its being the router.
    """
    router = observation.instance(history.router)
    if router is None:  # no instance leaves its VPC alive, and EC2 lists a terminated one under no VPC
        return "dead", f"{history.router} is terminated", ""
    doubt = _contradiction(history, router, observation.taken_at)
    if not doubt:
        cause, why, doubt = _unfitness(topology, observation, history, router)
        if cause != "none":
            return cause, why, doubt
    if said := noticed(router):
        return "unfit", said, doubt
    if router.id in idle:
        return "unfit", f"{router.id} says that it does not forward", doubt
    return "none", "", doubt


def _contradiction(history: History, router: Instance, at: datetime) -> str:
    """Return how readings contradict each other, or what is known, about whether the incumbent runs; "" where they do not."""
    if history.outdates(router):
        return f"{router.id} was shown as it was before its last launch"
    if router.state == "pending" and not history.settled(at) and router.launched_at < (history.since or at):
        return f"{router.id} was shown as it was before it was the router: it had been launched by then"
    if router.state in ("stopping", "stopped", "pending") and router.listed:
        return f"EC2 lists {router.id} as {router.state} and as running at once"
    return ""


def _unfitness(
    topology: Topology, observation: Observation, history: History, router: Instance
) -> tuple[Cause, str, str]:
    """Judge what was seen of the incumbent: what may be from before it was the router is a doubt, and no cause."""
    if router.state != "running":
        return "dead", f"{router.id} is {router.state}", ""
    settled = history.settled(observation.taken_at)
    if router.checks == "impaired":
        if settled or _dated(history, router):
            return "unfit", f"{router.id} fails its status checks", ""
        return "none", "", f"{router.id} was shown as failing its status checks, as it may have been before"
    why = misplaced(topology, observation, router)
    if why and settled:
        return "unwanted", why, ""
    return "none", "", f"{why}, as it may have been before it was the router" if why else ""


def _dated(history: History, router: Instance) -> bool:
    """Whether AWS's own date tells that checks began to fail in this launch, and since the instance is the router."""
    known = [moment for moment in (history.since, history.launched_at) if moment]
    return router.impaired_since is not None and all(router.impaired_since >= moment for moment in known)


def _stay(
    topology: Topology,
    observation: Observation,
    history: History,
    followed: Instance | None,
    doubt: str,
) -> Election:
    """Keep the incumbent, unless looks agree for long enough that somebody moved the whole network.

    Raises:
        ObservationError: what was shown of it lacks its interface.
    """
    router = observation.instance(history.router)
    interface = router_interface(topology, router) if router else None
    if router is None or interface is None or not interface.addresses:
        raise ObservationError(doubt, hint="the next run looks again")
    doubtful = history.outdates(router) or router.state != "running"
    problems = (doubt,) if doubt else ()
    stays = Election(router, interface, "the incumbent is eligible", problems=problems, doubtful=doubtful)
    decided, seen = history.decided_at, history.sighting
    if followed is None or followed.id == router.id or decided is None:
        return stays
    if seen is None or seen.router != followed.id:
        if observation.taken_at - decided <= READ_LAG:
            return stays
        seen = Sighting(followed.id, observation.taken_at)
    if observation.taken_at - seen.since < AGREEING:
        return replace(stays, sighting=seen)
    reason = f"the whole network was moved to {followed.id}, as looks since {seen.since:%H:%M:%S} UTC agree"
    return Election(followed, router_interface(topology, followed), reason, router.id, "adopted")


def _followed(topology: Topology, observation: Observation, eligible: list[Instance]) -> Instance | None:
    """Find the eligible candidate that every pin leads to, if one does."""
    held = follows(topology, observation)
    if len(held) != 1:
        return None
    leads = next(iter(held))
    for candidate in eligible:
        interface = router_interface(topology, candidate)
        if interface and interface.id == leads:
            return candidate
    return None


def _nobody(topology: Topology, against: dict[str, str], why: str = "") -> str:
    tags = " or ".join(str(tags) for tags in topology.candidates)
    reasons = list(dict.fromkeys([*([why] if why else []), *against.values()]))
    return "no eligible router: " + ("; ".join(reasons) or f"no instance is tagged {tags}")


def _choices(found: Sequence[Instance], against: dict[str, str]) -> str:
    names = ", ".join(c.id for c in found if c.id not in against)
    return f"eligible now: {names}" if names else "no candidate is eligible now; see `mooring status`"
