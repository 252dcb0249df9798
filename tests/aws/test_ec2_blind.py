"""A failed reading is never an emptier network: what every decision needs is there or the look says why, the rest is unknown."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from botocore.config import Config

from chalicelib.aws.ec2 import network as ec2
from chalicelib.aws.ec2.network import Ec2Network
from chalicelib.aws.threads import Threads
from chalicelib.aws.wire import Wire
from chalicelib.core.errors import ObservationError
from tests.aws.office import ESSENTIAL, OTHERS, deploy_office
from tests.aws.queries import asking
from tests.builders import an_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.bootstrap import Edge
    from chalicelib.core.network.observation import Observation
    from tests.aws.office import Office
    from tests.fake_aws import Client, World

essential = pytest.mark.parametrize("operation", ESSENTIAL)
other = pytest.mark.parametrize("operation", OTHERS)
HANGS = 1.5
"""Seconds that a call hangs which nobody waits for."""


@pytest.fixture(scope="module")
def standing(embedded: World, edge: Edge) -> Office:
    """The example network, once for this file: nothing here changes it."""
    embedded.reset()
    office = deploy_office(embedded, edge)
    embedded.impair(office.candidates()[0].id)
    return office


@pytest.fixture
def office(standing: Office) -> Iterator[Office]:
    """The example network, and an AWS that is well again afterwards."""
    yield standing
    standing.world.heal()
    standing.world.page_size = None


@pytest.fixture(scope="module")
def hasty(embedded: World) -> Client:
    """An EC2 client that waits a moment."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=0.25)
    return embedded.client("ec2", config, by="product")


def _through(client: Client) -> Ec2Network:
    return Ec2Network(asking(Wire(), client), Threads())


def _blind(office: Office, client: Client) -> ObservationError:
    """Look through a client, in vain."""
    with pytest.raises(ObservationError) as blind:
        _through(client).observe(office.topology)
    assert blind.value.retryable
    return blind.value


def _dim(office: Office, client: Client, operation: str) -> str:
    """Look through a client that one reading fails; give why, once everything else was seen as it is."""
    seen = _through(client).observe(office.topology)
    assert set(seen.unread) == {f"ec2:{operation}"}
    _is_whole_but(seen, office, operation)
    return seen.unread[f"ec2:{operation}"]


def _is_whole_but(seen: Observation, office: Office, operation: str) -> None:
    """Compare with a look at everything: what one reading shows is unknown, which is not absent."""
    unread, office.world.page_size = seen.unread, None
    office.world.heal()
    whole = replace(office.observe(), taken_at=seen.taken_at, unread=unread)
    assert whole.subnets
    assert whole.ingress
    assert whole.dhcp_options
    assert {(i.checks, i.listed) for i in whole.instances} == {("impaired", True), ("ok", True)}
    unknown = {
        "DescribeInstanceStatus": replace(
            whole,
            instances=tuple(
                replace(i, checks="unknown", listed=None, impaired_since=None) for i in whole.instances
            ),
        ),
        "DescribeSubnets": replace(whole, subnets=None),
        "DescribeSecurityGroupRules": replace(whole, ingress=()),
        "DescribeVpcs": replace(whole, dhcp_options=None),
    }
    assert seen == unknown[operation]
    assert seen.group_seen


# -- what every decision needs ---------------------------------------------------------------------------


@essential
def test_denied_reading_is_an_error_that_says_what_to_allow(
    office: Office, once: Client, operation: str
) -> None:
    """Nothing is returned; the error names the call, AWS's code and the way out."""
    office.world.deny(operation)
    error = _blind(office, once)
    assert error.message.startswith(f"ec2:{operation} failed: UnauthorizedOperation: You are not authorized")
    assert error.aws_code == "UnauthorizedOperation"
    assert error.hint == f"allow ec2:{operation} to the identity that runs Mooring"


@essential
def test_throttled_reading_is_an_error_that_says_so(office: Office, once: Client, operation: str) -> None:
    """A call that is throttled to the end of its retries: nothing is returned."""
    office.world.throttle(operation)
    error = _blind(office, once)
    assert error.message == f"ec2:{operation} failed: RequestLimitExceeded: Request limit exceeded."
    assert error.aws_code == "RequestLimitExceeded"
    assert "too many calls" in error.hint


@essential
def test_reading_that_times_out_is_an_error_that_names_it(
    office: Office, hasty: Client, operation: str
) -> None:
    """A call whose client gives up: there is no AWS code, so botocore's stands."""
    office.world.delay(0.5, operation)
    office.forget()
    error = _blind(office, hasty)
    assert f"ec2:{operation} failed: ReadTimeoutError: Read timeout on endpoint" in error.message
    assert error.aws_code == "ReadTimeoutError"
    office.asked(operation, count=1)  # the answer nobody waits for, before the next test begins


@essential
def test_reading_that_hangs_is_an_error_once_the_look_must_be_over(
    office: Office, once: Client, operation: str
) -> None:
    """A look ends within the seconds it has, whatever the client's own patience."""
    office.world.delay(HANGS, operation)
    office.forget()
    began = time.monotonic()
    with pytest.raises(ObservationError, match=f"ec2:{operation} failed: TimeoutError: no answer in time"):
        _through(once).observe(office.topology, seconds=0.3)
    assert time.monotonic() - began < HANGS
    office.asked(operation, count=1)


def test_lost_answer_is_an_error_that_names_it(office: Office, once: Client) -> None:
    """A connection that closes is no empty list."""
    office.world.lose("DescribeInstances", times=None)
    assert _blind(office, once).message.startswith("ec2:DescribeInstances failed: ConnectionClosedError")


