"""What is read from EC2: in one round of few calls, and as EC2 means it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest

from chalicelib.aws.ec2.items import Items, _route
from chalicelib.aws.ec2.statuses import Statuses, statuses
from chalicelib.core.network.observation import ElasticIp, Route
from tests.aws.office import READS
from tests.builders import NOON, an_id
from tests.network import add_private_tables

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Instance
    from tests.aws.office import Office

ALWAYS = READS[:-1]
"""What a look asks for; DescribeVpcs only when DHCP options are declared."""

# -- one round of few calls ------------------------------------------------------------------------------


def test_reading_that_is_throttled_once_is_read_again(office: Office) -> None:
    """Bootstrap's client for reading retries by itself."""
    office.world.throttle("DescribeRouteTables", times=1)
    assert office.observe().tables
    assert [c.error for c in office.asked("DescribeRouteTables")] == ["RequestLimitExceeded", None]


@pytest.mark.parametrize("more", [0, 40])
def test_look_takes_as_many_calls_for_many_tables(office: Office, more: int) -> None:
    """Six calls, and a seventh for declared DHCP options, whatever the number of tables; none writes."""
    add_private_tables(office.world, office.vpc_id, more)
    office.forget()
    seen = office.observe()
    assert len(seen.tables) == 4 + more
    assert Counter(c.operation for c in office.asked()) == Counter(READS)
    assert not any(c.write for c in office.asked())
    office.forget()
    office.network.observe(replace(office.topology, dhcp_options=None))
    assert Counter(c.operation for c in office.asked()) == Counter(ALWAYS)


def test_calls_of_a_look_are_made_at_once(office: Office) -> None:
    """A look costs one round trip: every call begins before any is answered, and its time is the first's."""
    office.observe()
    office.world.delay(2)
    office.forget()
    seen = office.observe()
    assert max(c.at for c in office.asked()) < min(c.until for c in office.asked())
    assert seen.taken_at.tzinfo is UTC
    assert datetime.now(UTC) - seen.taken_at >= timedelta(seconds=2)


def test_listings_in_pages_give_the_same_observation(office: Office) -> None:
    """Every listing is followed to its last page."""
    _launch(office)
    whole = office.observe()
    office.world.page_size = 2
    office.forget()
    paged = office.observe()
    assert replace(paged, taken_at=whole.taken_at) == whole
    asked = Counter(c.operation for c in office.asked())
    assert {k for k, count in asked.items() if count > 1} == set(ALWAYS) - {"DescribeAddresses"}


def test_ssh_that_is_not_managed_is_not_asked_for(office: Office) -> None:
    """What nobody decides about needs no call and no permission."""
    office.world.deny("DescribeSecurityGroupRules")
    assert office.network.observe(replace(office.topology, ssh="unmanaged")).ingress == ()


# -- route tables ----------------------------------------------------------------------------------------


def _targets(office: Office) -> dict[str, str]:
    """Make a thing of every kind that a route can lead to and the embedded AWS knows, by parameter."""
    ec2, subnet_id = office.ec2, office.subnet("PublicSubnets")
    allocation_id = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=subnet_id, AllocationId=allocation_id)["NatGateway"]
    other = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    peering = ec2.create_vpc_peering_connection(VpcId=office.vpc_id, PeerVpcId=other)["VpcPeeringConnection"]
    return {
        "GatewayId": office.gateway,
        "NetworkInterfaceId": office.candidates()[0].interfaces[0].id,
        "NatGatewayId": nat["NatGatewayId"],
        "TransitGatewayId": ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"],
        "VpcPeeringConnectionId": peering["VpcPeeringConnectionId"],
        "CarrierGatewayId": ec2.create_carrier_gateway(VpcId=office.vpc_id)["CarrierGateway"][
            "CarrierGatewayId"
        ],
    }


