"""AWS's side of SigV4, written from its description and not with botocore: says whether a request is signed as it should be.

IAM user guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Mapping

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
_MUST_BE_SIGNED = {"host", "x-amz-date"}


@dataclass(frozen=True)
class Key:
    """A secret access key, with the token of a session if it is temporary."""

    access_key: str
    secret: str
    token: str | None = None


def refuse(  # noqa: PLR0913 - all that a signature is about
    key: Key,
    region: str,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    service: str = "execute-api",
) -> str | None:
    """Return API Gateway's words for what is wrong with a request's signature; None when nothing is.

    `target` is as it came over the wire, headers are by lower-case name.
    """
    parsed = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if parsed is None:
        return "Missing Authentication Token"
    access_key, day, place, named, names, signature = parsed.groups()
    if access_key != key.access_key or headers.get("x-amz-security-token") != key.token:
        return "The security token included in the request is invalid."
    if (place, named) != (region, service) or not set(names.split(";")) >= _MUST_BE_SIGNED:
        return "Credential should be scoped to a valid region."
    at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(datetime.now(UTC) - at) > timedelta(minutes=5) or f"{at:%Y%m%d}" != day:
        return "Signature expired"
    path, _, query = target.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    coded = sorted((_coded(unquote_plus(k)), _coded(unquote_plus(v))) for k, _, v in pairs)
    canonical = "\n".join(
        (
            method,
            quote(path, safe="/~"),
            "&".join(f"{k}={v}" for k, v in coded),
            *(f"{name}:{' '.join(headers[name].split())}" for name in names.split(";")),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{digest}"
    secret = f"AWS4{key.secret}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    expected = hmac.digest(secret, to_sign.encode(), "sha256").hex()
    if not hmac.compare_digest(expected, signature):
        return "The request signature we calculated does not match the signature you provided."
    return None


def _coded(text: str) -> str:
    return quote(text, safe="~")
