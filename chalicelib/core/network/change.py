"""The kinds of change Mooring can make: each carries the old value and its reason. None deletes a route."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, assert_never

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.core.tunnel.render import Bundle


@dataclass(frozen=True, slots=True)
class DisableSourceDestCheck:
    """Let an interface forward packets that are neither from nor to its own addresses."""

    interface_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class CreateRoute:
    """Add a declared route that is missing; `target` is an interface or the internet gateway."""

    table_id: str
    destination: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReplaceRoute:
    """Point a declared route elsewhere, in place: there is no moment without it.

    `waits_for` is the subject of what must be there before packets are taken from what carries them now.
    """

    table_id: str
    destination: str
    target: str
    was: str
    reason: str
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class AssociateAddress:
    """Put the Elastic IP on the router's interface; `was` is the interface that held it."""

    allocation_id: str
    interface_id: str
    private_address: str
    was: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class AssociateRouteTable:
    """Return a subnet its declared table; `association_id` is the explicit association to replace, if any.

    `waits_for` is the subject of the default route that the table has to get first: a subnet keeps its way out.
    """

    subnet_id: str
    table_id: str
    association_id: str | None
    was: str | None
    reason: str
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class AssociateDhcpOptions:
    """Return the VPC its declared DHCP options."""

    vpc_id: str
    options_id: str
    was: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class RevokeIngress:
    """Close the bootstrap rule of the router's security group; `was` is what it allowed."""

    group_id: str
    rule_id: str
    was: str
    reason: str


@dataclass(frozen=True, slots=True)
class PushConfig:
    """Return a candidate its configuration; `was` is the digest in force, `address` its private one, `confirm_within` seconds."""

    instance_id: str
    address: str
    bundle: Bundle
    was: str | None
    reason: str
    confirm_within: int | None = None


RouteChange: TypeAlias = CreateRoute | ReplaceRoute
NetworkChange: TypeAlias = (
    DisableSourceDestCheck
    | RouteChange
    | AssociateAddress
    | AssociateRouteTable
    | AssociateDhcpOptions
    | RevokeIngress
)
"""What EC2 is asked to change."""

Change: TypeAlias = NetworkChange | PushConfig


def resource_key(change: Change) -> str:
    """Name what a change touches: two changes of one subject are about the same thing."""
    match change:
        case DisableSourceDestCheck():
            return f"source/dest check {change.interface_id}"
        case CreateRoute() | ReplaceRoute():
            return f"route {change.table_id} {change.destination}"
        case AssociateAddress():
            return f"elastic ip {change.allocation_id}"
        case AssociateRouteTable():
            return f"subnet {change.subnet_id}"
        case AssociateDhcpOptions():
            return f"dhcp options {change.vpc_id}"
        case RevokeIngress():
            return f"ingress {change.group_id} {change.rule_id}"
        case PushConfig():
            return f"configuration {change.instance_id}"
        case _:
            assert_never(change)


def line(change: Change) -> str:
    """Print a change without its reason, as in `~ route rtb-a 0.0.0.0/0: eni-old -> eni-new`."""
    match change:
        case DisableSourceDestCheck():
            return f"~ {resource_key(change)}: on -> off"
        case CreateRoute():
            return f"+ {resource_key(change)} -> {change.target}"
        case ReplaceRoute():
            return f"~ {resource_key(change)}: {change.was} -> {change.target}"
        case AssociateAddress():
            return f"~ {resource_key(change)}: {change.was or 'nowhere'} -> {change.interface_id} {change.private_address}"
        case AssociateRouteTable():
            return f"~ {resource_key(change)}: {change.was or 'no table'} -> {change.table_id}"
        case AssociateDhcpOptions():
            return f"~ {resource_key(change)}: {change.was or 'none'} -> {change.options_id}"
        case RevokeIngress():
            return f"- {resource_key(change)}: {change.was}"
        case PushConfig():
            was, wanted = short(change.was), short(change.bundle.digest)
            trial = (
                f", unless confirmed within {change.confirm_within} s back again"
                if change.confirm_within
                else ""
            )
            return f"~ {resource_key(change)}: {was} -> {wanted}{trial}"
        case _:
            assert_never(change)


def depends_on(change: Change) -> tuple[str, ...]:
    """Name the subjects that must be as declared before a change may be made.

    A route to an interface waits until that forwards (invariant 3); a subnet waits until its table has a way out.
    """
    match change:
        case CreateRoute(target=target) if target.startswith("eni-"):
            return (f"source/dest check {target}",)
        case ReplaceRoute(target=target) if target.startswith("eni-"):
            return (f"source/dest check {target}", *([change.waits_for] if change.waits_for else []))
        case AssociateRouteTable() if change.waits_for:
            return (change.waits_for,)
        case _:
            return ()


def short(digest: str | None) -> str:
    """Print as much of a digest as a person compares."""
    return digest[:12] if digest else "none"


def digest(changes: Iterable[Change]) -> str:
    """Return 32 hex digits that stand for what a plan changes in the network: its lines, whatever their order and reasons.

    A configuration is no part of it: what is due to a machine changes with every word the machine says.
    """
    lines = "\n".join(sorted(line(change) for change in changes if not isinstance(change, PushConfig)))
    return hashlib.sha256(lines.encode()).hexdigest()[:32]
