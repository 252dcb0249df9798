"""The testbed around one router: the VPC's side, the office with a real OpenVPN server, a laptop, AWS and metadata.

All of it lives in namespaces of one process that dies with pytest, so that nothing is left behind by a crash. The office
is configured by nothing but what `core.office` says. Servers of ours run in pytest's own process, on sockets that were
opened inside the testbed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.fake_aws.server import Server
from tests.stand_ins.pki import Authority

if TYPE_CHECKING:
    from types import TracebackType

    from chalicelib.office.required import Office
    from tests.fake_aws.server import Answer
    from tests.stand_ins.pki import Identity

AWS_ADDRESS, AWS_PORT = "198.18.0.1", 5000
METADATA_ADDRESS = "169.254.169.254"
ELASTIC_IP = "203.0.113.7"
OFFICE_ADDRESS = "198.51.100.10"
ROUTER_ADDRESS, PRIVATE_HOST, LAN_HOST = "10.0.0.8", "10.0.1.20", "10.100.100.50"
OTHER_LANS = ("10.100.200.1", "10.100.30.1")
PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "openvpn": "openvpn",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "fping": "fping",
    "setpriv": "util-linux",
    "pgrep": "procps",
}
"""Each tool that a router's testbed takes, and the Debian package that brings it."""

_CLONE_NEWNET = 0x40000000

# The testbed's own namespace is the VPC's implicit router; private hosts go out by the router under test.
_LAY = f"""
set -e
mount -t tmpfs none /run
mkdir -p /run/netns /run/testbed
ip link set lo up
ip address add {AWS_ADDRESS}/32 dev lo
ip address add {METADATA_ADDRESS}/32 dev lo
sysctl -qw net.ipv4.ip_forward=1
join() {{ # name, our address, its address, its gateway
  ip netns add $1
  ip link add v-$1 type veth peer name eth0 netns $1
  ip address add $2 dev v-$1
  ip link set v-$1 up
  ip -n $1 link set lo up
  ip -n $1 address add $3 dev eth0
  ip -n $1 link set eth0 up
  ip -n $1 route add default via $4
}}
join router 10.0.0.1/24 {ROUTER_ADDRESS}/24 10.0.0.1
join private 10.0.1.1/24 {PRIVATE_HOST}/24 10.0.1.1
join office 198.51.100.1/24 {OFFICE_ADDRESS}/24 198.51.100.1
join laptop 192.0.2.1/24 192.0.2.20/24 192.0.2.1
ip rule add pref 100 iif v-private lookup 100
ip route add 10.0.0.0/24 dev v-router table 100
ip route add default via {ROUTER_ADDRESS} dev v-router table 100
ip netns add lan
ip -n office link add lan0 type veth peer name eth0 netns lan
ip -n office address add 10.100.100.1/24 dev lan0
ip -n office link set lan0 up
ip -n lan link set lo up
ip -n lan address add {LAN_HOST}/24 dev eth0
ip -n lan link set eth0 up
ip -n lan route add default via 10.100.100.1
ip netns exec office sysctl -qw net.ipv4.ip_forward=1
# the internet gateway: the router is seen by its Elastic IP, and only the tunnel leads to its private address
iptables -t nat -A POSTROUTING -s {ROUTER_ADDRESS} -o v-office -j SNAT --to-source {ELASTIC_IP}
iptables -t nat -A PREROUTING -i v-office -d {ELASTIC_IP} -j DNAT --to-destination {ROUTER_ADDRESS}
"""


def missing() -> list[str]:
    """List Debian's packages that are missing here."""
    return sorted({package for tool, package in PACKAGES.items() if shutil.which(tool) is None})


def lacking() -> str | None:
    """Return in one line why this machine cannot run a router, or None when it can."""
    if os.geteuid() != 0:
        return "a router with its own systemd needs root (systemd-nspawn)"
    return f"a router needs: apt-get install {' '.join(missing())}" if missing() else None


