"""The operator's terminal, or what stands in for one: prints lines whole, and asks only where somebody can answer."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.prompt import Confirm
from rich.text import Text

if TYPE_CHECKING:
    from rich.style import StyleType


class Terminal(Console):
    """A console that never wraps, cuts or highlights a line, and outlives its reader."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, highlight=False)
        if self.no_color:  # https://no-color.org; rich would go on writing bold and dim
            self._color_system = None

    def on_broken_pipe(self) -> None:
        """Go on without a reader: what was begun is finished, and its exit code holds."""
        self.quiet = True
        forget(self.file)

    def say(self, *lines: Text) -> None:
        """Print each line as it is, however long."""
        for one in lines:
            self.print(one)


def line(*parts: str | tuple[str, StyleType]) -> Text:
    """Put a line together; what a terminal would obey instead of print is shown escaped."""
    pairs = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((_harmless(text), style) for text, style in pairs))


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def can_ask() -> bool:
    """Return whether somebody sees a question and can answer it."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def ask(console: Console, question: str) -> bool:
    """Ask yes or no; no answer is a no."""
    try:
        return Confirm.ask(Text(question), console=console, default=False)
    except EOFError:
        console.print()
        return False


def forget(stream: IO[str]) -> None:
    """Send a stream that nobody takes nowhere, so that the interpreter's last flush is quiet too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
