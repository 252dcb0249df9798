"""The router's tools, run from the program: each to its end, in its time, whatever it leaves behind."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from chalicelib.on_router.agent.shell import NOT_INSTALLED, TIMED_OUT, run

PROGRAM = Path(__file__).parents[2] / "chalicelib" / "on_router"


def test_command_that_leaves_a_child_behind_has_ended() -> None:
    """A daemon that holds the output would make a tool that did its work look as if it had hung."""
    began = time.monotonic()
    ended = run("bash", "-c", "sleep 20 & echo $!; echo no >&2; exit 3", seconds=15)
    assert time.monotonic() - began < 10
    assert (ended.returncode, ended.stderr) == (3, "no\n")
    run("kill", ended.stdout.strip())


def test_what_is_left_behind_holds_nothing_of_the_programs_own_output() -> None:
    """The SSM agent waits until nobody holds a script's output, and calls what exited 0 timed out else."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from agent.shell import run\n"
        "print(run('bash', '-c', 'sleep 20 & echo $!').stdout)"
    )
    began = time.monotonic()
    words = [sys.executable, "-c", script, str(PROGRAM)]
    ended = subprocess.run(words, capture_output=True, text=True, check=True, timeout=15)  # noqa: S603 - our own words
    assert time.monotonic() - began < 10
    run("kill", ended.stdout.strip())


def test_command_that_takes_too_long_is_killed_and_said_so() -> None:
    """What it said until then may be half a word, and is not leaned on."""
    ended = run("bash", "-c", "echo half; exec sleep 20", seconds=0.3)
    assert (ended.returncode, ended.stdout, ended.stderr) == (TIMED_OUT, "", "no end within 0.3 s")


def test_command_that_is_not_there_is_named() -> None:
    """As a shell would have it."""
    ended = run("no-such-tool", "--version")
    assert (ended.returncode, ended.stderr) == (NOT_INSTALLED, "no-such-tool: No such file or directory")


def test_input_and_output_of_any_length_go_through() -> None:
    """Neither waits for the other; bytes that are no text do not end it."""
    text = "line\n" * 100_000
    assert run("cat", text=text).stdout == text
    assert run("true", text=text).returncode == 0
    assert run("printf", "\\xff").stdout == "\N{REPLACEMENT CHARACTER}"
