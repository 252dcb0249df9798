"""What is said of a backup is what packets do: real OpenVPN runs what pfSense would write, and the rendered router dials it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.core.tunnel.render import CLIENT
from tests.office import opnsense
from tests.office.backups import judged
from tests.office.shapes import OF_ITS_TIME, SHAPES, Shape
from tests.on_router.rendered import declared, rendered, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chalicelib.office.finding import Judged
    from tests.packets.wire import Flow, Wire


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One wire for all shapes."""
    from tests.packets.wire import Wire  # noqa: PLC0415 - it needs namespaces, and outside there are none

    folder: Path = tmp_path_factory.mktemp("wire")
    made = Wire(declared(), text_of(rendered(), CLIENT), folder)
    yield made
    made.close()


def _run(wire: Wire, judged: Judged) -> Flow:
    assert judged.effective is not None
    overrides = {
        name: [line.text for line in file.lines] for name, file in judged.effective.overrides.items()
    }
    return wire.run([line.text for line in judged.effective.server.lines], overrides)


@pytest.mark.parametrize(
    "shape", [s for s in SHAPES if s.name not in OF_ITS_TIME], ids=lambda shape: shape.name
)
def test_packets_do_what_the_verdict_says(wire: Wire, shape: Shape) -> None:
    """Office, VPC, the router itself and a laptop reach what they must, or the verdict says that it does not work."""
    flow = _run(wire, judged(*shape.changes))

    assert flow.whole == (shape.verdict != "does not work"), (flow, wire.log("server")[-2000:])


@pytest.mark.parametrize(
    "name", [name for name in opnsense.SHAPES if "off" not in name and name != "override for another"]
)
def test_packets_do_what_the_verdict_says_of_opnsense(wire: Wire, name: str) -> None:
    """The same of OPNsense's instances, and of its servers of before."""
    flow = _run(wire, opnsense.judged(name))

    assert flow.whole == (opnsense.SHAPES[name][2] != "does not work"), (flow, wire.log("server")[-2000:])
