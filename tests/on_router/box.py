"""A router's box without a machine: namespaces of its own, with the rendered files where they belong."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.core.tunnel.render import Bundle

_ENTER = (
    *("unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child"),
    "--mount-proc",
)
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_INSTALL = """\
set -eu
mount -t tmpfs none /run
cp -a /etc/alternatives /run/ # Debian's iptables is a link through there
for place in /etc /usr/local; do mount -t tmpfs none $place; done
mv /run/alternatives /etc/
# Only below the two: the rest of the tree is the machine's own, its modes and times included
for place in /etc /usr/local; do [ ! -d "$1$place" ] || cp -a "$1$place/." $place/; done
cd /run
exec bash -c "$2"
"""


@cache
def _why_not(*tools: str) -> str:
    """Return why a box cannot be had here; nothing when it can."""
    missing = [tool for tool in tools if shutil.which(tool, path=_PATH) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    entered = subprocess.run([*_ENTER, "true"], capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    return f"no user namespaces: {entered.stderr.strip()}" if entered.returncode else ""


def needs(*tools: str) -> pytest.MarkDecorator:
    """Skip a test where its tools are missing, or namespaces are not for everybody."""
    why = _why_not("unshare", *tools)
    return pytest.mark.skipif(bool(why), reason=why or "can run")


def install(bundle: Bundle, root: Path) -> Path:
    """Write a bundle's files below a folder."""
    for file in bundle.files:
        path = root / file.path.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")
        path.chmod(file.mode)
    return root


def run(root: Path, script: str, *, fails: bool = False) -> str:
    """Run a bash script as root of a box that has the files below `root`; give what it printed, errors included."""
    ended = subprocess.run(  # noqa: S603 - a test's own script
        [*_ENTER, "bash", "-c", _INSTALL, "_", str(root), f"set -eu\n{script}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
        env={"PATH": _PATH},
    )
    assert (ended.returncode != 0) is fails, f"{ended.returncode}: {ended.stdout}"
    return ended.stdout
