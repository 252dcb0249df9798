"""Reads the files that operators name."""

from __future__ import annotations

import sys
from pathlib import Path

from chalicelib.cli.errors import FileUnusable

_MOST = 1 << 20
"""Bytes read of a file: more than a parameter holds, so that the complaint can say how much too long it is."""


def read(file: str, hint: str = "") -> bytes:
    """Read a file, or standard input for `-`, up to a megabyte.

    Raises:
        FileUnusable: there is no such file, or it cannot be read.
    """
    try:
        if file != "-":
            with Path(file).open("rb") as stream:
                return stream.read(_MOST)
        if sys.stdin is None:
            raise FileUnusable("standard input is closed")
        return sys.stdin.buffer.read(_MOST)
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        why = error.strerror if isinstance(error, OSError) else error
        raise FileUnusable(f"cannot read {file}: {why}", hint=hint) from error
