"""What the office is told is golden, and real OpenVPN takes it."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.cli.office.verb import lines
from chalicelib.core.declaration import parse
from chalicelib.core.errors import TopologyError
from chalicelib.office.required import office, pool
from tests.on_router.box import needs, run
from tests.on_router.rendered import declared

if TYPE_CHECKING:
    from typing import Literal

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "office"


@pytest.mark.parametrize("form", ["text", "openvpn", "pfsense-xml"])
def test_what_the_office_is_told_of_the_example_is_the_golden_one(
    form: Literal["text", "openvpn", "pfsense-xml"],
) -> None:
    """Engineers paste this: who changes it changes the golden file."""
    example = parse((ROOT / "examples" / "office.toml").read_bytes())

    assert "\n".join(lines(example, form)) + "\n" == (GOLDEN / form).read_text()


@needs("openvpn", "openssl")
@pytest.mark.parametrize("protocol", ["udp4", "tcp4"])
@pytest.mark.parametrize("clients", ["192.168.0.0/24", "192.168.0.0/29", "192.168.0.0/16"])
def test_openvpn_takes_the_servers_lines_and_the_routers_own(
    tmp_path: Path, protocol: str, clients: str
) -> None:
    """A server of 2.6 starts with them, and opens the router's file without a complaint, whatever the network's size."""
    own = IPv4Network(clients).broadcast_address - 1
    topology = declared(
        ('vpn_clients = "192.168.0.0/24"', f'vpn_clients = "{clients}"'),
        ('address = "192.168.0.254"', f'address = "{own}"\nprotocol = "{protocol}"'),
    )
    rendered = office(topology)
    folder = tmp_path / "etc" / "openvpn" / "server"
    (folder / "ccd").mkdir(parents=True)
    (folder / "server.conf").write_text("".join(f"{line.text}\n" for line in rendered.server))
    (folder / "ccd" / rendered.override_name).write_text(
        "".join(f"{line.text}\n" for line in rendered.override)
    )
    curve = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        *curve,
        "-subj",
        "/CN=x",
        "-keyout",
        "key",
        "-out",
        "crt",
    ]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)  # noqa: S603 - fixed words
    assert shutil.which("openssl")

    said = run(
        tmp_path,
        "ip link set lo up; cd /etc/openvpn/server\n"
        "openvpn --config server.conf --ca crt --cert crt --key key --dh none --dev tun --suppress-timestamps >/run/log 2>&1 &\n"
        "server=$!; for _ in $(seq 100); do grep -q 'Initialization Sequence Completed' /run/log && break; sleep 0.1; done\n"
        "kill $server; wait $server || true; cat /run/log",
    )

    assert "Initialization Sequence Completed" in said
    assert "Options error" not in said
    assert "DEPRECATED" not in said


@given(st.integers(0, 65535), st.integers(16, 29))
def test_pool_never_holds_the_servers_or_the_routers_address(place: int, length: int) -> None:
    """Laptops get addresses beside the two fixed ones, and as many in a row as there are."""
    clients = IPv4Network(("172.16.0.0", length))
    own = clients.network_address + place % clients.num_addresses
    document = (
        ('vpn_clients = "192.168.0.0/24"', f'vpn_clients = "{clients}"'),
        ('address = "192.168.0.254"', f'address = "{own}"'),
    )
    try:
        topology = declared(*document)
    except TopologyError:
        taken = (clients.network_address, clients.network_address + 1, clients.broadcast_address)
        assert own in taken
        return
    assert topology.tunnel is not None
    run_of = pool(topology, topology.tunnel)

    assert run_of is not None
    first, last = run_of
    assert clients.network_address + 1 < first <= last < clients.broadcast_address
    assert not first <= own <= last
    assert int(last) - int(first) + 1 >= (clients.num_addresses - 4) // 2


def test_router_may_have_any_address_but_the_fixed_ones() -> None:
    """The pool goes round a router in the middle: the larger side is the laptops'."""
    topology = declared(('address = "192.168.0.254"', 'address = "192.168.0.10"'))

    assert topology.tunnel is not None
    assert pool(topology, topology.tunnel) == (IPv4Address("192.168.0.11"), IPv4Address("192.168.0.254"))
