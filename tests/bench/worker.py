"""One measured run in a process of its own, as a Lambda's would be: nothing of the embedded AWS is loaded here."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.bootstrap import connect
from chalicelib.controller import Request, preview, reconcile
from chalicelib.core.declaration import parse

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef


def work(verb: str) -> None:
    """Do one verb on stdin's topology: warm up by reading only, wait for the word, run, tell."""
    topology = parse(json.loads(sys.stdin.readline()).encode())
    edge = connect()
    said = preview(topology, edge.ports, Request()).sentence
    sys.stdout.write("warm\n")
    sys.stdout.flush()
    sys.stdin.readline()
    began = time.monotonic()
    if verb == "reconcile":
        said = reconcile(topology, edge.ports, Request("bench")).sentence
    else:
        said = replace_everything(edge.ec2, topology.vpc_id, topology.elastic_ip)
    seconds = time.monotonic() - began
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_mib": _peak_mib(), "said": said}) + "\n")


def _peak_mib() -> float:
    """Read this program's own peak memory: getrusage would tell the parent's, which exec carries over."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def replace_everything(ec2: EC2Client, vpc_id: str, allocation_id: str) -> str:
    """Do what a plain loop does: find a running router, then describe each table and rewrite every route to an ENI."""
    in_vpc: list[FilterTypeDef] = [{"Name": "vpc-id", "Values": [vpc_id]}]
    running: FilterTypeDef = {"Name": "instance-state-name", "Values": ["running"]}
    tagged: FilterTypeDef = {"Name": "tag-key", "Values": ["mooring:router"]}
    found = ec2.describe_instances(Filters=[*in_vpc, running, tagged])["Reservations"]
    interface_id = found[0]["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface_id, SourceDestCheck={"Value": False})
    ec2.associate_address(AllocationId=allocation_id, NetworkInterfaceId=interface_id)
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


if __name__ == "__main__":
    work(sys.argv[1])
