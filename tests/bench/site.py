"""A network to fail over again and again, and the processes whose runs are measured on it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.bootstrap import Edge
from chalicelib.controller.reconcile import reconcile
from chalicelib.core.declaration import parse
from chalicelib.core.request import Request
from tests.bench.tls import TlsServer
from tests.network import JOURNAL, add_private_tables, declaration, deploy, deploy_journal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.share import Share
    from tests.bench.tls import Latency
    from tests.fake_aws.wire import Call
    from tests.fake_aws.world import World

OWN_TABLES = 2
"""Private tables that the example template brings."""


@dataclass(frozen=True)
class Measured:
    """One run: what the world served, and what the process that ran it says of itself; times in seconds.

    `held` says whether the kernel held the process to its share; otherwise `processor` has yet to be divided by it.
    """

    calls: list[Call]
    began: float
    seconds: float
    processor: float
    peak_mib: float
    said: str
    share: Share
    held: bool

    @property
    def ec2(self) -> list[Call]:
        """The EC2 calls; the rest is the journal's."""
        return [call for call in self.calls if call.service == "ec2"]

    @property
    def writes(self) -> int:
        """Changes asked of EC2, throttled tries included."""
        return sum(call.write for call in self.ec2)

    @property
    def verified(self) -> float:
        """The whole run."""
        return self._at_share(self.seconds)

    @property
    def last_write(self) -> float:
        """Until EC2 had the last of them."""
        return self._at_share(max(call.until for call in self.ec2 if call.write) - self.began)

    def last_default(self, tables: list[str]) -> float:
        """Until the last of these tables had its default route."""
        moved = {
            call.params["RouteTableId"]: call.until
            for call in self.ec2
            if call.write and call.error is None and call.params.get("DestinationCidrBlock") == "0.0.0.0/0"
        }
        return self._at_share(max(moved[table] for table in tables) - self.began)

    def _at_share(self, seconds: float) -> float:
        """Stretch a time on a whole processor to what it is on a share of one, all processor time alike."""
        if self.held:
            return seconds
        waited = seconds - self.processor * seconds / self.seconds
        return waited + (seconds - waited) / self.share.part


class Site:
    """A converged network with that many private tables, two routers, and TLS before it."""

    def __init__(self, world: World, tls: TlsServer, size: int) -> None:
        world.reset()
        self.world, self._tls = world, tls
        outputs = deploy(world, RouterCount="2")
        deploy_journal(world)
        more = add_private_tables(world, outputs["VpcId"], max(0, size - OWN_TABLES))
        text = declaration(outputs, more).decode()
        if size < OWN_TABLES:
            text = text.rpartition("[[private]]")[0]
        self.document = text
        self.repair()
        self.tables = [
            table["RouteTableId"]
            for table in world.client("ec2").describe_route_tables()["RouteTables"]
            if any(
                route.get("NetworkInterfaceId") and route["DestinationCidrBlock"] == "0.0.0.0/0"
                for route in table["Routes"]
            )
        ]
        assert len(self.tables) == size, self.tables

    def repair(self) -> str:
        """Have both routers run and all as declared, by a journal that knows nothing yet; give the router's id."""
        ec2, dynamodb = self.world.client("ec2"), self.world.client("dynamodb")
        stopped = [{"Name": "instance-state-name", "Values": ["stopped"]}]
        for reservation in ec2.describe_instances(Filters=stopped)["Reservations"]:
            ec2.start_instances(InstanceIds=[one["InstanceId"] for one in reservation["Instances"]])
        self.world.settle()
        for item in dynamodb.scan(TableName=JOURNAL)["Items"]:
            key = {name: item[name] for name in ("topology", "entry")}
            dynamodb.delete_item(TableName=JOURNAL, Key=key)
        edge = Edge(self.world.session, self.world.endpoint_url)
        report = reconcile(parse(self.document.encode()), edge, Request("bench"))
        if report.verdict not in ("repaired", "converged") or report.router_id is None:
            raise RuntimeError(report.sentence)
        return report.router_id

    @contextlib.contextmanager
    def worker(self, verb: str) -> Iterator[Worker]:
        """Start the process that is to run a verb, and warm it."""
        environment = self.world.environment() | {
            "AWS_ENDPOINT_URL": self._tls.url,
            "AWS_CA_BUNDLE": str(self._tls.bundle),
        }
        command = [sys.executable, "-m", "tests.bench.worker", verb]
        with subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stdin
            process.stdin.write(json.dumps({"document": self.document, "tables": self.tables}) + "\n")
            process.stdin.flush()
            yield Worker(self, process)
            process.stdin.close()

    def failover(self, worker: Worker, latency: Latency, share: Share) -> Measured:
        """Stop the router, and measure what a worker does about it."""
        router = self.repair()
        self.world.client("ec2").stop_instances(InstanceIds=[router])
        self.world.settle()
        return self.measure(worker, latency, share)

    def quiet(self, worker: Worker, latency: Latency, share: Share) -> Measured:
        """Measure a run in which nothing is to be done."""
        self.repair()
        return self.measure(worker, latency, share)

    def measure(self, worker: Worker, latency: Latency, share: Share, *, cold: bool = True) -> Measured:
        """Measure one run, on connections that have all ended since the last where it is `cold`."""
        self._tls.latency = latency
        if cold:
            self._tls.hang_up()
        self.world.forget_calls()
        return worker.go(share, latency)


class Worker:
    """A process that runs its verb whenever it is told to."""

    def __init__(self, site: Site, process: subprocess.Popen[str]) -> None:
        self._site, self._process = site, process
        self._expect_warm()

    def go(self, share: Share, latency: Latency) -> Measured:
        """Have it run once, held to its share of a processor."""
        assert self._process.stdin
        assert self._process.stdout
        with share.held(self._process.pid) as held:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        calls = [
            replace(call, until=max(call.until, call.at + latency.of(call)))
            for call in self._site.world.calls
            if call.by == "product"
        ]
        self._expect_warm()
        return Measured(calls, **answer, share=share, held=held)

    def _expect_warm(self) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline() == "warm\n"


@contextlib.contextmanager
def by_tls(world: World) -> Iterator[TlsServer]:
    """Serve a world by TLS."""
    with tempfile.TemporaryDirectory(prefix="mooring-bench-") as folder:
        tls = TlsServer(world, Path(folder))
        tls.start()
        try:
            yield tls
        finally:
            tls.stop()
