"""Run Command as AWS answers it: who may be sent what, what becomes of it, and what can be seen of it.

The life cycle itself, and the hook for agents, are in `fake_aws.nodes`. Sources: API reference of each operation
(botocore's model of ssm), Systems Manager user guide "Understanding command statuses"; aws.md 3.1, 3.2. Two things are
assumed, since no source says them: a hash that does not fit is InvalidDocument, and Undeliverable is a detail of Failed.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ssm.exceptions import InvalidDocument, SSMException
from moto.ssm.responses import SimpleSystemManagerResponse as Response

from .commands import Command, Invocation
from .patches import truth
from .reality import aws
from .truth_nodes import called, constraint, page

if TYPE_CHECKING:
    from moto.ssm.models import Document

DETAILS = 2_500
"""Characters of a plugin's output in ListCommandInvocations."""


# -- sending -----------------------------------------------------------------------------------------


def send_command(response: Response) -> ActionResult:
    """Check everything AWS checks, and have the command wait for its agents."""
    asked = {
        name: response._get_param(name)
        for name in ("DocumentVersion", "Comment", "Targets", "MaxConcurrency", "MaxErrors")
    }
    name = response._get_param("DocumentName")
    document = _document(response, name, asked["DocumentVersion"])
    if len(asked["Comment"] or "") > 100:
        raise constraint("comment", "Member must have length less than or equal to 100")
    timeout = response._get_param("TimeoutSeconds")
    timeout = 3600 if timeout is None else timeout
    if not 30 <= timeout <= 2_592_000:
        raise constraint("timeoutSeconds", "Member must be between 30 and 2592000")
    parameters = _parameters(document.content_json, response._get_param("Parameters") or {})
    command = Command(
        asked=asked,
        document_name=document.name,
        document_version=asked["DocumentVersion"] or "$DEFAULT",
        document=document.content_json,
        parameters=parameters,
        timeout_seconds=timeout,
        execution_timeout=_execution_timeout(document.content_json, parameters),
    )
    aws.fleet.send(command, called(response._get_param("InstanceIds") or [], asked["Targets"] or []))
    shown = _command(command) | {"Status": "Pending", "StatusDetails": "Pending"}
    return ActionResult({"Command": shown | {"CompletedCount": 0, "ErrorCount": 0}})


def _document(response: Response, name: str, version: str | None) -> Document:
    if name.startswith("arn:"):
        name = name.rpartition("/")[2]
    document = response.ssm_backend._get_documents(name).find(version)
    if document.document_type != "Command":
        raise InvalidDocument(f"Document {name} is of type {document.document_type}, not Command.")
    given = response._get_param("DocumentHash")
    kind = response._get_param("DocumentHashType") or "Sha256"
    if given is not None and (kind != "Sha256" or given != document.hash):
        raise InvalidDocument("The document hash and hash type do not match the document's.")
    return document


def _parameters(content: dict[str, Any], given: dict[str, list[str]]) -> dict[str, list[str]]:
    """Fill in defaults. API reference, InvalidParameters; the pattern is searched for: anchoring is the document's own."""
    declared = content.get("parameters") or {}
    unknown = given.keys() - declared.keys()
    if unknown:
        raise _invalid(f"Parameter {min(unknown)} is not defined in the document.")
    filled: dict[str, list[str]] = {}
    for name, rule in declared.items():
        if name not in given and "default" not in rule:
            raise _invalid(f"Parameter {name} requires a value.")
        default = rule.get("default")
        values = given[name] if name in given else default if isinstance(default, list) else [str(default)]
        if rule["type"] == "String" and len(values) != 1:
            raise _invalid(f"Parameter {name} is a String and takes one value.")
        for value in values:
            _fits(name, rule, value)
        filled[name] = values
    return filled


def _fits(name: str, rule: dict[str, Any], value: str) -> None:
    allowed = rule.get("allowedValues")
    if allowed is not None and value not in {str(one) for one in allowed}:
        raise _invalid(f"Parameter {name}: the value is not among the allowed ones.")
    if not re.search(rule.get("allowedPattern", ""), value):
        raise _invalid(f"Parameter {name}: the value does not match the pattern {rule['allowedPattern']}.")
    if not int(rule.get("minChars", 0)) <= len(value) <= int(rule.get("maxChars", 1 << 20)):
        raise _invalid(f"Parameter {name}: the value is too short or too long.")


