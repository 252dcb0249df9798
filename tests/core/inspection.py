"""Inspects a run from outside for every invariant that must hold at each of its steps; imports nothing that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    CreateRoute,
    DisableSourceDestCheck,
    NetworkChange,
    PushConfig,
    ReplaceRoute,
    RevokeIngress,
    resource_key,
)
from tests.core.model import Model, Refused
from tests.fakes import Decided, Run, Sight, Write
from tests.oracle import Facts, judge, leads, unfit, untouched

if TYPE_CHECKING:
    from collections.abc import Iterator


def inspect(run: Run) -> list[str]:
    """Return which invariants a run broke, and where."""
    return [
        *_foreign(run),
        *_undecided(run),
        *_unsafe_targets(run),
        *_deserters(run),
        *_repeated(run),
        *_false_claims(run),
        *_left_out(run),
    ]


def _foreign(run: Run) -> Iterator[str]:
    """Nothing foreign is touched and no declared route goes missing, at any step (invariants 1, 2 and 6)."""
    for write in run.writes:
        for complaint in untouched(run.topology, write.before.facts(), write.after.facts()):
            yield f"{resource_key(write.change)}: {complaint}"


def _undecided(run: Run) -> Iterator[str]:
    """The decision is on record before its first write, and names every one of them."""
    planned: set[str] = set()
    for entry in run.entries:
        if isinstance(entry, Decided):
            planned = {resource_key(o.change) for o in entry.decision.outcomes}
        elif isinstance(entry, Write) and resource_key(entry.change) not in planned:
            yield f"{resource_key(entry.change)} was written before it was decided"


def _unsafe_targets(run: Run) -> Iterator[str]:
    """A route is pointed only at a healthy candidate whose check is known to be off (invariant 3).

    Known means: as the last look showed it, plus what was written since and acknowledged. The incumbent is repaired in place
    whatever ails it, while nobody is better or what is shown of it may be old.
    """
    known = Model({}, {}, {}, {})
    kept = next((e.after.router for e in run.entries if isinstance(e, Decided)), None)
    for entry in run.entries:
        match entry:
            case Sight():
                known = entry.shown.copy()
            case Write(change=CreateRoute() | ReplaceRoute() as change) if change.target.startswith("eni-"):
                owner = known.owner_of(change.target)
                stays = owner is not None and owner.id == kept and run.history.router in (None, kept)
                for reason in unfit(run.topology, known.facts(), change.target):
                    if stays and not reason.endswith("check on"):
                        continue
                    yield f"{resource_key(change)} was pointed at {change.target}: {reason}"
            case Write(failure=None):
                _learn(known, entry.change)


def _learn(known: Model, change: NetworkChange) -> None:
    """Take over what a write did; where the look was of the past, it may not fit."""
    try:
        known.apply(change)
    except Refused:
        return


def _deserters(run: Run) -> Iterator[str]:
    """A healthy incumbent is not moved off without an operator (invariant 8)."""
    if not run.sights or run.request.to:
        return
    shown = run.sights[0].shown
    incumbent = shown.instances.get(run.history.router or "")
    if incumbent is None or incumbent.notice:
        return
    facts, own = shown.facts(), {n.id for n in incumbent.interfaces}
    fit = all(why.endswith("check on") for eni in own for why in unfit(run.topology, facts, eni))
    if not fit or not own & set(leads(run.topology, facts).values()):
        return
    for write in run.writes:
        target = target_of(write.change)
        if target and target.startswith("eni-") and target not in own:
            yield f"{resource_key(write.change)} left the healthy {incumbent.id} for {target}"


def target_of(change: NetworkChange) -> str | None:
    """Return the interface or gateway that a change makes something lead to."""
    match change:
        case CreateRoute() | ReplaceRoute():
            return change.target
        case AssociateAddress():
            return change.interface_id
        case _:
            return None


def _repeated(run: Run) -> Iterator[str]:
    """Each thing is written at most once in a run."""
    subjects = [resource_key(write.change) for write in run.writes]
    for name in sorted({s for s in subjects if subjects.count(s) > 1}):
        yield f"{name} was written {subjects.count(name)} times"


def _false_claims(run: Run) -> Iterator[str]:
    """What a report says is so was seen to be so, after the last write (invariant 10)."""
    if run.report is None:
        return
    places = {type(entry): place for place, entry in enumerate(run.entries)}
    looked_after = places.get(Sight, -1) > places.get(Write, -1)
    last = run.sights[-1].shown.facts() if run.sights else None
    for outcome in run.report.outcomes:
        seen = outcome.result in ("verified", "unneeded")
        if isinstance(outcome.change, PushConfig):
            continue  # its machine tells, in a later run
        if seen and not (last and looked_after and holds(outcome.change, last)):
            yield f"{resource_key(outcome.change)} is called {outcome.result}, and was not seen"
    if run.report.verdict in ("converged", "repaired"):
        if last is None or not looked_after:
            yield f"it is called {run.report.verdict}, and nobody looked"
        else:
            yield from (f"it is called {run.report.verdict}, but {c}" for c in judge(run.topology, last))


def _left_out(run: Run) -> Iterator[str]:
    """Every change of a run that was not cut off gets its attempt, whatever becomes of the others (invariant 10)."""
    if run.report is None or not run.writes:
        return
    written = {resource_key(write.change) for write in run.writes}
    for outcome in run.report.outcomes:
        if resource_key(outcome.change) not in written and outcome.result not in ("held", "unneeded", "sent"):
            yield f"{resource_key(outcome.change)} was never attempted"


def holds(change: NetworkChange, facts: Facts) -> bool:
    """Return whether what a change wants is so."""
    match change:
        case DisableSourceDestCheck():
            card = facts.interfaces.get(change.interface_id)
            return card is None or not card.check
        case CreateRoute() | ReplaceRoute():
            route = facts.tables[change.table_id].static(change.destination)
            return route is not None and route.target == change.target
        case AssociateAddress():
            address = facts.addresses[change.allocation_id]
            where = (address.interface_id, address.private_address)
            return where == (change.interface_id, change.private_address)
        case AssociateRouteTable():
            return change.subnet_id in facts.tables[change.table_id].subnets
        case AssociateDhcpOptions():
            return facts.dhcp_options == change.options_id
        case RevokeIngress():
            return change.rule_id not in facts.rules
        case _:
            assert_never(change)
