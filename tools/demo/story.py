"""The demo's story: what happens to one office's network, how Mooring hears of it, and what must be so afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fake_aws.events import spot_interruption
from tests.network import TUNNEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.core.network.report import Verdict
    from tests.oracle import Facts
    from tests.package.e2e import Office

QUIET_TICKS = 20


def _as_declared(office: Office, _: Facts) -> list[str]:
    return office.complaints()


@dataclass(frozen=True)
class Scene:
    """One thing that happens.

    Attributes:
        happen: does it, and says what it did.
        verdict: what Mooring must say of it.
        ticks: how many minutes pass afterwards; without one, events and calls are all that Mooring is told.
        proof: what the oracle says against it, given how things were before Mooring looked.
    """

    title: str
    happen: Callable[[Office], str]
    verdict: Verdict = "repaired"
    ticks: int = 0
    proof: Callable[[Office, Facts], list[str]] = _as_declared


# -- what happens --------------------------------------------------------------------------------------


def _declare(office: Office) -> str:
    _invite_strangers(office)
    office.declare()
    return f"{office.name} is declared; nothing leads to a router yet"


def _invite_strangers(office: Office) -> None:
    """Put things into the VPC that are none of Mooring's: an instance with an address, a table, routes."""
    ec2, subnet = office.ec2, office.outputs["PublicSubnets"].split("=")[0]
    tagged = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "stranger"}]}]
    ec2.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet, TagSpecifications=tagged
    )
    interface_id = _strangers_interface(office)
    allocation_id = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=allocation_id, NetworkInterfaceId=interface_id)
    table = ec2.create_route_table(VpcId=office.topology.vpc_id)["RouteTable"]["RouteTableId"]
    for table_id in (table, _private_table(office)):
        ec2.create_route(
            RouteTableId=table_id, DestinationCidrBlock="172.16.0.0/12", NetworkInterfaceId=interface_id
        )


def _terminate(office: Office) -> str:
    return f"ec2 terminate-instances {office.terminate_router()}, the router"


def _scale_in(office: Office) -> str:
    router = office.router
    office.stage.world.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=router, ShouldDecrementDesiredCapacity=False
    )
    return f"autoscaling terminate-instance {router}, the router; its hook keeps it {office.state(router)}"


def _warn_of_spot(office: Office) -> str:
    region, router = office.stage.world.region, office.router
    office.stage.router.deliver(spot_interruption(region, f"{region}a", router))
    return f"Spot will take {router}, the router, in two minutes"


def _take_spot(office: Office) -> str:
    warned = office.standby
    office.ec2.terminate_instances(InstanceIds=[warned])
    return f"{warned} is gone, and its group launches another"


def _delete_route(office: Office) -> str:
    office.delete_default_route()
    return f"ec2 delete-route {_private_table(office)} 0.0.0.0/0"


def _point_elsewhere(office: Office) -> str:
    table, destination, interface_id = (
        office.outputs["PublicRouteTableId"],
        str(office.topology.office_networks[0]),
        _strangers_interface(office),
    )
    office.ec2.replace_route(
        RouteTableId=table, DestinationCidrBlock=destination, NetworkInterfaceId=interface_id
    )
    return f"ec2 replace-route {table} {destination} -> {interface_id}"


def _switch_check_on(office: Office) -> str:
    interface_id = office.address["NetworkInterfaceId"]
    office.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=interface_id, SourceDestCheck={"Value": True}
    )
    return f"ec2 modify-network-interface-attribute {interface_id} --source-dest-check"


def _disassociate(office: Office) -> str:
    address = office.address
    office.ec2.disassociate_address(AssociationId=address["AssociationId"])
    return f"ec2 disassociate-address {address['PublicIp']}"


def _move_subnet(office: Office) -> str:
    found = office.ec2.describe_route_tables(RouteTableIds=[_private_table(office)])["RouteTables"]
    association, table = found[0]["Associations"][0], office.outputs["PublicRouteTableId"]
    office.ec2.replace_route_table_association(
        AssociationId=association["RouteTableAssociationId"], RouteTableId=table
    )
    return f"ec2 replace-route-table-association: {association['SubnetId']} gets {table}"


def _pause(office: Office) -> str:
    said = _call(office, "POST", "pause", {"for": "2h", "reason": "an experiment"})
    return f"{said}; then {_delete_route(office)}"


def _resume(office: Office) -> str:
    return _call(office, "POST", "resume")


def _switch_over(office: Office) -> str:
    return _call(office, "POST", "switchover", {"to": office.standby})


def _poison(office: Office) -> str:
    office.stage.world.client("sqs").send_message(
        QueueUrl=office.stage.deployment.outputs["QueueUrl"],
        MessageBody="not ours",
        MessageGroupId=office.name,
        MessageDeduplicationId="poison",
    )
    return f"a message that nobody can read stands before {office.name}'s; then {_delete_route(office)}"


def _blind(office: Office) -> str:
    said = _delete_route(office)
    office.stage.world.deny("DescribeRouteTables")
    return f"{said}; and DescribeRouteTables is denied to Mooring"


def _see_again(office: Office) -> str:
    office.stage.world.heal()
    return "the permission is back"


def _deny_one_table(office: Office) -> str:
    denied = _private_table(office)
    office.stage.world.deny("CreateRoute", when=lambda asked: asked["RouteTableId"] == denied)
    return "; ".join(
        [_delete_route(office), _point_elsewhere(office), _disassociate(office), "CreateRoute denied there"]
    )


def _declare_tunnel(office: Office) -> str:
    routers = len(office.stage.boxes)
    office.declare(TUNNEL)
    return f"{office.name} is declared with its tunnel; its {routers} routers have no configuration yet"


