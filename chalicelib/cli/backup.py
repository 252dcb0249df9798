"""Reads the firewall's backup that an engineer names: a file from elsewhere, which may be anything and of any length."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.cli.errors import FileUnusable
from chalicelib.office.reading import NoBackup, read

if TYPE_CHECKING:
    from chalicelib.office.backup import Backup

MOST = 32 << 20
"""Bytes read: far more than a firewall's settings take. Graphs (RRD data) can be left out of a backup."""

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
