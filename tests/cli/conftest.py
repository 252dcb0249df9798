"""`mooring` as a process, and the example network that it keeps on the embedded AWS."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from chalicelib.aws.ssm.topologies import Topologies
from chalicelib.bootstrap import Edge
from chalicelib.controller.reconcile import reconcile
from chalicelib.core.declaration import parse
from chalicelib.core.request import Request
from tests.fake_aws import World
from tests.network import declaration, deploy, deploy_journal

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "chalicelib.cli"]
NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""An AWS that does not answer: what a verb must not need."""


@dataclass(frozen=True)
class Ran:
    """What a process said and how it ended."""

    code: int
    out: str
    err: str = ""

    @property
    def json(self) -> dict[str, Any]:
        """Its one JSON document."""
        return cast("dict[str, Any]", json.loads(self.out))

    @property
    def said(self) -> list[str]:
        """The lines of its answer."""
        return self.out.splitlines()


@dataclass(frozen=True)
class Mooring:
    """`mooring` in a folder and an environment of its own; no traceback ever leaves it."""

    environment: dict[str, str]
    folder: Path

    def __call__(self, *arguments: str, stdin: bytes = b"", **more: str) -> Ran:
        """Run it without a terminal."""
        done = subprocess.run(  # noqa: S603 - our own command
            [*COMMAND, *arguments],
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=self._environment() | more,
            timeout=60,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in ran.out + ran.err, ran
        return ran

    @contextlib.contextmanager
    def at_terminal(self, *arguments: str, **more: str) -> Iterator[Dialogue]:
        """Run it at a terminal of 80 columns."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what runs in the background
            signal.signal(signal.SIGINT, signal.default_int_handler)  # and no child would hear Control-C
        ours, theirs = pty.openpty()
        with subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=self.folder,
            env=self._environment() | {"TERM": "xterm", "COLUMNS": "80"} | more,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            dialogue = Dialogue(process, ours)
            try:
                yield dialogue
            finally:
                process.kill()
                os.close(ours)
        assert "Traceback" not in dialogue.heard, dialogue.heard

    def _environment(self) -> dict[str, str]:
        here = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(Path.cwd())}
        return here | self.environment


class Dialogue:
    """What is heard of, and answered to, a process at a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self._process, self._terminal = process, terminal
        self.heard = ""

    def wait_for(self, words: str) -> None:
        """Listen until the words are heard."""
        deadline = time.monotonic() + 120
        while words not in self.heard:
            assert time.monotonic() < deadline, f"never said {words!r}: {self.heard}"
            assert self._listen(), f"ended without {words!r}: {self.heard}"

    def answer(self, keys: str) -> None:
        """Type."""
        os.write(self._terminal, keys.encode())

    def interrupt(self) -> None:
        """Do what a terminal does on Control-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> Ran:
        """Listen to the end."""
        deadline = time.monotonic() + 120
        while self._listen():
            assert time.monotonic() < deadline, f"never ended: {self.heard}"
        return Ran(self._process.wait(30), self.heard.replace("\r\n", "\n"))

    def _listen(self) -> bool:
        readable, _, _ = select.select([self._terminal], [], [], 1)
        if not readable:
            return self._process.poll() is None
        try:
            said = os.read(self._terminal, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.heard += said.decode()
        return bool(said)


@dataclass
class Office:
    """The example network with a standby: declared, kept, and converged when a test begins."""

    world: World
    outputs: dict[str, str]
    edge: Edge
    document: bytes
    impaired: list[str] = field(default_factory=list)

    @property
    def topologies(self) -> Topologies:
        """What is declared, in a hand's hands."""
        return Topologies(self.world.client("ssm"))

    @property
    def ec2(self) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """A hand's EC2 client."""
        return self.world.client("ec2")

    def restore(self) -> None:
        """Undo what a test did."""
        self.world.heal()
        while self.impaired:
            self.world.unimpair(self.impaired.pop())
        for name in self.topologies.names():
            self.world.client("ssm").delete_parameter(Name=f"/mooring/topologies/{name}")
        self.topologies.declare("office", self.document)
        report = reconcile(parse(self.document), self.edge, Request("a test", force=True))
        assert report.verdict in ("converged", "repaired"), report.sentence
        self.world.forget_calls()

    def declare(self, before: str = "", after: str = "") -> None:
        """Declare it with more TOML, before all sections or after them."""
        self.topologies.declare("office", f"{before}\n{self.document.decode()}\n{after}".encode())

    def delete_route(self) -> str:
        """Delete a private table's default route by hand; give the table."""
        table_id = self.outputs["PrivateRouteTableAId"]
        self.ec2.delete_route(RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0")
        return table_id

    def impair_router(self) -> None:
        """Let the router fail its status checks, as it runs."""
        self.impaired.append(self.router)
        self.world.impair(self.router)

    @property
    def router(self) -> str:
        """The instance that holds the Elastic IP."""
        ids = [self.outputs["ElasticIpAllocationId"]]
        return str(self.ec2.describe_addresses(AllocationIds=ids)["Addresses"][0]["InstanceId"])

    @property
    def standby(self) -> str:
        """The running candidate that is not the router."""
        wanted = [
            {"Name": "tag:mooring:router", "Values": ["office"]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        found = self.ec2.describe_instances(Filters=wanted)["Reservations"]
        ids = (str(i["InstanceId"]) for r in found for i in r["Instances"])
        return next(instance_id for instance_id in ids if instance_id != self.router)

    @property
    def writes(self) -> list[str]:
        """What the product has written to EC2 or Parameter Store since the test began."""
        return [
            call.operation
            for call in self.world.calls
            if call.by == "product" and call.write and call.service in ("ec2", "ssm")
        ]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One AWS for a file; another file's, emptied, if that still lives in this process."""
    alive = World._alive
    with contextlib.nullcontext(alive) if alive else World() as mine:
        mine.reset()
        yield mine
        mine.reset()


@pytest.fixture(scope="module")
def deployed(world: World) -> Office:
    """The example network, once for a file."""
    deploy_journal(world)
    outputs = deploy(world, RouterCount="2")
    return Office(world, outputs, Edge(world.session, world.endpoint_url), declaration(outputs))


@pytest.fixture
def office(deployed: Office) -> Office:
    """The example network, converged."""
    deployed.restore()
    return deployed


@pytest.fixture
def mooring(world: World, tmp_path: Path) -> Mooring:
    """`mooring`, on the embedded AWS."""
    return Mooring(world.environment(), tmp_path)


@pytest.fixture
def offline(tmp_path: Path) -> Mooring:
    """`mooring`, where no AWS answers."""
    return Mooring(NOWHERE, tmp_path)
