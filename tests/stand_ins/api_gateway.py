"""API Gateway in this process: makes the events of a REST API's Lambda proxy integration, for IAM identities."""

from __future__ import annotations

import base64
import json
import re
import uuid
from http.client import responses
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from types import ModuleType
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ACCOUNT, REGION = "123456789012", "eu-west-1"
OPERATOR = f"arn:aws:iam::{ACCOUNT}:user/anna"


def proxied(  # noqa: PLR0913 - what a request is made of
    method: str,
    path: str,
    body: bytes,
    *,
    route: tuple[str, dict[str, str]],
    content_type: str | None = "application/json",
    query: dict[str, list[str]] | None = None,
    by: str | None = OPERATOR,
    binary: bool = False,
) -> dict[str, Any]:
    """Make the event of a Lambda proxy integration (API Gateway developer guide, "Input format of a Lambda function").

    `route` is the route's path and the names that a request's path gives it.
    """
    resource, names = route
    headers = {"Host": "api.execute-api.eu-west-1.amazonaws.com", "Accept": "*/*"}
    if content_type is not None:
        headers["Content-Type"] = content_type
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} if query else None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": names or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "api",
            "httpMethod": method,
            "identity": {
                "accessKey": "AKIAIOSFODNN7EXAMPLE" if by else None,
                "accountId": ACCOUNT if by else None,
                "caller": "AIDACKCEVSQ6C2EXAMPLE" if by else None,
                "sourceIp": "198.51.100.7",
                "user": "AIDACKCEVSQ6C2EXAMPLE" if by else None,
                "userAgent": "mooring",
                "userArn": by,
            },
            "path": f"/v1{path}",
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "resourcePath": resource,
            "stage": "v1",
        },
        "body": (base64.b64encode(body).decode() if binary else body.decode(errors="replace")) or None,
        "isBase64Encoded": binary,
    }


def matched(route: str, path: str) -> dict[str, str] | None:
    """Match a path with a route's; give the names in it, or None."""
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(route))
    found = re.fullmatch(pattern, path)
    return found and {name: unquote(value) for name, value in found.groupdict().items()}


def asked(  # noqa: PLR0913 - what a request is made of
    app: ModuleType,
    method: str,
    path: str,
    body: bytes,
    *,
    content_type: str | None,
    query: dict[str, list[str]] | None,
    by: str | None,
) -> dict[str, Any]:
    """Make the event for an app of Chalice's; API Gateway itself refuses a path or method it has no route for.

    Here such a one is passed on as its own route, to see what becomes of it.
    """
    found = ((route, matched(route, path)) for route in app.app.routes)
    route: tuple[str, dict[str, str]] = next(
        ((one, names) for one, names in found if names is not None), (path, {})
    )
    binary = (content_type or "").partition(";")[0] in app.app.api.binary_types
    return proxied(
        method, path, body, route=route, content_type=content_type, query=query, by=by, binary=binary
    )


def wsgi(app: ModuleType, context: object) -> WSGIApplication:
    """Return the API's stage v1 as a WSGI application; a request without a SigV4 signature has no identity."""

    def serve(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        size = int(environ.get("CONTENT_LENGTH") or 0)
        signed = environ.get("HTTP_AUTHORIZATION", "").startswith("AWS4-HMAC-SHA256 ")
        event = asked(
            app,
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"].encode("latin-1").decode(errors="replace").removeprefix("/v1"),
            environ["wsgi.input"].read(size),
            content_type=environ.get("CONTENT_TYPE") or None,
            query=parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True),
            by=OPERATOR if signed else None,
        )
        answer = json.loads(json.dumps(app.app(event, context)))  # as it leaves Lambda
        status = answer["statusCode"]
        start(f"{status} {responses.get(status, '')}", list(answer["headers"].items()))
        return [answer["body"].encode()]

    return serve
