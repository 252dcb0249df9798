"""Associations as AWS keeps them: one table for each subnet, and a main one that only moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.ec2 import utils
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.route_tables import RouteBackend, RouteTable

from .patches import truth
from .reality import aws

if TYPE_CHECKING:
    from moto.ec2.models import EC2Backend

    from .patches import Moto, Original


_associations = RouteTable.associations.fget


@truth.attributes_of(RouteTable)
def associations(table: RouteTable) -> list[dict[str, Moto]]:
    """Tell the state that an association is in; moto's are settled at once, and for ever."""
    found: list[dict[str, Moto]] = _associations(table)
    for one in found:
        state = aws.unsettled.get(one["RouteTableAssociationId"], "associated")
        one["AssociationState"] = {"State": state}
    return found


@truth.around(RouteBackend, "associate_route_table")
def associate(
    original: Original,
    backend: EC2Backend,
    route_table_id: str,
    gateway_id: str | None = None,
    subnet_id: str | None = None,
) -> str:
    """Refuse a subnet that another table already has; moto answers as if it had been moved."""
    table = backend.get_route_table(route_table_id)
    for other in backend.route_tables.values():
        if subnet_id in other._associations.values() and other is not table:
            text = (
                f"the specified association for route table {table.id} conflicts with an existing association"
            )
            raise EC2ClientError("Resource.AlreadyAssociated", text)
    return str(original(backend, route_table_id, gateway_id, subnet_id))


@truth.around(RouteBackend, "disassociate_route_table")
def disassociate(original: Original, backend: EC2Backend, association_id: str) -> Moto:
    """Refuse to take the main association away."""
    if any(table.main_association_id == association_id for table in backend.route_tables.values()):
        text = f"cannot disassociate the main route table association {association_id}"
        raise EC2ClientError("InvalidParameterValue", text)
    return original(backend, association_id)


@truth.around(RouteBackend, "delete_route_table")
def delete(original: Original, backend: EC2Backend, route_table_id: str) -> None:
    """Refuse to delete the main table."""
    if backend.get_route_table(route_table_id).main_association_id is not None:
        text = f"The routeTable '{route_table_id}' has dependencies and cannot be deleted."
        raise EC2ClientError("DependencyViolation", text)
    original(backend, route_table_id)


@truth.around(utils, "is_filter_matching")
def matches(original: Original, thing: Moto, name: str, wanted: list[str]) -> bool:
    """Let a filter match when any of a thing's values is wanted; moto wants all of them."""
    value = thing.get_filter_value(name)
    if isinstance(value, str | bool | int) or value is None or not hasattr(value, "__iter__"):
        return bool(original(thing, name, wanted))
    return any(utils.fnmatch.fnmatchcase(str(one), pattern) for one in value for pattern in wanted)
