"""The Command documents: what is packaged is what lies in the sources, and nothing in them can be injected."""

from __future__ import annotations

import ast
import importlib
import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.core.errors import ControllerError
from chalicelib.core.tunnel.bundle import dictionary, seal
from chalicelib.core.tunnel.documents import CONFIGURE, CONFIRM, INSPECT, fingerprint
from chalicelib.core.tunnel.render import SECRETS, Box, render
from chalicelib.on_router.agent import pull
from tests.builders import TUNNEL, topology
from tests.network import documents
from tests.router_os.router import PATH, bundle
from tools.documents import FINGERPRINTS, MOST_BYTES, SOURCE, archive, fill, script, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL = documents()


def test_documents_carry_the_sources_byte_for_byte() -> None:
    """What a router runs is what was reviewed."""
    sources = {f"agent/{path.name}": path.read_text() for path in SOURCE.glob("*.py")}
    sources[f"agent/{pull.DICTIONARY}"] = dictionary().decode()

    assert set(ALL) == {CONFIGURE, CONFIRM, INSPECT}
    for document in ALL.values():
        carried = unpack(document["mainSteps"][0]["inputs"]["runCommand"])
        assert {name: text for name, text in carried.items() if name != "__main__.py"} == sources


def test_equal_sources_make_equal_documents() -> None:
    """A document is another version only when its sources are others."""
    assert archive() == archive()
    assert {name: fingerprint(one) for name, one in documents.__wrapped__().items()} == {
        name: fingerprint(one) for name, one in ALL.items()
    }


@pytest.mark.parametrize("name", ALL)
def test_document_is_one_that_every_agent_reads(name: str) -> None:
    """Schema 2.2, all values text, below 64 KB, one step within a minute, on Linux only."""
    document = ALL[name]
    (step,) = document["mainSteps"]

    assert document["schemaVersion"] == "2.2"
    assert step["inputs"]["timeoutSeconds"] == "60"
    assert step["precondition"] == {"StringEquals": ["platformType", "Linux"]}
    assert len(json.dumps(document)) < MOST_BYTES
    assert not re.search(
        r"[^\"{}\[\],:]\b(true|false|null)\b(?=[,}\]])", json.dumps({**document, "mainSteps": []})
    )


@pytest.mark.parametrize("name", ALL)
def test_no_script_has_a_place_for_an_old_agent_to_paste_into(name: str) -> None:
    """An agent before 3.3.2746.0 replaces `{{ name }}`; there is none, and each parameter is an environment variable."""
    text = json.dumps(ALL[name])

    assert "{{" not in text
    for parameter in ALL[name].get("parameters", {}).values():
        assert parameter["type"] == "String"
        assert parameter["interpolationType"] == "ENV_VAR"
        assert parameter["allowedPattern"].startswith("^")
        assert parameter["allowedPattern"].endswith("$")


@pytest.mark.parametrize(
    "hostile", ["$(reboot)", "`id`", "a;b", "'", '"', "x y", "\n", "{{Digest}}", "../..", "é", ""]
)
def test_hostile_values_match_no_pattern(hostile: str) -> None:
    """Whatever a shell would read something into is no path, no version and no digest."""
    for document in ALL.values():
        for name, parameter in document.get("parameters", {}).items():
            good = {"Path": PATH, "Version": "12", "Digest": "a" * 64}[name]
            assert re.search(parameter["allowedPattern"], good)
            for value in (hostile, good + hostile) if hostile.strip() else (hostile,):
                assert not re.search(parameter["allowedPattern"], value)


@pytest.mark.parametrize("name", [CONFIGURE, CONFIRM])
def test_script_ends_at_once_where_the_agent_gives_no_variables(name: str) -> None:
    """Failing closed: no variable, no push, and the report says why."""
    lines = ALL[name]["mainSteps"][0]["inputs"]["runCommand"]

    words = ["/bin/bash", "-c", "\n".join(lines)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, env={})  # noqa: S603 - our own words

    report = json.loads(ended.stdout)
    assert (ended.returncode, report["result"]) == (90, "refused")
    assert "3.3.2746.0" in report["reason"]


