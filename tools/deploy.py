"""Deploys and removes Mooring's stack with the AWS CLI: says what it is going to do, asks, and does that.

A plan is a list of AWS CLI commands. All that is looked up before is read only, and nothing is written down between
runs: what a stack was made from, the stack itself says.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from chalicelib.core.errors import ControllerError
from tools.package import Package

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Answer: TypeAlias = Any
"""JSON of the AWS CLI."""

JOURNAL = "mooring-journal"
MADE_BY = "mooring:made-by"
"""The tag of a bucket that deploy made, and undeploy may remove."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and what it does in words."""

    what: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to be done to which stack; `left` is what stays when it is done."""

    title: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What an engineer asks for: a stage, the template's parameters by name, and whether they agreed beforehand."""

    stage: str
    bucket: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    yes: bool = False

    @property
    def stack(self) -> str:
        """The stack's name."""
        return f"mooring-{self.stage}"


class Aws:
    """The AWS CLI in one region."""

    def __init__(self, region: str | None = None) -> None:
        program = shutil.which("aws")
        if program is None:
            raise ControllerError(
                "the AWS CLI is not installed",
                hint="https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
            )
        self._program = program
        self._environment = os.environ | {"AWS_PAGER": ""}
        self.region = region or self._configured()
        identity = self.read("sts", "get-caller-identity")
        self.account: str = identity["Account"]
        self.caller: str = identity["Arn"]

    def _configured(self) -> str:
        """Find the region as the CLI would, and with AWS_REGION, which its first version does not know."""
        named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if named is None:
            named = self._call("configure", "get", "region").stdout.strip()
        if not named:
            raise ControllerError("no AWS region is set", hint="set AWS_REGION, or run aws configure")
        return named

    def read(self, *words: str) -> Answer:
        """Ask, and give the answer.

        Raises:
            ControllerError: AWS or the CLI refused; says in its words why.
        """
        ended = self._call(*words, *_endpoint(words[0]), "--region", self.region, "--output", "json")
        if ended.returncode:
            raise ControllerError(f"aws {' '.join(words[:2])} failed: {ended.stderr.strip()}")
        return json.loads(ended.stdout or "null")

    def find(self, *words: str, gone: str) -> Answer:
        """Ask for what may not be there: None when AWS's refusal contains `gone`."""
        try:
            return self.read(*words) or {}
        except ControllerError as error:
            if gone in error.message:
                return None
            raise

    def step(self, what: str, *words: str) -> Step:
        """Make a step of a plan."""
        return Step(what, ("aws", *words, "--region", self.region))

    def do(self, step: Step) -> None:
        """Carry a step out; the CLI speaks for itself.

        Raises:
            ControllerError: it failed; the steps before it are done.
        """
        say(f"$ {shlex.join(step.command)}")
        command = [self._program, *step.command[1:]]
        if subprocess.run(command, env=self._environment, check=False).returncode:  # noqa: S603 - the AWS CLI
            raise ControllerError(f"could not {step.what}", hint="what stands above it is done; run it again")

    def _call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the AWS CLI
            [self._program, *words], env=self._environment, capture_output=True, text=True, check=False
        )


def _endpoint(service: str) -> tuple[str, ...]:
    """Name an endpoint that is set in the environment, where the AWS CLI's first version would not heed it.

    For SQS it takes the legacy host REGION.queue.amazonaws.com whatever AWS_ENDPOINT_URL says (seen with 1.46.3), and
    would then ask AWS itself about a queue that is elsewhere.
    """
    if service != "sqs" or os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return ()
    url = os.environ.get("AWS_ENDPOINT_URL_SQS") or os.environ.get("AWS_ENDPOINT_URL")
    return ("--endpoint-url", url) if url else ()


# -- deploy ------------------------------------------------------------------------------------------------------------


