"""Every error answers one question beyond what happened: can another attempt help?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class ControllerError(Exception):
    """Something Mooring was doing could not be done; `hint` says what to do next."""

    code: ClassVar[str] = "Error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", aws_code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.aws_code = aws_code


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong in a topology: the key's path, the value found there, and what would be right."""

    key: str
    value: object
    wanted: str

    def __str__(self) -> str:
        """`key = value: what would be right`; a missing value is left out."""
        shown = "" if self.value is None else f" = {_short(self.value)}"
        return f"{self.key or '(file)'}{shown}: {self.wanted}"


def _short(value: object) -> str:
    if (
        isinstance(value, int) and value.bit_length() > 64
    ):  # Python refuses to print numbers of thousands of digits
        return "a huge number"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


class TopologyError(ControllerError):
    """The declared topology is not valid; `flaws` names every reason at once."""

    code = "TopologyError"

    def __init__(self, flaws: tuple[Flaw, ...], *, hint: str = "") -> None:
        count = "1 flaw" if len(flaws) == 1 else f"{len(flaws)} flaws"
        super().__init__(f"the topology has {count}: " + "; ".join(map(str, flaws)), hint=hint)
        self.flaws = flaws


class UnknownTopology(ControllerError):  # noqa: N818 - it names what is so
    """No topology of that name is declared."""

    code = "UnknownTopology"


class ObservationError(ControllerError):
    """The network could not be seen whole, so no plan is made: blind is not down."""

    code = "ObservationError"
    retryable = True


class NoEligibleRouter(ControllerError):  # noqa: N818 - it names what is so
    """No candidate may be the router: the network is left as it is."""

    code = "NoEligibleRouter"


class UnsafePlan(ControllerError):  # noqa: N818 - it names what is so
    """A guard refused the plan; an operator may have a way out."""

    code = "UnsafePlan"


class Expired(ControllerError):  # noqa: N818 - it names what is so
    """A request waited for longer than it may: nothing was done about it."""

    code = "Expired"


class ApplyError(ControllerError):
    """A change, or the journal entry that must precede it, could not be written."""

    code = "ApplyError"
    retryable = True


class PushError(ControllerError):
    """A command for a machine, or the configuration it is to take, could not be sent."""

    code = "PushError"
    retryable = True
