"""Decides what an IAM policy allows, without AWS: the part of the language that Mooring's policies use, and no more.

No library on PyPI does it any more: principalmapper 1.1.5, of January 2022, cannot be imported since Python 3.10, and
moto's evaluator ignores conditions. This one is small and strict: what it does not understand is an error, never an
answer. Source: IAM user guide, "Policy evaluation logic" and the reference of each JSON policy element.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

# What an intrinsic names -> what it is: "AWS::Region", a parameter, or a logical id with an attribute ("Queue.Arn").
Names: TypeAlias = "Mapping[str, str]"


_VARIABLE = re.compile(r"\$\{([a-z0-9]+:[A-Za-z]+)\}")
"""A policy variable that is all of a value: it stands for what the request says of that key."""


@dataclass(frozen=True)
class Access:
    """One authorisation: an action on one resource; the condition keys that hold for it have one value each."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Statement:
    """One statement; `conditions` are (operator, key, values)."""

    sid: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    def applies(self, access: Access) -> bool:
        """Return whether this statement speaks about an access: action, resource and every condition."""
        return (
            any(like(action.lower(), access.action.lower()) for action in self.actions)
            and any(arn_like(resource, access.resource) for resource in self.resources)
            and all(_holds(*condition, access.context) for condition in self.conditions)
        )


@dataclass(frozen=True)
class Policy:
    """An identity's policy."""

    statements: tuple[Statement, ...]

    @property
    def actions(self) -> list[str]:
        """Every action it grants."""
        return sorted({action for s in self.statements if s.effect == "Allow" for action in s.actions})

    def grants(self, access: Access) -> list[Statement]:
        """Return the statements that allow an access; none when one denies it, or nobody speaks."""
        speaking = [statement for statement in self.statements if statement.applies(access)]
        if any(statement.effect == "Deny" for statement in speaking):
            return []
        return speaking


def read(path: Path, names: Names) -> Policy:
    """Read a policy file, its intrinsics resolved."""
    return parse(json.loads(path.read_text()), names)


def parse(document: Mapping[str, Any], names: Names) -> Policy:
    """Understand a policy document; whatever is not understood is an error."""
    if document.keys() != {"Version", "Statement"} or document["Version"] != "2012-10-17":
        raise ValueError(f"no policy of this version: {sorted(document)}")
    return Policy(tuple(_statement(raw, names) for raw in document["Statement"]))


def _statement(raw: Mapping[str, Any], names: Names) -> Statement:
    unknown = raw.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}
    if unknown or raw["Effect"] not in {"Allow", "Deny"}:
        raise ValueError(f"statement {raw.get('Sid')} is not understood: {sorted(unknown) or raw['Effect']}")
    conditions = tuple(
        (operator, key, tuple(one for value in _listed(values) for one in _values(value, names)))
        for operator, keys in raw.get("Condition", {}).items()
        for key, values in keys.items()
    )
    for operator, *_ in conditions:
        if operator not in _OPERATORS:
            raise ValueError(f"condition operator {operator} is not understood")
    return Statement(
        sid=raw.get("Sid", ""),
        effect=raw["Effect"],
        actions=tuple(_listed(raw["Action"])),
        resources=tuple(resolve(one, names) for one in _listed(raw["Resource"])),
        conditions=conditions,
    )


def _values(value: object, names: Names) -> list[str]:
    """Return a condition's values: what a parameter says may be a list, and a policy variable is filled in by the request."""
    if isinstance(value, str) and _VARIABLE.fullmatch(value):
        return [value]
    resolved = resolve(value, names)
    return resolved.split(",") if isinstance(value, dict) and "Ref" in value else [resolved]


def _listed(value: Any) -> Sequence[Any]:  # noqa: ANN401 - JSON's one or many
    return value if isinstance(value, list) else [value]


# -- CloudFormation's intrinsics -------------------------------------------------------------------------


def resolve(value: object, names: Names) -> str:
    """Resolve a string, Ref, Fn::GetAtt or Fn::Sub; a name nobody knows is an error."""
    match value:
        case str():
            if "${" in value:
                raise ValueError(f"{value}: a policy variable, or a forgotten Fn::Sub")
            return value
        case {"Ref": str(name)}:
            return names[name]
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return names[f"{name}.{attribute}"]
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: names[found[1]], text)
        case _:
            raise ValueError(f"{value!r} is not understood")


# -- matching --------------------------------------------------------------------------------------------


def like(pattern: str, text: str) -> bool:
    """Match `*` (any characters, also none) and `?` (exactly one); everything else is itself, case and all."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def arn_like(pattern: str, arn: str) -> bool:
    """Match an ARN part by part: no wildcard reaches over a colon of the first five, as in ArnLike."""
    if pattern == "*":
        return True
    patterns, parts = pattern.split(":", 5), arn.split(":", 5)
    return len(patterns) == len(parts) == 6 and all(map(like, patterns, parts))


def _holds(operator: str, key: str, values: tuple[str, ...], context: Mapping[str, str]) -> bool:
    """Return whether one condition holds; keys know no case, and a key that is not there equals nothing."""
    known = {name.lower(): value for name, value in context.items()}
    given = known.get(key.lower())
    if operator == "Null":
        return any((given is None) == (value.lower() == "true") for value in values)
    variables = (_VARIABLE.fullmatch(value) for value in values)
    filled = [known.get(v[1].lower()) if v else value for v, value in zip(variables, values, strict=True)]
    return given is not None and any(f is not None and _OPERATORS[operator](f, given) for f in filled)


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "Null": lambda _value, _given: False,  # `_holds` answers for it
    "StringEquals": lambda value, given: value == given,
    "StringEqualsIgnoreCase": lambda value, given: value.lower() == given.lower(),
    "StringLike": like,
    "ArnLike": arn_like,
    "Bool": lambda value, given: value.lower() == given.lower(),
}


# -- what a policy is made of ----------------------------------------------------------------------------


def narrower(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """Return every policy that grants one action or one resource less, and say what it lacks."""
    for place, statement in enumerate(policy.statements):
        for action in statement.actions:
            fewer = tuple(one for one in statement.actions if one != action)
            yield f"{statement.sid}: {action}", _with(policy, place, replace(statement, actions=fewer))
        for resource in statement.resources:
            fewer = tuple(one for one in statement.resources if one != resource)
            yield f"{statement.sid}: {resource}", _with(policy, place, replace(statement, resources=fewer))


def _with(policy: Policy, place: int, statement: Statement) -> Policy:
    before, after = policy.statements[:place], policy.statements[place + 1 :]
    return Policy((*before, statement, *after))
