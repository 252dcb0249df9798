"""The package's stack on the embedded AWS: created from the packaged template itself, as far as moto can.

What moto cannot create is left out and listed; where the event router needs a property of such a resource, an output
is added, so that CloudFormation resolves it and no test does.
"""

from __future__ import annotations

import copy
import json
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.cloudformation.parsing import get_model_map

from tests.package.runtime import Settings, freeze
from tests.package.template import of_type, translate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.fake_aws import World
    from tests.package.template import Template
    from tools.package import Package

NOT_MADE = {
    "AWS::ApiGateway::RestApi": "moto reads OpenAPI 3 only, and no body of a template",
    "AWS::Lambda::EventSourceMapping": "moto would poll the queue itself, and run the function in Docker",
}
"""Types that moto lists and yet cannot make; the router is both."""


@dataclass(frozen=True)
class Target:
    """Where a rule sends its events."""

    function: str
    input: str | None
    dead_letters: str | None


@dataclass(frozen=True)
class Rule:
    """An EventBridge rule: a pattern, a schedule, or both."""

    arn: str
    pattern: str | None
    schedule: str | None
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Source:
    """An event source mapping: a queue, the function that Lambda polls it for, and for how long it hides what was received."""

    queue_url: str
    queue_arn: str
    function: str
    batch_size: int
    partial: bool
    visibility: int


@dataclass(frozen=True)
class Patience:
    """What Lambda does with an asynchronous event whose function fails."""

    retries: int = 2
    dead_letters: str | None = None


@dataclass(frozen=True)
class Route:
    """A method of the REST API."""

    method: str
    path: str
    function: str
    signed: bool


@dataclass(frozen=True)
class Deployment:
    """The stack as it was created; functions go by their physical names.

    Attributes:
        outputs: of the packaged template itself.
        left_out: the resources that were not created, by logical id, with their types.
        names: the physical ids by logical id.
        configured: what Lambda knows of each function, as moto gives it.
        logging: the logging configuration of each function, which moto forgets.
    """

    outputs: Mapping[str, str]
    left_out: Mapping[str, str]
    names: Mapping[str, str]
    configured: Mapping[str, Mapping[str, Any]]
    logging: Mapping[str, Mapping[str, str]]
    rules: tuple[Rule, ...]
    sources: tuple[Source, ...]
    patience: Mapping[str, Patience]
    routes: tuple[Route, ...]

    def settings(self, world: World, task: Path, runtime: Path) -> dict[str, Settings]:
        """Return what each function runs with; its AWS is the embedded one."""
        return {
            name: Settings(
                name=name,
                handler=known["Handler"],
                task=task,
                runtime=runtime,
                timeout=float(known["Timeout"]),
                memory=known["MemorySize"],
                log_format=self.logging[name].get("LogFormat", "Text"),
                log_level=self.logging[name].get("ApplicationLogLevel"),
                variables={**known.get("Environment", {}).get("Variables", {}), **world.environment()},
                arn=known["FunctionArn"],
            )
            for name, known in self.configured.items()
        }


def deploy(world: World, package: Package, stack: str = "mooring") -> Deployment:
    """Create the package's stack, its parameters at their defaults; returns what the router needs to know of it.

    Raises:
        ValueError: AWS would refuse the stack.
    """
    bucket = f"{stack}-artifacts"
    template = translate(package, f"s3://{bucket}/{package.zip.name}")
    kept, left_out = supported(template)
    kept["Outputs"] |= {key: {"Value": value} for key, value in _asked(template).items()}
    s3, formation = world.client("s3"), world.client("cloudformation")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": world.region})
    s3.put_object(Bucket=bucket, Key=package.zip.name, Body=package.zip.read_bytes())
    formation.create_stack(
        StackName=stack,
        TemplateBody=json.dumps(kept),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    )
    made = formation.describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}
    resources = formation.describe_stack_resources(StackName=stack)["StackResources"]
    names = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources if "PhysicalResourceId" in r}
    listed = world.client("lambda").list_functions()["Functions"]
    configured = {f["FunctionName"]: f for f in listed if f["FunctionName"] in names.values()}
    return Deployment(
        outputs={key: value for key, value in outputs.items() if key in template.get("Outputs", {})},
        left_out=left_out,
        names=names,
        configured=configured,
        logging={
            names[logical]: properties.get("LoggingConfig", {})
            for logical, properties in _properties(template, "AWS::Lambda::Function")
        },
        rules=tuple(_rules(world, names)),
        sources=tuple(_sources(world, template, outputs, configured)),
        patience={
            _function(outputs[f"{logical}Function"]): Patience(
                properties.get("MaximumRetryAttempts", 2), outputs.get(f"{logical}Destination")
            )
            for logical, properties in _properties(template, "AWS::Lambda::EventInvokeConfig")
        },
        routes=tuple(_routes(template, names)),
    )


def unpack(package: Package, target: Path) -> Path:
    """Unzip a package into a directory that nobody may write, as Lambda does."""
    with zipfile.ZipFile(package.zip) as archive:
        archive.extractall(target)
    return freeze(target)


