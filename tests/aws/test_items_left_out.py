"""What a look makes of EC2's answers when any member that the models do not require is absent, new, or nonsense."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.aws.ec2.network import Ec2Network
from chalicelib.aws.wire import Answer as Sent
from chalicelib.core.errors import ObservationError
from tests.aws.answers import AT, at, garbled, grown, having, paths, short, without
from tests.aws.looks import DECLARED, answers, look, seen_whole
from tests.aws.office import ESSENTIAL, OTHERS, READS
from tests.aws.queries import Canned, asking, xml
from tests.builders import an_id
from tests.fakes import InPlace

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Observation
    from tests.aws.answers import Answer

UNREADABLE = {
    "DescribeRouteTables": {
        "RouteTables.RouteTableId",
        "RouteTables.Routes",
        "RouteTables.Associations",
        "RouteTables.Associations.RouteTableAssociationId",
    },
    "DescribeInstances": {
        "Reservations.Instances.InstanceId",
        "Reservations.Instances.LaunchTime",
        "Reservations.Instances.State",
        "Reservations.Instances.State.Name",
        "Reservations.Instances.NetworkInterfaces",
        "Reservations.Instances.NetworkInterfaces.NetworkInterfaceId",
        "Reservations.Instances.NetworkInterfaces.SubnetId",
    },
    "DescribeAddresses": {"Addresses.AllocationId", "Addresses.PublicIp"},
    "DescribeSubnets": {"Subnets.SubnetId", "Subnets.CidrBlock"},
    "DescribeSecurityGroupRules": {
        "SecurityGroupRules.SecurityGroupRuleId",
        "SecurityGroupRules.IsEgress",
        "SecurityGroupRules.IpProtocol",
        "SecurityGroupRules.FromPort",
        "SecurityGroupRules.ToPort",
    },
}
"""Members without which an item, or a part of it, is skipped by name."""

ABSENT = {
    "DescribeRouteTables": {
        "RouteTables.Associations.SubnetId",
        "RouteTables.Routes.DestinationCidrBlock",
        "RouteTables.Routes.GatewayId",
        "RouteTables.Routes.State",
        "RouteTables.Tags",
        "RouteTables.Tags.Key",
        "RouteTables.Tags.Value",
    },
    "DescribeInstances": {
        "Reservations.Instances.NetworkInterfaces.SourceDestCheck",
        "Reservations.Instances.PublicIpAddress",
        "Reservations.Instances.Tags",
        "Reservations.Instances.Tags.Key",
        "Reservations.Instances.Tags.Value",
    },
    "DescribeAddresses": {
        "Addresses.NetworkInterfaceId",
        "Addresses.PrivateIpAddress",
        "Addresses.Tags",
        "Addresses.Tags.Key",
        "Addresses.Tags.Value",
    },
    "DescribeInstanceStatus": {
        "InstanceStatuses.InstanceId",
        "InstanceStatuses.Events",
        "InstanceStatuses.Events.Code",
        "InstanceStatuses.Events.NotBefore",
    },
    "DescribeSecurityGroupRules": {"SecurityGroupRules.CidrIpv4"},
}
"""Members without which an item is there and something of it is absent, has a default, or is read from another member."""

UNKNOWN = {
    "DescribeRouteTables": {"RouteTables"},
    "DescribeInstances": {"Reservations", "Reservations.Instances"},
    "DescribeAddresses": {"Addresses"},
    "DescribeInstanceStatus": {"InstanceStatuses"},
    "DescribeSubnets": {"Subnets"},
    "DescribeSecurityGroupRules": {"SecurityGroupRules"},
    "DescribeVpcs": {"Vpcs", "Vpcs.DhcpOptionsId"},
}
"""Members without which nothing is known of what a call was to show. None other makes any difference."""


def _others(seen: Observation) -> dict[str, object]:
    """Return the second item of every kind, as far as it is seen."""
    kinds = {
        "tables": seen.tables,
        "instances": seen.instances,
        "addresses": seen.elastic_ips,
        "rules": seen.ingress,
        "subnets": seen.subnets or (),
    }
    return {kind: items[-1] for kind, items in kinds.items() if items}


def _outcome(**changed: Answer) -> Observation | ObservationError:
    try:
        return look(**changed)
    except ObservationError as error:
        return error


# -- members that are left out ---------------------------------------------------------------------------


@pytest.mark.parametrize("operation", READS)
def test_member_that_is_left_out_costs_no_more_than_it_must(operation: str) -> None:
    """Whichever of the model's members is absent, no exception leaves the look but that nothing can be known of it."""
    unreadable, absent, unknown = set(), set(), set()
    for path in paths(answers()[operation]):
        seen = _outcome(**{operation: without(answers()[operation], path)})
        if isinstance(seen, ObservationError):
            assert seen.message.startswith(f"ec2:{operation} failed: MalformedAnswer: it ")
            unknown.add(short(path))
            continue
        if seen.unread:
            assert set(seen.unread) == {f"ec2:{operation}"}
            unknown.add(short(path))
            continue
        if seen.skipped:
            unreadable.add(short(path))
            (skipped,) = seen.skipped
            assert skipped.why
            assert skipped.tags == {"Key-1": "Value-1"}
        elif seen != seen_whole():
            absent.add(short(path))
        assert _others(seen) == _others(seen_whole())
    assert unreadable == UNREADABLE.get(operation, set())
    assert absent == ABSENT.get(operation, set())
    assert unknown == UNKNOWN[operation]


