"""Reads a topology from TOML: the whole of it or every flaw in it, each with its key."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal, cast

from chalicelib.core.errors import Flaw, TopologyError
from chalicelib.core.network.limits import failover_needs
from chalicelib.core.network.topology import Limits, Table, Tags, Topology
from chalicelib.core.toml_reader import (
    Section,
    duration_reader,
    id_reader,
    read_address,
    read_bool,
    read_count,
    read_network,
    word_reader,
)
from chalicelib.core.tunnel_section import read_tunnel, tunnel_flaws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from ipaddress import IPv4Network

    from chalicelib.core.toml_reader import Read

MAX_BYTES = 8192
"""An advanced parameter of Parameter Store holds 8 KB (a standard one 4 KB)."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A declaration that was valid, as it was written, and when it was read, UTC."""

    document: bytes
    at: datetime


def parse(document: bytes) -> Topology:
    """Read and validate a topology.

    Args:
        document: TOML, UTF-8, at most `MAX_BYTES`.

    Raises:
        TopologyError: with every flaw found, never only the first.
    """
    flaws: list[Flaw] = []
    draft = _draft(Section(_toml(document), "", flaws))
    flaws += _contradictions(draft, flawed={flaw.key for flaw in flaws})
    if flaws:
        raise TopologyError(tuple(flaws))
    return draft.topology


def _toml(document: bytes) -> dict[str, object]:
    if len(document) > MAX_BYTES:
        wanted = f"{len(document)} bytes, but one parameter holds {MAX_BYTES}; select tables by tag"
        raise TopologyError((Flaw("", None, wanted),))
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TopologyError((Flaw("", None, f"not UTF-8 at byte {error.start}"),)) from error
    if not text.strip():
        raise TopologyError((Flaw("", None, "empty; `mooring init` writes a topology"),))
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        end = f"at line {text.count(chr(10)) + 1}, column {len(text) - text.rfind(chr(10))}, the end"
        why = str(error).replace("at end of document", end)
        raise TopologyError((Flaw("", None, f"not TOML: {why}"),)) from error
    except (ValueError, RecursionError) as error:  # tomllib lets these through
        wanted = "not TOML: a number is too long, or lists are nested too deep"
        raise TopologyError((Flaw("", None, wanted),)) from error


def _name(value: object) -> Read[str]:
    if value == "topologies":
        return None, "is taken: /mooring/topologies holds the declarations themselves"
    good = isinstance(value, str) and _NAME.fullmatch(value)
    return (cast("str", value) if good else None), "must be 1 to 40 of a-z, 0-9 and -, such as office"


def _tags(value: object) -> Read[Tags]:
    wanted = 'must be one or more tags, such as { "mooring:router" = "office" }'
    if not isinstance(value, dict) or not value or not all(isinstance(v, str) for v in value.values()):
        return None, wanted
    return Tags(tuple(sorted(value.items()))), wanted


def _candidates(value: object) -> Read[tuple[Tags, ...]]:
    """Read one tag selector, or a list of them in order of preference."""
    selectors = [_tags(item)[0] for item in (value if isinstance(value, list) else [value])]
    wanted = _tags(None)[1] + ", or a list of such in order of preference"
    good = [selector for selector in selectors if selector is not None]
    return (tuple(good) if good and len(good) == len(selectors) else None), wanted


@dataclass(frozen=True, slots=True)
class _Named:
    """A network with the key it was declared under."""

    key: str
    network: IPv4Network


@dataclass(frozen=True, slots=True)
class _Draft:
    """A topology as far as it could be read: what is wrong has left its flaw, the rest can still contradict itself."""

    topology: Topology
    vpc: list[_Named]
    remote: list[_Named]
    tables: dict[str, Table]

    @property
    def subnets(self) -> list[_Named]:
        """Every declared subnet with its key; a subnet that two tables have is here twice."""
        return [_Named(f"{k}.subnets.{s}", n) for k, t in self.tables.items() for s, n in t.subnets.items()]


