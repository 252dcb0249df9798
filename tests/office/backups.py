"""A pfSense backup that has all that the document's topology needs, and ways to break it in one place."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.office.findings import check
from chalicelib.office.reading import read
from tests.on_router.rendered import declared

if TYPE_CHECKING:
    from chalicelib.office.finding import Judged

CONFIG = Path(__file__).with_name("config.xml")
"""A whole backup of an office that has everything; whatever is secret in it says CANARY."""

AT = datetime(2026, 12, 1, tzinfo=UTC)
"""When its certificate is good."""


def changed(*changes: tuple[str, str]) -> str:
    """Return the backup with some of its text exchanged; each text must occur exactly once."""
    text = CONFIG.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return text


def judged(*changes: tuple[str, str]) -> Judged:
    """Judge the backup with some of its text exchanged."""
    return check(declared(), read(changed(*changes).encode()), AT)
