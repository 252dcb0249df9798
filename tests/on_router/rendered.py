"""A topology with a tunnel, and what is rendered of it."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from chalicelib.core.declaration import parse
from chalicelib.core.tunnel.render import Box, render
from tests.core.documents import tunnelled

if TYPE_CHECKING:
    from chalicelib.core.network.topology import Topology
    from chalicelib.core.tunnel.render import Bundle

BOX = Box(IPv4Address("10.0.0.4"), IPv4Address("203.0.113.1"))


def declared(*changes: tuple[str, str]) -> Topology:
    """Parse the document with a tunnel, and some of its text exchanged."""
    return parse(tunnelled(*changes))


def rendered(*changes: tuple[str, str]) -> Bundle:
    """Render the router of the document."""
    return render(declared(*changes), BOX)


def text_of(bundle: Bundle, name: str) -> str:
    """Find a file's text by the end of its path."""
    (text,) = (file.text for file in bundle.files if file.path.endswith(name))
    return text
