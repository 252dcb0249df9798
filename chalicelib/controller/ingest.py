"""Takes events in: finds the topologies an event concerns and puts a message for each on the queue."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.core.messages.concern import Concerned, concerned, declaring, minding, to_locate
from chalicelib.core.messages.event import Ignored, interpret
from chalicelib.core.messages.message import Message
from chalicelib.core.request import Request

if TYPE_CHECKING:
    from chalicelib.controller.ports import IngestPorts
    from chalicelib.core.messages.event import Trigger

GUESSED = timedelta(seconds=20)
"""How long one look must do for all the events that name what cannot be found."""


def ingest(event: object, ports: IngestPorts, account: str, region: str) -> list[str]:
    """Trigger every topology that an event of this account and region concerns; return their names.

    Those that it only may concern are triggered once in `GUESSED`, by whatever number of events: an account full of
    other people's networks must not have everybody look all the time. What is missed so the next tick sees. They are
    not told a notice either, which may be about an instance that is none of theirs.

    Raises:
        Ignored: the event concerns nobody; says why.
        ObservationError: it could not be found out whom the event concerns.
        ApplyError: a message could not be sent.
    """
    now = ports.clock.now()
    trigger = interpret(event, now, account, region)
    whom = _concerned(trigger, ports)
    surely, perhaps = sorted(whom.surely), sorted(whom.perhaps)
    if not surely and not perhaps:
        raise Ignored(f"{trigger.what}: concerns no declared topology")
    request = Request(trigger.what)
    if surely:
        ports.queue.send([Message(name, trigger.at, request, notice=trigger.notice) for name in surely])
    if perhaps:
        guess = int(now.timestamp() // GUESSED.total_seconds())
        ports.queue.send([Message(name, trigger.at, request) for name in perhaps], once=f"guess-{guess}")
    return sorted(surely + perhaps)


def _concerned(trigger: Trigger, ports: IngestPorts) -> Concerned:
    """Find the topologies concerned, with at most one call for each kind of resource beyond what this process knows.

    A tick reads anew what is declared, so that the events of its minute need not. A topology that is named is not
    looked up: the worker, which reads it anyway, drops one that is declared no more. It was just declared, so the next
    event reads anew, too; reading here could fail, and would then keep the message from the worker.
    """
    if trigger.topology is not None:
        ports.topologies.forget()
        return Concerned(frozenset({trigger.topology}))
    if not trigger.ids and not trigger.edit:
        return Concerned(frozenset(ports.topologies.known(fresh=True)))
    known = minding(ports.topologies.known(), trigger)
    if not known:
        return Concerned()
    if named := declaring(known, trigger):
        return Concerned(named)
    lookup = to_locate(trigger)
    return concerned(known, trigger, ports.network.locate(lookup) if lookup else {})
