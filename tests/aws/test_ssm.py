"""Parameter Store keeps topologies as their authors wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.aws.ssm.topologies import PATH, Topologies
from chalicelib.core.declaration import parse
from chalicelib.core.errors import ApplyError, ObservationError, TopologyError, UnknownTopology
from tests.aws.conftest import ONCE
from tests.network import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.bootstrap import Edge
    from tests.fake_aws import Client, World

DOCUMENT = (ROOT / "examples" / "office.toml").read_bytes()


@pytest.fixture
def topologies(world: World, edge: Edge) -> Topologies:
    """The declared topologies, none yet."""
    world.forget_calls()
    return edge.topologies


@pytest.fixture(scope="module")
def once(embedded: World) -> Client:
    """An SSM client that asks once."""
    return embedded.client("ssm", ONCE, by="product")


def _put(world: World, name: str, value: str = "x = 1") -> None:
    """Put a parameter past `mooring declare`."""
    world.client("ssm").put_parameter(Name=name, Value=value, Type="String")


def test_nothing_declared_is_no_topologies(topologies: Topologies) -> None:
    """An empty path is an empty list, not an error."""
    assert topologies.names() == []
    assert topologies.documents() == {}


def test_declared_topology_is_read_back_as_written(topologies: Topologies) -> None:
    """Every byte: comments and all belong to its author."""
    document = "# Büro ☂\n".encode() + DOCUMENT
    assert topologies.declare("office", document) == 1
    assert topologies.document("office") == document
    assert topologies.read("office") == parse(document)
    assert topologies.documents() == {"office": document}


def test_topology_declared_again_is_a_new_version(topologies: Topologies) -> None:
    """What was declared before is replaced, and Parameter Store keeps its history."""
    assert [topologies.declare("office", DOCUMENT + b"#" * n) for n in range(3)] == [1, 2, 3]
    assert topologies.document("office") == DOCUMENT + b"##"


def test_declaration_is_one_plain_parameter_under_the_path(world: World, topologies: Topologies) -> None:
    """A String says what it is and who writes it: nothing in a topology is secret."""
    topologies.declare("office", DOCUMENT)
    (found,) = world.client("ssm").describe_parameters()["Parameters"]
    assert (found["Name"], found["Type"]) == ("/mooring/topologies/office", "String")
    assert "mooring declare" in found["Description"]


def test_document_larger_than_a_standard_parameter_is_stored(world: World, topologies: Topologies) -> None:
    """Above 4 KB the tier is Advanced, which costs money; below, it is Standard, which does not."""
    large = DOCUMENT + b"# " + b"x" * 4096
    topologies.declare("office", large)
    topologies.declare("small", DOCUMENT)
    assert topologies.document("office") == large
    found = world.client("ssm").describe_parameters()["Parameters"]
    assert {p["Name"]: p["Tier"] for p in found} == {PATH + "office": "Advanced", PATH + "small": "Standard"}


def test_names_are_sorted_and_of_this_path_only(world: World, topologies: Topologies) -> None:
    """What else lies under /mooring is no topology."""
    for name in ("office", "branch", "depot"):
        topologies.declare(name, DOCUMENT)
    for name in ("/mooring/other", "/mooring/topologies-2/x", "/office"):
        _put(world, name)
    assert topologies.names() == ["branch", "depot", "office"]


def test_more_topologies_than_a_page_are_all_found(world: World, topologies: Topologies) -> None:
    """Parameter Store gives ten at a time."""
    names = [f"office-{number:02}" for number in range(23)]
    for name in names:
        topologies.declare(name, name.encode())
    world.forget_calls()
    assert topologies.documents() == {name: name.encode() for name in names}
    assert [c.operation for c in world.calls] == ["GetParametersByPath"] * 3


def test_unknown_topology_is_an_error_that_says_how_to_declare_one(topologies: Topologies) -> None:
    """Reading its document says None: whoever declares it for the first time needs no error."""
    topologies.declare("office", DOCUMENT)
    with pytest.raises(UnknownTopology, match="no topology offices is declared here") as unknown:
        topologies.read("offices")
    assert "mooring declare" in unknown.value.hint
    assert topologies.document("offices") is None


def test_invalid_document_is_an_error_with_its_flaws(world: World, topologies: Topologies) -> None:
    """Somebody wrote it past `mooring declare`; it is still listed and can be read as it is."""
    _put(world, PATH + "office", 'name = "office"\nnmae = 1')
    with pytest.raises(TopologyError) as invalid:
        topologies.read("office")
    assert {"nmae", "vpc"} <= {flaw.key for flaw in invalid.value.flaws}
    assert topologies.names() == ["office"]
    assert topologies.document("office") == b'name = "office"\nnmae = 1'


READS: list[tuple[Callable[[Topologies], object], str]] = [
    (Topologies.names, "GetParametersByPath"),
    (Topologies.documents, "GetParametersByPath"),
    (lambda topologies: topologies.document("office"), "GetParameter"),
    (lambda topologies: topologies.read("office"), "GetParameter"),
]


@pytest.mark.parametrize(("read", "operation"), READS, ids=["names", "documents", "document", "read"])
def test_denied_reading_is_an_error_that_says_what_to_allow(
    world: World, once: Client, read: Callable[[Topologies], object], operation: str
) -> None:
    """A topology that cannot be read is not an undeclared one."""
    world.deny(operation)
    with pytest.raises(ObservationError, match=f"ssm:{operation} failed: AccessDeniedException") as denied:
        read(Topologies(once))
    assert denied.value.hint == f"allow ssm:{operation} to the identity that runs Mooring"


def test_listing_that_breaks_off_is_an_error(world: World, topologies: Topologies, once: Client) -> None:
    """What came on the first page is not all that is declared."""
    for number in range(12):
        topologies.declare(f"office-{number}", b"x = 1")
    world.throttle("GetParametersByPath", when=lambda asked: bool(asked["NextToken"]))
    with pytest.raises(ObservationError, match="ssm:GetParametersByPath failed: ThrottlingException"):
        Topologies(once).names()


def test_reading_that_is_throttled_once_is_read_again(world: World, topologies: Topologies) -> None:
    """Bootstrap's client retries by itself."""
    topologies.declare("office", DOCUMENT)
    world.throttle("GetParameter", times=1)
    assert topologies.document("office") == DOCUMENT


def test_denied_declaration_is_an_error_and_stores_nothing(
    world: World, topologies: Topologies, once: Client
) -> None:
    """The error names the call, the parameter and AWS's code."""
    world.deny("PutParameter")
    with pytest.raises(ApplyError, match="ssm:PutParameter /mooring/topologies/office failed") as denied:
        Topologies(once).declare("office", DOCUMENT)
    assert (denied.value.aws_code, denied.value.hint) == ("AccessDeniedException", "nothing was stored")
    assert topologies.names() == []


def test_document_larger_than_any_parameter_is_refused(topologies: Topologies) -> None:
    """`mooring declare` says so before; Parameter Store has the last word, and keeps what it had."""
    topologies.declare("office", DOCUMENT)
    with pytest.raises(ApplyError, match="8192") as refused:
        topologies.declare("office", b"#" * 8193)
    assert refused.value.aws_code == "ValidationException"
    assert topologies.document("office") == DOCUMENT