def _draft(top: Section) -> _Draft:
    name = top.take("name", _name)
    paused = top.take("paused", read_bool, required=False)
    vpc = top.section("vpc")
    vpc_id, cidr = vpc.take("id", id_reader("vpc")), vpc.take("cidr", read_network)
    more = vpc.take_list("secondary_cidrs", read_network, required=False)
    gateway = vpc.take("internet_gateway", id_reader("igw"))
    dhcp = vpc.take("dhcp_options", id_reader("dopt"), required=False)
    office = top.section("office")
    networks = office.take_list("networks", read_network)
    clients = office.take("vpn_clients", read_network)
    router = top.section("router")
    candidates = router.take("candidates", _candidates)
    elastic_ip = router.take("elastic_ip", id_reader("eipalloc"))
    address = router.take("private_address", read_address, required=False)
    group = router.take("security_group", id_reader("sg"), required=False)
    ssh = router.take("ssh", word_reader("closed", "unmanaged"), required=False)
    tables = {s.path: _table("public", s) for s in top.sections("public")}
    tables |= {s.path: _table("private", s) for s in top.sections("private")}
    limits = _limits(top.section("limits", required=False))
    # Asked for in any case, so that it is a known key; without it the router's own configuration is left alone.
    written = top.section("tunnel", required=False)
    tunnel = read_tunnel(written) if "tunnel" in top.raw else None
    for section in (top, vpc, office, router):
        section.close()
    # What is None here has left its flaw, so the value never leaves `parse`.
    topology = Topology(
        name=cast("str", name),
        vpc_id=cast("str", vpc_id),
        cidr=cast("IPv4Network", cidr),
        internet_gateway=cast("str", gateway),
        office_networks=tuple(networks.values()),
        vpn_clients=cast("IPv4Network", clients),
        candidates=cast("tuple[Tags, ...]", candidates),
        elastic_ip=cast("str", elastic_ip),
        tables=tuple(tables.values()),
        security_group=group,
        ssh=cast('Literal["closed", "unmanaged"]', ssh or "unmanaged"),
        private_address=address,
        dhcp_options=dhcp,
        limits=limits,
        paused=paused or False,
        tunnel=tunnel,
        secondary_cidrs=tuple(more.values()),
    )
    ranges = [_Named("vpc.cidr", cidr)] if cidr else []
    ranges += [_Named(key, network) for key, network in more.items()]
    remote = [_Named(key, network) for key, network in networks.items()]
    remote += [_Named("office.vpn_clients", clients)] if clients else []
    return _Draft(topology, ranges, remote, tables)


def _table(kind: Literal["public", "private"], section: Section) -> Table:
    tagged = isinstance(section.raw.get("table"), dict)
    selector: str | Tags | None = (
        section.take("table", _tags) if tagged else section.take("table", id_reader("rtb"))
    )
    office = section.take("office_routes", read_bool, required=False) if kind == "private" else True
    follow = section.take("follow", read_bool, required=False) if kind == "private" else None
    listed = section.section("subnets", required=isinstance(section.raw.get("table"), str) and not follow)
    subnets = {key: listed.take(key, read_network) for key in listed.raw}
    for key in listed.raw:
        if id_reader("subnet")(key)[0] is None:
            listed.flaw(key, None, id_reader("subnet")(key)[1])
    if follow is False and tagged and not listed.raw:
        section.flaw("subnets", None, "missing; a table that lists none is followed, whatever is declared")
    section.close()
    good = {key: network for key, network in subnets.items() if network is not None}
    # Two selectors that could not be read are not the same one, so the key stands in.
    return Table(kind, selector or section.path, good, office_routes=office or False, follow=follow or False)


