"""Systems Manager: the candidates' agents, the configurations they are to take, and the commands that make them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.aws.answers import inner, listing, needed, needed_number, text
from chalicelib.aws.errors import AwsError, blind, code_of, message_of
from chalicelib.aws.ssm.certificate import read_record
from chalicelib.core.errors import PushError
from chalicelib.core.machines.machine import Agent, Invocation
from chalicelib.core.tunnel.bundle import seal
from chalicelib.core.tunnel.documents import CONFIGURE, CONFIRM, INSPECT, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import InstanceInformationStringFilterTypeDef

    from chalicelib.aws.errors import Unanswered
    from chalicelib.core.machines.certificate import CertificateRecord
    from chalicelib.core.network.change import PushConfig
    from chalicelib.core.network.topology import Topology

PATH = "/mooring/{topology}/router/{address}"
"""Where a candidate's configuration lies: one parameter per topology and private address, so their number is bounded."""

DELIVERED_WITHIN = 60
"""Seconds for a command to reach its machine; what is late must not run at all: it would be out of date."""


class _Pin(NamedTuple):
    """One version of a document, and the hash by which SendCommand refuses any other content."""

    version: str
    hash: str


class SystemsManager:
    """Implements `ports.Machines`. `fingerprints` are those of our documents, by name (`core.tunnel.documents.fingerprint`)."""

    def __init__(self, ssm: SSMClient, fingerprints: Mapping[str, str]) -> None:
        self._ssm, self._fingerprints = ssm, fingerprints
        self._pins: dict[str, _Pin] = {}

    def agents(self, topology: Topology) -> dict[str, Agent]:
        """Read the agents of the declared candidates: one call per selector, more only where AWS pages.

        Raises:
            ObservationError: Systems Manager did not answer.
        """
        found: dict[str, Agent] = {}
        for tags in topology.candidates:
            filters: list[InstanceInformationStringFilterTypeDef] = [
                {"Key": f"tag:{key}", "Values": [value]} for key, value in tags.pairs
            ]
            try:
                pages = self._ssm.get_paginator("describe_instance_information").paginate(Filters=filters)
                for node in (node for page in pages for node in listing(page, "InstanceInformationList")):
                    if instance_id := text(node, "InstanceId"):
                        online = text(node, "PingStatus") == "Online"
                        found[instance_id] = Agent(online, text(node, "AgentVersion") or "")
            except AwsError as error:
                raise blind("ssm:DescribeInstanceInformation", error) from error
        return found

    @property
    def commands(self) -> bool:
        """Whether the documents that are ours are known here, so that commands may be sent."""
        return bool(self._fingerprints)

    def certificate(self, topology: Topology) -> CertificateRecord | None:
        """Read the record that lies beside the secrets; None when none are stored.

        Raises:
            ObservationError: it could not be read, or is not what Mooring wrote.
        """
        return read_record(self._ssm, topology.name)

    def answer(self, command_id: str, instance_id: str) -> Invocation | None:
        """Read what became of a command on a machine; None while Systems Manager knows no such invocation.

        Raises:
            ObservationError: Systems Manager did not answer.
        """
        try:
            said = self._ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id)
            status = needed(said, "StatusDetails")
        except AwsError as error:
            if code_of(error) == "InvocationDoesNotExist":
                return None
            raise blind("ssm:GetCommandInvocation", error) from error
        return Invocation(status.replace(" ", ""), text(said, "StandardOutputContent") or "")

    def push(self, topology: Topology, change: PushConfig) -> str:
        """Store a configuration, unless it lies there already, and have a machine take exactly that version.

        Raises:
            PushError: it could not be stored or sent.
        """
        path = PATH.format(topology=topology.name, address=change.address)
        probe = topology.tunnel.probe if topology.tunnel else None
        try:
            value = seal(change.bundle.canonical, probe=probe, confirm_within=change.confirm_within)
            version = self._stored(path, value)
        except ValueError as error:
            hint = "declare fewer office networks, or larger ones that hold them"
            raise PushError(
                f"{change.instance_id} cannot be sent its configuration: {error}", hint=hint
            ) from error
        parameters = {"Path": [path], "Version": [str(version)], "Digest": [change.bundle.digest]}
        return self._send(CONFIGURE, [change.instance_id], parameters)

    def inspect(self, instance_ids: Sequence[str]) -> str:
        """Ask machines how they stand, at most 50 of them (API reference, SendCommand).

        Raises:
            PushError: it could not be sent.
        """
        return self._send(INSPECT, instance_ids[:50], {})

    def confirm(self, instance_id: str, digest: str) -> str:
        """Have a machine keep the configuration that is on trial.

        Raises:
            PushError: it could not be sent.
        """
        return self._send(CONFIRM, [instance_id], {"Digest": [digest]})

    def _stored(self, path: str, value: str) -> int:
        """Put a value into Parameter Store, unless it lies there; returns its version.

        Intelligent tiering takes the advanced tier, which costs, only above 4 KB; nothing brings a parameter back from it.
        """
        try:
            known = inner(self._ssm.get_parameter(Name=path), "Parameter")
            if text(known, "Value") == value:
                return needed_number(known, "Version")
        except AwsError as error:
            if code_of(error) != "ParameterNotFound":
                raise _unsent(f"ssm:GetParameter {path}", error) from error
        try:
            answer = self._ssm.put_parameter(
                Name=path,
                Description="What a router is configured with; holds no secret",
                Value=value,
                Type="String",
                Tier="Intelligent-Tiering",
                Overwrite=True,
            )
            return needed_number(answer, "Version")
        except AwsError as error:
            raise _unsent(f"ssm:PutParameter {path}", error) from error

    def _send(self, name: str, instance_ids: Sequence[str], parameters: Mapping[str, Sequence[str]]) -> str:
        pin = self._pins.get(name) or self._pinned(name)
        try:
            answer = self._ssm.send_command(
                DocumentName=name,
                DocumentVersion=pin.version,
                DocumentHash=pin.hash,
                DocumentHashType="Sha256",
                InstanceIds=instance_ids,
                Parameters=parameters,
                TimeoutSeconds=DELIVERED_WITHIN,
            )
            command_id = needed(inner(answer, "Command"), "CommandId")
        except AwsError as error:
            self._pins.pop(name, None)  # the next run looks at the document anew
            raise _unsent(f"ssm:SendCommand {name}", error) from error
        self._pins[name] = pin
        return command_id

    def _pinned(self, name: str) -> _Pin:
        """Find the version of a document that is ours, word for word, once per process."""
        if name not in self._fingerprints:
            raise PushError(
                f"which {name} is the right one is not known here",
                hint="the deployed worker knows; let it do this: make deploy STAGE=...",
            )
        try:
            kept = self._ssm.get_document(Name=name, DocumentVersion="$LATEST", DocumentFormat="JSON")
            version = needed(kept, "DocumentVersion")
            if _fingerprint(needed(kept, "Content")) != self._fingerprints[name]:
                raise PushError(
                    f"the document {name} is not the one that was deployed with this Mooring",
                    hint="find out who changed it; make deploy puts the right one back",
                )
            described = self._ssm.describe_document(Name=name, DocumentVersion=version)
            return _Pin(version, needed(inner(described, "Document"), "Hash"))
        except AwsError as error:
            raise _unsent(f"reading the document {name}", error) from error


def _fingerprint(content: str) -> str:
    """Return a document's fingerprint; of what is no JSON, nothing: it is not ours."""
    try:
        return fingerprint(json.loads(content))
    except ValueError:
        return ""


def _unsent(doing: str, error: Unanswered) -> PushError:
    return PushError(
        f"{doing} failed: {code_of(error)}: {message_of(error)}",
        hint="the next run tries again",
        aws_code=code_of(error),
    )
