"""The verb that tells how things stand: the verdict first."""

from concurrent.futures import ThreadPoolExecutor

from rich.text import Text

from chalicelib.cli.named import declared, stored
from chalicelib.cli.options import Name
from chalicelib.cli.render import error_json, exit_code, status_line, status_lines
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.controller.ports import Ports
from chalicelib.controller.reconcile import preview
from chalicelib.core.errors import TopologyError
from chalicelib.core.network.report import Report, as_json
from chalicelib.core.request import Request

_AT_ONCE = 4


def status(shell: Shell, name: Name = None) -> int:
    """Tell who is the router and what is drifting. Never writes.

    Without a name and with several topologies declared: one line for each.

    Exit status: 0 everything is as declared, 2 it is not, 1 it could not be seen or has no router.
    """
    documents = {} if name else shell.edge.topologies.documents()
    if len(documents) > 1:
        return _all(shell, documents)
    topology = stored(*documents.popitem()) if documents else declared(shell.edge, name)
    report = preview(topology, shell.edge, Request())
    shell.show(status_lines(report), as_json(report))
    return exit_code(report)


def _all(shell: Shell, documents: dict[str, bytes]) -> int:
    """Look at every topology; one that nobody can read is an answer too."""
    ports = shell.edge
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        looks = {name: pool.submit(_look, ports, name, document) for name, document in documents.items()}
    seen = {name: look.result() for name, look in looks.items()}
    shell.show(
        (_line(name, one) for name, one in seen.items()),
        {"topologies": [_document(name, one) for name, one in seen.items()]},
    )
    codes = {exit_code(one) if isinstance(one, Report) else 1 for one in seen.values()}
    return 1 if 1 in codes else max(codes)


def _look(ports: Ports, name: str, document: bytes) -> Report | TopologyError:
    try:
        topology = stored(name, document)
    except TopologyError as error:
        return error
    return preview(topology, ports, Request())


def _line(name: str, seen: Report | TopologyError) -> Text:
    return status_line(seen) if isinstance(seen, Report) else line(("invalid   ", "red"), f"{name}: {seen}")


def _document(name: str, seen: Report | TopologyError) -> dict[str, object]:
    return as_json(seen) if isinstance(seen, Report) else {"topology": name, **error_json(seen)}
