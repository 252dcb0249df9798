"""The shortest way to see what a server's configuration does to packets: an office, its router and a laptop on one wire.

No AWS is in it: the rendered client of the router dials whatever server configuration it is given.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.packets import net
from tests.packets.probe import answers
from tests.stand_ins.pki import Authority

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from chalicelib.core.network.topology import Topology

OFFICE, ROUTER, LAPTOP, LAN, HOST = "w-office", "w-router", "w-laptop", "w-lan", "w-host"
_WAN = {ROUTER: ("192.0.2.1", "192.0.2.2"), LAPTOP: ("192.0.2.5", "192.0.2.6")}
"""The office's end of each wire, and the other's."""

_UP = "Initialization Sequence Completed"
_ON_PFSENSE = (
    "dev-node", "writepid", "daemon", "up", "down", "client-connect", "client-disconnect", "tls-verify", "management",
    "learn-address", "local", "crl-verify", "multihome",
)  # fmt: skip
"""Directives that name what only a firewall has."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What passed: whether the server ran, the router's tunnel, each way between office and VPC, the router itself, a laptop."""

    started: bool = False
    up: bool = False
    to_vpc: bool = False
    to_office: bool = False
    own: bool = False
    laptop: bool = False

    @property
    def whole(self) -> bool:
        """Whether everything passes that must."""
        return all((self.started, self.up, self.to_vpc, self.to_office, self.own, self.laptop))


