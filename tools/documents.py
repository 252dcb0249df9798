"""Puts `chalicelib.on_router.agent` into the Command documents of the packaged template, and their fingerprints beside them.

A document holds 64 KB, so the modules travel as one zip, in base64, that Python runs as it is. Where the agent is too old
to pass parameters as environment variables, it would paste them into the script: there is no place in it for that, and
it ends before it does anything.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from chalicelib.core.errors import ControllerError
from chalicelib.core.tunnel.bundle import dictionary
from chalicelib.core.tunnel.documents import fingerprint

SOURCE = Path(__file__).parents[1] / "chalicelib" / "on_router" / "agent"
MOST_BYTES = 64 * 1024
"""The largest document (Systems Manager API reference, CreateDocument, MaxDocumentSizeExceeded)."""
OLDEST_AGENT = "3.3.2746.0"
FINGERPRINTS = "MOORING_DOCUMENTS"
"""The worker's variable: a JSON object of document name -> fingerprint."""

PROGRAM = "router.pyz"
_END = "END-OF-ZIP"
DICTIONARY = "dictionary"
"""The name under which `agent.pull` finds what bundles are deflated with."""
_TOOLS = "aws ip iptables-restore openssl openvpn ping sysctl systemctl systemd-analyze systemd-run unshare"

_HEAD = """\
#!/bin/bash
# Mooring: {action}. The zip below holds chalicelib/on_router/agent as packaged; `unzip -p` shows it.
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
"""
_MAIN = "import sys\n\nfrom agent.main import main\n\nsys.exit(main(sys.argv[1:]))\n"


def script(action: str, parameters: list[str], source: Path = SOURCE) -> list[str]:
    """Write a document's script, line by line.

    Args:
        action: what `agent.main` is to do.
        parameters: the document's, which come as `$SSM_<name>`.
        source: the folder of the modules.
    """
    guards = "".join(_TOO_OLD.format(name=name, oldest=OLDEST_AGENT) for name in parameters)
    head = _HEAD.format(action=action) + guards + _READY.format(tools=_TOOLS)
    packed = base64.encodebytes(archive(source)).decode()
    laid = f"base64 -d >\"$place/{PROGRAM}\" <<'{_END}'\n{packed}{_END}\n"
    return [*(head + laid).splitlines(), f'python3 -I -B "$place/{PROGRAM}" {action}', 'exit "$?"']


def archive(source: Path = SOURCE) -> bytes:
    """Zip the modules into a program that Python runs; equal sources give equal bytes."""
    modules = {f"agent/{path.name}": path.read_text() for path in sorted(source.glob("*.py"))}
    modules[f"agent/{DICTIONARY}"] = dictionary().decode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as program:
        for name, text in {"__main__.py": _MAIN, **modules}.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.compress_type = 3, zipfile.ZIP_DEFLATED
            program.writestr(entry, text, compresslevel=9)
    return packed.getvalue()


def unpack(lines: list[str]) -> dict[str, str]:
    """Read the modules back out of a script: name -> source."""
    begin = next(n for n, line in enumerate(lines) if line.endswith(f"<<'{_END}'"))
    packed = base64.b64decode("".join(lines[begin + 1 : lines.index(_END)]))
    with zipfile.ZipFile(io.BytesIO(packed)) as program:
        return {name: program.read(name).decode() for name in program.namelist()}


def fill(template: dict[str, Any]) -> dict[str, Any]:
    """Fill each Command document's `runCommand: [<action>]` with the script, and tell the worker the fingerprints.

    Raises:
        ControllerError: a document is too large, or holds braces that an old agent would fill in.
    """
    resources = template["Resources"]
    fingerprints = {}
    for resource in resources.values():
        if resource.get("Type") == "AWS::SSM::Document":
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
            hint="see what chalicelib/on_router/agent can do without",
        )
    if "{{" in text:
        raise ControllerError(
            f"document {name} holds '{{{{': an agent older than {OLDEST_AGENT} pastes parameters in there",
            hint="write it with a space in between",
        )
