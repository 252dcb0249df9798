"""What the router is told in the end: the server's options, less what the router's own file takes back, and that file's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.office.backup import number
from chalicelib.office.language import split

if TYPE_CHECKING:
    from chalicelib.office.case import Case
    from chalicelib.office.language import Directive


@dataclass(frozen=True, slots=True)
class Told:
    """One pushed option: its words, the line it comes from, and whether that is in the router's own file."""

    words: tuple[str, ...]
    line: Directive
    override: bool = False

    @property
    def seconds(self) -> int | None:
        """Its number; None when it has none."""
        return number(self.words[1]) if len(self.words) > 1 else None


def general(case: Case) -> list[Told]:
    """List what every client is told, in order; a server's `keepalive` is told last (`helper.c`, helper_keepalive)."""
    found = [Told(words, line) for words, line in case.server.pushed()]
    keepalive = case.server.last("keepalive")
    if keepalive and len(keepalive.words) == 3:
        _, interval, timeout = keepalive.words
        found += [Told(("ping", interval), keepalive), Told(("ping-restart", timeout), keepalive)]
    return found


def told(case: Case) -> list[Told]:
    """List what the router is told, in order; of two of a kind the later counts.

    Lines of its file work in their order: a reset takes back what came before it, a removal all that begins like it.
    """
    found = general(case)
    for line in case.override.directives if case.override else ():
        if line.name == "push-reset":
            found = []
        elif line.name == "push-remove":
            found = [one for one in found if not " ".join(one.words).startswith(line.value)]
        elif line.name == "push":
            words, _ = split(line.value)
            found += [Told(words, line, override=True)] if words else []
    return found


def taken_back(case: Case, option: str) -> Directive | None:
    """Find the line of the router's file that takes an option back."""
    for line in case.override.directives if case.override else ():
        if line.name == "push-reset" or (
            line.name == "push-remove" and line.value and option.startswith(line.value)
        ):
            return line
    return None