class Wire:
    """The namespaces, their routes and a certificate authority; one after the other, servers run in it."""

    def __init__(self, topology: Topology, client: str, folder: Path) -> None:
        assert topology.tunnel is not None
        self.topology, self.tunnel, self.folder = topology, topology.tunnel, folder
        self.client = client
        self.lan = topology.office_networks[0]
        self.vpc = topology.vpc_networks[0]
        self._running: list[subprocess.Popen[str]] = []
        self._build()
        authority = Authority()
        authority.write(folder / "pki")
        for name in (self.tunnel.server_name, self.tunnel.common_name, "ada-laptop"):
            identity = authority.issue(name, server=name == self.tunnel.server_name)
            identity.write(folder / "pki", name)

    def _build(self) -> None:
        net.add((OFFICE, ROUTER, LAPTOP, LAN, HOST))
        for name, (near, far) in _WAN.items():
            self._wire(OFFICE, name, near, far, 30)
        for gateway, host, network in ((OFFICE, LAN, self.lan), (ROUTER, HOST, self.vpc)):
            self._wire(gateway, host, str(network[1]), str(network[50]), network.prefixlen)
            net.ip(host, [f"route add default via {network[1]}"])
            net.sysctl(gateway, "net.ipv4.ip_forward=1")

    @staticmethod
    def _wire(one: str, other: str, near: str, far: str, length: int) -> None:
        net.ip(
            one,
            [
                f"link add {other} type veth peer name eth0 netns {other}",
                f"addr add {near}/{length} dev {other}",
                f"link set {other} up",
            ],
        )
        net.ip(other, [f"addr add {far}/{length} dev eth0", "link set eth0 up"])

    def run(self, server: Iterable[str], overrides: Mapping[str, Iterable[str]], patience: float = 4) -> Flow:
        """Run a server and the router, and see what passes."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.stop)
            ccd = self.folder / "ccd"
            shutil.rmtree(ccd, ignore_errors=True)
            ccd.mkdir()
            for name, lines in overrides.items():
                (ccd / name).write_text("".join(f"{line}\n" for line in lines))
            if not self._start(OFFICE, "server", "\n".join(map(self._here, server)) + "\n", patience):
                return Flow()
            up = self._start(ROUTER, "router", self._router(), patience)
            if not up:
                return Flow(started=True)
            laptop = self._start(LAPTOP, "laptop", self._laptop(), patience)
            host, lan = str(self.vpc[50]), str(self.lan[50])
            return Flow(
                started=True,
                up=up,
                to_vpc=answers(LAN, host, patience=1),
                to_office=answers(HOST, lan, patience=1),
                own=answers(ROUTER, lan, patience=1),
                laptop=laptop and answers(LAPTOP, host, patience=1) and answers(LAPTOP, lan, patience=1),
            )

    def _here(self, line: str) -> str:
        """Return a line of the firewall's as it can be run here: files are this authority's, scripts are left out."""
        word = line.split(maxsplit=1)[0] if line.split() else ""
        if word.startswith("</"):  # a block within the file is one of this authority's files
            return ""
        word = word.strip("<>")
        if word in _ON_PFSENSE:
            return f"# {line}"
        pem = self.folder / "pki"
        here = {
            "dev": "dev tun-office",
            "capath": f"ca {pem}/ca.crt",
            "ca": f"ca {pem}/ca.crt",
            "cert": f"cert {pem}/{self.tunnel.server_name}.crt",
            "key": f"key {pem}/{self.tunnel.server_name}.key",
            "secret": f"secret {pem}/tls-crypt.key",
            "plugin": "auth-user-pass-verify /bin/false via-env",
            "auth-user-pass-verify": "auth-user-pass-verify /bin/false via-env",
            "verb": "verb 3",
        }
        if word in here:
            return here[word]
        if word in ("tls-crypt", "tls-auth"):
            return f"{word} {pem}/tls-crypt.key {' '.join(line.split()[2:])}".rstrip()
        if word == "client-config-dir" and "openvpn" in line:
            return f"client-config-dir {self.folder}/ccd"
        if word == "dh" and line.split()[1] != "none":
            return "dh none"
        return line

    def _router(self) -> str:
        """Return the rendered client with this authority's files, dialling this office."""
        pem, name = self.folder / "pki", self.tunnel.common_name
        own = {
            "remote": f"remote {_WAN[ROUTER][0]} {self.tunnel.port}",
            "ca": f"ca {pem}/ca.crt",
            "cert": f"cert {pem}/{name}.crt",
            "key": f"key {pem}/{name}.key",
            "tls-crypt": f"tls-crypt {pem}/tls-crypt.key",
            "management": "",
        }
        return "".join(f"{own.get(line.split(' ')[0], line)}\n" for line in self.client.splitlines())

    def _laptop(self) -> str:
        pem = self.folder / "pki"
        udp = self.tunnel.protocol == "udp4"
        return "\n".join(
            [
                "client",
                "dev tun-laptop",
                "dev-type tun",
                f"proto {'udp4' if udp else 'tcp4-client'}",
                "nobind",
                f"remote {_WAN[LAPTOP][0]} {self.tunnel.port}",
                f"ca {pem}/ca.crt",
                f"cert {pem}/ada-laptop.crt",
                f"key {pem}/ada-laptop.key",
                f"tls-crypt {pem}/tls-crypt.key",
                "remote-cert-tls server",
                "verb 3",
            ]
        )

    def _start(self, namespace: str, name: str, text: str, patience: float) -> bool:
        (self.folder / f"{name}.conf").write_text(text)
        with (self.folder / f"{name}.log").open("w") as out:
            command = ("openvpn", "--cd", str(self.folder), "--config", f"{name}.conf")
            process = net.start(*net.inside(namespace, *command), stdout=out.fileno())
        self._running.append(process)
        deadline = time.monotonic() + patience
        while _UP not in self.log(name):
            if process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def log(self, name: str) -> str:
        """Read what the `server`, the `router` or the `laptop` said."""
        return (self.folder / f"{name}.log").read_text()

    def close(self) -> None:
        """End the namespaces."""
        self.stop()
        for name in (OFFICE, ROUTER, LAPTOP, LAN, HOST):
            net.delete(name)

    def stop(self) -> None:
        """End what runs."""
        for process in reversed(self._running):
            process.send_signal(signal.SIGKILL)
            process.wait()
        self._running.clear()
