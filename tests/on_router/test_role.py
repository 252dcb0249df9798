"""The tunnel follows the Elastic IP by the metadata service alone; what cannot be seen changes nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stand_ins import metadata as imds

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLE = Path(__file__).parents[2] / "chalicelib" / "on_router" / "files" / "role.py"
ELASTIC, PRIVATE = "203.0.113.1", "10.0.0.4"
UNIT = "openvpn-client@mooring.service"
MAC, OTHER_MAC = "0a:ff:ee:dd:cc:01", "0a:ff:ee:dd:cc:02"

SYSTEMCTL = """\
#!/bin/bash
# systemctl as far as the role asks it: remembers the unit's state in a file, and writes down what it was told.
[ -e "$FOLDER/broken" ] && { echo "Failed to connect to bus" >&2; exit 1; }
case $1 in
  is-active) cat "$FOLDER/state"; [ "$(cat "$FOLDER/state")" = active ] ;;
  start) echo "$*" >>"$FOLDER/told"; echo active >"$FOLDER/state" ;;
  stop) echo "$*" >>"$FOLDER/told"; echo inactive >"$FOLDER/state" ;;
esac
"""


class Metadata(imds.Metadata):
    """The service of one instance; `associated` leads Elastic IPs to private addresses."""

    def __init__(self, private: str) -> None:
        super().__init__(self._of_the_instance)
        self.interfaces = {OTHER_MAC: ["10.0.10.9"], MAC: [private]}
        self.associated: dict[str, str] = {}
        self.flickers = False
        """Every other question for an association finds none."""
        self._answers = 0
        self.url = ""

    def _of_the_instance(self, _: str, path: str) -> str | None:
        if "/ipv4-associations/" in path:
            self._answers += 1
            if self.flickers and self._answers % 2:
                return None
        own = (imds.Interface(mac, mine, self.associated) for mac, mine in self.interfaces.items())
        return dict(imds.tree(own)).get(path)


class Router:
    """One router: the role as it runs there, with a systemctl that writes down what it is told."""

    def __init__(self, folder: Path, metadata: Metadata) -> None:
        self.folder, self.metadata = folder, metadata
        (folder / "systemctl").write_text(SYSTEMCTL)
        (folder / "systemctl").chmod(0o755)
        (folder / "told").touch()
        (folder / "role.json").write_text(
            json.dumps({"elastic_ip": ELASTIC, "private_address": PRIVATE, "poll_seconds": 0.02})
        )
        self.state = "inactive"
        self.environment = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "FOLDER": str(folder),
            "MOORING_ROLE": str(folder / "role.json"),
            "MOORING_METADATA": metadata.url,
            "http_proxy": "http://192.0.2.1:9",  # the metadata service is asked directly, whatever the machine is told
        }
        self._log: list[str] = []

    def start(self) -> None:
        """Start the role."""
        self.process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, str(ROLE)], env=self.environment, stdout=subprocess.PIPE, text=True
        )

    def stop(self) -> None:
        """Stop the role, and take what it logged."""
        self.process.terminate()
        out, _ = self.process.communicate(timeout=30)
        self._log += out.splitlines()

    @property
    def state(self) -> str:
        """The unit's state."""
        return (self.folder / "state").read_text().strip()

    @state.setter
    def state(self, state: str) -> None:
        (self.folder / "state").write_text(f"{state}\n")

    @property
    def told(self) -> list[str]:
        """What systemctl was told to do."""
        return (self.folder / "told").read_text().splitlines()

    @property
    def log(self) -> list[str]:
        """What the role logged until it was stopped."""
        return self._log

    def look(self, times: int = 3) -> None:
        """Wait until the role has looked at least so often; no look asks for more than seven things."""
        self.metadata.looks(7 * times)

    def hears(self, line: str) -> None:
        """Wait for a line of the log."""
        assert self.process.stdout is not None
        for heard in self.process.stdout:
            self._log.append(heard.strip())
            if line in heard:
                return
        pytest.fail(f"ended without saying {line!r}: {self._log}")


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    """Return the metadata service of the instance."""
    service = Metadata(PRIVATE)
    with imds.MetadataServer(service) as server:
        service.url = server.url
        yield service


@pytest.fixture
def router(tmp_path: Path, metadata: Metadata) -> Iterator[Router]:
    """Return a router whose role is yet to start."""
    one = Router(tmp_path, metadata)
    yield one
    if one.process.poll() is None:
        one.process.kill()
    one.process.communicate()


def test_router_with_the_address_starts_its_tunnel(router: Router, metadata: Metadata) -> None:
    """Who holds the Elastic IP runs the tunnel, and is told to once."""
    metadata.associated[ELASTIC] = PRIVATE

    router.start()
    router.look()
    router.stop()

    assert router.told == [f"start --no-block {UNIT}"]
    assert router.log == ["203.0.113.1 is here: the tunnel runs"]


def test_router_without_the_address_leaves_the_tunnel_down(router: Router, metadata: Metadata) -> None:
    """A standby is quiet: nothing is started, and nothing that is down is stopped."""
    metadata.associated["198.51.100.9"] = PRIVATE

    router.start()
    router.look()
    router.stop()

    assert router.told == []
    assert router.log == ["203.0.113.1 is elsewhere: the tunnel is down"]


