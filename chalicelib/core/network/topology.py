"""The declared network: what must be true of it, as values that are valid by construction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Literal, TypeAlias

from chalicelib.core.once import derived

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.core.machines.window import Window


class Network(IPv4Network):
    """A declared network, which knows how it is written: a run prints each of them many times."""

    @derived
    def _written(self) -> str:
        return super().__str__()

    def __str__(self) -> str:
        return self._written


DEFAULT_ROUTE = Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class Tags:
    """A selector: a resource matches when it carries every one of these tags."""

    pairs: tuple[tuple[str, str], ...]

    def match(self, tags: dict[str, str]) -> bool:
        """Return whether a resource's tags carry all of these."""
        for key, value in self.pairs:  # noqa: SIM110 - a run asks this more often than anything else
            if tags.get(key) != value:
                return False
        return True

    def __str__(self) -> str:
        """`key=value`, comma-separated."""
        return ", ".join(f"{key}={value}" for key, value in self.pairs)


TableSelector: TypeAlias = str | Tags
"""A route table's id, or the tags that one or more tables carry."""


@dataclass(frozen=True, slots=True)
class Table:
    """One or more route tables that carry the same pinned routes, and the subnets they must serve.

    `subnets` maps subnet id to CIDR; in AWS a subnet's IPv4 CIDR never changes during its life. `follow` has the router
    forward for every other subnet, too, that the table serves.
    """

    kind: Literal["public", "private"]
    selector: TableSelector
    subnets: dict[str, IPv4Network] = field(default_factory=dict, hash=False)
    office_routes: bool = True
    follow: bool = False

    @property
    def open_ended(self) -> bool:
        """Whether it may serve subnets that are not listed: it is declared so, or lists none."""
        return self.follow or not self.subnets


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may do at most before a guard refuses it, the hold-down of moves, and how old a request may be.

    An operator's request that waited for longer than `request_age` is answered `expired`, and nothing moves.
    """

    changes: int = 1000
    tables: int = 250
    moves_per_hour: int = 4
    request_age: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How the router reaches the office: OpenVPN's server there, and who the two ends are.

    `address` is the router's own in `office.vpn_clients`; `poll_seconds` is how often a router asks its metadata service
    whether it holds the Elastic IP; `probe` is an address in an office network that answers pings; `change_window` is when
    what is declared anew may reach the router that carries the traffic, None for at once.
    """

    server: str
    common_name: str
    server_name: str
    address: IPv4Address
    port: int = 1194
    protocol: Literal["udp4", "tcp4"] = "udp4"
    poll_seconds: float = 0.5
    probe: IPv4Address | None = None
    change_window: Window | None = None


@dataclass(frozen=True)
class Topology:
    """One declared network, whole and valid; `declaration.parse` is the only way to make one from text.

    What follows from what is declared is worked out once: a run asks for it many times.
    """

    name: str
    vpc_id: str
    cidr: IPv4Network
    internet_gateway: str
    office_networks: tuple[IPv4Network, ...]
    vpn_clients: IPv4Network
    candidates: tuple[Tags, ...]
    elastic_ip: str
    tables: tuple[Table, ...]
    security_group: str | None = None
    ssh: Literal["closed", "unmanaged"] = "unmanaged"
    private_address: IPv4Address | None = None
    dhcp_options: str | None = None
    limits: Limits = Limits()
    paused: bool = False
    tunnel: Tunnel | None = None
    secondary_cidrs: tuple[IPv4Network, ...] = ()

    @derived
    def cidrs(self) -> tuple[IPv4Network, ...]:
        """Every declared range of the VPC, the primary first."""
        return (self.cidr, *self.secondary_cidrs)

    @derived
    def subnets(self) -> Mapping[str, IPv4Network]:
        """Every declared subnet, id to CIDR."""
        return {k: v for t in self.tables for k, v in t.subnets.items()}

    @derived
    def remote_networks(self) -> tuple[IPv4Network, ...]:
        """Everything that is reached through the tunnel: the office networks and the VPN clients'."""
        return (*self.office_networks, self.vpn_clients)

    @derived
    def public_subnets(self) -> Mapping[str, IPv4Network]:
        """The subnets a router may sit in, id to CIDR."""
        return {k: v for t in self.tables if t.kind == "public" for k, v in t.subnets.items()}

    @derived
    def vpc_networks(self) -> tuple[IPv4Network, ...]:
        """What the office must route into the tunnel: every declared subnet, or the VPC when some are not listed."""
        if any(table.open_ended for table in self.tables):
            return self.cidrs
        return tuple(sorted(set(self.subnets.values())))

    @derived
    def private_networks(self) -> tuple[IPv4Network, ...]:
        """What leaves for the internet through the router: the private subnets.

        Where a private table may serve subnets that are not listed, it is all of the VPC that is not public.
        """
        private = [table for table in self.tables if table.kind == "private"]
        if not any(table.open_ended for table in private):
            return tuple(sorted({n for t in private for n in t.subnets.values()}))
        left = list(self.cidrs)
        for public in self.public_subnets.values():
            left = [part for network in left for part in _without(network, public)]
        return tuple(sorted(left))

    @derived
    def router_address(self) -> str | None:
        """The declared private address as it is written."""
        return None if self.private_address is None else str(self.private_address)

    def preference(self, tags: dict[str, str]) -> int | None:
        """Return the place of the first selector of candidates that an instance's tags match; None when none does."""
        for place, wanted in enumerate(self.candidates):
            if wanted.match(tags):
                return place
        return None

    def router_destinations(self, table: Table) -> tuple[IPv4Network, ...]:
        """Return the destinations that a table must route to the router's interface."""
        return self._through[table.kind, table.office_routes]

    def pinned(self, table: Table) -> tuple[str, ...]:
        """Return the same destinations as they are written."""
        return self._pinned[table.kind, table.office_routes]

    def kept(self, table: Table) -> frozenset[str]:
        """Give, as they are written, all destinations that a table must have, a public one's way to the internet among them."""
        return self._kept[table.kind, table.office_routes]

    @derived
    def _kept(self) -> dict[tuple[str, bool], frozenset[str]]:
        return {key: frozenset((str(DEFAULT_ROUTE), *pinned)) for key, pinned in self._pinned.items()}

    @derived
    def _through(self) -> dict[tuple[str, bool], tuple[IPv4Network, ...]]:
        """The destinations by a table's kind, and by whether it carries the office's."""
        remote = self.remote_networks
        return {
            ("public", True): remote,
            ("public", False): (),
            ("private", True): (DEFAULT_ROUTE, *remote),
            ("private", False): (DEFAULT_ROUTE,),
        }

    @derived
    def _pinned(self) -> dict[tuple[str, bool], tuple[str, ...]]:
        return {key: tuple(map(str, destinations)) for key, destinations in self._through.items()}


def _without(network: IPv4Network, taken: IPv4Network) -> list[IPv4Network]:
    if network.subnet_of(taken):
        return []
    return list(network.address_exclude(taken)) if taken.subnet_of(network) else [network]
