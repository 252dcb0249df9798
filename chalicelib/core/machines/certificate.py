"""What may be known of a router's certificate without a secret: whose it is, how long it is valid, what it is stored with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Part: TypeAlias = Literal["ca", "cert", "key", "tls-crypt"]
PARTS: tuple[Part, ...] = get_args(Part)

RENEW_WITHIN = timedelta(days=30)
"""A certificate that is valid no longer than this wants to be renewed."""

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """The router's certificate as it was last stored; nothing in it is secret.

    `expires` and `ca_expires` are in UTC, whole seconds; `fingerprint` is the SHA-256 of the certificate, in hex;
    `versions` are those of the secrets that belong together, by part.
    """

    common_name: str
    expires: datetime
    ca_expires: datetime
    fingerprint: str
    versions: dict[Part, int]

    @property
    def digest(self) -> str:
        """What stands for this very set of secrets: another certificate, CA or key gives another."""
        return hashlib.sha256(self.dumps().encode()).hexdigest()

    @property
    def ends(self) -> datetime:
        """When the tunnel ends at the latest: with its certificate, or with the CA that both ends trust."""
        return min(self.expires, self.ca_expires)

    def days_left(self, now: datetime) -> int:
        """Count the whole days until then; negative when it is past."""
        return (self.ends - now) // timedelta(days=1)

    def wants_renewal(self, now: datetime) -> bool:
        """Return whether it is time."""
        return self.ends - now <= RENEW_WITHIN

    def dumps(self) -> str:
        """Write it down: the same record is always the same text."""
        document = {
            "schema": _SCHEMA,
            "common_name": self.common_name,
            "expires": _text(self.expires),
            "ca_expires": _text(self.ca_expires),
            "fingerprint": self.fingerprint,
            "versions": self.versions,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """One secret as Parameter Store holds it; `value` is not shown by repr, and `key_id` is the KMS key's."""

    value: str = field(repr=False)
    version: int
    key_id: str
    tier: str


@dataclass(frozen=True, slots=True)
class Storing:
    """What a storing did: the parts that were written, how all are stored now, whether the record was written."""

    written: tuple[Part, ...]
    stored: Mapping[Part, StoredSecret]
    record_written: bool


def loads(text: str) -> CertificateRecord:
    """Read what `CertificateRecord.dumps` wrote.

    Raises:
        ValueError: it is something else, or of another Mooring's making.
    """
    try:
        return _record(json.loads(text))
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"this is no record of a certificate: {error}") from error


def _record(document: dict[str, Any]) -> CertificateRecord:
    if document["schema"] != _SCHEMA:
        raise ValueError(f"it has schema {document['schema']}, not {_SCHEMA}")
    versions: dict[Part, int] = {part: int(document["versions"][part]) for part in PARTS}
    return CertificateRecord(
        str(document["common_name"]),
        _moment(document["expires"]),
        _moment(document["ca_expires"]),
        str(document["fingerprint"]),
        versions,
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment
