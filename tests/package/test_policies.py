"""What the functions may do at AWS: all that they need, proven by what they do, and nothing more."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from cfnlint.api import ManualArgs, lint  # type: ignore[import-untyped] # it has no types
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.tunnel.documents import DOCUMENTS
from tests.package.policies import Access, Policy, arn_like, like, narrower, parse, read, resolve
from tests.package.policies_office import broken
from tests.package.policies_roles import POLICIES, api_call, around, at_work, names

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fake_aws import World
    from tests.package.policies_office import Office
    from tests.package.policies_roles import FunctionsByRole

PLACE = ("eu-west-1", "123456789012")
NAMES = names(*PLACE)
FILES = list(POLICIES.values())
REFERENCE: dict[str, Any] = json.loads(
    (resources.files("cfnlint") / "data" / "AdditionalSpecs" / "Policies.json").read_text()
)
"""AWS's service authorization reference, as cfn-lint carries it."""

TAG = "aws:ResourceTag/mooring:topology"
ROUTER_TAG = "ssm:resourceTag/mooring:router"
TABLE = f"arn:aws:ec2:{PLACE[0]}:{PLACE[1]}:route-table/rtb-1"

BESIDE = {("ec2:ReplaceRouteTableAssociation", "route-table"), ("ec2:AssociateAddress", "instance")}
"""What AWS's reference lists for an action without saying when it is asked about."""

OUT_OF_REACH = [
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateTags",
    "ec2:DeleteRoute",
    "ec2:DeleteTags",
    "ec2:DisassociateAddress",
    "ec2:ModifyInstanceAttribute",
    "ec2:RunInstances",
    "ec2:TerminateInstances",
    "dynamodb:DeleteItem",
    "dynamodb:Scan",
    "iam:PassRole",
    "lambda:InvokeFunction",
    "logs:DeleteLogGroup",
    "sqs:PurgeQueue",
    "sts:AssumeRole",
]


def policy(function: str) -> Policy:
    """Read a function's policy as it will be at AWS."""
    return read(POLICIES[function], NAMES)


# -- granted = used --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def needed(embedded: World) -> dict[str, list[Access]]:
    """Everything the functions needed of AWS while all that can happen happened."""
    embedded.reset()
    office = broken(embedded)
    with at_work(embedded) as mooring:
        _repairs(office, mooring)
        _is_told_of_edits(office, mooring)
        _serves_operators(office, mooring)
        _replaces_routers(office, mooring)
        _fails(mooring)
        return mooring.needed


def _repairs(office: Office, mooring: FunctionsByRole) -> None:
    """Declare the network that has everything wrong with it; then look again, as each minute."""
    office.declare()
    mooring.settle()
    assert office.wanting() == set()
    assert office.configured()
    mooring.tick()


def _is_told_of_edits(office: Office, mooring: FunctionsByRole) -> None:
    """Hear from CloudTrail of edits of things that no topology names."""
    interface = {"networkInterfaceId": office.interface}
    mooring.event(api_call(office.world, "ModifyNetworkInterfaceAttribute", **interface))
    table = office.world.client("ec2").create_route_table(VpcId=office.outputs["VpcId"])["RouteTable"]
    mooring.event(api_call(office.world, "CreateRoute", routeTableId=table["RouteTableId"]))
    (address, *_) = office.describe("describe_addresses", "Addresses")
    mooring.event(api_call(office.world, "DisassociateAddress", publicIp=address["PublicIp"]))
    assert mooring.queued() == 3
    mooring.settle()


