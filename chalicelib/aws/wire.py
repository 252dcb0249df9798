"""Sends signed requests over connections that all clients share, with the certificates to trust read once.

botocore's own session reads the whole bundle of certificates anew for each connection that it opens. That takes many times
the processor time of the handshake itself, and most of all that a run takes whose connections are cold, as they are after
a minute. So the clients' event `before-send` is answered from here: botocore uses a handler's response instead of sending.
All before and after it stays botocore's: signing, retries, parsing, errors.
"""

from __future__ import annotations

import select
import ssl
import threading
import time
import weakref
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import URLLib3Session, get_cert_path
from botocore.utils import get_environ_proxies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Self

    from botocore.client import BaseClient

    _Host: TypeAlias = tuple[str, str]
    _Headers: TypeAlias = Any  # a mapping: botocore has two kinds of its own, http.client a third

KEPT = 32
"""Connections to one host that stay open while nobody uses them."""

IDLE = 20.0
"""Seconds that they stay. A run's calls follow each other; the next run comes a minute later, to connections that AWS may have
ended while the function was frozen, and one that turns out so takes a retry with its pause."""


class Patience(NamedTuple):
    """Seconds to wait for a connection, and for each piece of an answer."""

    connect: float
    read: float

    @classmethod
    def of(cls, client: BaseClient) -> Self:
        """Return a client's own."""
        config: Any = client.meta.config  # whose settings are known when it is made
        return cls(config.connect_timeout, config.read_timeout)


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: _Headers
    content: bytes


class Wire:
    """Connections to AWS, kept for each host; any thread may send."""

    def __init__(self, bundle: str | None = None) -> None:
        """Name a file of certificates to trust in `bundle`; without one, botocore's own are trusted."""
        self._bundle = bundle
        self._idle: dict[_Host, list[tuple[float, HTTPConnection]]] = {}
        self._around: dict[_Host, dict[str, str]] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _end, self._idle)

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """Whom to believe.

        Raises:
            ValueError: the bundle cannot be read.
        """
        bundle = self._bundle or str(get_cert_path(verify=True))
        try:
            return ssl.create_default_context(cafile=bundle)
        except OSError as error:  # ssl's own are OSErrors, too
            raise ValueError(f"the certificates in {bundle} cannot be read: {error}") from error

    def carry(self, client: BaseClient) -> None:
        """Have a client's requests sent from here; what is read from or into a stream stays botocore's to send."""
        patience = Patience.of(client)

        def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
            if request.stream_output or not isinstance(request.body, bytes | str | None):
                return None
            body = request.body.encode() if isinstance(request.body, str) else request.body
            said = self.send(request.method, request.url, request.headers, body, patience)
            return AWSResponse(request.url, said.status, said.headers, _Content(said.content))

        if client.meta.endpoint_url.startswith("https:"):
            _ = self.trust  # at init, where Lambda gives a whole processor
        client.meta.events.register("before-send", answer)  # type: ignore[arg-type] # answers, as this event asks

    def send(
        self, method: str, url: str, headers: _Headers, body: bytes | None, patience: Patience
    ) -> Answer:
        """Send one request, once.

        Raises:
            ConnectTimeoutError, EndpointConnectionError, SSLError: nothing was sent.
            ReadTimeoutError, ConnectionClosedError: what was asked for may be done all the same.
        """
        parts = urlsplit(url)
        host = parts.scheme, parts.netloc
        if proxies := self._proxies(host, url):
            own: _Headers = HeadersDict(headers)
            request = AWSPreparedRequest(method, url, own, body, stream_output=False)
            return self._send_by_proxy(request, proxies, patience)
        connection = self._reuse(host) or self._open(url, patience.connect)
        try:
            connection.sock.settimeout(patience.read)
            connection.request(
                method, f"{parts.path or '/'}{parts.query and '?'}{parts.query}", body, headers
            )
            answer = connection.getresponse()
            said = Answer(answer.status, answer.headers, answer.read())
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise ReadTimeoutError(endpoint_url=url, error=error) from error
            if isinstance(error, OSError | HTTPException):
                raise ConnectionClosedError(endpoint_url=url, error=error) from error
            raise
        if answer.will_close:
            connection.close()
        else:
            self._keep(host, connection)
        return said

    def _proxies(self, host: _Host, url: str) -> dict[str, str]:
        """Return by which proxy a host is reached, as botocore reads it from the environment."""
        if host not in self._around:
            self._around[host] = get_environ_proxies(url)
        return self._around[host]

    def _send_by_proxy(
        self, request: AWSPreparedRequest, proxies: dict[str, str], patience: Patience
    ) -> Answer:
        """Leave a proxy's ways to botocore; operators have them, functions do not."""
        session = URLLib3Session(
            verify=self._bundle or True,  # type: ignore[arg-type] # the stubs know less than botocore
            proxies=proxies,
            timeout=tuple(patience),  # type: ignore[arg-type] # same
        )
        try:
            answer = session.send(request)
            return Answer(answer.status_code, answer.headers, answer.content)
        finally:
            session.close()

    def _reuse(self, host: _Host) -> HTTPConnection | None:
        """Take the connection that was used last and has not ended: what can be read from an idle one is its end."""
        while True:
            with self._lock:
                idle = self._idle.get(host)
                if not idle:
                    return None
                since, connection = idle.pop()
            # The clock on the wall: the other may stand still while a function is frozen.
            if 0 <= time.time() - since < IDLE and not _readable(connection):
                return connection
            connection.close()

    def _keep(self, host: _Host, connection: HTTPConnection) -> None:
        with self._lock:
            idle = self._idle.setdefault(host, [])
            if len(idle) < KEPT:
                idle.append((time.time(), connection))
                return
        connection.close()

    def _open(self, url: str, seconds: float) -> HTTPConnection:
        parts = urlsplit(url)
        host = str(parts.hostname), parts.port
        connection = (
            HTTPSConnection(*host, timeout=seconds, context=self.trust)
            if parts.scheme == "https"
            else HTTPConnection(*host, timeout=seconds)
        )
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise ConnectTimeoutError(endpoint_url=url, error=error) from error
            kind = SSLError if isinstance(error, ssl.SSLError) else EndpointConnectionError
            raise kind(endpoint_url=url, error=error) from error
        return connection


class _Content(BytesIO):
    """An answer's bytes, as `AWSResponse` reads them."""

    def stream(self, **_: object) -> Iterator[bytes]:
        """Return them all at once."""
        yield self.read()


def _end(idle: dict[_Host, list[tuple[float, HTTPConnection]]]) -> None:
    for _, connection in (one for kept in idle.values() for one in kept):
        connection.close()


def _readable(connection: HTTPConnection) -> bool:
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
