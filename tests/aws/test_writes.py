"""What is written to EC2: one call for each change, the most valuable first, patiently and never twice in vain."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from chalicelib.aws.ec2.writes import ATTEMPTS, BUCKET, PARALLEL
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    CreateRoute,
    DisableSourceDestCheck,
    NetworkChange,
    ReplaceRoute,
    RevokeIngress,
)
from chalicelib.core.network.observation import Route
from tests.aws.office import WHY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.core.network.observation import Interface
    from chalicelib.core.network.report import Failure
    from tests.aws.office import Office
    from tests.fake_aws import Call

DEFAULT, LAN = "0.0.0.0/0", "10.100.30.0/24"


def _router(office: Office) -> Interface:
    return office.candidates()[0].interfaces[0]


def _replacements(office: Office, count: int, *destinations: str) -> list[ReplaceRoute]:
    """Add tables whose routes must be moved to the router, and give the changes that do, defaults first."""
    tables, eni = office.add_tables(count, *destinations), _router(office).id
    office.forget()
    return [ReplaceRoute(t, d, eni, office.gateway, WHY) for d in destinations for t in tables]


def _codes(failures: Sequence[Failure | None]) -> list[str | None]:
    return [failure.code if failure else None for failure in failures]


def _errors(calls: Sequence[Call]) -> list[tuple[str, str | None]]:
    return [(c.operation, c.error) for c in calls]


def _route(office: Office, table_id: str, destination: str = DEFAULT) -> Route | None:
    return office.table(table_id).static(destination)


# -- the calls themselves --------------------------------------------------------------------------------


def _each(office: Office) -> dict[str, tuple[NetworkChange, str, dict[str, str]]]:
    """Return a change of each kind, and the call that makes it."""
    router, (table_id, other) = _router(office), office.add_tables(2, LAN)
    eni, address, subnet_id = router.id, router.addresses[0], office.subnet("PrivateSubnetsA")
    association = office.table(office.private_table).associations[subnet_id]
    made = office.ec2.create_subnet(VpcId=office.vpc_id, CidrBlock="10.0.77.0/24")["Subnet"]["SubnetId"]
    group, topology = str(office.topology.security_group), office.topology
    options = office.outputs["DhcpOptionsId"]
    (rule,) = (r.id for r in office.observe().ingress if r.from_port == 22)
    return {
        "check": (
            DisableSourceDestCheck(eni, WHY),
            "ModifyNetworkInterfaceAttribute",
            {"NetworkInterfaceId": eni, "SourceDestCheck.Value": "false"},
        ),
        "create": (
            CreateRoute(table_id, DEFAULT, eni, WHY),
            "CreateRoute",
            {"RouteTableId": table_id, "DestinationCidrBlock": DEFAULT, "NetworkInterfaceId": eni},
        ),
        "create to a gateway": (
            CreateRoute(other, DEFAULT, office.gateway, WHY),
            "CreateRoute",
            {"RouteTableId": other, "DestinationCidrBlock": DEFAULT, "GatewayId": office.gateway},
        ),
        "replace": (
            ReplaceRoute(table_id, LAN, eni, office.gateway, WHY),
            "ReplaceRoute",
            {"RouteTableId": table_id, "DestinationCidrBlock": LAN, "NetworkInterfaceId": eni},
        ),
        "replace to a gateway": (
            ReplaceRoute(table_id, LAN, office.gateway, eni, WHY),
            "ReplaceRoute",
            {"RouteTableId": table_id, "DestinationCidrBlock": LAN, "GatewayId": office.gateway},
        ),
        "address": (
            AssociateAddress(topology.elastic_ip, eni, address, None, WHY),
            "AssociateAddress",
            {
                "AllocationId": topology.elastic_ip,
                "NetworkInterfaceId": eni,
                "PrivateIpAddress": address,
                "AllowReassociation": "true",
            },
        ),
        "move a subnet": (
            AssociateRouteTable(subnet_id, table_id, association, office.private_table, WHY),
            "ReplaceRouteTableAssociation",
            {"AssociationId": association, "RouteTableId": table_id},
        ),
        "give a subnet its table": (
            AssociateRouteTable(made, table_id, None, None, WHY),
            "AssociateRouteTable",
            {"SubnetId": made, "RouteTableId": table_id},
        ),
        "options": (
            AssociateDhcpOptions(office.vpc_id, options, None, WHY),
            "AssociateDhcpOptions",
            {"VpcId": office.vpc_id, "DhcpOptionsId": options},
        ),
        "rule": (
            RevokeIngress(group, rule, "tcp/22 from 0.0.0.0/0", WHY),
            "RevokeSecurityGroupIngress",
            {
                "GroupId": group,
                "IpPermissions.1.IpProtocol": "tcp",
                "IpPermissions.1.FromPort": "22",
                "IpPermissions.1.ToPort": "22",
                "IpPermissions.1.IpRanges.1.CidrIp": "0.0.0.0/0",
            },
        ),
    }


def test_change_is_exactly_one_call_with_exactly_these_parameters(office: Office) -> None:
    """One write for each kind of change, no reading before or after it, and nothing asked for on the side."""
    for name, (change, operation, params) in _each(office).items():
        office.forget()
        assert office.apply(change) == [None], name
        (call,) = office.asked()
        asked = {key: value for key, value in call.params.items() if key != "Version"}
        assert (name, call.operation, call.write, asked) == (name, operation, True, params)


def test_many_changes_are_one_call_each(office: Office) -> None:
    """More changes than calls in flight: each is made once, and the answers keep the changes' places."""
    changes = _replacements(office, 2 * PARALLEL, LAN)
    office.world.deny("ReplaceRoute", when=lambda asked: asked["RouteTableId"] == changes[5].table_id)
    failures = office.apply(*changes)
    assert [n for n, failure in enumerate(failures) if failure] == [5]
    assert Counter(c.params["RouteTableId"] for c in office.asked()) == Counter(c.table_id for c in changes)


