"""EC2's writes in its Query protocol: signed by botocore, sent once, read for errors alone.

A write of botocore's client takes more than twice the processor time of this one: events, rules for the endpoint, a user
agent that is put together anew each time, a parsed answer that nobody reads. A failover's writes are many and their
parameters few, so they are spelled here as they go over the wire (Amazon EC2 API reference, "Actions").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, ConnectionClosedError, NoCredentialsError
from botocore.model import StructureShape
from botocore.parsers import ResponseParserError, create_parser

from chalicelib.aws.wire import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.credentials import Credentials
    from mypy_boto3_ec2 import EC2Client

    from chalicelib.aws.wire import Wire

USER_AGENT = "mooring"
"""Who asks, in CloudTrail's `userAgent`."""

_NOTHING = StructureShape("Nothing", {"type": "structure", "members": {}})
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "User-Agent": USER_AGENT}


class Ec2Query:
    """Calls to EC2 at one endpoint, each made once and signed with the credentials of the moment."""

    def __init__(self, like: EC2Client, credentials: Callable[[], Credentials | None], wire: Wire) -> None:
        """Take endpoint, region and timeouts from a client; `credentials` are asked for at each call."""
        meta = like.meta
        self._url, self._region = meta.endpoint_url.rstrip("/") + "/", meta.region_name
        self._version = meta.service_model.api_version
        self._patience = Patience.of(like)
        self._credentials, self._wire = credentials, wire

    def call(self, operation: str, params: Mapping[str, str], seconds: float) -> None:
        """Make one call, giving up `seconds` from now at the latest.

        Raises:
            ClientError: EC2 refused, with what botocore's own parser reads from its answer.
            BotoCoreError: no answer, none that makes sense, or no credentials to ask with.
        """
        body = urlencode({"Action": operation, "Version": self._version, **params}).encode()
        request = AWSRequest("POST", self._url, _HEADERS, body)
        credentials = self._credentials()
        if credentials is None:
            raise NoCredentialsError
        SigV4Auth(credentials.get_frozen_credentials(), "ec2", self._region).add_auth(request)
        patience = Patience(*(min(each, seconds) for each in self._patience))
        status, headers, content = self._wire.send("POST", self._url, request.headers, body, patience)
        if status >= 300:
            raise ClientError(self._refusal(status, headers, content), operation)
        if not content.rstrip().endswith(f"</{operation}Response>".encode()):
            raise self._no_answer(f"what came is no {operation}Response")

    def _refusal(self, status: int, headers: Mapping[str, str], content: bytes) -> Any:  # noqa: ANN401 - botocore's
        try:
            answer = {"status_code": status, "headers": headers, "body": content}
            return create_parser("ec2").parse(answer, _NOTHING)
        except ResponseParserError as error:
            raise self._no_answer(str(error)) from error

    def _no_answer(self, why: str) -> ConnectionClosedError:
        """Make the error that botocore has for "closed before we received a valid response"; its parser's is none of its own."""
        return ConnectionClosedError(endpoint_url=self._url, error=why)