def test_routes_of_every_kind_are_read(office: Office) -> None:
    """Destination, target, state and origin of each; an interface is named before the instance it is on."""
    ec2, table_id = office.ec2, office.private_table
    targets = _targets(office)
    for number, (key, target) in enumerate(targets.items()):
        ec2.create_route(RouteTableId=table_id, DestinationCidrBlock=f"172.16.{number}.0/24", **{key: target})
    outwards = ec2.create_egress_only_internet_gateway(VpcId=office.vpc_id)["EgressOnlyInternetGateway"]
    egress = outwards["EgressOnlyInternetGatewayId"]
    ec2.create_route(
        RouteTableId=table_id, DestinationIpv6CidrBlock="::/0", EgressOnlyInternetGatewayId=egress
    )
    ten = {"PrefixListName": "offices", "MaxEntries": 10, "AddressFamily": "IPv4"}
    prefixes = ec2.create_managed_prefix_list(**ten)["PrefixList"]["PrefixListId"]
    transit = targets["TransitGatewayId"]
    ec2.create_route(RouteTableId=table_id, DestinationPrefixListId=prefixes, TransitGatewayId=transit)
    vgw_id = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    ec2.attach_vpn_gateway(VpcId=office.vpc_id, VpnGatewayId=vgw_id)
    office.world.propagate(table_id, "172.30.0.0/16", vgw_id)

    assert set(office.table(table_id).routes) == {
        Route("10.0.0.0/16", "local", origin="CreateRouteTable"),
        *(Route(f"172.16.{number}.0/24", target) for number, target in enumerate(targets.values())),
        Route("::/0", egress),
        Route(prefixes, transit),
        Route("172.30.0.0/16", vgw_id, origin="EnableVgwRoutePropagation"),
    }


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        ({"LocalGatewayId": "lgw-1"}, "lgw-1"),
        (
            {"CoreNetworkArn": "arn:aws:networkmanager::1:core-network/c"},
            "arn:aws:networkmanager::1:core-network/c",
        ),
        ({"OdbNetworkArn": "arn:aws:odb:eu-west-1:1:odb-network/o"}, "arn:aws:odb:eu-west-1:1:odb-network/o"),
        ({"InstanceId": "i-1", "InstanceOwnerId": "1", "NetworkInterfaceId": "eni-1"}, "eni-1"),
        ({"SomethingNewId": "new-1"}, "unknown"),
    ],
)
def test_route_to_what_the_embedded_aws_lacks_is_read(raw: dict[str, str], target: str) -> None:
    """Also what AWS will add one day has a route, though nobody knows what it leads to."""
    route: Any = {"DestinationCidrBlock": "0.0.0.0/0", "State": "blackhole", "Origin": "CreateRoute"}
    assert _route(route | raw) == Route("0.0.0.0/0", target, "blackhole")


def test_tables_have_their_tags_and_explicit_associations(office: Office) -> None:
    """The main table's implicit association is with no subnet; the others' are by subnet."""
    seen = office.observe()
    (main,) = (t for t in seen.tables if t.main)
    assert main.associations == {}
    private = office.table(office.private_table)
    assert private.tags["mooring:topology"] == "office"
    assert set(private.associations) == {office.subnet("PrivateSubnetsA")}
    assert all(a.startswith("rtbassoc-") for a in private.associations.values())


# -- instances -------------------------------------------------------------------------------------------


def _launch(office: Office, **asked: object) -> str:
    """Launch an instance that is no candidate."""
    asked.setdefault("SubnetId", office.subnet("PrivateSubnetsA"))
    (made,) = office.ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, **asked)["Instances"]
    return str(made["InstanceId"])


def _seen(office: Office, instance_id: str) -> Instance:
    return next(i for i in office.observe().instances if i.id == instance_id)


def test_instance_with_several_interfaces_lists_the_primary_first(office: Office) -> None:
    """By device index, each with its subnet and its own check."""
    subnet_id = office.subnet("PrivateSubnetsA")
    instance_id = _launch(office)
    attached = {}
    for index in (2, 1):
        made = office.ec2.create_network_interface(SubnetId=subnet_id)["NetworkInterface"]
        attached[index] = made["NetworkInterfaceId"]
        office.ec2.attach_network_interface(
            NetworkInterfaceId=attached[index], InstanceId=instance_id, DeviceIndex=index
        )
    office.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=attached[1], SourceDestCheck={"Value": False}
    )
    interfaces = _seen(office, instance_id).interfaces
    assert [i.id for i in interfaces[1:]] == [attached[1], attached[2]]
    assert [i.source_dest_check for i in interfaces] == [True, False, True]
    assert {i.subnet_id for i in interfaces} == {subnet_id}


def _raw_interface(number: int, card: int, device: int) -> dict[str, Any]:
    return {
        "NetworkInterfaceId": an_id("eni", number),
        "SubnetId": an_id("subnet", 1),
        "SourceDestCheck": True,
        "PrivateIpAddresses": [
            {"Primary": False, "PrivateIpAddress": f"10.0.0.{number + 100}"},
            {"Primary": True, "PrivateIpAddress": f"10.0.0.{number}"},
        ],
        "Attachment": {"NetworkCardIndex": card, "DeviceIndex": device},
    }


