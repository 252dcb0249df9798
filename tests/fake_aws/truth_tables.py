"""DynamoDB's tables as AWS keeps them: a transaction that is sent twice is carried out once."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from moto.dynamodb.exceptions import DynamodbException
from moto.dynamodb.responses import DynamoHandler

from .patches import truth

if TYPE_CHECKING:
    from .patches import Moto, Original


@truth.around(DynamoHandler, "transact_write_items")
def transact(original: Original, handler: DynamoHandler) -> Moto:
    """Answer a token that was carried out already as it was answered then; moto knows no token.

    A token holds for ten minutes, longer than a world lives (DynamoDB API reference, "TransactWriteItems").
    botocore makes one for each call, and sends it again with each retry of it.
    """
    token = handler.body.get("ClientRequestToken")
    if token is None:
        return original(handler)
    carried_out = handler.dynamodb_backend.__dict__.setdefault("carried_out", {})
    asked = copy.deepcopy(handler.body["TransactItems"])
    if token not in carried_out:
        carried_out[token] = (asked, original(handler))
    before, answer = carried_out[token]
    if before != asked:
        raise DynamodbException(
            "IdempotentParameterMismatchException",
            "The request uses the same client token as a previous, but non-identical request.",
        )
    return answer
