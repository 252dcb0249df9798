"""What the API answers: reads look for themselves, and whatever changes the network is asked of the worker."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from chalicelib.controller import operator
from chalicelib.controller.reconcile import preview
from chalicelib.core.errors import ControllerError, TopologyError, UnknownTopology
from chalicelib.core.fields import INSTANCE, NAME
from chalicelib.core.network.history import Pause
from chalicelib.core.network.report import as_json, pause_json
from chalicelib.core.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalicelib.controller.ports import OperatorPorts, Telemetry
    from chalicelib.core.network.topology import Topology

Answer: TypeAlias = "tuple[int, dict[str, Any]]"
"""An HTTP status and a JSON object."""

MOST_ENTRIES = 100
MOST_BYTES = 5_000_000
"""Of runs in one answer: Lambda gives back 6 MB at most, and the report of a large failover is large."""


class Refused(Exception):  # noqa: N818 - it is the caller's mistake, not an error of ours
    """A request that is not served: an HTTP status, a code, what is wrong and what to do."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint


def reply(serve: Callable[[], Answer], telemetry: Telemetry) -> Answer:
    """Serve a request; whatever stops it becomes a status and a body of code, message and hint."""
    try:
        return serve()
    except Refused as refused:
        return refused.status, problem(refused.code, refused.message, refused.hint)
    except UnknownTopology as error:
        return 404, problem(error.code, error.message, "GET /topologies lists the declared ones")
    except TopologyError as error:
        return 409, problem(error.code, error.message, "declare it again with mooring declare")
    except ControllerError as error:
        telemetry.failed("a request could not be served", error)
        return 503, problem(error.code, error.message, error.hint or "try again in a moment")
    except Exception as error:  # noqa: BLE001 - the outer edge of a process: it is logged, and the caller is told
        telemetry.failed("a request could not be served", error)
        return 500, problem("InternalError", "this is a fault of Mooring's", "its log says where it is")


def problem(code: str, message: str, hint: str) -> dict[str, Any]:
    """Return the body of every answer that is not what was asked for."""
    return {"code": code, "message": message, "hint": hint}


def list_topologies(ports: OperatorPorts) -> Answer:
    """List the declared names."""
    return 200, {"topologies": list(ports.topologies.names())}


def show(ports: OperatorPorts, caller: str, name: str) -> Answer:
    """Look now: verdict, router, drift and advice; and the last run that decided something."""
    report = preview(_declared(ports, name), ports, Request(caller))
    last = ports.journal.timeline(name, 1)
    paused = ports.journal.read(name).paused(ports.clock.now())
    return 200, {
        "now": as_json(report),
        "last": last[0] if last else None,
        "pause": paused and pause_json(paused),
    }


def plan(ports: OperatorPorts, caller: str, name: str) -> Answer:
    """Look now and give the report of what a run would do."""
    return 200, as_json(preview(_declared(ports, name), ports, Request(caller)))


def reconcile(ports: OperatorPorts, caller: str, name: str, body: bytes) -> Answer:
    """Ask the worker for a run: 202 with the id to ask after."""
    asked = _fields(body, force=_flag)
    return _enqueue(ports, _declared(ports, name), Request(caller, force=bool(asked.get("force"))))


def switchover(ports: OperatorPorts, caller: str, name: str, body: bytes) -> Answer:
    """Ask the worker to move the router: 202, or 409 with the reason where it would refuse."""
    asked = _fields(body, required=("to",), to=_instance, force=_flag)
    request = Request(caller, "switchover", asked["to"], force=bool(asked.get("force")))
    return _ask(ports, name, request)


def push(ports: OperatorPorts, caller: str, name: str, body: bytes) -> Answer:
    """Ask the worker to push configurations now: 202, or 409 with the reason where it would refuse."""
    asked = _fields(body, to=_instance, confirm_within=operator.confirm_within)
    request = Request(caller, "push", asked.get("to"), confirm_within=asked.get("confirm_within"))
    return _ask(ports, name, request)


def confirm(ports: OperatorPorts, caller: str, name: str, body: bytes) -> Answer:
    """Ask the worker to have machines keep what was pushed on condition: 202, or 409 where nothing waits."""
    asked = _fields(body, to=_instance)
    return _ask(ports, name, Request(caller, "confirm", asked.get("to")))


def _ask(ports: OperatorPorts, name: str, request: Request) -> Answer:
    """Preview a request, refuse what the worker would refuse, and put the rest on the queue."""
    topology = _declared(ports, name)
    objection = operator.objection(request, preview(topology, ports, request))
    if objection:
        raise Refused(409, objection.code, objection.message, objection.remedy)
    return _enqueue(ports, topology, request)


