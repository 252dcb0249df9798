"""What was seen answers a few questions, and what is remembered grows by decisions."""

from __future__ import annotations

from chalicelib.core.network.observation import Route, RouteTable
from chalicelib.core.network.topology import Tags
from tests.builders import (
    FOREIGN,
    MAIN,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    ROUTER_ENI,
    instance,
    propagated,
    seen,
    with_table,
)


def test_subnet_without_an_association_is_on_the_main_table() -> None:
    """AWS gives the main table to every subnet that has none of its own."""
    table = seen().table_of("subnet-00000000000000099")

    assert table
    assert table.id == MAIN


def test_subnet_with_an_association_is_on_that_table() -> None:
    """An explicit association wins over the main table."""
    table = seen().table_of(PRIVATE_SUBNET_A)

    assert table
    assert table.id == PRIVATE_A


def test_tags_select_the_tables_that_carry_all_of_them() -> None:
    """A table with more tags is selected, one that lacks a tag is not."""
    observation = with_table(seen(), RouteTable(FOREIGN, tags={"a": "1", "b": "2", "c": "3"}))

    assert [t.id for t in observation.select(Tags((("a", "1"), ("b", "2"))))] == [FOREIGN]
    assert observation.select(Tags((("a", "1"), ("d", "4")))) == ()
    assert observation.select("rtb-not-in-this-vpc") == ()


def test_static_route_is_told_from_a_propagated_one() -> None:
    """Only what somebody created counts as the route for a destination."""
    table = RouteTable(FOREIGN, routes=(propagated("10.9.0.0/16"), Route("10.8.0.0/16", "tgw-1")))

    assert table.static("10.9.0.0/16") is None
    assert table.static("10.8.0.0/16") == Route("10.8.0.0/16", "tgw-1")


def test_interface_leads_to_the_instance_it_is_attached_to() -> None:
    """An interface belongs to one instance, or to none."""
    assert seen().owner_of(ROUTER_ENI) == instance()
    assert seen().owner_of("eni-gone") is None
