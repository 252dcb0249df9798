"""An operator at a machine of their own: `mooring` as a process, beside the deployed functions."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from tests.stand_ins.command_line import Mooring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stand_ins.functions import Functions

WHO = "arn:aws:sts::123456789012:user/moto"
"""Whom the embedded AWS takes everybody for."""


def operator(functions: Functions, folder: Path) -> Mooring:
    """Return the command, on the same AWS, with nothing set that the functions have set."""
    return Mooring(functions.world.environment(), folder, apart=True)


@contextlib.contextmanager
def at_work(functions: Functions) -> Iterator[None]:
    """Have the worker serve the queue meanwhile, as Lambda's event source does."""
    over = threading.Event()
    failed: list[str] = []

    def serve() -> None:
        while not over.wait(0.05):
            failed.extend(functions.work())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert failed == []
