"""Passes events on: finds the topologies an event concerns and puts a wake-up for each on the queue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from chalicelib.core.messages.concern import Concerned, concerned, declaring, minding, to_locate
from chalicelib.core.messages.event import Ignored, interpret
from chalicelib.core.messages.message import Wake

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from chalicelib.controller import Clock
    from chalicelib.core.messages.concern import Whereabouts
    from chalicelib.core.messages.event import Sign
    from chalicelib.core.network.topology import Topology

GUESSED = timedelta(seconds=20)
"""How long one look must do for all the events that name what cannot be found."""


class Declared(Protocol):
    """What is declared, as this process knows it."""

    def known(self, *, fresh: bool = False) -> Mapping[str, Topology | None]:
        """Give every declared topology, None for one that is not valid; read at most a minute ago unless `fresh`.

        Raises:
            ObservationError: they could not be read.
        """
        ...

    def forget(self) -> None:
        """Read anew when asked next, however lately it was read."""
        ...


class Places(Protocol):
    """Where AWS's resources live."""

    def locate(self, mentioned: Collection[str]) -> Mapping[str, Whereabouts]:
        """Find instances, interfaces, route tables and public addresses, with one call for each kind that is mentioned.

        What AWS knows none of is left out.

        Raises:
            ObservationError: AWS did not answer.
        """
        ...


class Queue(Protocol):
    """The way to the worker."""

    def send(self, wakes: Sequence[Wake], once: str | None = None) -> None:
        """Put every wake-up on the queue, each in its topology's group; of the same `once`, one for each topology.

        Raises:
            ApplyError: some could not be sent.
        """
        ...


@dataclass(frozen=True, slots=True)
class Doorbell:
    """All that an event needs on its way to the worker, and the place Mooring lives in."""

    declared: Declared
    places: Places
    queue: Queue
    clock: Clock
    account: str
    region: str


def ring(event: object, bell: Doorbell) -> list[str]:
    """Wake every topology an event concerns; gives their names.

    Those that it only may concern are woken once in `GUESSED`, by whatever number of events: an account full of
    other people's networks must not have everybody look all the time. What is missed so the next tick sees. They are
    not told a notice either, which may be about an instance that is none of theirs.

    Raises:
        Ignored: the event wakes nobody; says why.
        ObservationError: it could not be found out whom the event concerns.
        ApplyError: a wake-up could not be sent.
    """
    now = bell.clock.now()
    sign = interpret(event, now, bell.account, bell.region)
    whom = _concerned(sign, bell)
    surely, perhaps = sorted(whom.surely), sorted(whom.perhaps)
    if not surely and not perhaps:
        raise Ignored(f"{sign.what}: concerns no declared topology")
    if surely:
        bell.queue.send([Wake(name, sign.what, sign.at, notice=sign.notice) for name in surely])
    if perhaps:
        guess = int(now.timestamp() // GUESSED.total_seconds())
        bell.queue.send([Wake(name, sign.what, sign.at) for name in perhaps], once=f"guess-{guess}")
    return sorted(surely + perhaps)


def _concerned(sign: Sign, bell: Doorbell) -> Concerned:
    """Find the topologies concerned, with at most one call for each kind of resource beyond what this process knows.

    A tick reads anew what is declared, so that the events of its minute need not. A topology that is named is not
    looked up: the worker, which reads it anyway, drops one that is declared no more. It was just declared, so the next
    event reads anew, too; reading here could fail, and would then keep the wake-up from the worker.
    """
    if sign.topology is not None:
        bell.declared.forget()
        return Concerned(frozenset({sign.topology}))
    if not sign.ids and not sign.edit:
        return Concerned(frozenset(bell.declared.known(fresh=True)))
    known = minding(bell.declared.known(), sign)
    if not known:
        return Concerned()
    if named := declaring(known, sign):
        return Concerned(named)
    lookup = to_locate(sign)
    return concerned(known, sign, bell.places.locate(lookup) if lookup else {})
