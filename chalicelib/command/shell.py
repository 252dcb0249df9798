"""Runs the router's own tools, each within its time, and tells the three ways a push can end early apart."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = Path(__file__).parents[1]
"""The zip that all this came in, which Python runs."""
TIMED_OUT, NOT_INSTALLED = 124, 127


class Refused(Exception):  # noqa: N818 - a push is refused; nobody failed
    """Why a push was turned down before it touched anything."""


class Broken(Exception):  # noqa: N818 - what broke is the way home, and the caller undoes the push
    """Why a push that was loaded cannot stay."""


def run(
    *command: str, seconds: float = 10.0, text: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; one that takes longer ends with 124, one that is not there with 127."""
    try:
        return subprocess.run(  # noqa: S603 - no shell, and every word is ours
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env={**os.environ, "LC_ALL": "C", **(env or {})},
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, TIMED_OUT, "", f"no end within {seconds:g} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, NOT_INSTALLED, "", f"{command[0]}: {error.strerror}")


def last_words(ended: subprocess.CompletedProcess[str], most: int = 240) -> str:
    """Give the last line that a command said, its errors first, cut short."""
    lines = [line.strip() for line in (ended.stderr + "\n" + ended.stdout).splitlines() if line.strip()]
    errors = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    return ((errors or lines or [f"exit code {ended.returncode}"])[-1])[:most]
