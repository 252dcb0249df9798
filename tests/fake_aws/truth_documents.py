"""Command documents as Systems Manager keeps them: what may be stored, versions, the hash, and a stack's part in it.

Sources: Systems Manager user guide, "Data elements and parameters" of documents; API reference, CreateDocument and
UpdateDocument; CloudFormation template reference, AWS::SSM::Document; aws.md 3.2. Documents that are no Command
documents are as moto has them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from moto.ssm.exceptions import InvalidDocumentContent, InvalidDocumentVersion, SSMException
from moto.ssm.models import Document, Documents, SimpleSystemManagerBackend, ssm_backends

from .patches import truth

if TYPE_CHECKING:
    from .patches import Moto, Original

LARGEST = 64 * 1024
PARAMETER_TYPES = {"String", "StringList", "Integer", "Boolean", "MapList", "StringMap"}


@truth.around(SimpleSystemManagerBackend, "create_document")
def create(original: Original, backend: SimpleSystemManagerBackend, **kwargs: Moto) -> Documents:
    """Take a stack's content, which is an object, and its default format."""
    kwargs["document_format"] = kwargs["document_format"] or "JSON"
    if isinstance(kwargs["content"], dict):
        kwargs["content"] = json.dumps(kwargs["content"])
    return original(backend, **kwargs)


@truth.around(Document, "__init__")
def make(original: Original, document: Document, *args: Moto, **kwargs: Moto) -> None:
    """Hold a Command document against its schema; it runs where its steps' plugins do."""
    if len((kwargs["content"] or "").encode()) > LARGEST:
        raise SSMException("MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.")
    original(document, *args, **kwargs)
    if document.document_type == "Command" and document.schema_version == "2.2":
        _check(document.content_json)
        document.platform_types = ["Linux", "MacOS"]


def _check(content: dict[str, Any]) -> None:
    steps = content.get("mainSteps")
    if not isinstance(steps, list) or not steps:
        raise InvalidDocumentContent("mainSteps is required in a document of schema 2.2")
    names = [step.get("name") for step in steps]
    if any(not step.get("action") or not step.get("name") for step in steps) or len(set(names)) < len(names):
        raise InvalidDocumentContent("every step needs an action and a name of its own")
    for name, declared in (content.get("parameters") or {}).items():
        if not re.fullmatch(r"[A-Za-z0-9]+", name) or declared.get("type") not in PARAMETER_TYPES:
            raise InvalidDocumentContent(f"parameter {name} is not valid")
        if declared.get("interpolationType", "ENV_VAR") != "ENV_VAR" or (
            "interpolationType" in declared and declared["type"] != "String"
        ):
            raise InvalidDocumentContent(f"parameter {name}: interpolationType is ENV_VAR, on a String")
        try:
            re.compile(declared.get("allowedPattern", ""))
        except re.error:
            raise InvalidDocumentContent(f"parameter {name}: allowedPattern is not valid") from None


@truth.around(Documents, "find")
def find(
    original: Original,
    documents: Documents,
    document_version: str | None = None,
    version_name: str | None = None,
    *args: Moto,
    **kwargs: Moto,
) -> Moto:
    """Know `$DEFAULT`; a version that is none is InvalidDocumentVersion, the document's existence unquestioned."""
    if document_version == "$DEFAULT":
        document_version = documents.default_version
    numbered = document_version and document_version != "$LATEST"
    if numbered and document_version not in documents.versions:
        raise InvalidDocumentVersion("The document version is not valid or does not exist.")
    return original(documents, document_version, version_name, *args, **kwargs)


@truth.around(Document, "update_from_cloudformation_json")
def update(original: Original, **given: Moto) -> Document:
    """Make a new version, and the default one, where UpdateMethod says so; moto deletes the document first."""
    properties = given["cloudformation_json"]["Properties"]
    if properties.get("UpdateMethod", "Replace") != "NewVersion":
        replaced: Document = original(**given)
        return replaced
    name = given["original_resource"].name
    backend: SimpleSystemManagerBackend = ssm_backends[given["account_id"]][given["region_name"]]
    content, form = properties["Content"], properties.get("DocumentFormat") or "JSON"
    text = json.dumps(content) if isinstance(content, dict) else content
    documents = backend._documents[name]
    if documents.get_latest_version().content != text:
        made = backend.update_document(text, [], name, None, "$LATEST", form, None)
        documents.update_default_version(made["DocumentVersion"])
    return documents.get_default_version()
