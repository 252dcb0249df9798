"""The packaged template: what surrounds the functions, judged by what AWS would make of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import pytest

from chalicelib.aws.queue import NAME
from chalicelib.aws.telemetry import ALARMING, MACHINES, NAMESPACE, SERVICE, measures
from chalicelib.cli import errors as cli_errors
from chalicelib.core import errors
from chalicelib.core.network.guard import Refusal
from tests.bench.cost import NOW, quiet_report
from tests.package.template import load, of_type, translate
from tools.package import ROOT

if TYPE_CHECKING:
    from tests.package.template import Template
    from tools.package import Package

RUNBOOK = ROOT / "docs" / "runbook.md"
LOG_LEVEL = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}


@pytest.fixture(scope="module")
def template(package: Package) -> Template:
    """The template in CloudFormation's words."""
    return translate(package)


@pytest.fixture(scope="module")
def functions(template: Template) -> dict[str, Template]:
    """The properties of every function."""
    return {name: f["Properties"] for name, f in of_type(template, "AWS::Lambda::Function").items()}


@pytest.fixture(scope="module")
def alarms(template: Template) -> dict[str, Template]:
    """The properties of every alarm."""
    kinds = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    return {name: alarm["Properties"] for name, alarm in of_type(template, *kinds).items()}


def anchors() -> list[str]:
    """Return every heading of the runbook, in order, as the anchor that a forge makes of it."""
    titles = re.findall(r"^#+ (.*)$", RUNBOOK.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def headings() -> set[str]:
    """Return the anchors that a link may lead to."""
    return set(anchors())


# -- functions -----------------------------------------------------------------------------------------------------------


def test_every_function_knows_the_queue_and_the_journal(functions: dict[str, Template]) -> None:
    """The environment is all that a function is told, and it is the same for all."""
    assert functions.keys() == {"OnEvent", "Reconcile", "APIHandler"}
    for properties in functions.values():
        variables = properties["Environment"]["Variables"]
        assert variables["MOORING_QUEUE_URL"] == {"Ref": "ReconcileQueue"}
        assert variables["MOORING_JOURNAL"] == {"Ref": "JournalName"}
        assert variables["POWERTOOLS_SERVICE_NAME"] == SERVICE
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == NAMESPACE


def test_stack_says_where_the_api_is(template: Template) -> None:
    """What `make deploy` prints at its end is what `mooring api` asks for."""
    assert "execute-api" in str(template["Outputs"]["EndpointURL"])
    assert template["Resources"]["ReconcileQueue"]["Properties"]["QueueName"] == NAME


def test_every_function_runs_on_arm64_with_the_builds_python(functions: dict[str, Template]) -> None:
    """Bytecode is of one version of Python; another would compile everything at each cold start."""
    runtime = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert {(p["Runtime"], *p["Architectures"]) for p in functions.values()} == {(runtime, "arm64")}


def test_every_function_logs_json_to_a_group_that_forgets(
    template: Template, functions: dict[str, Template]
) -> None:
    """A group that Lambda made by itself would keep its logs for ever; this one is there first."""
    groups = of_type(template, "AWS::Logs::LogGroup")
    for name, properties in functions.items():
        group = groups[properties["LoggingConfig"]["LogGroup"]["Ref"]]
        assert properties["LoggingConfig"].items() >= LOG_LEVEL.items(), name
        assert group["Properties"]["LogGroupName"] == f"/aws/lambda/{properties['FunctionName']}"
    retention = {group["Properties"]["RetentionInDays"]["Ref"] for group in groups.values()}
    assert retention == {"LogRetentionDays"}


def test_everything_that_nobody_waits_for_ends_in_dead_letters(template: Template) -> None:
    """An event that cannot be delivered, or that fails, is put aside; who calls the API is told at once."""
    queue = {"Fn::GetAtt": ["EventDeadLetters", "Arn"]}
    for name, rule in of_type(template, "AWS::Events::Rule").items():
        (target,) = rule["Properties"]["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": queue}, name
        assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 300}, name
    (invoked,) = of_type(template, "AWS::Lambda::EventInvokeConfig").values()
    assert invoked["Properties"]["DestinationConfig"] == {"OnFailure": {"Destination": queue}}
    assert invoked["Properties"]["FunctionName"] == {"Ref": "OnEvent"}
    assert invoked["Properties"]["MaximumRetryAttempts"] == 2
    assert invoked["Properties"]["MaximumEventAgeInSeconds"] == 300
    assert (
        "FifoQueue" not in template["Resources"]["EventDeadLetters"]["Properties"]
    )  # EventBridge takes none


