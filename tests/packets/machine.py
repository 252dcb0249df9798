"""A router's box: a disk that outlives it, power, and its own first process that boots from the disk alone."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.packets import net, units
from tests.packets.linklocal import NAMES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Mapping

    from chalicelib.core.tunnel.render import Bundle

IMAGE = ("alternatives", "group", "iproute2", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf",
         "passwd", "protocols", "services", "ssl/openssl.cnf")  # fmt: skip
"""What a fresh disk has of this system's /etc: what programs need to run, and no settings of anybody's."""

_PROGRAMS = Path("/usr/local/lib/lab")


@dataclass(frozen=True)
class Line:
    """One line of a machine's journal; `at` is on the monotonic clock."""

    at: float
    unit: str
    text: str


def install_programs() -> None:
    """Put the stand-in for systemd where every machine finds it; before the first machine."""
    here = Path(__file__).parent
    shutil.rmtree(_PROGRAMS, ignore_errors=True)
    for folder in ("lab", "mooring"):
        Path("/usr/local/lib", folder).mkdir(exist_ok=True)
    for name in ("init.py", "units.py"):
        shutil.copy(here / name, _PROGRAMS)
    for name in IMAGE:
        source, target = Path("/etc", name), _PROGRAMS / "etc" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        elif source.exists():
            shutil.copy(source, target)
    (_PROGRAMS / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
    python = Path(sys.executable).resolve()
    systemctl = Path("/usr/local/sbin/systemctl")
    systemctl.parent.mkdir(exist_ok=True)
    systemctl.write_text(f'#!/bin/sh\nexec {python} -I -S {_PROGRAMS}/init.py "$@"\n')
    systemctl.chmod(0o755)


class Machine:
    """One box, in the namespace of its instance's id."""

    def __init__(self, namespace: str, disk: Path) -> None:
        self.namespace, self.disk = namespace, disk
        self._power: subprocess.Popen[str] | None = None
        (disk / "usr/local/lib/mooring").mkdir(parents=True)
        shutil.copytree(_PROGRAMS / "etc", disk / "etc", symlinks=True)
        (disk / "etc/resolv.conf").write_text(f"nameserver {NAMES}\noptions timeout:1 attempts:2\n")
        (disk / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (disk / "journal").touch()

    def install(self, bundle: Bundle, secrets: Mapping[str, Path], enabled: Iterable[str]) -> None:
        """Write a bundle and the secrets it names to the disk, and enable its units."""
        for file in bundle.files:
            path = self._path(file.path)
            path.write_text(file.text)
            path.chmod(file.mode)
        for name, source in secrets.items():
            path = self._path(name)
            shutil.copy(source, path)
            path.chmod(0o600)
        for unit in enabled:
            units.enable(unit, self.disk)

    def _path(self, absolute: str) -> Path:
        path = self.disk / absolute.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    # -- power ---------------------------------------------------------------------------------------

    @property
    def on(self) -> bool:
        """Whether it has power."""
        return self._power is not None

    def power_on(self) -> None:
        """Boot it, unless it runs; its namespace is there and empty."""
        if self._power is not None:
            return
        self._power = net.start(
            *net.inside(self.namespace, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            str(Path(sys.executable).resolve()), "-I", "-S", f"{_PROGRAMS}/init.py", str(self.disk),
        )  # fmt: skip

    def power_off(self) -> None:
        """Take the power: everything on it is dead at once."""
        if self._power is not None:
            self._power.send_signal(signal.SIGKILL)
            self._power.wait()
            self._power = None
            with (self.disk / "journal").open("a") as journal:
                journal.write(f"{time.monotonic():.6f} init power lost\n")

    # -- using it ------------------------------------------------------------------------------------

    def run(self, *command: str, stdin: str | None = None, check: bool = True) -> str:
        """Run a command on it."""
        where = ("nsenter", "-t", str(self._first()), "--mount", "--pid", "--net")
        return net.run(*where, *command, stdin=stdin, check=check).stdout

    def _first(self) -> int:
        """Return its first process's id, once it has one."""
        assert self._power is not None
        children = Path(f"/proc/{self._power.pid}/task/{self._power.pid}/children")
        for _ in range(500):
            if found := children.read_text().split():
                return int(found[0])
            time.sleep(0.01)
        raise TimeoutError(f"{self.namespace} does not boot")

    def journal(self) -> list[Line]:
        """Read its journal."""
        lines = (line.split(" ", 2) for line in (self.disk / "journal").read_text().splitlines())
        return [Line(float(at), unit, text) for at, unit, text in lines]

    def said(self, text: str, since: float = 0) -> float | None:
        """Return when its journal had a text first, since a moment; None when it had not."""
        return next((line.at for line in self.journal() if line.at >= since and text in line.text), None)