def _serves_operators(office: Office, mooring: FunctionsByRole) -> None:
    """Answer every route of the API."""
    home = "/topologies/office"
    assert mooring.call("GET", "/topologies").body == {"topologies": ["office"]}
    assert mooring.call("GET", f"{home}/plan").status == 200
    shown = mooring.call("GET", home).body
    assert shown["now"]["router"]["instance_id"] == office.wanted
    assert mooring.call("POST", f"{home}/pause", {"for": "2h", "reason": "works"}).status == 200
    assert mooring.call("POST", f"{home}/resume", {}).status == 202
    asked = mooring.call("POST", f"{home}/reconcile", {}).body
    standby = next(one for one in _routers(office) if one != office.wanted)
    assert mooring.call("POST", f"{home}/switchover", {"to": standby}).status == 202
    mooring.settle()
    office.world.command_dwell = None
    assert mooring.call("POST", f"{home}/push", {"to": standby, "confirm_within": "5m"}).status == 202
    mooring.settle()
    assert mooring.call("GET", f"{home}/plan").body["verdict"] == "pending"
    office.world.command_dwell = 0.0
    while office.world.settle():
        mooring.settle()
    assert mooring.call("POST", f"{home}/confirm").status == 202
    mooring.settle()
    assert mooring.call("GET", f"/requests/{asked['request_id']}").body["state"] == "done"
    history = mooring.call("GET", f"{home}/history", query={"limit": "1"}).body
    assert history["runs"][0]["router"]["instance_id"] == standby


def _replaces_routers(office: Office, mooring: FunctionsByRole) -> None:
    """Lose one router to its group, which waits until it is let go, and the next one without a warning."""
    scaling = office.world.client("autoscaling")
    first = _current(mooring)
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=first, ShouldDecrementDesiredCapacity=False)
    mooring.settle()
    second = _current(mooring)
    assert first not in _routers(office)
    office.world.client("ec2").terminate_instances(InstanceIds=[second])
    mooring.settle()
    assert len({first, second, _current(mooring)}) == 3


def _fails(mooring: FunctionsByRole) -> None:
    """Fail to find out whom an event concerns: it is put aside. Choke on a message: it comes again."""
    fault = mooring.world.fail("GetParametersByPath", "ValidationException", 400, times=None)
    mooring.tick()
    fault.stop()
    assert mooring.put_aside() == 1
    mooring.poison()


