"""systemd's unit files, as far as a router's are written: sections, drop-ins, templates, specifiers."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

FOLDERS = tuple(Path(p) for p in ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"))
_SECONDS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "min": 60.0, "": 1.0}


@dataclass(frozen=True)
class Unit:
    """A unit, with its drop-ins applied; `settings` gives every value of `Section.Directive` in order."""

    name: str
    settings: dict[str, list[str]]

    def last(self, key: str, default: str = "") -> str:
        """Return the value that counts of a directive that has one."""
        return (self.settings.get(key) or [default])[-1]

    def words(self, key: str) -> list[str]:
        """Return the words of a directive that lists, such as `Unit.After`."""
        return [word for value in self.settings.get(key, []) for word in value.split()]

    def commands(self, key: str) -> list[tuple[list[str], bool]]:
        """Return commands, each with whether it must succeed."""
        lines = [(value.lstrip("-+!@:"), "-" not in _prefix(value)) for value in self.settings.get(key, [])]
        return [(shlex.split(line), strict) for line, strict in lines]

    def seconds(self, key: str, default: float) -> float:
        """Return a span of time."""
        text = self.last(key)
        if not text:
            return default
        number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
        return float(number) * _SECONDS[text[len(number) :]]


def load(name: str) -> Unit | None:
    """Read a unit and its drop-ins; None when there is no such file."""
    stem, at, rest = name.partition("@")
    instance = rest.rpartition(".")[0] if at else ""
    template = f"{stem}@.{name.rpartition('.')[2]}" if at else name
    path = next((f / n for n in (name, template) for f in FOLDERS if (f / n).is_file()), None)
    if path is None:
        return None
    more = {
        drop.name: drop
        for folder in reversed(FOLDERS)
        for n in (template, name)
        for drop in folder.joinpath(f"{n}.d").glob("*.conf")
    }
    settings: dict[str, list[str]] = {}
    for source in (path, *(more[key] for key in sorted(more))):
        _read(source.read_text(), settings, {"%i": instance, "%I": instance, "%n": name, "%t": "/run"})
    return Unit(name, settings)


def wanted() -> list[str]:
    """Name the units that are enabled at boot: those that a target wants."""
    links = FOLDERS[0].glob("*.target.wants/*.service")
    return sorted({link.name for link in links})


def enable(name: str, root: Path = Path("/")) -> None:
    """Enable a unit of a file system, which need not be running."""
    unit_file = root / "etc/systemd/system" / name
    settings: dict[str, list[str]] = {}
    _read(unit_file.read_text(), settings, {})
    for target in settings["Install.WantedBy"]:
        wants = root / "etc/systemd/system" / f"{target}.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / name).unlink(missing_ok=True)
        (wants / name).symlink_to(Path("/etc/systemd/system") / name)


def _read(text: str, settings: dict[str, list[str]], specifiers: dict[str, str]) -> None:
    section = ""
    for line in text.replace("\\\n", " ").splitlines():
        bare = line.strip()
        if not bare or bare[0] in "#;":
            continue
        if bare.startswith("["):
            section = bare.strip("[]")
            continue
        key, _, value = bare.partition("=")
        for short, long in specifiers.items():
            value = value.replace(short, long)
        values = settings.setdefault(f"{section}.{key.strip()}", [])
        if value.strip():
            values.append(value.strip().replace("%%", "%"))
        else:
            values.clear()  # an empty value forgets those before it


def _prefix(value: str) -> str:
    return value[: len(value) - len(value.lstrip("-+!@:"))]