def test_interfaces_and_addresses_in_any_order_are_sorted() -> None:
    """EC2 promises no order: the first card's first device comes first, and of its addresses the primary."""
    raw: Any = {
        "InstanceId": "i-1",
        "State": {"Code": 16, "Name": "running"},
        "LaunchTime": NOON,
        "NetworkInterfaces": [_raw_interface(1, 1, 0), _raw_interface(2, 0, 1), _raw_interface(3, 0, 0)],
    }
    read = Items(Statuses()).instance(raw)
    assert [i.id for i in read.interfaces] == [an_id("eni", n) for n in (3, 2, 1)]
    assert [i.addresses for i in read.interfaces] == [(f"10.0.0.{n}", f"10.0.0.{n + 100}") for n in (3, 2, 1)]


def test_secondary_private_addresses_follow_the_primary(office: Office) -> None:
    """An Elastic IP may be declared for any of them."""
    candidate = office.candidates()[0]
    eni, (primary,) = candidate.interfaces[0].id, candidate.interfaces[0].addresses
    office.ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, PrivateIpAddresses=["10.0.0.100"])
    assert _seen(office, candidate.id).interfaces[0].addresses == (primary, "10.0.0.100")


@pytest.mark.parametrize("check", ["instance", "system"])
def test_instance_that_fails_either_check_is_impaired(
    office: Office, check: Literal["instance", "system"]
) -> None:
    """One failed check is enough; when it passes again, the instance is well."""
    sick, well = office.candidates()
    assert (sick.checks, well.checks) == ("ok", "ok")
    office.world.impair(sick.id, check)
    assert (_seen(office, sick.id).checks, _seen(office, well.id).checks) == ("impaired", "ok")
    office.world.unimpair(sick.id)
    assert _seen(office, sick.id).checks == "ok"


def test_check_that_is_not_known_yet_is_not_impaired(office: Office) -> None:
    """A young instance initializes: it is not failing."""
    young = office.candidates()[0]
    office.world.impair(young.id, "instance", "initializing")
    office.world.impair(young.id, "system", "initializing")
    assert _seen(office, young.id).checks == "initializing"


@pytest.mark.parametrize(
    ("system", "instance", "volumes", "summed_up"),
    [
        ("ok", "ok", "ok", "ok"),
        ("impaired", "ok", "ok", "impaired"),
        ("ok", "impaired", "ok", "impaired"),
        ("ok", "ok", "impaired", "impaired"),
        ("initializing", "insufficient-data", "initializing", "insufficient-data"),
    ],
)
def test_checks_are_impaired_when_any_is(system: str, instance: str, volumes: str, summed_up: str) -> None:
    """System, instance and attached volumes: a router that cannot write its disk is no router."""
    found = {"SystemStatus": system, "InstanceStatus": instance, "AttachedEbsStatus": volumes}
    raw = {"InstanceId": "i-1"} | {key: {"Status": status} for key, status in found.items()}
    assert statuses([raw]).of("i-1").checks == summed_up


def test_instances_on_their_way_are_seen_in_their_states(office: Office) -> None:
    """Pending, running, stopping, stopped, shutting-down; a terminated one is in no VPC any more."""
    office.world.dwell = None
    instance_id = _launch(office)
    states = [_state(office, instance_id)]
    for act in (None, "stop_instances", None, "terminate_instances", None):
        if act:
            getattr(office.ec2, act)(InstanceIds=[instance_id])
        else:
            office.world.settle()
        states.append(_state(office, instance_id))
    assert states == [
        ("pending", "unknown"),
        ("running", "ok"),
        ("stopping", "unknown"),
        ("stopped", "unknown"),
        ("shutting-down", "unknown"),
        None,
    ]


def _state(office: Office, instance_id: str) -> tuple[str, str] | None:
    found = (i for i in office.observe().instances if i.id == instance_id)
    return next(((i.state, i.checks) for i in found), None)


def test_instance_elsewhere_is_not_seen(office: Office) -> None:
    """Another VPC's instance is nobody's candidate, whatever its tags."""
    vpc_id = office.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet_id = office.ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "mooring:router", "Value": "office"}]}]
    elsewhere = _launch(office, SubnetId=subnet_id, TagSpecifications=tags)
    assert elsewhere not in {i.id for i in office.observe().instances}