def test_worker_is_told_the_fingerprints_of_what_was_packaged() -> None:
    """The worker holds what AWS keeps against what was built."""
    template = {
        "Resources": {
            "Reconcile": {
                "Type": "AWS::Serverless::Function",
                "Properties": {"Environment": {"Variables": {"A": "b"}}},
            },
            "One": {
                "Type": "AWS::SSM::Document",
                "Properties": {
                    "Name": INSPECT,
                    "Content": {"mainSteps": [{"inputs": {"runCommand": ["inspect"]}}]},
                },
            },
        }
    }

    filled = fill(template)["Resources"]

    told = json.loads(filled["Reconcile"]["Properties"]["Environment"]["Variables"][FINGERPRINTS])
    assert told == {INSPECT: fingerprint(filled["One"]["Properties"]["Content"])}
    assert filled["Reconcile"]["Properties"]["Environment"]["Variables"]["A"] == "b"


def test_document_that_is_too_large_is_not_packaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems Manager would refuse it in the middle of a deployment."""
    monkeypatch.setattr("tools.documents.MOST_BYTES", 1000)

    with pytest.raises(ControllerError, match="takes 1,000"):
        documents.__wrapped__()  # anew, not those that were filled in before


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*.py")), ids=lambda path: path.name)
def test_source_is_python_3_9(path: object) -> None:
    """Amazon Linux 2023 brings Python 3.9, and a push must not need another one."""
    ast.parse(path.read_text(), feature_version=(3, 9))  # type: ignore[attr-defined]  # pathlib's, through glob


def test_script_names_its_action_once() -> None:
    """What is started is what the document says."""
    assert script("inspect", [])[-2].endswith("inspect")


# -- the envelope --------------------------------------------------------------------------------------------------------


@pytest.fixture
def carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`pull` as it arrives on a router: out of the document's zip."""
    program = tmp_path / "router.pyz"
    program.write_bytes(archive())
    monkeypatch.syspath_prepend(program)
    yield importlib.import_module("agent.pull")
    for name in [name for name in sys.modules if name.partition(".")[0] == "agent"]:
        del sys.modules[name]


def test_envelope_opens_on_the_router_as_it_was_sealed(carried: Any) -> None:  # noqa: ANN401 - a module
    """What the controller seals, the router reads: bundle, digest, probe and condition."""
    sealed = seal(bundle().canonical, probe=IPv4Address("10.100.100.1"), confirm_within=300)

    packed, probe, confirm_within = carried._open(sealed)
    opened = carried.Bundle.read(carried._unpack(packed))

    assert (opened.canonical, opened.digest) == (bundle().canonical, bundle().digest)
    assert (probe, confirm_within) == ("10.100.100.1", 300)
    assert {path: one["text"] for path, one in opened.files.items()} == {
        one.path: one.text for one in bundle().files
    }


def test_bundle_of_a_hundred_office_networks_fits_the_tier_that_costs_nothing() -> None:
    """What every bundle holds word for word is in the dictionary at both ends."""
    networks = tuple(IPv4Network(f"10.100.{n}.0/24") for n in range(100))
    declared = replace(topology(tunnel=TUNNEL), office_networks=networks)
    box = Box(IPv4Address("10.0.0.8"), IPv4Address("203.0.113.8"))
    assert len(seal(render(declared, box).canonical, probe=None)) <= 4096


def test_bundle_that_no_parameter_holds_is_not_sealed() -> None:
    """Parameter Store would refuse it in the middle of a push."""
    with pytest.raises(ValueError, match="Parameter Store holds 8192"):
        seal(random.Random(7).randbytes(9000), probe=None)  # noqa: S311 - what does not deflate


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_condition_that_no_router_waits_for_is_not_sealed(seconds: int) -> None:
    """A confirmation comes within an hour or never."""
    with pytest.raises(ValueError, match="3600"):
        seal(b"{}", probe=None, confirm_within=seconds)


def test_router_and_core_name_the_same_files() -> None:
    """The secrets that the configuration names are those that a push writes."""
    assert {name: f"{pull.KEYS}/{file}" for name, file in pull.SECRETS.items()} == SECRETS
