"""`mooring demo`: one router's life on an embedded AWS, every step judged by an oracle that asks AWS itself."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Column
from rich.table import Table as Grid

from chalicelib.bootstrap import Edge
from chalicelib.cli.render import outcome_lines
from chalicelib.cli.terminal import line
from chalicelib.controller import Request, reconcile
from chalicelib.core.declaration import parse
from chalicelib.core.errors import ControllerError
from tests.lab import enter
from tests.network import add_private_tables, declaration, deploy, deploy_journal
from tests.oracle import Facts, facts_from_aws, judge, untouched
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.cli.terminal import Terminal
    from chalicelib.core.report import Report, Verdict
    from chalicelib.core.topology import Topology

EXTRA_TABLES = 3
QUIET_RUNS = 20


def run(console: Terminal) -> bool:
    """Tell the whole story; say whether the oracle agreed with every step."""
    with World() as world:
        console.print("[bold]Mooring[/]: the network of examples/network.yaml on an embedded AWS\n")
        stage = _Stage(world)
        teller = _Teller(console, stage)
        for step in _STORY:
            teller.tell(step)
        teller.tell_quiet_runs()
        teller.tell_prepared_interface()
        teller.sum_up()
        return teller.agreed


def run_packets(console: Terminal) -> bool:
    """Tell it in packets, in namespaces of its own; say whether every flow came back.

    Raises:
        ControllerError: this machine lacks a tool or a right that it takes.
    """
    if reason := enter.lacking():
        what, _, hint = reason.partition(": ")
        raise ControllerError(what, hint=hint)
    return enter.call("tests.lab.demo", to=console.file) == 0


class _Stage:
    """The deployed network, the hands that disturb it, and the edge through which Mooring keeps it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ec2: Any = world.client("ec2")
        self.edge = Edge(world.session, world.endpoint_url)
        deploy_journal(world)
        outputs = deploy(world, RouterCount="2", BootstrapSsh="open")
        more = add_private_tables(world, outputs["VpcId"], EXTRA_TABLES)
        self.document = declaration(outputs, more).decode()
        self.declare(self.document)
        self.stranger = self._strangers(outputs)

    def _strangers(self, outputs: dict[str, str]) -> str:
        """Put things into the VPC that are none of Mooring's; give the interface of a foreign instance."""
        subnet = outputs["PublicSubnets"].split("=")[0]
        launched = self.ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet)
        interface_id = str(launched["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"])
        allocation_id = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        self.ec2.associate_address(AllocationId=allocation_id, NetworkInterfaceId=interface_id)
        table = self.ec2.create_route_table(VpcId=outputs["VpcId"])["RouteTable"]["RouteTableId"]
        for table_id in (table, outputs["PrivateRouteTableAId"]):
            self.ec2.create_route(
                RouteTableId=table_id, DestinationCidrBlock="172.16.0.0/12", NetworkInterfaceId=interface_id
            )
        return interface_id

    def declare(self, document: str) -> None:
        self.edge.topologies.declare("office", document.encode())

    @property
    def topology(self) -> Topology:
        return self.edge.topologies.read("office")

    @property
    def table(self) -> str:
        """The first private table."""
        return next(str(t.selector) for t in self.topology.tables if t.kind == "private")

    @property
    def public_table(self) -> str:
        return next(str(t.selector) for t in self.topology.tables if t.kind == "public")

    def facts(self) -> Facts:
        return facts_from_aws(self.ec2, self.topology.vpc_id)

    @property
    def router(self) -> str:
        """The instance that holds the Elastic IP, as AWS says."""
        found = self.ec2.describe_addresses(AllocationIds=[self.topology.elastic_ip])["Addresses"]
        return str(found[0]["InstanceId"])

    @property
    def interface(self) -> str:
        found = self.ec2.describe_addresses(AllocationIds=[self.topology.elastic_ip])["Addresses"]
        return str(found[0]["NetworkInterfaceId"])

    @property
    def standby(self) -> str:
        """A running candidate that is not the router."""
        tagged = [{"Name": "tag:mooring:router", "Values": ["office"]}]
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        found = self.ec2.describe_instances(Filters=tagged + running)["Reservations"]
        return next(
            str(i["InstanceId"]) for r in found for i in r["Instances"] if i["InstanceId"] != self.router
        )


@dataclass(frozen=True)
class _Step:
    """One thing that happens, and what must be so after Mooring's next run."""

    title: str
    happen: Callable[[_Stage], str]
    verdict: Verdict
    ask: Callable[[_Stage], Request] = lambda _: Request("tick")
    judged: Callable[[_Stage, Facts, Facts], list[str]] = lambda s, _, after: judge(s.topology, after)


def _frozen(_: _Stage, before: Facts, after: Facts) -> list[str]:
    """Judge that not one thing was written."""
    return [] if before == after else ["something was written"]


def _first_run(stage: _Stage) -> str:
    return f"the stack is up and {stage.topology.name} is declared; nothing leads to a router yet"


