"""Puts `chalicelib.command` into the Command documents of the packaged template, and their fingerprints beside them.

A document's script lays the modules on tmpfs, as text that anybody can read in the console, and starts them. Where the
agent is too old to pass parameters as environment variables, it would have pasted them into the script: there is no
place in it for that, and it ends before it does anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chalicelib.core.document import fingerprint
from chalicelib.core.errors import ControllerError

SOURCE = Path(__file__).parents[1] / "command"
MOST_BYTES = 64 * 1024
"""The largest document (Systems Manager API reference, CreateDocument, MaxDocumentSizeExceeded)."""
OLDEST_AGENT = "3.3.2746.0"
FINGERPRINTS = "MOORING_DOCUMENTS"
"""The worker's variable: a JSON object of document name -> fingerprint."""

_END = "MOORING-END-OF-MODULE"
_TOOLS = "aws ip iptables-restore openssl openvpn ping sysctl systemctl systemd-analyze systemd-run unshare"

_HEAD = """\
#!/bin/bash
# Mooring: {action}. What follows is chalicelib/command, as packaged.
set -u
umask 077
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin:/opt/aws/bin

refuse() {{
  printf '{{"mooring":1,"action":"{action}","result":"refused","reason":"%s"}}\\n' "$2"
  exit "$1"
}}
"""
_TOO_OLD = '[ -n "${{SSM_{name}+x}}" ] || refuse 90 "the SSM agent is older than {oldest}; update it"\n'
_READY = """\
for tool in {tools}; do
  command -v "$tool" >/dev/null || refuse 20 "$tool is not installed on this router"
done
python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || refuse 20 "this router needs Python 3.9 or later"
place=$(mktemp -d /run/mooring-command.XXXXXX) || refuse 20 "there is no room in /run"
trap 'rm -rf "$place"' EXIT
mkdir "$place/command"
"""
_MAIN = "import sys\n\nfrom command.main import main\n\nsys.exit(main(sys.argv[1:]))\n"


def script(action: str, parameters: list[str], source: Path = SOURCE) -> list[str]:
    """Write a document's script, line by line.

    Args:
        action: what `command.main` is to do.
        parameters: the document's, which come as `$SSM_<name>`.
        source: the folder of the modules.
    """
    guards = "".join(_TOO_OLD.format(name=name, oldest=OLDEST_AGENT) for name in parameters)
    modules = {f"command/{path.name}": path.read_text() for path in sorted(source.glob("*.py"))}
    laid = "".join(
        f"cat >\"$place/{name}\" <<'{_END}'\n{text}{_END}\n"
        for name, text in {"__main__.py": _MAIN, **modules}.items()
    )
    text = _HEAD.format(action=action) + guards + _READY.format(tools=_TOOLS) + laid
    return [*text.splitlines(), f'python3 -I -B "$place" {action}', 'exit "$?"']


def fill(template: dict[str, Any]) -> dict[str, Any]:
    """Fill each Command document's `runCommand: [<action>]` with the script, and tell the worker the fingerprints.

    Raises:
        ControllerError: a document is too large, or holds braces that an old agent would fill in.
    """
    resources = template["Resources"]
    fingerprints = {}
    for resource in resources.values():
        if resource["Type"] == "AWS::SSM::Document":
            name, content = resource["Properties"]["Name"], resource["Properties"]["Content"]
            inputs = content["mainSteps"][0]["inputs"]
            (action,) = inputs["runCommand"]
            inputs["runCommand"] = script(action, list(content.get("parameters", {})))
            _judge(name, json.dumps(content))
            fingerprints[name] = fingerprint(content)
    if fingerprints:
        worker = resources["Reconcile"]["Properties"]
        told = {FINGERPRINTS: json.dumps(fingerprints, sort_keys=True, separators=(",", ":"))}
        worker["Environment"] = {
            "Variables": {**worker["Environment"]["Variables"], **told}
        }  # a mapping of its own
    return template


def _judge(name: str, text: str) -> None:
    if len(text.encode()) > MOST_BYTES:
        raise ControllerError(
            f"document {name} has {len(text.encode()):,} bytes; Systems Manager takes {MOST_BYTES:,}",
            hint="see what chalicelib/command can do without",
        )
    if "{{" in text:
        raise ControllerError(
            f"document {name} holds '{{{{': an agent older than {OLDEST_AGENT} pastes parameters in there",
            hint="write it with a space in between",
        )
