"""What an event asks for is decided from its shape alone, and nothing that could be a secret is said of it."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.messages.event import Ignored, Trigger, interpret
from chalicelib.core.network.notice import TOO_OLD, Hook, Notice
from tests.builders import NOON
from tests.core.anything import JSON
from tests.fake_aws.events import state_change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.core.network.notice import NoticeKind

# JSON, walked by paths that are known to be there.
Event: TypeAlias = Any

EVENTS = Path(__file__).parents[2] / "events"
ACCOUNT, REGION = "123456789012", "eu-west-1"
ROUTER = "i-1234567890abcdef0"
TOKEN = "87654321-4321-4321-4321-210987654321"
ANNA = "arn:aws:sts::123456789012:assumed-role/Engineer/anna"
CANARY = "c4nary/Wj8-AKIAIOSFODNN7EXAMPLE"

SAMPLES = {path.stem: json.loads(path.read_text()) for path in sorted(EVENTS.glob("*.json"))}


def _read(event: object, now: datetime = NOON) -> Trigger:
    return interpret(event, now, ACCOUNT, REGION)


def _about(what: str, *ids: str, notice: Notice | None = None) -> Trigger:
    return Trigger(what, NOON, ids=frozenset(ids), notice=notice)


def _edit(call: str, *ids: str, tag_keys: frozenset[str] | None = None) -> Trigger:
    return Trigger(f"{call} by {ANNA}", NOON, ids=frozenset(ids), edit=True, tag_keys=tag_keys)


def _noticed(kind: NoticeKind, reason: str, hook: Hook | None = None) -> Trigger:
    return _about(f"{ROUTER} {reason}", ROUTER, notice=Notice(ROUTER, reason, NOON, hook, kind))


MEANINGS = {
    "scheduled": Trigger("tick", NOON),
    "ec2-state-change": _about(f"{ROUTER} is terminated", ROUTER),
    "spot-interruption": _noticed("interruption", "gets a Spot terminate in two minutes"),
    "spot-rebalance": _noticed("rebalance", "has a Spot rebalance recommendation"),
    "asg-launch-lifecycle": _about(f"{ROUTER}: EC2 Instance-launch Lifecycle Action", ROUTER),
    "asg-terminate-lifecycle": _noticed(
        "termination",
        "is being terminated by its Auto Scaling group",
        Hook("office-routers", "handover", TOKEN),
    ),
    "asg-launch-successful": _noticed("in-service", "is in service in its Auto Scaling group"),
    "asg-launch-unsuccessful": _about(f"{ROUTER}: EC2 Instance Launch Unsuccessful", ROUTER),
    "asg-terminate-successful": _about(f"{ROUTER}: EC2 Instance Terminate Successful", ROUTER),
    "asg-terminate-unsuccessful": _about(f"{ROUTER}: EC2 Instance Terminate Unsuccessful", ROUTER),
    "parameter-change": Trigger("office was declared anew", NOON, topology="office"),
    "ssm-command-invocation": _about(
        "i-0123456789abcdef0 has answered Mooring-ConfigureRouter", "i-0123456789abcdef0"
    ),
    "cloudtrail-replace-route": _edit("ReplaceRoute", "rtb-1234567890abcdef0", "eni-1234567890abcdef0"),
    "cloudtrail-disassociate-address": _edit("DisassociateAddress", "eipassoc-1234567890abcdef0"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_event_in_aws_shape_is_understood(name: str) -> None:
    """Every event that the rules let through says what it is about, and nothing more is taken from it."""
    assert _read(SAMPLES[name]) == MEANINGS[name]


def test_embedded_aws_sends_the_samples_shape() -> None:
    """The world's events and the samples were written by different hands, and have the same keys."""
    sent, known = state_change(REGION, ROUTER, "running"), SAMPLES["ec2-state-change"]
    assert (sent.keys(), sent["detail"].keys()) == (known.keys(), known["detail"].keys())


def test_instance_is_never_read_out_of_the_resources() -> None:
    """A Spot warning's ARN has no account and a zone for a region: nothing in it counts."""
    event = SAMPLES["spot-interruption"] | {
        "resources": ["arn:aws:ec2:eu-west-1a:instance/i-00000000000000009"]
    }
    assert _read(event).ids == {ROUTER}


