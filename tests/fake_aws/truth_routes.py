"""Routes as AWS keeps them: their state follows the target, and their destination must be exact."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from moto.ec2.exceptions import EC2ClientError, InvalidRouteTableIdError, RouteAlreadyExistsError
from moto.ec2.models import ec2_backends
from moto.ec2.models.internet_gateways import InternetGateway
from moto.ec2.models.route_tables import Route, RouteBackend, RouteTable
from moto.ec2.models.vpn_gateway import VpnGateway
from moto.ec2.responses.route_tables import RouteTables

from .patches import truth
from .reality import aws

if TYPE_CHECKING:
    from moto.ec2.models import EC2Backend
    from moto.ec2.models.elastic_network_interfaces import NetworkInterface
    from moto.ec2.models.instances import Instance

    from .patches import Moto, Original

ALIVE = ("pending", "running")


# -- what a route says of its target ---------------------------------------------------------------------


def _instance(nic: NetworkInterface | None) -> Instance | None:
    """Find the instance behind an interface that still exists."""
    return nic.instance if nic is not None and nic.id in nic.ec2_backend.enis else None


@truth.attributes_of(Route)
def state(route: Route) -> str:
    """Return `blackhole` when the target cannot take packets (aws.md 2.1: stopped, detached, deleted)."""
    gateway, vpc_id = route.gateway, route.route_table.vpc_id
    if route.interface is not None:
        instance = _instance(route.interface)
        available = instance is not None and instance.state in ALIVE
    elif route.nat_gateway is not None:
        available = route.nat_gateway.state in {"pending", "available"}
    elif isinstance(gateway, InternetGateway):
        available = gateway.vpc is not None and gateway.vpc.id == vpc_id
    elif isinstance(gateway, VpnGateway):
        available = vpc_id in gateway.attachments and gateway.attachments[vpc_id].state == "attached"
    else:
        available = True
    return "active" if available else "blackhole"


@truth.attributes_of(Route)
def instance_id(route: Route) -> str | None:
    """Name the instance behind the target interface, as long as there is one."""
    instance = _instance(route.interface)
    return str(instance.id) if instance else None


@truth.attributes_of(Route)
def origin(route: Route) -> str:
    """Return where the route comes from; a replaced local route still came with the table."""
    if getattr(route, "propagated", False):
        return "EnableVgwRoutePropagation"
    return "CreateRouteTable" if route.local or hasattr(route, "was_local") else "CreateRoute"


# -- propagated routes -----------------------------------------------------------------------------------


def propagate(table_id: str, cidr: str, vgw_id: str) -> None:
    """Add a route that a virtual private gateway propagates."""
    backend = ec2_backends[aws.account_id][aws.region]
    table, gateway = backend.get_route_table(table_id), backend.get_vpn_gateway(vgw_id)
    route = Route(table, cidr, None, gateway=gateway)
    route.propagated = True
    table.__dict__.setdefault("propagated_routes", []).append(route)


@truth.attributes_of(RouteTable)
def routes(table: RouteTable) -> list[Route]:
    """List static and propagated routes; the latter only while their gateway is attached."""
    propagated = [route for route in getattr(table, "propagated_routes", []) if route.state == "active"]
    return [*table._routes.values(), *propagated]


@truth.attributes_of(RouteTable)
def propagating_vgws(table: RouteTable) -> list[dict[str, str]]:
    """List the gateways that propagate into the table."""
    return [
        {"GatewayId": vgw}
        for vgw in sorted({route.gateway.id for route in table.routes if hasattr(route, "propagated")})
    ]


@truth.around(RouteTable, "get_filter_value")
def table_filter(original: Original, table: RouteTable, name: str, method: str | None = None) -> Moto:
    """Filter by what the routes themselves say, too."""
    if name in {"route.state", "route.origin", "route.instance-id"}:
        attribute = name.removeprefix("route.").replace("-", "_")
        return [value for route in table.routes if (value := getattr(route, attribute))]
    return original(table, name, method)


# -- writes ----------------------------------------------------------------------------------------------


def _network(cidr: str) -> str:
    """Put a destination in AWS's canonical form, or refuse it."""
    try:
        address, mask = cidr.split("/")
        return str(ipaddress.IPv4Network(f"{address}/{int(mask)}", strict=False))
    except ValueError:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({cidr}) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.",
        ) from None


def _target(backend: EC2Backend, table: RouteTable, target: dict[str, Moto]) -> NetworkInterface | None:
    """Find the interface a route is to lead to (also behind an instance), and check that it may."""
    instance_id, interface_id = target.get("instance_id"), target.get("interface_id")
    if instance_id:
        nics = backend.get_instance(instance_id).network_interfaces
        if len(nics) != 1:
            raise EC2ClientError(
                "InvalidInstanceID",
                f"There are multiple interfaces attached to instance '{instance_id}'. "
                "Please specify an interface ID for the operation instead.",
            )
        interface_id = nics[0].id
    nic = backend.get_network_interface(interface_id) if interface_id else None
    gateway_id = target.get("gateway_id") or ""
    gateways = backend.internet_gateways | backend.vpn_gateways
    if gateway_id.startswith(("igw-", "vgw-")) and gateway_id not in gateways:  # EC2 "Error codes"
        raise EC2ClientError("InvalidGatewayID.NotFound", f"The gateway ID '{gateway_id}' does not exist")
    igw = backend.get_internet_gateway(gateway_id) if gateway_id.startswith("igw-") else None
    for kind, thing, vpc_id in (
        ("interface", nic, nic.vpc_id if nic else None),
        ("network gateway", igw, igw.vpc.id if igw and igw.vpc else None),
    ):
        if thing is not None and vpc_id != table.vpc_id:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"route table {table.id} and {kind} {thing.id} belong to different networks",
            )
    return nic


