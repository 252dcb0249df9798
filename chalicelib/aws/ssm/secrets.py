"""The tunnel's secrets in Parameter Store: stored whole or not at all, and never said.

A topology's four SecureStrings lie under `/mooring/<topology>/tunnel/`. Beside them, at `/mooring/<topology>/certificate`,
lies a plain String with what may be known of them (`core.certificate`): it is written last, so whoever waits for
its change finds four that belong together.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chalicelib.aws.answers import inner, listing, needed, needed_number, text
from chalicelib.aws.errors import AwsError, blind, code_of
from chalicelib.aws.ssm.certificate import read_record, record_path
from chalicelib.core.errors import ApplyError, ObservationError
from chalicelib.core.machines.certificate import PARTS, CertificateRecord, Part, StoredSecret, Storing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_ssm import SSMClient

ROOT = "/mooring"
OWN_KEY = "alias/aws/ssm"
"""The account's own key, which encrypts a SecureString when no other is named."""

_ORDER: tuple[Part, ...] = ("cert", "ca", "tls-crypt", "key")
"""A new certificate comes first and its key last: until both are there they do not fit, and a router refuses them."""

_HINTS = {
    "InvalidKeyId": "check --kms-key: the key's id, ARN or alias, in this region, enabled",
    "AccessDeniedException": "allow ssm:PutParameter on /mooring/NAME/tunnel/* and kms:Encrypt (over 4 KB, also "
    "kms:GenerateDataKey) on the key",
    "ParameterMaxVersionLimitExceeded": "a label holds the oldest of its 100 versions: take the label away",
    "ParameterLimitExceeded": "the account's parameters are used up: remove some, or raise the quota",
}
"""What to do, by code: AWS's own sentence may quote the value, so it is not said."""


_ABSENT = StoredSecret("", 0, "", "")
"""A secret that is not stored; no stored one is empty."""


@dataclass(frozen=True)
class _Failed:
    """The write that failed, with AWS's code."""

    part: Part
    code: str


