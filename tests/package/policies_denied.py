"""Takes one grant away from one function, and says how the refusal must be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.package.policies import read
from tests.package.policies_roles import POLICIES, names

if TYPE_CHECKING:
    from tests.package.policies_roles import FunctionsByRole

OPERATIONS = {
    "dynamodb:PutItem": ("PutItem", "TransactWriteItems"),
    "sqs:SendMessage": ("SendMessage", "SendMessageBatch"),
}
"""The operations that an action stands for, where it is not the one of its name."""

LOGS = frozenset({"logs:CreateLogStream", "logs:PutLogEvents"})
"""What Lambda does beside a function; it runs the function all the same."""


def granted(function: str) -> list[str]:
    """List what a function may do."""
    return read(POLICIES[function], names("eu-west-1", "123456789012")).actions


def deny(mooring: FunctionsByRole, function: str, action: str) -> None:
    """Take an action away from a function, and from Lambda in its name."""
    _, operations = _understood(action)
    for operation in operations:
        mooring.world.deny(operation, when=lambda _: mooring.running == function)


def names_the_call(said: str, action: str) -> bool:
    """Return whether somebody is told, in AWS's words, which call was refused."""
    service, operations = _understood(action)
    return any(f"not authorized to perform: {service}:{operation}" in said for operation in operations)


def _understood(action: str) -> tuple[str, tuple[str, ...]]:
    service, _, name = action.partition(":")
    return service, OPERATIONS.get(action, (name,))
