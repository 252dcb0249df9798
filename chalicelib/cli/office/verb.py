"""The verb for the office's engineer: what pfSense or OpenVPN must hold there, and what a backup lacks of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Literal
from xml.sax.saxutils import escape

import typer

from chalicelib.cli.errors import NoTunnel, UsageError
from chalicelib.cli.named import given
from chalicelib.cli.office.check import effective_json, effective_lines, judged_json, judged_lines
from chalicelib.cli.options import File, NameOrFile
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.core.network.topology import Topology, Tunnel
from chalicelib.office.fields import CHOSEN, Field, override_fields, rule_fields, server_fields, unseen
from chalicelib.office.instances import opnsense_xml
from chalicelib.office.release import RELEASES, V27
from chalicelib.office.release import Release as Pages
from chalicelib.office.required import Line, Office
from chalicelib.office.required import office as render_office

Release = Literal["2.4.5", "2.5.2", "2.6.0", "2.7.2", "2.8"]
Format = Literal["text", "openvpn", "pfsense-xml", "opnsense-xml", "json"]


def tunnel_of(topology: Topology) -> Tunnel:
    """Return the topology's tunnel.

    Raises:
        NoTunnel: it declares none.
    """
    if topology.tunnel is None:
        raise NoTunnel(
            f"{topology.name} declares no tunnel",
            hint="add [tunnel] as in examples/office.toml, and declare it anew",
        )
    return topology.tunnel


def office(  # noqa: PLR0913 - one per option
    shell: Shell,
    name: NameOrFile = None,
    *,
    file: File = None,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = "text",
    backup: Annotated[
        str | None,
        typer.Option(
            "--check",
            metavar="FILE",
            help="Hold a backup of pfSense or OPNsense (config.xml), or a server.conf, against it; - is standard input.",
            show_default=False,
        ),
    ] = None,
    release: Annotated[
        Release,
        typer.Option("--release", help="The release of pfSense whose pages the fields are on."),
    ] = "2.7.2",
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            metavar="FILE",
            help="Merge it into a pfSense backup and print that; what changes is shown on standard error.",
            show_default=False,
        ),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="With --into: print what would change, and not the backup.")
    ] = False,
    tls_crypt: Annotated[
        str | None,
        typer.Option(
            "--tls-crypt",
            metavar="FILE",
            help="With --into: the tls-crypt key, for a server that has none.",
            show_default=False,
        ),
    ] = None,
    ccd: Annotated[
        str | None,
        typer.Option(
            "--ccd",
            metavar="DIR",
            help="With --check server.conf: the folder of clients' files.",
            show_default=False,
        ),
    ] = None,
    effective: Annotated[
        bool,
        typer.Option(
            "--effective",
            help="With --check: print what pfSense writes of the backup, server.conf and the router's file.",
        ),
    ] = False,
) -> int:
    """Print what the office's firewall must hold, or check a backup of it.

    Ready to paste, with a sentence of why for each: pfSense's fields, or lines of plain OpenVPN. Writes nothing anywhere.

    A backup is judged by the files that its release of pfSense writes of it, and by what OpenVPN does with those.
    Exit status: 0 printed, or the backup lacks nothing; 2 it does; 1 it could not be read.
    """
    if effective and backup is None:
        raise UsageError("--effective is for a backup", hint="name it: --check config.xml --effective")
    topology = given(shell, name, file)
    tunnel_of(topology)
    if backup is not None:
        return _check(shell, topology, backup, ccd, effective=effective)
    if into is not None:
        from chalicelib.cli.office.into import merged_into  # noqa: PLC0415 - same

        return merged_into(shell, topology, into, tls_crypt, only_diff=diff)
    pages = next(one for one in RELEASES if one.name == release)
    document = _document(render_office(topology), pages)
    printed = json.dumps(document, indent=2).splitlines() if form == "json" else lines(topology, form, pages)
    shell.show(map(line, printed), document)
    return 0


def _check(shell: Shell, topology: Topology, backup: str, ccd: str | None, *, effective: bool) -> int:
    # cryptography takes longer than --help may
    from chalicelib.cli.office.backup import judge_file  # noqa: PLC0415

    judged = judge_file(topology, backup, ccd, datetime.now(UTC))
    if effective:
        shell.show(effective_lines(topology, judged), effective_json(topology, judged))
        return 0
    shell.show(judged_lines(topology, judged), judged_json(topology, judged))
    return 2 if judged.findings else 0


def lines(
    topology: Topology, form: Literal["text", "openvpn", "pfsense-xml", "opnsense-xml"], release: Pages = V27
) -> Iterator[str]:
    """Print what the office must hold, in one of the forms for people."""
    tunnel = tunnel_of(topology)
    match form:
        case "text":
            return _fields(topology, tunnel, release)
        case "openvpn":
            return _openvpn(render_office(topology))
        case "pfsense-xml":
            return _xml(topology, tunnel)
        case "opnsense-xml":
            return opnsense_xml(topology, tunnel)


def _fields(topology: Topology, tunnel: Tunnel, release: Pages) -> Iterator[str]:
    """Print pfSense's fields, page by page."""
    yield f"What pfSense must hold for {topology.name}; create the certificates {tunnel.server_name} (server) and {tunnel.common_name} (client) first, of one authority."
    fields = [
        *server_fields(topology, tunnel, release),
        *override_fields(topology, tunnel, release),
        *rule_fields(topology, tunnel),
    ]
    for page, on_it in groupby(fields, key=lambda field: field.page):
        yield ""
        yield page
        for field in on_it:
            first, *more = field.entry.splitlines()
            yield f"  {field.label:<40}{first}"
            yield from (f"  {'':<40}{entry}" for entry in more)
            yield f"      {field.why}"
    yield ""
    yield "A server in mode Peer to Peer ( SSL/TLS ) does as well: there the VPC's networks go into IPv4 Remote network(s)"
    yield "instead of the custom options."


