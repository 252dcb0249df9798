"""Turns botocore's errors into Mooring's, with AWS's code, at the edge and nowhere else."""

from __future__ import annotations

from typing import TypeAlias

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from chalicelib.core.errors import ObservationError
from chalicelib.core.network.report import Failure


class MalformedAnswer(Exception):  # noqa: N818 - what AWS gave
    """AWS answered, but the answer lacks what nobody can do without."""


AwsError = (BotoCoreError, ClientError, ResponseParserError, MalformedAnswer)
"""What a call may raise: AWS refused it, it never got an answer, or one that cannot be understood."""

Unanswered: TypeAlias = BotoCoreError | ClientError | ResponseParserError | MalformedAnswer
"""Any of `AwsError`, as a type."""

THROTTLED = frozenset({"RequestLimitExceeded", "EC2ThrottledException", "Throttling", "ThrottlingException"})
DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
_TRANSIENT = frozenset({"InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable"})
_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "RequestExpired",
        "UnrecognizedClientException",
        # botocore's own, before any call is made: nobody signed in, or the sign-in ran out
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "LoginRefreshRequired",
        "LoginTokenLoadError",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
    }
)


def code_of(error: BaseException) -> str:
    """Return AWS's code, or the name of an error that is not AWS's own."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code") or "Unknown"
    return type(error).__name__


def message_of(error: BaseException) -> str:
    """Return AWS's own sentence."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Message") or str(error)
    return str(error)


def transient(error: Unanswered) -> bool:
    """Return whether the same call may go through a moment later: throttled, AWS's fault, or no answer."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(error) in THROTTLED | _TRANSIENT or status >= 500
    return code_of(error) not in ("ParamValidationError", "NoCredentialsError", "NoRegionError")


def failure(error: Unanswered) -> Failure:
    """Describe a write that did not go through."""
    return Failure(code_of(error), message_of(error), transient(error))


def blind(doing: str, error: BaseException) -> ObservationError:
    """Describe a reading that failed, with what to do next."""
    code = code_of(error)
    return ObservationError(
        f"{doing} failed: {code}: {message_of(error)}", hint=_hint(doing, code), aws_code=code
    )


def _hint(doing: str, code: str) -> str:
    if code in DENIED:
        return f"allow {doing} to the identity that runs Mooring"
    if code in _CREDENTIALS:
        return "sign in again, or name a profile with --profile or AWS_PROFILE"
    if code in ("EndpointConnectionError", "ConnectTimeoutError"):
        return "check the network, --region and --endpoint-url; the next run looks again"
    if code in THROTTLED:
        return "too many calls in this account and region; the next run looks again"
    return "the next run looks again"
