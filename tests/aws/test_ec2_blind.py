"""A failed reading is never an emptier network: whatever cannot be read, the look as a whole says why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from botocore.config import Config

from chalicelib.aws.ec2 import Ec2Network
from chalicelib.core.errors import ObservationError
from tests.aws.office import READS, deploy_office
from tests.builders import an_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.bootstrap import Edge
    from tests.aws.office import Office
    from tests.world import Client, World

call = pytest.mark.parametrize("operation", READS)


@pytest.fixture(scope="module")
def standing(embedded: World, edge: Edge) -> Office:
    """The example network, once for this file: nothing here changes it."""
    embedded.reset()
    return deploy_office(embedded, edge)


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


def _look(office: Office, client: Client) -> ObservationError:
    """Look through a client, in vain."""
    with pytest.raises(ObservationError) as blind:
        Ec2Network(client, client).observe(office.topology)
    assert blind.value.retryable
    return blind.value


@call
def test_denied_reading_is_an_error_that_says_what_to_allow(
    office: Office, once: Client, operation: str
) -> None:
    """Whichever call is denied, nothing is returned; the error names it, AWS's code and the way out."""
    office.world.deny(operation)
    error = _look(office, once)
    assert error.message.startswith(f"ec2:{operation} failed: UnauthorizedOperation: You are not authorized")
    assert error.aws_code == "UnauthorizedOperation"
    assert error.hint == f"allow ec2:{operation} to the identity that runs Mooring"


@call
def test_throttled_reading_is_an_error_that_says_so(office: Office, once: Client, operation: str) -> None:
    """Whichever call is throttled to the end of its retries, nothing is returned."""
    office.world.throttle(operation)
    error = _look(office, once)
    assert error.message == f"ec2:{operation} failed: RequestLimitExceeded: Request limit exceeded."
    assert error.aws_code == "RequestLimitExceeded"
    assert "too many calls" in error.hint


@call
def test_reading_that_times_out_is_an_error_that_names_it(
    office: Office, hasty: Client, operation: str
) -> None:
    """Whichever call gets no answer in time, nothing is returned; there is no AWS code, so botocore's stands."""
    office.world.delay(0.5, operation)
    office.forget()
    error = _look(office, hasty)
    assert f"ec2:{operation} failed: ReadTimeoutError: Read timeout on endpoint" in error.message
    assert error.aws_code == "ReadTimeoutError"
    office.asked(operation, count=1)  # the answer nobody waits for, before the next test begins


def test_lost_answer_is_an_error_that_names_it(office: Office, once: Client) -> None:
    """A connection that closes is no empty list."""
    office.world.lose("DescribeInstances", times=None)
    assert _look(office, once).message.startswith("ec2:DescribeInstances failed: ConnectionClosedError")


def test_readings_that_fail_together_are_all_named(office: Office, once: Client) -> None:
    """One error tells of every call that failed, each with its code."""
    office.world.deny("DescribeRouteTables")
    office.world.throttle("DescribeAddresses")
    office.world.fail("DescribeVpcs", code="InternalError", status=500, times=None)
    error = _look(office, once)
    failed = [part.split(": ")[:2] for part in error.message.split("; ")]
    assert failed == [
        ["ec2:DescribeRouteTables failed", "UnauthorizedOperation"],
        ["ec2:DescribeAddresses failed", "RequestLimitExceeded"],
        ["ec2:DescribeVpcs failed", "InternalError"],
    ]
    assert error.aws_code == "UnauthorizedOperation"


@pytest.mark.parametrize(
    "operation",
    [
        "DescribeRouteTables",
        "DescribeInstances",
        "DescribeInstanceStatus",
        "DescribeSecurityGroupRules",
    ],
)
def test_listing_that_breaks_off_is_an_error(office: Office, once: Client, operation: str) -> None:
    """What came on the first page is not the network: a later page that fails makes us blind."""
    office.world.page_size = 1
    office.world.deny(operation, when=lambda asked: bool(asked["NextToken"]))
    assert _look(office, once).message.startswith(f"ec2:{operation} failed: UnauthorizedOperation")


@pytest.mark.parametrize("dhcp_options", [None, an_id("dopt", 1)], ids=["no options", "options"])
def test_vpc_that_is_not_there_is_an_error(office: Office, dhcp_options: str | None) -> None:
    """Another account or region lists no tables, which must not look like a network without any."""
    elsewhere = replace(office.topology, vpc_id=an_id("vpc", 0xDEAD), dhcp_options=dhcp_options)
    with pytest.raises(ObservationError, match=f"{elsewhere.vpc_id} is not in this account and region") as no:
        office.network.observe(elsewhere)
    assert "--region" in no.value.hint
