"""Routers' operating systems, played: what their documents answer, for who proves the way to them and not what runs there.

What really runs on a router is judged in tests/router_os, on a real operating system.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.ec2.models import ec2_backends
from moto.ssm.models import ssm_backends

from chalicelib.core.tunnel.documents import CONFIGURE, CONFIRM, INSPECT
from tests.fake_aws.agent import Answer
from tests.fake_aws.reality import aws

if TYPE_CHECKING:
    from tests.fake_aws import World
    from tests.fake_aws.agent import Agent
    from tests.fake_aws.commands import Invocation


@dataclass
class Box:
    """One router: the digest in force, what somebody changed by hand, and what it does with the next push."""

    instance_id: str
    digest: str | None = None
    drift: list[str] = field(default_factory=list)
    forwarding: bool = True
    refuses: str | None = None
    busy: bool = False
    pushes: int = 0
    received: int = 0

    def configure(self, asked: Invocation) -> Answer:
        """Take what was pushed, or refuse it."""
        self.pushes += 1
        if self.refuses:
            return self._says(code=20, result="refused", reason=self.refuses)
        self.digest, self.drift, self.forwarding = asked.parameters["Digest"][0], [], True
        condition = _envelope(asked)["confirm_within"]
        return self._says(result="pending" if condition else "applied")

    def confirm(self, asked: Invocation) -> Answer:
        """Keep what is on trial, unless another action has the lock."""
        if self.busy:
            word = {"mooring": 1, "result": "refused", "reason": "another push or inspection is under way"}
            return Answer(20, json.dumps(word) + "\n")
        return self._says(result="applied", wanted=asked.parameters["Digest"][0])

    def inspect(self, _: Invocation) -> Answer:
        """Return how it stands."""
        return self._says()

    def _says(self, code: int = 0, **more: object) -> Answer:
        holds = self._holds_address()
        self.received += 1000 * holds
        tunnel = (
            {"state": "CONNECTED", "bytes_in": self.received, "bytes_out": self.received} if holds else {}
        )
        word: dict[str, Any] = {
            "mooring": 1,
            "digest": self.digest,
            "drift": self.drift,
            "forwarding": self.forwarding,
            "holds_address": holds,
            "tunnel": tunnel if self.digest else {},
        }
        return Answer(code, json.dumps(word | more) + "\n")

    def _holds_address(self) -> bool:
        """Look as the metadata service would: not by a call, since AWS waits for this answer."""
        addresses = ec2_backends[aws.account_id][aws.region].addresses
        return any(a.eni and a.eni.instance and a.eni.instance.id == self.instance_id for a in addresses)


def _envelope(asked: Invocation) -> dict[str, Any]:
    """Read what a push names, past the API, as `_holds_address` does."""
    path, version = asked.parameters["Path"][0], int(asked.parameters["Version"][0])
    versions = ssm_backends[aws.account_id][aws.region]._parameters[path]
    return dict(json.loads(next(one.value for one in versions if one.version == version)))


class Boxes(dict[str, Box]):
    """Every router there is or will be, by instance id."""

    def __init__(self, world: World) -> None:
        super().__init__()
        world.agents(self._play)

    def _play(self, agent: Agent) -> None:
        box = self.setdefault(agent.node.instance_id, Box(agent.node.instance_id))
        for document, answer in ((CONFIGURE, box.configure), (CONFIRM, box.confirm), (INSPECT, box.inspect)):
            agent.answer(document, answer)
