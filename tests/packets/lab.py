"""The lab as its users hold it: an embedded AWS with Mooring at work, and a data plane that follows it."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chalicelib.aws.ssm.topologies import PATH as WHERE
from chalicelib.core.declaration import parse
from chalicelib.core.tunnel.render import SECRETS, UNIT, UNITS, Box, render
from tests.fake_aws import World
from tests.network import declaration, deploy
from tests.oracle import facts_from_aws, judge
from tests.packets import net
from tests.packets.beyond import INTERNET_HOST, WAN, Beyond, record
from tests.packets.fabric import Fabric
from tests.packets.linklocal import answering
from tests.packets.machine import Machine, install_programs
from tests.packets.mooring import Mooring
from tests.packets.state import look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from tests.packets.state import State

T = TypeVar("T")

TUNNEL = """
[tunnel]
server = "vpn.example.com"
common_name = "aws-router"
server_name = "office-vpn"
address = "192.168.0.254"

[limits]
moves_per_hour = 1000
"""
"""How the office is dialled; and in an hour here more happens than in a year there."""

SECONDARY = "100.64.0.0/16"
"""A second range of the VPC, as EKS gives to pods; a subnet of it rides on the first private table."""

HOSTS = {
    "pod": ("PodSubnets", False),
    "private": ("PrivateSubnetsA", False),
    "private-b": ("PrivateSubnetsB", False),
    "public": ("PublicSubnets", True),
    "addressless": ("PublicSubnets", False),
}
"""Instances that are no routers: the output that names their subnet, and whether they have a public address."""


class Lab:
    """Everything at work between `with` and its end; only inside namespaces of its own (`enter`)."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.machines: dict[str, Machine] = {}
        self.dead: set[str] = set()
        self.ruined: set[str] = set()
        self.delays: list[float] = []
        self.names = {"vpn.example.com": WAN}
        self._asked = self._done = 0
        self._asked_at = 0.0
        self._turn = threading.Condition()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._build(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _build(self, stack: contextlib.ExitStack) -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/run")))
        self.world = stack.enter_context(World())
        self.ec2: Any = self.world.client("ec2")
        self.mooring = Mooring(self.world)
        stack.callback(self.mooring.close)
        self.outputs = deploy(self.world, RouterCount="2")
        self.document = self._declare_pods()
        self.topology = parse(self.document)
        self.hosts: dict[str, str] = dict(self._launch_hosts())
        self.state = look(self.topology.vpc_id)
        stack.callback(net.clear)
        self.fabric = Fabric(self.state.cidr)
        self.beyond = Beyond(self.topology, self.folder)
        stack.callback(self.beyond.close)
        stack.enter_context(answering(lambda: self.state, self.names))
        install_programs()
        self.elastic_ip = self._elastic_ip()
        stack.callback(self._power_off)
        self.world.on_change(self._ask)
        follower = threading.Thread(target=self._follow, daemon=True)
        follower.start()
        stack.callback(follower.join)
        stack.callback(self._ask, end=True)
        self._ask()
        self.settle()
        self.beyond.start_server()

    def moor(self) -> None:
        """Declare the network, and wait until Mooring has pinned it and the tunnel is up."""
        self.world.client("ssm").put_parameter(
            Name=WHERE + self.topology.name,
            Value=self.document.decode(),
            Type="String",
            Tier="Intelligent-Tiering",
        )
        self.mooring.listen()
        self.mooring.tick()
        self.settle()
        self.until(lambda: self.tunnels() == [self.router], "the router's tunnel is up")

    def _declare_pods(self) -> bytes:
        """Return the VPC a second range with a subnet, let it into the routers' group, and declare all of it."""
        outputs = self.outputs
        self.ec2.associate_vpc_cidr_block(VpcId=outputs["VpcId"], CidrBlock=SECONDARY)
        subnet = self.ec2.create_subnet(VpcId=outputs["VpcId"], CidrBlock="100.64.1.0/24")["Subnet"]
        self.ec2.associate_route_table(
            RouteTableId=outputs["PrivateRouteTableAId"], SubnetId=subnet["SubnetId"]
        )
        self.ec2.authorize_security_group_ingress(
            GroupId=outputs["RouterSecurityGroupId"],
            IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": SECONDARY}]}],
        )
        outputs["PodSubnets"] = f"{subnet['SubnetId']}={subnet['CidrBlock']}"
        both = f"{outputs['PrivateSubnetsA']},{outputs['PodSubnets']}"
        document = declaration(outputs | {"PrivateSubnetsA": both}, TUNNEL).decode()
        return document.replace("[office]", f'secondary_cidrs = ["{SECONDARY}"]\n[office]', 1).encode()

    def _launch_hosts(self) -> Iterator[tuple[str, str]]:
        """Launch the hosts, in a group that lets the VPC and the office in."""
        outputs = self.outputs
        group = self.ec2.create_security_group(
            GroupName="hosts", Description="hosts", VpcId=outputs["VpcId"]
        )["GroupId"]
        networks = [
            outputs["VpcCidr"],
            SECONDARY,
            *outputs["OfficeNetworks"].split(","),
            outputs["VpnClientNetwork"],
        ]
        self.ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": n} for n in networks]}],
        )
        self.host_group = str(group)
        for name, (output, public) in HOSTS.items():
            card: dict[str, Any] = {
                "DeviceIndex": 0,
                "SubnetId": outputs[output].split("=")[0],
                "Groups": [group],
                "AssociatePublicIpAddress": public,
            }
            launched = self.ec2.run_instances(
                ImageId="ami-12345678", MinCount=1, MaxCount=1, NetworkInterfaces=[card]
            )
            yield name, str(launched["Instances"][0]["InstanceId"])

    # -- following the world -------------------------------------------------------------------------

    def _ask(self, *, end: bool = False) -> None:
        with self._turn:
            self._asked = -1 if end else self._asked + 1
            self._asked_at = self._asked_at or time.monotonic()
            self._turn.notify_all()

    def _follow(self) -> None:
        """Look whenever something may have changed, and make the data plane that of what is seen."""
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._asked != self._done)
                asked, since, self._asked_at = self._asked, self._asked_at, 0.0
                if asked == -1:
                    return
            try:
                self._become(look(self.topology.vpc_id))
            except BaseException as error:  # noqa: BLE001 - raised again by `settle`
                self._failure = error
            self.delays.append(time.monotonic() - since)
            with self._turn:
                self._done = asked
                self._turn.notify_all()

    def _become(self, state: State) -> None:
        alive = state.powered - self.dead
        self.state = state
        for instance_id, machine in list(self.machines.items()):
            if instance_id not in alive:
                machine.power_off()
            if instance_id not in state.tags:  # terminated: its disk is gone too
                del self.machines[instance_id]
        fresh = self.fabric.apply(state, self.dead)
        for instance_id in fresh.intersection(self.hosts.values()):
            record(instance_id)
        for instance_id in sorted(alive):
            if self.topology.candidates[0].match(dict(state.tags[instance_id])):
                self._machine(state, instance_id).power_on()

    def _machine(self, state: State, instance_id: str) -> Machine:
        """Return a router's box; a new one gets its bundle, which in AWS a push brings."""
        if instance_id not in self.machines:
            machine = Machine(instance_id, self.folder / instance_id)
            box = Box(IPv4Address(state.card(instance_id).addresses[0]), IPv4Address(self.elastic_ip))
            files = (
                "ca.crt",
                f"{self.beyond.tunnel.common_name}.crt",
                f"{self.beyond.tunnel.common_name}.key",
            )
            sources = map(self.beyond.secret, (*files, "tls-crypt.key"))
            names = (SECRETS[key] for key in ("ca", "cert", "key", "tls-crypt"))
            machine.install(render(self.topology, box), dict(zip(names, sources, strict=True)), UNITS)
            self.machines[instance_id] = machine
        return self.machines[instance_id]

    def _power_off(self) -> None:
        for machine in self.machines.values():
            machine.power_off()

    def settle(self) -> None:
        """Wait until the data plane is that of the world as it is now."""
        with self._turn:
            asked = self._asked
            if not self._turn.wait_for(lambda: self._done >= asked or self._failure, 30):
                raise TimeoutError("the data plane does not follow")
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def until(self, condition: Callable[[], T], what: str, patience: float = 20) -> T:
        """Wait for something to become true, and give it."""
        deadline = time.monotonic() + patience
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"never: {what}\n{self.told()}")
            time.sleep(0.01)
        return found

    # -- what is -------------------------------------------------------------------------------------

    def _elastic_ip(self) -> str:
        found = self.ec2.describe_addresses(AllocationIds=[self.topology.elastic_ip])["Addresses"]
        return str(found[0]["PublicIp"])

    @property
    def router(self) -> str:
        """The instance that holds the Elastic IP."""
        found = self.ec2.describe_addresses(AllocationIds=[self.topology.elastic_ip])["Addresses"]
        return str(found[0].get("InstanceId", ""))

    @property
    def standby(self) -> str:
        """A running router that does not hold it."""
        return min(self.machines.keys() - {self.router})

    def address(self, name: str) -> str:
        """Return the address of a host by its name here: a VPC's, an office network's, the internet's."""
        if name in self.hosts:
            return self.state.card(self.hosts[name]).addresses[0]
        return self.beyond.lans.get(name, INTERNET_HOST)

    def namespace(self, name: str) -> str:
        """Return the namespace of a host by its name here."""
        return self.hosts.get(name, name)

    def tunnels(self) -> list[str]:
        """Name the routers whose tunnel is up, as their own interface and OpenVPN's word have it."""
        return sorted(i for i, m in self.machines.items() if m.on and _up(m))

    def complaints(self) -> list[str]:
        """Have the network judged by who is no planner."""
        return judge(self.topology, facts_from_aws(self.ec2, self.topology.vpc_id))

    def told(self) -> str:
        """Return what a failed test's reader wants to see: the machines' journals and the server's log."""
        journals = (
            f"-- {i}\n" + "\n".join(f"{line.at:.3f} {line.unit} {line.text}" for line in m.journal()[-25:])
            for i, m in self.machines.items()
        )
        return "\n".join([*journals, "-- office", self.beyond.log("server")[-2500:]])

    def recover(self) -> None:
        """Bring it back to where `moor` left it: two routers that work, as declared, and the tunnel on one of them.

        Routers that are no good any more are ended; their group launches others.
        """
        self.settle()
        for instance_id in sorted((self.dead | self.ruined) & self.state.powered):
            self.ec2.terminate_instances(InstanceIds=[instance_id])
        self.dead.clear()
        self.ruined.clear()
        self.settle()
        self.until(lambda: sum(m.on for m in self.machines.values()) >= 2, "there are two routers")
        self.mooring.rest()
        if self.complaints() or self.tunnels() != [self.router]:
            self.mooring.tick()
            self.settle()
        self.until(lambda: self.tunnels() == [self.router], "the tunnel is up on the router, and there alone")
        if complaints := self.complaints():
            raise RuntimeError(f"not as declared: {complaints}")

    # -- what can go wrong ---------------------------------------------------------------------------

    def follow(self) -> None:
        """Have the data plane made anew, after something that AWS does not know of."""
        self._ask()
        self.settle()

    def hang(self, instance_id: str) -> None:
        """Have an instance's system die while AWS goes on calling it running; its status check then fails."""
        self.dead.add(instance_id)
        self.world.impair(instance_id)
        self.follow()

    def revive(self, instance_id: str) -> None:
        """Have the system of a hung instance boot again, from its disk."""
        self.dead.discard(instance_id)
        self.world.unimpair(instance_id)
        self.follow()


def _up(machine: Machine) -> bool:
    """Return whether the last word of a machine's OpenVPN is that it is connected."""
    words = ("Initialization Sequence Completed", "started", "exited", "stopped", "restarting", "power lost")
    told = (line.text for line in machine.journal() if line.unit in (UNIT, "init"))
    last = [word for text in told for word in words if word in text]
    return last[-1:] == [words[0]]
