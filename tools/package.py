"""Builds what is deployed: one zip for every function, the same byte for byte each time, and the SAM template beside it.

Chalice writes the template and its own runtime; what it is told nothing of is the requirements, since it only warns when
it cannot fetch one (chalice 1.34, `deploy/packager.py`). pip puts them where Chalice looks for vendored code, each held
against the hash it is pinned with.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chalicelib.core.errors import ControllerError
from tools import documents

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]

MOST_BYTES = 2_500_000
"""A larger zip loads slower, and something is in it that nobody meant to ship."""

STAGE = "prod"
"""Chalice's stage that configures the functions. One package serves every stage of ours, which is a stack's name."""

RUNTIME = "python3.11"
"""What Lambda runs it on, whichever Python packages it: the one that the tests run the package on.

Chalice takes the interpreter that runs it for the one to deploy on, so its word is replaced.
"""

CACHE_TAG = f"cpython-{RUNTIME.removeprefix('python').replace('.', '')}"
"""What the names of its bytecode's files hold (PEP 3147)."""

TARGET = {
    "platform_machine": "aarch64",
    "platform_system": "Linux",
    "sys_platform": "linux",
    "platform_python_implementation": "CPython",
    "python_version": RUNTIME.removeprefix("python"),
    "python_full_version": f"{RUNTIME.removeprefix('python')}.0",
}
"""What a requirement's marker sees in Lambda on arm64."""

_SHIPPED = ("app.py", "requirements.txt", ".chalice", "chalicelib")
_LEFT_OUT = ("cli", "agent", "office", "__pycache__", "deployments", "deployed")
_PIPS_OWN = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
_PYTHONS = ("~/.pyenv/versions", "~/.local/share/uv/python", "/opt/python")
"""Where tools keep Pythons that are not on the PATH: pyenv, uv, setup scripts."""
_CHALICE = "import sys; from chalice.cli import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class Package:
    """What was built."""

    zip: Path
    template: Path

    @classmethod
    def at(cls, folder: Path) -> Package:
        """Name the package in a folder."""
        return cls(folder / "deployment.zip", folder / "sam.yaml")

    @property
    def size(self) -> int:
        """The zip's bytes."""
        return self.zip.stat().st_size

    @property
    def sha256(self) -> str:
        """The zip's digest."""
        return hashlib.sha256(self.zip.read_bytes()).hexdigest()

    def __str__(self) -> str:
        """Name the files, the size in bytes, the digest and what it runs on."""
        runs_on = f"{RUNTIME} on arm64"
        return f"{self.zip}: {self.size:,} bytes for {runs_on}\nsha256 {self.sha256}\n{self.template}"


def build(into: Path, root: Path = ROOT) -> Package:
    """Build the package of the tree at `root` into `into`/deployment.zip and sam.yaml.

    Raises:
        ControllerError: a requirement cannot be had or is missing from the zip, or the zip is too large.
    """
    with tempfile.TemporaryDirectory(prefix="mooring-package-") as folder:
        stage, tree = Path(folder) / "stage", Path(folder) / "tree"
        _stage(root, stage)
        _fetch(stage)
        sam, archive = _chalice(stage)
        with zipfile.ZipFile(archive) as chalices:
            chalices.extractall(tree)
        _prune(tree)
        _compile(tree)
        zipped = _zip(tree, Path(folder) / "deployment.zip")
        judge(zipped, stage / "vendor", requirements(root / "requirements.txt"))
        return _put(into, sam, zipped)


def render(into: Path, root: Path = ROOT) -> Package:
    """Write the package's template, and for its zip Chalice's own, in which no requirement is: for who runs it from here.

    Raises:
        ControllerError: Chalice failed; says what it said.
    """
    with tempfile.TemporaryDirectory(prefix="mooring-package-") as folder:
        stage = Path(folder) / "stage"
        _stage(root, stage)
        (stage / "requirements.txt").write_text("")  # nothing to fetch
        sam, archive = _chalice(stage)
        return _put(into, sam, archive)


