"""What a look makes of single members of EC2's answers: which have a default, and without which an item is unreadable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.aws.answers import AT, at
from tests.aws.looks import ADDRESS, ASSOCIATION, INSTANCE, INTERFACE, STATUS, TABLE, answers, first, look
from tests.builders import NOON, an_id

if TYPE_CHECKING:
    from tests.aws.answers import Answer


@pytest.mark.parametrize("member", ["State", "LaunchTime", "NetworkInterfaces", "InstanceId"])
def test_instance_without_what_an_election_needs_is_told_and_not_guessed(member: str) -> None:
    """One that does not say its state is not taken for alive; its tags say whose it is."""
    seen = first("DescribeInstances", INSTANCE, member)
    assert [i.id for i in seen.instances] == [an_id("i", 2)]
    (skipped,) = seen.skipped
    assert skipped.kind == "instance"
    assert skipped.id == ("" if member == "InstanceId" else an_id("i", 1))
    assert skipped.tags == {"Key-1": "Value-1"}


def test_terminated_instance_needs_no_interfaces() -> None:
    """It has none any more."""
    seen = first("DescribeInstances", INSTANCE, "NetworkInterfaces", State={"Name": "terminated"})
    assert (seen.instances[0].state, seen.instances[0].interfaces) == ("terminated", ())


def test_source_dest_check_that_is_not_told_counts_as_on() -> None:
    """It must not look off: a route would be pointed at what forwards nothing."""
    assert (
        first("DescribeInstances", INTERFACE, "SourceDestCheck").instances[0].interfaces[0].source_dest_check
    )


def test_interface_without_ipv4_addresses_has_none() -> None:
    """One that has IPv6 only: who decides sees that it can hold no pin."""
    seen = first("DescribeInstances", INTERFACE, "PrivateIpAddresses", "PrivateIpAddress")
    assert seen.instances[0].interfaces[0].addresses == ()
    seen = first("DescribeInstances", INTERFACE, "PrivateIpAddresses", PrivateIpAddress="fd00::1")
    assert seen.instances[0].interfaces[0].addresses == ()


def test_primary_address_is_known_by_either_member() -> None:
    """By `Primary`, or by being the interface's own."""
    listed = [{"PrivateIpAddress": "10.0.0.7"}, {"PrivateIpAddress": "10.0.0.1"}, {"Primary": True}]
    seen = first("DescribeInstances", INTERFACE, PrivateIpAddresses=listed)
    assert seen.instances[0].interfaces[0].addresses == ("10.0.0.1", "10.0.0.7")


def test_no_interface_is_taken_for_a_primary_one_that_cannot_be_read() -> None:
    """The next one would look like the first."""
    answer = answers()["DescribeInstances"]
    primary = at(answer, INTERFACE)
    second = primary | {"NetworkInterfaceId": "eni-second", "Attachment": {"DeviceIndex": 1}}
    for unreadable, left in ((0, []), (1, [an_id("eni", 1)])):
        both = [primary, second]
        both[unreadable] = {k: v for k, v in both[unreadable].items() if k != "NetworkInterfaceId"}
        seen = first("DescribeInstances", INSTANCE, NetworkInterfaces=both)
        assert [i.id for i in seen.instances[0].interfaces] == left
        assert [(s.kind, s.id) for s in seen.skipped] == [("network-interface", an_id("i", 1))]


@pytest.mark.parametrize(
    ("indices", "order"),
    [
        ((1, 0), "ba"),
        ((None, 0), "ba"),
        ((1, None), "ba"),
        ((None, 1), "ab"),
        ((None, None), None),
    ],
)
def test_interface_whose_place_is_not_told_is_the_primary_one_only_if_no_other_is(
    indices: tuple[int | None, int | None], order: str | None
) -> None:
    """Of two that do not tell, either may be: then nothing is known of the instance."""
    primary = at(answers()["DescribeInstances"], INTERFACE)
    attached = [{} if index is None else {"DeviceIndex": index} for index in indices]
    both = [
        primary | {"NetworkInterfaceId": name, "Attachment": attachment}
        for name, attachment in zip("ab", attached, strict=True)
    ]
    seen = first("DescribeInstances", INSTANCE, NetworkInterfaces=both)
    if order is None:
        assert [(s.kind, s.id) for s in seen.skipped] == [("instance", an_id("i", 1))]
    else:
        assert "".join(i.id for i in seen.instances[0].interfaces) == order


