"""`mooring` at a terminal, in a pipe, and with nobody listening."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

from tests.stand_ins.command_line import COMMAND

if TYPE_CHECKING:
    from tests.cli.conftest import Office
    from tests.stand_ins.command_line import Mooring


def test_apply_answered_yes_makes_the_changes(office: Office, mooring: Mooring) -> None:
    """At a terminal the plan is shown, and yes is enough."""
    table_id = office.delete_default_route()
    with mooring.at_terminal("apply") as dialogue:
        dialogue.wait_for("Make this change?")
        assert f"route {table_id} 0.0.0.0/0" in dialogue.heard
        assert office.writes == []
        dialogue.answer("y\n")
        ran = dialogue.end()
    assert (ran.code, office.writes) == (0, ["CreateRoute"])
    assert "1 of 1 change verified" in ran.out


@pytest.mark.parametrize("keys", ["\n", "\x04"], ids=["return", "end of file"])
def test_apply_not_answered_yes_changes_nothing(office: Office, mooring: Mooring, keys: str) -> None:
    """Anything but yes is no."""
    office.delete_default_route()
    with mooring.at_terminal("apply") as dialogue:
        dialogue.wait_for("Make this change?")
        dialogue.answer(keys)
        ran = dialogue.end()
    assert (ran.code, office.writes) == (1, [])
    assert ran.said[-1] == "nothing was changed"


def test_apply_interrupted_at_the_question_exits_130(office: Office, mooring: Mooring) -> None:
    """Control-C is told to the shell as shells expect it."""
    office.delete_default_route()
    with mooring.at_terminal("apply") as dialogue:
        dialogue.wait_for("Make this change?")
        dialogue.interrupt()
        ran = dialogue.end()
    assert (ran.code, office.writes) == (130, [])


def test_apply_of_a_network_that_changed_since_shown_is_refused(office: Office, mooring: Mooring) -> None:
    """Consent is to the plan that was shown, and to no other."""
    office.delete_default_route()
    with mooring.at_terminal("apply") as dialogue:
        dialogue.wait_for("Make this change?")
        office.ec2.delete_route(
            RouteTableId=office.outputs["PrivateRouteTableBId"], DestinationCidrBlock="0.0.0.0/0"
        )
        dialogue.answer("y\n")
        ran = dialogue.end()
    assert (ran.code, office.writes) == (1, [])
    assert "the network changed since the plan was shown" in ran.out


def test_apply_json_at_a_terminal_does_not_ask(office: Office, mooring: Mooring) -> None:
    """Whoever wants JSON is a program, wherever it runs."""
    office.delete_default_route()
    with mooring.at_terminal("apply", "--json") as dialogue:
        ran = dialogue.end()
    assert (ran.code, ran.json["error"]["code"], office.writes) == (1, "ConsentNeeded", [])


def test_declare_answered_no_stores_nothing(office: Office, mooring: Mooring) -> None:
    """At a terminal the difference is shown and consent asked."""
    changed = office.document.replace(b"10.100.30.0", b"10.100.31.0")
    (mooring.folder / "office.toml").write_bytes(changed)
    with mooring.at_terminal("declare", "office.toml") as dialogue:
        dialogue.wait_for("Declare office like this?")
        assert "10.100.31.0/24" in dialogue.heard
        dialogue.answer("n\n")
        ran = dialogue.end()
    assert (ran.code, office.writes, ran.said[-1]) == (1, [], "nothing was stored")


def test_declare_answered_yes_after_another_declared_is_refused(office: Office, mooring: Mooring) -> None:
    """What was agreed to is the difference from what was declared then."""
    (mooring.folder / "office.toml").write_bytes(office.document.replace(b"10.100.30.0", b"10.100.31.0"))
    with mooring.at_terminal("declare", "office.toml") as dialogue:
        dialogue.wait_for("Declare office like this?")
        office.declare(after="# another operator was here")
        dialogue.answer("y\n")
        ran = dialogue.end()
    assert (ran.code, office.writes) == (1, [])
    assert "office was declared anew meanwhile" in ran.out


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_whole_lines_in_colour_unless_told_not_to(
    office: Office, mooring: Mooring, no_color: str, *, coloured: bool
) -> None:
    """NO_COLOR, present and not empty, means no escape codes at all; no id is broken at the terminal's edge."""
    office.delete_default_route()
    with mooring.at_terminal("plan", NO_COLOR=no_color) as dialogue:
        ran = dialogue.end()
    assert (ran.code, "\x1b[" in ran.out) == (2, coloured)
    assert "because it is missing" in ran.said[0]
    assert len(ran.said[0]) > 80


def test_a_reader_that_leaves_stops_nothing(office: Office, mooring: Mooring) -> None:
    """`mooring apply --yes | head -1` finishes what it began, quietly, with its own exit code."""
    office.delete_default_route()
    with subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "apply", "--yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **mooring.environment},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert (process.wait(30), said) == (0, b"")
    assert office.writes == ["CreateRoute"]


def test_a_full_disk_behind_standard_output_is_one_clear_error(office: Office, mooring: Mooring) -> None:
    """What could not be said is an error, not a traceback."""
    environment = {"PATH": os.environ["PATH"], **mooring.environment}
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(  # noqa: S603 - our own command
            [*COMMAND, "plan"], stdout=full, stderr=subprocess.PIPE, env=environment, check=False
        )
    assert office.writes == []
    assert (done.returncode, done.stderr) == (
        1,
        b"error: cannot write the answer: No space left on device\n",
    )


def test_closed_standard_streams_are_borne(office: Office, mooring: Mooring) -> None:
    """A daemon may have closed them all."""
    script = f"{' '.join(COMMAND)} plan <&- >&- 2>&-"
    environment = {"PATH": os.environ["PATH"], **mooring.environment}
    done = subprocess.run(["/bin/sh", "-c", script], env=environment, check=False)  # noqa: S603 - our own command
    assert (done.returncode, office.writes) == (0, [])


def test_a_topologys_name_is_completed(office: Office, mooring: Mooring) -> None:
    """The shell asks Mooring, and Mooring asks Parameter Store."""
    office.topologies.declare("branch", office.document)
    words = {"_MOORING_COMPLETE": "complete_bash", "COMP_WORDS": "mooring plan b", "COMP_CWORD": "2"}
    assert subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'mooring'\nfrom chalicelib.cli.main import main; main()",
        ],
        env={"PATH": os.environ["PATH"], **mooring.environment, **words},
        capture_output=True,
        check=False,
    ).stdout.split() == [b"branch"]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["apply", "--help"], ["push", "-h"]])
def test_help_needs_no_aws(offline: Mooring, arguments: list[str]) -> None:
    """Help comes without a region, an account or a terminal."""
    ran = offline(*arguments)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Usage: ")


def test_help_imports_no_boto3() -> None:
    """What is only looked up must not wait for AWS's SDK."""
    script = (
        "import sys; sys.argv = ['mooring', '--help']\n"
        "from chalicelib.cli.main import main; main()\n"
        "sys.exit('boto3' in sys.modules or 'moto' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)  # noqa: S603 - our own
    assert (done.returncode, done.stderr) == (0, b"")


def test_version_and_console_script_are_there(offline: Mooring) -> None:
    """`mooring` is installed, and says which."""
    (script,) = entry_points(group="console_scripts", name="mooring")
    assert script.value == "chalicelib.cli.main:main"
    ran = offline("--version")
    assert (ran.code, ran.out.split()[0]) == (0, "mooring")
