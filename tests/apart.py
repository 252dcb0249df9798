"""A process that knows nothing of its user's AWS. It imports no moto, which asks for the user's profile when imported."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def apart() -> Iterator[None]:
    """Know nothing of the user's own AWS and Mooring for the block's time: no profile, no variable, no file."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOORING_", "POWERTOOLS_"))}
    nobodys = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    with mock.patch.dict(os.environ, kept | nobodys, clear=True):
        yield