def test_calls_that_no_decision_can_do_without_are_errors_when_they_list_nothing() -> None:
    """An answer without its list is no network without anything in it; an answer that is empty is none."""
    for operation in ESSENTIAL:
        with pytest.raises(ObservationError, match=f"ec2:{operation} failed: MalformedAnswer"):
            look(**{operation: {}})
    for operation in OTHERS:
        assert set(look(**{operation: {}}).unread) == {f"ec2:{operation}"}


def test_member_that_no_model_has_makes_no_difference() -> None:
    """AWS adds members whenever it likes, at any depth."""
    assert look(**{operation: grown(answer) for operation, answer in answers().items()}) == seen_whole()  # type: ignore[arg-type] # a dict stays one


@pytest.mark.parametrize("operation", READS)
def test_word_that_no_model_has_is_passed_on_or_ignored(operation: str) -> None:
    """A text that is new, such as a state: the look is made, and the other items are as they were."""
    for path in paths(answers()[operation]):
        if isinstance(path[-1], str) and isinstance(at(answers()[operation], path), str):
            seen = look(**{operation: having(answers()[operation], path, "something-new")})
            assert _others(seen) == _others(seen_whole())


# -- nonsense --------------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.just(AT)
    | st.just(AT.replace(tzinfo=None)),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_nonsense_anywhere_leaves_no_exception(data: st.DataObject) -> None:
    """Whatever stands in any member's place, the look is made, or says which call it could not understand."""
    changed = {}
    for operation in data.draw(st.sets(st.sampled_from(READS), min_size=1, max_size=3)):
        answer = answers()[operation]
        for path in data.draw(st.lists(st.sampled_from(list(paths(answer))), min_size=1, max_size=3)):
            with contextlib.suppress(KeyError, IndexError, TypeError):  # what was above it is nonsense by now
                answer = having(answer, path, data.draw(JUNK))
        changed[operation] = answer
    seen = _outcome(**changed)
    if isinstance(seen, ObservationError):
        named = [f"ec2:{operation} failed: " for operation in changed]
        assert any(said in seen.message for said in [*named, f"{DECLARED.vpc_id} is not in this account"])


XML = st.sampled_from(
    [
        b"",
        b"<html><body>Sign in to this network</body></html>",
        b"<html><p>not even closed</html>",
        b"\xff\xfe",
        b'{"message": "of another protocol"}',
        b"<R><reservationSet/><routeTableSet/><addressesSet/></R>",
        b"<R><reservationSet><item><instancesSet><item><launchTime>soon</launchTime></item></instancesSet></item></reservationSet></R>",
        b"<R><reservationSet><item><instancesSet><item><amiLaunchIndex>one</amiLaunchIndex></item></instancesSet></item></reservationSet></R>",
        b"<R><reservationSet><item><instancesSet><item><launchTime>99999999999999999999</launchTime></item></instancesSet></item></reservationSet></R>",
    ]
) | st.binary(max_size=40)


@settings(max_examples=40, deadline=None)
@given(XML)
def test_answer_that_is_none_of_awss_is_an_error_that_names_the_calls(body: bytes) -> None:
    """A proxy's page, a body of another protocol, numbers that are none: with a success's status."""
    client, bodies = garbled("ec2")
    bodies.append(body)
    network = Ec2Network(client, InPlace())
    with pytest.raises(ObservationError):
        network.observe(DECLARED)
    with contextlib.suppress(ObservationError):
        assert network.instance(an_id("i", 1)) is None


def test_pages_without_end_end_with_the_time_of_the_look() -> None:
    """A listing that always has one more page is no listing, and its thread ends."""
    tokens = itertools.count()

    def endless(params: dict[str, str]) -> Sent:
        answer = answers()[params["Action"]]
        more = {"NextToken": str(next(tokens))} if params["Action"] == "DescribeRouteTables" else {}
        return Sent(200, {}, xml(params["Action"], answer | more))

    network = Ec2Network(asking(Canned(endless)), InPlace())
    with pytest.raises(
        ObservationError, match="ec2:DescribeRouteTables failed: TimeoutError: no answer in time"
    ):
        network.observe(DECLARED, seconds=0.2)


def test_page_that_names_itself_as_the_next_is_an_error() -> None:
    """It is no end of the listing."""
    again = answers()["DescribeInstances"] | {"NextToken": "again"}
    with pytest.raises(ObservationError, match="ec2:DescribeInstances failed: PaginationError"):
        look(DescribeInstances=again)
    status = answers()["DescribeInstanceStatus"] | {"NextToken": "again"}
    assert "PaginationError" in look(DescribeInstanceStatus=status).unread["ec2:DescribeInstanceStatus"]
