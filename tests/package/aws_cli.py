"""A stand-in for the AWS CLI: an executable `aws` that notes what it was asked and answers from the embedded AWS.

The executable only passes its words on to the test's process; what the CLI does by itself (`cloudformation package`,
`deploy`, `wait`, `s3 rm`) is done here, as far as deploy and undeploy need it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import socket
import sys
import threading
import traceback
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import ClientError

from tests.package.deployment import supported
from tests.package.template import CODE, translate

if TYPE_CHECKING:
    from tests.fake_aws import World
    from tools.package import Package

Options: TypeAlias = "dict[str, list[str]]"

SCRIPT = """#!{python} -IS
import json, socket, sys
with socket.create_connection(("127.0.0.1", {port})) as line:
    line.sendall(json.dumps(sys.argv[1:]).encode())
    line.shutdown(socket.SHUT_WR)
    code, out, err = json.loads(line.makefile().read())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


class AwsCli:
    """The stand-in, alive between `with` and its end; `asked` is every command, in order."""

    def __init__(self, world: World, package: Package, folder: Path) -> None:
        self.asked: list[list[str]] = []
        self.deployed = ""
        self._world, self._package = world, package
        self._listener = socket.create_server(("127.0.0.1", 0))
        program = folder / "aws"
        port = self._listener.getsockname()[1]
        program.write_text(SCRIPT.format(python=sys.executable, port=port))
        program.chmod(0o755)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Hang up."""
        self._listener.close()

    @property
    def changes(self) -> list[str]:
        """The commands that change something, without their options."""
        reads = ("get", "describe", "list", "head")
        return [" ".join(words[:2]) for words in self.asked if not words[1].startswith(reads)]

    def line(self, *words: str) -> str:
        """Return the one command that begins with these words, whole."""
        (found,) = (asked for asked in self.asked if asked[: len(words)] == list(words))
        return shlex.join(found)

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line, line.makefile("rw") as stream:
                words = json.loads(stream.read())
                self.asked.append(words)
                stream.write(json.dumps(self._answer(words)))
                stream.flush()

    def _answer(self, words: list[str]) -> tuple[int, str, str]:
        try:
            answer = self._run(words[0], words[1], _options(words[2:]), words)
        except ClientError as error:
            return 254, "", f"\n{error}\n"
        except Exception:  # noqa: BLE001 - a fault of the stand-in must end the command, not its thread
            return 255, "", traceback.format_exc()
        return 0, "" if answer is None else json.dumps(answer, default=str), ""

    def _run(self, service: str, verb: str, options: Options, words: list[str]) -> Any:  # noqa: ANN401 - JSON
        match service, verb:
            case "configure", "get":
                return None
            case "cloudformation", "package":
                return self._upload(options)
            case "cloudformation", "deploy":
                return self._deploy(options)
            case "cloudformation", "wait":
                return None
            case "cloudformation", "get-template" if options["template-stage"] == ["Original"]:
                return {"TemplateBody": self.deployed}
            case "s3", "rm" | "rb":
                return self._remove(words[2], whole=verb == "rb")
            case _:
                return self._call(service.removesuffix("api"), verb, options)

    def _call(self, service: str, verb: str, options: Options) -> Any:  # noqa: ANN401 - JSON
        """Make the API call of that name; every option is a string, a list of them, or one of the two shorthands."""
        client = self._world.client(service)
        arguments: dict[str, Any] = {}
        for name, values in options.items():
            key = "".join(part.capitalize() for part in name.split("-"))
            shape = "list" if name == "attribute-names" else "string"
            arguments[key] = values if shape == "list" else _shorthand(values[0])
        for common in ("Region", "Output", "EndpointUrl"):
            arguments.pop(common, None)
        answer = getattr(client, verb.replace("-", "_"))(**arguments)
        answer.pop("ResponseMetadata")
        return answer

    def _upload(self, options: Options) -> None:
        content = self._package.zip.read_bytes()
        key = f"{options['s3-prefix'][0]}/{hashlib.md5(content, usedforsecurity=False).hexdigest()}"
        bucket = options["s3-bucket"][0]
        self._world.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
        template = Path(options["template-file"][0]).read_text()
        uri = template.replace("./deployment.zip", f"s3://{bucket}/{key}")
        Path(options["output-template-file"][0]).write_text(uri)

    def _deploy(self, options: Options) -> None:
        self.deployed = Path(options["template-file"][0]).read_text()
        found = re.search(r"s3://([^/]+)/(\S+)", self.deployed)
        assert found
        template = _translated(self._package)
        for uploaded, meant in zip(found.groups(), CODE.removeprefix("s3://").split("/", 1), strict=True):
            template = template.replace(f'"{meant}"', f'"{uploaded}"')
        formation, name = self._world.client("cloudformation"), options["stack-name"][0]
        if name in [stack["StackName"] for stack in formation.describe_stacks()["Stacks"]]:
            return  # moto updates stacks in its own way; that it was asked is all there is to see
        formation.create_stack(
            StackName=name,
            TemplateBody=template,
            Capabilities=options["capabilities"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, _, value in (pair.partition("=") for pair in options.get("parameter-overrides", []))
            ],
        )

    def _remove(self, uri: str, *, whole: bool) -> None:
        s3 = self._world.client("s3")
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
        if whole:
            s3.delete_bucket(Bucket=bucket)


@cache
def _translated(package: Package) -> str:
    template, _ = supported(translate(package))
    return json.dumps(template)


def _options(words: list[str]) -> Options:
    options: Options = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word.removeprefix("--")
            options[name] = []
        elif name:
            options[name].append(word)
    return options


def _shorthand(value: str) -> object:
    """Read the CLI's shorthand as far as it is used: `Key=value`, and `List=[{Key=value,Key=value}]`."""
    if listed := re.fullmatch(r"(\w+)=\[\{(.*)\}\]", value):
        return {listed[1]: [dict(pair.split("=") for pair in listed[2].split(","))]}
    if pair := re.fullmatch(r"(LocationConstraint)=(.*)", value):
        return {pair[1]: pair[2]}
    return value
