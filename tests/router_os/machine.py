"""One router: Debian's own systemd as PID 1, booted by systemd-nspawn in the testbed's network namespace `router`.

What it writes lies on a small disk of its own (a tmpfs of 64 MB over the cached root), so that a test can fill it.
The commands, and why each is needed: docs/push.md; reference: systemd-nspawn(1).
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.router_os.testbed import Testbed

DISK = "64m"
_numbers = itertools.count(1)

# nspawn ends with 133 when the machine reboots. A machine that goes down loses its rules, flows and forwarding; the
# network namespace would keep them.
_LOOP = """
root=$1 state=$2 name=$3
for group in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
  [ -e $group/cgroup.procs ] && mkdir -p $group/$name && echo $$ >$group/$name/cgroup.procs
done
mkdir -p $state/disk $state/root
mount -t tmpfs -o size=%(disk)s none $state/disk
mkdir $state/disk/up $state/disk/work
mount -t overlay router -o lowerdir=$root,upperdir=$state/disk/up,workdir=$state/disk/work $state/root
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
while :; do
  ip netns exec router sysctl -qw net.ipv4.ip_forward=0
  systemd-nspawn -q --directory=$state/root --machine=$name --hostname=$name --register=no --keep-unit \
    --network-namespace-path=/run/netns/router --capability=CAP_NET_ADMIN,CAP_NET_RAW --bind=/dev/net/tun \
    --resolv-conf=off --timezone=off --link-journal=no --console=pipe --boot </dev/null &
  echo $! >$state/nspawn.pid
  wait $!; ended=$?
  ip netns exec router sh -c 'nft flush ruleset; conntrack -F; ip link del tun-mooring' 2>/dev/null
  ip netns exec router ip route flush type unreachable
  [ $ended = 133 ] || [ -e $state/again ] || break
  rm -f $state/again
done
"""


class Machine:
    """A router's operating system, alive between `boot` and `stop`."""

    def __init__(self, testbed: Testbed, root: Path) -> None:
        self.testbed, self._root = testbed, root
        self.name = f"mooring-box-{testbed.pid}-{next(_numbers)}"
        self._state = Path("/run/testbed") / self.name

    def boot(self) -> None:
        """Boot, and wait until systemd says that it runs; what a crashed run left behind goes first."""
        for left in Path("/sys/fs/cgroup").glob("*/mooring-box-*"):
            if not Path("/proc", left.name.split("-")[2]).exists():
                _remove_groups(left.name)
        loop = _LOOP % {"disk": DISK}
        self.testbed.run("mkdir", "-p", str(self._state))
        words = ("bash", "-c", loop, "loop", str(self._root), str(self._state), self.name)
        self._loop = self.testbed.start(*words, log=f"{self.name}.log")
        self.wait_until_up()

    def wait_until_up(self, seconds: float = 60) -> None:
        """Wait until systemd has started everything."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(LookupError):
                if self.run("systemctl", "is-system-running", check=False).stdout.strip() in {
                    "running",
                    "degraded",
                }:
                    return
            time.sleep(0.05)
        log = (self.testbed.scratch / f"{self.name}.log").read_text()
        raise TimeoutError(f"{self.name} did not boot:\n{log[-2000:]}")

    @property
    def leader(self) -> str:
        """The machine's PID 1, as the testbed numbers processes.

        Raises:
            LookupError: it is not there.
        """
        find = f"pgrep -P $(cat {self._state}/nspawn.pid) | head -1"
        found = self.testbed.run("sh", "-c", find, check=False).stdout.strip()
        if not found:
            raise LookupError(f"{self.name} is down")
        return found

    def inside(self, *command: str) -> tuple[str, ...]:
        """Return the words that run a command on the router."""
        return self.testbed.inside("nsenter", "-t", self.leader, "-a", "--", *command)

    def run(self, *command: str, check: bool = True, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command on the router to its end."""
        ended = subprocess.run(self.inside(*command), capture_output=True, text=True, check=False, input=text)  # noqa: S603 - our own words
        if check and ended.returncode:
            raise RuntimeError(f"{' '.join(command)[:200]}: {ended.returncode}\n{ended.stdout}{ended.stderr}")
        return ended

    def shell(self, script: str, *, check: bool = True) -> str:
        """Run a line of bash on the router, and give what it printed."""
        return self.run("bash", "-c", script, check=check).stdout

    def write(self, path: str, text: str) -> None:
        """Write a file on the router by hand."""
        self.run("bash", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "write", path, text=text)

    def reboot(self) -> None:
        """Reboot in good order, and wait until it is up again."""
        before = self.leader
        self.run("systemctl", "reboot", check=False)
        self._until_another(before)

    def cut_power(self) -> None:
        """Kill every process at once, and boot again: nothing was told, nothing was written that was not."""
        before = self.leader
        self.testbed.run("touch", str(self._state / "again"))
        self.testbed.run("kill", "-KILL", before)
        self._until_another(before)

    def _until_another(self, before: str) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(LookupError):
                if self.leader != before:
                    break
            time.sleep(0.02)
        self.wait_until_up()

    def stop(self) -> None:
        """Cut the power for good, and leave nothing behind."""
        with contextlib.suppress(LookupError):
            self.testbed.run("kill", "-KILL", self.leader, check=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._loop.wait(10)
        self._loop.send_signal(signal.SIGKILL)
        self._loop.wait()
        self.testbed.run("umount", str(self._state / "root"), str(self._state / "disk"), check=False)
        _remove_groups(self.name)


def _remove_groups(name: str) -> None:
    """Remove a machine's control groups; one with a process in it stays."""
    for place in (Path("/sys/fs/cgroup", group, name) for group in ("systemd", "unified", ".")):
        for folder in (*sorted((one for one in place.rglob("*") if one.is_dir()), reverse=True), place):
            with contextlib.suppress(OSError):
                folder.rmdir()
