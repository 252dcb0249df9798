"""The verb that prints a router's files as Mooring renders them."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from chalicelib.cli.errors import UsageError
from chalicelib.cli.named import declared
from chalicelib.cli.office import tunnel_of
from chalicelib.cli.options import Name
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.controller import Request, look
from chalicelib.core.candidates import candidates
from chalicelib.core.configuration import box_of
from chalicelib.core.errors import NoEligibleRouter
from chalicelib.core.observation import Instance
from chalicelib.core.router import Box, Bundle, render
from chalicelib.core.topology import Topology


def router(
    shell: Shell,
    name: Name = None,
    *,
    instance: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A candidate. [default: the current router]", show_default=False),
    ] = None,
) -> int:
    """Print the files a router holds: OpenVPN, iptables, the units that load and follow.

    Nothing secret is in them, and nothing is sent anywhere; the last line is their digest.
    """
    topology = declared(shell.edge, name)
    tunnel_of(topology)
    chosen, box = _box(shell, topology, instance)
    bundle = render(topology, box)
    shell.show(_lines(bundle, chosen), _document(topology, bundle, chosen))
    return 0


def _box(shell: Shell, topology: Topology, instance_id: str | None) -> tuple[Instance, Box]:
    """Find the candidate of an id, or the router.

    Raises:
        UsageError: the instance is no candidate.
        NoEligibleRouter: nobody is the router, or what a box is made of cannot be seen.
    """
    if instance_id is None:
        seen = look(topology, shell.edge.ports, Request())
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


def _lines(bundle: Bundle, instance: Instance) -> Iterator[Text]:
    for file in bundle.files:
        yield line((f"==> {file.path} {file.mode:04o}", "bold"))
        yield from map(line, file.text.splitlines())
        yield line()
    yield line(f"{instance.id}: sha256 {bundle.digest}")


def _document(topology: Topology, bundle: Bundle, instance: Instance) -> dict[str, object]:
    return {
        "topology": topology.name,
        "instance": instance.id,
        "digest": bundle.digest,
        "files": [{"path": f.path, "mode": f"{f.mode:04o}", "text": f.text} for f in bundle.files],
    }
