"""Makes a Debian 12 root with what a router needs, once, outside the repository.

python -m tests.router_os.root [missing]
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.router_os.testbed import missing

_PACKAGES = (
    "systemd,systemd-sysv,dbus,openvpn,iptables,nftables,iproute2,procps,kmod,udev,iputils-ping,conntrack,"
    "ca-certificates,openssl,python3,util-linux"
)
_SUITE = "bookworm"
# Debian's own awscli (2.9) does not know AWS_ENDPOINT_URL; this one runs on Debian's Python.
_CLI = "awscli==1.46.3"
_AWS = '#!/bin/sh\nPYTHONPATH=/opt/aws exec python3 -m awscli "$@"\n'
_RECIPE = hashlib.sha256(f"{_PACKAGES}\n{_SUITE}\n{_CLI}\n{_AWS}\n1".encode()).hexdigest()[:12]


def cached() -> Path:
    """Return where the root is, or will be; another recipe has another name."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "mooring" / f"router-{_SUITE}-{_RECIPE}"


def make() -> Path:
    """Make the root unless it is there. It appears whole or not at all, and only one process makes it.

    Raises:
        subprocess.CalledProcessError: debootstrap or pip failed.
    """
    root = cached()
    if root.is_dir():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with (root.parent / f"{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if root.is_dir():
            return root
        draft = Path(tempfile.mkdtemp(prefix=f"{root.name}.", dir=root.parent))
        try:
            _build(draft / "root")
            (draft / "root").rename(root)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return root


def _build(root: Path) -> None:
    _run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root))
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    for_debian = ("--python-version", "3.11", "--implementation", "cp", "--only-binary", ":all:")
    _run(*pip, *for_debian, "--target", str(root / "opt/aws"), _CLI)
    aws = root / "usr/local/bin/aws"
    aws.write_text(_AWS)
    aws.chmod(0o755)
    _run("chroot", str(root), "python3", "-m", "compileall", "-q", "/opt/aws")  # once here, not at every call
    (root / "etc/hostname").unlink(missing_ok=True)
    for place in (
        "var/cache/apt/archives",
        "var/lib/apt/lists",
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
    ):
        shutil.rmtree(root / place, ignore_errors=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603 - our own words


def main(words: list[str]) -> int:
    """Make the root and say where it is, or list what is missing to do so."""
    if words == ["missing"]:
        sys.stdout.writelines(f"{package}\n" for package in missing())
        return int(bool(missing()))
    sys.stdout.write(f"{make()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
