"""Finds the topology an operator means: by name, or the only one."""

from __future__ import annotations

import difflib
from contextlib import suppress
from typing import TYPE_CHECKING

from chalicelib.cli.errors import UsageError
from chalicelib.core.declaration import parse
from chalicelib.core.errors import ObservationError, TopologyError, UnknownTopology

if TYPE_CHECKING:
    from chalicelib.bootstrap import Edge
    from chalicelib.core.topology import Topology

_NONE = UnknownTopology(
    "no topology is declared in this account and region",
    hint="mooring init proposes one, mooring declare FILE declares it; or name another --region or --profile",
)


def declared(edge: Edge, name: str | None) -> Topology:
    """Read the topology of a name; without a name, the only one.

    Raises:
        UnknownTopology: there is none, or none of that name; says which name is near.
        UsageError: there are several and none was named.
        TopologyError: what is stored is not valid.
        ObservationError: Parameter Store could not be read.
    """
    if name is None:
        return _only(edge.topologies.documents())
    # What could be no name is not asked for: a slash in it would lead to another parameter.
    if name.isascii() and name.replace("-", "").isalnum():
        with suppress(UnknownTopology):
            return stored(name, edge.topologies.document(name))
    names: list[str] = []
    with suppress(ObservationError):  # the answer stands without a hint
        names = edge.topologies.names()
    raise UnknownTopology(f"no topology {name} is declared here", hint=_near(name, names))


def stored(name: str, document: bytes | None) -> Topology:
    """Parse a topology as it is stored.

    Raises:
        UnknownTopology: nothing is stored under that name.
        TopologyError: it is not valid: somebody wrote it past `mooring declare`.
    """
    if document is None:
        raise UnknownTopology(f"no topology {name} is declared here")
    try:
        return parse(document)
    except TopologyError as error:
        raise TopologyError(error.flaws, hint=f"{name} is stored like that; declare it anew") from error


def _only(documents: dict[str, bytes]) -> Topology:
    if not documents:
        raise _NONE
    if len(documents) > 1:
        raise UsageError(f"{len(documents)} topologies are declared, so name one", hint=", ".join(documents))
    ((name, document),) = documents.items()
    return stored(name, document)


def _near(name: str, names: list[str]) -> str:
    if not names:
        return _NONE.hint
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"declared here: {', '.join(names)}"
