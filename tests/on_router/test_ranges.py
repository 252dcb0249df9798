"""What rides on a followed table, in any range of the VPC, is forwarded and translated by real iptables; else it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.office.required import office
from tests.on_router.box import install, needs, run
from tests.on_router.rendered import declared, rendered, text_of

if TYPE_CHECKING:
    from pathlib import Path

LOAD = "/usr/local/lib/mooring/firewall"
SECONDARY = ('cidr = "10.0.0.0/16"', 'cidr = "10.0.0.0/16"\nsecondary_cidrs = ["100.64.0.0/16"]')
PRIVATE = 'subnets = { subnet-00000000000000003 = "10.0.1.0/24" }'
FOLLOWED = (SECONDARY, (PRIVATE, f"{PRIVATE}\nfollow = true"))
LISTED = (
    SECONDARY,
    (PRIVATE, PRIVATE.replace(" }", ', subnet-00000000000000064 = "100.64.1.0/24" }')),
)

HOST, POD, OTHER_POD = "10.0.1.5", "100.64.1.5", "100.64.2.5"
FILTERED = "No route to host"
"""What Linux makes of `icmp-admin-prohibited`."""
OFFICE, INTERNET = "10.100.30.7", "198.51.100.9"
DEVICES = {HOST: "host", POD: "pod", OTHER_POD: "other", OFFICE: "tun-mooring", INTERNET: "internet"}
WIRED = "ip addr add 10.0.0.4/32 dev lo; ip link set lo up\n" + "".join(
    f"ip netns add {name}; ip link add {name} type veth peer name eth0 netns {name}; ip link set {name} up\n"
    f"ip route add {address}/32 dev {name} src 10.0.0.4\n"
    f"ip -n {name} addr add {address}/32 dev eth0; ip -n {name} link set eth0 up\n"
    f"ip -n {name} route add 10.0.0.4/32 dev eth0; ip -n {name} route add default via 10.0.0.4 dev eth0\n"
    for address, name in DEVICES.items()
)
"""The box, and beside it hosts of the VPC, one in the office behind what stands for the tunnel, and one in the internet."""


ANSWERS = """\
import socket
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind(("", 4000))
print("ready", flush=True)
_, peer = here.recvfrom(9)
here.sendto(peer[0].encode(), peer)
"""
ASKS = """\
import socket, sys
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.settimeout(2)
here.connect((sys.argv[1], 4000))
here.send(b"who am I")
try:
    print("seen as", here.recv(99).decode())
except OSError as error:
    print(error.strerror or "no answer")
"""


def asked(root: Path, source: str, destination: str) -> str:
    """Ask through the box as whom the destination sees the source; give its answer, or why there is none."""
    there, here = DEVICES[destination], DEVICES[source]
    return run(
        root,
        f"{WIRED}{LOAD} >/dev/null\n"
        ": >ready\n"
        f"ip netns exec {there} python3 -c '{ANSWERS}' >>ready & server=$!\n"
        "for _ in $(seq 100); do grep -q ready ready && break; sleep 0.1; done\n"
        f"ip netns exec {here} python3 -c '{ASKS}' {destination}; kill $server 2>/dev/null || true",
    ).strip()


@pytest.fixture(params=[FOLLOWED, LISTED], ids=["followed", "listed"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the files of a router whose secondary range is followed, or lists the pod's subnet."""
    return install(rendered(*request.param), tmp_path)


@needs("iptables-restore", "ip", "conntrack", "python3")
@pytest.mark.parametrize("source", [HOST, POD])
def test_host_of_either_range_reaches_the_internet_as_the_router(root: Path, source: str) -> None:
    """What has no public address leaves under the router's, whichever range it is of."""
    assert asked(root, source, INTERNET) == "seen as 10.0.0.4"


@needs("iptables-restore", "ip", "conntrack", "python3")
@pytest.mark.parametrize(("source", "destination"), [(POD, OFFICE), (OFFICE, POD)])
def test_pod_and_office_see_each_other_as_they_are(root: Path, source: str, destination: str) -> None:
    """Nothing translates between the office and a secondary range, whoever begins."""
    assert asked(root, source, destination) == f"seen as {source}"


@needs("iptables-restore", "ip", "conntrack", "python3")
def test_internet_begins_nothing_with_a_pod(root: Path) -> None:
    """A secondary range is as closed as the primary one."""
    assert asked(root, INTERNET, POD) == FILTERED


@needs("iptables-restore", "ip", "conntrack", "python3")
def test_subnet_that_rides_undeclared_is_refused(tmp_path: Path) -> None:
    """Its packets end where the problem says that they end."""
    assert asked(install(rendered(), tmp_path), POD, INTERNET) == FILTERED


@needs("iptables-restore", "ip", "conntrack", "python3")
@pytest.mark.parametrize(("change", "answer"), [(FOLLOWED, "seen as 10.0.0.4"), (LISTED, FILTERED)])
def test_subnet_that_is_not_listed_is_carried_only_where_its_table_is_followed(
    change: tuple[tuple[str, str], ...], answer: str, tmp_path: Path
) -> None:
    """A declared range alone opens nothing: what is listed is exact, what is followed is the VPC's."""
    assert asked(install(rendered(*change), tmp_path), OTHER_POD, INTERNET) == answer


@needs("iptables-restore", "ip", "conntrack")
def test_second_load_of_many_ranges_changes_nothing(root: Path) -> None:
    """Rules for several ranges are recognised as loaded like those for one."""
    assert run(
        root, f"{LOAD}; iptables-save | grep -v '^#' | sed 's/ \\[.*//' >one; echo ---; {LOAD}"
    ).endswith("---\n")


@pytest.mark.parametrize("change", [FOLLOWED, LISTED])
def test_office_and_laptops_are_told_of_every_range(change: tuple[tuple[str, str], ...]) -> None:
    """The server's route, the router's iroute and the push to laptops each name what the router carries."""
    topology = declared(*change)
    told = [line.text for line in (*office(topology).server, *office(topology).override)]

    for network in topology.vpc_networks:
        words = f"{network.network_address} {network.netmask}"
        assert {f"route {words}", f'push "route {words}"', f"iroute {words}"} <= set(told)
    assert any(network.overlaps(topology.secondary_cidrs[0]) for network in topology.vpc_networks)


def test_rules_of_one_range_are_what_they_were() -> None:
    """A network without a secondary range gets no rule for one, and so no push either."""
    assert "RETURN" not in text_of(rendered(), "rules.v4")


def test_router_resets_no_flow_of_its_vpc_whichever_range_it_is_of() -> None:
    """The rule that keeps a second router quiet is about the internet: every range of the VPC comes before it."""
    rules = [r for r in text_of(rendered(*FOLLOWED), "rules.v4").splitlines() if "-A MOORING-INPUT" in r]

    assert rules[0] == "-A MOORING-INPUT -s 100.64.0.0/16 -j RETURN"
    assert rules[1].startswith("-A MOORING-INPUT ! -s 10.0.0.0/16 -d 10.0.0.4 ! -i tun-mooring ")
    assert len(rules) == 2
