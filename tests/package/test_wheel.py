"""The wheel: what operators install, and nothing that only builds, deploys or tests it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.package import ROOT

PARTS = ("chalicelib", "tests", "tools", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every name in a wheel that is built of a copy: setuptools packs what an earlier build left behind."""
    copy, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / part)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(wheels), str(copy)], check=True)  # noqa: S603 - our own command
    with zipfile.ZipFile(next(wheels.glob("mooring-*.whl"))) as wheel:
        return wheel.namelist()


def test_wheel_holds_the_package_alone(names: list[str]) -> None:
    """Neither tests nor tools: they would be installed as top-level packages of those names."""
    assert {name.split("/")[0].split("-")[0] for name in names} == {"chalicelib", "mooring"}


def test_wheel_holds_every_file_of_the_package(names: list[str]) -> None:
    """What goes to routers as it is included: without it no bundle can be rendered."""
    own = {path.relative_to(ROOT) for path in (ROOT / "chalicelib").rglob("*") if path.is_file()}
    assert {str(path) for path in own if "__pycache__" not in path.parts} - set(names) == set()


def test_wheel_brings_the_command(names: list[str]) -> None:
    """`mooring`."""
    assert any(Path(name).name == "entry_points.txt" for name in names)
