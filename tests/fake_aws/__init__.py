"""An embedded AWS for tests, demo and benchmark: moto made truthful, behind one loopback endpoint."""

from tests.fake_aws.wire import Call
from tests.fake_aws.world import Client, World

__all__ = ["Call", "Client", "World"]
