"""Finds the topology an operator means: by name, the only one, or one in a file."""

from __future__ import annotations

import difflib
from contextlib import suppress
from typing import TYPE_CHECKING

from chalicelib.cli.errors import UsageError
from chalicelib.cli.files import read
from chalicelib.core.declaration import parse
from chalicelib.core.errors import ObservationError, TopologyError, UnknownTopology

if TYPE_CHECKING:
    from chalicelib.bootstrap import Edge
    from chalicelib.cli.shell import Shell
    from chalicelib.core.network.topology import Topology

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


def given(shell: Shell, name: str | None, file: str | None) -> Topology:
    """Read the topology of a name, or of a file: then without AWS.

    A name with a dot or a slash in it, or `-`, can be no topology's, and is taken for a file.

    Raises:
        UsageError: both were given.
        FileUnusable: there is no such file.
        TopologyError: what is in it is not valid.
    """
    if name is not None and is_file(name, None):
        if file is not None:
            raise UsageError(f"{name} and --file {file} are two files", hint="name one")
        name, file = None, name
    if file is None:
        return declared(shell.edge, name)
    if name is not None:
        raise UsageError(f"{name} and --file {file} are two topologies", hint="name one")
    try:
        return parse(read(file, hint="mooring init writes a topology"))
    except TopologyError as error:
        raise TopologyError(error.flaws, hint=f"mend {'standard input' if file == '-' else file}") from error


def is_file(name: str | None, file: str | None) -> bool:
    """Return whether a topology was given as a file."""
    return file is not None or (name is not None and (name == "-" or "." in name or "/" in name))


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
