"""Prints what was found in a backup, and the files that the firewall would write of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.cli.terminal import line
from chalicelib.office.language import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from chalicelib.core.network.topology import Topology
    from chalicelib.office.effective import File
    from chalicelib.office.finding import Finding, Judged

_COLOURS = {
    "missing": "red",
    "wrong": "red",
    "blocked": "red",
    "shadowed": "yellow",
    "weak": "yellow",
    "unclear": "",
}


def judged_lines(topology: Topology, judged: Judged) -> Iterator[Text]:
    """Print findings for a person, and the verdict last."""
    for finding in (*judged.findings, *judged.unclear):
        yield line((f"{finding.kind:<9}", _COLOURS[finding.kind]), finding.what)
        if finding.line:
            yield line(f"         line: {finding.line}")
        yield line(f"         {finding.page}")
        yield line(f"         enter: {finding.mend}")
    many = len(judged.findings)
    if not many:
        rest = f", as far as it tells: {len(judged.unclear)} unclear" if judged.unclear else ""
        yield line(("the backup has all that ", "green"), (topology.name, "green"), (" needs", "green"), rest)
    else:
        yield line(f"{many} finding{'s' * (many != 1)} for {topology.name}: {judged.verdict}")


def judged_json(topology: Topology, judged: Judged) -> dict[str, object]:
    """Return the same for a program."""
    return {
        "topology": topology.name,
        "verdict": judged.verdict,
        "findings": [_finding(f) for f in judged.findings],
        "unclear": [_finding(f) for f in judged.unclear],
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "kind": finding.kind,
        "what": finding.what,
        "page": finding.page,
        "mend": finding.mend,
        "line": finding.line,
        "field": finding.field,
        "stops": finding.stops,
    }


def effective_lines(topology: Topology, judged: Judged) -> Iterator[Text]:
    """Print the server's file and the router's, as the firewall would write them, less what may be secret."""
    for what, file in _files(topology, judged):
        yield line((f"==> {file.path}" if file else f"==> {what}: none", "bold"))
        yield from (line(without_secrets(one)) for one in (file.lines if file else ()))
        yield line()


def effective_json(topology: Topology, judged: Judged) -> dict[str, object]:
    """Return the same for a program, each line with the field it comes from."""
    return {
        what: file
        and {
            "path": file.path,
            "lines": [{"line": without_secrets(one), "field": one.element} for one in file.lines],
        }
        for what, file in _files(topology, judged)
    }


def _files(topology: Topology, judged: Judged) -> list[tuple[str, File | None]]:
    written, tunnel = judged.effective, topology.tunnel
    server = written.server if written else None
    override = written.override(tunnel.common_name) if written and tunnel else None
    return [("server", server), ("override", override)]
