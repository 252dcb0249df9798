"""Passes events on: finds the topologies an event concerns and puts a wake-up for each on the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from chalicelib.core.wake import Ignored, Sign, Wake, Whereabouts, concerns, declares, interpret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.controller import Clock
    from chalicelib.core.topology import Topology


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

    def locate(self, resource_id: str) -> Whereabouts | None:
        """Find one instance, interface or route table with one call; None when AWS knows none of that id.

        Raises:
            ObservationError: AWS did not answer.
        """
        ...


class Queue(Protocol):
    """The way to the worker."""

    def send(self, wakes: Sequence[Wake]) -> None:
        """Put every wake-up on the queue, each in its topology's group.

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

    Raises:
        Ignored: the event wakes nobody; says why.
        ObservationError: it could not be found out whom the event concerns.
        ApplyError: a wake-up could not be sent.
    """
    sign = interpret(event, bell.clock.now(), bell.account, bell.region)
    names = _concerned(sign, bell)
    if not names:
        raise Ignored(f"{sign.what}: concerns no declared topology")
    bell.queue.send([Wake(name, sign.what, sign.at, notice=sign.notice) for name in names])
    return names


def _concerned(sign: Sign, bell: Doorbell) -> list[str]:
    """Find the topologies concerned with at most one call beyond what this process knows already.

    A tick reads anew what is declared, so that the events of its minute need not. A topology that is named is not
    looked up: the worker, which reads it anyway, drops one that is declared no more. It was just declared, so the next
    event reads anew, too; reading here could fail, and would then keep the wake-up from the worker.
    """
    if sign.topology is not None:
        bell.declared.forget()
        return [sign.topology]
    if not sign.ids:
        return sorted(bell.declared.known(fresh=True))
    known = bell.declared.known()
    named = [name for name, topology in known.items() if topology and declares(topology, sign.ids)]
    lookup = sorted(i for i in sign.ids if i.startswith(("i-", "eni-", "rtb-")))
    if named or not lookup or not known:
        return sorted(named)
    found = bell.places.locate(lookup[0])
    return sorted(
        name for name, topology in known.items() if topology and found and concerns(topology, found)
    )
