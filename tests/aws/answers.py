"""Answers as botocore's own models of the services have them, with any member left out, and clients that get them."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.model import ListShape, MapShape, StringShape, StructureShape

from chalicelib.aws.wire import Answer as Sent
from tests.aws.queries import ONCE, Canned, answering, asking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.model import ServiceModel, Shape

    from tests.fake_aws import Client

Path: TypeAlias = tuple[str | int, ...]
Answer: TypeAlias = dict[str, Any]
Told: TypeAlias = "Mapping[str, Callable[[int], object]]"
"""What a member has, by `Shape.Member` or `Member` alone; the number tells the items of a listing apart."""

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
_PAGING = ("NextToken", "nextToken")


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def whole(service: str, operation: str, told: Told, *numbers: int) -> Answer:
    """Return an answer with every member that the model has; each of its outermost listings has an item per number."""
    output = _model(service).operation_model(operation).output_shape
    assert isinstance(output, StructureShape)
    answer: Answer = {}
    for name, member in output.members.items():
        if name in _PAGING:
            continue
        if isinstance(member, ListShape):
            answer[name] = [_value(member.member, name, told, n, ()) for n in numbers or (1,)]
        else:
            answer[name] = _value(member, f"{output.name}.{name}", told, 1, ())
    return answer


def _value(shape: Shape, name: str, told: Told, number: int, above: tuple[str, ...]) -> object:
    said = told.get(name) or told.get(name.rpartition(".")[2])
    if said:
        return said(number)
    match shape:
        case StructureShape():
            if shape.name in above:
                return {}
            return {
                key: _value(member, f"{shape.name}.{key}", told, number, (*above, shape.name))
                for key, member in shape.members.items()
            }
        case ListShape():
            return [_value(shape.member, name, told, number, above)]
        case MapShape():
            return {"key": _value(shape.value, name, told, number, above)}
        case StringShape():
            return shape.enum[0] if shape.enum else f"{name.rpartition('.')[2]}-{number}"
    plain: dict[str, object] = {"boolean": False, "timestamp": AT, "blob": b"", "double": 1.0, "float": 1.0}
    return plain.get(shape.type_name, 1)


def paths(answer: object, above: Path = ()) -> Iterator[Path]:
    """Go through every member of every structure, at any depth; of a list, through those of its first item."""
    if isinstance(answer, dict):
        for key, value in answer.items():
            yield (*above, key)
            yield from paths(value, (*above, key))
    elif isinstance(answer, list) and answer:
        yield from paths(answer[0], (*above, 0))


def at(answer: Answer, path: Path) -> Any:  # noqa: ANN401 - whatever is there
    """Return what is at a path."""
    found: Any = answer
    for step in path:
        found = found[step]
    return found


def without(answer: Answer, path: Path) -> Answer:
    """Leave a member out."""
    changed = copy.deepcopy(answer)
    del at(changed, path[:-1])[path[-1]]
    return changed


def having(answer: Answer, path: Path, value: object) -> Answer:
    """Put something else in a member's place."""
    changed = copy.deepcopy(answer)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def short(path: Path) -> str:
    """`Reservations.Instances.State`."""
    return ".".join(str(step) for step in path if isinstance(step, str))


def grown(answer: object) -> object:
    """Add a member that no model has to every structure."""
    match answer:
        case dict():
            return {"SomethingNew": {"Of": ["AWS's"]}} | {key: grown(value) for key, value in answer.items()}
        case list():
            return [grown(one) for one in answer]
    return answer


def canned(service: str, given: Mapping[str, Answer]) -> Client:
    """Return a client that gets these answers, by operation, without a wire; all else of it is botocore's, or EC2's own.

    Making one takes long, so there is one for each service: it gets the answers that were last given.
    """
    if service == "ec2":
        return answering(given)
    client, answers = _canned(service)
    answers.clear()
    answers |= given
    return client


@cache
def _canned(service: str) -> tuple[Client, dict[str, Answer]]:
    client, answers = _client(service), dict[str, Answer]()

    def answer(model: Any, **_: object) -> tuple[AWSResponse, Answer]:  # noqa: ANN401 - botocore's
        said = copy.deepcopy(answers[model.name]) | {"ResponseMetadata": {"HTTPStatusCode": 200}}
        return AWSResponse("http://127.0.0.1", 200, HTTPHeaders(), None), said

    client.meta.events.register("before-call", answer)
    return client, answers


@cache
def garbled(service: str) -> tuple[Client, list[bytes]]:
    """Return a client that gets the last of these bodies, with a success's status, whatever it asks."""
    bodies = [b""]
    if service == "ec2":
        return asking(Canned(lambda _: Sent(200, {}, bodies[-1]))), bodies
    client = _client(service)
    client.meta.events.register(
        "before-send", lambda request, **_: AWSResponse(request.url, 200, HTTPHeaders(), _Body(bodies[-1]))
    )
    return client, bodies


class _Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self._body


def _client(service: str) -> Client:
    """Make one that can reach nobody: nothing listens on port 9 of this machine, and nothing is sent."""
    session = _session()
    client: Client = session.create_client(
        service, region_name="eu-west-1", endpoint_url="http://127.0.0.1:9", config=ONCE
    )
    return client


@cache
def _session() -> botocore.session.Session:
    session = botocore.session.get_session()
    session.set_credentials("testing", "testing")
    return session