def _terminate(stage: _Stage) -> str:
    router = stage.router
    stage.ec2.terminate_instances(InstanceIds=[router])
    return f"ec2 terminate-instances {router}, the router"


def _delete_route(stage: _Stage) -> str:
    stage.ec2.delete_route(RouteTableId=stage.table, DestinationCidrBlock="0.0.0.0/0")
    return f"ec2 delete-route {stage.table} 0.0.0.0/0"


def _point_elsewhere(stage: _Stage) -> str:
    stage.ec2.replace_route(
        RouteTableId=stage.public_table,
        DestinationCidrBlock=str(stage.topology.office_networks[0]),
        NetworkInterfaceId=stage.stranger,
    )
    return f"ec2 replace-route {stage.public_table} {stage.topology.office_networks[0]} -> {stage.stranger}"


def _switch_check_on(stage: _Stage) -> str:
    stage.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=stage.interface, SourceDestCheck={"Value": True}
    )
    return f"ec2 modify-network-interface-attribute {stage.interface} --source-dest-check"


def _disassociate(stage: _Stage) -> str:
    address = stage.ec2.describe_addresses(AllocationIds=[stage.topology.elastic_ip])["Addresses"][0]
    stage.ec2.disassociate_address(AssociationId=address["AssociationId"])
    return f"ec2 disassociate-address {address['PublicIp']}"


def _move_subnet(stage: _Stage) -> str:
    tables = stage.ec2.describe_route_tables(RouteTableIds=[stage.table])["RouteTables"]
    association = tables[0]["Associations"][0]
    stage.ec2.replace_route_table_association(
        AssociationId=association["RouteTableAssociationId"], RouteTableId=stage.public_table
    )
    return f"ec2 replace-route-table-association: {association['SubnetId']} gets {stage.public_table}"


def _pause(stage: _Stage) -> str:
    stage.declare(f"paused = true\n{stage.document}")
    return f"paused = true is declared; then {_delete_route(stage)}"


def _resume(stage: _Stage) -> str:
    stage.declare(stage.document)
    return "paused is gone from the declaration"


def _nothing(_: _Stage) -> str:
    return "an operator asks for the standby by name"


def _switchover(stage: _Stage) -> Request:
    return Request("operator", to=stage.standby)


def _blind(stage: _Stage) -> str:
    said = _delete_route(stage)
    stage.world.deny("DescribeRouteTables")
    return f"{said}; and DescribeRouteTables is denied to Mooring"


def _see_again(stage: _Stage) -> str:
    stage.world.heal()
    return "the permission is back"


def _deny_one_table(stage: _Stage) -> str:
    denied = stage.table
    stage.world.deny("CreateRoute", when=lambda asked: asked["RouteTableId"] == denied)
    return "; ".join(
        [_delete_route(stage), _point_elsewhere(stage), _disassociate(stage), "CreateRoute denied there"]
    )


def _only_the_denied_table(stage: _Stage, _: Facts, after: Facts) -> list[str]:
    complaints = judge(stage.topology, after)
    expected = [f"{stage.table} has no route to 0.0.0.0/0"]
    return [] if complaints == expected else [f"expected {expected}, found {complaints}"]


_STORY = (
    _Step("The first run pins everything", _first_run, "repaired"),
    _Step("The router is terminated", _terminate, "repaired"),
    _Step("Somebody deletes a default route", _delete_route, "repaired"),
    _Step("Somebody points an office route elsewhere", _point_elsewhere, "repaired"),
    _Step("The source/dest check comes back on", _switch_check_on, "repaired"),
    _Step("The Elastic IP is disassociated", _disassociate, "repaired"),
    _Step("A subnet gets another route table", _move_subnet, "repaired"),
    _Step("Paused: drift is seen and left", _pause, "paused", judged=_frozen),
    _Step("Resumed", _resume, "repaired"),
    _Step("Switchover to a named router", _nothing, "repaired", ask=_switchover),
    _Step("And back", _nothing, "repaired", ask=_switchover),
    _Step("Blind: what cannot be seen is not written", _blind, "blind", judged=_frozen),
    _Step("Sight returns", _see_again, "repaired"),
    _Step("One table denies writes", _deny_one_table, "drifting", judged=_only_the_denied_table),
    _Step("The denial is lifted", _see_again, "repaired"),
)


@dataclass(frozen=True)
class _Row:
    """What the last table says of a step."""

    title: str
    verdict: str
    calls: int
    writes: int
    seconds: float
    complaints: tuple[str, ...]


