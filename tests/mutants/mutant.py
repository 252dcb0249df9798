"""What a planted bug is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: in a file below `chalicelib`, the old text, which stands there exactly once, becomes the new one."""

    file: str
    bug: str
    old: str
    new: str

    @property
    def name(self) -> str:
        """The file and the bug, in words."""
        return f"{self.file}: {self.bug}"
