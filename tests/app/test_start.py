"""What a function does before it serves anything: a cold start is waited for."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chalicelib.bootstrap import Edge, deployed
from chalicelib.core.errors import ControllerError

if TYPE_CHECKING:
    from tests.fake_aws import World

MADE = {"network", "journal", "topologies", "queue", "groups", "ec2"}


def _start(world: World, patch: pytest.MonkeyPatch, handler: str) -> Edge:
    """Open the edge as a function does whose handler is this."""
    for name, value in world.environment().items():
        patch.setenv(name, value)
    patch.setenv("_HANDLER", handler)
    return deployed.__wrapped__()


@pytest.mark.parametrize("handler", ["app.on_event", "app.app"])
def test_function_that_may_not_need_aws_makes_no_client(
    embedded: World, monkeypatch: pytest.MonkeyPatch, handler: str
) -> None:
    """Most events and requests need some of the services, none of them all."""
    assert MADE.isdisjoint(vars(_start(embedded, monkeypatch, handler)))


def test_worker_makes_its_clients_before_it_is_called(
    embedded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It always needs EC2, the journal and the declarations; what it made is not searched for garbage ever after."""
    try:
        edge = _start(embedded, monkeypatch, "app.reconcile")
        assert MADE & vars(edge).keys() == {"network", "ec2", "journal", "topologies"}
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_deployed_function_does_without_boto3_and_the_tools(embedded: World) -> None:
    """boto3 loads S3's transfers, the CLI its own libraries: none of that is waited for."""
    code = "import app, sys; print([m for m in ('boto3', 's3transfer', 'typer', 'rich') if m in sys.modules])"
    environment = embedded.environment() | {"PATH": "", "_HANDLER": "app.on_event"}
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_queue_that_is_nowhere_is_an_error_with_a_hint(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable it is looked for by its name; where nothing is deployed, that is said."""
    monkeypatch.delenv("MOORING_QUEUE_URL", raising=False)
    with pytest.raises(ControllerError, match="no Mooring is deployed here") as error:
        _ = Edge(world.session, world.endpoint_url).queue
    assert "make deploy" in error.value.hint
