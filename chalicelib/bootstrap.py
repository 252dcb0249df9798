"""The only reader of the environment and maker of clients: wires the edge to the controller's ports."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from chalicelib.aws.discover import Discovery, stack_outputs
from chalicelib.aws.ec2 import Ec2Network
from chalicelib.aws.journal import DynamoJournal
from chalicelib.aws.ssm import Topologies
from chalicelib.aws.writes import PARALLEL
from chalicelib.controller import Ports
from chalicelib.core.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_ec2 import EC2Client

_READS = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=2,
    read_timeout=10,
    max_pool_connections=PARALLEL,
)
_WRITES = _READS.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
"""Writes are retried by `aws.writes`, which knows their order; a retry inside botocore would jump the queue."""


class SystemClock:
    """The machine's time; implements `controller.Clock`."""

    def now(self) -> datetime:
        """Give the time in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Edge:
    """Everything outside the core, on one Session; clients are made when first used."""

    session: boto3.Session
    endpoint_url: str | None = None

    @cached_property
    def ports(self) -> Ports:
        """The controller's ports."""
        with _making("ec2 and dynamodb"):
            writes = self.session.client("ec2", endpoint_url=self.endpoint_url, config=_WRITES)
            dynamodb = self.session.client("dynamodb", endpoint_url=self.endpoint_url, config=_READS)
        table = os.environ.get("MOORING_JOURNAL", "mooring-journal")
        return Ports(Ec2Network(self.ec2, writes), DynamoJournal(dynamodb, table), SystemClock())

    @cached_property
    def topologies(self) -> Topologies:
        """Where topologies are declared."""
        with _making("ssm"):
            return Topologies(self.session.client("ssm", endpoint_url=self.endpoint_url, config=_READS))

    @cached_property
    def ec2(self) -> EC2Client:
        """EC2, for reading."""
        with _making("ec2"):
            return self.session.client("ec2", endpoint_url=self.endpoint_url, config=_READS)

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """CloudFormation, for reading a stack's outputs."""
        with _making("cloudformation"):
            return self.session.client("cloudformation", endpoint_url=self.endpoint_url, config=_READS)

    def stack_outputs(self, stack: str) -> dict[str, str]:
        """Read a stack's outputs; see `discover.stack_outputs`."""
        return stack_outputs(self.cloudformation, stack)

    def discovery(self, vpc_id: str) -> Discovery:
        """Open a VPC that nobody has declared, for reading."""
        return Discovery(self.ec2, vpc_id)


def connect(region: str | None = None, profile: str | None = None, endpoint_url: str | None = None) -> Edge:
    """Open the edge, with the AWS CLI's meaning of region, profile and endpoint.

    The CLI reads AWS_REGION before AWS_DEFAULT_REGION; boto3 by itself reads the latter alone.

    Raises:
        ControllerError: no region is known, the profile does not exist, or the endpoint is no URL.
    """
    try:
        session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"), profile_name=profile)
        known = session.region_name
    except BotoCoreError as error:
        hint = "`aws configure list-profiles` lists what ~/.aws/config and ~/.aws/credentials have"
        raise ControllerError(str(error), hint=hint) from error
    if known is None:
        raise ControllerError("no AWS region is set", hint="name one with --region or AWS_REGION")
    _check_url(endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or "https://amazonaws.com")
    return Edge(session, endpoint_url)


def _check_url(url: str) -> None:
    """Refuse what botocore would trip over later, and not always with an error of its own."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ControllerError(
            f"the endpoint {url} is no URL",
            hint="such as http://127.0.0.1:5000, in --endpoint-url or AWS_ENDPOINT_URL",
        )


@contextmanager
def _making(services: str) -> Iterator[None]:
    """Turn what the settings of a client can be wrong about into one error; ValueError is an endpoint's."""
    try:
        yield
    except (BotoCoreError, ValueError) as error:
        raise ControllerError(
            f"no client for {services} can be made: {error}",
            hint="check --region, --endpoint-url and the variables AWS_*",
        ) from error