@pytest.mark.parametrize(
    ("numbers", "read"),
    [
        ({"CustomerOwnedIp": "198.51.100.4"}, "198.51.100.4"),
        ({"CarrierIp": "198.51.100.5"}, "198.51.100.5"),
        ({"PublicIp": "203.0.113.6", "CarrierIp": "198.51.100.5"}, "203.0.113.6"),
    ],
)
def test_address_of_an_outpost_or_a_wavelength_zone_has_another_number(
    numbers: dict[str, str], read: str
) -> None:
    """An Outposts address has its customer-owned number only, a carrier's its carrier's. DescribeAddresses, Address."""
    seen = first("DescribeAddresses", ADDRESS, "PublicIp", "CarrierIp", "CustomerOwnedIp", **numbers)
    assert seen.elastic_ips[0].public_address == read
    assert not seen.skipped


@pytest.mark.parametrize(
    "state", ["associating", "disassociating", "disassociated", "failed", "something-new"]
)
def test_association_that_is_not_in_force_is_told_as_such(state: str) -> None:
    """Only `associated` counts. RouteTableAssociationState."""
    seen = first("DescribeRouteTables", ASSOCIATION, AssociationState={"State": state})
    assert seen.tables[0].associations == {}
    assert seen.tables[0].unsettled == {an_id("subnet", 1): state}
    settled = first("DescribeRouteTables", ASSOCIATION, "AssociationState")
    assert (settled.tables[0].unsettled, set(settled.tables[0].associations)) == ({}, {an_id("subnet", 1)})


@pytest.mark.parametrize(
    ("association", "main"),
    [
        ({"Main": True, "AssociationState": {"State": "associated"}}, True),
        ({"RouteTableAssociationId": "rtbassoc-1"}, True),
        ({"Main": False, "GatewayId": "igw-1"}, False),
        ({"GatewayId": "igw-1"}, False),
        ({"PublicIpv4Pool": "pool-1"}, False),
        ({"SubnetId": "subnet-1", "RouteTableAssociationId": "rtbassoc-1"}, False),
    ],
)
def test_main_table_is_the_one_associated_with_nothing_by_name(
    association: dict[str, object],
    main: bool,  # noqa: FBT001 - a table's column
) -> None:
    """`Main` says so; where it is absent, an association that names nothing does: the main table is never written."""
    seen = first("DescribeRouteTables", TABLE, Associations=[association])
    assert seen.tables[0].main is main
    assert not seen.skipped


def test_association_with_something_new_is_told() -> None:
    """One that is neither of the main table nor with a subnet, a gateway or a pool."""
    seen = first("DescribeRouteTables", TABLE, Associations=[{"Main": False, "SomethingNewId": "new-1"}])
    assert [(s.kind, s.id) for s in seen.skipped] == [("route-table-association", an_id("rtb", 1))]


@pytest.mark.parametrize("destination", [{}, {"DestinationCidrBlock": "10.0.0.0/99"}, {"Destination": "new"}])
def test_route_to_no_known_destination_is_told_and_its_table_is_seen(destination: dict[str, str]) -> None:
    """The other routes of the table are what they were."""
    known = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"}
    seen = first("DescribeRouteTables", TABLE, Routes=[destination | {"GatewayId": "igw-1"}, known])
    assert [r.destination for r in seen.tables[0].routes] == ["10.0.0.0/16"]
    assert [(s.kind, s.id) for s in seen.skipped] == [("route", an_id("rtb", 1))]


