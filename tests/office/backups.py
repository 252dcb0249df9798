"""A pfSense backup that has all that the document's topology needs, and ways to break it in one place."""

from __future__ import annotations

from pathlib import Path

CONFIG = Path(__file__).with_name("config.xml")
"""A whole backup of an office that has everything; whatever is secret in it says CANARY."""


def changed(*changes: tuple[str, str]) -> str:
    """Give the backup with some of its text exchanged; each text must occur exactly once."""
    text = CONFIG.read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return text
