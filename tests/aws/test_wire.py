"""How requests reach AWS: over connections that are kept, trusting what botocore would trust, with botocore's errors."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from cryptography import x509

from chalicelib.aws.wire import IDLE, KEPT, Patience, Wire
from chalicelib.bootstrap import Edge, connect
from chalicelib.core.errors import ControllerError
from tests.stand_ins.pki import SERVER, ca, issue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPConnection
    from pathlib import Path

    from tests.fake_aws import World

SOON = Patience(connect=0.3, read=0.3)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _as_it_is(connection: socket.socket, *, server_side: bool) -> socket.socket:
    del server_side
    return connection


def _request(shown: socket.socket) -> bytes:
    """Read one request, its body as long as it says."""
    asked = b""
    while b"\r\n\r\n" not in asked or len(asked.partition(b"\r\n\r\n")[2]) < _length(asked):
        more = shown.recv(1 << 16)
        if not more:
            return b""
        asked += more
    return asked


def _length(asked: bytes) -> int:
    found = re.search(rb"content-length: (\d+)", asked, re.IGNORECASE)
    return int(found[1]) if found else 0


class Peer:
    """A server that gives each request the next of its replies, and None for hanging up."""

    def __init__(self, *replies: bytes | None, by: ssl.SSLContext | None = None) -> None:
        self.heard: list[bytes] = []
        self.connections = 0
        self._replies, self._context = list(replies), by
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        wrap = self._context.wrap_socket if self._context else _as_it_is
        with contextlib.suppress(OSError), connection, wrap(connection, server_side=True) as shown:
            self._open.append(shown)
            while asked := _request(shown):
                self.heard.append(asked)
                reply = self._replies.pop(0)
                if reply is None:
                    return
                shown.sendall(reply)

    def hang_up(self) -> None:
        """End the connections that are open."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    """Servers to be closed."""
    opened: list[Peer] = []
    yield opened
    for peer in opened:
        peer.close()


def _peer(peers: list[Peer], *replies: bytes | None, by: ssl.SSLContext | None = None) -> Peer:
    peers.append(Peer(*replies, by=by))
    return peers[-1]


def _ask(wire: Wire, peer: Peer, scheme: str = "http") -> bytes:
    return wire.send("POST", f"{scheme}://{peer.host}/", {}, b"Action=Test", SOON).content


def _authority(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a server's side of TLS, and the file by which it is trusted."""
    server = issue("127.0.0.1", ca(), uses=SERVER, hosts=(x509.IPAddress(IPv4Address("127.0.0.1")),))
    pair, bundle = folder / "server.pem", folder / "bundle.pem"
    pair.write_bytes(server.pem + server.key_pem())
    bundle.write_bytes(ca().pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return context, bundle


def test_connection_is_used_again(peers: list[Peer]) -> None:
    """A handshake costs more than a request."""
    peer, wire = _peer(peers, OK, OK, OK), Wire()
    assert [_ask(wire, peer) for _ in range(3)] == [b"ok"] * 3
    assert peer.connections == 1


def test_connection_that_aws_has_ended_is_made_anew(peers: list[Peer]) -> None:
    """After a minute in which nothing is asked it is ended: the next request notices before it is sent."""
    peer, wire = _peer(peers, OK, OK), Wire()
    _ask(wire, peer)
    peer.hang_up()
    assert _ask(wire, peer) == b"ok"
    assert (peer.connections, len(peer.heard)) == (2, 2)


def test_connection_that_was_idle_for_long_is_not_trusted(
    peers: list[Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a function is frozen nothing tells it of an end, and no clock but the wall's goes on."""
    peer, wire, now = _peer(peers, OK, OK, OK, OK), Wire(), time.time()
    for later in (0, IDLE - 1, 2 * IDLE, IDLE):  # the last goes back: a clock that was set
        monkeypatch.setattr("chalicelib.aws.wire.time.time", lambda later=later: now + later)
        _ask(wire, peer)
    assert peer.connections == 3


def test_connection_that_aws_will_end_is_not_kept(peers: list[Peer]) -> None:
    """It says so in its answer."""
    last = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    peer, wire = _peer(peers, last, OK), Wire()
    assert [_ask(wire, peer) for _ in range(2)] == [b"ok"] * 2
    assert peer.connections == 2


def test_no_more_connections_are_kept_than_are_of_use(peers: list[Peer]) -> None:
    """A burst leaves no pile of open sockets."""
    peer, wire = _peer(peers), Wire()
    many = [wire._open(f"http://{peer.host}/", 1) for _ in range(KEPT + 3)]
    for connection in many:
        wire._keep(("http", peer.host), connection)
    assert sum(connection.sock is not None for connection in many) == KEPT


def test_certificates_are_read_once_for_all_connections(
    peers: list[Peer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading them takes many times what a handshake takes."""
    context, bundle = _authority(tmp_path)
    read: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def counted(self: ssl.SSLContext, *args: object, **kwargs: object) -> None:
        read.append(kwargs or args)
        load(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    peer, wire = _peer(peers, OK, OK, OK, by=context), Wire(str(bundle))
    for _ in range(3):
        assert _ask(wire, peer, "https") == b"ok"
        peer.hang_up()
    assert (peer.connections, len(read)) == (3, 1)


def test_server_nobody_vouches_for_is_sent_nothing(peers: list[Peer], tmp_path: Path) -> None:
    """A signed request goes to AWS alone: neither a strange authority's server hears it, nor one of another name."""
    context, bundle = _authority(tmp_path)
    peer = _peer(peers, OK, OK, by=context)
    with pytest.raises(SSLError):
        _ask(Wire(), peer, "https")
    with pytest.raises(SSLError):
        Wire(str(bundle)).send("POST", f"https://localhost:{peer.host.split(':')[1]}/", {}, b"", SOON)
    assert peer.heard == []


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ([None], ConnectionClosedError),
        ([OK[:-1], None], ReadTimeoutError),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok"], ReadTimeoutError),
        ([b"\x15\x03\x01 what\r\n\r\n"], ConnectionClosedError),
        ([b""], ReadTimeoutError),
    ],
    ids=["lost", "half", "half and closing", "no HTTP", "silence"],
)
def test_answer_that_does_not_come_whole_is_an_error_of_botocores(
    peers: list[Peer], replies: list[bytes | None], error: type[BotoCoreError]
) -> None:
    """What retries and reports tell apart by these names keeps its meaning; nothing is taken for an answer."""
    peer, wire = _peer(peers, *replies), Wire()
    with pytest.raises(error):
        _ask(wire, peer)
    assert wire._idle == {}


def test_answer_cut_off_is_no_answer(peers: list[Peer]) -> None:
    """Half a page of route tables must not look like fewer tables."""
    peer, wire = _peer(peers, OK[:-1]), Wire()
    threading.Timer(0.05, peer.hang_up).start()
    with pytest.raises(ConnectionClosedError):
        _ask(wire, peer)


def test_nobody_there_is_an_error_of_botocores() -> None:
    """Refused at once, or no name."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/", "http://nowhere.invalid/"):
        with pytest.raises(EndpointConnectionError):
            Wire().send("GET", url, {}, None, SOON)


def test_handshake_that_is_never_answered_is_given_up(peers: list[Peer]) -> None:
    """It is part of connecting, and has the time of it."""
    peer = _peer(peers, b"")
    with pytest.raises(ConnectTimeoutError):
        _ask(Wire(), peer, "https")


def test_clients_that_are_carried_share_their_connections(peers: list[Peer], world: World) -> None:
    """A client's requests are sent here, signed by botocore and answered to it; what one opened, another uses."""
    edge = Edge(world.session, world.endpoint_url)
    edge.ec2.read("DescribeVpcs", "Vpcs", {})
    first = _kept(edge.wire)
    assert edge.cloudformation.describe_stacks()["Stacks"] == []
    assert list(first) == [("http", world.endpoint_url.removeprefix("http://"))]
    assert _kept(edge.wire) == first


def _kept(wire: Wire) -> dict[tuple[str, str], list[HTTPConnection]]:
    return {host: [connection for _, connection in idle] for host, idle in wire._idle.items()}


@pytest.mark.parametrize("call", ["read", "write"])
def test_behind_a_proxy_requests_go_by_it(
    peers: list[Peer], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """As the AWS CLI's do, reads and writes alike."""
    xml = b"<DescribeVpcsResponse><vpcSet/></DescribeVpcsResponse>"
    said = {"read": xml, "write": b"<AssociateDhcpOptionsResponse></AssociateDhcpOptionsResponse>"}[call]
    proxy = _peer(peers, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    edge = connect("eu-west-1", endpoint_url="http://ec2.example")
    if call == "read":
        assert edge.ec2.read("DescribeVpcs", "Vpcs", {}) == []
    else:
        edge.ec2.write("AssociateDhcpOptions", {"VpcId": "vpc-1"}, seconds=1)
    assert proxy.heard[0].startswith(b"POST http://ec2.example/ HTTP/1.1\r\n")


@pytest.mark.parametrize("named", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "the profile"])
def test_bundle_that_is_named_is_what_is_trusted(
    peers: list[Peer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """In the places where botocore looks for it."""
    for variable in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    context, bundle = _authority(tmp_path)
    if named == "the profile":
        (tmp_path / "config").write_text(f"[profile ops]\nca_bundle = {bundle}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_PROFILE", "ops")
    else:
        monkeypatch.setenv(named, str(bundle))
    peer = _peer(peers, OK, by=context)
    edge = connect("eu-west-1", endpoint_url=f"https://{peer.host}")
    assert _ask(edge.wire, peer, "https") == b"ok"


def test_bundle_that_cannot_be_read_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At once, when the first client is made."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(ControllerError, match=r"none\.pem cannot be read"):
        _ = connect("eu-west-1", endpoint_url="https://127.0.0.1:9").ec2