def _routers(office: Office) -> list[str]:
    alive_and_tagged = [
        {"Name": "tag:mooring:router", "Values": ["office"]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    found = office.describe("describe_instances", "Reservations", Filters=alive_and_tagged)
    return sorted(one["InstanceId"] for reservation in found for one in reservation["Instances"])


def _current(mooring: FunctionsByRole) -> str:
    shown = mooring.call("GET", "/topologies/office").body
    assert shown["now"]["verdict"] == "converged", shown["now"]["sentence"]
    return str(shown["now"]["router"]["instance_id"])


@pytest.mark.parametrize("function", POLICIES)
def test_every_call_made_is_granted(function: str, needed: dict[str, list[Access]]) -> None:
    """A function's role allows all that the function, and Lambda in its name, asks of AWS."""
    shipped = policy(function)
    refused = {(one.action, one.resource) for one in needed[function] if not shipped.grants(one)}
    assert refused == set()


@pytest.mark.parametrize("function", POLICIES)
def test_every_grant_is_used(function: str, needed: dict[str, list[Access]]) -> None:
    """Take any action or any resource out of any statement, and something that happened is refused."""
    idle = [
        lacking
        for lacking, smaller in narrower(policy(function))
        if all(smaller.grants(one) for one in needed[function])
    ]
    assert idle == []


def test_every_write_is_refused_on_what_carries_no_tag_or_lies_elsewhere(
    needed: dict[str, list[Access]],
) -> None:
    """The tags are the boundary of writes, mooring:router that of commands; so are account and region."""
    shipped = policy("reconcile")
    writes = [one for one in needed["reconcile"] if one.context and not _beside(one)]
    assert len({one.action for one in writes}) == 10
    for write in writes:
        tag = ROUTER_TAG if write.action == "ssm:SendCommand" else TAG
        assert tag in write.context
        assert shipped.grants(write)
        bare = {key: value for key, value in write.context.items() if key != tag}
        assert not shipped.grants(replace(write, context=bare)), write
        for ours, theirs in zip(PLACE, ("us-east-1", "210987654321"), strict=True):
            assert not shipped.grants(replace(write, resource=write.resource.replace(ours, theirs))), write


def _beside(access: Access) -> bool:
    """Return whether a resource is asked about beside one that must be tagged, if AWS asks about it at all."""
    return (access.action, _kind(access.resource)) in BESIDE


def _kind(resource: str) -> str:
    """Return an EC2 resource's kind."""
    return resource.rpartition(":")[2].partition("/")[0]


def test_what_aws_may_ask_about_beside_the_tagged_is_granted_untagged(
    needed: dict[str, list[Access]],
) -> None:
    """Neither the table that a subnet leaves nor an interface's instance need be ours; what is moved must."""
    shipped = policy("reconcile")
    beside = [one for one in needed["reconcile"] if _beside(one)]
    assert {(one.action, _kind(one.resource)) for one in beside} == BESIDE
    assert all(shipped.grants(replace(one, context={})) for one in beside)
    moved = {
        (one.action, one.resource)
        for one in needed["reconcile"]
        if one.action in {action for action, _ in BESIDE} and not _beside(one)
    }
    assert {_kind(resource) for _, resource in moved} == {"subnet", "elastic-ip", "network-interface"}
    assert not any(shipped.grants(Access(action, resource)) for action, resource in moved)


def test_writes_can_be_held_to_the_names_of_the_topologies(needed: dict[str, list[Access]]) -> None:
    """With Topologies=depot,office the tag must say one of them; another's, or one that says nothing, is refused."""
    shipped = read(POLICIES["reconcile"], NAMES | {"Topologies": "depot,office"})
    for write in (one for one in needed["reconcile"] if one.context and not _beside(one)):
        tag = ROUTER_TAG if write.action == "ssm:SendCommand" else TAG
        assert write.context[tag] == "office"
        assert shipped.grants(write)
        for value in ("branch", "", "office-2"):
            assert not shipped.grants(replace(write, context={**write.context, tag: value})), write
    assert policy("reconcile").grants(Access("ec2:CreateRoute", TABLE, {TAG: "branch"}))


@pytest.mark.parametrize("written", ["false", "False", "FALSE"])
def test_check_may_be_switched_off_however_its_value_is_written(written: str) -> None:
    """EC2 spells booleans as it likes in what IAM sees."""
    interface = f"arn:aws:ec2:{PLACE[0]}:{PLACE[1]}:network-interface/eni-1"
    context = {TAG: "office", "ec2:Attribute/SourceDestCheck": written}
    assert policy("reconcile").grants(Access("ec2:ModifyNetworkInterfaceAttribute", interface, context))


@pytest.mark.parametrize(
    "being_set",
    [{"SourceDestCheck": "true"}, {"Description": "false"}, {}],
    ids=["on again", "another attribute", "an attribute of several parts"],
)
def test_attribute_of_an_interface_other_than_its_check_off_is_refused(being_set: dict[str, str]) -> None:
    """Of all that ModifyNetworkInterfaceAttribute can do, the role may do one thing: switch the check off."""
    interface = f"arn:aws:ec2:{PLACE[0]}:{PLACE[1]}:network-interface/eni-1"
    action, shipped = "ec2:ModifyNetworkInterfaceAttribute", policy("reconcile")
    assert shipped.grants(
        Access(action, interface, {TAG: "office", "ec2:Attribute/SourceDestCheck": "false"})
    )
    others = {f"ec2:Attribute/{name}": value for name, value in being_set.items()}
    assert not shipped.grants(Access(action, interface, {TAG: "office", **others}))


@pytest.mark.parametrize("function", POLICIES)
def test_parameters_beside_the_topologies_are_out_of_reach(function: str) -> None:
    """Routers' secrets and bundles lie under /mooring too; no function may read them."""
    place = ":".join(PLACE)
    for action in ("ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"):
        for path in (
            "mooring",
            "mooring/office/tunnel/key",
            "mooring/office/router",
            "mooring/certificate",
            "mooring/topologies-of-others/a",
        ):
            assert not policy(function).grants(Access(action, f"arn:aws:ssm:{place}:parameter/{path}"))


@pytest.mark.parametrize("function", POLICIES)
def test_dangerous_actions_are_out_of_reach(function: str) -> None:
    """No route can be deleted and no tag set: a tag that could be set would be no boundary."""
    shipped = policy(function)
    for action in OUT_OF_REACH:
        for resource in ("*", TABLE):
            assert not shipped.grants(Access(action, resource, {TAG: "office"})), action


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_action_is_never_a_pattern(file: Path) -> None:
    """Every action is spelled out, so that a new one at AWS is never granted by accident."""
    for statement in read(file, NAMES).statements:
        assert statement.effect == "Allow"
        for action in statement.actions:
            assert re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action), action


# -- the push --------------------------------------------------------------------------------------------


def test_commands_reach_tagged_routers_with_documents_of_ours_only() -> None:
    """SendCommand is authorised on the document and on each instance."""
    shipped, place = policy("reconcile"), ":".join(PLACE)
    instance = f"arn:aws:ec2:{place}:instance/i-1"
    for name in DOCUMENTS:
        assert shipped.grants(Access("ssm:SendCommand", f"arn:aws:ssm:{place}:document/{name}"))
    assert shipped.grants(Access("ssm:SendCommand", instance, {ROUTER_TAG: "office"}))
    assert not shipped.grants(Access("ssm:SendCommand", instance))
    assert not shipped.grants(Access("ssm:SendCommand", f"arn:aws:ssm:{place}:document/AWS-RunShellScript"))
    assert not shipped.grants(
        Access("ssm:SendCommand", f"arn:aws:ssm:{PLACE[0]}::document/AWS-RunShellScript")
    )


@pytest.mark.parametrize("function", POLICIES)
def test_only_the_worker_commands_machines_and_stores_what_they_take(function: str) -> None:
    """Nobody else; and the worker stores bundles, never a secret or a declaration."""
    shipped, place = policy(function), ":".join(PLACE)
    bundle = f"arn:aws:ssm:{place}:parameter/mooring/office/router/10.0.0.8"
    assert bool(shipped.grants(Access("ssm:PutParameter", bundle))) is (function == "reconcile")
    commands = "ssm:SendCommand" in shipped.actions
    assert commands is (function == "reconcile")
    for path in ("mooring/office/tunnel/key", "mooring/topologies/office", "mooring/office/certificate"):
        assert not shipped.grants(Access("ssm:PutParameter", f"arn:aws:ssm:{place}:parameter/{path}"))


# -- written as AWS wants it -----------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_statements_fit_the_service_authorization_reference(file: Path) -> None:
    """An action exists, is limited by resource wherever it can be, and its condition keys are those of the resource."""
    for statement in read(file, NAMES).statements:
        keys = [key for _, key, _ in statement.conditions]
        for action in statement.actions:
            service, _, name = action.partition(":")
            kinds = REFERENCE[service]["Actions"][name.lower()].get("Resources", [])
            assert kinds or statement.resources == ("*",), f"{action} knows no resources"
            for resource in statement.resources if kinds else ():
                fitting = [REFERENCE[service]["Resources"][kind.lower()] for kind in kinds]
                fitting = [kind for kind in fitting if any(_spells(f, resource) for f in kind["ARNFormats"])]
                assert fitting, f"{action} is not authorised on {resource}"
                for key in keys:
                    assert any(_spells(known, key) for kind in fitting for known in kind["ConditionKeys"]), (
                        key
                    )


def _spells(template: str, text: str) -> bool:
    """Return whether the reference's template, with its ${Placeholder}, can spell a text."""
    placeholders = re.sub(r"\$\{\w+\}", "[^/]+?", template)
    return re.fullmatch(placeholders, text) is not None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_policy_lints_clean_in_a_role(file: Path) -> None:
    """cfn-lint finds nothing, and the role's inline policies stay below IAM's 10,240 characters."""
    document = json.loads(file.read_text())
    merged = around()
    kept = {"ReconcileQueue", "ReconcileDeadLetters", "EventDeadLetters"}
    kept |= {logical for logical in merged["Resources"] if logical.endswith("LogGroup")}
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {"JournalName": {"Type": "String", "Default": "mooring"}}
        | {"LogRetentionDays": {"Type": "Number", "Default": 30}}
        | {"Topologies": merged["Parameters"]["Topologies"]},
        "Resources": {logical: merged["Resources"][logical] for logical in kept}
        | {"Role": _role(file.stem, document)},
    }
    found = lint(json.dumps(template), config=ManualArgs(regions=["eu-west-1"], ignore_checks=["W2001"]))
    assert [match for match in found if "Role" in match.path] == []
    assert [match for match in found if match.rule.id.startswith("E")] == []
    assert len(json.dumps(document, separators=(",", ":"))) < 10_240