def _execution_timeout(content: dict[str, Any], parameters: dict[str, list[str]]) -> int:
    """Read the first step's timeoutSeconds, a number or a parameter; 3600 is the default of aws:runShellScript."""
    asked = str(content["mainSteps"][0].get("inputs", {}).get("timeoutSeconds", 3600))
    named = re.fullmatch(r"\{\{\s*(\w+)\s*\}\}", asked)
    return int(parameters[named[1]][0] if named else asked)


def _invalid(text: str) -> SSMException:
    return SSMException("InvalidParameters", text)


# -- looking -----------------------------------------------------------------------------------------


def get_command_invocation(response: Response) -> ActionResult:
    """Show one command on one node; output is there once it ended by itself, the first 24,000 and 8,000 characters."""
    _look()
    command_id, instance_id = response._get_param("CommandId"), response._get_param("InstanceId")
    invocation = _find(command_id, instance_id)
    if invocation is None or _unseen(invocation):
        raise SSMException("InvocationDoesNotExist", "")
    plugin = response._get_param("PluginName")
    if plugin is None and len(invocation.steps) > 1:
        raise SSMException("InvalidPluginName", "The command has several steps, so PluginName is required.")
    found = [step for step in invocation.steps if plugin in {None, step.name}]
    if not found:
        raise SSMException("InvalidPluginName", f"{plugin} is no step of this command.")
    (step,) = found
    ended = step.status in {"Success", "Failed"}
    lasted = (step.ended - step.began).total_seconds() if step.ended and step.began else 0.0
    return ActionResult(
        {
            "CommandId": command_id,
            "InstanceId": instance_id,
            "Comment": invocation.command.asked["Comment"] or "",
            "DocumentName": invocation.command.document_name,
            "DocumentVersion": invocation.command.document_version,
            "PluginName": step.name,
            "ResponseCode": step.code,
            "ExecutionStartDateTime": _stamp(step.began),
            "ExecutionElapsedTime": f"PT{lasted:.3f}S" if step.ended and step.began else "",
            "ExecutionEndDateTime": _stamp(step.ended) if step.began else "",
            "Status": invocation.status,
            "StatusDetails": invocation.details,
            "StandardOutputContent": step.stdout if ended else "",
            "StandardOutputUrl": "",
            "StandardErrorContent": step.stderr if ended else "",
            "StandardErrorUrl": "",
            "CloudWatchOutputConfig": {"CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": False},
        }
    )


def list_command_invocations(response: Response) -> ActionResult:
    """List commands' invocations, newest first; what cannot be seen yet is not among them."""
    _look()
    command_id, instance_id = response._get_param("CommandId"), response._get_param("InstanceId")
    if command_id and command_id not in aws.fleet.commands:
        raise SSMException("InvalidCommandId", "")
    wanted = {one["key"]: one["value"] for one in response._get_param("Filters") or []}
    if unknown := wanted.keys() - {"Status", "DocumentName"}:
        raise SSMException("InvalidFilterKey", f"{min(unknown)} is no filter of the embedded AWS.")
    found = [
        one
        for one in reversed(list(aws.fleet.invocations()))
        if command_id in {None, one.command.command_id}
        and instance_id in {None, one.node.instance_id}
        and wanted.get("Status", one.status) in {one.status, one.details}
        and wanted.get("DocumentName", one.command.document_name) == one.command.document_name
        and not _unseen(one)
    ]
    details = bool(response._get_param("Details"))
    return page(response, "CommandInvocations", [_invocation(one, details=details) for one in found])


