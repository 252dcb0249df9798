"""An embedded AWS for tests, demo and benchmark: moto made truthful, behind one loopback endpoint."""

from tests.world.wire import Call
from tests.world.world import Client, World

__all__ = ["Call", "Client", "World"]
