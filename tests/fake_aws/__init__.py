"""An embedded AWS for tests, demo and benchmark: moto made truthful, behind one loopback endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .wire import Call
    from .world import Client, World

__all__ = ["Call", "Client", "World"]


def __getattr__(name: str) -> object:
    """Import what is asked for: loading moto takes a second, which who only imports the fixtures need not spend."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import wire, world  # noqa: PLC0415 - see above

    return getattr(wire if name == "Call" else world, name)
