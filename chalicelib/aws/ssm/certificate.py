"""The record of a router's certificate in Parameter Store: what may be known of it without a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.aws.answers import inner, needed
from chalicelib.aws.errors import AwsError, blind, code_of
from chalicelib.core.errors import ObservationError
from chalicelib.core.machines.certificate import loads

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

    from chalicelib.core.machines.certificate import CertificateRecord


def record_path(topology: str) -> str:
    """Name the parameter."""
    return f"/mooring/{topology}/certificate"


def read_record(ssm: SSMClient, topology: str) -> CertificateRecord | None:
    """Read what may be known of the certificate; None when none was stored.

    Raises:
        ObservationError: it could not be read, or is not what Mooring wrote.
    """
    try:
        answer = ssm.get_parameter(Name=record_path(topology))
        return loads(needed(inner(answer, "Parameter"), "Value"))
    except AwsError as error:
        if code_of(error) == "ParameterNotFound":
            return None
        raise blind("ssm:GetParameter", error) from error
    except ValueError as error:
        raise ObservationError(
            f"{record_path(topology)}: {error}", hint="mooring secrets put writes it anew"
        ) from error