def test_queue_waits_longer_than_the_worker_and_keeps_poison_for_the_dead_letters(
    template: Template, functions: dict[str, Template]
) -> None:
    """Just above the worker's timeout; and no message may expire before its last delivery, nor a request that still counts."""
    queue = template["Resources"]["ReconcileQueue"]["Properties"]
    (source,) = of_type(template, "AWS::Lambda::EventSourceMapping").values()
    deliveries = queue["RedrivePolicy"]["maxReceiveCount"]
    timeout = functions["Reconcile"]["Timeout"]
    assert timeout < queue["VisibilityTimeout"] <= timeout + 5
    assert source["Properties"]["ScalingConfig"][
        "MaximumConcurrency"
    ]  # else the poller takes what Lambda then throttles
    assert queue["MessageRetentionPeriod"] > deliveries * queue["VisibilityTimeout"]
    assert queue["MessageRetentionPeriod"] > timedelta(hours=1).total_seconds() + queue["VisibilityTimeout"]
    assert (queue["FifoThroughputLimit"], queue["DeduplicationScope"]) == (
        "perMessageGroupId",
        "messageGroup",
    )
    assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["Properties"]["EventSourceArn"] == {"Fn::Sub": "${ReconcileQueue.Arn}"}
    assert queue["QueueName"].endswith(".fifo")


