"""The way into namespaces of the lab's own: what it needs, and the command that runs another inside.

User, network, mount and process namespaces are new, even for root: whatever happens, nothing is left outside, and
whatever dies takes everything inside with it. No packet gets out, since no cable leads there.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

from tests.packets.net import PATH

PACKAGES = {
    "openvpn": "openvpn",
    "iptables-restore": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "fping": "fping",
    "tcpdump": "tcpdump",
    "iperf3": "iperf3",
    "sysctl": "procps",
    "openssl": "openssl",
    "unshare": "util-linux",
}
"""The tools, and Debian's packages that bring them."""

INSIDE = "MOORING_LAB"
"""The variable that says it: this process is inside."""

_ROOT = Path(__file__).parents[2]
_OWN = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
# Its own /run holds the namespaces' names and all files; overlays give it what an ordinary user may not make.
_PREPARE = """
mount -t tmpfs none /run && mkdir -p /run/netns
for folder in lib sbin; do
  over=/run/over/$folder && mkdir -p $over/up $over/work
  mount -t overlay overlay -o lowerdir=/usr/local/$folder,upperdir=$over/up,workdir=$over/work,userxattr /usr/local/$folder
done
ip link set lo up
exec "$@"
"""


def inside() -> bool:
    """Return whether this process is inside already."""
    return os.environ.get(INSIDE) == "inside"


def packages() -> list[str]:
    """List Debian's packages that are missing to run the lab here."""
    return sorted({p for tool, p in PACKAGES.items() if shutil.which(tool, path=PATH) is None})


@functools.cache
def lacking() -> str | None:
    """Return what is missing to run the lab here, and what to do about it; None when nothing is."""
    if missing := packages():
        return f"the lab needs {', '.join(missing)}: apt-get install {' '.join(missing)}"
    if not Path("/dev/net/tun").exists():
        return "the lab needs /dev/net/tun: modprobe tun, or give the container the device"
    if _way() is None:
        return "the lab needs namespaces of its own: allow user namespaces to this user, or run it as root"
    return None


def command(*inner: str) -> list[str]:
    """Return the command that runs another inside.

    It dies with the process that starts it, and everything inside with it.
    """
    way = _way()
    if way is None:
        raise RuntimeError(lacking())
    return ["setpriv", "--pdeathsig", "KILL", *way, "bash", "-eu", "-c", _PREPARE, "lab", *inner]


def environment() -> dict[str, str]:
    """Return the environment for it."""
    return os.environ | {INSIDE: "inside", "PATH": f"{PATH}:{os.environ.get('PATH', '')}"}


def call(module: str, *arguments: str, to: IO[str] | None = None) -> int:
    """Run one of the lab's modules inside and give its exit status; `to` takes what it prints."""
    inner = command(sys.executable, "-m", module, *arguments)
    with subprocess.Popen(inner, env=environment(), cwd=_ROOT, stdout=to) as child:  # noqa: S603 - our own
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:  # it has been told too, and takes everything inside down
                continue


@functools.cache
def _way() -> tuple[str, ...] | None:
    """Find how namespaces can be had: with a user namespace, or as root without, where those are forbidden."""
    for user in (("--user", "--map-root-user"), ()):
        way = ("unshare", *user, *_OWN)
        tried = subprocess.run(  # noqa: S603 - our own
            [*way, "mount", "-t", "tmpfs", "none", "/run"],
            env=environment(),
            capture_output=True,
            check=False,
        )
        if tried.returncode == 0:
            return way
    return None