def _check_inside(backend: EC2Backend, table: RouteTable, cidr: str) -> None:
    """Refuse a destination inside the VPC that is not exactly a subnet (aws.md 2.2)."""
    network = ipaddress.IPv4Network(cidr)
    locals_ = [
        ipaddress.IPv4Network(route.destination_cidr_block) for route in table._routes.values() if route.local
    ]
    subnets = {
        s.cidr_block for zone in backend.subnets.values() for s in zone.values() if s.vpc_id == table.vpc_id
    }
    if any(network.subnet_of(local) for local in locals_) and cidr not in subnets:
        raise EC2ClientError(
            "InvalidParameterValue", "Route destination doesn't match any subnet CIDR blocks."
        )


@truth.around(RouteBackend, "create_route")
def create_route(
    original: Original,
    backend: EC2Backend,
    route_table_id: str,
    destination_cidr_block: str | None = None,
    destination_ipv6_cidr_block: str | None = None,
    destination_prefix_list_id: str | None = None,
    **target: Moto,
) -> Route:
    """Create a route once, in canonical form, to a target of the same VPC."""
    table = backend.get_route_table(route_table_id)
    destination = destination_ipv6_cidr_block or destination_prefix_list_id
    if target.get("local"):
        return original(
            backend, route_table_id, destination_cidr_block, destination_ipv6_cidr_block, **target
        )
    if destination_cidr_block:
        destination = destination_cidr_block = _network(destination_cidr_block)
    nic = _target(backend, table, target)
    prefix_list = None
    if destination_prefix_list_id:
        prefix_list = backend.managed_prefix_lists.get(destination_prefix_list_id)
        if prefix_list is None:
            text = f"The prefix list ID '{destination_prefix_list_id}' does not exist"
            raise EC2ClientError("InvalidPrefixListID.NotFound", text)
    if f"{table.id}~{destination}" in table._routes:
        raise RouteAlreadyExistsError(str(destination))
    if destination_cidr_block:
        _check_inside(backend, table, destination_cidr_block)
    if nic is None:
        return original(
            backend, route_table_id, destination_cidr_block, destination_ipv6_cidr_block,
            destination_prefix_list_id, **target,
        )  # fmt: skip
    route = Route(table, destination_cidr_block, destination_ipv6_cidr_block, prefix_list, interface=nic)
    table._routes[route.id] = route
    return route


@truth.around(RouteBackend, "replace_route")
def replace_route(
    original: Original,
    backend: EC2Backend,
    route_table_id: str,
    destination_cidr_block: str | None,
    *rest: Moto,
    **target: Moto,
) -> Route:
    """Replace the static route with exactly this destination; a local one loses its local target."""
    if destination_cidr_block:
        _network(destination_cidr_block)
    table = backend.get_route_table(route_table_id)
    nic = _target(backend, table, target)
    target |= {"instance_id": None, "interface_id": nic.id if nic else None}
    route = original(backend, route_table_id, destination_cidr_block, *rest, **target)
    if route.local:
        route.local, route.was_local = False, True
    return route


@truth.around(RouteBackend, "delete_route")
def delete_route(
    original: Original,
    backend: EC2Backend,
    route_table_id: str,
    destination_cidr_block: str | None,
    *rest: Moto,
) -> Route:
    """Delete the static route with exactly this destination; local and propagated ones stay."""
    if destination_cidr_block:
        _network(destination_cidr_block)
    table = backend.get_route_table(route_table_id)
    static = table._routes.get(f"{table.id}~{destination_cidr_block}")
    if static is not None and static.local:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"cannot remove local route {destination_cidr_block} in route table {table.id}",
        )
    if static is None and destination_cidr_block in {r.destination_cidr_block for r in table.routes}:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"cannot remove propagated route {destination_cidr_block} in route table {table.id}",
        )
    return original(backend, route_table_id, destination_cidr_block, *rest)


def _dry_run(original: Original, response: RouteTables) -> Moto:
    """Honour DryRun, which moto ignores for routes."""
    if table_id := response._get_param("RouteTableId"):
        response.ec2_backend.get_route_table(table_id)
    response.error_on_dryrun()
    return original(response)


for _name in (
    "create_route", "delete_route", "associate_route_table",
    "replace_route_table_association", "disassociate_route_table", "delete_route_table",
):  # fmt: skip
    truth.around(RouteTables, _name)(_dry_run)


@truth.around(RouteTables, "replace_route")
def replace_or_restore(original: Original, response: RouteTables) -> Moto:
    """Return a local route its local target back (`LocalTarget=true`), which moto does not know."""
    table = response.ec2_backend.get_route_table(response._get_param("RouteTableId"))
    route = table._routes.get(f"{table.id}~{response._get_param('DestinationCidrBlock')}")
    result = _dry_run(original, response)
    if response._get_param("LocalTarget") and hasattr(route, "was_local"):
        route.local, route.interface = True, None
    return result


@truth.around(InvalidRouteTableIdError, "__init__")
def unknown_table(original: Original, error: InvalidRouteTableIdError, table_id: str) -> None:
    """Tell a malformed id from an unknown one."""
    original(error, table_id)
    if not str(table_id).startswith("rtb-"):
        error.code, error.message = "InvalidRouteTableId.Malformed", f'Invalid id: "{table_id}"'
