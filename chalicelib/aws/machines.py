"""Systems Manager: the candidates' agents, the configurations they are to take, and the commands that make them."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.aws.errors import AwsError, blind, code_of, message_of
from chalicelib.core.errors import PushError
from chalicelib.core.machine import Agent, Invocation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.exceptions import BotoCoreError, ClientError
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import InstanceInformationStringFilterTypeDef

    from chalicelib.core.change import PushConfig
    from chalicelib.core.router import Bundle
    from chalicelib.core.topology import Topology

PATH = "/mooring/{topology}/router/{address}"
"""Where a candidate's configuration lies: one parameter per topology and private address, so their number is bounded."""

DELIVERED_WITHIN = 60
"""Seconds for a command to reach its machine; what is late must not run at all: it would be out of date."""

STANDARD = 4096
"""The most bytes of a parameter of the standard tier, which costs nothing (Systems Manager endpoints and quotas)."""


class Document(NamedTuple):
    """A Command document of ours, by name, and the SHA-256 of its content: any other content is refused."""

    name: str
    hash: str


class SystemsManager:
    """Implements `errands.Machines`. `documents` are ours by what they do: configure, inspect, confirm."""

    def __init__(self, ssm: SSMClient, documents: Mapping[str, Document]) -> None:
        self._ssm, self._documents = ssm, documents
        self._versions: dict[str, str] = {}

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
                for node in (node for page in pages for node in page["InstanceInformationList"]):
                    online = node.get("PingStatus") == "Online"
                    found[node["InstanceId"]] = Agent(online, node.get("AgentVersion", ""))
            except AwsError as error:
                raise blind("ssm:DescribeInstanceInformation", error) from error
        return found

    def answer(self, command_id: str, instance_id: str) -> Invocation | None:
        """Read what became of a command on a machine; None while Systems Manager knows no such invocation.

        Raises:
            ObservationError: Systems Manager did not answer.
        """
        try:
            said = self._ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id)
        except AwsError as error:
            if code_of(error) == "InvocationDoesNotExist":
                return None
            raise blind("ssm:GetCommandInvocation", error) from error
        return Invocation(said["StatusDetails"].replace(" ", ""), said.get("StandardOutputContent", ""))

    def push(self, topology: str, change: PushConfig) -> str:
        """Store a configuration, unless it lies there already, and have a machine take exactly that version.

        Raises:
            PushError: it could not be stored or sent.
        """
        path = PATH.format(topology=topology, address=change.address)
        version = self._stored(path, parcel(change.bundle, change.confirm_within))
        parameters = {"Path": [path], "Version": [str(version)], "Digest": [change.bundle.digest]}
        return self._send("configure", [change.instance_id], parameters)

    def inspect(self, instance_ids: Sequence[str]) -> str:
        """Ask machines how they stand, at most 50 of them (API reference, SendCommand).

        Raises:
            PushError: it could not be sent.
        """
        return self._send("inspect", instance_ids[:50], {})

    def confirm(self, instance_id: str, digest: str) -> str:
        """Have a machine keep the configuration that is on trial.

        Raises:
            PushError: it could not be sent.
        """
        return self._send("confirm", [instance_id], {"Digest": [digest]})

    def _stored(self, path: str, parcel: str) -> int:
        """Put a value into Parameter Store; gives its version. The advanced tier only where it must be, for it costs."""
        try:
            known = self._ssm.get_parameter(Name=path)["Parameter"]
            if known["Value"] == parcel:
                return known["Version"]
        except AwsError as error:
            if code_of(error) != "ParameterNotFound":
                raise _unsent(f"ssm:GetParameter {path}", error) from error
        try:
            return self._ssm.put_parameter(
                Name=path,
                Description="What a router of Mooring's is configured with; holds no secret",
                Value=parcel,
                Type="String",
                Tier="Standard" if len(parcel.encode()) <= STANDARD else "Advanced",
                Overwrite=True,
            )["Version"]
        except AwsError as error:
            raise _unsent(f"ssm:PutParameter {path}", error) from error

    def _send(self, what: str, instance_ids: Sequence[str], parameters: Mapping[str, Sequence[str]]) -> str:
        document = self._documents.get(what)
        if document is None:
            raise PushError(
                f"no document to {what} routers with is known here",
                hint="the deployed functions know theirs; let one of them do it",
            )
        version = self._version(document)
        try:
            return self._ssm.send_command(
                DocumentName=document.name,
                DocumentVersion=version,
                DocumentHash=document.hash,
                DocumentHashType="Sha256",
                InstanceIds=instance_ids,
                Parameters=parameters,
                TimeoutSeconds=DELIVERED_WITHIN,
                Comment=f"Mooring: {what}",
            )["Command"]["CommandId"]
        except AwsError as error:
            self._versions.pop(document.name, None)
            raise _unsent(f"ssm:SendCommand {document.name}", error) from error

    def _version(self, document: Document) -> str:
        """Find the version of a document that has our content, once per process."""
        if document.name not in self._versions:
            try:
                known = self._ssm.describe_document(Name=document.name)["Document"]
            except AwsError as error:
                raise _unsent(f"ssm:DescribeDocument {document.name}", error) from error
            if known["Hash"] != document.hash:
                raise PushError(
                    f"the document {document.name} is not the one that was deployed with this Mooring",
                    hint="make deploy puts the right one back; find out who changed it",
                )
            self._versions[document.name] = known["DocumentVersion"]
        return self._versions[document.name]


def parcel(bundle: Bundle, confirm_within: int | None) -> str:
    """Pack a configuration for Parameter Store: deflated, since most then fit the tier that costs nothing.

    `confirm_within` (seconds) is no part of what the digest is of: it says how to take it, not what it is.
    """
    packed = base64.b64encode(zlib.compress(bundle.canonical, 9)).decode()
    return json.dumps(
        {"schema": 1, "confirm_within": confirm_within, "packed": packed}, separators=(",", ":")
    )


def _unsent(doing: str, error: BotoCoreError | ClientError) -> PushError:
    return PushError(
        f"{doing} failed: {code_of(error)}: {message_of(error)}",
        hint="the next run tries again",
        aws_code=code_of(error),
    )
