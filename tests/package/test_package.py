"""The zip: complete, small, without what does not run in Lambda, and the same bytes each time."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from chalicelib.core.errors import ControllerError
from tests.package.template import load, of_type
from tools import package as packaging
from tools.package import CACHE_TAG, MOST_BYTES, ROOT, RUNTIME, build, judge, main, requirements

if TYPE_CHECKING:
    from tools.package import Package

RUNTIMES_OWN = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3")
"""What Lambda's Python brings (Lambda developer guide, "Runtime-included packages")."""

RESOLVE = """
import importlib, sys
sys.path[:] = [*sys.argv[1:3], *sys.path]
for handler in sys.argv[3:]:
    module, name = handler.rsplit(".", 1)
    assert callable(getattr(importlib.import_module(module), name)), handler
homes = {m.__file__ for n, m in sys.modules.items() if n.split(".")[0] in ("app", "chalice", "chalicelib", "aws_lambda_powertools")}
assert all(home.startswith(sys.argv[1]) for home in homes), homes
"""


@pytest.fixture(scope="module")
def names(package: Package) -> list[str]:
    """Every name in the zip."""
    with zipfile.ZipFile(package.zip) as archive:
        return archive.namelist()


def copied(root: Path, requirements: str) -> Path:
    """Copy what is packaged to another place, with other requirements."""
    root.mkdir()
    for name in ("app.py", ".chalice", "chalicelib"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, root / name)
    (root / "requirements.txt").write_text(requirements)
    return root


def test_two_clean_builds_give_the_same_bytes(package: Package, tmp_path: Path) -> None:
    """Built from another folder, at another time: the digest says what is deployed, whoever built it."""
    root = copied(tmp_path / "elsewhere", (ROOT / "requirements.txt").read_text())
    again = build(tmp_path / "build", root)
    assert again.sha256 == package.sha256
    assert again.template.read_bytes() == package.template.read_bytes()


