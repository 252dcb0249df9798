"""What a server runs with: its configuration and the files of its clients, whoever wrote them, each line with its field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.office.language import Line


@dataclass(frozen=True, slots=True)
class File:
    """A file that the firewall writes: its path and its lines."""

    path: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Effective:
    """One server as it runs: what it is called, its file, and those of its clients by common name."""

    name: str
    server: File
    overrides: Mapping[str, File] = field(default_factory=dict)

    def override(self, common_name: str) -> File | None:
        """Return the file that OpenVPN reads for a client: its own, or DEFAULT's."""
        return self.overrides.get(common_name) or self.overrides.get("DEFAULT")
