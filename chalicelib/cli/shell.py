"""What every verb is given: the way to AWS that the operator named, and a voice."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from chalicelib.cli.errors import ConsentNeeded
from chalicelib.cli.terminal import Terminal, ask, can_ask, line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from rich.text import Text

    from chalicelib.bootstrap import Edge


@dataclass(frozen=True)
class Shell:
    """The options that all verbs share, and what follows from them."""

    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    wants_json: bool = False

    @cached_property
    def edge(self) -> Edge:
        """AWS.

        Raises:
            ControllerError: it cannot be reached as asked.
        """
        from chalicelib.bootstrap import connect  # noqa: PLC0415 - boto3 takes longer than --help may

        return connect(self.region, self.profile, self.endpoint_url)

    @cached_property
    def out(self) -> Terminal:
        """Where answers go."""
        return Terminal()

    def say(self, lines: Iterable[Text]) -> None:
        """Tell a person; a program that asked for JSON is told nothing but the document."""
        if not self.wants_json:
            self.out.say(*lines)

    def show(self, lines: Iterable[Text], document: object) -> None:
        """Return the answer: lines for a person, or the document for a program."""
        if self.wants_json:
            print_json(self.out, document)
        else:
            self.out.say(*lines)

    def waiting(self, what: str) -> AbstractContextManager[object]:
        """Show somebody at a terminal that it goes on."""
        return nullcontext() if self.wants_json or not self.out.is_terminal else self.out.status(what)

    def agree(self, question: str) -> bool:
        """Ask before something is changed.

        Raises:
            ConsentNeeded: there is nobody to ask.
        """
        if self.wants_json or not can_ask():
            why = "--json asks nothing" if self.wants_json else "there is no terminal to ask on"
            raise ConsentNeeded(
                f"{why}, so nothing was changed", hint="read the plan, then run this again with --yes"
            )
        return ask(self.out, question)


def print_json(console: Terminal, document: object) -> None:
    """Print one JSON document."""
    console.say(*map(line, json.dumps(document, indent=2).splitlines()))
