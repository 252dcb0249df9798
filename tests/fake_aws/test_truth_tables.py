"""DynamoDB's tables, as AWS keeps them and moto does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .conftest import code

if TYPE_CHECKING:
    from . import Client, World

TABLE = "journal"
TOKEN = "5a0a1c6e-9a55-4f0e-8f57-6d9b3a2c1e11"


@pytest.fixture
def dynamodb(world: World) -> Client:
    """A hand's client, and a table of two keys."""
    client = world.client("dynamodb")
    keys = {"topology": "HASH", "entry": "RANGE"}
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


def _put(entry: str) -> list[dict[str, Any]]:
    """Ask for an item that must not be there yet."""
    item = {"topology": {"S": "office"}, "entry": {"S": entry}}
    condition = "attribute_not_exists(topology)"
    return [{"Put": {"TableName": TABLE, "Item": item, "ConditionExpression": condition}}]


def test_transaction_that_is_sent_twice_is_carried_out_once(dynamodb: Client) -> None:
    """The same token asks for the same transaction: it is answered, and nothing is done. TransactWriteItems."""
    for _ in range(2):
        dynamodb.transact_write_items(TransactItems=_put("one"), ClientRequestToken=TOKEN)
    assert dynamodb.scan(TableName=TABLE)["Count"] == 1
    assert (
        code(lambda: dynamodb.transact_write_items(TransactItems=_put("one")))
        == "TransactionCanceledException"
    )


def test_token_of_another_transaction_is_refused(dynamodb: Client) -> None:
    """A token stands for one transaction, word for word. TransactWriteItems."""
    dynamodb.transact_write_items(TransactItems=_put("one"), ClientRequestToken=TOKEN)
    refused = code(lambda: dynamodb.transact_write_items(TransactItems=_put("two"), ClientRequestToken=TOKEN))
    assert refused == "IdempotentParameterMismatchException"
    assert dynamodb.scan(TableName=TABLE)["Count"] == 1


def test_refused_transaction_uses_no_token_up(dynamodb: Client) -> None:
    """What was cancelled was not carried out, and may be asked for again. TransactWriteItems."""
    dynamodb.transact_write_items(TransactItems=_put("one"))
    asked = {"TransactItems": _put("one"), "ClientRequestToken": TOKEN}
    assert code(lambda: dynamodb.transact_write_items(**asked)) == "TransactionCanceledException"
    dynamodb.delete_item(TableName=TABLE, Key={"topology": {"S": "office"}, "entry": {"S": "one"}})
    dynamodb.transact_write_items(**asked)
    assert dynamodb.scan(TableName=TABLE)["Count"] == 1
