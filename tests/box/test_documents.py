"""The Command documents: what is packaged is what lies in the sources, and nothing in them can be injected."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from ipaddress import IPv4Address

import pytest

from chalicelib.cli.documents import FINGERPRINTS, MOST_BYTES, SOURCE, archive, fill, script, unpack
from chalicelib.command import pull
from chalicelib.core.document import CONFIGURE, CONFIRM, INSPECT, fingerprint
from chalicelib.core.envelope import ADVANCED_BYTES, seal, tier
from chalicelib.core.errors import ControllerError
from chalicelib.core.router import SECRETS
from tests.box.router import PATH, bundle, documents

ALL = documents()


def test_documents_carry_the_sources_byte_for_byte() -> None:
    """What a router runs is what was reviewed."""
    sources = {f"command/{path.name}": path.read_text() for path in SOURCE.glob("*.py")}

    assert set(ALL) == {CONFIGURE, CONFIRM, INSPECT}
    for document in ALL.values():
        carried = unpack(document["mainSteps"][0]["inputs"]["runCommand"])
        assert {name: text for name, text in carried.items() if name != "__main__.py"} == sources


def test_equal_sources_make_equal_documents() -> None:
    """A document is another version only when its sources are others."""
    assert archive() == archive()
    assert {name: fingerprint(one) for name, one in documents().items()} == {
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
    monkeypatch.setattr("chalicelib.cli.documents.MOST_BYTES", 1000)

    with pytest.raises(ControllerError, match="takes 1,000"):
        documents()


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*.py")), ids=lambda path: path.name)
def test_source_is_python_3_9(path: object) -> None:
    """Amazon Linux 2023 brings Python 3.9, and a push must not need another one."""
    ast.parse(path.read_text(), feature_version=(3, 9))  # type: ignore[attr-defined]  # pathlib's, through glob


def test_script_names_its_action_once() -> None:
    """What is started is what the document says."""
    assert script("inspect", [])[-2].endswith("inspect")


# -- the envelope --------------------------------------------------------------------------------------------------------


def test_envelope_opens_on_the_router_as_it_was_sealed() -> None:
    """What the controller seals, the router reads: bundle, digest, probe and condition."""
    sealed = seal(bundle().canonical, probe=IPv4Address("10.100.100.1"), confirm_within=300)

    packed, probe, confirm_within = pull._open(sealed)
    opened = pull.Bundle.read(pull._unpack(packed))

    assert (opened.canonical, opened.digest) == (bundle().canonical, bundle().digest)
    assert (probe, confirm_within) == ("10.100.100.1", 300)
    assert {path: one["text"] for path, one in opened.files.items()} == {
        one.path: one.text for one in bundle().files
    }


def test_example_bundle_fits_a_parameter() -> None:
    """What a topology renders to has room in Parameter Store, in the tier that is named."""
    sealed = seal(bundle().canonical, probe=None)

    assert len(sealed) <= ADVANCED_BYTES
    assert tier(sealed) == ("Standard" if len(sealed) <= 4096 else "Advanced")
    with pytest.raises(ValueError, match="8192 at most"):
        tier("x" * 8193)


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_condition_that_no_router_waits_for_is_not_sealed(seconds: int) -> None:
    """A confirmation comes within an hour or never."""
    with pytest.raises(ValueError, match="3600"):
        seal(b"{}", probe=None, confirm_within=seconds)


def test_router_and_core_name_the_same_files() -> None:
    """The secrets that the configuration names are those that a push writes."""
    assert {name: f"{pull.KEYS}/{file}" for name, file in pull.SECRETS.items()} == SECRETS