def _openvpn(rendered: Office) -> Iterator[str]:
    """Print lines of plain OpenVPN: the server's, then those of the router's own file."""
    yield "# OpenVPN server; its certificate, its keys (ca, cert, key, dh none, tls-crypt) and its device are yours to name"
    yield from _commented(rendered.server)
    yield ""
    yield f"# client-config-dir, file {rendered.override_name}"
    yield from _commented(rendered.override)


def _commented(lines: tuple[Line, ...]) -> Iterator[str]:
    for why, same in groupby(lines, key=lambda one: one.why):
        yield f"# {why}"
        yield from (one.text for one in same)


def _xml(topology: Topology, tunnel: Tunnel) -> Iterator[str]:
    """Print the OpenVPN area of a pfSense configuration; what only the firewall has is left for it to be chosen there."""
    yield f'<?xml version="1.0"?> <!-- {REPLACES} -->'
    yield "<openvpn>"
    yield "  <openvpn-server>"
    yield "    <vpnid>1</vpnid>"
    yield "    <!-- a TLS key is needed before the first save: <tls>, base64 of the key's file; without it the form makes it tls-auth -->"
    yield "    <!-- choose in the GUI afterwards: certificate authority (caref) and server certificate (certref) -->"
    yield from _elements(server_fields(topology, tunnel))
    yield from (f"    <{name}>{value}</{name}>" for name, value in unseen())
    yield "  </openvpn-server>"
    yield "  <openvpn-csc>"
    yield "    <server_list>1</server_list>"
    yield from _elements(override_fields(topology, tunnel))
    yield "  </openvpn-csc>"
    yield "</openvpn>"


REPLACES = (
    "Restoring the area OpenVPN REPLACES all of it: every other server, client and override is gone. "
    "For a firewall that has any, let mooring office NAME merge it into a backup of yours (option into)."
)


def _elements(fields: list[Field]) -> Iterator[str]:
    for field in fields:
        if field.element in CHOSEN:
            continue
        first, *more = f"<{field.element}>{escape(field.stored)}</{field.element}>".splitlines()
        yield f"    <!-- {field.why.replace('--', '-')} -->"
        yield f"    {first}"
        yield from more


def _document(rendered: Office, release: Pages) -> dict[str, object]:
    topology, tunnel = rendered.topology, rendered.tunnel
    fields = {
        "server": server_fields(topology, tunnel, release),
        "override": override_fields(topology, tunnel, release),
        "rules": rule_fields(topology, tunnel),
    }
    return {
        "topology": topology.name,
        "openvpn": {
            "server": [{"line": one.text, "why": one.why} for one in rendered.server],
            "client_config_dir": {
                "file": rendered.override_name,
                "lines": [{"line": one.text, "why": one.why} for one in rendered.override],
            },
        },
        "pfsense": {
            key: [
                {"page": f.page, "label": f.label, "entry": f.entry, "element": f.element, "why": f.why}
                for f in found
            ]
            for key, found in fields.items()
        },
    }
