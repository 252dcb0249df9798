"""Managed nodes as AWS lists them, and as commands are sent to them.

Source: API reference, DescribeInstanceInformation and SendCommand; aws.md 3.1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ssm.exceptions import SSMException, ValidationException
from moto.ssm.responses import SimpleSystemManagerResponse as Response

from .patches import truth
from .reality import aws

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .nodes import Node

INSTANCE_ID = re.compile(r"i-(\w{8}|\w{17})")


def called(instance_ids: list[str], targets: list[dict[str, Any]]) -> list[str]:
    """Find whom it is for. An id must be one of a node that can be reached; a tag may well match nobody."""
    if bool(instance_ids) == bool(targets):
        raise ValidationException("Either InstanceIds or Targets is required, and not both.")
    if len(instance_ids) > 50:
        raise constraint("instanceIds", "Member must have length less than or equal to 50")
    if len(set(instance_ids)) < len(instance_ids):
        raise SSMException("DuplicateInstanceId", "An instance is named twice.")
    for target in targets:
        if target["Key"] == "InstanceIds":
            instance_ids = [*instance_ids, *target["Values"]]
    reached = {one.instance_id for one in _listed() if one.online}
    missing = [one for one in instance_ids if one not in reached]
    if missing:
        text = f"Instances [[{', '.join(missing)}]] not in a valid state for account {aws.account_id}"
        raise SSMException("InvalidInstanceId", text)
    tags = [target for target in targets if target["Key"].startswith("tag:")]
    for node in _listed() if tags else ():
        if all(node.tags.get(one["Key"].removeprefix("tag:")) in one["Values"] for one in tags):
            instance_ids = [*instance_ids, node.instance_id]
    return instance_ids


def describe_instance_information(response: Response) -> ActionResult:
    """List nodes whose instances run. An id asked for by filter that is none of them is simply not in the list."""
    found = _listed()
    for one in response._get_param("Filters") or []:
        found = [node for node in found if _matches(node, one["Key"], one["Values"])]
    for one in response._get_param("InstanceInformationFilterList") or []:
        found = [node for node in found if _matches(node, one["key"], one["valueSet"])]
    size = response._get_param("MaxResults")
    if size is not None and not 5 <= size <= 50:
        raise constraint("maxResults", "Member must be between 5 and 50")
    return page(response, "InstanceInformationList", [node.described for node in found], usual=10)


def _matches(node: Node, key: str, values: list[str]) -> bool:
    described = {
        "InstanceIds": node.instance_id,
        "PingStatus": node.described["PingStatus"],
        "AgentVersion": node.agent_version,
        "PlatformTypes": "Linux",
        "ResourceType": "EC2Instance",
    }
    if key == "InstanceIds" and (bad := [one for one in values if not INSTANCE_ID.fullmatch(one)]):
        raise SSMException("InvalidInstanceId", f"{bad[0]} is no instance id.")
    if key.startswith("tag:"):
        return node.tags.get(key.removeprefix("tag:")) in values
    if key == "tag-key":
        return not node.tags.keys().isdisjoint(values)
    if key not in described:
        raise SSMException("InvalidFilterKey", f"{key} is no filter of the embedded AWS.")
    return described[key] in values


truth.attribute(Response, "describe_instance_information", describe_instance_information)


def _listed() -> list[Node]:
    return [node for node in aws.fleet.nodes.values() if node.listed]


def constraint(name: str, wanted: str) -> ValidationException:
    """Word the refusal of a value outside its bounds."""
    return ValidationException(
        f"1 validation error detected: Value at '{name}' failed to satisfy constraint: {wanted}"
    )


def page(response: Response, key: str, everything: Iterable[dict[str, Any]], usual: int = 50) -> ActionResult:
    """Cut one page out of a listing; AWS may give fewer than asked for."""
    everything, token = list(everything), response._get_param("NextToken")
    if token is not None and not token.isdigit():
        raise SSMException("InvalidNextToken", "The specified token is not valid.")
    size = min(response._get_param("MaxResults") or usual, aws.page_size or 50)
    start = int(token or 0)
    end = start + size
    return ActionResult(
        {key: everything[start:end], "NextToken": str(end) if end < len(everything) else None}
    )
