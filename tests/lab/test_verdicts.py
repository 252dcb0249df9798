"""What is said of a backup is what packets do: real OpenVPN runs what pfSense would write, and the rendered router dials it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.core.router import CLIENT
from tests.office.backups import judged
from tests.office.shapes import SHAPES, Shape
from tests.router.rendered import declared, rendered, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.wire import Wire


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One wire for all shapes."""
    from tests.lab.wire import Wire  # noqa: PLC0415 - it needs namespaces, and outside there are none

    folder: Path = tmp_path_factory.mktemp("wire")
    made = Wire(declared(), text_of(rendered(), CLIENT), folder)
    yield made
    made.close()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_packets_do_what_the_verdict_says(wire: Wire, shape: Shape) -> None:
    """Office, VPC, the router itself and a laptop reach what they must, or the verdict says that it does not work."""
    effective = judged(*shape.changes).effective
    assert effective is not None
    overrides = {name: [line.text for line in file.lines] for name, file in effective.overrides.items()}

    flow = wire.run([line.text for line in effective.server.lines], overrides)

    assert flow.whole == (shape.verdict != "does not work"), (flow, wire.log("server")[-2000:])
