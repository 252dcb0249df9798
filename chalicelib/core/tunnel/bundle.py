"""Seals a bundle for its way through Parameter Store; `chalicelib.on_router.agent.pull` opens it on the router."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address

SCHEMA = 1
BOX = Path(__file__).parents[2] / "on_router" / "files"
MOST_BYTES = 8192
"""What a parameter of the advanced tier holds (Systems Manager user guide, "Managing parameter tiers")."""
MOST_CONFIRM_SECONDS = 3600


def seal(canonical: bytes, *, probe: IPv4Address | None, confirm_within: int | None = None) -> str:
    """Write the parameter's value: equal input gives equal text, so an unchanged bundle makes no new version.

    Args:
        canonical: the bundle as `render.Bundle.canonical` gives it; no secret is in it.
        probe: an address in an office network that answers pings; it must answer after a push if it did before.
        confirm_within: seconds after which the router undoes the push unless it is confirmed, 3600 at most.

    Raises:
        ValueError: `confirm_within` is no number of seconds that a router waits, or no parameter holds the bundle.
    """
    if confirm_within is not None and not 0 < confirm_within <= MOST_CONFIRM_SECONDS:
        raise ValueError(
            f"a router waits 1 to {MOST_CONFIRM_SECONDS} seconds for a confirmation, not {confirm_within}"
        )
    envelope = {
        "schema": SCHEMA,
        "digest": hashlib.sha256(canonical).hexdigest(),
        "probe": None if probe is None else str(probe),
        "confirm_within": confirm_within,
        # Parameter Store takes no value with two braces in a row
        "packed": base64.b85encode(deflated(canonical)).decode().replace("{", "."),
    }
    value = json.dumps(envelope, sort_keys=True, separators=(",", ":"))
    if len(value) > MOST_BYTES:
        raise ValueError(f"the bundle has {len(value)} bytes; Parameter Store holds {MOST_BYTES}")
    return value


@cache
def dictionary() -> bytes:
    """Return what every bundle holds word for word: the programs and units in `chalicelib/on_router/files`, as JSON spells them.

    Both ends deflate with it (RFC 1950, preset dictionary), and so a parameter carries only what is a topology's own.
    The documents bring it to the router, and they and the worker are deployed together.
    """
    kept = sorted(path for path in BOX.iterdir() if path.is_file() and path.name != "__init__.py")
    return "".join(json.dumps(path.read_text(encoding="utf-8"))[1:-1] for path in kept).encode()


def deflated(content: bytes) -> bytes:
    """Deflate with the dictionary."""
    packer = zlib.compressobj(9, zdict=dictionary())
    return packer.compress(content) + packer.flush()
