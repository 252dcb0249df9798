"""What is beyond the VPC: the internet, the office with its firewall and networks, a laptop on the road.

The office's OpenVPN server gets the lines that Mooring renders for it, and of our own only what those leave to the
office: where its certificate and keys are, and the device's name.
"""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

from chalicelib.office.required import office
from tests.packets import net
from tests.packets.fabric import FORWARDS, GATEWAY
from tests.stand_ins.pki import Authority

if TYPE_CHECKING:
    import subprocess
    from ipaddress import IPv4Network
    from pathlib import Path

    from chalicelib.core.network.topology import Topology

INTERNET, OFFICE, LAPTOP = "inet", "office", "laptop"
"""Names of the namespaces; each office network has one more, `lan0` and so on."""

INTERNET_HOST = "198.18.0.8"
WAN, SECOND_WAN, LAPTOP_ADDRESS = "192.0.2.10", "192.0.2.11", "192.0.2.130"
_POOLS = ("203.0.113.0/24", "198.51.100.0/24")
"""Where the embedded AWS takes public addresses from."""

_TO_INTERNET, _TO_GATEWAY = "169.254.10.1", "169.254.10.2"
_UP = "Initialization Sequence Completed"
_RECORD = """
table ip seen {
  set senders { type ipv4_addr; flags dynamic; size 65536; }
  chain arriving { type filter hook prerouting priority raw; icmp type echo-request add @senders { ip saddr }; }
}
"""


def record(namespace: str) -> None:
    """Have a host remember who pings it."""
    net.nft(namespace, _RECORD)


def senders(namespace: str) -> set[str]:
    """Return from which addresses a host was pinged since it was last asked."""
    listed = json.loads(
        net.run(*net.inside(namespace, "nft", "-j", "list", "set", "ip", "seen", "senders")).stdout
    )
    (found,) = (thing["set"] for thing in listed["nftables"] if "set" in thing)
    net.nft(namespace, "flush set ip seen senders")
    return set(found.get("elem", []))


