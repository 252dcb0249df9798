"""Names Mooring's Command documents, and tells whether AWS keeps the very ones that were packaged."""

from __future__ import annotations

import hashlib
import json

CONFIGURE = "Mooring-ConfigureRouter"
CONFIRM = "Mooring-ConfirmRouter"
INSPECT = "Mooring-InspectRouter"
DOCUMENTS = (CONFIGURE, CONFIRM, INSPECT)


def fingerprint(content: object) -> str:
    """Digest a document's content, whatever text AWS keeps it as: the hexadecimal SHA-256 of its canonical JSON.

    SendCommand's own `DocumentHash` is of the text that AWS stored, and CloudFormation does not promise which text it
    makes of a template. So the hash is read from DescribeDocument, and pinned once the content has this fingerprint.
    """
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