def supported(template: Template) -> tuple[Template, dict[str, str]]:
    """Leave out what moto cannot create, and whatever refers to it; returns the rest, and the types left out."""
    known = get_model_map().keys() - NOT_MADE.keys()
    kept = copy.deepcopy(template)
    resources = kept["Resources"]
    left_out = {logical: r["Type"] for logical, r in resources.items() if r["Type"] not in known}
    while True:
        more = {
            logical: r["Type"]
            for logical, r in resources.items()
            if logical not in left_out and not left_out.keys().isdisjoint(_references(r))
        }
        if not more:
            break
        left_out |= more
    kept["Resources"] = {logical: r for logical, r in resources.items() if logical not in left_out}
    kept["Outputs"] = {
        key: output
        for key, output in kept.get("Outputs", {}).items()
        if left_out.keys().isdisjoint(_references(output))
    }
    return kept, left_out


def _properties(template: Template, kind: str) -> Iterator[tuple[str, Template]]:
    return ((logical, resource["Properties"]) for logical, resource in of_type(template, kind).items())


def _references(value: object) -> Iterator[str]:
    """Return the logical ids that a part of a template refers to."""
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::GetAtt": str(name)}:
            yield name.split(".")[0]
        case dict():
            depends = value.get("DependsOn", [])
            yield from [depends] if isinstance(depends, str) else depends
            for key, part in value.items():
                yield from _substituted(part) if key == "Fn::Sub" else ()
                yield from _references(part)
        case list():
            for part in value:
                yield from _references(part)


def _substituted(value: object) -> Iterator[str]:
    text = value[0] if isinstance(value, list) else value
    yield from re.findall(r"\$\{([A-Za-z0-9]+)[.}]", str(text))


def _asked(template: Template) -> dict[str, object]:
    """Return the expressions that CloudFormation is to resolve for the router, by the output that will say it."""
    asked: dict[str, object] = {}
    for logical, properties in _properties(template, "AWS::Lambda::EventSourceMapping"):
        asked[f"{logical}Queue"] = properties["EventSourceArn"]
        asked[f"{logical}Function"] = properties["FunctionName"]
    for logical, properties in _properties(template, "AWS::Lambda::EventInvokeConfig"):
        asked[f"{logical}Function"] = properties["FunctionName"]
        if on_failure := properties.get("DestinationConfig", {}).get("OnFailure"):
            asked[f"{logical}Destination"] = on_failure["Destination"]
    return asked


def _function(name_or_arn: str) -> str:
    return name_or_arn.rpartition(":")[2]


def _rules(world: World, names: Mapping[str, str]) -> Iterator[Rule]:
    """Read the stack's rules that are in force.

    Raises:
        ValueError: a rule's function does not let it in: EventBridge would drop its events without a word.
    """
    events = world.client("events")
    for rule in (r for r in events.list_rules()["Rules"] if r["Name"] in names.values()):
        targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        for target in targets:
            if not _lets_in(world, _function(target["Arn"]), rule["Arn"]):
                raise ValueError(f"{target['Arn']} does not let {rule['Arn']} in")
        if rule["State"] == "ENABLED":
            yield Rule(
                rule["Arn"],
                rule.get("EventPattern"),
                rule.get("ScheduleExpression"),
                tuple(
                    Target(_function(t["Arn"]), t.get("Input"), t.get("DeadLetterConfig", {}).get("Arn"))
                    for t in targets
                ),
            )


def _lets_in(world: World, function: str, arn: str) -> bool:
    policy = json.loads(world.client("lambda").get_policy(FunctionName=function)["Policy"])
    return any(
        statement["Principal"] == {"Service": "events.amazonaws.com"} and arn in json.dumps(statement)
        for statement in policy["Statement"]
    )


def _sources(
    world: World, template: Template, outputs: Mapping[str, str], configured: Mapping[str, Mapping[str, Any]]
) -> Iterator[Source]:
    sqs = world.client("sqs")
    for logical, properties in _properties(template, "AWS::Lambda::EventSourceMapping"):
        arn, function = outputs[f"{logical}Queue"], _function(outputs[f"{logical}Function"])
        url = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        visible, timeout = int(attributes["Attributes"]["VisibilityTimeout"]), configured[function]["Timeout"]
        if visible < timeout:  # Lambda refuses such a mapping
            raise ValueError(
                f"Queue visibility timeout: {visible} seconds is less than Function timeout: {timeout} seconds"
            )
        partial = "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", [])
        yield Source(url, arn, function, properties.get("BatchSize", 10), partial, visible)


def _routes(template: Template, names: Mapping[str, str]) -> Iterator[Route]:
    for _, properties in _properties(template, "AWS::ApiGateway::RestApi"):
        body = properties["Body"]
        signed = {name for name, d in body["securityDefinitions"].items() if _is_iam(d)}
        for path, methods in body["paths"].items():
            for method, declared in methods.items():
                if "x-amazon-apigateway-integration" not in declared:
                    continue
                (function,) = (
                    set(_references(declared["x-amazon-apigateway-integration"]["uri"])) & names.keys()
                )
                asked = {name for wanted in declared.get("security", []) for name in wanted}
                yield Route(method.upper(), path, names[function], bool(asked & signed))


def _is_iam(definition: Mapping[str, str]) -> bool:
    return definition.get("x-amazon-apigateway-authtype") == "awsSigv4"
