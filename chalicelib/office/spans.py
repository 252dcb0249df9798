"""Where the elements of a document lie, byte by byte, so that one can be changed and everything else stays as it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.parsers import expat  # the document has been through defusedxml, which refuses entities

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class Span:
    """An element: its tag, where it begins and ends, where its content does, and the elements within."""

    tag: str
    begin: int
    inner: int
    outer: int = 0
    end: int = 0
    children: list[Span] = field(default_factory=list)

    def child(self, tag: str) -> Span | None:
        """Return the last child of a tag: the one in force."""
        found = self.all(tag)
        return found[-1] if found else None

    def all(self, tag: str) -> list[Span]:
        """Return the children of a tag."""
        return [child for child in self.children if child.tag == tag]


def spans(document: bytes) -> Span:
    """Find the elements of a document that is whole XML in an encoding that holds ASCII as it is."""
    top = Span("", 0, 0)
    open_: list[Span] = [top]
    parser = expat.ParserCreate()

    def begin(tag: str, _: object) -> None:
        at = parser.CurrentByteIndex
        span = Span(tag, at, _tag_end(document, at))
        open_[-1].children.append(span)
        open_.append(span)

    def end(_: str) -> None:
        span = open_.pop()
        at = parser.CurrentByteIndex
        if document[span.inner - 2 : span.inner] == b"/>":
            span.outer = span.end = span.inner
        else:
            span.outer, span.end = at, _tag_end(document, at)

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.Parse(document, True)  # noqa: FBT003 - expat's own
    return top.children[0]


def _tag_end(document: bytes, at: int) -> int:
    """Find where a tag ends: a > may stand in an attribute."""
    quote = b""
    while True:
        letter = document[at : at + 1]
        at += 1
        if letter == quote:
            quote = b""
        elif not quote and letter in (b'"', b"'"):
            quote = letter
        elif not quote and letter in (b">", b""):
            return at


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes in place of those between two places."""

    begin: int
    end: int
    text: bytes


def edited(document: bytes, edits: Iterable[Edit]) -> bytes:
    """Make all edits; those at one place in their order."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda one: (one.begin, one.end)):
        parts += [document[at : edit.begin], edit.text]
        at = edit.end
    return b"".join([*parts, document[at:]])