def test_instance_has_its_tags_launch_time_and_public_address(office: Office) -> None:
    """What an election and advice lean on."""
    candidate = office.candidates()[0]
    assert candidate.tags["mooring:router"] == "office"
    assert datetime.now(UTC) - candidate.launched_at < timedelta(minutes=10)
    assert candidate.public_address
    assert _seen(office, _launch(office)).public_address is None


# -- addresses, rules, options ---------------------------------------------------------------------------


def test_every_elastic_ip_of_the_region_is_seen(office: Office) -> None:
    """A foreign one may sit where ours belongs; one that is nowhere has neither interface nor address."""
    router = office.candidates()[0].interfaces[0]
    foreign = office.ec2.allocate_address(Domain="vpc")
    office.ec2.associate_address(AllocationId=foreign["AllocationId"], NetworkInterfaceId=router.id)
    ours, theirs = office.topology.elastic_ip, foreign["AllocationId"]
    found = {address.allocation_id: address for address in office.observe().elastic_ips}
    assert found[ours].tags["mooring:topology"] == "office"
    assert replace(found.pop(ours), tags={}) == ElasticIp(ours, office.outputs["ElasticIpAddress"])
    assert found == {theirs: ElasticIp(theirs, foreign["PublicIp"], router.id, router.addresses[0])}


def test_group_is_seen_by_a_rule_or_by_an_interface_and_never_by_another_call(office: Office) -> None:
    """EC2 lists no rules of a group that does not exist, and none of one that has none; interfaces tell them apart."""
    group_id = str(office.topology.security_group)
    alone = office.ec2.create_security_group(
        GroupName="alone", Description="on no interface", VpcId=office.topology.vpc_id
    )["GroupId"]

    def seen_as(declared: str) -> bool:
        return office.edge.network.observe(replace(office.topology, security_group=declared)).group_seen

    assert (seen_as(group_id), seen_as(alone), seen_as("sg-12345678")) == (True, True, False)
    for one in (group_id, alone):
        for rule in office.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [one]}])[
            "SecurityGroupRules"
        ]:
            way = "egress" if rule["IsEgress"] else "ingress"
            revoke = getattr(office.ec2, f"revoke_security_group_{way}")
            revoke(GroupId=one, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
    office.world.forget_calls()
    assert (seen_as(group_id), seen_as(alone)) == (True, False)
    assert "DescribeSecurityGroups" not in {call.operation for call in office.world.calls}


def test_rules_of_every_kind_are_read(office: Office) -> None:
    """Inbound rules only, of the declared group only; -1 means all ports."""
    group_id = str(office.topology.security_group)
    kept = len(office.observe().ingress)
    prefixes = office.ec2.create_managed_prefix_list(
        PrefixListName="offices", MaxEntries=10, AddressFamily="IPv4"
    )["PrefixList"]["PrefixListId"]
    office.ec2.authorize_security_group_ingress(
        GroupId=group_id,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
            {"IpProtocol": "udp", "FromPort": 1, "ToPort": 9, "PrefixListIds": [{"PrefixListId": prefixes}]},
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]},
        ],
    )
    rules = office.observe().ingress
    assert len(rules) == kept + 3
    assert {(r.protocol, r.from_port, r.to_port, r.source) for r in rules} >= {
        ("tcp", 22, 22, "0.0.0.0/0"),
        ("tcp", 22, 22, "::/0"),
        ("udp", 1, 9, prefixes),
        ("-1", -1, -1, "a security group"),
        ("-1", -1, -1, "10.100.100.0/24"),
    }
    listed = office.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group_id]}])
    inbound = {r["SecurityGroupRuleId"] for r in listed["SecurityGroupRules"] if not r["IsEgress"]}
    assert {r.id for r in rules} == inbound


def test_dhcp_options_are_the_vpcs(office: Office) -> None:
    """As associated, whether they are the declared ones or not."""
    assert office.observe().dhcp_options == office.outputs["DhcpOptionsId"]
    domain = {"Key": "domain-name", "Values": ["elsewhere.example"]}
    other = office.ec2.create_dhcp_options(DhcpConfigurations=[domain])["DhcpOptions"]["DhcpOptionsId"]
    office.ec2.associate_dhcp_options(VpcId=office.vpc_id, DhcpOptionsId=other)
    assert office.observe().dhcp_options == other