def test_subnet_of_ipv6_only_is_none_of_those_with_ipv4() -> None:
    """It has nothing that Mooring routes. Subnet, Ipv6Native."""
    seen = first("DescribeSubnets", ("Subnets", 0), "CidrBlock", Ipv6Native=True)
    assert [s.id for s in seen.subnets or ()] == ["SubnetId-2"]
    assert not seen.skipped


def test_outbound_rule_is_none_of_the_inbound_ones() -> None:
    """Whatever else it lacks: revoking is for inbound ones."""
    seen = first("DescribeSecurityGroupRules", ("SecurityGroupRules", 0), "FromPort", IsEgress=True)
    assert [r.id for r in seen.ingress] == ["SecurityGroupRuleId-2"]
    assert not seen.skipped


# -- statuses --------------------------------------------------------------------------------------------


def test_status_of_nobody_leaves_it_open_who_else_is_listed() -> None:
    """It may be anybody's: whoever else is not listed may be running."""
    seen = first("DescribeInstanceStatus", STATUS, "InstanceId")
    assert [(i.checks, i.listed) for i in seen.instances] == [("unknown", None), ("impaired", True)]


def test_instance_that_is_listed_as_not_running_is_not_running() -> None:
    """Only running ones are asked for; should AWS list others all the same, their state is theirs."""
    seen = first("DescribeInstanceStatus", STATUS, InstanceState={"Name": "stopped"})
    assert [i.listed for i in seen.instances] == [False, True]


def test_impaired_since_is_the_earliest_failing_checks() -> None:
    """Of those checks that fail, and of their details those that do; a time without its zone is none."""
    early, late = AT.replace(hour=1), AT.replace(hour=2)

    def check(status: str, *details: tuple[str, object]) -> Answer:
        told = [{"Name": "reachability", "Status": one, "ImpairedSince": since} for one, since in details]
        return {"Status": status, "Details": told}

    def since(**checks: Answer) -> object:
        good = {key: check("ok") for key in ("SystemStatus", "InstanceStatus", "AttachedEbsStatus")}
        return first("DescribeInstanceStatus", STATUS, **good | checks).instances[0].impaired_since

    assert since() is None
    assert since(SystemStatus=check("ok", ("failed", early))) is None
    assert since(SystemStatus=check("impaired", ("passed", early), ("failed", late))) == late
    failing = {"InstanceStatus": check("impaired", ("failed", late))}
    assert since(**failing, AttachedEbsStatus=check("impaired", ("failed", early))) == early
    assert since(**failing, SystemStatus=check("impaired", ("failed", "2026-11-23T00:00:00"))) == late


@pytest.mark.parametrize(
    ("description", "over"),
    [
        ("The instance is running on degraded hardware", False),
        ("[Completed] The instance is running on degraded hardware", True),
        ("[Canceled] Scheduled reboot", True),
        (None, False),
    ],
)
def test_event_that_is_over_is_none(description: str | None, over: bool) -> None:  # noqa: FBT001 - a table's column
    """It stays listed for a week, and its description says so. InstanceStatusEvent."""
    event = {"Code": "instance-retirement", "NotBefore": NOON}
    said = {} if description is None else {"Description": description}
    seen = first("DescribeInstanceStatus", STATUS, Events=[event | said])
    assert [e.code for e in seen.instances[0].events] == ([] if over else ["instance-retirement"])


def test_group_whose_rules_could_not_be_read_is_not_taken_to_be_gone() -> None:
    """What could not be looked for is not missing; read, and neither a rule nor an interface shows it: it is."""
    instance = at(answers()["DescribeInstances"], INSTANCE)
    interface = {**at(answers()["DescribeInstances"], INTERFACE), "Groups": []}
    alone = {"Instances": [instance | {"NetworkInterfaces": [interface]}]}
    bare = {"Reservations": [alone]}
    assert not look(DescribeInstances=bare, DescribeSecurityGroupRules={"SecurityGroupRules": []}).group_seen
    assert look(DescribeInstances=bare, DescribeSecurityGroupRules={}).group_seen
