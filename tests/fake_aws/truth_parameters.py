"""Parameter Store as AWS keeps it: what may be stored, in which tier, under which key; a change of one is an event.

Sources, unless said otherwise: API reference, PutParameter and its errors; Systems Manager user guide, "Managing parameter
tiers" and "About requirements and constraints for parameter names"; aws.md 3.3.
"""

from __future__ import annotations

import base64
import functools
import inspect
import os
import re
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException
from moto.kms.models import kms_backends
from moto.ssm.exceptions import SSMException, ValidationException
from moto.ssm.models import Parameter, SimpleSystemManagerBackend
from moto.ssm.responses import SimpleSystemManagerResponse

from . import events
from .patches import truth
from .reality import aws

if TYPE_CHECKING:
    from .patches import Moto, Original

STANDARD, ADVANCED = 4096, 8192


MOST_LEVELS = 15
OWN_KEY = "alias/aws/ssm"


@truth.around(SimpleSystemManagerBackend, "put_parameter")
def put(original: Original, backend: SimpleSystemManagerBackend, *args: Moto, **kwargs: Moto) -> Parameter:
    """Refuse what AWS refuses; tell of what was stored."""
    asked = inspect.signature(original).bind(backend, *args, **kwargs).arguments
    name = asked["name"]
    was = backend._parameters[name][-1] if name in backend._parameters else None
    _check_name(name)
    _check_kind(asked, was)
    _check_value(asked, was)
    asked["tier"] = _tier(asked["value"] or "", asked["tier"], was)
    try:
        stored: Parameter = original(**asked)
    except ServiceException:
        if was is None:  # moto has made room for it already, and trips over that
            backend._parameters.pop(backend._parameters.normalize_name(name), None)
        raise
    _tell("Update" if was else "Create", stored)
    return stored


def _check_name(name: str) -> None:
    if name.strip("/").count("/") >= MOST_LEVELS:
        raise SSMException(
            "HierarchyLevelLimitExceededException", "A hierarchy can have a maximum of 15 levels."
        )
    if not re.fullmatch(r"[a-zA-Z0-9_.\-/]{1,1011}", name):
        raise ValidationException(
            'Parameter name must not be prefixed with "aws" or "ssm"; it consists of a mix of letters, numbers and '
            "the following 3 symbols .-_"
        )
    if "/" in name and not name.startswith("/"):
        raise ValidationException(
            "Parameter name must be a fully qualified name: a hierarchy begins with a forward slash."
        )


def _check_kind(asked: dict[str, Any], was: Parameter | None) -> None:
    """A type stays; a key is only for a SecureString, and without one it is the account's own, also on an update."""
    kind = asked["parameter_type"] or (was.parameter_type if was else None)
    if was is not None and asked["overwrite"] and kind != was.parameter_type:
        raise SSMException(
            "HierarchyTypeMismatchException",
            "Parameter Store doesn't support changing a parameter type in a hierarchy.",
        )
    key = asked["keyid"]
    if kind != "SecureString":
        if key:
            raise ValidationException("KeyId is required for SecureString type parameter only.")
        return
    if key and not _known(key):
        raise SSMException("InvalidKeyId", f"Key '{key}' does not exist")
    asked["keyid"] = key or OWN_KEY


def _known(key: str) -> bool:
    if key.rpartition("alias/")[2] == "aws/ssm":
        return True
    backend = kms_backends[aws.account_id][aws.region]
    alias = backend.get_alias_name(key)
    named = backend.get_key_id_from_alias(alias) if alias.startswith("alias/") else backend.get_key_id(key)
    return named in backend.keys


def _check_value(asked: dict[str, Any], was: Parameter | None) -> None:
    value = asked["value"] or ""
    if "{{" in value:
        raise ValidationException(
            'Parameter value can\'t nest another parameter. Do not use "{{}}" in the value.'
        )
    pattern = asked["allowed_pattern"] or (was.allowed_pattern if was else None)
    if pattern and not re.search(pattern, value):
        text = f"Parameter value, cannot be validated against allowedPattern: {pattern}"
        raise SSMException("ParameterPatternMismatchException", text)


def _tier(value: str, asked: str | None, was: Parameter | None) -> str:
    """Find the tier a value of this size gets, or refuse it; advanced once is advanced for ever."""
    size, now = len(value.encode()), was.tier if was else None
    if asked == "Standard" and now == "Advanced":
        raise ValidationException(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the "
            "advanced-parameter tier to the standard-parameter tier."
        )
    tier = asked or now or "Standard"
    if tier == "Intelligent-Tiering":
        tier = "Advanced" if size > STANDARD or now == "Advanced" else "Standard"
    limit = STANDARD if tier == "Standard" else ADVANCED
    if size > limit:
        text = f"{tier} tier parameters support a maximum parameter value of {limit} characters."
        if tier == "Standard":
            text += (
                " To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."
                " For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/"
                "parameter-store-advanced-parameters.html"
            )
        raise ValidationException(text)
    return tier


# -- what is encrypted looks so --------------------------------------------------------------------------


def _encrypt(_: Parameter, value: str) -> str:
    """Hide a value as KMS does: what is read without decryption says nothing; moto gives it away."""
    data = value.encode()
    pad = os.urandom(len(data))
    hidden = bytes(a ^ b for a, b in zip(data, pad, strict=True))
    return base64.b64encode(pad + hidden).decode()


def _decrypt(parameter: Parameter, value: str) -> str:
    if parameter.parameter_type != "SecureString":
        return value
    data = base64.b64decode(value)
    pad, hidden = data[: len(data) // 2], data[len(data) // 2 :]
    return bytes(a ^ b for a, b in zip(hidden, pad, strict=True)).decode()


truth.attribute(Parameter, "encrypt", _encrypt)
truth.attribute(Parameter, "decrypt", _decrypt)


# -- versions ----------------------------------------------------------------------------------------


def _with_selector(key: str, original: Original, response: SimpleSystemManagerResponse) -> Moto:
    """Return by which selector a parameter was asked for; the name comes without it."""
    result = original(response)
    found = result.result[key]
    asked = response._get_param("Names") or [response._get_param("Name")]
    selectors = {name.partition(":")[0]: f":{name.partition(':')[2]}" for name in asked if ":" in name}
    for one in found if isinstance(found, list) else [found]:
        if one["Name"] in selectors:
            one["Selector"] = selectors[one["Name"]]
    return result


for _name, _key in (("get_parameter", "Parameter"), ("get_parameters", "Parameters")):
    truth.around(SimpleSystemManagerResponse, _name)(functools.partial(_with_selector, _key))


# -- events ------------------------------------------------------------------------------------------


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
