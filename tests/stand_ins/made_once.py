"""What takes long to make, is the same each time and remembers nothing: typer's commands, and AWS's models and methods."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest import mock

import botocore.client
import botocore.loaders
import botocore.session
import typer.main

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = ("ec2", "ssm", "dynamodb", "sqs", "sts", "cloudformation", "autoscaling")

_create_loader = cache(botocore.loaders.create_loader)
_get_command = cache(typer.main.get_command)
_methods: dict[str, Any] = {}
_create_methods: Any = vars(botocore.client.ClientCreator)["_create_methods"]


def _create_methods_once(creator: Any, service_model: Any) -> Any:  # noqa: ANN401 - botocore has no types for it
    name = service_model.service_name
    if name not in _methods:
        _methods[name] = _create_methods(creator, service_model)
    return dict(_methods[name])


@contextlib.contextmanager
def made_once() -> Iterator[None]:
    """Share all that between the runs of one process, and of those that it forks."""
    with (
        mock.patch.object(botocore.session, "create_loader", _create_loader),
        mock.patch.object(botocore.client.ClientCreator, "_create_methods", _create_methods_once),
        mock.patch.object(typer.main, "get_command", _get_command),
    ):
        yield


def warm() -> None:
    """Make it now."""
    from chalicelib import bootstrap  # noqa: F401, PLC0415 - `mooring --help` must not need it
    from chalicelib.cli.main import app  # noqa: PLC0415 - the same

    with made_once():
        typer.main.get_command(app)
        session = botocore.session.Session()
        session.set_credentials("testing", "testing")
        for service in SERVICES:
            session.create_client(service, region_name="eu-west-1")