def plan_deploy(aws: Aws, wish: Wish, package: Package) -> Plan:
    """Plan to make or update the stack from the package.

    Raises:
        ControllerError: the package, a parameter or the stack is not fit for it.
    """
    known = _parameters(package)
    if unknown := sorted(wish.parameters.keys() - known):
        raise ControllerError(
            f"no parameter {', '.join(unknown)}", hint=f"there are {', '.join(sorted(known))}"
        )
    stack = _stack(aws, wish.stack)
    status = stack["StackStatus"] if stack else "REVIEW_IN_PROGRESS"
    if status == "ROLLBACK_COMPLETE":
        raise ControllerError(
            f"{wish.stack} could not be made the last time; what is left of it must go first",
            hint=f"make undeploy STAGE={wish.stage}",
        )
    new = status == "REVIEW_IN_PROGRESS"
    parameters = _found(aws, wish.parameters) | wish.parameters if new else wish.parameters
    bucket, steps = _bucket(aws, wish)
    packaged = str(package.template.with_name("deployed.yaml"))
    where = ("--s3-bucket", bucket, "--s3-prefix", _prefix(wish))
    deploy = (
        *("cloudformation", "deploy", "--template-file", packaged, "--stack-name", wish.stack, *where),
        *("--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"),
        *(
            ["--parameter-overrides", *(f"{k}={v}" for k, v in sorted(parameters.items()))]
            if parameters
            else ()
        ),
    )
    steps += [
        aws.step(
            f"upload {package.zip} ({package.size:,} bytes, sha256 {package.sha256[:16]})",
            *("cloudformation", "package", "--template-file", str(package.template), *where),
            *("--output-template-file", packaged),
        ),
        aws.step(f"{'make' if new else 'update'} the stack {wish.stack}", *deploy),
    ]
    inside = ", ".join(f"{count} {kind}" for kind, count in _inside(package))
    return Plan(f"{'Make' if new else 'Update'} {wish.stack}", tuple(steps), (f"the stack holds {inside}",))


def _parameters(package: Package) -> set[str]:
    if not package.template.exists():
        raise ControllerError(f"there is no {package.template}", hint="make package")
    template = yaml.safe_load(package.template.read_text())
    return set(template["Parameters"])


def _inside(package: Package) -> list[tuple[str, int]]:
    """Count a template's resources by kind."""
    resources = yaml.safe_load(package.template.read_text())["Resources"].values()
    kinds = [resource["Type"].removeprefix("AWS::").replace("::", " ") for resource in resources]
    return [(kind, kinds.count(kind)) for kind in sorted(set(kinds))]


def _found(aws: Aws, wished: dict[str, str]) -> dict[str, str]:
    """Look for what an account may have already, before a stack is made; later the stack remembers."""
    name = wished.get("JournalName", JOURNAL)
    journal = aws.find("dynamodb", "describe-table", "--table-name", name, gone="ResourceNotFoundException")
    logs_through = aws.read("apigateway", "get-account").get("cloudwatchRoleArn")
    return {
        "MakeJournal": "yes" if journal is None else "no",
        "MakeApiLogRole": "no" if logs_through else "yes",
    }


def _bucket(aws: Aws, wish: Wish) -> tuple[str, list[Step]]:
    """Name the bucket for the package, and make it when nobody named one and it is not there."""
    bucket = wish.bucket or _own_bucket(aws)
    owner = ("--expected-bucket-owner", aws.account)
    if aws.find("s3api", "head-bucket", "--bucket", bucket, *owner, gone="(404)") is not None:
        return bucket, []
    if wish.bucket:
        raise ControllerError(
            f"there is no bucket {bucket}", hint="leave ARTIFACT_BUCKET out to have one made"
        )
    place = () if aws.region == "us-east-1" else (f"LocationConstraint={aws.region}",)
    configuration = ("--create-bucket-configuration", *place) if place else ()
    tags = f"TagSet=[{{Key={MADE_BY},Value={wish.stack}}}]"
    return bucket, [
        aws.step(f"make the bucket {bucket}", "s3api", "create-bucket", "--bucket", bucket, *configuration),
        aws.step(
            f"tag it as {wish.stack}'s", "s3api", "put-bucket-tagging", "--bucket", bucket, "--tagging", tags
        ),
    ]


def _own_bucket(aws: Aws) -> str:
    return f"mooring-artifacts-{aws.account}-{aws.region}"


def _prefix(wish: Wish) -> str:
    return f"mooring/{wish.stack}"


# -- undeploy ----------------------------------------------------------------------------------------------------------


