"""The embedded AWS is a package of its own, which others may take as it is."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
NEEDED = {"boto3", "botocore", "moto", "pytest", "werkzeug"}
"""What it needs beside the standard library: moto, and what moto itself brings; pytest for its fixtures and tests."""


def _imported(source: str) -> Iterator[str]:
    """Name the packages that a module imports; a sibling begins with one dot, the surroundings with two."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                yield from (one.name.partition(".")[0] for one in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield module.partition(".")[0]
            case ast.ImportFrom(level=level):
                yield "." * level


def test_package_imports_nothing_of_its_surroundings() -> None:
    """Neither what is tested on it nor other tests: `fake_aws` may be moved elsewhere as it stands."""
    allowed = NEEDED | set(sys.stdlib_module_names) | {"."}
    found = {(path.name, name) for path in HERE.glob("*.py") for name in _imported(path.read_text())}
    assert sorted(pair for pair in found if pair[1] not in allowed) == []
    assert ("world.py", "boto3") in found
