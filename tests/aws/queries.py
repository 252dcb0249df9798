"""EC2 as the product asks it: over a wire to the embedded AWS, or to answers that a test gives, in EC2's own XML."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.model import ListShape, StructureShape

from chalicelib.aws.ec2.query import Ec2Query
from chalicelib.aws.wire import Answer, Patience, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import Shape
    from mypy_boto3_ec2 import EC2Client

    from tests.fake_aws import Client

Said: TypeAlias = "Callable[[dict[str, str]], Answer]"
"""What is said to a call's parameters."""

ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})
NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_UNWRITABLE = {n: None for n in (*range(32), 0xFFFE, 0xFFFF) if n not in (9, 10, 13)}


@dataclass
class Canned(Wire):
    """A wire that answers as it is told, and keeps what it was asked."""

    said: Said
    asked: list[dict[str, str]] = field(default_factory=list)

    def send(self, method: str, url: str, headers: Any, body: bytes | None, patience: Patience) -> Answer:  # noqa: ANN401 - as the wire
        """Send nothing."""
        self.asked.append(dict(parse_qsl((body or b"").decode(), keep_blank_values=True)))
        return self.said(self.asked[-1])


def asking(wire: Wire, client: Client | None = None) -> Ec2Query:
    """Ask over a wire, as a client would."""
    return Ec2Query(client or _nobodys_client(), lambda: Credentials("testing", "testing", "testing"), wire)


def answering(given: Mapping[str, Mapping[str, Any]]) -> Ec2Query:
    """Ask for these answers, by operation."""
    return asking(Canned(lambda params: Answer(200, {}, xml(params["Action"], given[params["Action"]]))))


def xml(operation: str, answer: object) -> bytes:
    """Write an answer as EC2 does; what its model does not have is written by its own name, and what no XML holds is not."""
    root = ET.Element(f"{operation}Response", xmlns=NAMESPACE)
    _fill(root, model().operation_model(operation).output_shape, answer)
    return ET.tostring(root)


@cache
def model() -> Any:  # noqa: ANN401 - botocore's
    """Read EC2's model."""
    return botocore.session.get_session().get_service_model("ec2")


def _fill(element: ET.Element, shape: Shape | None, value: object) -> None:
    match value:
        case dict():
            known = shape.members if isinstance(shape, StructureShape) else {}
            for key, member in value.items():
                kind: Shape | None = known.get(key)
                tag: Any = kind.serialization.get("name", key) if kind else f"new{key.encode().hex()}"
                _fill(ET.SubElement(element, tag), kind, member)
        case list():
            kind = shape.member if isinstance(shape, ListShape) else None
            for one in value:
                _fill(ET.SubElement(element, "item"), kind, one)
        case bool():
            element.text = str(value).lower()
        case datetime():
            element.text = value.isoformat()
        case _ if value is not None:
            element.text = str(value).translate(_UNWRITABLE)


@cache
def _nobodys_client() -> EC2Client:
    """Make one that can reach nobody: nothing listens on port 9 of this machine."""
    session: Any = botocore.session.get_session()
    client = session.create_client(
        "ec2", region_name="eu-west-1", endpoint_url="http://127.0.0.1:9", config=ONCE,
        aws_access_key_id="testing", aws_secret_access_key="testing",
    )  # fmt: skip
    return cast("EC2Client", client)