def plan_undeploy(aws: Aws, wish: Wish) -> Plan | None:
    """Plan to remove the stack and what was uploaded for it; None when there is neither."""
    if _stack(aws, wish.stack) is None:
        steps = _artifacts(aws, wish, "")
        return Plan(f"Remove what {wish.stack} left", tuple(steps)) if steps else None
    listed = aws.read("cloudformation", "list-stack-resources", "--stack-name", wish.stack)
    resources = [r for r in listed["StackResourceSummaries"] if r["ResourceStatus"] != "DELETE_COMPLETE"]
    kept = _kept(aws, wish.stack)
    goes = [r for r in resources if r["LogicalResourceId"] not in kept]
    stays = [r for r in resources if r["LogicalResourceId"] in kept]
    named = ("--stack-name", wish.stack)
    steps = [
        aws.step(
            f"remove the stack {wish.stack}: {len(goes)} resources", "cloudformation", "delete-stack", *named
        ),
        aws.step("wait for it", "cloudformation", "wait", "stack-delete-complete", *named),
        *_artifacts(aws, wish, _template(aws, wish.stack, "Original")),
    ]
    left = [
        f"{r['ResourceType']} {r['PhysicalResourceId']}: {_WHY.get(r['ResourceType'], 'kept')}" for r in stays
    ]
    left += [
        "/mooring/topologies/ in Parameter Store: what you declared is yours",
        "/mooring/NAME/tunnel/, /mooring/NAME/certificate: so are the secrets; /mooring/NAME/router/: what routers were given",
        "every VPC as it is now; nobody keeps it any longer, and a router that dies stays dead",
    ]
    return Plan(f"Remove {wish.stack}", tuple(steps), _lost(aws, goes), tuple(left))


_WHY = {
    "AWS::DynamoDB::Table": "the journal of all decisions; the next deploy takes it over",
    "AWS::ApiGateway::Account": "the account's setting; other APIs may log through it",
    "AWS::IAM::Role": "the role of that setting",
}


def _kept(aws: Aws, stack: str) -> set[str]:
    """Name the resources that CloudFormation will not delete with the stack."""
    template = _template(aws, stack, "Processed")
    body = yaml.safe_load(template) if isinstance(template, str) else template
    return {k for k, r in body["Resources"].items() if r.get("DeletionPolicy", "Delete").startswith("Retain")}


def _artifacts(aws: Aws, wish: Wish, template: Answer) -> list[Step]:
    """Remove what was uploaded: all of a bucket that deploy made, else what lies under the stack's own prefix.

    The stack's template, as it was uploaded, says where its code lies.
    """
    text = template if isinstance(template, str) else json.dumps(template)
    uploaded = re.search(rf"s3://([^/\s\"']+)/{re.escape(_prefix(wish))}/", text)
    bucket = uploaded[1] if uploaded else wish.bucket or _own_bucket(aws)
    tags = aws.find("s3api", "get-bucket-tagging", "--bucket", bucket, gone="NoSuch") or {"TagSet": []}
    if {"Key": MADE_BY, "Value": wish.stack} in tags["TagSet"]:
        return [aws.step(f"remove the bucket {bucket}", "s3", "rb", f"s3://{bucket}", "--force")]
    if not (uploaded or wish.bucket):
        return []
    uri = f"s3://{bucket}/{_prefix(wish)}/"
    return [aws.step(f"remove what was uploaded to {uri}", "s3", "rm", uri, "--recursive")]


def _lost(aws: Aws, goes: Sequence[Answer]) -> tuple[str, ...]:
    """Return which messages would be lost with their queues; a queue that does not say stops nobody."""
    notes = []
    for resource in goes:
        if resource["ResourceType"] == "AWS::SQS::Queue":
            words = (
                "--queue-url",
                resource["PhysicalResourceId"],
                "--attribute-names",
                "ApproximateNumberOfMessages",
            )
            try:
                found = aws.find("sqs", "get-queue-attributes", *words, gone="NonExistentQueue") or {}
            except ControllerError as error:
                notes.append(f"messages in {resource['LogicalResourceId']} may be lost: {error.message}")
                continue
            if count := int(found.get("Attributes", {}).get("ApproximateNumberOfMessages", 0)):
                notes.append(f"{count} messages in {resource['LogicalResourceId']} will be lost")
    return tuple(notes)


# -- both --------------------------------------------------------------------------------------------------------------


def _stack(aws: Aws, name: str) -> Answer:
    """Read a stack; None when there is none."""
    found = aws.find("cloudformation", "describe-stacks", "--stack-name", name, gone="does not exist")
    return found and found["Stacks"][0]


def _template(aws: Aws, stack: str, stage: str) -> Answer:
    words = ("--stack-name", stack, "--template-stage", stage)
    return aws.read("cloudformation", "get-template", *words)["TemplateBody"]