def test_everything_that_keeps_data_is_encrypted_and_the_journal_stays(template: Template) -> None:
    """SQS with its own key, the journal with DynamoDB's; a failed creation leaves no table in the next one's way."""
    for queue in of_type(template, "AWS::SQS::Queue").values():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True
    journal = template["Resources"]["Journal"]
    assert (journal["DeletionPolicy"], journal["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert journal["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert journal["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert journal["Properties"]["BillingMode"] == "PAY_PER_REQUEST"


def test_alarms_can_publish_to_their_topic(template: Template) -> None:
    """AWS's own key for SNS would silence every alarm: nobody can let CloudWatch use it."""
    key = template["Resources"]["AlarmTopic"]["Properties"]["KmsMasterKeyId"]
    assert key["Fn::If"] == ["HasTopicKey", {"Ref": "AlarmTopicKey"}, {"Ref": "AWS::NoValue"}]
    (statement,) = template["Resources"]["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}


def test_every_method_is_signed_throttled_and_logged(template: Template) -> None:
    """IAM on each method; one stage only, since SAM's second one would have neither throttle nor log."""
    (api,) = of_type(template, "AWS::ApiGateway::RestApi").values()
    (stage,) = of_type(template, "AWS::ApiGateway::Stage").values()
    (deployment,) = of_type(template, "AWS::ApiGateway::Deployment").values()
    assert "StageName" not in deployment["Properties"]
    methods = [m for path in api["Properties"]["Body"]["paths"].values() for m in path.values()]
    assert methods
    assert all(method["security"] == [{"sigv4": []}] for method in methods)
    (throttle,) = stage["Properties"]["MethodSettings"]
    assert (throttle["HttpMethod"], throttle["ResourcePath"]) == ("*", "/*")
    assert throttle["ThrottlingRateLimit"] > 0
    log = stage["Properties"]["AccessLogSetting"]
    assert log["DestinationArn"] == {"Fn::GetAtt": ["ApiAccessLogGroup", "Arn"]}
    assert json.loads(log["Format"])["caller"] == "$context.identity.userArn"
    assert api["Properties"]["EndpointConfiguration"] == {"Types": ["REGIONAL"]}


def test_names_are_fixed_so_that_a_second_stack_cannot_be_made(template: Template) -> None:
    """Two Moorings in one account and region would be two writers."""
    named = ("FunctionName", "QueueName", "TableName", "AlarmName", "TopicName", "LogGroupName")
    kinds = ("AWS::Lambda::Function", "AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::SNS::Topic")
    for name, resource in of_type(template, *kinds).items():
        assert any("mooring" in str(resource["Properties"].get(key)) for key in named) or name == "Journal"


# -- alarms --------------------------------------------------------------------------------------------------------------


def test_every_alarm_ends_with_the_link_to_its_heading(alarms: dict[str, Template]) -> None:
    """At 3 a.m. the mail itself says what it means and where it is written what to do."""
    known = headings()
    for name, alarm in alarms.items():
        description = alarm["AlarmDescription"]["Fn::Sub"]
        link = re.search(r"^[A-Za-z][^$]{40,} \$\{RunbookUrl\}#([a-z-]+)$", description)
        assert link, f"{name}: {description}"
        assert link[1] in known, name
        assert len(description) < 900  # CloudWatch allows 1024, with the URL


def test_every_alarm_tells_when_it_begins_and_when_it_ends(alarms: dict[str, Template]) -> None:
    """An alarm that tells nobody is none."""
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}], name
        assert alarm["AlarmName"].startswith("mooring-"), name


def emitted() -> set[str]:
    """Name every metric of a run that repaired something, where a machine's certificate is about to end."""
    report = quiet_report(tunnels=True)
    (machine,) = report.machines
    assert machine.inspection
    ends = replace(machine.inspection, expires=NOW + timedelta(days=1))
    return set(
        measures(replace(report, verdict="repaired", machines=(replace(machine, inspection=ends),)), NOW)
    )


def test_every_metric_that_an_alarm_watches_is_emitted(alarms: dict[str, Template]) -> None:
    """A metric nobody emits never trips, or always does."""
    watching = [alarm for alarm in alarms.values() if alarm.get("Namespace") == NAMESPACE]
    assert {alarm["MetricName"] for alarm in watching} == {*ALARMING, *MACHINES} <= emitted()
    for alarm in watching:
        assert alarm["Dimensions"] == [{"Name": "service", "Value": SERVICE}]


def test_silence_is_an_alarm(alarms: dict[str, Template]) -> None:
    """No run at all for five minutes: missing data breaches here, and nowhere else."""
    heartbeat = alarms["HeartbeatAlarm"]
    assert heartbeat["TreatMissingData"] == "breaching"
    assert heartbeat["Period"] * heartbeat["EvaluationPeriods"] == 300
    assert (heartbeat["Statistic"], heartbeat["ComparisonOperator"]) == ("SampleCount", "LessThanThreshold")
    others = {a["TreatMissingData"] for n, a in alarms.items() if n != "HeartbeatAlarm" and "Namespace" in a}
    assert others == {"notBreaching"}


def test_drift_must_last_two_minutes_of_three(alarms: dict[str, Template]) -> None:
    """A repair finds drift once; drift found again was not repaired."""
    drift = alarms["DriftAlarm"]
    assert (drift["DatapointsToAlarm"], drift["EvaluationPeriods"], drift["Period"]) == (2, 3, 60)


def test_every_function_and_every_queue_of_dead_letters_is_watched(
    alarms: dict[str, Template], functions: dict[str, Template]
) -> None:
    """Errors of each function, throttles of those that run each minute, depth of both queues."""
    watched = {
        (alarm["MetricName"], json.dumps(alarm["Dimensions"][0]["Value"]))
        for alarm in alarms.values()
        if "MetricName" in alarm
    }
    for name in functions:
        assert ("Errors", json.dumps({"Ref": name})) in watched
        assert (("Throttles", json.dumps({"Ref": name})) in watched) is (name != "APIHandler")
    for queue in ("ReconcileDeadLetters", "EventDeadLetters"):
        value = json.dumps({"Fn::GetAtt": [queue, "QueueName"]})
        assert ("ApproximateNumberOfMessagesVisible", value) in watched


def test_composite_is_made_of_alarms_that_exist(alarms: dict[str, Template]) -> None:
    """The one alarm that wakes somebody sums up those about the link."""
    joint, (always, choice) = alarms["LinkAtRiskAlarm"]["AlarmRule"]["Fn::Join"]
    condition, router, otherwise = choice["Fn::If"]
    assert (condition, otherwise) == ("HasRouterAlarms", "FALSE")
    rule = joint.join((always["Fn::Sub"], router["Fn::Sub"]))
    named = set(re.findall(r'ALARM\("\$\{(\w+)\}"\)', rule))
    assert re.fullmatch(r'ALARM\("[^"]+"\)( OR ALARM\("[^"]+"\))*', rule)
    assert named <= alarms.keys()
    assert {
        "HeartbeatAlarm",
        "DriftAlarm",
        "RepairFailedAlarm",
        "NoEligibleRouterAlarm",
        "BlindAlarm",
        "TunnelDownAlarm",
    } <= named


def test_dashboard_shows_what_is_emitted(template: Template) -> None:
    """Verdict, drift, moves and durations, for every topology there will ever be."""
    body, more = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    condition, routers, none = more["Routers"]["Fn::If"]
    assert (condition, none) == ("HasRouterAlarms", "")
    json.loads(body.replace("${Routers}", none))
    body = body.replace("${Routers}", routers["Fn::Sub"])
    widgets = json.loads(body)["widgets"]
    shown = set(re.findall(r'MetricName=\(?"?([\w" ]+)', body.replace("\\", "")))
    metrics = {name for text in shown for name in re.findall(r"\w+", text)} - {"OR"}
    assert {w["properties"]["title"] for w in widgets} >= {"Verdict", "Drift", "Moves", "Seconds of a run"}
    assert metrics == emitted() - {"TunnelSilent", "ConfigDrift", "PushFailed", "CertificateDays"}
    alarms = set(re.findall(r"\$\{(\w+)\.Arn\}", body))
    assert alarms <= template["Resources"].keys()
    conditional = {n for n, one in template["Resources"].items() if one.get("Condition") == condition}
    assert conditional <= alarms


# -- runbook -------------------------------------------------------------------------------------------------------------


def test_every_error_code_has_a_heading() -> None:
    """Whoever reads a code in a log, or a verb's answer, finds what stands behind it."""
    named = {**vars(errors), **vars(cli_errors)}
    kinds = [kind for kind in named.values() if isinstance(kind, type)]
    codes = {kind.code.lower() for kind in kinds if issubclass(kind, errors.ControllerError)}
    assert {"observationerror", "consentneeded"} <= codes
    assert codes <= headings()


def test_every_code_of_the_api_has_a_heading() -> None:
    """Whoever is refused by the API finds it by its code, as openapi.yaml names it or the source gives it."""
    described = re.findall(r"[(,] ?`([A-Z]\w+)`", (ROOT / "docs" / "openapi.yaml").read_text())
    source = "".join((ROOT / path).read_text() for path in ("app.py", "chalicelib/api.py"))
    given = re.findall(r'(?:Refused\(\d+, |problem\()"(\w+)"', source)
    codes = {code.lower() for code in (*described, *given)}
    assert {"badrequest", "unknownroute", "unsupportedmediatype", "internalerror"} <= codes
    assert codes <= headings()


def test_no_heading_of_the_runbook_is_there_twice() -> None:
    """A link leads to the first of two, so nobody would be led to the second."""
    assert [anchor for anchor, count in Counter(anchors()).items() if count > 1] == []


def test_every_guard_has_a_heading() -> None:
    """Whoever is refused finds the way out."""
    guards = get_args(get_type_hints(Refusal)["guard"])
    assert {f"refused-{guard}" for guard in guards} <= headings()


def test_links_within_the_runbook_lead_somewhere() -> None:
    """A link that leads nowhere is worse than none."""
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK.read_text())) <= headings()


# -- lint ----------------------------------------------------------------------------------------------------------------


def test_linter_finds_nothing_in_either_form(package: Package, template: Template, tmp_path: Path) -> None:
    """Some mistakes show only after SAM's transform, some only before."""
    translated = tmp_path / "cloudformation.json"
    translated.write_text(json.dumps(template))
    linter = str(Path(sys.executable).with_name("cfn-lint"))
    ended = subprocess.run(  # noqa: S603 - our own linter
        [linter, "--", str(package.template), str(translated)], capture_output=True, text=True, check=False
    )
    assert ended.stdout + ended.stderr == ""


def test_every_skipped_check_gives_its_reason(package: Package) -> None:
    """`make audit` runs checkov; what it is told to overlook says why, beside the resource."""
    skips: list[dict[str, Any]] = [
        skip
        for resource in load(package)["Resources"].values()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skips
    assert all(skip.keys() == {"id", "comment"} and len(skip["comment"]) > 20 for skip in skips)


def test_no_secret_and_no_account_is_written_into_the_template(package: Package) -> None:
    """One template serves every account and region."""
    text = package.template.read_text()
    assert re.findall(r"\b\d{12}\b|us-east-1|eu-west-1", text) == []