def requirements(path: Path) -> list[Requirement]:
    """Read the pinned requirements that apply to Lambda's platform."""
    return [requirement for requirement, _ in _pinned(path)]


def _pinned(path: Path) -> list[tuple[Requirement, str]]:
    """Read the requirements that apply to Lambda, whoever reads them, each with its hashes as pip takes them."""
    joined = path.read_text().replace("\\\n", " ").splitlines()
    lines = [line.strip() for line in joined if line.strip() and not line.strip().startswith(("#", "--"))]
    found = []
    for line in lines:
        named, hashes, more = line.partition("--hash=")
        requirement = Requirement(named)
        if requirement.marker is None or requirement.marker.evaluate(dict(TARGET)):
            found.append((requirement, hashes + more.partition(" #")[0]))
    return found


def judge(zipped: Path, fetched: Path, wanted: Sequence[Requirement]) -> None:
    """Hold a zip against what was fetched for it: every module of every requirement, and no more bytes than allowed.

    Raises:
        ControllerError: names every requirement that is missing, or says how large the zip is.
    """
    with zipfile.ZipFile(zipped) as archive:
        names = set(archive.namelist())
    distributions = {canonicalize_name(d.metadata["Name"]): d for d in _distributions(fetched)}
    missing = [str(w) for w in wanted if not _holds(names, distributions.get(canonicalize_name(w.name)), w)]
    if missing:
        raise ControllerError(
            f"missing from the package: {', '.join(missing)}",
            hint="is there a wheel of it for Linux on arm64? pip download --only-binary :all: tells",
        )
    if (size := zipped.stat().st_size) > MOST_BYTES:
        raise ControllerError(
            f"the package has {size:,} bytes; {MOST_BYTES:,} is the most",
            hint="see what is large in it, and whether it runs: `_prune` leaves out what does not",
        )


def _distributions(fetched: Path) -> list[Distribution]:
    return [PathDistribution(path) for path in sorted(fetched.glob("*.dist-info"))]


def _holds(names: set[str], distribution: Distribution | None, wanted: Requirement) -> bool:
    """Return whether a zip holds all the code of a distribution, and it is the one wanted."""
    if distribution is None or not wanted.specifier.contains(distribution.version, prereleases=True):
        return False
    code = {
        f.as_posix() for f in distribution.files or () if f.suffix in (".py", ".so") and "bin" not in f.parts
    }
    return bool(code) and code <= names


def _stage(root: Path, stage: Path) -> None:
    """Copy what runs in Lambda, so that nothing else can get into the zip."""
    stage.mkdir()
    leave_out = shutil.ignore_patterns(*_LEFT_OUT)
    for name in _SHIPPED:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, stage / name, ignore=leave_out)
        else:
            shutil.copy(source, stage / name)


def _fetch(stage: Path) -> None:
    """Put the pinned wheels for Lambda's platform into vendor/, and leave Chalice nothing to fetch.

    pip is told no marker: it would hold them against its own Python.
    """
    pinned = stage / "pinned.txt"
    lines = [f"{one.name}{one.specifier} {hashes}\n" for one, hashes in _pinned(stage / "requirements.txt")]
    pinned.write_text("".join(lines))
    (stage / "requirements.txt").write_text("")
    platforms = ("manylinux2014_aarch64", "manylinux_2_17_aarch64")
    _run(
        "fetching the requirements",
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"),
            *("--require-hashes", "--no-deps", "--no-compile", "--only-binary", ":all:"),
            *(part for platform in platforms for part in ("--platform", platform)),
            *("--implementation", "cp", "--python-version", RUNTIME.removeprefix("python")),
            *("--target", str(stage / "vendor"), "--requirement", str(pinned)),
        ],
        stage,
    )


def _chalice(stage: Path) -> tuple[Path, Path]:
    """Have Chalice write its template, merged with ours, and its zip."""
    command = [sys.executable, "-c", _CHALICE, "package", "--stage", STAGE]
    _run("chalice package", [*command, "--merge-template", ".chalice/resources.yaml", "out"], stage)
    return stage / "out" / "sam.yaml", stage / "out" / "deployment.zip"


