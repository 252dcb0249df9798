"""Parameter Store: where topologies are declared, as the TOML their authors wrote."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from chalicelib.aws.answers import inner, listing, needed, number, text
from chalicelib.aws.errors import AwsError, blind, code_of, message_of
from chalicelib.core.declaration import parse
from chalicelib.core.errors import ApplyError, TopologyError, UnknownTopology

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

    from chalicelib.core.network.topology import Topology

PATH = "/mooring/topologies/"

KNOWN_FOR = 60.0
"""Seconds for which what was read answers whom an event concerns; the next tick would look anyway."""


class Topologies:
    """The declared topologies of this account and region, one parameter each under `PATH`."""

    def __init__(self, ssm: SSMClient) -> None:
        self._ssm = ssm
        self._known: dict[str, Topology | None] = {}
        self._read_at = -math.inf

    def names(self) -> list[str]:
        """List the declared names, sorted.

        Raises:
            ObservationError: Parameter Store could not be read.
        """
        return list(self.documents())

    def documents(self) -> dict[str, bytes]:
        """Read every declared topology as it was written, by name, sorted.

        Raises:
            ObservationError: Parameter Store could not be read.
        """
        try:
            pages = self._ssm.get_paginator("get_parameters_by_path").paginate(Path=PATH)
            found = [p for page in pages for p in listing(page, "Parameters")]
        except AwsError as error:
            raise blind("ssm:GetParametersByPath", error) from error
        written = {name: text(p, "Value") or "" for p in found if (name := text(p, "Name"))}
        return {name.removeprefix(PATH): written[name].encode() for name in sorted(written)}

    def known(self, *, fresh: bool = False) -> dict[str, Topology | None]:
        """Return every declared topology, None for one that is not valid; read at most `KNOWN_FOR` ago unless `fresh`.

        Raises:
            ObservationError: Parameter Store could not be read.
        """
        if fresh or time.monotonic() - self._read_at > KNOWN_FOR:
            self._known = {name: _parse(document) for name, document in self.documents().items()}
            self._read_at = time.monotonic()
        return self._known

    def forget(self) -> None:
        """Read anew when asked next, however lately it was read."""
        self._read_at = -math.inf

    def document(self, name: str) -> bytes | None:
        """Read one topology as it was written; None when it is not declared.

        Raises:
            ObservationError: Parameter Store could not be read.
        """
        try:
            answer = self._ssm.get_parameter(Name=PATH + name)
            return needed(inner(answer, "Parameter"), "Value").encode()
        except AwsError as error:
            if code_of(error) == "ParameterNotFound":
                return None
            raise blind("ssm:GetParameter", error) from error

    def read(self, name: str) -> Topology:
        """Read and parse one topology.

        Raises:
            UnknownTopology: none of that name is declared.
            TopologyError: what is stored is not valid (somebody wrote it past `mooring declare`).
            ObservationError: Parameter Store could not be read.
        """
        document = self.document(name)
        if document is None:
            raise UnknownTopology(
                f"no topology {name} is declared here", hint="mooring declare FILE declares one"
            )
        return parse(document)

    def declare(self, name: str, document: bytes) -> int:
        """Store a topology that `parse` accepted; returns the parameter's new version, 0 when AWS does not say.

        Intelligent tiering takes the advanced tier only above 4 KB, and keeps it once taken.

        Raises:
            ApplyError: it could not be stored.
        """
        try:
            answer = self._ssm.put_parameter(
                Name=PATH + name,
                Description="A network that Mooring keeps; written by mooring declare",
                Value=document.decode(),
                Type="String",
                Tier="Intelligent-Tiering",
                Overwrite=True,
            )
        except AwsError as error:
            code = code_of(error)
            raise ApplyError(
                f"ssm:PutParameter {PATH}{name} failed: {code}: {message_of(error)}",
                hint="nothing was stored",
                aws_code=code,
            ) from error
        return number(answer, "Version") or 0


def _parse(document: bytes) -> Topology | None:
    try:
        return parse(document)
    except TopologyError:
        return None