def _role(name: str, document: dict[str, Any]) -> dict[str, Any]:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    policies = [{"PolicyName": name, "PolicyDocument": document}]
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust, "Policies": policies}}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_sid_reads_as_a_sentence(file: Path) -> None:
    """Each statement says what it is for, in words that no other statement of its policy uses."""
    sids = [statement.sid for statement in read(file, NAMES).statements]
    assert len(set(sids)) == len(sids)
    assert all(re.fullmatch(r"(?:[A-Z][a-z]*){3,}", sid) for sid in sids), sids


# -- the evaluator ---------------------------------------------------------------------------------------


def _policy(*statements: dict[str, Any]) -> Policy:
    usual = {"Effect": "Allow", "Action": "ec2:CreateRoute", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [{**usual, **one} for one in statements]}
    return parse(document, NAMES)


def test_action_that_no_statement_names_is_denied() -> None:
    """The default is no."""
    assert not _policy({}).grants(Access("ec2:ReplaceRoute", TABLE))
    assert not Policy(()).grants(Access("ec2:CreateRoute", TABLE))


def test_action_is_matched_whatever_its_case_and_a_resource_is_not() -> None:
    """IAM user guide, "JSON policy elements: Action" and "Resource"."""
    assert _policy({"Action": "EC2:create*"}).grants(Access("ec2:CreateRoute", TABLE))
    assert not _policy({"Resource": TABLE.upper()}).grants(Access("ec2:CreateRoute", TABLE))