def another_python(version: str, folder: Path) -> Path:
    """Return a Python of another version that sees our tools, all of which are pure Python; skips where there is none."""
    kept = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python{version}"))
    found = next(iter(kept), None) or shutil.which(f"python{version}")
    if found is None:
        pytest.skip(f"there is no Python {version} here")
    subprocess.run([found, "-m", "venv", "--without-pip", folder], check=True)  # noqa: S603 - a Python's own name
    tools = folder / "lib" / f"python{version}" / "site-packages" / "tools.pth"
    tools.write_text(str(Path(importlib.util.find_spec("yaml").origin).parents[1]))  # type: ignore[union-attr,arg-type]
    return folder / "bin" / "python"


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_zip_and_template_are_the_same_whichever_python_packages(
    version: str, package: Package, tmp_path: Path
) -> None:
    """Runtime, requirements and bytecode are Lambda's own Python's, so the digest says what is deployed."""
    python = another_python(version, tmp_path / "python")
    command = [str(python), "-m", "tools.package", "--into", str(tmp_path / "build")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert ended.returncode == 0, ended.stderr
    again = packaging.Package.at(tmp_path / "build")
    assert again.sha256 == package.sha256
    assert again.template.read_bytes() == package.template.read_bytes()


def test_every_function_runs_on_the_pinned_python(package: Package) -> None:
    """Chalice writes down the Python that runs it, which is anybody's."""
    functions = of_type(load(package), "AWS::Serverless::Function").values()
    assert {function["Properties"]["Runtime"] for function in functions} == {RUNTIME}


def test_package_is_compiled_by_lambdas_python_or_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another's bytecode is never read in Lambda, none is a slow cold start: who lacks that Python is told which."""
    shim = tmp_path / RUNTIME
    shim.write_text("#!/bin/sh\necho 'pyenv: no such version' >&2; exit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert packaging._interpreter() == sys.executable
    monkeypatch.setattr(packaging, "CACHE_TAG", "cpython-999")
    with pytest.raises(ControllerError, match="only that Python compiles it") as caught:
        packaging._interpreter()
    assert f"uv python install {RUNTIME.removeprefix('python')}" in str(caught.value.hint)


def test_zip_is_small(package: Package) -> None:
    """A cold start unpacks it."""
    assert package.size == package.zip.stat().st_size <= MOST_BYTES == 2_500_000


def test_zip_holds_what_runs_and_nothing_else(names: list[str]) -> None:
    """No boto3, which Lambda brings; no tool; none of the operators' verbs; of Chalice its runtime only."""
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {
        "__pycache__", "app.py", "aws_lambda_powertools", "chalice", "chalicelib", "jmespath", "typing_extensions.py",
    }  # fmt: skip
    assert {n for n in names if n.startswith("chalice/") and n.endswith(".py")} == {
        "chalice/__init__.py",
        "chalice/app.py",
    }
    assert not [name for name in names if name.startswith(("chalicelib/cli", "chalicelib/office", "tests"))]
    assert names == sorted(names)


def test_every_pinned_requirement_names_its_version_in_the_zip(names: list[str]) -> None:
    """By METADATA an inspector finds what a function is made of."""
    for requirement in requirements(ROOT / "requirements.txt"):
        (pin,) = requirement.specifier
        assert f"{requirement.name.replace('-', '_')}-{pin.version}.dist-info/METADATA" in names


def test_every_module_comes_with_bytecode_that_is_never_checked(package: Package) -> None:
    """/var/task is read-only: without it each cold start would compile everything. Sources stay for tracebacks."""
    unchecked_hash = (0b01).to_bytes(4, "little")
    with zipfile.ZipFile(package.zip) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                path = Path(name)
                cached = path.parent / "__pycache__" / f"{path.stem}.{CACHE_TAG}.pyc"
                head = archive.read(cached.as_posix())[:16]
                assert head[:4] == importlib.util.MAGIC_NUMBER
                assert head[4:8] == unchecked_hash, name
                assert head[8:] == importlib.util.source_hash(archive.read(name)), name


def test_every_handler_resolves_with_lambdas_own_packages_only(package: Package, tmp_path: Path) -> None:
    """What the template calls a handler is there and can be imported from the zip alone."""
    task, runtime = tmp_path / "task", tmp_path / "runtime"
    runtime.mkdir()
    site = Path(importlib.util.find_spec("boto3").origin).parents[1]  # type: ignore[union-attr,arg-type]
    for name in RUNTIMES_OWN:
        (runtime / name).symlink_to(site / name)
    with zipfile.ZipFile(package.zip) as archive:
        archive.extractall(task)
    functions = of_type(load(package), "AWS::Serverless::Function").values()
    handlers = sorted(function["Properties"]["Handler"] for function in functions)
    assert handlers == ["app.app", "app.on_event", "app.reconcile"]
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-S", "-c", RESOLVE, str(task), str(runtime), *handlers],
        env={
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_template_has_no_aliases(package: Package) -> None:
    """CloudFormation reads no YAML aliases, and Chalice writes them."""
    text = package.template.read_text()
    assert "&id" not in text
    assert "*id" not in text


def test_requirement_that_cannot_be_had_fails_the_build(tmp_path: Path) -> None:
    """Chalice would warn and go on; here a wrong hash, like a missing wheel, ends it."""
    pinned = (ROOT / "requirements.txt").read_text()
    wrong = "\n".join(line for line in pinned.splitlines() if "sha256" not in line or "481caa48" not in line)
    root = copied(tmp_path / "root", wrong.replace("dc983d19", "00000000"))
    with pytest.raises(ControllerError, match="fetching the requirements failed"):
        build(tmp_path / "build", root)
    assert not (tmp_path / "build").exists()


@pytest.fixture
def fetched(tmp_path: Path) -> Path:
    """What pip would have fetched: one distribution of one module."""
    metadata = tmp_path / "fetched" / "anchor-1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: Anchor\nVersion: 1.2\n")
    (metadata / "RECORD").write_text(
        "anchor/__init__.py,,\nanchor/fluke.py,,\nanchor-1.2.dist-info/RECORD,,\n"
    )
    return metadata.parent


def zipped(folder: Path, *names: str) -> Path:
    """Zip empty files of these names."""
    with zipfile.ZipFile(folder / "some.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return folder / "some.zip"


def test_requirement_missing_from_the_zip_fails_the_build(fetched: Path, tmp_path: Path) -> None:
    """One module of it missing is as bad as all."""
    whole = zipped(tmp_path, "anchor/__init__.py", "anchor/fluke.py")
    judge(whole, fetched, [Requirement("anchor==1.2")])
    for wanted in ("anchor==1.3", "buoy==1.0"):
        with pytest.raises(ControllerError, match=f"missing from the package: {wanted}"):
            judge(whole, fetched, [Requirement(wanted)])
    with pytest.raises(ControllerError, match=r"missing from the package: anchor==1\.2"):
        judge(zipped(tmp_path, "anchor/__init__.py"), fetched, [Requirement("anchor==1.2")])


def test_zip_too_large_fails_the_build(
    fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Growth is noticed when it happens."""
    monkeypatch.setattr(packaging, "MOST_BYTES", 10)
    with pytest.raises(ControllerError, match="10 is the most"):
        judge(zipped(tmp_path, "anchor/__init__.py"), fetched, [])


def test_requirements_of_other_platforms_are_not_asked_for(tmp_path: Path) -> None:
    """A universal lock names some for Windows and other Pythons; Lambda is Linux on arm64, and one Python."""
    (tmp_path / "requirements.txt").write_text(
        "# comment\nanchor==1.2 \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\n    # via mooring\n"
        "winch==1 ; sys_platform == 'win32' \\\n    --hash=sha256:2\n"
        "tide==3 ; platform_machine == 'aarch64' \\\n    --hash=sha256:3\n"
        "gust==4 ; python_version < '3.11' \\\n    --hash=sha256:4\n"
        "rope==5 ; python_full_version < '3.12' \\\n    --hash=sha256:5\n"
    )
    assert [r.name for r in requirements(tmp_path / "requirements.txt")] == ["anchor", "tide", "rope"]


def test_make_package_prints_size_and_digest(
    package: Package, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who deploys it can compare."""
    monkeypatch.setattr(packaging, "build", lambda _: package)
    monkeypatch.setattr(sys, "argv", ["package"])
    assert main() == 0
    digest = hashlib.sha256(package.zip.read_bytes()).hexdigest()
    said = capsys.readouterr().out
    assert f"{package.size:,} bytes for {RUNTIME} on arm64" in said
    assert digest in said


def test_build_that_fails_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear message, and the exit code of a failure."""

    def fail(_: Path) -> Package:
        raise ControllerError("missing from the package: anchor==1.2", hint="is there a wheel?")

    monkeypatch.setattr(packaging, "build", fail)
    monkeypatch.setattr(sys, "argv", ["package"])
    assert main() == 1
    assert capsys.readouterr().err == "error: missing from the package: anchor==1.2\nis there a wheel?\n"