def test_call_by_nobody_known_is_by_somebody() -> None:
    """Who it was is quoted only when it is an IAM or STS ARN."""
    event = copy.deepcopy(SAMPLES["cloudtrail-replace-route"])
    event["detail"]["userIdentity"]["arn"] = CANARY
    assert _read(event).what == "ReplaceRoute by somebody"
    del event["detail"]["userIdentity"]
    assert _read(event).what == "ReplaceRoute by somebody"


# The shapes of requestParameters are CloudTrail's for EC2: small first letters, lists as *Set.items; calls of EC2's newer
# kind are wrapped and keep their capitals.
EDITS: dict[str, tuple[Event, Trigger]] = {
    "TerminateInstances": (
        {"instancesSet": {"items": [{"instanceId": ROUTER}, {"instanceId": "i-00000000000000009"}]}},
        _edit("TerminateInstances", ROUTER, "i-00000000000000009"),
    ),
    "AssociateAddress": (
        {"publicIp": "203.0.113.7", "networkInterfaceId": "eni-12345678", "privateIpAddress": "10.0.0.8"},
        _edit("AssociateAddress", "203.0.113.7", "eni-12345678"),
    ),
    "DetachNetworkInterface": (
        {"attachmentId": "eni-attach-1234567890abcdef0", "force": True},
        _edit("DetachNetworkInterface", "eni-attach-1234567890abcdef0"),
    ),
    "ReplaceRouteTableAssociation": (
        {"associationId": "rtbassoc-12345678", "routeTableId": "rtb-12345678"},
        _edit("ReplaceRouteTableAssociation", "rtbassoc-12345678", "rtb-12345678"),
    ),
    "ModifyNetworkInterfaceAttribute": (
        {"networkInterfaceId": "eni-12345678", "groupSet": {"items": [{"groupId": "sg-12345678"}]}},
        _edit("ModifyNetworkInterfaceAttribute", "eni-12345678", "sg-12345678"),
    ),
    "ModifySecurityGroupRules": (
        {"ModifySecurityGroupRulesRequest": {"GroupId": "sg-12345678", "SecurityGroupRule": {"tag": 1}}},
        _edit("ModifySecurityGroupRules", "sg-12345678"),
    ),
    "DeleteTags": (
        {
            "resourcesSet": {"items": [{"resourceId": ROUTER}, {"resourceId": "vol-12345678"}]},
            "tagSet": {"items": [{"key": "mooring:router", "value": "office"}, {"key": "Name"}]},
        },
        _edit("DeleteTags", ROUTER, "vol-12345678", tag_keys=frozenset({"mooring:router", "Name"})),
    ),
    "CreateTags": (
        {"resourcesSet": {"items": [{"resourceId": ROUTER}]}},
        _edit("CreateTags", ROUTER, tag_keys=frozenset()),
    ),
}


@pytest.mark.parametrize("call", EDITS)
def test_call_mentions_all_that_its_parameters_do(call: str) -> None:
    """However deep they are nested: ids of any kind, public addresses, and the keys of tags that are set or taken."""
    event = copy.deepcopy(SAMPLES["cloudtrail-replace-route"])
    event["detail"] |= {"eventName": call, "requestParameters": EDITS[call][0]}
    assert _read(event) == EDITS[call][1]


@pytest.mark.parametrize("address", ["10.0.0.0/24", "router", "203.0.113.7 ", ""])
def test_what_is_no_address_is_none_that_is_mentioned(address: str) -> None:
    """What is looked for in AWS has the shape of what AWS knows."""
    event = copy.deepcopy(SAMPLES["cloudtrail-replace-route"])
    event["detail"]["requestParameters"] = {"publicIp": address}
    assert _read(event).ids == frozenset()


@pytest.mark.parametrize("late", [TOO_OLD, -TOO_OLD])
def test_event_of_another_time_is_ignored(late: timedelta) -> None:
    """A quarter of an hour either way; to the second."""
    assert _read(SAMPLES["scheduled"], NOON + late).what == "tick"
    beyond = NOON + late + timedelta(seconds=1 if late > timedelta(0) else -1)
    with pytest.raises(Ignored, match="of another time"):
        _read(SAMPLES["scheduled"], beyond)


