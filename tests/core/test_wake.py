"""What an event asks for is decided from its shape alone, and nothing that could be a secret is said of it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import declaration
from chalicelib.core.machine import Order
from chalicelib.core.wake import (
    NAME,
    TOO_OLD,
    Hook,
    Ignored,
    Notice,
    NoticeKind,
    Sign,
    Wake,
    Whereabouts,
    concerns,
    declares,
    interpret,
    loads,
)
from tests.builders import (
    EIP,
    FOREIGN,
    GATEWAY,
    GROUP,
    NOON,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    ROUTER_TAGS,
    VPC,
    an_id,
    topology,
)
from tests.world.events import state_change

if TYPE_CHECKING:
    from collections.abc import Iterator

# JSON, walked by paths that are known to be there.
Event: TypeAlias = Any

EVENTS = Path(__file__).parent.parent / "events"
ACCOUNT, REGION = "123456789012", "eu-west-1"
ROUTER = "i-1234567890abcdef0"
TOKEN = "87654321-4321-4321-4321-210987654321"
ANNA = "arn:aws:sts::123456789012:assumed-role/Engineer/anna"
CANARY = "c4nary/Wj8-AKIAIOSFODNN7EXAMPLE"

SAMPLES = {path.stem: json.loads(path.read_text()) for path in sorted(EVENTS.glob("*.json"))}


def _read(event: object, now: datetime = NOON) -> Sign:
    return interpret(event, now, ACCOUNT, REGION)


def _about(what: str, *ids: str, notice: Notice | None = None) -> Sign:
    return Sign(what, NOON, ids=frozenset(ids), notice=notice)


def _noticed(kind: NoticeKind, reason: str, hook: Hook | None = None) -> Sign:
    return _about(f"{ROUTER} {reason}", ROUTER, notice=Notice(ROUTER, reason, NOON, hook, kind))


MEANINGS = {
    "scheduled": Sign("tick", NOON),
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
    "parameter-change": Sign("office was declared anew", NOON, topology="office"),
    "ssm-command-invocation": _about(
        "i-0123456789abcdef0 has answered Mooring-ConfigureRouter", "i-0123456789abcdef0"
    ),
    "cloudtrail-replace-route": _about(
        f"ReplaceRoute by {ANNA}", "rtb-1234567890abcdef0", "eni-1234567890abcdef0"
    ),
    "cloudtrail-disassociate-address": _about(f"DisassociateAddress by {ANNA}"),
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
    sign = _read(SAMPLES["scheduled"] | {"time": there})
    assert (sign.at, sign.at.tzinfo) == (NOON, UTC)


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

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
JSON = st.recursive(
    SCALARS | st.sampled_from([NOON.isoformat(), "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["detail", "time", "source", "detail-type", "account"]) | st.text(max_size=8),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


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
    """Give what is said of an event, whether it is understood or ignored."""
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


# -- whom it concerns --------------------------------------------------------------------------------


def test_topology_names_its_own_ids() -> None:
    """VPC, gateway, address, group, tables and subnets are declared; nothing else is."""
    declared = topology(dhcp_options=an_id("dopt", 1))
    for one in (VPC, GATEWAY, EIP, GROUP, PRIVATE_A, PRIVATE_SUBNET_A, an_id("dopt", 1)):
        assert declares(declared, frozenset({one, FOREIGN}))
    assert not declares(declared, frozenset({FOREIGN, an_id("sg", 9), an_id("i", 1)}))
    assert not declares(replace(declared, security_group=None), frozenset({GROUP, ""}) - {""})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Whereabouts(VPC, ROUTER_TAGS), True),
        (Whereabouts(None, ROUTER_TAGS), True),  # a terminated instance
        (Whereabouts(an_id("vpc", 9), ROUTER_TAGS), False),
        (Whereabouts(VPC, {"mooring:router": "branch"}), False),
        (Whereabouts(VPC, {}), False),
        (Whereabouts(VPC), True),  # an interface or a table
        (Whereabouts(an_id("vpc", 9)), False),
        (Whereabouts(None), False),
    ],
)
def test_instance_concerns_by_its_tags_and_anything_else_by_its_vpc(
    found: Whereabouts, *, expected: bool
) -> None:
    """A VPC is full of instances, and only candidates count; its tables and interfaces are few."""
    assert concerns(topology(), found) is expected


def test_name_is_what_a_declaration_allows() -> None:
    """One rule, written in two places that may not import each other's insides."""
    assert NAME.pattern == declaration._NAME.pattern


