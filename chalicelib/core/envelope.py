"""Seals a bundle for its way through Parameter Store; `chalicelib.command.pull` opens it on the router."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ipaddress import IPv4Address

SCHEMA = 1
STANDARD_BYTES, ADVANCED_BYTES = 4096, 8192
"""What a parameter of each tier holds (Systems Manager user guide, "Managing parameter tiers")."""
MOST_CONFIRM_SECONDS = 3600


def seal(canonical: bytes, *, probe: IPv4Address | None, confirm_within: int | None = None) -> str:
    """Write the parameter's value: equal input gives equal text, so an unchanged bundle makes no new version.

    Args:
        canonical: the bundle as `core.router.Bundle.canonical` gives it; no secret is in it.
        probe: an address in an office network that answers pings; it must answer after a push if it did before.
        confirm_within: seconds after which the router undoes the push unless it is confirmed, 3600 at most.

    Raises:
        ValueError: `confirm_within` is no number of seconds that a router waits.
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
        "packed": base64.b85encode(zlib.compress(canonical, 9)).decode().replace("{", "."),
    }
    return json.dumps(envelope, sort_keys=True, separators=(",", ":"))


def tier(value: str) -> Literal["Standard", "Advanced"]:
    """Name the cheapest tier that holds a value: `Standard`, or `Advanced`, which costs and cannot be undone.

    Raises:
        ValueError: none holds it.
    """
    size = len(value.encode())
    if size > ADVANCED_BYTES:
        raise ValueError(f"the bundle has {size} bytes; Parameter Store holds {ADVANCED_BYTES} at most")
    return "Standard" if size <= STANDARD_BYTES else "Advanced"