def test_time_of_another_zone_is_the_same_moment() -> None:
    """Whatever zone it is written in, it is kept in UTC."""
    there = NOON.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    trigger = _read(SAMPLES["scheduled"] | {"time": there})
    assert (trigger.at, trigger.at.tzinfo) == (NOON, UTC)


@pytest.mark.parametrize("token", ["", "short", TOKEN + "0", "g" * 36])
def test_hook_with_a_token_that_aws_would_refuse_is_malformed(token: str) -> None:
    """CompleteLifecycleAction takes 36 characters: what could never be completed is never noted."""
    event = copy.deepcopy(SAMPLES["asg-terminate-lifecycle"])
    event["detail"]["LifecycleActionToken"] = token
    with pytest.raises(Ignored, match="LifecycleActionToken"):
        _read(event)


@pytest.mark.parametrize("action", ["hibernate", "stop", "terminate"])
def test_spot_warning_of_any_action_is_an_interruption(action: str) -> None:
    """Stopped, hibernated or ended: in two minutes it carries nothing."""
    event = copy.deepcopy(SAMPLES["spot-interruption"])
    event["detail"]["instance-action"] = action
    notice = _read(event).notice
    assert notice is not None
    assert (notice.kind, notice.reason) == ("interruption", f"gets a Spot {action} in two minutes")


def test_launch_into_a_warm_pool_puts_nothing_in_service() -> None:
    """What is launched to wait there is looked at, and what was said of it before stands."""
    event = copy.deepcopy(SAMPLES["asg-launch-successful"])
    event["detail"]["Destination"] = "WarmPool"
    assert _read(event).notice is None
    del event["detail"]["Destination"]  # as before there were warm pools
    notice = _read(event).notice
    assert notice is not None
    assert notice.kind == "in-service"


# -- any JSON whatever -------------------------------------------------------------------------------


@given(event=JSON)
def test_any_json_is_understood_or_ignored(event: object) -> None:
    """Nothing that can be written as JSON raises anything but Ignored: an event that fails is tried again in vain."""
    with_reason(event)


@given(data=st.data(), name=st.sampled_from(sorted(SAMPLES)))
def test_sample_with_anything_in_one_place_is_understood_or_ignored(data: st.DataObject, name: str) -> None:
    """Nor does an event that is right but for one field, one missing, or one too many."""
    event = copy.deepcopy(SAMPLES[name])
    path = data.draw(st.sampled_from(list(_places(event))))
    _replace(event, path, data.draw(JSON))
    with_reason(event)


@pytest.mark.parametrize("name", SAMPLES)
def test_secret_anywhere_in_an_event_is_nowhere_in_what_is_said_of_it(name: str) -> None:
    """Planted in each field in turn, alone and beside what belongs there; only a hook's own names are kept, unsaid."""
    for path in _places(SAMPLES[name]):
        for planted in (CANARY, f"{_at(SAMPLES[name], path)} {CANARY}", {CANARY: CANARY}, [CANARY]):
            event = copy.deepcopy(SAMPLES[name])
            _replace(event, path, planted)
            assert CANARY not in with_reason(event), path


def with_reason(event: object) -> str:
    """Return what is said of an event, whether it is understood or ignored."""
    try:
        return _read(event).what
    except Ignored as ignored:
        return str(ignored)


def _places(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """List the path of every field."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*path, key))


def _at(event: Event, path: tuple[str, ...]) -> object:
    for key in path:
        event = event[key]
    return event


def _replace(event: Event, path: tuple[str, ...], value: object) -> None:
    for key in path[:-1]:
        event = event[key]
    event[path[-1]] = value


@pytest.mark.parametrize(
    "change",
    [
        {"document-name": "AWS-RunShellScript"},
        {"status": "InProgress"},
        {"document-name": "Mooring-ConfigureRouterX"},
    ],
)
def test_a_command_that_is_none_of_ours_or_goes_on_wakes_nobody(change: dict[str, str]) -> None:
    """Only the end of our own commands brings anything to look at."""
    event = copy.deepcopy(SAMPLES["ssm-command-invocation"])
    event["detail"] |= change
    with pytest.raises(Ignored, match="none of ours"):
        _read(event)
