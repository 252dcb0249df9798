"""Makes a topology of the outputs of a stack that examples/network.yaml made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chalicelib.cli.init.draft import Draft, Entry, Fact, Section, limits, tunnel
from chalicelib.core.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEEDED = (
    "TopologyName",
    "VpcId",
    "VpcCidr",
    "InternetGatewayId",
    "OfficeNetworks",
    "VpnClientNetwork",
    "RouterTagKey",
    "RouterTagValue",
    "ElasticIpAllocationId",
    "RouterSecurityGroupId",
    "PublicRouteTableId",
    "PublicSubnets",
)
_PRIVATE = re.compile(r"PrivateRouteTable(.+)Id")


def from_stack(stack: str, outputs: dict[str, str]) -> Draft:
    """Write down what a stack's outputs say.

    Raises:
        ControllerError: outputs are missing, so the stack is of another template or not ready.
    """
    missing = [key for key in _NEEDED if key not in outputs]
    missing += [] if any(map(_PRIVATE.fullmatch, outputs)) else ["PrivateRouteTable…Id"]
    if missing:
        raise ControllerError(
            f"stack {stack} has no output {', '.join(missing)}",
            hint="it must be made from examples/network.yaml and be complete; else try mooring init --vpc",
        )
    title = (
        f"The network of stack {stack}, declared: what must be true of it, whatever happens.",
        f"Written by `mooring init --stack {stack}`; `mooring declare FILE` puts it in force.",
    )
    return Draft(
        title,
        (
            Section("", {"name": Fact(outputs["TopologyName"])}),
            Section("[vpc]", dict(_vpc(outputs))),
            Section("[office]", dict(_office(outputs))),
            Section("[router]", dict(_router(outputs))),
            tunnel(outputs["VpnClientNetwork"]),
            *_tables(outputs),
            limits(),
        ),
    )


def _vpc(outputs: dict[str, str]) -> Iterator[tuple[str, Entry]]:
    yield "id", Fact(outputs["VpcId"])
    yield "cidr", Fact(outputs["VpcCidr"])
    yield "internet_gateway", Fact(outputs["InternetGatewayId"])
    if "DhcpOptionsId" in outputs:
        yield "dhcp_options", Fact(outputs["DhcpOptionsId"])


def _office(outputs: dict[str, str]) -> Iterator[tuple[str, Entry]]:
    yield "networks", Fact(outputs["OfficeNetworks"].split(","))
    yield "vpn_clients", Fact(outputs["VpnClientNetwork"], "laptops, on the same OpenVPN server")


def _router(outputs: dict[str, str]) -> Iterator[tuple[str, Entry]]:
    tag = {outputs["RouterTagKey"]: outputs["RouterTagValue"]}
    yield "candidates", Fact(tag, "every instance with this tag may be the router")
    yield "elastic_ip", Fact(outputs["ElasticIpAllocationId"], outputs.get("ElasticIpAddress", ""))
    if "RouterPrivateAddress" in outputs:
        yield "private_address", Fact(outputs["RouterPrivateAddress"], "the prepared interface's")
    yield "security_group", Fact(outputs["RouterSecurityGroupId"])
    yield "ssh", Fact("closed", 'remove tcp/22 from 0.0.0.0/0; or "unmanaged"')


def _tables(outputs: dict[str, str]) -> Iterator[Section]:
    yield _table("public", outputs["PublicRouteTableId"], outputs["PublicSubnets"])
    for key in sorted(filter(_PRIVATE.fullmatch, outputs)):
        subnets = key.replace("RouteTable", "Subnets").removesuffix("Id")
        yield _table("private", outputs[key], outputs.get(subnets, ""))


def _table(kind: str, table_id: str, subnets: str) -> Section:
    pairs = (pair.partition("=") for pair in subnets.split(",") if pair)
    return Section(
        f"[[{kind}]]", {"table": Fact(table_id), "subnets": Fact({key: cidr for key, _, cidr in pairs})}
    )
