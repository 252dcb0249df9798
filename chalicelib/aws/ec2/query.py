"""EC2 in its Query protocol: signed by botocore, sent over the shared wire, with what is neither left out of botocore's client.

A call of botocore's client takes more than twice the processor time of this one: events, rules for the endpoint, validation,
a user agent that is put together anew each time. A run's calls are few and their parameters fewer, so they are spelled
here as they go over the wire (Amazon EC2 API reference, "Actions"). What a client knows stays botocore's: endpoint, region,
the model of the answers, and whether and when a failed reading is worth another try.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    NoCredentialsError,
    PaginationError,
)
from botocore.hooks import first_non_none_response
from botocore.model import StructureShape
from botocore.parsers import ResponseParserError

from chalicelib.aws.answers import listing, text
from chalicelib.aws.ec2.parsing import Ec2Answers
from chalicelib.aws.wire import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from botocore.credentials import Credentials
    from mypy_boto3_ec2 import EC2Client

    from chalicelib.aws.answers import Raw
    from chalicelib.aws.wire import Answer, Wire

USER_AGENT = "mooring"
"""Who asks, in CloudTrail's `userAgent`."""

PAGE = {"MaxResults": "1000"}
"""The largest page of DescribeInstances, DescribeInstanceStatus, DescribeSecurityGroupRules, DescribeSubnets and DescribeTags."""

_NOTHING = StructureShape("Nothing", {"type": "structure", "members": {}})
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "User-Agent": USER_AGENT}


class Ec2Query:
    """Calls to EC2 at one endpoint, each signed with the credentials of the moment."""

    def __init__(self, like: EC2Client, credentials: Callable[[], Credentials | None], wire: Wire) -> None:
        """Take endpoint, region, timeouts and retries from a client; `credentials` are asked for at each call."""
        self._meta: Any = like.meta  # the stubs know less than botocore
        self._url = self._meta.endpoint_url.rstrip("/") + "/"
        self._patience = Patience.of(like)
        self._credentials, self._wire = credentials, wire
        self._parser = Ec2Answers()

    def write(self, operation: str, params: Mapping[str, str], seconds: float) -> None:
        """Make one call, once, giving up `seconds` from now at the latest; its answer is read for errors alone.

        Raises:
            ClientError: EC2 refused, with what botocore's own parser reads from its answer.
            BotoCoreError: no answer, none that makes sense, or no credentials to ask with.
        """
        patience = Patience(*(min(each, seconds) for each in self._patience))
        said = self._send(operation, params, patience)
        if said.status >= 300:
            raise ClientError(self._refusal(said), operation)
        if not said.content.rstrip().endswith(f"</{operation}Response>".encode()):
            raise self._no_answer(f"what came is no {operation}Response")

    def read(
        self, operation: str, key: str, params: Mapping[str, str], seconds: float = math.inf
    ) -> list[Raw]:
        """Follow a listing to its last page; a page without its list is no empty one.

        Each page is asked for as often, and with such pauses, as the client would.

        Raises:
            ClientError: EC2 refused.
            BotoCoreError: no answer, pages without an end, or no credentials to ask with.
            ResponseParserError, MalformedAnswer: an answer that cannot be understood.
            TimeoutError: it took longer than `seconds`, and nobody waits any more.
        """
        deadline = time.monotonic() + seconds
        found: list[Raw] = []
        token: str | None = None
        while True:
            page = self._page(operation, {**params, "NextToken": token} if token else params, deadline)
            found += listing(page, key)
            if time.monotonic() >= deadline:
                raise TimeoutError("no answer in time")
            before, token = token, text(page, "NextToken")
            if not token:
                return found
            if token == before:
                raise PaginationError(message=f"The same next token was received twice: {token}")

    def _page(self, operation: str, params: Mapping[str, str], deadline: float) -> Raw:
        """Ask until there is an answer, or no further try is worth it or would be in time."""
        asking = _Asking(self._meta, operation)
        while True:
            try:
                said = self._send(operation, params, self._patience)
            except BotoCoreError as error:
                if asking.pause(deadline, error=error):
                    continue
                raise
            parsed: Any = self._parser.parse(_response(said), asking.model.output_shape)
            response = AWSResponse(self._url, said.status, said.headers, None)
            if said.status < 300:
                asking.answered(response, parsed)
                page: Raw = parsed
                return page
            if not asking.pause(deadline, response=(response, parsed)):
                raise ClientError(parsed, operation)

    def _send(self, operation: str, params: Mapping[str, str], patience: Patience) -> Answer:
        version = self._meta.service_model.api_version
        body = urlencode({"Action": operation, "Version": version, **params}).encode()
        request = AWSRequest("POST", self._url, _HEADERS, body)
        credentials = self._credentials()
        if credentials is None:
            raise NoCredentialsError
        SigV4Auth(credentials.get_frozen_credentials(), "ec2", self._meta.region_name).add_auth(request)
        return self._wire.send("POST", self._url, request.headers, body, patience)

    def _refusal(self, said: Answer) -> Any:  # noqa: ANN401 - botocore's
        try:
            return self._parser.parse(_response(said), _NOTHING)
        except ResponseParserError as error:
            raise self._no_answer(str(error)) from error

    def _no_answer(self, why: str) -> ConnectionClosedError:
        """Make the error that botocore has for "closed before we received a valid response"; its parser's is none of its own."""
        return ConnectionClosedError(endpoint_url=self._url, error=why)


class _Asking:
    """One reading and its tries, which are the client's own to allow: its handlers of `needs-retry` know codes, jitter and quota."""

    def __init__(self, meta: Any, operation: str) -> None:  # noqa: ANN401 - a client's
        self.model: Any = meta.service_model.operation_model(operation)
        self._emit = meta.events.emit
        self._of = f"{meta.service_model.service_id.hyphenize()}.{operation}"
        self._context: dict[str, Any] = {}
        self._tries = 1

    def pause(
        self,
        deadline: float,
        response: tuple[AWSResponse, dict[str, Any]] | None = None,
        error: BotoCoreError | None = None,
    ) -> bool:
        """Wait before another try; returns at once whether there is to be none."""
        said = self._emit(
            f"needs-retry.{self._of}",
            response=response,
            endpoint=None,
            operation=self.model,
            attempts=self._tries,
            caught_exception=error,
            request_dict={"context": self._context},
        )
        if response:
            response[1]["ResponseMetadata"]["RetryAttempts"] = self._tries - 1
        pause = first_non_none_response(said)
        if pause is None or pause is False or time.monotonic() + pause >= deadline:
            return False
        time.sleep(pause)
        self._tries += 1
        return True

    def answered(self, response: AWSResponse, parsed: dict[str, Any]) -> None:
        """Return what the tries took of the client's quota."""
        self._emit(
            f"after-call.{self._of}",
            http_response=response,
            parsed=parsed,
            model=self.model,
            context=self._context,
        )


def filters(wanted: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Spell filters: by each name, what has any of its values."""
    params = {}
    for n, (name, values) in enumerate(wanted.items(), 1):
        params[f"Filter.{n}.Name"] = name
        params |= {f"Filter.{n}.Value.{m}": value for m, value in enumerate(values, 1)}
    return params


def _response(said: Answer) -> dict[str, Any]:
    """Return an answer as botocore's parsers take it."""
    return {"status_code": said.status, "headers": said.headers, "body": said.content}