# -- throttled -------------------------------------------------------------------------------------------


def test_throttled_api_is_paced_and_holds_up_no_other(office: Office) -> None:
    """Each API has its own bucket: one that throttles is asked again, in the plan's order; the others run on."""
    replaced = _replacements(office, 4, LAN)
    router = _router(office)
    others: list[NetworkChange] = [
        DisableSourceDestCheck(router.id, WHY),
        AssociateAddress(office.topology.elastic_ip, router.id, router.addresses[0], None, WHY),
        AssociateDhcpOptions(office.vpc_id, office.outputs["DhcpOptionsId"], None, WHY),
        *(CreateRoute(t, LAN, router.id, WHY) for t in office.add_tables(PARALLEL + 8)),
    ]
    office.world.throttle("ReplaceRoute", times=9)
    office.forget()
    assert office.apply(*replaced, *others) == [None] * (len(replaced) + len(others))
    asked = Counter(c.operation for c in office.asked())
    assert (asked["ReplaceRoute"], asked.total()) == (4 + 9, 4 + 9 + len(others))
    done = [c for c in office.asked() if c.error is None]
    assert "ReplaceRoute" not in {c.operation for c in done[: len(others)]}
    assert [c.params["RouteTableId"] for c in done[len(others) :]] == [c.table_id for c in replaced]


def test_paced_api_is_not_hammered(office: Office) -> None:
    """What is throttled together comes back one by one: refusals do not multiply."""
    changes = _replacements(office, 6, LAN)
    office.world.buckets(capacity=2, refill=5)
    assert office.apply(*changes) == [None] * 6
    refused = [c for c in office.asked() if c.error]
    assert len(refused) <= 2 * len(changes)


def test_throttled_tries_are_not_counted(office: Office) -> None:
    """Only time ends the patience with a throttled API: what AWS fails afterwards still has its tries."""
    (change,) = _replacements(office, 1, LAN)
    office.world.throttle("ReplaceRoute", times=ATTEMPTS)
    office.world.fail("ReplaceRoute", times=ATTEMPTS - 1)
    assert office.apply(change) == [None]
    expected = ["RequestLimitExceeded"] * ATTEMPTS + ["InternalError"] * (ATTEMPTS - 1) + [None]
    assert [c.error for c in office.asked()] == expected


def test_private_defaults_are_moved_before_any_lesser_route(office: Office) -> None:
    """The last tokens of a bucket are the private subnets' way out, however slowly their calls arrive."""
    count = BUCKET // 2 + 1
    changes = _replacements(office, count, DEFAULT, LAN)
    office.world.buckets(capacity=BUCKET - 2, refill=10)
    office.world.delay(0.05, "ReplaceRoute").when = lambda asked: asked["DestinationCidrBlock"] == DEFAULT
    assert office.apply(*changes) == [None] * (2 * count)
    moved = [c.params["DestinationCidrBlock"] for c in office.asked() if c.error is None]
    assert moved == [DEFAULT] * count + [LAN] * count


