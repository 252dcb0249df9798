"""The way into the lab: nothing is left outside whatever happens, and what is missing is said in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chalicelib.cli.terminal import Terminal
from chalicelib.core.errors import ControllerError
from tests.packets import enter
from tools.demo.teller import run_packets

ROOT = Path(__file__).parents[2]
MARK = "MOORING_LAB_TEST"
_SCRIPT = """
import time
from tests.packets import net
net.add(("one",))
net.start(*net.inside("one", "sleep", "1000"))
print("up", flush=True)
time.sleep(1000)
"""

_OUTER = """
import signal, subprocess, sys
from tests.packets import enter
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what it puts in the background deaf to Ctrl-C
subprocess.run(enter.command(sys.executable, "-c", {script!r}), env=enter.environment())
"""

needs_tools = pytest.mark.skipif(bool(enter.lacking()), reason=str(enter.lacking()))


def left(mark: str) -> list[int]:
    """List the processes that carry a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in folder.joinpath("environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@needs_tools
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=lambda end: end.name)
def test_nothing_is_left_of_a_lab_that_is_ended(end: signal.Signals) -> None:
    """Ctrl-C or a crash of who started it: no process, no namespace, no file outside."""
    mark = f"{os.getpid()}-{end.name}"
    outer = _OUTER.format(script=_SCRIPT)
    names = set(Path("/run/netns").glob("*"))
    with subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", outer],
        cwd=ROOT,
        env=os.environ | {MARK: mark, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as lab:
        try:
            assert lab.stdout is not None
            assert lab.stdout.readline() == b"up\n"
            assert len(left(mark)) >= 3
            if end is signal.SIGINT:
                os.killpg(lab.pid, end)  # as a terminal does
            else:
                lab.send_signal(end)
            deadline = time.monotonic() + 20
            while (found := left(mark)) and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            os.killpg(lab.pid, signal.SIGKILL)
    assert found == []
    assert set(Path("/run/netns").glob("*")) == names


def test_demo_in_packets_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator without the tools reads one error, and how to get them."""
    monkeypatch.setattr(enter, "lacking", lambda: "the lab needs fping: apt-get install fping")
    with pytest.raises(ControllerError, match="the lab needs fping") as lacking:
        run_packets(Terminal())
    assert lacking.value.hint == "apt-get install fping"


def test_what_is_missing_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks a tool reads which package brings it."""
    monkeypatch.setattr(enter, "PATH", "/nowhere")
    said = enter.lacking.__wrapped__()
    assert said is not None
    assert "openvpn" in said
    assert "\n" not in said
    assert "apt-get install" in said
