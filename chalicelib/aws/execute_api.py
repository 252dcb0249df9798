"""The deployed API, called with SigV4: whoever may invoke it needs no other right in AWS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ConnectTimeoutError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from chalicelib.core.errors import ControllerError

if TYPE_CHECKING:
    from typing import TypeAlias

    from botocore.credentials import Credentials, ReadOnlyCredentials

    _Credentials: TypeAlias = Credentials | ReadOnlyCredentials

CONNECT, READ = 5, 35
"""Seconds; API Gateway itself gives a function up after 29 (API Gateway quotas)."""

_HOST = re.compile(r"[a-z0-9-]+\.execute-api\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and a body, whatever it is."""

    status: int
    body: bytes


class SignedApi:
    """The API at one URL, called as one identity."""

    def __init__(self, url: str, region: str, credentials: _Credentials, bundle: str | None = None) -> None:
        """Name a file of certificates to trust in `bundle`; without one, the usual ones are."""
        self._url, self._bundle = check(url), bundle
        self._sign = SigV4Auth(credentials, "execute-api", region)

    def call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Send one signed request; it is never sent a second time, nor after a redirection.

        Raises:
            ControllerError: there was no answer.
        """
        url = self._url + _coded(path)
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = AWSRequest(method, url, headers, body or b"")
        self._sign.add_auth(request)
        # What is signed goes to no proxy in plain text.
        proxies = get_environ_proxies(url) if url.startswith("https:") else {}
        session = URLLib3Session(
            verify=self._bundle or True,  # type: ignore[arg-type] # the stubs know less than botocore
            proxies=proxies,
            timeout=(CONNECT, READ),  # type: ignore[arg-type] # same
        )
        try:
            answer = session.send(request.prepare())
            return Answer(answer.status_code, answer.content)
        except BotoCoreError as error:
            raise _unanswered(method, url, error) from error
        finally:
            session.close()


def region_of(url: str) -> str | None:
    """Find the region in a URL that API Gateway gave; none in that of a domain of one's own."""
    found = _HOST.fullmatch(urlsplit(url).hostname or "") if _parted(url) else None
    return found[1] if found else None


def check(url: str) -> str:
    """Return a base URL without its last slash, if a signed request may go there.

    Raises:
        ControllerError: it is no URL, or would carry the request in plain text over a network.
    """
    parts = urlsplit(url) if _parted(url) else None
    if parts is None or parts.query or parts.fragment or parts.username is not None:
        raise ControllerError(
            "the API's URL is no URL",
            hint="such as https://ID.execute-api.REGION.amazonaws.com/v1, the stack's output EndpointURL",
        )
    if parts.scheme == "http" and not _loopback(parts.hostname or ""):
        raise ControllerError(
            f"nothing was sent to {parts.hostname}: a signed request goes in plain text to this machine only",
            hint="the API's URL begins with https://",
        )
    return url.rstrip("/")


def _coded(path: str) -> str:
    """Write a path's query as it is signed: botocore signs it as it stands, AWS as RFC 3986 would have it."""
    path, _, query = path.partition("?")
    pairs = urlencode(parse_qsl(query, keep_blank_values=True), quote_via=quote, safe="~")
    return f"{path}?{pairs}" if pairs else path


def _parted(url: str) -> bool:
    """Return whether it is a URL at all, one line of ASCII with a host."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return good and url.isascii() and url.isprintable() and " " not in url


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _unanswered(method: str, url: str, error: BotoCoreError) -> ControllerError:
    done = "; what it asked for may be done all the same" if method != "GET" else ""
    if isinstance(error, ReadTimeoutError):
        return ControllerError(
            f"the API did not answer {method} within {READ} seconds",
            hint=f"look at /topologies before you ask again{done}",
        )
    if isinstance(error, ConnectTimeoutError):
        return ControllerError(f"{urlsplit(url).hostname} did not answer in time", hint="check the network")
    return ControllerError(
        f"{method} {url} got no answer: {error}", hint=f"check the URL and the network{done}"
    )