def test_explicit_deny_wins_whatever_the_order() -> None:
    """IAM user guide, "Policy evaluation logic"."""
    allow: dict[str, Any] = {}
    deny = {"Effect": "Deny", "Resource": TABLE}
    for statements in ((allow, deny), (deny, allow)):
        assert not _policy(*statements).grants(Access("ec2:CreateRoute", TABLE))
        assert _policy(*statements).grants(Access("ec2:CreateRoute", TABLE.replace("rtb-1", "rtb-2")))


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"Null": {TAG: "false"}}, {TAG: ""}, True),
        ({"Null": {TAG: "false"}}, {TAG.lower(): "office"}, True),
        ({"Null": {TAG: "false"}}, {}, False),
        ({"Null": {TAG: "true"}}, {}, True),
        ({"Null": {TAG: "true"}}, {TAG: "office"}, False),
        ({"StringEquals": {TAG: "office"}}, {TAG: "office"}, True),
        ({"StringEquals": {TAG: "office"}}, {TAG: "Office"}, False),
        ({"StringEquals": {TAG: "off*"}}, {TAG: "office"}, False),
        ({"StringEquals": {TAG: ["branch", "office"]}}, {TAG: "office"}, True),
        ({"StringEquals": {TAG: "office"}}, {}, False),
        ({"StringEqualsIgnoreCase": {TAG: "office"}}, {TAG: "Office"}, True),
        ({"StringEqualsIgnoreCase": {TAG: "office"}}, {TAG: "offices"}, False),
        ({"StringEquals": {"ec2:SourceInstanceARN": "${ec2:SourceInstanceARN}"}}, {"ec2:SourceInstanceARN": "i-1"}, True),
        ({"StringEquals": {"ec2:SourceInstanceARN": "${ec2:SourceInstanceARN}"}}, {}, False),
        ({"StringEquals": {TAG: "${aws:PrincipalTag}"}}, {TAG: "office", "aws:PrincipalTag": "depot"}, False),
        ({"StringLike": {TAG: "off?ce*"}}, {TAG: "office-2"}, True),
        ({"StringLike": {TAG: "*"}}, {}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/a-*"}}, {"aws:SourceArn": "arn:aws:events:r:1:rule/a-b"}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:events:*"}}, {"aws:SourceArn": "arn:aws:events:r:1:rule/a"}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, {"aws:SecureTransport": "True"}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, {"aws:SecureTransport": "false"}, False),
        ({"StringEquals": {TAG: "office"}, "Bool": {"aws:SecureTransport": "true"}}, {TAG: "office"}, False),
        ({"StringEquals": {TAG: "office", "ec2:Region": "r"}}, {TAG: "office", "ec2:Region": "s"}, False),
    ],
)  # fmt: skip
def test_condition_holds_as_iam_has_it(
    condition: dict[str, Any],
    context: dict[str, str],
    holds: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Values are or-ed, keys and operators and-ed, keys know no case; a missing key fails all but Null."""
    grants = _policy({"Condition": condition}).grants(Access("ec2:CreateRoute", TABLE, context))
    assert bool(grants) is holds


@pytest.mark.parametrize(
    "statement",
    [
        {"Condition": {"StringEqualsIfExists": {TAG: "office"}}},
        {"Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}},
        {"NotAction": "ec2:*"},
        {"Effect": "allow"},
        {"Resource": "arn:aws:ec2:*:*:route-table/${aws:PrincipalTag/table}"},
        {"Resource": {"Fn::Join": ["", ["*"]]}},
    ],
)
def test_what_is_not_understood_is_an_error_and_no_answer(statement: dict[str, Any]) -> None:
    """A policy that is richer than the evaluator makes the tests fail, never pass."""
    with pytest.raises(ValueError, match=r"not understood|policy variable"):
        _policy(statement)


def test_intrinsics_resolve_as_cloudformation_would() -> None:
    """Ref, Fn::GetAtt and Fn::Sub; a name that resources.yaml does not have is an error."""
    assert resolve({"Ref": "JournalName"}, NAMES) == "mooring-journal"
    queue = "arn:aws:sqs:eu-west-1:123456789012:mooring-reconcile.fifo"
    assert resolve({"Fn::GetAtt": ["ReconcileQueue", "Arn"]}, NAMES) == queue
    assert resolve({"Fn::Sub": "${ReconcileQueue.Arn} in ${AWS::Region}"}, NAMES) == f"{queue} in eu-west-1"
    with pytest.raises(KeyError):
        resolve({"Fn::GetAtt": ["Queue", "Arn"]}, NAMES)


TEXT = st.text(alphabet="ab-/:.[]()^$\\\n", max_size=12)


@given(TEXT, TEXT)
def test_text_without_wildcards_matches_itself_alone(text: str, other: str) -> None:
    """No character but * and ? means anything."""
    assert like(text, text)
    assert like(text, other) is (text == other)


@given(st.lists(TEXT, min_size=1), st.lists(TEXT, min_size=1))
def test_star_stands_for_any_text_and_for_none(kept: list[str], filled: list[str]) -> None:
    """Whatever fills the gaps between the kept parts, the pattern with stars for gaps matches it."""
    gaps = (filled * len(kept))[: len(kept) - 1]
    text = "".join(part + gap for part, gap in zip(kept, [*gaps, ""], strict=True))
    assert like("*".join(kept), text)
    assert like("*", text)


@given(TEXT, st.data())
def test_question_mark_stands_for_exactly_one_character(text: str, data: st.DataObject) -> None:
    """Not for none, and not for two."""
    place = data.draw(st.integers(0, len(text)))
    pattern = text[:place] + "?" + text[place:]
    assert like(pattern, text[:place] + "x" + text[place:])
    assert not like(pattern, text)
    assert not like(pattern, text[:place] + "xy" + text[place:])


@given(st.lists(st.text(alphabet="ab*", max_size=4), min_size=6, max_size=6), TEXT)
def test_star_in_an_arn_stays_between_its_colons(parts: list[str], tail: str) -> None:
    """Five colons divide an ARN; only its last part may hold more of them."""
    arn = ":".join(part.replace("*", "b") for part in parts) + tail
    assert arn_like(":".join([*parts[:5], "*"]), arn)
    assert not arn_like("a*", arn)
    assert arn_like("*", arn)
