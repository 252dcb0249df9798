"""Parses EC2's answers by what they hold; botocore's own parser walks through all that they could hold.

An instance may have sixty members and has fifteen, and a timestamp takes botocore a third of a millisecond: together half of the
processor time of a look. What an answer means stays botocore's: its model names the members, and whatever is out of
the ordinary is left to its parser.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.parsers import EC2QueryParser
from botocore.utils import parse_timestamp

if TYPE_CHECKING:
    from typing import TypeAlias
    from xml.etree.ElementTree import Element

    from botocore.model import Shape, StructureShape

    _Members: TypeAlias = dict[str, tuple[str, Shape]]

_SPECIAL = ("location", "eventheader", "xmlAttribute", "flattened")
"""What a member's place in an answer may depend on besides its name; nothing of EC2's does."""


class Ec2Answers(EC2QueryParser):
    """botocore's parser, with structures read in the order in which they come; any thread may parse."""

    def __init__(self) -> None:
        super().__init__(timestamp_parser=moment)
        self._known: dict[Shape, _Members | None] = {}

    def _handle_structure(self, shape: StructureShape, node: Element | list[Element]) -> Any:  # noqa: ANN401 - an answer's
        if shape not in self._known:
            self._known[shape] = _members(shape)
        members = self._known[shape]
        if members is None or isinstance(node, list):
            return super()._handle_structure(shape, node)  # type: ignore[misc] # the stubs know less than botocore
        parsed: dict[str, Any] = {}
        for element in node:
            member = members.get(element.tag.rpartition("}")[2])
            if member is None:
                continue
            name, kind = member
            if name in parsed:  # botocore knows what that means
                return super()._handle_structure(shape, node)  # type: ignore[misc] # same
            if kind.type_name == "string":
                parsed[name] = element.text or ""
            else:
                parsed[name] = self._parse_shape(kind, element)  # type: ignore[attr-defined] # same
        return parsed


def _members(shape: StructureShape) -> _Members | None:
    """Return a structure's members by the names that they have in an answer; None where more than the name decides."""
    special = any(member.serialization.keys() & set(_SPECIAL) for member in shape.members.values())
    if special or shape.metadata.get("exception") or getattr(shape, "is_tagged_union", False):
        return None
    return {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}


def moment(value: str) -> datetime:
    """Read a moment as EC2 writes it; any other way of writing one is botocore's to read.

    Raises:
        ValueError: it is none.
    """
    if "T" in value and value.endswith("Z"):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    at: datetime = parse_timestamp(value)
    return at
