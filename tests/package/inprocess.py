"""The functions in this process, from the tree instead of the zip: what the demo invokes where Lambda would."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import threading
import time
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

from chalicelib.aws import telemetry
from chalicelib.bootstrap import deployed
from tests.package.runtime import Answer
from tests.stand_ins.functions import Context
from tools.package import ROOT

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from tests.fake_aws import World
    from tests.package.deployment import Deployment
    from tests.package.router import Invocable


class Function:
    """A function whose environment is this process; it serves one event at a time, whoever else is served here."""

    _serving = threading.Lock()

    def __init__(
        self, name: str, handler: Callable[[Any, Context], Any], log: logging.StreamHandler[Any]
    ) -> None:
        self._name, self._handler, self._log = name, handler, log

    def invoke(self, event: object) -> Answer:
        """Serve one event; what is logged and measured meanwhile is kept from standard output."""
        out, began = io.StringIO(), time.perf_counter()
        with self._serving, redirect_stdout(out):
            usual = self._log.setStream(out)
            try:
                payload, ok = self._handler(_carried(event), Context(self._name)), True
            except Exception as error:  # noqa: BLE001 - Lambda's edge: it is the caller's to try again
                payload, ok = {"errorType": type(error).__name__, "errorMessage": str(error)}, False
            finally:
                self._log.setStream(usual)
        return Answer(ok, _carried(payload), time.perf_counter() - began, tuple(out.getvalue().splitlines()))


@contextmanager
def in_process(world: World, deployment: Deployment) -> Iterator[Mapping[str, Invocable]]:
    """Load app.py as Lambda would, with the deployment's settings and the world as its AWS, for the block's time."""
    variables: dict[str, str] = {}
    for name, known in deployment.configured.items():
        for key, value in known["Environment"]["Variables"].items():
            if variables.setdefault(key, value) != value:
                raise ValueError(f"{name} has another {key} than others, and one process has one environment")
    with mock.patch.dict(os.environ, variables | world.environment()):
        deployed.cache_clear()
        app = _load()
        yield {
            name: Function(
                name,
                getattr(app, known["Handler"].removeprefix("app.")),
                cast("logging.StreamHandler[Any]", telemetry.logger.registered_handler),
            )
            for name, known in deployment.configured.items()
        }
    deployed.cache_clear()


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("app", ROOT / "app.py")
    assert spec
    assert spec.loader
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    return app


def _carried(value: object) -> Any:  # noqa: ANN401 - any JSON
    """Return what arrives: nothing but JSON passes between Lambda and its callers."""
    return json.loads(json.dumps(value))