def test_address_that_moves_away_and_back_takes_the_tunnel_along(router: Router, metadata: Metadata) -> None:
    """The loser fences itself, and the winner starts, each with one line in the log."""
    metadata.associated[ELASTIC] = PRIVATE
    router.start()
    router.hears("is here")
    del metadata.associated[ELASTIC]
    router.hears("is elsewhere")
    assert router.state == "inactive"
    metadata.associated[ELASTIC] = PRIVATE
    router.hears("is here")

    assert router.told == [f"{word} --no-block {UNIT}" for word in ("start", "stop", "start")]
    assert len(router.log) == 3


def test_address_on_another_of_the_instances_addresses_is_elsewhere(
    router: Router, metadata: Metadata
) -> None:
    """The router is where the Elastic IP leads to the declared private address, not to any of the instance's."""
    metadata.interfaces[MAC] = [PRIVATE, "10.0.0.5"]
    metadata.associated[ELASTIC] = "10.0.0.5"
    router.state = "active"

    router.start()
    router.hears("is elsewhere")

    assert router.told == [f"stop --no-block {UNIT}"]


def test_interface_that_was_detached_is_elsewhere(router: Router, metadata: Metadata) -> None:
    """With the interface goes the address, wherever it is associated."""
    metadata.associated[ELASTIC] = PRIVATE
    del metadata.interfaces[MAC]
    router.state = "active"

    router.start()
    router.hears("is elsewhere")

    assert router.state == "inactive"


def test_one_no_among_yeses_stops_nothing(router: Router, metadata: Metadata) -> None:
    """A hiccup must not cost a working tunnel: only the second no in a row counts."""
    metadata.associated[ELASTIC] = PRIVATE
    router.state = "active"
    metadata.flickers = True

    router.start()
    router.look(8)
    router.stop()

    assert router.told == []


@pytest.mark.parametrize("fault", ["silent", "error", "garbage", "no-token", "refuses", "disabled"])
@pytest.mark.parametrize("state", ["active", "inactive"])
def test_blind_router_leaves_the_tunnel_as_it_is(
    router: Router, metadata: Metadata, fault: str, state: str
) -> None:
    """Whatever is wrong with the metadata service, a tunnel that runs goes on, and one that is down stays down."""
    router.state = state
    metadata.fault = fault  # type: ignore[assignment] # the parameter's words are the type's

    router.start()
    router.hears("the tunnel stays as it is")
    metadata.fault = None
    metadata.associated[ELASTIC] = PRIVATE
    router.hears("is here")

    assert router.told == ([] if state == "active" else [f"start --no-block {UNIT}"])
    assert len(router.log) == 2


def test_absent_metadata_service_is_blindness(router: Router, metadata: Metadata) -> None:
    """Nobody listening is no reason to stop."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    router.environment["MOORING_METADATA"] = f"http://127.0.0.1:{port}"
    router.state = "active"

    router.start()
    router.hears("the tunnel stays as it is")
    router.stop()

    assert router.told == []
    assert metadata.asked == []


def test_expired_token_is_renewed_within_the_look(router: Router, metadata: Metadata) -> None:
    """A token that ran out costs one question more and nothing else."""
    metadata.associated[ELASTIC] = PRIVATE
    router.start()
    router.hears("is here")
    metadata.tokens.clear()
    router.look()
    router.stop()

    assert len(metadata.tokens) == 1
    assert router.told == [f"start --no-block {UNIT}"]
    assert len(router.log) == 1


def test_tunnel_that_somebody_stopped_is_started_again(router: Router, metadata: Metadata) -> None:
    """The unit's state is looked at each time, not remembered."""
    metadata.associated[ELASTIC] = PRIVATE
    router.start()
    router.hears("is here")
    router.state = "failed"
    router.look()

    assert router.state == "active"


def test_tunnel_that_is_about_to_restart_is_stopped_too(router: Router) -> None:
    """A client that dies over and over is down only by chance; on a standby it would throw the router out."""
    router.state = "activating"

    router.start()
    router.hears("is elsewhere")

    assert router.told == [f"stop --no-block {UNIT}"]


def test_systemctl_that_fails_is_told_of_and_tried_again(router: Router, metadata: Metadata) -> None:
    """What could not be done is said once, and done as soon as it can be."""
    metadata.associated[ELASTIC] = PRIVATE
    (router.folder / "broken").touch()
    router.start()
    router.hears("failed: systemctl start: Failed to connect to bus")
    (router.folder / "broken").unlink()
    router.hears("is here")

    assert router.state == "active"


def test_systemd_is_told_that_the_role_is_ready_and_alive(router: Router) -> None:
    """The watchdog restarts a role that hangs, so it must hear from one that does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(router.folder / "notify"))
        systemd.settimeout(30)
        router.environment["NOTIFY_SOCKET"] = str(router.folder / "notify")
        router.start()
        heard = [systemd.recv(99) for _ in range(3)]

    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_role_that_ends_leaves_the_tunnel_as_it_is(router: Router, metadata: Metadata) -> None:
    """A push that replaces the role must not cost the tunnel."""
    metadata.associated[ELASTIC] = PRIVATE
    router.start()
    router.hears("is here")
    router.stop()

    assert router.process.returncode == 0
    assert router.state == "active"