def _prune(tree: Path) -> None:
    """Remove what does not run: pip's notes and scripts, and the pages Powertools can draw of an API.

    Modules stay, imported or not, and so does METADATA: by it Amazon Inspector finds what a function is made of.
    """
    shutil.rmtree(tree / "bin", ignore_errors=True)
    pages = tree.glob("aws_lambda_powertools/event_handler/openapi/swagger_ui/*.min.*")
    for path in [*(p for p in tree.glob("*.dist-info/*") if p.name in _PIPS_OWN), *pages]:
        path.unlink()


def _compile(tree: Path) -> None:
    """Compile every module to bytecode that is never checked against its source: /var/task is read-only.

    A process of its own with a fixed hash seed gives the same bytes each time. Only Lambda's own Python reads what it
    is to read there, and none at all would be a slower cold start: without one at hand nothing is packaged.
    """
    command = [_interpreter(), "-s", "-P", "-m", "compileall", "-q", "-f", "-j", "1"]
    options = ["--invalidation-mode", "unchecked-hash", "-s", str(tree), "-p", "/var/task", str(tree)]
    _run("compiling", [*command, *options], tree)


def _interpreter() -> str:
    """Find the Python that Lambda has: this one, or one of its version on the PATH or where such are kept.

    Raises:
        ControllerError: there is none here.
    """
    kept = [f for place in _PYTHONS for f in sorted(Path(place).expanduser().glob(f"*/bin/{RUNTIME}"))]
    for one in filter(None, (sys.executable, shutil.which(RUNTIME), *map(str, kept))):
        asked = [one, "-I", "-c", "import sys; print(sys.implementation.cache_tag)"]
        told = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - a Python's own name
        if told.stdout.strip() == CACHE_TAG:  # pyenv's shims are on the PATH for versions that do not run
            return one
    raise ControllerError(
        f"the package is for {RUNTIME}, and only that Python compiles it: there is none here",
        hint=f"install it beside this one, on the PATH as {RUNTIME}: `uv python install {RUNTIME[6:]}`, "
        f"or `pyenv install {RUNTIME[6:]}`",
    )


def _put(into: Path, sam: Path, zipped: Path) -> Package:
    package = Package.at(into)
    into.mkdir(parents=True, exist_ok=True)
    package.template.write_text(_plain_yaml(sam.read_text()))
    shutil.copy(zipped, package.zip)
    return package


def _plain_yaml(template: str) -> str:
    """Write the template anew with the documents' scripts, the pinned runtime, and without aliases, which CloudFormation does not read."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, _: object) -> bool:
            return True

    filled = documents.fill(yaml.safe_load(template))
    for resource in filled["Resources"].values():
        if "Runtime" in resource.get("Properties", {}):
            resource["Properties"]["Runtime"] = RUNTIME
    dumped: str = yaml.dump(filled, Dumper=Plain, allow_unicode=True, width=120)
    return dumped


def _zip(tree: Path, zipped: Path) -> Path:
    """Zip a tree so that equal trees give equal bytes: sorted names, one date, one mode."""
    names = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file())
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (tree / name).read_bytes(), compresslevel=9)
    return zipped


def _run(what: str, command: Sequence[str], cwd: Path) -> None:
    """Run a tool away from the caller's AWS and Python settings; its words are shown when it fails."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON", "MOORING_"))}
    fixed = {
        "AWS_DEFAULT_REGION": "us-east-1",  # importing the app wants one; nothing is called and none is written down
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        command, cwd=cwd, env=kept | fixed, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise ControllerError(f"{what} failed:\n{ended.stdout}{ended.stderr}".rstrip())


def main() -> int:
    """Build the package and print what it is."""
    parser = argparse.ArgumentParser(prog="make package", description=__doc__)
    parser.add_argument("--into", type=Path, default=Path("build"), help="where to (default: build)")
    try:
        print(build(parser.parse_args().into))  # noqa: T201 - it is what this prints for
    except ControllerError as error:
        print("\n".join(filter(None, (f"error: {error.message}", error.hint))), file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
