"""What an AWS request on the wire asks for, and how AWS words an error in each of its protocols."""

from __future__ import annotations

import json
import re
import urllib.parse
import uuid
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

READS = re.compile(
    r"^(Describe|Get|List|BatchGet|Query|Scan|TransactGet|Search|Lookup|Head|Validate|Test|Simulate|"
    r"Estimate|Filter|AssumeRole|HEAD |GET )"
)
HAND = "by/hand"  # in the user agent of the clients that a test or the demo holds itself


class Protocol(Enum):
    """How a service speaks; it decides how an error must look."""

    EC2 = auto()
    QUERY = auto()
    JSON = auto()
    CBOR = auto()
    REST_XML = auto()
    REST_JSON = auto()


@dataclass(frozen=True)
class Call:
    """One AWS request that was served; times are seconds on the monotonic clock."""

    service: str
    operation: str
    params: dict[str, Any]
    write: bool
    at: float
    until: float
    error: str | None
    by: str


@dataclass(frozen=True)
class Request:
    """One AWS request, understood."""

    service: str
    operation: str
    protocol: Protocol
    params: dict[str, Any]
    by: str

    @property
    def write(self) -> bool:
        """Whether it would change anything: a dry run never does."""
        return not READS.match(self.operation) and str(self.params.get("DryRun", "")).lower() != "true"


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def understand(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Request:
    """Read service, operation and parameters from a request, as AWS's front door does."""
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", headers.get("Authorization", ""))
    service = scope.group(1) if scope else "unknown"
    by = "hand" if HAND in headers.get("User-Agent", "") else "product"
    target = headers.get("X-Amz-Target")
    url = urllib.parse.urlsplit(path)
    if target:
        return Request(service, target.rpartition(".")[2], Protocol.JSON, json.loads(body or b"{}"), by)
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return Request(service, url.path.rpartition("/")[2], Protocol.CBOR, {}, by)
    if headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        protocol = Protocol.EC2 if service == "ec2" else Protocol.QUERY
        return Request(service, form.pop("Action", ""), protocol, form, by)
    protocol = Protocol.REST_XML if service == "s3" else Protocol.REST_JSON
    return Request(service, f"{method} {url.path}", protocol, dict(urllib.parse.parse_qsl(url.query)), by)


def refusal(request: Request, code: str, status: int, message: str) -> Reply:
    """Word an error so that botocore reads the code and the message from it."""
    name, said, asked = escape(code), escape(message), uuid.uuid4()
    headers = [("Content-Type", "text/xml;charset=UTF-8"), ("x-amzn-RequestId", str(asked))]
    match request.protocol:
        case Protocol.EC2:
            text = (
                f"<Response><Errors><Error><Code>{name}</Code><Message>{said}</Message></Error></Errors>"
                f"<RequestID>{asked}</RequestID></Response>"
            )
        case Protocol.QUERY:
            text = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{name}</Code><Message>{said}</Message>"
                f"</Error><RequestId>{asked}</RequestId></ErrorResponse>"
            )
        case Protocol.REST_XML:
            text = (
                f"<Error><Code>{name}</Code><Message>{said}</Message><RequestId>{asked}</RequestId></Error>"
            )
        case Protocol.CBOR:
            fields = b"".join(_cbor_text(field) for field in ("__type", code, "message", message))
            headers = [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]
            return Reply(status, headers, b"\xa2" + fields)
        case Protocol.JSON | Protocol.REST_JSON:
            text = json.dumps({"__type": code, "message": message})
            headers = [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)]
            headers += [("x-amzn-query-error", f"{code};Sender"), ("x-amzn-RequestId", str(asked))]
    return Reply(status, headers, text.encode())


def error_code(reply: Reply) -> str | None:
    """Read AWS's error code out of a reply; None when it was a success."""
    if reply.status < 400:
        return None
    found = re.search(rb"<Code>([^<]+)</Code>|\"__type\":\s*\"(?:[^\"#]*#)?([^\"]+)\"", reply.body)
    return (found.group(1) or found.group(2)).decode() if found else str(reply.status)


def _cbor_text(text: str) -> bytes:
    data = text.encode()
    return b"\x79" + len(data).to_bytes(2, "big") + data
