"""The docs' tables that are made from the code are as the code makes them."""

from __future__ import annotations

import pytest

from tools.tables import ROOT, TABLES, filled


@pytest.mark.parametrize("name", sorted(TABLES))
def test_tables_of_the_docs_are_as_the_code_makes_them(name: str) -> None:
    """Old: `python -m tools.tables` makes them anew."""
    document = (ROOT / name).read_text(encoding="utf-8")
    assert filled(document, TABLES[name]) == document


def test_document_without_a_place_for_its_table_is_named() -> None:
    """A table that is nowhere is no table."""
    with pytest.raises(ValueError, match="no place for rooms: write "):
        filled("nothing", TABLES["docs/architecture.md"])
