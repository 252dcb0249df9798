"""Works out once what follows from an immutable value, and keeps it with that value: no longer, and for nobody else."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.topology import Topology

T = TypeVar("T")


class derived(Generic[T]):  # noqa: N801 - it stands where `property` does
    """A property that is worked out by the first who asks.

    `functools.cached_property` takes a lock for that until Python 3.12; two threads that ask at once work out the same.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the property's name."""
        self._name = name

    @overload
    def __get__(self, value: None, owner: type) -> derived[T]: ...

    @overload
    def __get__(self, value: object, owner: type) -> T: ...

    def __get__(self, value: object | None, owner: type) -> T | derived[T]:
        """Work it out, and put it where Python looks before it asks here."""
        if value is None:
            return self
        answer = value.__dict__[self._name] = self._function(value)
        return answer


def once(function: Callable[[Topology, Observation], T]) -> Callable[[Topology, Observation], T]:
    """Have a function of what is declared and what was seen answer once; the answer lives as long as the snapshot."""

    @wraps(function)
    def asked(topology: Topology, observation: Observation) -> T:
        answers = observation.answers
        known = answers.get(function)
        if known is None or known[0] is not topology:
            known = answers[function] = (topology, function(topology, observation))
        answer: T = known[1]
        return answer

    return asked