def test_readings_that_fail_together_are_all_named(office: Office, once: Client) -> None:
    """One error tells of every call that no decision can do without, each with its code."""
    office.world.deny("DescribeRouteTables")
    office.world.throttle("DescribeAddresses")
    office.world.fail("DescribeInstances", code="InternalError", status=500, times=None)
    office.world.deny("DescribeVpcs")
    error = _blind(office, once)
    failed = [part.split(": ")[:2] for part in error.message.split("; ")]
    assert failed == [
        ["ec2:DescribeRouteTables failed", "UnauthorizedOperation"],
        ["ec2:DescribeInstances failed", "InternalError"],
        ["ec2:DescribeAddresses failed", "RequestLimitExceeded"],
    ]
    assert error.aws_code == "UnauthorizedOperation"


def test_failed_reading_does_not_wait_for_one_that_hangs(office: Office, once: Client) -> None:
    """Blind is blind: a moment later the look says so, and that the other did not answer."""
    office.world.deny("DescribeRouteTables")
    office.world.delay(2 * HANGS, "DescribeInstances")
    office.forget()
    began = time.monotonic()
    error = _blind(office, once)
    assert time.monotonic() - began < 2 * HANGS
    assert "ec2:DescribeInstances failed: TimeoutError: no answer in time" in error.message
    office.asked("DescribeInstances", count=1)


@pytest.mark.parametrize("operation", ["DescribeRouteTables", "DescribeInstances"])
def test_listing_that_breaks_off_is_an_error(office: Office, once: Client, operation: str) -> None:
    """What came on the first page is not the network: a later page that fails makes us blind."""
    office.world.page_size = 1
    office.world.deny(operation, when=lambda asked: bool(asked["NextToken"]))
    assert _blind(office, once).message.startswith(f"ec2:{operation} failed: UnauthorizedOperation")


@pytest.mark.parametrize("dhcp_options", [None, an_id("dopt", 1)], ids=["no options", "options"])
def test_vpc_that_is_not_there_is_an_error(office: Office, dhcp_options: str | None) -> None:
    """Another account or region lists no tables, which must not look like a network without any."""
    elsewhere = replace(office.topology, vpc_id=an_id("vpc", 0xDEAD), dhcp_options=dhcp_options)
    with pytest.raises(ObservationError, match=f"{elsewhere.vpc_id} is not in this account and region") as no:
        office.network.observe(elsewhere)
    assert "--region" in no.value.hint


# -- what only some decisions need -----------------------------------------------------------------------


@other
def test_other_reading_that_is_denied_leaves_what_it_shows_unknown(
    office: Office, once: Client, operation: str
) -> None:
    """The look is made all the same, and names the call and AWS's code."""
    office.world.deny(operation)
    assert _dim(office, once, operation).startswith("UnauthorizedOperation: You are not authorized")


@other
def test_other_reading_that_is_throttled_leaves_what_it_shows_unknown(
    office: Office, once: Client, operation: str
) -> None:
    """The look is made all the same, and names the call and AWS's code."""
    office.world.throttle(operation)
    assert _dim(office, once, operation) == "RequestLimitExceeded: Request limit exceeded."


@other
def test_other_reading_that_hangs_holds_the_look_up_for_a_moment_only(
    office: Office, once: Client, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much time a look has: what every decision needs does not wait for the rest."""
    monkeypatch.setattr(ec2, "GRACE", 0.2)
    office.world.delay(HANGS, operation)
    office.forget()
    began = time.monotonic()
    seen = _through(once).observe(office.topology, seconds=60)
    assert time.monotonic() - began < HANGS
    assert seen.unread == {f"ec2:{operation}": "TimeoutError: no answer in time"}
    office.asked(operation, count=1)
    _is_whole_but(seen, office, operation)


@pytest.mark.parametrize("operation", OTHERS[:-1])
def test_other_listing_that_breaks_off_is_unknown_as_a_whole(
    office: Office, once: Client, operation: str
) -> None:
    """Half a listing shows what is not there: it counts as none."""
    office.world.page_size = 1
    office.world.deny(operation, when=lambda asked: bool(asked["NextToken"]))
    assert _dim(office, once, operation).startswith("UnauthorizedOperation: ")


def test_all_other_readings_together_stop_no_look(office: Office, once: Client) -> None:
    """Tables, instances and addresses are seen, and nothing else is taken for known."""
    for operation in OTHERS:
        office.world.deny(operation)
    seen = _through(once).observe(office.topology)
    assert set(seen.unread) == {f"ec2:{operation}" for operation in OTHERS}
    assert (len(seen.tables), len(seen.instances), len(seen.elastic_ips)) == (4, 2, 1)


# -- one instance ----------------------------------------------------------------------------------------


def test_instance_that_could_not_be_looked_for_is_an_error(office: Office, once: Client) -> None:
    """Denied, or not answered in time: not to know is not to be gone."""
    network, instance_id = _through(once), office.candidates()[0].id
    office.world.deny("DescribeInstances")
    with pytest.raises(ObservationError, match="ec2:DescribeInstances failed: UnauthorizedOperation"):
        network.instance(instance_id)
    office.world.heal()
    office.world.delay(HANGS, "DescribeInstances")
    office.forget()
    with pytest.raises(ObservationError, match="ec2:DescribeInstances failed: TimeoutError"):
        network.instance(instance_id, seconds=0.2)
    office.asked("DescribeInstances", count=1)