def pause(ports: OperatorPorts, caller: str, name: str, body: bytes) -> Answer:
    """Have the worker look and not touch for a while."""
    readers = {"for": operator.duration, "reason": operator.reason}
    asked = _fields(body, required=tuple(readers), **readers)
    _declared(ports, name)
    wanted = Pause(asked["reason"], ports.clock.now() + asked["for"])
    paused = operator.pause(name, wanted, caller, ports.journal)
    return 200, {"topology": name, "pause": pause_json(paused)}


def resume(ports: OperatorPorts, caller: str, name: str, body: bytes) -> Answer:
    """End a pause and have the worker look at once; a pause that is declared only its declaration ends.

    202, or 200 when the worker could not be asked: the pause has ended all the same.
    """
    _fields(body)
    topology = _declared(ports, name)
    if topology.paused:
        message = f"{name} is declared paused"
        raise Refused(409, "Paused", message, "declare it again with paused = false")
    operator.resume(name, ports.clock.now(), ports.journal)
    try:
        return _enqueue(ports, topology, Request(caller))
    except ControllerError as error:
        said = f"{name} is resumed; the next tick looks, since {error.message}"
        return 200, {"topology": name, "request_id": None, "message": said}


def history(ports: OperatorPorts, name: str, query: Mapping[str, str]) -> Answer:
    """Return the latest runs that decided something, the newest first."""
    for unknown in query.keys() - {"limit"}:
        raise Refused(400, "BadRequest", f"{_short(unknown)} is no parameter", "the one parameter is limit")
    limit = query.get("limit", "20")
    if not (re.fullmatch(r"[0-9]{1,3}", limit) and 1 <= int(limit) <= MOST_ENTRIES):
        raise _bad("limit", limit, f"a whole number from 1 to {MOST_ENTRIES}")
    _declared(ports, name)
    runs: list[dict[str, Any]] = []
    room = MOST_BYTES
    for run in ports.journal.timeline(name, int(limit)):
        room -= len(json.dumps(run))
        if room < 0:
            break
        runs.append(run)
    return 200, {"topology": name, "runs": runs}


def request(ports: OperatorPorts, request_id: str) -> Answer:
    """Return how far a request has come: queued, running, done with its report, or never to be answered any more."""
    known = operator.answered(request_id, ports)
    if known is None:
        message = "no such request is known"
        raise Refused(404, "UnknownRequest", message, "answers are kept for a day; ask again")
    return 200, known


def _declared(ports: OperatorPorts, name: str) -> Topology:
    """Read a topology; what cannot be a name is not looked for: Parameter Store reads `name:3` as a version."""
    if not NAME.fullmatch(name):
        raise UnknownTopology("no topology of such a name can be declared")
    return ports.topologies.read(name)


def _enqueue(ports: OperatorPorts, topology: Topology, request: Request) -> Answer:
    return 202, {"request_id": operator.enqueue(topology.name, request, ports), "topology": topology.name}


def _fields(
    body: bytes, *, required: Sequence[str] = (), **readers: Callable[[object], object]
) -> dict[str, Any]:
    """Read a JSON object of known fields; an empty body is an empty object."""
    try:
        raw = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Refused(400, "BadRequest", "the body is not JSON", "send a JSON object") from error
    if not isinstance(raw, dict):
        raise Refused(400, "BadRequest", "the body is no JSON object", "send a JSON object")
    fields = cast("dict[str, object]", raw)
    for name in fields.keys() - readers.keys():
        known = ", ".join(sorted(readers)) or "none"
        raise Refused(400, "BadRequest", f"{_short(name)} is no field", f"fields are: {known}")
    for name in required:
        if name not in fields:
            raise Refused(400, "BadRequest", f"{name} is missing", f"send {' and '.join(required)}")
    return {name: _read(name, value, readers[name]) for name, value in fields.items()}


def _read(name: str, value: object, reader: Callable[[object], object]) -> object:
    try:
        return reader(value)
    except operator.InvalidValueError as unfit:
        raise _bad(name, value, unfit.wanted) from unfit


def _bad(field: str, value: object, wanted: str) -> Refused:
    return Refused(400, "BadRequest", f"{field} is {_short(value)}", f"it must be {wanted}")


def _short(value: object) -> str:
    """Quote what the caller sent back to it, in ASCII."""
    return ascii(value)[:80]


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise operator.InvalidValueError("true or false")
    return value


def _instance(value: object) -> str:
    if not isinstance(value, str) or not INSTANCE.fullmatch(value):
        raise operator.InvalidValueError("an instance id such as i-0123456789abcdef0")
    return value
