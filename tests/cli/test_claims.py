"""Two keepers of one thing: what counts as one thing."""

from __future__ import annotations

import pytest

from chalicelib.cli.declare.claims import conflicts
from chalicelib.core.declaration import parse
from tests.network import ROOT

_OFFICE = (ROOT / "examples" / "office.toml").read_text()
_BRANCH = _OFFICE.replace('name = "office"', 'name = "branch"').replace("9abcdef", "9abcdee")
"""Another VPC, with nothing in common but the tags."""


def test_another_vpc_with_the_same_tags_conflicts_in_nothing() -> None:
    """A tag means resources of one VPC only."""
    assert conflicts(parse(_BRANCH.encode()), {"office": _OFFICE.encode()}) == ()


def test_the_same_topology_again_conflicts_with_nothing() -> None:
    """To declare anew is not to fight with oneself."""
    assert conflicts(parse(_OFFICE.encode()), {"office": _OFFICE.encode()}) == ()


def test_a_stored_topology_that_is_invalid_claims_nothing() -> None:
    """What nobody can read, nobody keeps."""
    assert conflicts(parse(_BRANCH.encode()), {"office": b"name ="}) == ()


@pytest.mark.parametrize(
    ("mine", "claim"),
    [
        ("eipalloc-0123456789abcdee0", "elastic ip eipalloc-0123456789abcdef0"),
        ("sg-0123456789abcdee0", "security group sg-0123456789abcdef0"),
        ("rtb-0123456789abcdee1", "route table rtb-0123456789abcdef1"),
        ("subnet-0123456789abcdee3", "subnet subnet-0123456789abcdef3"),
        ("vpc-0123456789abcdee0", "candidates mooring:router=office in vpc-0123456789abcdef0"),
    ],
)
def test_a_thing_in_common_is_named_with_its_keeper(mine: str, claim: str) -> None:
    """One table, address, subnet, group or set of candidates has one keeper."""
    document = _BRANCH.replace(mine, mine.replace("cdee", "cdef"))
    assert conflicts(parse(document.encode()), {"office": _OFFICE.encode()}) == (
        f"{claim} is kept by office",
    )
