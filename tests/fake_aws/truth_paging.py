"""Pages as AWS makes them: MaxResults within bounds, NextToken, and by its own choice when it likes."""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidParameterCombination
from moto.ec2.responses.dhcp_options import DHCPOptions
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.internet_gateways import InternetGateways
from moto.ec2.responses.route_tables import RouteTables
from moto.ec2.responses.security_groups import SecurityGroups
from moto.ec2.responses.subnets import Subnets
from moto.ec2.responses.vpcs import VPCs

from .patches import truth
from .reality import aws

if TYPE_CHECKING:
    from moto.ec2.responses._base_response import EC2BaseResponse

    from .patches import Moto, Original


def _page(
    response: EC2BaseResponse, key: str, everything: list[Moto], largest: int, *, ids: bool
) -> ActionResult:
    """Cut one page out of a listing; things asked for by id come all at once."""
    asked, token = response._get_param("MaxResults"), response._get_param("NextToken")
    if asked is not None:
        if ids and key in {"Reservations", "InstanceStatuses"}:
            text = "The parameter instancesSet cannot be used with the parameter maxResults"
            raise InvalidParameterCombination(text)
        if not 5 <= int(asked) <= largest:
            text = f"Value ( {asked} ) for parameter maxResults is invalid. Expecting a value between 5 and {largest}."
            raise EC2ClientError("InvalidParameterValue", text)
    sizes = [int(size) for size in (asked, None if ids else aws.page_size) if size is not None]
    start = _offset(token)
    end = start + min(sizes) if sizes else len(everything)
    following = base64.urlsafe_b64encode(f"page:{end}".encode()).decode() if end < len(everything) else None
    return ActionResult({key: everything[start:end], "NextToken": following})


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("page:"))
    except ValueError:
        raise EC2ClientError("InvalidNextToken", f"The token '{token}' is invalid") from None


def _paged(key: str, ids: str, largest: int, original: Original, response: EC2BaseResponse) -> ActionResult:
    everything = list(original(response).result[key])
    return _page(response, key, everything, largest, ids=bool(response._get_param(ids)))


for _owner, _operation, _key, _ids, _largest in (
    (RouteTables, "describe_route_tables", "RouteTables", "RouteTableIds", 100),
    (
        ElasticNetworkInterfaces,
        "describe_network_interfaces",
        "NetworkInterfaces",
        "NetworkInterfaceIds",
        1000,
    ),
    (InstanceResponse, "describe_instance_status", "InstanceStatuses", "InstanceIds", 1000),
    (Subnets, "describe_subnets", "Subnets", "SubnetIds", 1000),
    (SecurityGroups, "describe_security_groups", "SecurityGroups", "GroupIds", 1000),
    (SecurityGroups, "describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleIds", 1000),
    (VPCs, "describe_vpcs", "Vpcs", "VpcIds", 1000),
    (DHCPOptions, "describe_dhcp_options", "DhcpOptions", "DhcpOptionsIds", 1000),
    (InternetGateways, "describe_internet_gateways", "InternetGateways", "InternetGatewayIds", 1000),
):
    truth.around(_owner, _operation)(functools.partial(_paged, _key, _ids, _largest))


@truth.around(InstanceResponse, "describe_instances")
def describe_instances(original: Original, response: InstanceResponse) -> ActionResult:
    """List reservations without moto's own page of 100."""
    response.error_on_dryrun()
    ids, filters = response._get_param("InstanceIds", []), response._filters_from_querystring()
    backend = response.ec2_backend
    found = (
        backend.get_reservations_by_instance_ids(ids, filters=filters)
        if ids
        else backend.describe_instances(filters)
    )
    return _page(response, "Reservations", list(found), 1000, ids=bool(ids))
