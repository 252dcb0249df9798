"""A router under test: its testbed, its machine, its agent, and an AWS that keeps what is pushed to it."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Self

from chalicelib.core.declaration import parse
from chalicelib.core.tunnel.bundle import seal
from chalicelib.core.tunnel.documents import CONFIGURE, CONFIRM, INSPECT
from chalicelib.core.tunnel.render import Box, Bundle, File, render
from chalicelib.office.required import office
from tests.fake_aws.world import World
from tests.network import ROOT, documents
from tests.router_os import testbed
from tests.router_os.agent import Agent, Ended
from tests.router_os.machine import Machine
from tests.router_os.testbed import Testbed
from tests.stand_ins.metadata import Interface, Metadata, tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from chalicelib.core.network.topology import Topology

COMMON_NAME = "aws-router"
TUNNEL = f"""
[tunnel]
server = "vpn.example.com"
common_name = "{COMMON_NAME}"
server_name = "office-vpn"
address = "192.168.0.254"
probe = "{testbed.LAN_HOST}"
"""
PATH = f"/mooring/office/router/{testbed.ROUTER_ADDRESS}"
_HOSTS = f"127.0.0.1 localhost\n{testbed.AWS_ADDRESS} aws.test\n{testbed.OFFICE_ADDRESS} vpn.example.com\n"
_AWS = f"[default]\nendpoint_url = http://aws.test:{testbed.AWS_PORT}\n"
_ROLE = "mooring-router"

# What a push may change, and what the kernel and systemd make of it. Counters and times are left out.
_IN_FORCE = r"""
cd /
for place in etc/mooring etc/openvpn usr/local/lib/mooring etc/systemd/system var/lib/mooring/bundle.json; do
  [ -e "$place" ] || continue
  find "$place" \( -type f -o -type l -o -type d \) -printf '%p %y %m %l ' \
    \( -type f -exec sha256sum {} \; -o -printf '\n' \)
