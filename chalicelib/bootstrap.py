"""The only reader of the environment and maker of clients: wires the edge to the controller's ports."""

from __future__ import annotations

import gc
import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from chalicelib.aws import telemetry
from chalicelib.aws.autoscaling import ScalingGroups
from chalicelib.aws.discover import Discovery, stack_outputs
from chalicelib.aws.ec2.network import Ec2Network
from chalicelib.aws.ec2.query import USER_AGENT, Ec2Query
from chalicelib.aws.ec2.writes import PARALLEL, Writes
from chalicelib.aws.errors import AwsError
from chalicelib.aws.journal import DynamoJournal
from chalicelib.aws.queue import FifoQueue, find_queue
from chalicelib.aws.ssm.run_command import SystemsManager
from chalicelib.aws.ssm.topologies import Topologies
from chalicelib.aws.threads import Threads
from chalicelib.aws.wire import Wire
from chalicelib.core.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import boto3
    from botocore.credentials import Credentials
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

    from chalicelib.aws.execute_api import SignedApi
    from chalicelib.aws.ssm.secrets import TunnelSecrets
    from chalicelib.controller.ports import Telemetry

_READS = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=2,
    read_timeout=10,
    max_pool_connections=PARALLEL,
    user_agent=USER_AGENT,  # botocore's own is put together anew for each call: a fifth of what one costs here
)
_JOURNAL = _READS.merge(Config(retries={"mode": "standard", "total_max_attempts": 2}, read_timeout=2))
"""DynamoDB answers within milliseconds: one that hangs must not outlast a run."""

_COMMANDS = _READS.merge(Config(retries={"mode": "standard", "total_max_attempts": 2}, read_timeout=3))
"""A Systems Manager that hangs must not keep the network waiting; a later run makes up for it."""


class SystemClock:
    """The machine's time; implements `ports.Clock`."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Edge:
    """Everything outside the core, on one Session; clients are made when first used.

    It is the controller's ports (`controller.ports`), and what else operators' verbs read.
    """

    session: boto3.Session
    endpoint_url: str | None = None
    bundle: str | None = None
    """A file of the certificates to trust; botocore's own without one."""

    @property
    def region(self) -> str:
        """The AWS region."""
        return self.session.region_name

    @cached_property
    def wire(self) -> Wire:
        """The connections that all clients share."""
        return Wire(self.bundle)

    def _client(self, service: str, config: Config = _READS) -> Any:  # noqa: ANN401 - one of many
        with _making(service):
            client = self.session.client(service, endpoint_url=self.endpoint_url, config=config)  # type: ignore[call-overload] # by name
            self.wire.carry(client)
        return client

    @cached_property
    def network(self) -> Ec2Network:
        """The network port."""
        return Ec2Network(self.ec2, self.executor, Writes(self.ec2))

    @cached_property
    def executor(self) -> Threads:
        """What waits for AWS beside the run."""
        return Threads()

    @cached_property
    def journal(self) -> DynamoJournal:
        """The journal."""
        return DynamoJournal(
            self._client("dynamodb", _JOURNAL), os.environ.get("MOORING_JOURNAL", "mooring-journal")
        )

    def open(self) -> None:
        """Make now what every run of the worker takes."""
        _ = self.network, self.journal, self.machines, self.topologies

    @cached_property
    def clock(self) -> SystemClock:
        """The machine's time."""
        return SystemClock()

    @property
    def telemetry(self) -> Telemetry:
        """The log and the metrics of this process."""
        return telemetry

    @cached_property
    def machines(self) -> SystemsManager:
        """The candidates' operating systems; only the deployed worker knows the fingerprints of our documents."""
        return SystemsManager(
            self._client("ssm", _COMMANDS), json.loads(os.environ.get("MOORING_DOCUMENTS", "{}"))
        )

    @property
    def queue(self) -> FifoQueue:
        """The Reconcile queue.

        Raises:
            ControllerError: no Mooring is deployed here.
            ObservationError: SQS refused or did not answer.
        """
        if self.deployed_queue is None:
            raise ControllerError(
                "no Mooring is deployed here: there is no queue", hint="make deploy STAGE=... deploys it"
            )
        return self.deployed_queue

    @cached_property
    def deployed_queue(self) -> FifoQueue | None:
        """The queue of the Mooring that is deployed here; None when none is.

        Raises:
            ObservationError: SQS refused or did not answer.
        """
        url = os.environ.get("MOORING_QUEUE_URL") or find_queue(self._sqs)
        return FifoQueue(self._sqs, url) if url else None

    @cached_property
    def _sqs(self) -> SQSClient:
        return cast("SQSClient", self._client("sqs"))

    def caller(self) -> str:
        """Return who asks: the IAM identity, else the machine's word for its user.

        sts:GetCallerIdentity needs no permission, and none can be denied (AWS STS API reference).
        """
        try:
            arn = self._client("sts").get_caller_identity().get("Arn")
        except AwsError:
            arn = None
        return arn or f"{os.environ.get('USER') or 'somebody'}, as this machine calls them"

    @cached_property
    def groups(self) -> ScalingGroups:
        """Auto Scaling."""
        return ScalingGroups(self._client("autoscaling"))

    @cached_property
    def topologies(self) -> Topologies:
        """Where topologies are declared."""
        return Topologies(self._client("ssm", _COMMANDS))

    @cached_property
    def ssm(self) -> SSMClient:
        """Systems Manager: Parameter Store and Run Command."""
        return cast("SSMClient", self._client("ssm"))

    @cached_property
    def secrets(self) -> TunnelSecrets:
        """The tunnels' secrets, which operators store and no function may read."""
        from chalicelib.aws.ssm.secrets import TunnelSecrets  # noqa: PLC0415 - needless in a Lambda's start

        return TunnelSecrets(self.ssm)

    @cached_property
    def ec2(self) -> Ec2Query:
        """EC2; readings are retried in there, writes by `aws.ec2.writes`, since a retry in there would jump its queue."""
        return Ec2Query(self._client("ec2"), self.session.get_credentials, self.wire)

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """CloudFormation, for reading a stack's outputs."""
        return cast("CloudFormationClient", self._client("cloudformation"))

    def stack_outputs(self, stack: str) -> dict[str, str]:
        """Read a stack's outputs; see `discover.stack_outputs`."""
        return stack_outputs(self.cloudformation, stack)

    def discovery(self, vpc_id: str) -> Discovery:
        """Open a VPC that nobody has declared, for reading."""
        return Discovery(self.ec2, vpc_id, self.executor)