def show(aws: Aws, plan: Plan) -> None:
    """Return what a plan does, in words and in commands."""
    say(f"{plan.title} in account {aws.account}, region {aws.region}, as {aws.caller}:")
    for number, step in enumerate(plan.steps, 1):
        say(f"{number:3}. {step.what}", f"     $ {shlex.join(step.command)}")
    say(*(f"     {note}" for note in plan.notes))
    if plan.left:
        say("Left as it is:", *(f"   - {one}" for one in plan.left))


def agreed(wish: Wish) -> bool:
    """Ask for consent.

    Raises:
        ControllerError: nobody is there to ask.
    """
    if wish.yes:
        return True
    if not sys.stdin.isatty():
        raise ControllerError("nobody is there to agree", hint="YES=1 (or --yes) agrees beforehand")
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def say(*lines: str) -> None:
    """Print lines at once, since the AWS CLI prints between them."""
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def run(aws: Aws, wish: Wish, plan: Plan) -> int:
    """Show a plan, ask, and carry it out; returns the exit code."""
    show(aws, plan)
    if not agreed(wish):
        say("Nothing was done.")
        return 1
    for step in plan.steps:
        aws.do(step)
    return 0


def deploy(aws: Aws, wish: Wish, build: Path) -> int:
    """Make or update the stack, and say what came of it."""
    status = run(aws, wish, plan_deploy(aws, wish, Package.at(build)))
    if status == 0:
        try:
            made = aws.read("cloudformation", "describe-stacks", "--stack-name", wish.stack)["Stacks"][0]
        except ControllerError as error:  # what was to be done is done
            say(f"{wish.stack} is deployed; its outputs could not be read: {error.message}")
        else:
            say(*_told({output["OutputKey"]: output["OutputValue"] for output in made.get("Outputs", [])}))
    return status


def _told(outputs: dict[str, str]) -> Iterator[str]:
    """Tell a stack's outputs, and what the API's URL is good for."""
    yield from (f"{key}: {value}" for key, value in outputs.items())
    if url := outputs.get("EndpointURL"):
        yield f"For mooring api: export MOORING_API_URL={url}"


def undeploy(aws: Aws, wish: Wish) -> int:
    """Remove the stack, and say what is left."""
    plan = plan_undeploy(aws, wish)
    if plan is None:
        say(f"There is no stack {wish.stack} in {aws.region}: nothing to remove.")
        return 0
    status = run(aws, wish, plan)
    if status == 0:
        say("Removed.", *(f"Left as it is: {one}" for one in plan.left))
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `deploy` or `undeploy` and give the exit code: 0 done, 1 not done."""
    parser = argparse.ArgumentParser(prog="python -m tools.deploy", description="Deploy or remove Mooring.")
    parser.add_argument("verb", choices=["deploy", "undeploy"])
    parser.add_argument("--stage", default="", help="which Mooring: the stack is mooring-STAGE")
    parser.add_argument(
        "--artifact-bucket", help="where to upload to; without one, a bucket is made and later removed"
    )
    parser.add_argument("--set", default="", metavar="'NAME=VALUE ...'", help="parameters of the template")
    parser.add_argument("--region")
    parser.add_argument(
        "--build", type=Path, default=Path("build"), help="where the package is (default: build)"
    )
    parser.add_argument("--yes", action="store_true", help="agree beforehand")
    asked = parser.parse_args(arguments)
    try:
        wish = Wish(_stage(asked.stage), asked.artifact_bucket or None, _pairs(asked.set), asked.yes)
        aws = Aws(asked.region)
        return deploy(aws, wish, asked.build) if asked.verb == "deploy" else undeploy(aws, wish)
    except ControllerError as error:
        sys.stderr.writelines(f"{line}\n" for line in (f"error: {error.message}", error.hint) if line)
        return 1


def _stage(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,29}", name):
        raise ControllerError(
            f"{name!r} names no stage" if name else "no stage is named",
            hint="name it in a-z, 0-9 and -, such as make deploy STAGE=prod",
        )
    return name


def _pairs(text: str) -> dict[str, str]:
    words = shlex.split(text)
    if bare := [word for word in words if "=" not in word]:
        raise ControllerError(
            f"{bare[0]!r} sets nothing", hint="write NAME=VALUE, such as AlarmEmail=ops@example.com"
        )
    return {name: value for name, _, value in (word.partition("=") for word in words)}


if __name__ == "__main__":
    sys.exit(main())
