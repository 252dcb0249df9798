"""One measured run in a process of its own, as a Lambda's would be: nothing of the embedded AWS is loaded here."""

from __future__ import annotations

import gc
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from chalicelib.aws.ec2.writes import PARALLEL, Writes
from chalicelib.bootstrap import connect
from chalicelib.controller.reconcile import preview, reconcile
from chalicelib.core.declaration import parse
from chalicelib.core.network.change import ReplaceRoute
from chalicelib.core.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef

    from chalicelib.core.network.report import Failure
    from chalicelib.core.network.topology import Topology


def work(verb: str) -> None:
    """Warm up by reading only, wait for the word, do one verb on what stdin describes, tell."""
    given = json.loads(sys.stdin.readline())
    run = VERBS[verb](parse(given["document"].encode()), given["tables"])
    while _say("warm") and sys.stdin.readline():
        began, processor = time.monotonic(), time.process_time()
        said = run()
        seconds, processor = time.monotonic() - began, time.process_time() - processor
        _say(
            json.dumps(
                {
                    "began": began,
                    "seconds": seconds,
                    "processor": processor,
                    "peak_mib": _peak_mib(),
                    "said": said,
                }
            )
        )


def _say(line: str) -> bool:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    return True


def _peak_mib() -> float:
    """Read this program's own peak memory: getrusage would tell the parent's, which exec carries over."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def mooring(topology: Topology, _: list[str]) -> Callable[[], str]:
    """Return a whole run of Mooring's, which a preview has warmed."""
    edge = connect()
    preview(topology, edge, Request())
    gc.collect()
    gc.freeze()  # as `bootstrap.deployed` does
    return lambda: reconcile(topology, edge, Request("bench")).sentence


def leanest(topology: Topology, tables: list[str]) -> Callable[[], str]:
    """Return the least that anybody could deploy: which router runs, and one route after the other; nothing is looked at."""
    ec2 = boto3.client("ec2")
    _running(ec2, topology.vpc_id)

    def run() -> str:
        interface_id = _running(ec2, topology.vpc_id)
        for table_id in tables:
            ec2.replace_route(
                RouteTableId=table_id, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=interface_id
            )
        return f"{len(tables)} routes replaced"

    return run


def plain(topology: Topology, _: list[str]) -> Callable[[], str]:
    """Return what a plain loop does: describe each table, and rewrite every route to an interface."""
    ec2 = boto3.client("ec2")
    _running(ec2, topology.vpc_id)

    def run() -> str:
        interface_id = _running(ec2, topology.vpc_id)
        ec2.modify_network_interface_attribute(
            NetworkInterfaceId=interface_id, SourceDestCheck={"Value": False}
        )
        ec2.associate_address(AllocationId=topology.elastic_ip, NetworkInterfaceId=interface_id)
        in_vpc: list[FilterTypeDef] = [{"Name": "vpc-id", "Values": [topology.vpc_id]}]
        replaced = 0
        for table in ec2.describe_route_tables(Filters=in_vpc)["RouteTables"]:
            table_id = table["RouteTableId"]
            fresh = ec2.describe_route_tables(RouteTableIds=[table_id])["RouteTables"][0]
            for route in fresh["Routes"]:
                if route.get("NetworkInterfaceId"):
                    ec2.replace_route(
                        RouteTableId=table_id,
                        DestinationCidrBlock=route["DestinationCidrBlock"],
                        NetworkInterfaceId=interface_id,
                    )
                    replaced += 1
        return f"{replaced} routes rewritten"

    return run


def _running(ec2: EC2Client, vpc_id: str) -> str:
    """Find the interface of a router that runs."""
    filters: list[FilterTypeDef] = [
        {"Name": "vpc-id", "Values": [vpc_id]},
        {"Name": "instance-state-name", "Values": ["running"]},
        {"Name": "tag-key", "Values": ["mooring:router"]},
    ]
    found = ec2.describe_instances(Filters=filters)["Reservations"]
    return found[0]["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"]


def writes(topology: Topology, tables: list[str]) -> Callable[[], str]:
    """Return the writes of a failover alone, as Mooring makes them."""
    edge = connect()
    changes = _changes(boto3.client("ec2"), topology, tables)
    ours = Writes(edge.ec2)
    return lambda: _all_done(ours.write(changes, seconds=60))


def botocore_writes(topology: Topology, tables: list[str]) -> Callable[[], str]:
    """Return the same writes, as many at once, by a client of botocore's that does not retry."""
    once = Config(retries={"mode": "standard", "total_max_attempts": 1}, max_pool_connections=PARALLEL)
    ec2 = boto3.client("ec2", config=once)
    changes = _changes(ec2, topology, tables)

    def change(one: ReplaceRoute) -> None:
        ec2.replace_route(
            RouteTableId=one.table_id,
            DestinationCidrBlock=one.destination,
            NetworkInterfaceId=one.target,
        )

    def run() -> str:
        with ThreadPoolExecutor(min(PARALLEL, len(changes))) as pool:
            return _all_done(list(pool.map(change, changes)))

    return run


def _changes(ec2: EC2Client, topology: Topology, tables: list[str]) -> list[ReplaceRoute]:
    interface_id = _running(ec2, topology.vpc_id)
    return [ReplaceRoute(table, "0.0.0.0/0", interface_id, "another", "it is measured") for table in tables]


def _all_done(results: Sequence[Failure | None]) -> str:
    assert not any(results), results
    return f"{len(results)} routes replaced"


VERBS = {
    "Mooring": mooring,
    "leanest loop": leanest,
    "plain loop": plain,
    "writes": writes,
    "botocore's writes": botocore_writes,
}

if __name__ == "__main__":
    work(sys.argv[1])