class TunnelSecrets:
    """The secrets and the certificate's record of every topology of this account and region."""

    def __init__(self, ssm: SSMClient) -> None:
        self._ssm = ssm

    def record(self, topology: str) -> CertificateRecord | None:
        """Read what may be known of the certificate; None when none was stored.

        Raises:
            ObservationError: it could not be read, or is not what Mooring wrote.
        """
        return read_record(self._ssm, topology)

    def read(self, topology: str) -> dict[Part, StoredSecret]:
        """Read the secrets that are stored, decrypted.

        Raises:
            ObservationError: they could not be read or decrypted.
        """
        names = {secret_path(topology, part): part for part in PARTS}
        try:
            answer = self._ssm.get_parameters(Names=list(names), WithDecryption=True)
            stored = {
                needed(one, "Name"): (needed(one, "Value"), needed_number(one, "Version"))
                for one in listing(answer, "Parameters")
            }
        except AwsError as error:
            raise blind("ssm:GetParameters and kms:Decrypt", error) from None
        keys = self._keys(topology) if stored else {}
        return {
            part: StoredSecret(*stored[name], *keys.get(name, (OWN_KEY, "Standard")))
            for name, part in names.items()
            if name in stored
        }

    def _keys(self, topology: str) -> dict[str, tuple[str, str]]:
        """Read under which key, and in which tier, each is: an update that names no key goes back to the account's own."""
        under = {"Key": "Path", "Option": "OneLevel", "Values": [f"{ROOT}/{topology}/tunnel"]}
        try:
            pages = self._ssm.get_paginator("describe_parameters").paginate(ParameterFilters=[under])  # type: ignore[list-item] # a dict of its keys
            found = [one for page in pages for one in listing(page, "Parameters")]
        except AwsError as error:
            raise blind("ssm:DescribeParameters", error) from error
        return {
            name: (text(one, "KeyId") or OWN_KEY, text(one, "Tier") or "Standard")
            for one in found
            if (name := text(one, "Name"))
        }

    def store(
        self,
        topology: str,
        new: Mapping[Part, str],
        record: Callable[[dict[Part, int]], CertificateRecord],
        key_id: str | None = None,
    ) -> Storing:
        """Store all four, then the record; what is as it should be is not written anew.

        Args:
            topology: the topology's name.
            new: the text of each part.
            record: makes the record of the versions that belong together.
            key_id: the KMS key; None keeps each secret's own, and takes the account's for a new one.

        Raises:
            ObservationError: what is stored now could not be read; nothing was written.
            ApplyError: a write failed, and says what is stored now: as before, if that could be put back.
        """
        before = self.read(topology)
        keys = {part: key_id or (before[part].key_id if part in before else OWN_KEY) for part in PARTS}
        changed = [
            part
            for part in _ORDER
            if part not in before or (before[part].value, before[part].key_id) != (new[part], keys[part])
        ]
        now = dict(before)
        for part in changed:
            try:
                now[part] = self._put(secret_path(topology, part), new[part], keys[part])
            except (*AwsError, KeyboardInterrupt) as error:
                code = "Interrupted" if isinstance(error, KeyboardInterrupt) else code_of(error)
                done = changed[: changed.index(part)]
                raise self._undone(topology, _Failed(part, code), done, before) from None
        self._unless_overtaken(topology, now)
        wanted = record({part: now[part].version for part in PARTS}).dumps()
        return Storing(tuple(changed), now, self._record(topology, wanted))

    def _put(self, path: str, value: str, key_id: str) -> StoredSecret:
        answer = self._ssm.put_parameter(
            Name=path,
            Description="A secret of the tunnel; written by mooring secrets put",
            Value=value,
            Type="SecureString",
            KeyId=key_id,
            Tier="Intelligent-Tiering",
            Overwrite=True,
        )
        return StoredSecret(
            value, needed_number(answer, "Version"), key_id, text(answer, "Tier") or "Standard"
        )

    def _undone(
        self, topology: str, failed: _Failed, done: list[Part], before: Mapping[Part, StoredSecret]
    ) -> ApplyError:
        """Put back what was written before the write that failed, and say how it ended."""
        now, left = dict(before), []
        # A write without an answer may have been carried out all the same.
        for part in [
            *([] if self._as_before(topology, failed.part, before) else [failed.part]),
            *reversed(done),
        ]:
            path = secret_path(topology, part)
            try:
                if part in before:
                    now[part] = self._put(path, before[part].value, before[part].key_id)
                else:
                    self._ssm.delete_parameter(Name=path)
            except AwsError:
                left.append(part)
        what = f"ssm:PutParameter {secret_path(topology, failed.part)} failed: {failed.code}"
        why = _HINTS.get(failed.code, "try again")
        if left:
            what += f"; {', '.join(sorted(left))} could not be put back, so what is stored may not belong together"
            return ApplyError(what, hint=f"run this again until it succeeds: {why}", aws_code=failed.code)
        with suppress(ObservationError, ApplyError):  # `secrets check` tells if the record lags behind
            was = self.record(topology)
            if was and set(now) == set(PARTS):
                versions = {part: now[part].version for part in PARTS}
                self._record(topology, replace(was, versions=versions).dumps())
        return ApplyError(f"{what}; everything is stored as before", hint=why, aws_code=failed.code)

    def _as_before(self, topology: str, part: Part, before: Mapping[Part, StoredSecret]) -> bool:
        """Look whether a secret still is what it was; not to know is to say no."""
        try:
            now = self.read(topology)
        except ObservationError:
            return False
        return now.get(part, _ABSENT).value == before.get(part, _ABSENT).value

    def _unless_overtaken(self, topology: str, now: Mapping[Part, StoredSecret]) -> None:
        """Look whether somebody else stored secrets meanwhile: two sets mixed would be none."""
        names = {secret_path(topology, part): part for part in PARTS}
        try:
            answer = self._ssm.get_parameters(Names=list(names))
            seen = {
                needed(one, "Name"): needed_number(one, "Version") for one in listing(answer, "Parameters")
            }
        except AwsError as error:
            raise blind("ssm:GetParameters", error) from error
        newer = sorted(part for name, part in names.items() if seen.get(name, 0) > now[part].version)
        if newer:
            raise ApplyError(
                f"somebody else stored {', '.join(newer)} of {topology} meanwhile",
                hint="run this again: all four are stored as one set",
            )

    def _record(self, topology: str, wanted: str) -> bool:
        """Write the record unless it is there; say whether it was written."""
        path = record_path(topology)
        try:
            if text(inner(self._ssm.get_parameter(Name=path), "Parameter"), "Value") == wanted:
                return False
        except AwsError as error:
            if code_of(error) != "ParameterNotFound":
                raise blind("ssm:GetParameter", error) from error
        try:
            self._ssm.put_parameter(
                Name=path,
                Description="What may be known of the tunnel's certificate; written by mooring secrets put",
                Value=wanted,
                Type="String",
                Overwrite=True,
            )
        except AwsError as error:
            code = code_of(error)
            raise ApplyError(
                f"ssm:PutParameter {path} failed: {code}; the secrets themselves are stored",
                hint="run this again: it writes what is missing",
                aws_code=code,
            ) from error
        return True


def secret_path(topology: str, part: Part) -> str:
    """Name the parameter of a secret."""
    return f"{ROOT}/{topology}/tunnel/{part}"
