"""Every shape of backup has its verdict, its findings and no others, and the files that its release writes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.office.backups import judged
from tests.office.shapes import SHAPES, Shape

GOLDEN = Path(__file__).parents[1] / "golden" / "office" / "effective"


def written(shape: Shape) -> str:
    """Write what the backup's release would: the server's file, and the router's."""
    effective = judged(*shape.changes).effective
    assert effective is not None
    override = effective.override("aws-router")
    lines = [f"==> {effective.server.path}", *(line.text.rstrip() for line in effective.server.lines)]
    lines += (
        [f"==> {override.path}", *(line.text.rstrip() for line in override.lines)]
        if override
        else ["==> none"]
    )
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_shape_has_its_verdict_and_its_findings_and_no_others(shape: Shape) -> None:
    """What packets do with a shape is in tests/packets; here it is said, with every reason and none beside."""
    found = judged(*shape.changes)

    assert found.verdict == shape.verdict, found.findings
    assert [f.kind for f in found.findings] == [kind for kind, _ in shape.found], found.findings
    for finding, (_, phrase) in zip(found.findings, shape.found, strict=True):
        assert phrase in finding.what
        assert finding.page
        assert finding.mend


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_shape_is_written_as_its_release_writes_it(shape: Shape) -> None:
    """The files are golden: line by line what `openvpn.inc` of that release makes of the fields."""
    assert written(shape) == (GOLDEN / f"{shape.name}.txt").read_text()
