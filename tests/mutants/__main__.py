"""Plants known bugs one at a time: each must turn the fast tests red, else a guard is only believed to work.

`make mutants` plants all; `python -m tests.mutants WORD...` those whose file or bug has one of the words in it. A mutant whose
old text is not there exactly once counts as one that survived (`tests/test_mutants.py` tells of it sooner).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
AT_ONCE = 2
SECONDS = 300
"""How long a mutant may make the tests take; one that hangs them is found out, too."""


def main(words: list[str]) -> int:
    """Plant each bug, or each that has one of the words in its name; run the tests, and say which nobody noticed."""
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    if not chosen:
        _say(f"no planted bug has {' or '.join(words)} in its file or its words")
        return 2
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sound, *caught = pool.map(_try, (None, *chosen))
    _say(f"{sum(caught)} of {len(chosen)} planted bugs caught")
    return 0 if sound and all(caught) else 1


def _try(mutant: Mutant | None) -> bool:
    """Run the tests on a copy with the bug, or with none: those must pass, or else nothing is proved."""
    with tempfile.TemporaryDirectory(prefix="mooring-mutant-") as folder:
        copy = Path(folder)
        _copy_to(copy)
        if mutant is None:
            failed = _first_failure(copy, near="")
            if failed:
                _say(f"BROKEN    without any bug planted: {failed}")
            return not failed
        path = copy / "chalicelib" / mutant.file
        text = path.read_text()
        if text.count(mutant.old) != 1:
            _say(f"MISSING   {mutant.name}: its old text is there {text.count(mutant.old)} times")
            return False
        path.write_text(text.replace(mutant.old, mutant.new))
        failed = _first_failure(copy, near=Path(mutant.file).stem)
    _say(f"caught    {mutant.name}  [{failed}]" if failed else f"SURVIVED  {mutant.name}")
    return bool(failed)


def _copy_to(folder: Path) -> None:
    """Copy what the fast tests need."""
    for part in ("chalicelib", "tests"):
        shutil.copytree(
            ROOT / part,
            folder / part,
            ignore=shutil.ignore_patterns("aws", "bench", "packets", "router_os", "__pycache__"),
        )
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copy(ROOT / "pyproject.toml", folder)


def _first_failure(folder: Path, near: str) -> str:
    """Run the fast tests and name the first that fails, "" when all pass.

    First those of the module `near`, then all examples, then what hypothesis draws.
    """
    files = (
        *sorted(folder.glob("tests/core/**/test_*.py")),
        *sorted(folder.glob("tests/controller/test_controller*.py")),
        folder / "tests/controller/test_push.py",
        folder / "tests/controller/test_worker.py",
    )
    tests = [str(path.relative_to(folder)) for path in files]
    own = [test for test in tests if near and Path(test).stem.startswith(f"test_{near}")]
    first = own and _failure(folder, ["-m", "not hypothesis", *own])
    return (
        first
        or _failure(folder, ["-m", "not hypothesis", *tests])
        or _failure(folder, ["-m", "hypothesis", "--hypothesis-profile=mutants", *tests])
    )


def _failure(folder: Path, chosen: list[str]) -> str:
    command = [sys.executable, "-m", "pytest", "-x", "-n", "0", "-p", "no:cacheprovider", "--tb=no", *chosen]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    try:
        run = subprocess.run(  # noqa: S603 - our own interpreter and tests
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"still running after {SECONDS} s"
    if run.returncode not in (0, 1, 5):  # 5: of a module, every test is one of hypothesis
        raise RuntimeError(f"pytest could not run: {run.stdout[-500:]}{run.stderr[-500:]}")
    found = re.search(r"^(?:FAILED|ERROR) \S*?([\w.]+(?:::\w+)?)(?:\[| |$)", run.stdout, re.MULTILINE)
    return found[1] if found else ""


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