class Beyond:
    """All of it, built around an internet gateway that is there already."""

    def __init__(self, topology: Topology, folder: Path) -> None:
        assert topology.tunnel is not None
        self.topology, self.tunnel, self.folder = topology, topology.tunnel, folder
        self.lans = {f"lan{n}": str(network[50]) for n, network in enumerate(topology.office_networks)}
        self._server: subprocess.Popen[str] | None = None
        self._laptop: subprocess.Popen[str] | None = None
        self._build()
        self._certify()
        self._configure()

    def _build(self) -> None:
        net.add((INTERNET, OFFICE, LAPTOP, *self.lans))
        net.ip(
            INTERNET,
            [
                f"addr add {INTERNET_HOST}/32 dev lo",
                f"link add office type veth peer name wan netns {OFFICE}",
                f"link add laptop type veth peer name eth0 netns {LAPTOP}",
                f"link add aws type veth peer name ext netns {GATEWAY}",
                "addr add 192.0.2.1/25 dev office",
                "addr add 192.0.2.129/25 dev laptop",
                f"addr add {_TO_INTERNET}/30 dev aws",
                *(f"link set {device} up" for device in ("office", "laptop", "aws")),
                *(f"route add {pool} via {_TO_GATEWAY}" for pool in _POOLS),
            ],
        )
        net.ip(
            GATEWAY,
            [
                f"addr add {_TO_GATEWAY}/30 dev ext",
                "link set ext up",
                f"route add default via {_TO_INTERNET}",
            ],
        )
        net.ip(
            LAPTOP,
            [
                f"addr add {LAPTOP_ADDRESS}/25 dev eth0",
                "link set eth0 up",
                "route add default via 192.0.2.129",
            ],
        )
        net.ip(OFFICE, ["link set wan up"])
        self.move(WAN)
        for name, network in zip(self.lans, self.topology.office_networks, strict=True):
            self._wire(name, network)
        net.sysctl(INTERNET, *FORWARDS)
        net.sysctl(OFFICE, *FORWARDS)
        for name in (INTERNET, LAPTOP, *self.lans):
            record(name)

    def _wire(self, name: str, network: IPv4Network) -> None:
        """Return an office network a host, and the firewall for a gateway."""
        length = network.prefixlen
        net.ip(
            OFFICE,
            [
                f"link add {name} type veth peer name eth0 netns {name}",
                f"addr add {network[1]}/{length} dev {name}",
                f"link set {name} up",
            ],
        )
        host = [f"addr add {self.lans[name]}/{length} dev eth0", "link set eth0 up"]
        net.ip(name, [*host, f"route add default via {network[1]}"])

    # -- OpenVPN -------------------------------------------------------------------------------------

    def secret(self, name: str) -> Path:
        """Return the file of a certificate or key: `ca.crt`, `tls-crypt.key`, or one by its common name."""
        return self.folder / "pki" / name

    def _certify(self) -> None:
        authority = Authority()
        authority.write(self.folder / "pki")
        for name in (self.tunnel.server_name, self.tunnel.common_name, LAPTOP):
            identity = authority.issue(name, server=name == self.tunnel.server_name)
            identity.write(self.folder / "pki", name)

    def _configure(self) -> None:
        rendered = office(self.topology)
        ccd = self.folder / "ccd"
        ccd.mkdir()
        (ccd / rendered.override_name).write_text("".join(f"{line.text}\n" for line in rendered.override))
        own = [*self._identity(self.tunnel.server_name), "dev tun-office", "verb 3"]
        lines = [*(line.text for line in rendered.server), *own]
        (self.folder / "server.conf").write_text("\n".join(lines) + "\n")

    def _identity(self, name: str) -> list[str]:
        pairs = (
            ("ca", "ca.crt"),
            ("cert", f"{name}.crt"),
            ("key", f"{name}.key"),
            ("tls-crypt", "tls-crypt.key"),
        )
        return [f"{directive} {self.secret(file)}" for directive, file in pairs]

    def start_server(self) -> None:
        """Start the office's server, and wait until it listens."""
        self._server = self._openvpn(OFFICE, "server")
        self._wait("server", self._server)

    def stop_server(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it, in an orderly way or not."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait()
            self._server = None

    def connect_laptop(self) -> None:
        """Connect the laptop, and wait until it is."""
        protocol = "udp4" if self.tunnel.protocol == "udp4" else "tcp4-client"
        laptop = [
            *(
                "client",
                "dev tun-laptop",
                "dev-type tun",
                f"proto {protocol}",
                "nobind",
                "verb 3",
                "auth SHA256",
            ),
            *(f"remote {self.wan} {self.tunnel.port}", "remote-cert-tls server", *self._identity(LAPTOP)),
        ]
        (self.folder / "laptop.conf").write_text("\n".join(laptop) + "\n")
        self._laptop = self._openvpn(LAPTOP, "laptop")
        self._wait("laptop", self._laptop)

    @property
    def laptop_connected(self) -> bool:
        """Whether it was connected."""
        return self._laptop is not None

    @property
    def laptop_address(self) -> str:
        """The laptop's address in the tunnel."""
        shown = net.run("ip", "-n", LAPTOP, "-j", "addr", "show", "dev", "tun-laptop").stdout
        return str(json.loads(shown)[0]["addr_info"][0]["local"])

    def log(self, name: str) -> str:
        """Read what the `server` or the `laptop` said since it was started."""
        return (self.folder / f"{name}.log").read_text()

    def cut(self, *, off: bool) -> None:
        """Cut the office off from the internet, or end that."""
        net.ip(INTERNET, [f"link set office {'down' if off else 'up'}"])

    def move(self, address: str) -> None:
        """Return the office's firewall another address on the internet, instead of the one it has."""
        self.wan = address
        net.ip(
            OFFICE,
            ["addr flush dev wan", f"addr add {address}/25 dev wan", "route add default via 192.0.2.1"],
        )

    def _openvpn(self, namespace: str, name: str) -> subprocess.Popen[str]:
        command = ("openvpn", "--cd", str(self.folder), "--config", f"{name}.conf")
        with (self.folder / f"{name}.log").open("w") as out:
            return net.start(*net.inside(namespace, *command), stdout=out.fileno())

    def _wait(self, name: str, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + 20
        while _UP not in self.log(name):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the {name} does not come up:\n{self.log(name)[-3000:]}")
            time.sleep(0.01)

    def close(self) -> None:
        """End what runs."""
        self.stop_server(signal.SIGKILL)
        if self._laptop is not None:
            self._laptop.kill()
            self._laptop.wait()
