"""The demo: the story goes as told, through the deployed functions, and its oracle can disagree."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.network import ROOT
from tests.stand_ins.command_line import NOWHERE

if TYPE_CHECKING:
    from pathlib import Path

DEMO = [sys.executable, "-m", "tools.demo"]
UNREPAIRED = """
import sys
from tools.demo import story
from tools.demo.__main__ import main
deleted = story.Scene("Nobody looks", story._delete_route)
story.STORY = (story.STORY[0], deleted, story.Scene("Look", story._see_again, ticks=1))
sys.exit(main([]))
"""


def _run(command: list[str], folder: Path, **more: str) -> tuple[int, str, str]:
    """Run it as a process whose own AWS does not answer."""
    environment = NOWHERE | {"HOME": str(folder), "PYTHONPATH": str(ROOT)} | more
    done = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=900, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_whole_story_goes_as_told(tmp_path: Path) -> None:
    """The oracle agrees with every step, whatever the operator's own AWS is; nothing is on standard error."""
    code, told, errors = _run(DEMO, tmp_path, AWS_PROFILE="nobody", MOORING_JOURNAL="another")
    assert (code, errors) == (0, ""), told
    assert told.rstrip().endswith("The oracle agrees with every step.")
    assert set(re.findall(r"event     (\S.*?)(?= i-| /| ->)", told)) == {
        "EC2 Command Invocation Status-change Notification",
        "EC2 Instance Launch Successful",
        "EC2 Instance State-change Notification",
        "EC2 Instance Terminate Successful",
        "EC2 Instance-terminate Lifecycle Action",
        "EC2 Spot Instance Interruption Warning",
        "Parameter Store Change",
        "Scheduled Event",
    }
    assert "POST /topologies/office/pause: 200" in told


def test_oracle_disagrees_with_a_network_that_nobody_repaired(tmp_path: Path) -> None:
    """A route is deleted and no minute passes: that step is red, the next is not, and the exit status says it."""
    code, told, _ = _run([sys.executable, "-c", UNREPAIRED], tmp_path)
    assert code == 1
    assert "has no route to 0.0.0.0/0" in told
    assert "the verdict should be repaired, not silent" in told
    assert "The oracle disagrees with 1 steps." in told