def _push_on_trial(office: Office) -> str:
    office.declare(TUNNEL.replace("vpn.", "vpn2."))
    return _call(office, "POST", "push", {"to": office.router, "confirm_within": "5m"})


def _confirm(office: Office) -> str:
    return _call(office, "POST", "confirm")


def _nothing(_: Office) -> str:
    return f"nothing, for {QUIET_TICKS} minutes"


def _call(office: Office, method: str, verb: str, body: object = None) -> str:
    """Ask the API, as an operator does."""
    path = f"/topologies/{office.name}/{verb}"
    reply = office.stage.router.call(method, path, body)
    return f"{method} {path}: {reply.status}"


def _private_table(office: Office) -> str:
    return office.outputs["PrivateRouteTableAId"]


def _strangers_interface(office: Office) -> str:
    named = [{"Name": "tag:Name", "Values": ["stranger"]}]
    found = office.ec2.describe_instances(Filters=named)["Reservations"]
    return str(found[0]["Instances"][0]["NetworkInterfaces"][0]["NetworkInterfaceId"])


# -- what must be so -----------------------------------------------------------------------------------


def _unwritten(office: Office, before: Facts) -> list[str]:
    return [] if office.facts() == before else ["something was written"]


def _quiet(office: Office, _: Facts) -> list[str]:
    return office.complaints() + [f"{name} was asked for" for name in office.stage.writes()]


def _moved_first(office: Office, _: Facts) -> list[str]:
    """Judge that the pins had moved before the old router was let go."""
    asked = [call for call in office.stage.world.calls if call.by == "product"]
    let_go = [n for n, call in enumerate(asked) if call.operation == "CompleteLifecycleAction"]
    written = [n for n, call in enumerate(asked) if call.service == "ec2" and call.write]
    good = len(let_go) == 1 and written and max(written) < let_go[0]
    return office.complaints() + ([] if good else ["the router was not let go, or before the pins had moved"])


def _left_running(office: Office, before: Facts) -> list[str]:
    """Judge that the router was left while it still ran."""
    interface_id = before.addresses[office.topology.elastic_ip].interface_id
    old = office.facts().interfaces.get(interface_id or "")
    left = interface_id != office.address["NetworkInterfaceId"] and old and old.instance_state == "running"
    return office.complaints() + ([] if left else ["it was not left while it ran"])


def _put_aside(office: Office, _: Facts) -> list[str]:
    sqs, arn = office.stage.world.client("sqs"), office.stage.deployment.names["ReconcileDeadLetters"]
    found = sqs.receive_message(QueueUrl=arn, MaxNumberOfMessages=10).get("Messages", [])
    aside = [message["Body"] for message in found] == ["not ours"]
    return office.complaints() + ([] if aside else ["the dead-letter queue does not hold that message alone"])


def _pushed(office: Office, _: Facts) -> list[str]:
    """Judge by what the routers have, not by what Mooring says of them."""
    running = {office.router, office.standby}
    has = {i: box.digest for i, box in office.stage.boxes.items() if i in running}
    complaints = [] if len(set(has.values()) - {None}) == len(running) else [f"the routers have {has}"]
    return office.complaints() + complaints


def _kept(office: Office, before: Facts) -> list[str]:
    now = office.stage.router.call("GET", f"/topologies/{office.name}").body["now"]
    trials = [m["instance_id"] for m in now["machines"] if m["trial"]]
    return _pushed(office, before) + [f"{instance_id} would still go back" for instance_id in trials]


def _only_the_denied_table(office: Office, _: Facts) -> list[str]:
    expected = [f"{_private_table(office)} has no route to 0.0.0.0/0"]
    found = office.complaints()
    return [] if found == expected else [f"expected {expected}, found {found}"]


# -- the story -----------------------------------------------------------------------------------------

STORY = (
    Scene("A topology is declared", _declare),
    Scene("The router is terminated", _terminate),
    Scene("Scaled in: the pins move first", _scale_in, proof=_moved_first),
    Scene("A Spot notice: left in time", _warn_of_spot, proof=_left_running),
    Scene("Spot takes it, another stands by", _take_spot),
    Scene("A default route is deleted", _delete_route, ticks=1),
    Scene("An office route leads elsewhere", _point_elsewhere, ticks=1),
    Scene("The source/dest check comes on", _switch_check_on, ticks=1),
    Scene("The Elastic IP is disassociated", _disassociate, ticks=1),
    Scene("A subnet gets another table", _move_subnet, ticks=1),
    Scene("Paused: drift is seen and left", _pause, "paused", ticks=1, proof=_unwritten),
    Scene("Resumed", _resume),
    Scene("Switchover to a named router", _switch_over),
    Scene("A poison message is put aside", _poison, ticks=1, proof=_put_aside),
    Scene("Blind: nothing is written", _blind, "blind", ticks=1, proof=_unwritten),
    Scene("Sight returns", _see_again, ticks=1),
    Scene("One table denies writes", _deny_one_table, "drifting", ticks=1, proof=_only_the_denied_table),
    Scene("The denial is lifted", _see_again, ticks=1),
    Scene("A tunnel: routers are configured", _declare_tunnel, "pending", proof=_pushed),
    Scene("Another server, on trial", _push_on_trial, "pending", proof=_pushed),
    Scene("Confirmed in time", _confirm, "pending", proof=_kept),
    Scene(f"Converged: {QUIET_TICKS} more minutes", _nothing, "converged", ticks=QUIET_TICKS, proof=_quiet),
)

PREPARED = Scene("A prepared interface is kept", _terminate, "converged", proof=_quiet)
"""The post's own way, of another office: the group launches its next router on the interface that stays."""