# -- messages ----------------------------------------------------------------------------------------

LINES = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=40).filter(
    lambda text: not set(text) & set("\n\r\x85\u2028\u2029")
)
MOMENTS = st.datetimes(timezones=st.just(UTC))
HOOKS = st.builds(Hook, LINES, LINES, st.uuids().map(str))
KINDS: tuple[NoticeKind, ...] = ("interruption", "rebalance", "termination", "in-service")
NOTICES = st.builds(Notice, st.just(ROUTER), LINES, MOMENTS, st.none() | HOOKS, kind=st.sampled_from(KINDS))
WAKES = st.builds(
    Wake,
    topology=st.from_regex(NAME, fullmatch=True),
    woken_by=LINES,
    at=MOMENTS,
    to=st.none() | st.just(ROUTER),
    force=st.booleans(),
    request_id=st.none() | st.uuids().map(str),
    notice=st.none() | NOTICES,
    agreed=st.none() | st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    order=st.none()
    | st.builds(
        Order,
        st.sampled_from(["push", "confirm"]),
        st.none() | st.just(ROUTER),
        st.none() | st.integers(60, 3600),
    ),
)


@given(wake=WAKES)
def test_message_comes_back_as_it_was_sent(wake: Wake) -> None:
    """What is put on the queue is what the worker reads."""
    assert loads(wake.dumps()) == wake


def test_message_of_another_version_is_read() -> None:
    """During a deployment both versions read the queue: a field more or less is no poison."""
    body = {"topology": "office", "woken_by": "tick", "at": NOON.isoformat(), "colour": "blue"}
    assert loads(json.dumps(body)) == Wake("office", "tick", NOON)


@pytest.mark.parametrize(
    ("hook", "kind"), [(None, "interruption"), (Hook("office-routers", "handover", TOKEN), "termination")]
)
def test_notice_of_a_version_that_had_no_kinds_gets_one(hook: Hook | None, kind: NoticeKind) -> None:
    """Of a notice on its way during a deployment, its hook tells what it was."""
    wake = Wake("office", "tick", NOON, notice=Notice(ROUTER, "is taken", NOON, hook, "rebalance"))
    body = json.loads(wake.dumps())
    del body["notice"]["kind"]
    assert loads(json.dumps(body)) == replace(wake, notice=Notice(ROUTER, "is taken", NOON, hook, kind))


@pytest.mark.parametrize("kind", ["retirement", "", None, 7, ["rebalance"]])
def test_notice_of_a_kind_that_is_none_is_no_message(kind: object) -> None:
    """What decides who may be the router is not guessed at."""
    body = json.loads(Wake("office", "tick", NOON, notice=Notice(ROUTER, "is taken", NOON)).dumps())
    body["notice"]["kind"] = kind
    with pytest.raises(ValueError, match="no message of Mooring's"):
        loads(json.dumps(body))


@given(body=st.text(max_size=40) | JSON.map(json.dumps))
def test_any_body_is_a_message_or_a_value_error(body: str) -> None:
    """Whatever is put on the queue fails in one way, so that it ends in the dead letters."""
    with pytest.raises(ValueError, match="no message of Mooring's"):
        loads(body)


@pytest.mark.parametrize("field", ["topology", "at", "to", "request_id", "notice", "agreed", "order", CANARY])
def test_error_of_a_message_quotes_nothing_of_it(field: str) -> None:
    """What is wrong is said by kind: the text of a message may be anything."""
    body = {"topology": "office", "woken_by": "tick", "at": "soon", "notice": None} | {field: CANARY}
    with pytest.raises(ValueError, match="no message of Mooring's") as error:
        loads(json.dumps(body))
    assert CANARY not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


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


@pytest.mark.parametrize(
    "order",
    [{"kind": "pull"}, {"kind": "push", "to": "i-1; reboot"}, {"kind": "push", "confirm_within": "5m"}, 7],
)
def test_an_order_that_is_none_is_no_message(order: object) -> None:
    """What reaches machines is read as strictly as what reaches the network."""
    body = {"topology": "office", "woken_by": "tick", "at": NOON.isoformat(), "order": order}
    with pytest.raises(ValueError, match="no message of Mooring's"):
        loads(json.dumps(body))
