"""What a planted bug is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: in a file below `chalicelib`, the old text, which stands there exactly once, becomes the new one.

    `also` is changed with it, where it takes two places to make the bug.
    """

    file: str
    bug: str
    old: str
    new: str
    also: Mutant | None = None

    @property
    def parts(self) -> tuple[Mutant, ...]:
        """Every change that makes the bug."""
        return (self, *(self.also.parts if self.also else ()))

    @property
    def name(self) -> str:
        """The file and the bug, in words."""
        return f"{self.file}: {self.bug}"