def connect(region: str | None = None, profile: str | None = None, endpoint_url: str | None = None) -> Edge:
    """Open the edge, with the AWS CLI's meaning of region, profile and endpoint.

    The CLI reads AWS_REGION before AWS_DEFAULT_REGION; boto3 by itself reads the latter alone.

    Raises:
        ControllerError: no region is known, the profile does not exist, or the endpoint is no URL.
    """
    import boto3  # noqa: PLC0415 - a tenth of a cold start, and the deployed functions do without: see _Session

    try:
        bare = botocore.session.get_session()
        session = boto3.Session(
            region_name=region or os.environ.get("AWS_REGION"), profile_name=profile, botocore_session=bare
        )
        known = session.region_name
    except BotoCoreError as error:
        hint = "`aws configure list-profiles` lists what ~/.aws/config and ~/.aws/credentials have"
        raise ControllerError(str(error), hint=hint) from error
    if known is None:
        raise ControllerError("no AWS region is set", hint="name one with --region or AWS_REGION")
    _check_url(endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or "https://amazonaws.com")
    return Edge(session, endpoint_url, _bundle(bare))


def _bundle(session: botocore.session.Session) -> str | None:
    """Return the file of certificates that botocore would trust: AWS_CA_BUNDLE, the profile's, or that of `requests`."""
    return session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")


def signed_api(url: str | None = None, region: str | None = None, profile: str | None = None) -> SignedApi:
    """Open the deployed API at a URL, or at that of MOORING_API_URL; the region is the URL's if it names one.

    Raises:
        ControllerError: no URL, profile, region or credentials are known, or the URL is not fit for a signed request.
    """
    from chalicelib.aws import execute_api  # noqa: PLC0415 - no deployed function calls the API

    named = url or os.environ.get("MOORING_API_URL")
    if not named:
        raise ControllerError(
            "no API is named",
            hint="name it in --url or MOORING_API_URL: make deploy prints it as EndpointURL",
        )
    execute_api.check(named)
    session = connect(execute_api.region_of(named) or region, profile).session
    hint = "sign in, or name a profile with --profile or AWS_PROFILE"
    try:
        credentials = session.get_credentials()
        frozen = credentials and credentials.get_frozen_credentials()
    except BotoCoreError as error:
        raise ControllerError(f"no AWS credentials: {error}", hint=hint) from error
    if not frozen or not frozen.access_key:
        raise ControllerError("no AWS credentials were found", hint=hint)
    return execute_api.SignedApi(named, str(session.region_name), frozen, os.environ.get("AWS_CA_BUNDLE"))


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


class _Session:
    """boto3's Session as far as it is used here; importing boto3 imports S3's transfers."""

    def __init__(self) -> None:
        self._session = botocore.session.get_session()
        self.region_name: str | None = self._session.get_config_variable("region")

    def client(self, service: str, *, endpoint_url: str | None, config: Config) -> Any:  # noqa: ANN401 - one of many
        """Make a client."""
        return self._session.create_client(service, endpoint_url=endpoint_url, config=config)

    def get_credentials(self) -> Credentials | None:
        """Return the function's credentials."""
        return self._session.get_credentials()

    @property
    def bundle(self) -> str | None:
        """A file of certificates to trust; see `_bundle`."""
        return _bundle(self._session)


@cache
def deployed() -> Edge:
    """Open the edge once per Lambda environment; the worker, which always needs EC2, makes its clients at init.

    Lambda names a function's handler in `_HANDLER` (Lambda developer guide, "Defined runtime environment variables").
    """
    session = _Session()
    edge = Edge(cast("boto3.Session", session), bundle=session.bundle)
    if os.environ.get("_HANDLER") == "app.reconcile":
        gc.disable()  # what is made here stays: looking for garbage in it would take a tenth of the start, and
        edge.open()
        gc.freeze()  # go on taking time in every run
        gc.enable()
    return edge


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
