"""Reads the firewall's backup that an engineer names: a file from elsewhere, which may be anything and of any length."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.cli.errors import FileUnusable
from chalicelib.office.case import Config
from chalicelib.office.findings import check
from chalicelib.office.language import Line
from chalicelib.office.plain import check_plain, looks_plain
from chalicelib.office.reading import NoBackup, read

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.core.network.topology import Topology
    from chalicelib.office.backup import Backup
    from chalicelib.office.finding import Judged

MOST = 32 << 20
"""Bytes read: far more than a firewall's settings take. Graphs (RRD data) can be left out of a backup."""

_CLIENTS = 10_000
"""Clients' files that are read: more than a server has."""

HINT = "Diagnostics > Backup & Restore > Download configuration as XML, without encryption"


def read_backup(name: str) -> Backup:
    """Read what concerns the tunnel of a backup, whole or of its OpenVPN area alone.

    Raises:
        FileUnusable: there is no such file, or it is no such backup; one line says why, and shows nothing of it.
    """
    return parse_backup(name, read_document(name))


def parse_backup(name: str, document: bytes) -> Backup:
    """Parse a backup that was read.

    Raises:
        FileUnusable: it is none.
    """
    try:
        return read(document)
    except NoBackup as error:
        raise FileUnusable(f"{shown(name)} {error}", hint=HINT) from None


def judge_file(topology: Topology, name: str, ccd: str | None, at: datetime) -> Judged:
    """Judge a backup, or a plain server's configuration with the folder of its clients' files.

    Raises:
        FileUnusable: it cannot be read.
    """
    document = read_document(name)
    if ccd is None and not looks_plain(document):
        return check(topology, parse_backup(name, document), at)
    home = Path() if name == "-" else Path(name).parent
    text = document.decode(errors="replace")
    named = Config.of(Line(one) for one in text.splitlines()).value("client-config-dir", "ccd")
    folder = Path(ccd) if ccd is not None else home / named
    if ccd is not None and not folder.is_dir():
        raise FileUnusable(f"{ccd} is no folder", hint="the one that client-config-dir names")
    files = _files(folder) if folder.is_dir() else None
    return check_plain(topology, shown(name), text, lambda other: _text(home / other), files)


def _files(folder: Path) -> dict[str, str]:
    try:
        paths = sorted(folder.iterdir())[:_CLIENTS]
    except OSError as error:
        raise FileUnusable(f"cannot read {folder}: {error.strerror}") from error
    found = {path.name: _text(path) for path in paths}
    return {name: text for name, text in found.items() if text is not None}


def _text(path: Path) -> str | None:
    """Read a file beside the one that was named; None when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(1 << 20).decode(errors="replace") if path.is_file() else None
    except (OSError, ValueError):
        return None


def read_document(name: str) -> bytes:
    """Read a file, or standard input for `-`.

    Raises:
        FileUnusable: there is no such file, or it is too long.
    """
    document = _bytes(name)
    if len(document) > MOST:
        raise FileUnusable(
            f"{shown(name)} is larger than {MOST >> 20} MB",
            hint="leave RRD data and packages out of the backup",
        )
    return document


def shown(name: str) -> str:
    """Name a file to a person."""
    return "standard input" if name == "-" else name


def _bytes(name: str) -> bytes:
    try:
        if name != "-":
            with Path(name).open("rb") as stream:
                return stream.read(MOST + 1)
        return sys.stdin.buffer.read(MOST + 1) if sys.stdin else b""
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        why = error.strerror if isinstance(error, OSError) else error
        raise FileUnusable(f"cannot read {name}: {why}", hint=HINT) from error
