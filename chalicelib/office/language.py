"""OpenVPN's own configuration language: words and quotes, comments, blocks within the file, other files read in between."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING

from chalicelib.office.vocabulary import ARGUMENTS, CIPHERS, DIRECTIVES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LONGEST_LINE = 255
"""Characters; OpenVPN reads lines into a buffer of 256, and refuses what does not fit (`options.h`, OPTION_LINE_SIZE)."""

MOST_NESTED = 10
"""Files within files (`options.c`, max_recursive_levels)."""

_BLOCK = re.compile(r"<([a-z0-9-]+)>")
_WORD = re.compile(r"""\"(?P<double>(?:\\.|[^"\\])*)\"|'(?P<single>[^']*)'|(?P<bare>(?:\\.|[^\s\\])+)""")
_ESCAPED = re.compile(r"\\(.)")
_QUIET = re.compile(r"setenv|echo|auth-gen-token|http-proxy|static-challenge|askpass|management|secret")
"""Directives whose arguments may be secret."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a configuration, and the field it comes from: an element of the backup, nothing where it is always there."""

    text: str
    element: str = ""

    def __str__(self) -> str:
        """Return the text."""
        return self.text


@dataclass(frozen=True, slots=True)
class Directive:
    """The words of a line; `fault` says why OpenVPN would not take it."""

    words: tuple[str, ...]
    line: Line
    fault: str = ""

    @property
    def name(self) -> str:
        """The first word."""
        return self.words[0]

    @property
    def value(self) -> str:
        """The second word, or nothing."""
        return self.words[1] if len(self.words) > 1 else ""

    @property
    def shown(self) -> str:
        """The line as it may be shown: words of OpenVPN's and numbers; what else a backup says may be secret."""
        first, *rest = self.words
        name = first if known(first) else "…"
        return " ".join([name, *(_shown(word) for word in rest)]) if name != "…" else name


def known(word: str) -> bool:
    """Return whether a word is one of OpenVPN 2.6's directives."""
    return word in DIRECTIVES


def _shown(word: str) -> str:
    inner = " ".join(part if _harmless(part) else "…" for part in word.split())
    return f'"{inner}"' if " " in word else inner


def _harmless(word: str) -> bool:
    try:
        IPv4Address(word)
    except AddressValueError:
        ciphers = all(part.upper() in CIPHERS for part in word.split(":"))
        return ciphers or word in DIRECTIVES or word in ARGUMENTS or (word.isascii() and word.isdigit())
    return True


def split(text: str) -> tuple[tuple[str, ...], str]:
    """Split a line into words as OpenVPN does, and say why it would not.

    A comment begins with # or ; between words. Double quotes and single ones hold blanks together; a backslash takes the next
    character as it is, except in single quotes (`options_parse.c`, parse_line).
    """
    words: list[str] = []
    rest = text.strip()
    while rest and rest[0] not in "#;":
        found = _WORD.match(rest)
        if found is None or (found["bare"] and rest[0] in "\"'"):
            return tuple(words), "has no end of a quotation, or nothing behind a backslash"
        single = found["single"]
        inner = found["double"] if found["double"] is not None else found["bare"]
        words.append(single if single is not None else _ESCAPED.sub(r"\1", inner))
        rest = rest[found.end() :].lstrip()
    return tuple(words), "has more than 16 words" if len(words) > 16 else ""


def parse(lines: Iterable[Line], include: Callable[[str], str | None] = lambda _: None) -> list[Directive]:
    """Parse a configuration; `include` gives the text of a file that it reads in between, None when it cannot."""
    return list(_parse(lines, include, 0))


def _parse(lines: Iterable[Line], include: Callable[[str], str | None], depth: int) -> Iterator[Directive]:
    rest = iter(lines)
    for line in rest:
        words, fault = split(line.text)
        if len(line.text) > LONGEST_LINE:
            fault = "is longer than 255 characters"
        if not words:
            if fault:
                yield Directive(("…",), line, fault)
            continue
        block = _BLOCK.fullmatch(words[0])
        if block and len(words) == 1:
            closing = f"</{block[1]}>"
            closed = any(inner.text.strip() == closing for inner in rest)
            yield Directive((block[1], "[inline]"), line, fault or ("" if closed else "has no end"))
        elif words[0] == "config" and len(words) == 2:
            text = include(words[1]) if depth < MOST_NESTED else None
            if text is None:
                yield Directive(words, line, "reads a file that is not here")
            else:
                yield from _parse((Line(t, line.element) for t in text.splitlines()), include, depth + 1)
        else:
            yield Directive((words[0].removeprefix("--") or "--", *words[1:]), line, fault)


def without_secrets(line: Line) -> str:
    """Return a line to be printed: arguments that may be secret are left out."""
    words, _ = split(line.text)
    if not words or words[0].startswith("#"):
        return line.text
    name = words[0]
    pushed = words[1].split()[:1] if name in ("push", "push-remove") and len(words) > 1 else []
    secret = (_QUIET.match(name) and name != "management") or any(map(_QUIET.match, pushed))
    if secret or (line.element == "custom_options" and not known(name)):
        return f"{name if known(name) else '…'} [left out]"
    return line.text
