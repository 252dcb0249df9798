"""Parameter Store as AWS keeps it: values have a size, and a change of one is an event."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from moto.ssm.exceptions import ValidationException
from moto.ssm.models import SimpleSystemManagerBackend

from tests.world import events
from tests.world.patches import truth
from tests.world.reality import aws

if TYPE_CHECKING:
    from moto.ssm.models import Parameter

    from tests.world.patches import Moto, Original

STANDARD, ADVANCED = 4096, 8192


def _tier(value: str, tier: str) -> str:
    """Find the tier a value of this size gets, or refuse it (aws.md 3.3)."""
    size = len(value.encode())
    if tier == "Intelligent-Tiering":
        tier = "Advanced" if size > STANDARD else "Standard"
    if size > (STANDARD if tier == "Standard" else ADVANCED):
        limit = STANDARD if tier == "Standard" else ADVANCED
        text = f"{tier} tier parameters support a maximum parameter value of {limit} characters."
        if tier == "Standard":
            text += (
                " To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."
                " For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/"
                "parameter-store-advanced-parameters.html"
            )
        raise ValidationException(text)
    return tier


@truth.around(SimpleSystemManagerBackend, "put_parameter")
def put(original: Original, backend: SimpleSystemManagerBackend, *args: Moto, **kwargs: Moto) -> Parameter:
    """Refuse a value larger than its tier holds; tell of one that was stored, and keep nothing of one refused."""
    asked = inspect.signature(original).bind(backend, *args, **kwargs)
    name, value, tier = (asked.arguments.get(key) for key in ("name", "value", "tier"))
    known = name in backend._parameters
    tier = tier or (backend._parameters[name][-1].tier if known else None) or backend.default_parameter_tier
    try:
        asked.arguments["tier"] = _tier(value or "", tier)
        stored = original(*asked.args, **asked.kwargs)
    finally:
        if not backend._parameters.get(name):  # moto keeps the name of what it refused, and lists it
            backend._parameters.pop(name, None)
    _tell("Update" if known else "Create", stored)
    return stored


def _delete(original: Original, backend: SimpleSystemManagerBackend, names: str | list[str]) -> Moto:
    """Tell of every parameter that is gone."""
    asked = [names] if isinstance(names, str) else names
    known = [backend._parameters[name][-1] for name in asked if backend._parameters.get(name)]
    result = original(backend, names)
    for parameter in known:
        _tell("Delete", parameter)
    return result


for _name in ("delete_parameter", "delete_parameters"):
    truth.around(SimpleSystemManagerBackend, _name)(_delete)


def _tell(operation: str, parameter: Parameter) -> None:
    change = events.parameter_change(
        aws.region, operation, parameter.name, parameter.parameter_type, parameter.description or ""
    )
    aws.bus.emit(change)