class _Teller:
    """Narrates each step, and remembers whether the oracle agreed."""

    def __init__(self, console: Terminal, stage: _Stage) -> None:
        self.console, self.stage = console, stage
        self.rows: list[_Row] = []

    @property
    def agreed(self) -> bool:
        return not any(row.complaints for row in self.rows)

    def tell(self, step: _Step) -> None:
        """Let it happen, let Mooring run, and ask the oracle."""
        heard = len(self.stage.world.events)
        self._say(step.title, step.happen(self.stage))
        events = self.stage.world.events[heard:]
        for event in events:
            detail = event["detail"]
            about = detail.get("instance-id") or detail.get("EC2InstanceId") or detail.get("name")
            what = detail.get("state") or detail.get("operation") or ""
            self.console.say(line(f"   event     {event['detail-type']}: {about} {what}".rstrip()))
        before = self.stage.facts()
        request = step.ask(self.stage)
        with self._counted() as counted:
            report = reconcile(
                self.stage.topology,
                self.stage.edge.ports,
                Request(events[-1]["detail-type"], to=request.to) if events else request,
            )
        after = self.stage.facts()
        self._say_report(report)
        complaints = [*step.judged(self.stage, before, after), *untouched(self.stage.topology, before, after)]
        if report.verdict != step.verdict:
            complaints.append(f"the verdict should be {step.verdict}, not {report.verdict}")
        self._close(step.title, report.verdict, counted, complaints)

    def tell_quiet_runs(self) -> None:
        """Run again and again while nothing changes."""
        title = f"Converged: {QUIET_RUNS} more runs"
        self._say(title, "nothing happens")
        with self._counted() as counted:
            reports = [
                reconcile(self.stage.topology, self.stage.edge.ports, Request("tick"))
                for _ in range(QUIET_RUNS)
            ]
        self._say_report(reports[-1])
        complaints = judge(self.stage.topology, self.stage.facts())
        complaints += [r.sentence for r in reports if r.verdict != "converged"]
        complaints += ["something was written"] if counted.writes else []
        self._close(title, reports[-1].verdict, counted, complaints)

    def tell_prepared_interface(self) -> None:
        """Replace a router whose prepared interface stays: the post's own way needs no route written."""
        title = "A prepared interface: its instance is replaced"
        world = self.stage.world
        outputs = deploy(world, "branch", TopologyName="branch", RouterMode="prepared-interface")
        topology = parse(declaration(outputs))
        reconcile(topology, self.stage.edge.ports, Request("tick"))
        old = facts_from_aws(self.stage.ec2, topology.vpc_id)
        holder = self.stage.ec2.describe_addresses(AllocationIds=[topology.elastic_ip])["Addresses"][0]
        gone = holder["InstanceId"]
        self._say(
            title, f"the post's own way: {gone} is terminated, its group launches another on its interface"
        )
        self.stage.ec2.terminate_instances(InstanceIds=[holder["InstanceId"]])
        with self._counted() as counted:
            report = reconcile(topology, self.stage.edge.ports, Request("tick"))
        self._say_report(report)
        new = facts_from_aws(self.stage.ec2, topology.vpc_id)
        complaints = [*judge(topology, new), *untouched(topology, old, new)]
        complaints += ["a route or the address was written"] if counted.writes else []
        self._close(title, report.verdict, counted, complaints)

    def sum_up(self) -> None:
        """Print every step with its calls and writes, and the oracle's word on it."""
        whole = (Column(name, no_wrap=True) for name in ("verdict", "calls", "writes", "seconds", "oracle"))
        grid = Grid("", "step", *whole, box=None)
        for number, row in enumerate(self.rows, start=1):
            word = "[red]disagrees" if row.complaints else "[green]agrees"
            numbers = (str(row.calls), str(row.writes), f"{row.seconds:.2f}")
            grid.add_row(str(number), row.title, row.verdict, *numbers, word)
        self.console.print(grid)
        wrong = sum(bool(row.complaints) for row in self.rows)
        verdict = (
            f"[red]The oracle disagrees with {wrong} steps."
            if wrong
            else "[green]The oracle agrees with every step."
        )
        self.console.print(f"\n{verdict}")

    @contextmanager
    def _counted(self) -> Iterator[_Count]:
        world = self.stage.world
        count = _Count()
        world.forget_calls()
        began = time.monotonic()
        yield count
        count.seconds = time.monotonic() - began
        mine = [call for call in world.calls if call.by == "product"]
        count.calls = len(mine)
        count.writes = sum(call.write for call in mine if call.service == "ec2")

    def _say(self, title: str, happened: str) -> None:
        self.console.print(f"[bold]{len(self.rows) + 1:2}  {title}[/]")
        self.console.print(f"   happened  {happened}")

    def _say_report(self, report: Report) -> None:
        for told in outcome_lines(report):
            self.console.say(line("   mooring   ").append_text(told))

    def _close(self, title: str, verdict: str, counted: _Count, complaints: list[str]) -> None:
        self.rows.append(
            _Row(title, verdict, counted.calls, counted.writes, counted.seconds, tuple(complaints))
        )
        if complaints:
            for complaint in complaints:
                self.console.print(f"   [red]proof     {complaint}[/]")
        else:
            calls = f"{counted.calls} AWS calls, {counted.writes} EC2 writes"
            self.console.print(f"   [green]proof[/]     the oracle agrees ({calls})")
        self.console.print()


@dataclass
class _Count:
    """What Mooring asked of AWS meanwhile."""

    calls: int = 0
    writes: int = 0
    seconds: float = 0.0
