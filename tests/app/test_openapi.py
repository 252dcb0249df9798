"""docs/openapi.yaml says what the API does: the same routes, and no answer that it does not describe."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
import yaml
from chalice.app import IAMAuthorizer
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from chalicelib.controller import operator
from chalicelib.core.fields import NAME
from tests.stand_ins.api_gateway import wsgi
from tests.stand_ins.functions import Context

if TYPE_CHECKING:
    from types import ModuleType

    from tests.app.office import Managed
    from tests.stand_ins.functions import Functions

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "openapi.yaml"
SPEC: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
OPERATIONS = [
    (path, method) for path, item in SPEC["paths"].items() for method in item if method != "parameters"
]
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE"}
EXAMPLES = 30


def test_document_has_the_routes_of_the_app_and_no_other(app: ModuleType) -> None:
    """Every route is described, and nothing is described that is not there."""
    routes = {(path, method.lower()) for path, methods in app.app.routes.items() for method in methods}
    assert routes == set(OPERATIONS)


def test_every_route_wants_a_signature(app: ModuleType) -> None:
    """IAM guards each method, in the package as in the document."""
    entries = [entry for methods in app.app.routes.values() for entry in methods.values()]
    assert all(isinstance(entry.authorizer, IAMAuthorizer) for entry in entries)
    assert SPEC["security"] == [{"sigv4": []}]
    assert all("security" not in SPEC["paths"][path][method] for path, method in OPERATIONS)


def test_patterns_are_those_of_the_code() -> None:
    """What the document lets through the code lets through: one pattern, written twice."""
    pause = SPEC["paths"]["/topologies/{name}/pause"]["post"]["requestBody"]
    fields = pause["content"]["application/json"]["schema"]["properties"]
    line = fields["reason"]["allOf"][1]["pattern"].removeprefix("^").removesuffix("*$")
    # JSON has no lone surrogates in a document, and YAML could not hold them
    assert operator._REASON.pattern == line.replace("]", r"\ud800-\udfff]") + "{1,200}"
    assert SPEC["components"]["parameters"]["name"]["schema"]["pattern"] == f"^{NAME.pattern}$"


@given(st.integers(0, 10**6), st.sampled_from("smhd"))
def test_durations_are_those_of_the_code(number: int, unit: str) -> None:
    """Thirty days at most, however they are counted."""
    pause = SPEC["paths"]["/topologies/{name}/pause"]["post"]["requestBody"]
    pattern = pause["content"]["application/json"]["schema"]["properties"]["for"]["pattern"]
    try:
        operator.duration(f"{number}{unit}")
        taken = True
    except operator.InvalidValueError:
        taken = False
    assert bool(re.search(pattern, f"{number}{unit}")) is taken


@given(st.integers(0, 10**4), st.sampled_from("smhd"))
@example(59, "s")
@example(60, "s")
@example(3600, "s")
@example(3601, "s")
@example(60, "m")
@example(61, "m")
@example(1, "h")
@example(2, "h")
def test_times_to_confirm_in_are_those_of_the_code(number: int, unit: str) -> None:
    """From a minute to an hour, however they are counted."""
    push = SPEC["paths"]["/topologies/{name}/push"]["post"]["requestBody"]
    pattern = push["content"]["application/json"]["schema"]["properties"]["confirm_within"]["pattern"]
    try:
        operator.confirm_within(f"{number}{unit}")
        taken = True
    except operator.InvalidValueError:
        taken = False
    assert bool(re.search(pattern, f"{number}{unit}")) is taken


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=str)
def test_any_request_gets_a_documented_answer(
    functions: Functions, managed: Managed, path: str, method: str
) -> None:
    """Right or wrong in any way, a request gets a status and a body that are documented, and never a fault."""
    request_id = str(uuid.uuid4())
    functions.app.edge.journal.answer(request_id, managed.name, "queued")
    known = {"name": managed.name, "request_id": request_id}
    schema = schemathesis.openapi.from_dict(SPEC)
    schema.app = wsgi(functions.app, Context("mooring-api"))
    operation = schema[path][method.upper()]
    modes = list(GenerationMode) if "{" in path else [GenerationMode.POSITIVE]  # nothing to get wrong
    statuses: set[int] = set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(modes))
        there = known if "{" in path and data.draw(st.booleans()) else None
        case = data.draw(operation.as_strategy(generation_mode=mode, path_parameters=there))
        statuses.add(case.call_and_validate(headers=SIGNED).status_code)

    ask()
    assert statuses & {200, 202, 409}