done | LC_ALL=C sort
for table in mangle nat filter; do iptables-save -t $table; done | sed -n '/^[*:-]/s/\[[0-9:]*\]//p'
ip -4 route show type unreachable
sysctl net.ipv4.ip_forward
for unit in mooring-firewall mooring-role; do systemctl is-enabled $unit; systemctl is-active $unit; done 2>/dev/null
true
"""


def topology(*networks: str, tunnel: str = TUNNEL) -> Topology:
    """Read the example's topology with a tunnel, and with other office networks if any are named."""
    text = (ROOT / "examples" / "office.toml").read_text()
    text = re.sub(r"^\[tunnel\].*?(?=^\[|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)
    if networks:
        listed = ", ".join(f'"{network}"' for network in networks)
        line = next(line for line in text.splitlines() if line.startswith("networks = "))
        text = text.replace(line, f"networks = [{listed}]")
    return parse((text + tunnel).encode())


def bundle(declared: Topology | None = None) -> Bundle:
    """Render the router's bundle."""
    box = Box(IPv4Address(testbed.ROUTER_ADDRESS), IPv4Address(testbed.ELASTIC_IP))
    return render(declared or topology(), box)


def changed(of: Bundle, path: str, text: str | None = None, mode: int | None = None) -> Bundle:
    """Return a bundle with one file otherwise, or one more."""
    old = next((one for one in of.files if one.path == path), File(path, 0o644, ""))
    new = File(path, old.mode if mode is None else mode, old.text if text is None else text)
    return Bundle(
        tuple(sorted([*(one for one in of.files if one.path != path), new], key=lambda one: one.path))
    )


@dataclass
class Pushed:
    """How a command ended, and the report in its last line."""

    ended: Ended
    report: dict[str, Any]

    @property
    def result(self) -> str:
        """How it ended, in the report's word."""
        return str(self.report.get("result"))


@dataclass
class Router:
    """A router that is up, alive between `with` and its end."""

    root: Path
    holds_address: bool = True
    world: World = field(default_factory=World)
    testbed: Testbed = field(default_factory=Testbed)
    good: str = ""
    """What was in force after the last push that stayed, for tests that begin there."""

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        try:
            self._stack.enter_context(self.world)
            self._stack.enter_context(self.testbed)
            self.testbed.serve(self.world._front.answer, testbed.AWS_ADDRESS, testbed.AWS_PORT)
            self.testbed.serve(Metadata(self._told).answer, testbed.METADATA_ADDRESS, 80)
            self.declared = topology()
            self.testbed.open_office(office(self.declared))
            self.machine = Machine(self.testbed, self.root)
            self._stack.callback(self.machine.stop)
            self.machine.boot()
            self.machine.write("/etc/hosts", _HOSTS)
            self.machine.write("/root/.aws/config", _AWS)
            self.agent = Agent(self.machine, region=self.world.region)
            self.documents = documents()
            self.identity = self.testbed.authority.issue(COMMON_NAME)
            self.keep_secrets()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # -- what AWS keeps ------------------------------------------------------------------------------

    def keep_secrets(self, **other: str) -> None:
        """Store the tunnel's secrets as SecureStrings, some of them otherwise than they should be."""
        right = {
            "ca": self.testbed.authority.certificate,
            "cert": self.identity.certificate,
            "key": self.identity.key,
            "tls_crypt": self.testbed.authority.tls_crypt,
        }
        for name, text in {**right, **other}.items():
            path = f"/mooring/office/tunnel/{name.replace('_', '-')}"
            self.ssm.put_parameter(Name=path, Value=text, Type="SecureString", Overwrite=True)

    def keep(self, value: str) -> int:
        """Store a bundle's envelope, and give its version."""
        stored = self.ssm.put_parameter(
            Name=PATH, Value=value, Type="String", Tier="Intelligent-Tiering", Overwrite=True
        )
        return int(stored["Version"])

    @property
    def ssm(self) -> Any:  # noqa: ANN401 - a boto3 client
        """A hand's client of Systems Manager."""
        return self.world.client("ssm")

    # -- what the controller does ----------------------------------------------------------------------

    def push(
        self, wanted: Bundle, *, confirm_within: int | None = None, kill_after: float | None = None
    ) -> Pushed:
        """Store a bundle and have the router configured with it."""
        probe = self.declared.tunnel.probe if self.declared.tunnel else None
        version = self.keep(seal(wanted.canonical, probe=probe, confirm_within=confirm_within))
        return self.configure(version, wanted.digest, kill_after=kill_after)

    def configure(
        self, version: int, digest: str, *, path: str = PATH, kill_after: float | None = None
    ) -> Pushed:
        """Run Mooring-ConfigureRouter."""
        parameters = {"Path": [path], "Version": [str(version)], "Digest": [digest]}
        return self._perform(CONFIGURE, parameters, kill_after)

    def confirm(self, digest: str) -> Pushed:
        """Run Mooring-ConfirmRouter."""
        return self._perform(CONFIRM, {"Digest": [digest]})

    def inspect(self) -> dict[str, Any]:
        """Run Mooring-InspectRouter."""
        return self._perform(INSPECT, {}).report

    def _perform(
        self, name: str, parameters: Mapping[str, list[str]], kill_after: float | None = None
    ) -> Pushed:
        ended = self.agent.perform(self.documents[name], parameters, kill_after)
        last = (ended.stdout.splitlines() or ["{}"])[-1]
        return Pushed(ended, json.loads(last))

    # -- what a judge sees -----------------------------------------------------------------------------

    def in_force(self) -> str:
        """Return all that a push may change: bytes and modes of files, chains, routes, forwarding, units."""
        return self.machine.shell(_IN_FORCE)

    def reaches(self, seconds: float = 10) -> bool:
        """Return whether a host in the office's LAN reaches a private host of the VPC."""
        return self.testbed.answers("lan", testbed.PRIVATE_HOST, seconds)

    # -- the metadata service --------------------------------------------------------------------------

    def _told(self, _: str, path: str) -> str | None:
        """Tell who holds the Elastic IP, and the role's credentials."""
        credentials = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": "ASIATESTING",
            "SecretAccessKey": "testing",
            "Token": "testing",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "Expiration": "2036-01-01T00:00:00Z",
        }
        associated = {testbed.ELASTIC_IP: testbed.ROUTER_ADDRESS} if self.holds_address else {}
        own = Interface("02:00:00:00:00:08", [testbed.ROUTER_ADDRESS], associated)
        known = {
            "iam/security-credentials/": _ROLE,
            f"iam/security-credentials/{_ROLE}": json.dumps(credentials),
        }
        return {**known, **dict(tree([own]))}.get(path)
