"""Merges what the office must hold into an engineer's own backup, and shows what changes before it gives it."""

from __future__ import annotations

import difflib
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from chalicelib.cli.errors import FileUnusable, NoTunnel
from chalicelib.cli.files import read
from chalicelib.cli.office.backup import parse_backup, read_document, shown
from chalicelib.cli.office.check import judged_lines
from chalicelib.cli.terminal import Terminal, line
from chalicelib.office.findings import check
from chalicelib.office.merge import NoMerge, merge
from chalicelib.office.reading import read as read_backup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from chalicelib.cli.shell import Shell
    from chalicelib.core.network.topology import Topology

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def merged_into(shell: Shell, topology: Topology, name: str, key: str | None, *, only_diff: bool) -> int:
    """Print a backup with what the topology needs merged into it, byte for byte as it was beside.

    What changes goes to standard error first, then what is left to be mended by hand; with `only_diff` the former is all.
    A key of the backup is in no line that changes, and so in none that is shown.
    """
    document = read_document(name)
    backup = parse_backup(name, document)
    if topology.tunnel is None:
        raise NoTunnel(f"{topology.name} declares no tunnel")
    try:
        merged = merge(document, topology, topology.tunnel, backup, _key(key) if key else None)
    except NoMerge as error:
        raise FileUnusable(f"{shown(name)} {error}") from None
    changes = list(_diff(name, document, merged))
    if only_diff or shell.wants_json:
        shell.show(map(_coloured, changes), {"topology": topology.name, "diff": "\n".join(changes)})
        return 0
    aside = Terminal(stderr=True)
    aside.say(*map(_coloured, changes))
    aside.say(*judged_lines(topology, check(topology, read_backup(merged), datetime.now(UTC))))
    sys.stdout.buffer.write(merged)
    sys.stdout.buffer.flush()
    return 0


def _key(name: str) -> bytes:
    key = read(name)
    if b"-----BEGIN OpenVPN Static key V1-----" not in key:
        raise FileUnusable(
            f"{shown(name)} is no tls-crypt key", hint="openvpn --genkey secret tls-crypt.key makes one"
        )
    return key


def _diff(name: str, before: bytes, after: bytes) -> Iterator[str]:
    """List the lines that change and no others; a key that was put in is not shown."""
    old, new = (text.decode(errors="replace").splitlines() for text in (before, after))
    for one in difflib.unified_diff(old, new, name, "merged", n=0, lineterm=""):
        yield "+<tls>[left out]</tls>" if one.startswith("+") and "<tls>" in one else one.expandtabs(2)


def _coloured(one: str) -> Text:
    return line((one, _COLOURS.get(one[:1], "")))