def test_lesser_routes_do_not_wait_for_a_default_that_failed(office: Office) -> None:
    """A private default that AWS refuses has had its turn."""
    count = BUCKET // 2 + 1
    changes = _replacements(office, count, DEFAULT, LAN)
    office.world.deny("ReplaceRoute", when=lambda asked: asked["DestinationCidrBlock"] == DEFAULT)
    failures = office.apply(*changes)
    assert _codes(failures) == ["UnauthorizedOperation"] * count + [None] * count


def test_few_changes_wait_for_no_other(office: Office) -> None:
    """What a full bucket holds goes out together: a slow default route keeps no office route waiting."""
    changes = _replacements(office, 2, DEFAULT, LAN)
    office.world.delay(2, "ReplaceRoute").when = lambda asked: asked["DestinationCidrBlock"] == DEFAULT
    assert office.apply(*changes) == [None] * 4
    assert [c.params["DestinationCidrBlock"] for c in office.asked()] == [LAN] * 2 + [DEFAULT] * 2


# -- failed, lost, denied --------------------------------------------------------------------------------


def test_write_that_aws_fails_is_tried_a_few_times(office: Office) -> None:
    """AWS's own fault is worth another try, and another; not more, and the client adds none of its own."""
    (change,) = _replacements(office, 1, LAN)
    office.world.fail("ReplaceRoute", code="InternalError", status=500, times=None)
    (failure,) = office.apply(change)
    assert failure
    assert (failure.code, failure.retryable) == ("InternalError", True)
    assert _errors(office.asked()) == [("ReplaceRoute", "InternalError")] * ATTEMPTS


def test_write_that_aws_fails_once_is_made(office: Office) -> None:
    """One try more is enough."""
    (change,) = _replacements(office, 1, LAN)
    office.world.fail("ReplaceRoute", code="Unavailable", status=503, times=1)
    assert office.apply(change) == [None]
    assert _errors(office.asked()) == [("ReplaceRoute", "Unavailable"), ("ReplaceRoute", None)]


def test_denied_write_is_not_tried_again_and_stops_no_other(office: Office) -> None:
    """No retry makes a permission; the failure carries AWS's code and sentence."""
    denied, good = _replacements(office, 2, LAN)
    office.world.deny("ReplaceRoute", when=lambda asked: asked["RouteTableId"] == denied.table_id)
    failure, none = office.apply(denied, good)
    assert failure
    assert (failure.code, failure.retryable) == ("UnauthorizedOperation", False)
    assert "ec2:ReplaceRoute" in failure.message
    assert none is None
    assert Counter(c.params["RouteTableId"] for c in office.asked()) == {denied.table_id: 1, good.table_id: 1}


def test_route_whose_reply_was_lost_is_there_once(office: Office) -> None:
    """The repeated CreateRoute meets its own route, and replaces it by itself."""
    change = CreateRoute(office.private_table, DEFAULT, _router(office).id, WHY)
    office.world.lose("CreateRoute")
    office.forget()
    assert office.apply(change) == [None]
    assert _errors(office.asked()) == [
        ("CreateRoute", "ConnectionClosed"),
        ("CreateRoute", "RouteAlreadyExists"),
        ("ReplaceRoute", None),
    ]
    routes = [r for r in office.table(office.private_table).routes if r.destination == DEFAULT]
    assert routes == [Route(DEFAULT, change.target)]


@pytest.mark.parametrize("name", ["check", "replace", "address", "give a subnet its table", "options"])
def test_write_whose_reply_was_lost_is_made_again(office: Office, name: str) -> None:
    """What may be said twice is said twice."""
    change, operation, _ = _each(office)[name]
    office.world.lose(operation)
    office.forget()
    assert office.apply(change) == [None]
    assert _errors(office.asked()) == [(operation, "ConnectionClosed"), (operation, None)]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("move a subnet", "InvalidAssociationID.NotFound"),
        ("rule", "InvalidPermission.NotFound"),
    ],
)
def test_write_whose_id_is_used_up_by_a_lost_reply_fails_and_is_made(
    office: Office, name: str, code: str
) -> None:
    """The second try finds the id gone: reported as failed, and the look that follows sees it done."""
    change, operation, _ = _each(office)[name]
    office.world.lose(operation)
    office.forget()
    assert _codes(office.apply(change)) == [code]
    assert len(office.asked()) == 2
    if isinstance(change, AssociateRouteTable):
        assert change.subnet_id in office.table(change.table_id).associations
    if isinstance(change, RevokeIngress):
        assert change.rule_id not in {r.id for r in office.observe().ingress}


