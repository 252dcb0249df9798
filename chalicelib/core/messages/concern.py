"""Decides whom an event concerns: of all that it mentions, what counts is what is ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core.network.topology import Tags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.core.messages.event import Trigger
    from chalicelib.core.network.topology import Topology

_LOCATED = ("i", "eni", "rtb")
_TIES = ("eipassoc", "rtbassoc", "eni-attach")
"""Of what ties two resources: a call that names such a tie has ended it, so it is looked for in vain."""

_WRITABLE = "mooring:topology"
"""The tag without which no role of Mooring's may write a resource: .chalice/policy-reconcile.json."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a mentioned resource lives.

    Attributes:
        vpc_id: its VPC; a terminated instance and an Elastic IP have none.
        tags: an instance's; None for anything else.
        allocation_id: an Elastic IP's, which is mentioned by its public address.
    """

    vpc_id: str | None = None
    tags: Mapping[str, str] | None = None
    allocation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whom an event concerns, by name: those it does, and those it may, since what it names cannot be found."""

    surely: frozenset[str] = frozenset()
    perhaps: frozenset[str] = frozenset()


def minding(known: Mapping[str, Topology | None], trigger: Trigger) -> dict[str, Topology | None]:
    """Leave out the topologies that select nothing by the tags that were set or taken."""
    return {name: topology for name, topology in known.items() if _minds(topology, trigger.tag_keys)}


def declaring(known: Mapping[str, Topology | None], trigger: Trigger) -> frozenset[str]:
    """Name the topologies that declare any of the mentioned ids themselves."""
    return frozenset(name for name, topology in known.items() if topology and declares(topology, trigger.ids))


def to_locate(trigger: Trigger) -> frozenset[str]:
    """Return what an event mentions that can be looked for: instances, interfaces, route tables, public addresses."""
    return frozenset(one for one in trigger.ids if _kind(one) in (*_LOCATED, "address"))


def concerned(
    known: Mapping[str, Topology | None], trigger: Trigger, found: Mapping[str, Whereabouts]
) -> Concerned:
    """Return whom an event concerns that mentions nothing declared, given all that was found of what it mentions.

    What could not be found is deleted, or somebody else's: then all topologies of the VPC it happened in may be
    concerned, and all there are when no VPC is known, or when it is an address, which belongs to none.
    """
    surely = {
        name
        for name, topology in known.items()
        if topology and any(concerns(topology, one, edit=trigger.edit) for one in found.values())
    }
    missing = {_kind(one) for one in trigger.ids - found.keys()} & {*_LOCATED, *_TIES, "address"}
    if not missing and trigger.ids:
        return Concerned(frozenset(surely))
    vpcs = {one.vpc_id for one in found.values() if one.vpc_id} | {
        o for o in trigger.ids if _kind(o) == "vpc"
    }
    anywhere = not vpcs or not missing.isdisjoint({"address", "eipassoc"})
    perhaps = {name for name, topology in known.items() if anywhere or (topology and topology.vpc_id in vpcs)}
    return Concerned(frozenset(surely), frozenset(perhaps - surely))


def declares(topology: Topology, ids: frozenset[str]) -> bool:
    """Return whether a topology names any of these ids itself."""
    named = {topology.vpc_id, topology.internet_gateway, topology.elastic_ip}
    named |= {topology.security_group or "", topology.dhcp_options or ""}
    named |= {t.selector for t in topology.tables if isinstance(t.selector, str)}
    named |= {subnet for table in topology.tables for subnet in table.subnets}
    return not named.isdisjoint(ids)


def concerns(topology: Topology, found: Whereabouts, *, edit: bool = False) -> bool:
    """Return whether a resource concerns a topology: an instance as a candidate, anything else by its VPC.

    An edit may be what made an instance a candidate, or unmade it, so then the VPC decides for instances, too.
    """
    if found.allocation_id is not None:
        return found.allocation_id == topology.elastic_ip
    if found.vpc_id is not None and (edit or found.tags is None):
        return found.vpc_id == topology.vpc_id
    if found.tags is None or found.vpc_id not in (None, topology.vpc_id):
        return False
    return any(tags.match(dict(found.tags)) for tags in topology.candidates)


def _minds(topology: Topology | None, keys: frozenset[str] | None) -> bool:
    if topology is None or not keys:
        return True
    selectors = (*topology.candidates, *(table.selector for table in topology.tables))
    pairs = [pair for selector in selectors if isinstance(selector, Tags) for pair in selector.pairs]
    return not keys.isdisjoint({_WRITABLE, *(key for key, _ in pairs)})


def _kind(mentioned: str) -> str:
    """Return what an id says that it is of; whatever is no id is a public address."""
    return mentioned.rpartition("-")[0] or "address"