def list_commands(response: Response) -> ActionResult:
    """List commands, newest first."""
    _look()
    command_id, instance_id = response._get_param("CommandId"), response._get_param("InstanceId")
    if command_id and command_id not in aws.fleet.commands:
        raise SSMException("InvalidCommandId", "")
    found = [
        one
        for one in reversed(list(aws.fleet.commands.values()))
        if command_id in {None, one.command_id}
        and (instance_id is None or instance_id in {each.node.instance_id for each in one.invocations})
    ]
    return page(response, "Commands", [_command(one) for one in found])


def cancel_command(response: Response) -> EmptyResult:
    """Cancel what waits, and ask for the end of what runs; "no guarantee", says the API reference."""
    command = aws.fleet.commands.get(response._get_param("CommandId"))
    if command is None:
        raise SSMException("InvalidCommandId", "")
    wanted = response._get_param("InstanceIds") or [one.node.instance_id for one in command.invocations]
    for invocation in command.invocations:
        if invocation.node.instance_id in wanted:
            invocation.cancel()
    return EmptyResult()


for _operation in (
    send_command,
    get_command_invocation,
    list_command_invocations,
    list_commands,
    cancel_command,
):
    truth.attribute(Response, _operation.__name__, _operation)


# -- what is shown -----------------------------------------------------------------------------------


def _look() -> None:
    aws.fleet.expire(time.monotonic())


def _find(command_id: str, instance_id: str) -> Invocation | None:
    command = aws.fleet.commands.get(command_id)
    if command is None:
        raise SSMException("InvalidCommandId", "")
    return next((one for one in command.invocations if one.node.instance_id == instance_id), None)


def _unseen(invocation: Invocation) -> bool:
    """Return whether this look is one of the first, which do not see it; a command that ended was seen by its agent."""
    if invocation.unseen <= 0 or invocation.over:
        return False
    invocation.unseen -= 1
    return True


def _stamp(moment: Any) -> str:  # noqa: ANN401 - a datetime or None
    return "" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _command(command: Command) -> dict[str, Any]:
    status, details = command.state
    over = [one for one in command.invocations if one.over]
    return {
        "CommandId": command.command_id,
        "DocumentName": command.document_name,
        "DocumentVersion": command.document_version,
        "Comment": command.asked["Comment"] or "",
        "ExpiresAfter": command.expires_after,
        "Parameters": command.parameters,
        "InstanceIds": []
        if command.asked["Targets"]
        else [one.node.instance_id for one in command.invocations],
        "Targets": command.asked["Targets"] or [],
        "RequestedDateTime": command.sent,
        "Status": status,
        "StatusDetails": details,
        "MaxConcurrency": command.asked["MaxConcurrency"] or "50",
        "MaxErrors": command.asked["MaxErrors"] or "0",
        "TargetCount": len(command.invocations),
        "CompletedCount": len(over),
        "ErrorCount": sum(one.details in {"Failed", "ExecutionTimedOut"} for one in over),
        "DeliveryTimedOutCount": sum(one.details == "DeliveryTimedOut" for one in over),
        "TimeoutSeconds": command.timeout_seconds,
    }


def _invocation(invocation: Invocation, *, details: bool) -> dict[str, Any]:
    command = invocation.command
    return {
        "CommandId": command.command_id,
        "InstanceId": invocation.node.instance_id,
        "InstanceName": invocation.node.tags.get("Name", ""),
        "Comment": command.asked["Comment"] or "",
        "DocumentName": command.document_name,
        "DocumentVersion": command.document_version,
        "RequestedDateTime": command.sent,
        "Status": invocation.status,
        "StatusDetails": invocation.details,
        "CommandPlugins": [
            {
                "Name": step.name,
                "Status": step.status,
                "StatusDetails": step.details,
                "ResponseCode": step.code,
                "ResponseStartDateTime": step.began or command.sent,
                "ResponseFinishDateTime": step.ended or command.sent,
                "Output": _output(step.stdout, step.stderr),
            }
            for step in invocation.steps
            if details
        ],
    }


def _output(stdout: str, stderr: str) -> str:
    text = stdout + (f"\n----------ERROR-------\n{stderr}" if stderr else "")
    cut = "\n---Output truncated---"
    return text if len(text) <= DETAILS else text[: DETAILS - len(cut)] + cut
