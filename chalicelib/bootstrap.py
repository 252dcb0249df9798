"""The only reader of the environment and maker of clients: wires the edge to the controller's ports."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from chalicelib.aws.ec2 import Ec2Network
from chalicelib.aws.journal import DynamoJournal
from chalicelib.aws.ssm import Topologies
from chalicelib.aws.writes import PARALLEL
from chalicelib.controller import Ports
from chalicelib.core.errors import ControllerError

if TYPE_CHECKING:
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
        network = Ec2Network(
            self.ec2, self.session.client("ec2", endpoint_url=self.endpoint_url, config=_WRITES)
        )
        dynamodb = self.session.client("dynamodb", endpoint_url=self.endpoint_url, config=_READS)
        table = os.environ.get("MOORING_JOURNAL", "mooring-journal")
        return Ports(network, DynamoJournal(dynamodb, table), SystemClock())

    @cached_property
    def topologies(self) -> Topologies:
        """Where topologies are declared."""
        return Topologies(self.session.client("ssm", endpoint_url=self.endpoint_url, config=_READS))

    @cached_property
    def ec2(self) -> EC2Client:
        """EC2, for reading."""
        return self.session.client("ec2", endpoint_url=self.endpoint_url, config=_READS)

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """CloudFormation, for reading a stack's outputs."""
        return self.session.client("cloudformation", endpoint_url=self.endpoint_url, config=_READS)


def connect(region: str | None = None, profile: str | None = None, endpoint_url: str | None = None) -> Edge:
    """Open the edge, with the AWS CLI's meaning of region, profile and endpoint.

    Raises:
        ControllerError: no region is known, or the profile does not exist.
    """
    try:
        session = boto3.Session(region_name=region, profile_name=profile)
    except BotoCoreError as error:
        raise ControllerError(str(error), hint="see `aws configure list-profiles`") from error
    if session.region_name is None:
        raise ControllerError("no AWS region is set", hint="name one with --region or AWS_REGION")
    return Edge(session, endpoint_url)