# -- routes that came or went meanwhile ------------------------------------------------------------------


def test_route_that_came_meanwhile_is_replaced(office: Office) -> None:
    """Somebody created the missing route since the look: it is pointed at the router all the same."""
    (table_id,) = office.add_tables(1, DEFAULT)
    change = CreateRoute(table_id, DEFAULT, _router(office).id, WHY)
    office.forget()
    assert office.apply(change) == [None]
    assert _errors(office.asked()) == [("CreateRoute", "RouteAlreadyExists"), ("ReplaceRoute", None)]
    assert _route(office, table_id) == Route(DEFAULT, change.target)


def test_route_that_went_meanwhile_is_created(office: Office) -> None:
    """Somebody deleted the route since the look: AWS calls that InvalidParameterValue, and it is made anew."""
    change = ReplaceRoute(office.private_table, DEFAULT, _router(office).id, office.gateway, WHY)
    office.forget()
    assert office.apply(change) == [None]
    assert _errors(office.asked()) == [("ReplaceRoute", "InvalidParameterValue"), ("CreateRoute", None)]
    assert _route(office, office.private_table) == Route(DEFAULT, change.target)


def test_route_that_went_meanwhile_is_created_by_the_documented_code_too(office: Office) -> None:
    """AWS documents InvalidRoute.NotFound for it."""
    change = ReplaceRoute(office.private_table, DEFAULT, _router(office).id, office.gateway, WHY)
    office.world.fail("ReplaceRoute", code="InvalidRoute.NotFound", status=400)
    office.forget()
    assert office.apply(change) == [None]
    assert _errors(office.asked()) == [("ReplaceRoute", "InvalidRoute.NotFound"), ("CreateRoute", None)]


def test_wrong_parameter_is_no_missing_route(office: Office) -> None:
    """InvalidParameterValue has many reasons: an interface of another VPC makes no new route."""
    (change,) = _replacements(office, 1, LAN)
    vpc_id = office.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet_id = office.ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    eni = office.ec2.create_network_interface(SubnetId=subnet_id)["NetworkInterface"]["NetworkInterfaceId"]
    office.forget()
    (failure,) = office.apply(ReplaceRoute(change.table_id, LAN, eni, change.was, WHY))
    assert failure
    assert failure.code == "InvalidParameterValue"
    assert "belong to different networks" in failure.message
    assert _errors(office.asked()) == [("ReplaceRoute", "InvalidParameterValue")]
    assert _route(office, change.table_id, LAN) == Route(LAN, office.gateway)


def test_route_that_comes_and_goes_is_given_up(office: Office) -> None:
    """Who flaps gets a few tries, not the whole run."""
    change = CreateRoute(office.private_table, DEFAULT, _router(office).id, WHY)
    office.world.fail("CreateRoute", code="RouteAlreadyExists", status=400, times=None)
    office.forget()
    (failure,) = office.apply(change)
    assert failure
    assert failure.code in ("RouteAlreadyExists", "InvalidParameterValue")
    assert len(office.asked()) == ATTEMPTS


# -- time ------------------------------------------------------------------------------------------------


def test_what_time_does_not_allow_is_not_attempted(office: Office) -> None:
    """What is not in flight when time is up is never sent; it says OutOfTime, and the next run may mend it."""
    changes = _replacements(office, PARALLEL + 4, LAN)
    office.world.delay(1.0, "ReplaceRoute")
    failures = office.apply(*changes, seconds=0.5)
    late = [c for c, failure in zip(changes, failures, strict=True) if failure]
    assert len(late) >= 4
    assert set(_codes(failures)) == {None, "OutOfTime"}
    assert all(failure.retryable for failure in failures if failure)
    sent = [c.params["RouteTableId"] for c in office.asked()]
    assert sorted(sent) == sorted(c.table_id for c in changes if c not in late)


def test_write_that_is_throttled_to_the_end_says_so(office: Office) -> None:
    """Its last answer stands, not OutOfTime: the reader must learn that the account's bucket is empty."""
    (change,) = _replacements(office, 1, LAN)
    office.world.throttle("ReplaceRoute")
    (failure,) = office.apply(change, seconds=0.5)
    assert failure
    assert (failure.code, failure.retryable) == ("RequestLimitExceeded", True)
    assert _route(office, change.table_id, LAN) == Route(LAN, office.gateway)
