"""Pulls a bundle and the tunnel's secrets out of Parameter Store, by the instance's own role through the AWS CLI.

Values come over a pipe: never in an argument, never in a message.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pkgutil
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .shell import Refused, last_words, run

if TYPE_CHECKING:
    from collections.abc import Mapping

DICTIONARY = "dictionary"
"""What every bundle holds word for word (`core.tunnel.bundle.dictionary`); it lies beside this module in the document's zip."""

PATH = re.compile(r"/mooring/[a-z0-9][a-z0-9-]{0,39}/router/[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
VERSION = re.compile(r"[1-9][0-9]{0,9}")
DIGEST = re.compile(r"[0-9a-f]{64}")

KEYS = "/etc/openvpn/client/mooring"
"""Where the secrets go; nothing else of Mooring's is secret."""
SECRETS = {"ca": "ca.crt", "cert": "router.crt", "key": "router.key", "tls-crypt": "tls-crypt.key"}
"""Parameter below /mooring/<topology>/tunnel -> file below KEYS."""

# What a bundle may write: a parameter that somebody else wrote must not become a cron job.
_ROOMS = re.compile(
    r"/etc/openvpn/client/mooring\.conf"
    r"|/etc/mooring/[a-z0-9][a-z0-9._-]*"
    r"|/usr/local/lib/mooring/[a-z0-9][a-z0-9._-]*"
    r"|/etc/systemd/system/mooring-[a-z-]+\.(?:service|timer)"
    r"|/etc/systemd/system/openvpn-client@mooring\.service\.d/[a-z-]+\.conf"
)
_MODES = {"0600", "0644", "0755"}
_MOST_FILES, _MOST_BYTES = 32, 256 * 1024
_MOST_SECONDS = 3600
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")


@dataclass(frozen=True)
class Bundle:
    """What a router should be: canonical form, and the files in it by path."""

    canonical: bytes
    files: dict[str, dict[str, Any]]

    @property
    def digest(self) -> str:
        """The hexadecimal SHA-256 of the canonical form."""
        return hashlib.sha256(self.canonical).hexdigest()

    @classmethod
    def read(cls, canonical: bytes) -> Bundle:
        """Read a canonical form back: every path in Mooring's own rooms, every mode one of three.

        Raises:
            Refused: it is no such thing.
        """
        try:
            content = json.loads(canonical)
            files = {
                path: {"mode": one["mode"], "text": one["text"]} for path, one in content["files"].items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused(f"the bundle cannot be read: {type(error).__name__}") from None
        if content.get("schema") != 1 or canonicalize(content) != canonical or len(files) > _MOST_FILES:
            raise Refused("the bundle is of a schema or form that this document does not know")
        for path, one in files.items():
            if not isinstance(one["text"], str) or one["mode"] not in _MODES or not _ROOMS.fullmatch(path):
                raise Refused(f"the bundle holds what no bundle of Mooring's holds: {path[:120]!r}")
        return cls(canonical, files)


@dataclass(frozen=True)
class Wanted:
    """What a push asks for."""

    path: str
    version: str
    bundle: Bundle
    secrets: dict[str, dict[str, Any]]
    probe: str | None
    confirm_within: int | None


def canonicalize(content: object) -> bytes:
    """Write JSON in the one form that is digested."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def asked(environment: Mapping[str, str]) -> tuple[str, str, str]:
    """Take path, version and digest from the agent's environment, and hold them against their patterns again.

    Raises:
        Refused: one is missing or is not of its pattern.
    """
    values = []
    for name, pattern in (("Path", PATH), ("Version", VERSION), ("Digest", DIGEST)):
        value = environment.get(f"SSM_{name}", "")
        if not pattern.fullmatch(value):
            raise Refused(f"parameter {name} is not {pattern.pattern}")
        values.append(value)
    return values[0], values[1], values[2]


def wanted(path: str, version: str, digest: str) -> Wanted:
    """Pull a bundle by its version and the tunnel's secrets, and check the digest.

    Raises:
        Refused: something cannot be had, or is not what was asked for.
    """
    topology = path.split("/")[2]
    names = {f"/mooring/{topology}/tunnel/{name}": f"{KEYS}/{file}" for name, file in SECRETS.items()}
    values = _values(f"{path}:{version}", *names)
    if missing := [name for name in names if name not in values]:
        raise Refused(f"no such secret: {', '.join(missing)}; store it with `mooring secrets put {topology}`")
    if path not in values:
        raise Refused(f"there is no parameter {path} of version {version}")
    secrets = {file: {"mode": "0600", "text": values[name].strip() + "\n"} for name, file in names.items()}
    packed, probe, confirm_within = _open(values[path])
    bundle = Bundle.read(_unpack(packed))
    if bundle.digest != digest:
        raise Refused(f"{path}:{version} has digest {bundle.digest[:12]}…, and {digest[:12]}… was asked for")
    return Wanted(path, version, bundle, secrets, probe, confirm_within)


def _open(value: str) -> tuple[str, str | None, int | None]:
    """Open an envelope: what is packed in it, the probe, the seconds to confirm within."""
    try:
        envelope = json.loads(value)
        packed, probe, confirm_within = str(envelope["packed"]), envelope["probe"], envelope["confirm_within"]
        known = envelope["schema"] == 1 and (probe is None or _ADDRESS.fullmatch(probe) is not None)
        known = known and (confirm_within is None or _MOST_SECONDS >= int(confirm_within) > 0)
    except (ValueError, KeyError, TypeError):
        raise Refused("the parameter holds no envelope of Mooring's") from None
    if not known:
        raise Refused(
            "the parameter's envelope is of a schema that this document does not know; deploy Mooring anew"
        )
    return packed, probe, confirm_within


def _unpack(packed: str) -> bytes:
    """Undo base85 (with `.` for `{`) and zlib with its dictionary, and never make more bytes than a bundle can have."""
    unpacker = zlib.decompressobj(zdict=pkgutil.get_data(__package__, DICTIONARY) or b"")
    try:
        content = unpacker.decompress(base64.b85decode(packed.replace(".", "{")), _MOST_BYTES)
    except (ValueError, zlib.error):
        raise Refused("the bundle is not packed as base85 of zlib") from None
    if not unpacker.eof or unpacker.unused_data:
        raise Refused(f"the bundle is cut off, or larger than {_MOST_BYTES} bytes")
    return content


def reachable(wanted: Wanted) -> str | None:
    """Ask Systems Manager for the bundle once more; say why that fails."""
    try:
        there = _values(f"{wanted.path}:{wanted.version}")
    except Refused as error:
        return str(error)
    return None if there else f"{wanted.path} is gone"


def _values(*names: str) -> dict[str, str]:
    """Read parameters, five in one call, as most of a call's time is the CLI's start; what is not there is left out."""
    answer = _aws("get-parameters", "--with-decryption", "--names", *names)
    return {str(one["Name"]): str(one["Value"]) for one in answer["Parameters"]}


def _aws(action: str, *words: str) -> Any:  # noqa: ANN401 - JSON
    """Call SSM through the AWS CLI, version 1 or 2, twice at most."""
    limits = ("--cli-connect-timeout", "3", "--cli-read-timeout", "4", "--output", "json")
    env = {"AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "2", "AWS_RETRY_MODE": "standard"}
    if region := os.environ.get("AWS_SSM_REGION_NAME"):
        env["AWS_DEFAULT_REGION"] = env["AWS_REGION"] = region
    ended = run("aws", "ssm", action, *words, *limits, seconds=12, env=env)
    if ended.returncode:
        raise Refused(f"Systems Manager did not answer {action}: {last_words(ended)}")
    try:
        return json.loads(ended.stdout)
    except ValueError:
        raise Refused(f"the AWS CLI's answer to {action} is no JSON") from None
