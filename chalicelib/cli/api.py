"""The verb that calls the deployed API, for operators who may invoke it and nothing else."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from chalicelib.cli.ask import answer_lines
from chalicelib.cli.errors import ApiRefused, UsageError
from chalicelib.cli.render import now_lines, pause_text, run_lines, story_lines
from chalicelib.cli.shell import Shell
from chalicelib.cli.terminal import line
from chalicelib.core.errors import ControllerError

_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,=:@%/?-]*")
"""Without a semicolon, which botocore signs and then does not send."""

_HINTS = (
    (
        "missing authentication token",
        "the API has no such path, or the URL lacks its stage; see docs/openapi.yaml",
    ),
    ("execute-api:invoke", "allow execute-api:Invoke on the API to the identity that calls"),
    ("signature", "check this machine's clock, --region and the credentials"),
    ("security token", "sign in again, or name a profile with --profile or AWS_PROFILE"),
    ("too many requests", "ask again in a second"),
)
"""What API Gateway itself says, in lower case, and what to do about it."""


def api(
    shell: Shell,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="get or post.", show_default=False)],
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Such as /topologies/office.", show_default=False)
    ],
    *,
    body: Annotated[
        str | None, typer.Option(metavar="JSON", help="What to post: a JSON object.", show_default=False)
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where the API is: the stack's EndpointURL. [env var: MOORING_API_URL]",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Call the deployed API, signed.

    It takes no right in AWS but execute-api:Invoke. docs/openapi.yaml lists the paths; --json prints the answer's
    body as it came, a refusal's too.

    Exit status: 0 the API did as asked, 1 it did not.
    """
    verb = method.upper()
    payload = _payload(verb, path, body)
    from chalicelib.bootstrap import signed_api  # noqa: PLC0415 - boto3 takes longer than --help may

    answer = signed_api(url, shell.region, shell.profile).call(verb, path, payload)
    document = _document(verb, path, answer.status, answer.body)
    if 200 <= answer.status < 300:
        shell.show(_lines(document), document)
        return 0
    if not shell.wants_json:
        raise _refused(answer.status, document)
    shell.show((), document)
    return 1


def _payload(method: str, path: str, body: str | None) -> bytes | None:
    """Check what is to be sent, before anything is.

    Raises:
        UsageError: it is nothing that the API could take.
    """
    if method not in ("GET", "POST"):
        raise UsageError(f"{method} is no method of the API", hint="get or post")
    if not _PATH.fullmatch(path):
        raise UsageError(f"{path} is no path of the API", hint="such as /topologies; other characters as %XX")
    if body is None:
        return None
    if method == "GET":
        raise UsageError("a get takes no --body", hint="post it, or leave --body out")
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise UsageError(f"--body is not JSON: {error}", hint="""such as '{"force": true}'""") from error
    if not isinstance(fields, dict):
        raise UsageError("--body is no JSON object", hint="""such as '{"force": true}'""")
    return body.encode()


def _document(method: str, path: str, status: int, body: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(body)
    except ValueError as error:
        raise ControllerError(
            f"{method} {path} got status {status} and {len(body)} bytes that are not JSON",
            hint="is the URL the stack's EndpointURL, with its stage? A proxy may have answered, too",
        ) from error


def _refused(status: int, document: Any) -> ApiRefused:  # noqa: ANN401 - any JSON
    """Word a refusal: Mooring's has code, message and hint, API Gateway's a message only."""
    fields = document if isinstance(document, dict) else {}
    message = str(fields.get("message") or fields.get("Message") or "no reason given")
    if "hint" in fields:
        return ApiRefused(f"{status} {fields.get('code')}: {message}", hint=str(fields["hint"]))
    known = (hint for words, hint in _HINTS if words in message.lower())
    hint = "try again in a moment" if status >= 500 else "see docs/openapi.yaml"
    return ApiRefused(f"{status}: {message}", hint=next(known, hint))


def _lines(document: Any) -> Iterator[Text]:  # noqa: ANN401 - any JSON
    """Print an answer as the verbs do that tell the same; one of no kind that they know as JSON."""
    match document:
        case {"sentence": str()}:
            yield from run_lines(document)
        case {"now": {"verdict": str()} as now, "pause": pause}:
            yield from now_lines({**now, "pause": now.get("pause") or pause})
        case {"runs": list(runs)}:
            yield from story_lines(runs)
        case {"state": str(), "report": _}:
            yield from answer_lines(document)
        case {"request_id": str(request_id), "topology": name}:
            yield line(f"{name}: asked the worker: mooring api get /requests/{request_id}")
        case {"request_id": None, "message": str(message)}:
            yield line(message)
        case {"topology": name, "pause": {"reason": _} as pause}:
            yield line(f"{name} is paused {pause_text(pause)}")
        case {"topologies": list(names)}:
            yield from (line(str(name)) for name in names)
        case _:
            yield from map(line, json.dumps(document, indent=2).splitlines())
