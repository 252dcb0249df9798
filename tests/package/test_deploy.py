"""Deploying and removing: what is asked of the AWS CLI, and what the embedded AWS is left with."""

from __future__ import annotations

import io
import json
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from tests.network import deploy_journal
from tests.package.aws_cli import AwsCli
from tools.deploy import _told, main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fake_aws import World
    from tools.package import Package

    Run = Callable[..., int]

STACK = "mooring-prod"
BUCKET = "mooring-artifacts-123456789012-eu-west-1"


@pytest.fixture
def aws(world: World, package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCli]:
    """An AWS CLI on PATH, set up for an empty account; no command may go to another region than the one shown."""
    stand_in = AwsCli(world, package, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("AWS_REGION", world.region)
    for named in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        monkeypatch.delenv(named, raising=False)
    yield stand_in
    stand_in.close()
    assert all("--region eu-west-1" in shlex.join(words) for words in stand_in.asked)


@pytest.fixture
def run(aws: AwsCli, package: Package) -> Run:
    """Run a verb for the stage prod, agreed to beforehand unless told otherwise; forgets what was asked before."""

    def run(verb: str, *more: str, yes: bool = True) -> int:
        aws.asked.clear()
        agreed = ("--yes",) if yes else ()
        return main([verb, "--stage", "prod", "--build", str(package.zip.parent), *agreed, *more])

    return run


@pytest.fixture
def stack(world: World, aws: AwsCli) -> str:
    """A stack of the stage's name, deployed from somebody's bucket; returns the URL of the only queue in it."""
    s3, formation = world.client("s3"), world.client("cloudformation")
    s3.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": world.region})
    s3.put_object(Bucket="theirs", Key=f"mooring/{STACK}/uploaded", Body=b"")
    resources = {"EventDeadLetters": {"Type": "AWS::SQS::Queue"}}
    formation.create_stack(StackName=STACK, TemplateBody=json.dumps({"Resources": resources}))
    aws.deployed = f"CodeUri: s3://theirs/mooring/{STACK}/uploaded"
    return str(formation.describe_stack_resources(StackName=STACK)["StackResources"][0]["PhysicalResourceId"])


def answer(monkeypatch: pytest.MonkeyPatch, text: str, *, terminal: bool = True) -> None:
    """Have somebody, or nobody, answer."""
    stdin = io.StringIO(text)
    monkeypatch.setattr(stdin, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdin", stdin)


def test_first_deploy_makes_bucket_and_stack(
    aws: AwsCli, run: Run, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A blank account needs nothing prepared: bucket, upload, stack, and the role that API Gateway logs through."""
    assert run("deploy") == 0
    assert aws.changes == [
        "s3api create-bucket", "s3api put-bucket-tagging", "cloudformation package", "cloudformation deploy",
    ]  # fmt: skip
    command = aws.line("cloudformation", "deploy")
    assert f"--stack-name {STACK} --s3-bucket {BUCKET} --s3-prefix mooring/{STACK}" in command
    assert "--capabilities CAPABILITY_IAM --no-fail-on-empty-changeset" in command
    assert "--parameter-overrides MakeApiLogRole=yes MakeJournal=yes" in command
    assert world.client("dynamodb").describe_table(TableName="mooring-journal")
    assert "\nReconcileName: mooring-reconcile\n" in capsys.readouterr().out


def test_deploy_whose_outputs_cannot_be_read_is_done_all_the_same(
    aws: AwsCli, run: Run, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stack is made: that its outputs are not told is said, and is no failure."""
    world.deny(
        "DescribeStacks",
        by="hand",
        when=lambda _: len([w for w in aws.asked if w[1] == "describe-stacks"]) > 1,
    )
    assert run("deploy") == 0
    said = capsys.readouterr().out
    assert (
        f"{STACK} is deployed; its outputs could not be read: aws cloudformation describe-stacks failed"
        in said
    )


def test_deploy_ends_with_what_mooring_api_needs() -> None:
    """The embedded AWS makes no API, so its URL is put in by hand here."""
    url = "https://a1b2c3.execute-api.eu-west-1.amazonaws.com/v1/"
    assert list(_told({"EndpointURL": url})) == [
        f"EndpointURL: {url}",
        f"For mooring api: export MOORING_API_URL={url}",
    ]


def test_deploy_shows_every_command_before_it_asks(
    aws: AwsCli, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engineer sees account, region and each command, and a no leaves everything as it was."""
    answer(monkeypatch, "n\n")
    assert run("deploy", yes=False) == 1
    shown = capsys.readouterr().out
    assert "in account 123456789012, region eu-west-1" in shown
    assert "$ aws s3api create-bucket" in shown
    assert "$ aws cloudformation deploy" in shown
    assert "Nothing was done." in shown
    assert aws.changes == []


def test_yes_at_the_terminal_deploys(
    aws: AwsCli, run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who agrees gets what was shown."""
    world.deny("CreateStack", by="hand")
    answer(monkeypatch, "y\n")
    run("deploy", yes=False)
    assert aws.changes[-1] == "cloudformation deploy"


def test_nobody_to_ask_changes_nothing(
    aws: AwsCli, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe consent must be given beforehand; the error says how."""
    answer(monkeypatch, "", terminal=False)
    assert run("deploy", yes=False) == 1
    assert "YES=1" in capsys.readouterr().err
    assert aws.changes == []


@pytest.mark.usefixtures("stack")
def test_second_deploy_leaves_parameters_alone(aws: AwsCli, run: Run) -> None:
    """What was found at the first deploy holds: the stack's own journal is not taken for somebody else's."""
    assert run("deploy", "--artifact-bucket", "theirs", "--set", "AlarmEmail=ops@example.com") == 0
    assert aws.changes == ["cloudformation package", "cloudformation deploy"]
    assert "--parameter-overrides AlarmEmail=ops@example.com --region" in aws.line("cloudformation", "deploy")


def test_named_bucket_must_exist(aws: AwsCli, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A bucket that somebody named is theirs to make."""
    assert run("deploy", "--artifact-bucket", "nowhere") == 1
    assert "there is no bucket nowhere" in capsys.readouterr().err
    assert aws.changes == []


def test_unknown_parameter_is_refused(aws: AwsCli, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt parameter would be found by CloudFormation, minutes later."""
    assert run("deploy", "--set", "AlarmMail=ops@example.com") == 1
    assert "no parameter AlarmMail" in capsys.readouterr().err
    assert aws.changes == []


def test_account_that_logs_apis_already_keeps_its_role(aws: AwsCli, run: Run, world: World) -> None:
    """API Gateway's role belongs to the whole account and region; one that is there is used."""
    operation = {
        "op": "replace",
        "path": "/cloudwatchRoleArn",
        "value": "arn:aws:iam::123456789012:role/logs",
    }
    world.client("apigateway").update_account(patchOperations=[operation])
    world.deny("CreateStack", by="hand")
    run("deploy")
    assert "MakeApiLogRole=no" in aws.line("cloudformation", "deploy")


def test_undeploy_removes_what_deploy_made(
    aws: AwsCli, run: Run, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stack, uploads and the bucket made for them go; the journal is told to stay, and named."""
    run("deploy")
    capsys.readouterr()
    assert run("undeploy") == 0
    assert aws.changes == ["cloudformation delete-stack", "cloudformation wait", "s3 rb"]
    assert world.client("s3").list_buckets()["Buckets"] == []
    left = capsys.readouterr().out.split("Removed.")[1]
    assert "AWS::DynamoDB::Table mooring-journal: the journal" in left
    assert "/mooring/topologies/" in left


@pytest.mark.usefixtures("stack")
def test_undeploy_touches_only_its_own_in_a_named_bucket(aws: AwsCli, run: Run, world: World) -> None:
    """Somebody's bucket keeps everything but what lies under the stack's own prefix."""
    s3 = world.client("s3")
    s3.put_object(Bucket="theirs", Key=f"mooring/{STACK}-2/kept", Body=b"")
    assert run("undeploy") == 0
    assert f"s3 rm s3://theirs/mooring/{STACK}/ --recursive" in aws.line("s3", "rm")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="theirs")["Contents"]] == [
        f"mooring/{STACK}-2/kept"
    ]


def test_redeploy_takes_over_the_journal_left_behind(aws: AwsCli, run: Run, world: World) -> None:
    """A retained table of a fixed name would make the next stack fail, so it is found and used."""
    deploy_journal(world)
    world.deny("CreateStack", by="hand")
    run("deploy")
    assert "MakeJournal=no" in aws.line("cloudformation", "deploy")


def test_undeploy_says_which_messages_are_lost(
    run: Run, stack: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dead letters are evidence; who removes them is told."""
    world.client("sqs").send_message(QueueUrl=stack, MessageBody="{}")
    assert run("undeploy") == 0
    assert "1 messages in EventDeadLetters will be lost" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"])
def test_undeploy_asks_the_queues_where_the_environment_says(
    run: Run, aws: AwsCli, stack: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The AWS CLI's first version would ask SQS's legacy host instead, and whoever named an endpoint means it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere.example.com")
    monkeypatch.setenv(name, "https://aws.example.com")
    assert run("undeploy") == 0
    assert "--endpoint-url https://aws.example.com" in aws.line("sqs", "get-queue-attributes")


@pytest.mark.parametrize("ignored", ["", "true"])
def test_undeploy_names_no_endpoint_where_none_counts(
    run: Run, aws: AwsCli, stack: str, monkeypatch: pytest.MonkeyPatch, ignored: str
) -> None:
    """None is set, or those that are set are to be ignored: SQS's own is the AWS CLI's to know."""
    if ignored:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "https://elsewhere.example.com")
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", ignored)
    assert run("undeploy") == 0
    assert "--endpoint-url" not in aws.line("sqs", "get-queue-attributes")


def test_undeploy_does_not_stop_at_a_queue_that_does_not_say(
    run: Run, aws: AwsCli, stack: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """How many messages it holds is worth a word, and no reason to keep the stack; nothing is said to be empty."""
    world.deny("GetQueueAttributes", by="hand")
    assert run("undeploy") == 0
    assert (
        "messages in EventDeadLetters may be lost: aws sqs get-queue-attributes failed"
        in capsys.readouterr().out
    )
    assert aws.changes[0] == "cloudformation delete-stack"


def test_undeploy_without_stack_does_nothing(
    aws: AwsCli, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked twice, it has nothing to do the second time."""
    assert run("undeploy") == 0
    assert "nothing to remove" in capsys.readouterr().out
    assert aws.changes == []


def test_undeploy_after_a_first_deploy_that_failed_removes_its_bucket(
    aws: AwsCli, run: Run, world: World
) -> None:
    """What was made before the stack could be is found without it."""
    world.deny("CreateStack", by="hand")
    assert run("deploy") == 1
    assert run("undeploy") == 0
    assert aws.changes == ["s3 rb"]
    assert world.client("s3").list_buckets()["Buckets"] == []


def test_denied_lookup_stops_before_anything_is_done(
    aws: AwsCli, run: Run, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer that AWS refuses is not taken for nothing found."""
    world.deny("DescribeTable", by="hand")
    assert run("deploy") == 1
    assert "dynamodb describe-table failed" in capsys.readouterr().err
    assert aws.changes == []


@pytest.mark.usefixtures("stack")
def test_failed_command_stops_the_rest(
    aws: AwsCli, run: Run, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step that fails is named, and the next is not begun."""
    world.deny("DeleteStack", by="hand")
    assert run("undeploy") == 1
    assert f"could not remove the stack {STACK}" in capsys.readouterr().err
    assert aws.changes == ["cloudformation delete-stack"]


@pytest.mark.parametrize("stage", ["", "Prod", "../prod"])
def test_stage_must_be_named(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The stage becomes the stack's name, so it is checked before AWS is asked anything."""
    assert main(["deploy", "--stage", stage]) == 1
    assert "make deploy STAGE=prod" in capsys.readouterr().err


def test_missing_cli_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the AWS CLI there is one clear message."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["deploy", "--stage", "prod"]) == 1
    assert "the AWS CLI is not installed" in capsys.readouterr().err


def test_missing_package_says_how_to_make_it(
    aws: AwsCli, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Deploying needs `make package` first."""
    assert main(["deploy", "--stage", "prod", "--build", str(tmp_path / "none")]) == 1
    assert "make package" in capsys.readouterr().err
