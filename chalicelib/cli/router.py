"""The verb that prints a router's files as Mooring renders them."""

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Annotated

import typer
from rich.text import Text

from chalicelib.cli.errors import UsageError
from chalicelib.cli.named import given, is_file
from chalicelib.cli.office.verb import tunnel_of
from chalicelib.cli.options import File, NameOrFile
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.controller.assessment import Task
from chalicelib.controller.reconcile import look
from chalicelib.core.errors import NoEligibleRouter
from chalicelib.core.machines.readiness import box_of
from chalicelib.core.network.candidates import candidates
from chalicelib.core.network.observation import Instance
from chalicelib.core.network.topology import Topology
from chalicelib.core.request import Request
from chalicelib.core.tunnel.render import Box, Bundle, render


def router(
    shell: Shell,
    name: NameOrFile = None,
    *,
    file: File = None,
    instance: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A candidate. [default: the current router]", show_default=False),
    ] = None,
    private_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Of a file: the router's address in the VPC.", show_default=False
        ),
    ] = None,
    elastic_ip: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of a file: the Elastic IP's address.", show_default=False),
    ] = None,
) -> int:
    """Print the files a router holds: OpenVPN, iptables, the units that load and follow.

    Nothing secret is in them, and nothing is sent anywhere; the last line is their digest. Of a file AWS is not asked: what
    only AWS knows is then given, or stands for an example.
    """
    topology = given(shell, name, file)
    tunnel_of(topology)
    if is_file(name, file):
        if instance is not None:
            raise UsageError(
                "--instance is AWS's, and a file knows none", hint="--private-address, --elastic-ip"
            )
        box = _example(topology, private_address, elastic_ip)
        who = f"a router at {box.private_address} with the Elastic IP {box.elastic_ip}"
    else:
        chosen, box = _box(shell, topology, instance)
        who = chosen.id
    bundle = render(topology, box)
    shell.show(_lines(bundle, who), _document(topology, bundle, who))
    return 0


def _example(topology: Topology, private_address: str | None, elastic_ip: str | None) -> Box:
    """Make a box of what was given; AWS's first free address of a public subnet and one for documentation stand for the rest."""
    first = next(iter(sorted(topology.public_subnets.values())), topology.cidr)
    own = topology.private_address or first.network_address + 4
    return Box(
        own if private_address is None else _address("--private-address", private_address),
        IPv4Address("192.0.2.1") if elastic_ip is None else _address("--elastic-ip", elastic_ip),
    )


def _address(option: str, text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError as error:
        raise UsageError(f"{option} is {ascii(text)[:80]}", hint="it must be an IPv4 address") from error


def _box(shell: Shell, topology: Topology, instance_id: str | None) -> tuple[Instance, Box]:
    """Find the candidate of an id, or the router.

    Raises:
        UsageError: the instance is no candidate.
        NoEligibleRouter: nobody is the router, or what a box is made of cannot be seen.
    """
    if instance_id is None:
        seen = look(Task.begin(topology, Request(), shell.edge.clock), shell.edge)[1]
        observation, chosen = seen.observation, seen.election.router
        if chosen is None:
            raise NoEligibleRouter(seen.election.reason, hint=f"mooring status {topology.name}")
    else:
        observation = shell.edge.network.observe(topology)
        found = {candidate.id: candidate for candidate in candidates(topology, observation)}
        if instance_id not in found:
            raise UsageError(
                f"{instance_id} is no candidate of {topology.name}",
                hint=f"candidates now: {', '.join(found) or 'none'}",
            )
        chosen = found[instance_id]
    box = box_of(topology, observation, chosen)
    if box is None:
        raise NoEligibleRouter(
            f"{chosen.id} has no interface to pin, or {topology.elastic_ip} does not exist",
            hint=f"mooring status {topology.name}",
        )
    return chosen, box


def _lines(bundle: Bundle, who: str) -> Iterator[Text]:
    for file in bundle.files:
        yield line((f"==> {file.path} {file.mode:04o}", "bold"))
        yield from map(line, file.text.splitlines())
        yield line()
    yield line(f"{who}: sha256 {bundle.digest}")


def _document(topology: Topology, bundle: Bundle, who: str) -> dict[str, object]:
    return {
        "topology": topology.name,
        "instance": who,
        "digest": bundle.digest,
        "files": [{"path": f.path, "mode": f"{f.mode:04o}", "text": f.text} for f in bundle.files],
    }