def _limits(section: Section) -> Limits:
    default = Limits()
    changes = section.take("changes", read_count, required=False)
    tables = section.take("tables", read_count, required=False)
    moves = section.take("moves_per_hour", read_count, required=False)
    age = section.take("request_age", duration_reader("10s", "1h"), required=False)
    section.close()
    return Limits(
        default.changes if changes is None else changes,
        default.tables if tables is None else tables,
        default.moves_per_hour if moves is None else moves,
        age or default.request_age,
    )


def _contradictions(draft: _Draft, flawed: set[str]) -> list[Flaw]:
    """Find what is well formed but cannot be true together; `flawed` keys have already been complained of."""
    topology, flaws = draft.topology, []
    flaws += [
        Flaw(vpc.key, str(vpc.network), "a VPC is between /16 and /28")
        for vpc in draft.vpc
        if not 16 <= vpc.network.prefixlen <= 28
    ]
    if draft.vpc and not any(key.startswith(("vpc.cidr", "vpc.secondary_cidrs")) for key in flawed):
        flaws += _strays(draft)
    flaws += _table_flaws(draft.tables)
    flaws += _overlaps(draft.subnets)
    flaws += _overlaps([*draft.vpc, *draft.remote])
    if topology.ssh == "closed" and topology.security_group is None and "router.security_group" not in flawed:
        flaws.append(
            Flaw("router.security_group", None, 'missing; ssh = "closed" needs the group to look at')
        )
    if not any(key.startswith("public") for key in flawed):
        flaws += _router_flaws(topology)
    if topology.tunnel:
        flaws += tunnel_flaws(topology, [(named.key, named.network) for named in draft.vpc + draft.remote])
    return flaws + _limit_flaws(topology)


def _strays(draft: _Draft) -> Iterator[Flaw]:
    """Find the subnets that lie in no range of the VPC."""
    ranges = ", ".join(str(vpc.network) for vpc in draft.vpc)
    for subnet in draft.subnets:
        if not any(subnet.network.subnet_of(vpc.network) for vpc in draft.vpc):
            wanted = f"lies outside the VPC {ranges}; another range of it goes in vpc.secondary_cidrs"
            yield Flaw(subnet.key, str(subnet.network), wanted)


def _table_flaws(tables: dict[str, Table]) -> list[Flaw]:
    flaws = []
    for (first, a), (second, b) in combinations(tables.items(), 2):
        if a.selector == b.selector:
            both = "both public and private" if a.kind != b.kind else "declared twice"
            flaws.append(Flaw(f"{second}.table", str(b.selector), f"{both}: {first}.table is the same"))
        flaws += [
            Flaw(f"{second}.subnets.{s}", str(b.subnets[s]), f"declared twice: {first}.subnets has it too")
            for s in a.subnets
            if s in b.subnets
        ]
    return flaws


def _router_flaws(topology: Topology) -> list[Flaw]:
    """Find why no router could sit where it is declared to sit."""
    address, subnets = topology.private_address, topology.public_subnets
    if not subnets:
        return [Flaw("public[0].subnets", None, "missing; the router sits in a declared public subnet")]
    if address and not any(address in network for network in subnets.values()):
        return [Flaw("router.private_address", str(address), "lies in no declared public subnet")]
    return []


def _limit_flaws(topology: Topology) -> list[Flaw]:
    """Refuse limits that would refuse a failover, in the hour it is needed."""
    limits = {"changes": topology.limits.changes, "tables": topology.limits.tables}
    return [
        Flaw(f"limits.{key}", limits[key], f"a failover alone needs {least}; declare at least that")
        for key, least in failover_needs(topology).items()
        if limits[key] < least
    ]


def _overlaps(named: list[_Named]) -> list[Flaw]:
    flaws = []
    for a, b in combinations(named, 2):
        if a.network == b.network:
            flaws.append(Flaw(b.key, str(b.network), f"declared twice: {a.key} is the same"))
        elif a.network.overlaps(b.network):
            flaws.append(Flaw(b.key, str(b.network), f"overlaps {a.key} ({a.network})"))
    return flaws