class Testbed:
    """The testbed, alive between `with` and its end."""

    def __init__(self) -> None:
        self.authority = Authority()
        self._stack = contextlib.ExitStack()
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        unshare = (
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sleep",
            "infinity",
        )
        self._holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *unshare])  # noqa: S603, S607 - our own words
        self._stack.callback(self._end)
        self.pid = self._child()
        self.run("bash", "-c", _LAY)
        for address in OTHER_LANS:
            self.run("ip", "-n", "office", "address", "add", f"{address}/32", "dev", "lo")
        self.scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="mooring-testbed-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _child(self) -> int:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            words = ["pgrep", "-P", str(self._holder.pid), "sleep"]
            found = subprocess.run(words, capture_output=True, check=False)  # noqa: S603 - our own words
            if found.stdout.strip():
                return int(found.stdout)
            time.sleep(0.01)
        raise TimeoutError("the testbed's namespaces did not come to be")

    def _end(self) -> None:
        self._holder.send_signal(signal.SIGKILL)
        self._holder.wait()
        for one in self._started:
            one.wait(10)

    # -- doing things in it --------------------------------------------------------------------------

    def inside(self, *command: str, netns: str = "") -> tuple[str, ...]:
        """Return the words that run a command in the testbed, or in one of its network namespaces."""
        enter = ("nsenter", "-t", str(self.pid), "--mount", "--net", "--pid", "--")
        return (*enter, *(("ip", "netns", "exec", netns) if netns else ()), *command)

    def run(
        self, *command: str, netns: str = "", check: bool = True, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the testbed to its end."""
        words = self.inside(*command, netns=netns)
        ended = subprocess.run(words, capture_output=True, text=True, check=False, input=text)  # noqa: S603 - same
        if check and ended.returncode:
            raise RuntimeError(f"{' '.join(command)[:200]}: {ended.returncode}\n{ended.stdout}{ended.stderr}")
        return ended

    def start(self, *command: str, netns: str = "", log: str) -> subprocess.Popen[bytes]:
        """Start a command in the testbed; it ends with the testbed at the latest."""
        with (self.scratch / log).open("ab") as said:
            words = self.inside(*command, netns=netns)
            one = subprocess.Popen(words, stdout=said, stderr=said, stdin=subprocess.DEVNULL)  # noqa: S603 - same
        self._started.append(one)
        return one

    def answers(self, netns: str, address: str, seconds: float = 10) -> bool:
        """Return whether an address answers a ping from a namespace within some seconds."""
        until = time.monotonic() + seconds
        while True:
            if (
                self.run("fping", "-q", "-t", "300", "-r", "0", address, netns=netns, check=False).returncode
                == 0
            ):
                return True
            if time.monotonic() > until:
                return False
            time.sleep(0.05)

    def listen(self, address: str, port: int) -> socket.socket:
        """Open a listening socket inside the testbed, for a server in this process."""
        found: list[socket.socket] = []

        def enter() -> None:
            # of this thread only: network namespaces belong to threads
            libc = ctypes.CDLL(None, use_errno=True)
            with Path(f"/proc/{self.pid}/ns/net").open() as namespace:
                if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                    return
            listener = socket.create_server((address, port), backlog=128)
            found.append(listener)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if not found:
            raise OSError(f"no socket at {address}:{port} in the testbed")
        return found[0]

    def serve(self, answer: Answer, address: str, port: int) -> Door:
        """Have this process answer HTTP at an address of the testbed."""
        door = Door(answer, self.listen(address, port))
        door.start()
        self._stack.callback(door.stop)
        return door

    # -- the office and its laptop -------------------------------------------------------------------

    def open_office(self, office: Office) -> subprocess.Popen[bytes]:
        """Start the office's OpenVPN server, with what Mooring says it must hold."""
        place = self.scratch / "office"
        ccd = place / "ccd"
        ccd.mkdir(parents=True, exist_ok=True)
        (ccd / office.override_name).write_text("".join(f"{line.text}\n" for line in office.override))
        lines = [line.text for line in office.server]
        server = self.authority.issue(office.tunnel.server_name, server=True)
        (place / "server.conf").write_text(
            "\n".join([*lines, "dev tun-office", *self.identity("server", server), ""])
        )
        self.server = self.start(
            "openvpn", "--cd", str(place), "--config", "server.conf", netns="office", log="office.log"
        )
        return self.server

    def connect_laptop(self) -> None:
        """Connect a laptop with a certificate of its own."""
        place = self.scratch / "office"
        lines = (
            *(
                "client",
                "dev tun-laptop",
                "dev-type tun",
                "proto udp4",
                f"remote {OFFICE_ADDRESS} 1194",
                "nobind",
            ),
            *("auth SHA256", "remote-cert-tls server", "connect-retry 1 1"),
            *self.identity("laptop", self.authority.issue("laptop")),
        )
        (place / "laptop.conf").write_text("\n".join((*lines, "")))
        self.start("openvpn", "--cd", str(place), "--config", "laptop.conf", netns="laptop", log="laptop.log")

    def identity(self, name: str, identity: Identity) -> tuple[str, ...]:
        """Write keys beside a configuration, and give the lines that name them."""
        place = self.scratch / "office"
        self.authority.write(place)
        identity.write(place, name)
        return ("ca ca.crt", f"cert {name}.crt", f"key {name}.key", "tls-crypt tls-crypt.key")


class Door(Server):
    """The world's server on a socket that was opened elsewhere."""

    def __init__(self, answer: Answer, listener: socket.socket) -> None:
        super().__init__(answer)
        self.socket.close()
        self.socket = listener
