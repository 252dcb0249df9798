"""Whom an event concerns: what is declared, what was found of what it mentions, and what cannot be found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.messages.concern import (
    Concerned,
    Whereabouts,
    concerned,
    concerns,
    declares,
    declaring,
    minding,
    to_locate,
)
from chalicelib.core.messages.event import Trigger
from chalicelib.core.network.topology import Table, Tags
from tests.builders import (
    EIP,
    FOREIGN,
    FOREIGN_EIP,
    GATEWAY,
    GROUP,
    NOON,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    ROUTER_TAGS,
    VPC,
    an_id,
    topology,
)

if TYPE_CHECKING:
    from chalicelib.core.network.topology import Topology

ELSEWHERE = an_id("vpc", 9)
TABLE, CARD, MACHINE, ADDRESS = an_id("rtb", 7), an_id("eni", 7), an_id("i", 7), "203.0.113.7"
SPOILT = "spoilt"
"""The name of a topology whose declaration is not valid."""

KNOWN: dict[str, Topology | None] = {
    "office": topology(),
    "branch": replace(topology(), name="branch", vpc_id=an_id("vpc", 2), elastic_ip=FOREIGN_EIP),
    SPOILT: None,
}


def _edit(*ids: str) -> Trigger:
    return Trigger("an edit", NOON, ids=frozenset(ids), edit=True)


def _whom(surely: str = "", perhaps: str = "") -> Concerned:
    return Concerned(frozenset(surely.split()), frozenset(perhaps.split()))


def test_topology_names_its_own_ids() -> None:
    """VPC, gateway, address, group, tables and subnets are declared; nothing else is."""
    declared = topology(dhcp_options=an_id("dopt", 1))
    for one in (VPC, GATEWAY, EIP, GROUP, PRIVATE_A, PRIVATE_SUBNET_A, an_id("dopt", 1)):
        assert declares(declared, frozenset({one, FOREIGN}))
    assert not declares(declared, frozenset({FOREIGN, an_id("sg", 9), an_id("i", 1)}))
    assert not declares(replace(declared, security_group=None), frozenset({GROUP, ""}) - {""})


def test_declared_id_decides_beside_any_that_is_not() -> None:
    """Wherever it stands among the others, and whatever becomes of them."""
    assert declaring(KNOWN, _edit(an_id("eni", 0), an_id("i", 0), EIP, TABLE)) == {"office"}
    assert declaring(KNOWN, _edit(TABLE, CARD)) == frozenset()


def test_only_what_aws_can_be_asked_for_is_looked_for() -> None:
    """What ties two resources is gone with the call that names it; all else must be declared to be ours."""
    others = ("eipassoc-12345678", "rtbassoc-12345678", "eni-attach-12345678", "vol-12345678", GROUP, EIP)
    assert to_locate(_edit(TABLE, CARD, MACHINE, ADDRESS, *others)) == {TABLE, CARD, MACHINE, ADDRESS}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Whereabouts(VPC, ROUTER_TAGS), True),
        (Whereabouts(None, ROUTER_TAGS), True),  # a terminated instance
        (Whereabouts(ELSEWHERE, ROUTER_TAGS), False),
        (Whereabouts(VPC, {"mooring:router": "branch"}), False),
        (Whereabouts(VPC, {}), False),
        (Whereabouts(VPC), True),  # an interface or a table
        (Whereabouts(ELSEWHERE), False),
        (Whereabouts(None), False),
        (Whereabouts(allocation_id=EIP), True),
        (Whereabouts(allocation_id=FOREIGN_EIP), False),
    ],
)
def test_instance_concerns_by_its_tags_and_anything_else_by_its_vpc(
    found: Whereabouts, *, expected: bool
) -> None:
    """A VPC is full of instances, and only candidates count; its tables and interfaces are few. An address is declared."""
    assert concerns(topology(), found) is expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Whereabouts(VPC, {}), True),
        (Whereabouts(None, ROUTER_TAGS), True),
        (Whereabouts(None, {}), False),
        (Whereabouts(ELSEWHERE, ROUTER_TAGS), False),
    ],
)
def test_edited_instance_concerns_by_its_vpc(found: Whereabouts, *, expected: bool) -> None:
    """Whoever takes its tag off a candidate leaves an instance that is none."""
    assert concerns(topology(), found, edit=True) is expected


FOUND_HERE = {TABLE: Whereabouts(VPC), CARD: Whereabouts(VPC), MACHINE: Whereabouts(VPC, ROUTER_TAGS)}
FOUND_THERE = {one: replace(place, vpc_id=ELSEWHERE) for one, place in FOUND_HERE.items()}

CASES = {
    "a table of ours and an interface that is gone": (
        _edit(TABLE, CARD),
        [TABLE],
        FOUND_HERE,
        _whom("office"),
    ),
    "a table of ours and an instance of a stranger's": (
        _edit(TABLE, MACHINE),
        [TABLE],
        FOUND_HERE,
        _whom("office"),
    ),
    "a candidate among strangers": (_edit(MACHINE, an_id("i", 8)), [MACHINE], FOUND_HERE, _whom("office")),
    "all of another VPC": (_edit(TABLE, CARD), [TABLE, CARD], FOUND_THERE, _whom()),
    "something of another VPC and something gone": (_edit(TABLE, CARD), [TABLE], FOUND_THERE, _whom()),
    "nothing but what is gone": (_edit(CARD), [], {}, _whom(perhaps="office branch spoilt")),
    "what is gone, in a VPC of ours": (_edit(CARD, VPC), [], {}, _whom(perhaps="office")),
    "what is gone, in another VPC": (_edit(CARD, ELSEWHERE), [], {}, _whom()),
    "an association that is gone": (
        _edit("rtbassoc-12345678"),
        [],
        {},
        _whom(perhaps="office branch spoilt"),
    ),
    "an attachment that is gone": (
        _edit("eni-attach-12345678"),
        [],
        {},
        _whom(perhaps="office branch spoilt"),
    ),
    "an address's association": (_edit("eipassoc-12345678"), [], {}, _whom(perhaps="office branch spoilt")),
    "another table for an association": (
        _edit("rtbassoc-12345678", TABLE),
        [TABLE],
        FOUND_HERE,
        _whom("office"),
    ),
    "our address": (_edit(ADDRESS), [ADDRESS], {ADDRESS: Whereabouts(allocation_id=EIP)}, _whom("office")),
    "an address of a stranger's": (
        _edit(ADDRESS),
        [ADDRESS],
        {ADDRESS: Whereabouts(allocation_id=an_id("eipalloc", 8))},
        _whom(),
    ),
    "a stranger's address, moved to an interface of ours": (
        _edit(ADDRESS, CARD),
        [ADDRESS, CARD],
        {ADDRESS: Whereabouts(allocation_id=an_id("eipalloc", 8)), **FOUND_HERE},
        _whom("office"),
    ),
    "an address that is released, in another VPC": (
        _edit(ADDRESS, CARD),
        [CARD],
        FOUND_THERE,
        _whom(perhaps="office branch spoilt"),
    ),
    "nothing at all": (_edit(), [], {}, _whom(perhaps="office branch spoilt")),
    "what is never ours unless it is declared": (_edit("vol-12345678", an_id("sg", 9)), [], {}, _whom()),
}


@pytest.mark.parametrize("case", CASES)
def test_whom_an_event_concerns_is_what_is_found_or_else_might_be(case: str) -> None:
    """What is found decides; what is not found, in the VPC that is known, or anywhere."""
    trigger, of, places, expected = CASES[case]
    assert concerned(KNOWN, trigger, {one: places[one] for one in of}) == expected


def test_what_is_surely_concerned_is_not_guessed_at_besides() -> None:
    """A topology whose table is found, and another of the same VPC that selects by the same tags, are each woken once."""
    twins = KNOWN | {"twin": replace(topology(), name="twin")}
    assert concerned(twins, _edit(TABLE, CARD), {TABLE: Whereabouts(VPC)}) == _whom("office twin")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (None, {"office", "branch", "by-tag", SPOILT}),
        ({"kubernetes.io/cluster"}, {SPOILT}),
        ({"Name", "mooring:router"}, {"office", "branch", "by-tag", SPOILT}),
        ({"mooring:topology"}, {"office", "branch", "by-tag", SPOILT}),
        ({"role"}, {"by-tag", SPOILT}),
        (set(), {"office", "branch", "by-tag", SPOILT}),  # all tags are taken
    ],
)
def test_tags_concern_who_selects_by_them(keys: set[str] | None, expected: set[str]) -> None:
    """Tags are set all day long; those that select no candidate and no table, and allow no write, concern nobody."""
    by_tag = replace(topology(), tables=(Table("private", Tags((("role", "private"),))),))
    trigger = Trigger("an edit", NOON, edit=True, tag_keys=None if keys is None else frozenset(keys))
    assert minding(KNOWN | {"by-tag": by_tag}, trigger).keys() == expected
