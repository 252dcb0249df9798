"""The deployed app over the embedded AWS, and the example network for it to keep."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import TYPE_CHECKING

import pytest

from chalicelib.bootstrap import deployed
from tests.app.office import Managed, Office, deploy_managed, deploy_office
from tests.network import deploy_journal, deploy_queue, fingerprints
from tests.stand_ins.functions import Functions, Log, forget_what_is_declared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from tests.fake_aws import World


@pytest.fixture(scope="session")
def app(embedded: World) -> Iterator[ModuleType]:
    """The module that Lambda loads, with the environment it has there."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in embedded.environment().items():
            patch.setenv(name, value)
        patch.setenv("MOORING_DOCUMENTS", fingerprints())
        patch.delitem(sys.modules, "app", raising=False)
        deployed.cache_clear()
        yield importlib.import_module("app")


@pytest.fixture
def functions(world: World, app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    """The functions, their queue and their journal; nothing is declared."""
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    deploy_journal(world)
    queue_url = deploy_queue(world)
    monkeypatch.setenv("MOORING_QUEUE_URL", queue_url)
    forget_what_is_declared(app)
    log = Log()
    logger = logging.getLogger("mooring")
    logger.addHandler(log)
    functions = Functions(app, world, queue_url, log)
    functions.forget()
    yield functions
    logger.removeHandler(log)


@pytest.fixture
def office(functions: Functions) -> Office:
    """The example network with a standby, declared and as declared."""
    return deploy_office(functions)


@pytest.fixture
def managed(functions: Functions) -> Managed:
    """The example network with a standby and its tunnel, and routers that say they are as declared."""
    return deploy_managed(functions)
