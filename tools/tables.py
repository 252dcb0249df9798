"""Writes the tables of the docs that are made from the code: `python -m tools.tables`; a test fails when one is old.

A table stands between `<!-- NAME: python -m tools.tables -->` and `<!-- end of NAME -->`.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import grimp

from chalicelib.core.machines.lifecycle import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]


def life_of_a_push() -> Iterator[str]:
    """Show `lifecycle.TRANSITIONS`, a row for each."""
    yield "| command | what it came to | when | a provisional configuration | a push that failed | secrets |"
    yield "|---|---|---|---|---|---|"
    for row in TRANSITIONS:
        when = (row.when.__doc__ or "").rstrip(".") if row.when else ""
        yield f"| {row.command} | {row.result} | {when} | {row.provisional} | {row.failed} | {row.secrets} |"


def rooms() -> Iterator[str]:
    """Draw which rooms of the package import which, with the number of imports."""
    graph = grimp.build_graph("chalicelib")
    arrows = [(m, to) for m in sorted(graph.modules) for to in graph.find_modules_directly_imported_by(m)]
    between = Counter((_room(a), _room(b)) for a, b in arrows if _room(a) != _room(b))
    yield "```mermaid"
    yield "graph TD"
    for (a, b), count in sorted(between.items()):
        yield f"  {a.replace('.', '_')}[{a}] -->|{count}| {b.replace('.', '_')}[{b}]"
    yield "```"
    yield ""
    told = f"{len(graph.modules)} modules in {len({_room(m) for m in graph.modules})} rooms; {len(arrows)} imports"
    yield f"{told}, {sum(between.values())} of them from room to room, along {len(between)} arrows."


def _room(module: str) -> str:
    """Name a module's room: its package, or itself where it stands alone; core's rooms are told apart."""
    parts = module.split(".")[1:]
    if parts[:1] == ["core"] and len(parts) > 2:
        return ".".join(parts[:2])
    return parts[0] if parts else "chalicelib"


TABLES: dict[str, dict[str, Callable[[], Iterator[str]]]] = {
    "docs/push.md": {"life of a push": life_of_a_push},
    "docs/architecture.md": {"rooms": rooms},
}


def filled(document: str, tables: dict[str, Callable[[], Iterator[str]]]) -> str:
    """Return a document with its tables made anew.

    Raises:
        ValueError: it has no place for one of them.
    """
    for name, lines in tables.items():
        begin, end = f"<!-- {name}: python -m tools.tables -->", f"<!-- end of {name} -->"
        place = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
        if not place.search(document):
            raise ValueError(f"no place for {name}: write {begin} and {end}")
        table = "\n".join([begin, *lines(), end])
        document = place.sub(lambda _, table=table: table, document)  # type: ignore[misc]
    return document


def main() -> int:
    """Make every table anew."""
    for name, tables in TABLES.items():
        path = ROOT / name
        path.write_text(filled(path.read_text(encoding="utf-8"), tables), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
