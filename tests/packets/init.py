"""A machine's first process: mounts its disk, boots the units that are enabled, keeps them, and obeys `systemctl`.

It stands in for systemd where there is none, for what a router's units use: ExecStart and its Pre, Post and Stop,
Type=oneshot, RemainAfterExit, Restart, RestartSec, the start limit, After and Before at boot, Requires and Wants,
RuntimeDirectory, Environment, KillMode, drop-ins, templates, tmpfiles. Sandboxing directives are not applied, and a
service of type notify counts as started once it runs.

    init.py DISK        as process 1 of a new mount and process namespace
    systemctl …         by its other name, on the machine
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from tests.packets import units
    from tests.packets.units import Unit
else:  # a machine has no Mooring on it: this file and the one beside it are all
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import units

SOCKET = "/run/init.sock"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
LIMIT, INTERVAL = 5, 10.0
"""systemd's start limit (systemd-system.conf: DefaultStartLimitBurst, DefaultStartLimitIntervalSec)."""


class Service:
    """One unit at work."""

    def __init__(self, unit: Unit, journal: Journal) -> None:
        self.unit, self.journal = unit, journal
        self.state = "inactive"
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None
        self._starts: list[float] = []
        self._turn = threading.Lock()

    def start(self) -> bool:
        """Start it unless it runs; say whether it does now."""
        with self._turn:
            if self.state in ("active", "activating"):
                return True
            self._stopping.clear()
            if self.unit.last("Service.Type", "simple") == "oneshot":
                return self._once()
            if not self._launch():
                return False
            self._keeper = threading.Thread(target=self._keep, daemon=True)
            self._keeper.start()
            return True

    def stop(self) -> None:
        """Stop it, and wait until it has."""
        with self._turn:
            self._stopping.set()
            if self.state == "active":
                self._run("Service.ExecStop")
            if self._process is not None and self._process.poll() is None:
                self._signal(signal.SIGTERM)
                try:
                    self._process.wait(self.unit.seconds("Service.TimeoutStopSec", 90))
                except subprocess.TimeoutExpired:
                    self._signal(signal.SIGKILL)
            if self._keeper is not None:
                self._keeper.join()
                self._keeper = None
            if self.state != "inactive":
                self._run("Service.ExecStopPost")
                self.journal.write(self.unit.name, "stopped")
            self.state = "inactive"

    def _once(self) -> bool:
        self.state = "activating"
        self.journal.write(self.unit.name, "starting")
        good = all(self._run(f"Service.{key}") for key in ("ExecStartPre", "ExecStart", "ExecStartPost"))
        stays = self.unit.last("Service.RemainAfterExit") in ("yes", "true", "1", "on")
        self.state = "failed" if not good else "active" if stays else "inactive"
        self.journal.write(self.unit.name, "finished" if good else "FAILED")
        return good

    def _launch(self) -> bool:
        now = time.monotonic()
        interval = self.unit.seconds("Unit.StartLimitIntervalSec", INTERVAL)
        burst = int(self.unit.last("Unit.StartLimitBurst", str(LIMIT)))
        self._starts = [at for at in self._starts if now - at < interval]
        if interval and len(self._starts) >= burst:
            self.journal.write(self.unit.name, "start request repeated too quickly")
            self.state = "failed"
            return False
        self._starts.append(now)
        self.state = "activating"
        if not self._run("Service.ExecStartPre"):
            self.state = "failed"
            return False
        ((command, _),) = self.unit.commands("Service.ExecStart")
        self._process = self._popen(command)
        self.journal.write(self.unit.name, "started")
        self.state = "active"
        self._run("Service.ExecStartPost")
        return True

    def _keep(self) -> None:
        """Wait for its end, and start it again when it is to be."""
        while True:
            process = self._process
            if process is None or process.stdout is None:
                return
            for line in process.stdout:
                self.journal.write(self.unit.name, line.rstrip("\n"))
            code = process.wait()
            self.journal.write(self.unit.name, f"exited, {code}")
            if self._stopping.is_set():
                return
            policy = self.unit.last("Service.Restart", "no")
            if policy != "always" and not (policy == "on-failure" and code):
                self.state = "failed" if code else "inactive"
                return
            self.state = "activating"
            if self._stopping.wait(self.unit.seconds("Service.RestartSec", 0.1)) or not self._launch():
                return

    def _run(self, key: str) -> bool:
        for command, strict in self.unit.commands(key):
            process = self._popen(command)
            assert process.stdout is not None
            for line in process.stdout:
                self.journal.write(self.unit.name, line.rstrip("\n"))
            if process.wait() and strict:
                self.journal.write(self.unit.name, f"{command[0]} failed, {process.returncode}")
                return False
        return True

    def _popen(self, command: list[str]) -> subprocess.Popen[str]:
        environment = ENVIRONMENT | dict(
            word.split("=", 1) for word in self.unit.words("Service.Environment")
        )
        for name in self.unit.words("Service.RuntimeDirectory"):
            Path("/run", name).mkdir(parents=True, exist_ok=True)
            environment["RUNTIME_DIRECTORY"] = f"/run/{name}"
        return subprocess.Popen(  # noqa: S603 - what its unit says
            command,
            cwd=self.unit.last("Service.WorkingDirectory", "/"),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    def _signal(self, number: int) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            if self.unit.last("Service.KillMode", "control-group") == "process":
                self._process.send_signal(number)
            else:
                os.killpg(self._process.pid, number)


class Journal:
    """What services say, a line each: seconds on the monotonic clock, unit, text."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._lock = out, threading.Lock()

    def write(self, unit: str, text: str) -> None:
        """Keep a line."""
        with self._lock:
            self._out.write(f"{time.monotonic():.6f} {unit} {text}\n")
            self._out.flush()


class Machine:
    """All services of a machine."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._services: dict[str, Service] = {}
        self._lock = threading.Lock()

    def boot(self) -> None:
        """Start what is enabled, each after what it comes after."""
        self.journal.write("init", "booting")
        for name in self._ordered(units.wanted()):
            self.start(name)
        self.journal.write("init", "booted")

    def start(self, name: str) -> bool:
        """Start a unit and what it requires; a unit that is not there is an error."""
        service = self._service(name)
        if service is None:
            self.journal.write("init", f"there is no {name}")
            return False
        for key in ("Unit.Requires", "Unit.Wants", "Unit.BindsTo"):
            for other in service.unit.words(key):
                if (
                    other.endswith(".service")
                    and units.load(other)
                    and not self.start(other)
                    and key != "Unit.Wants"
                ):
                    self.journal.write(name, f"{other} failed, which it requires")
                    return False
        return service.start()

    def obey(self, verb: str, names: list[str], options: list[str]) -> tuple[int, str]:
        """Do what `systemctl` was asked; give its exit status and output."""
        names = [n if "." in n else f"{n}.service" for n in names]
        match verb:
            case "start" | "restart" | "try-restart":
                if verb != "start":
                    self._each(names, lambda s: s.stop())
                done = [self.start(name) for name in names]
                return int(not all(done)), ""
            case "stop":
                self._each(names, lambda s: s.stop())
                return 0, ""
            case "is-active":
                states = [s.state if (s := self._service(name)) else "inactive" for name in names]
                return (0 if "active" in states else 3), "\n".join(states)
            case "enable":
                for name in names:
                    units.enable(name)
                return self.obey("start", names, []) if "--now" in options else (0, "")
            case "daemon-reload":
                self._reload()
                return 0, ""
            case "reset-failed":
                return 0, ""
        return 1, f"this stand-in for systemctl does not know: {verb}"

    def _each(self, names: list[str], do: object) -> None:
        for name in names:
            if service := self._service(name):
                do(service)  # type: ignore[operator]

    def _service(self, name: str) -> Service | None:
        with self._lock:
            if name not in self._services:
                unit = units.load(name)
                if unit is None:
                    return None
                self._services[name] = Service(unit, self.journal)
            return self._services[name]

    def _reload(self) -> None:
        with self._lock:
            for name, service in self._services.items():
                service.unit = units.load(name) or service.unit

    def _ordered(self, names: list[str]) -> list[str]:
        known = {name: unit for name in names if (unit := units.load(name))}
        before = {
            name: {n for n in known if n in unit.words("Unit.After") or name in known[n].words("Unit.Before")}
            for name, unit in known.items()
        }
        done: list[str] = []
        while len(done) < len(known):
            done += [next(n for n in known if n not in done and before[n] <= set(done))]
        return done


def _mount(disk: Path) -> None:
    """Put the machine's disk where its files belong, and memory where files do not outlive it."""
    mounts: list[tuple[str, ...]] = [
        ("--bind", str(disk / folder), f"/{folder}") for folder in ("etc", "usr/local/lib/mooring")
    ]
    mounts += [("-t", "tmpfs", "none", folder) for folder in ("/tmp", "/run")]  # noqa: S108 - the machine's own
    for mount in mounts:
        subprocess.run(["mount", *mount], check=True)  # noqa: S603, S607 - our own, found by PATH
    for rules in Path("/usr/lib/tmpfiles.d").glob("openvpn*.conf"):
        for line in rules.read_text().splitlines():
            if (words := line.split()) and words[0] == "d":
                Path(words[1]).mkdir(parents=True, exist_ok=True)


def boot(disk: Path) -> None:
    """Be a machine, until the power goes."""
    journal = Journal((disk / "journal").open("a"))
    _mount(disk)
    machine = Machine(journal)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(SOCKET)
        server.listen()
        threading.Thread(target=machine.boot, daemon=True).start()
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_serve, args=(machine, connection), daemon=True).start()


def _serve(machine: Machine, connection: socket.socket) -> None:
    with connection, connection.makefile("rw") as stream:
        words = json.loads(stream.readline())
        options = [word for word in words if word.startswith("-")]
        verb, *names = [word for word in words if not word.startswith("-")]
        if "--no-block" in options:
            threading.Thread(target=machine.obey, args=(verb, names, options), daemon=True).start()
            reply = (0, "")
        else:
            reply = machine.obey(verb, names, options)
        stream.write(json.dumps(reply) + "\n")


def systemctl(words: list[str]) -> int:
    """Ask the machine's first process."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(SOCKET)
        with client.makefile("rw") as stream:
            stream.write(json.dumps(words) + "\n")
            stream.flush()
            code, text = json.loads(stream.readline())
    if text and not {"-q", "--quiet"} & set(words):
        sys.stdout.write(f"{text}\n")
    return int(code)


if __name__ == "__main__":
    if os.getpid() == 1:
        boot(Path(sys.argv[1]))
    sys.exit(systemctl(sys.argv[1:]))
