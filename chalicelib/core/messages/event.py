"""Reads an event in AWS's shape: what happened, and what it mentions; what it says is never acted on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from chalicelib.core.fields import INSTANCE, NAME, UUID, moment
from chalicelib.core.network.notice import TOO_OLD, Hook, Notice
from chalicelib.core.tunnel.documents import DOCUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.core.network.notice import NoticeKind

PARAMETERS = "/mooring/topologies/"

_ID = re.compile(r"\b[a-z]{1,12}(?:-[a-z]{1,12}){0,2}-(?:[0-9a-f]{8}|[0-9a-f]{17})\b", re.ASCII)
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
_WORDS = re.compile(
    r"(?:EC2 )?[A-Za-z][A-Za-z ./-]{0,63}|aws\.[a-z0-9]{2,20}|\d{12}|[a-z]{2}(?:-[a-z]+)+-\d", re.ASCII
)
_WHO = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::\d{12}:[\w+=,.@/-]{1,200}", re.ASCII)
_STATES = ("pending", "running", "stopping", "stopped", "shutting-down", "terminated")
_ENDED = ("Success", "Failed", "TimedOut", "Cancelled", "Undeliverable", "Terminated")
_IN_SERVICE = (None, "AutoScalingGroup")
"""Where a launch may end for the instance to serve; one that ends in a warm pool does not."""

_TAGGING = ("CreateTags", "DeleteTags")
_CERTIFICATE = re.compile(r"/mooring/([^/]+)/certificate")
_WRITTEN = {"Create": "was declared", "Update": "was declared anew"}


class Ignored(Exception):  # noqa: N818 - it is no error that an event concerns nobody
    """An event that wakes nobody. The message says why, and quotes nothing that could be a secret."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What an event is about. Nothing in it is acted on but a notice; who is concerned is decided by looking.

    Attributes:
        what: the event in a few words, for the report and the journal.
        at: when AWS says it happened, UTC.
        topology: the one topology it names, if it names one.
        ids: the AWS ids and public addresses it mentions; none and no topology means that anybody may be concerned.
        edit: whether it is somebody's API call, which may concern what it mentions however that looks by now.
        tag_keys: of a call that sets or takes tags, the tags' keys; none at all means all of the resource's.
        notice: AWS's word on what becomes of an instance.
    """

    what: str
    at: datetime
    topology: str | None = None
    ids: frozenset[str] = frozenset()
    edit: bool = False
    tag_keys: frozenset[str] | None = None
    notice: Notice | None = None


def interpret(event: object, now: datetime, account: str, region: str) -> Trigger:
    """Read an EventBridge event in AWS's shape (the EventBridge events reference; keys differ by source).

    Raises:
        Ignored: malformed, replayed, old, of another account or region, or of no kind that concerns Mooring.
    """
    envelope = _Fields(event, "an event")
    source, kind = envelope.text("source"), envelope.text("detail-type")
    place, at = (envelope.text("account"), envelope.text("region")), envelope.time("time")
    detail = _Fields(envelope.get("detail"), f"the detail of {_shown(kind)}")
    if envelope.has("replay-name"):
        raise Ignored("replayed from an archive")
    if place != (account, region):
        raise Ignored(f"of another place: account {_shown(place[0])}, region {_shown(place[1])}")
    if abs(now - at) > TOO_OLD:
        raise Ignored(f"of another time: it happened at {at.isoformat()}")
    return _trigger(source, kind, detail, at)


def _trigger(source: str, kind: str, detail: _Fields, at: datetime) -> Trigger:
    match source, kind:
        case "aws.events", "Scheduled Event":
            return Trigger("tick", at)
        case "aws.ec2", "EC2 Instance State-change Notification":
            instance_id = detail.match("instance-id", INSTANCE)
            return Trigger(
                f"{instance_id} is {detail.one_of('state', _STATES)}", at, ids=frozenset({instance_id})
            )
        case "aws.ec2", "EC2 Spot Instance Interruption Warning":
            action = detail.one_of("instance-action", ("hibernate", "stop", "terminate"))
            return _noticed(detail.match("instance-id", INSTANCE), f"gets a Spot {action} in two minutes", at)
        case "aws.ec2", "EC2 Instance Rebalance Recommendation":
            instance_id = detail.match("instance-id", INSTANCE)
            return _noticed(instance_id, "has a Spot rebalance recommendation", at, kind="rebalance")
        case "aws.ec2", "AWS API Call via CloudTrail":
            return _api_call(detail, at)
        case "aws.autoscaling", _:
            return _from_auto_scaling(kind, detail, at)
        case "aws.ssm", _:
            return _from_systems_manager(kind, detail, at)
        case _:
            raise Ignored(f"of no kind that concerns Mooring: {_shown(source)}: {_shown(kind)}")


def _from_auto_scaling(kind: str, detail: _Fields, at: datetime) -> Trigger:
    match kind:
        case "EC2 Instance-terminate Lifecycle Action":
            hook = Hook(
                detail.text("AutoScalingGroupName"),
                detail.text("LifecycleHookName"),
                detail.match("LifecycleActionToken", UUID),
            )
            instance_id = detail.match("EC2InstanceId", INSTANCE)
            said = "is being terminated by its Auto Scaling group"
            return _noticed(instance_id, said, at, hook, kind="termination")
        case (
            "EC2 Instance-launch Lifecycle Action"
            | "EC2 Instance Launch Successful"
            | "EC2 Instance Launch Unsuccessful"
            | "EC2 Instance Terminate Successful"
            | "EC2 Instance Terminate Unsuccessful"
        ):
            if detail.get("EC2InstanceId") in ("", None):  # so when EC2 refused the launch
                raise Ignored(f"{kind}: there is no instance to look at")
            instance_id = detail.match("EC2InstanceId", INSTANCE)
            if kind == "EC2 Instance Launch Successful" and detail.get("Destination") in _IN_SERVICE:
                return _noticed(instance_id, "is in service in its Auto Scaling group", at, kind="in-service")
            return Trigger(f"{instance_id}: {kind}", at, ids=frozenset({instance_id}))
        case _:
            raise Ignored(f"of no kind that concerns Mooring: aws.autoscaling: {_shown(kind)}")


def _from_systems_manager(kind: str, detail: _Fields, at: datetime) -> Trigger:
    match kind:
        case "Parameter Store Change":
            return _declared(detail, at)
        case "EC2 Command Invocation Status-change Notification":
            return _answered(detail, at)
        case _:
            raise Ignored(f"of no kind that concerns Mooring: aws.ssm: {_shown(kind)}")


def _declared(detail: _Fields, at: datetime) -> Trigger:
    """Read a change of a parameter: what was deleted, or got a label, asks for nothing."""
    name, operation = detail.text("name"), detail.text("operation")
    topology, what = name.removeprefix(PARAMETERS), _WRITTEN
    if renewed := _CERTIFICATE.fullmatch(name):
        topology, what = renewed[1], dict.fromkeys(_WRITTEN, "has other secrets")
    if topology == name or not NAME.fullmatch(topology):
        raise Ignored("a parameter that declares no topology")
    if operation not in _WRITTEN:
        raise Ignored(f"{name}: {_shown(operation)} asks for nothing")
    return Trigger(f"{topology} {what[operation]}", at, topology=topology)


def _answered(detail: _Fields, at: datetime) -> Trigger:
    """Read that a command of ours has ended on a machine; what it brought is looked up, not taken from here."""
    document = detail.text("document-name").rpartition("/")[2]
    status = detail.text("status")
    if document not in DOCUMENTS or status not in _ENDED:
        raise Ignored(f"a command that is none of ours, or has not ended: {_shown(status)}")
    instance_id = detail.match("instance-id", INSTANCE)
    return Trigger(f"{instance_id} has answered {document}", at, ids=frozenset({instance_id}))


def _api_call(detail: _Fields, at: datetime) -> Trigger:
    """Read an API call: whatever its parameters mention, at any depth, may be what it changed."""
    identity = detail.get("userIdentity")
    arn = cast("dict[str, object]", identity).get("arn") if isinstance(identity, dict) else None
    who = arn if isinstance(arn, str) and _WHO.fullmatch(arn) else "somebody"
    parameters = detail.get("requestParameters")
    if not isinstance(parameters, dict):
        raise Ignored("malformed: an API call without requestParameters")
    call = detail.match("eventName", re.compile(r"[A-Za-z]{1,64}"))
    texts = list(_texts(cast("object", parameters)))
    ids = {one for _, text in texts for one in _ID.findall(text)}
    ids |= {text for name, text in texts if name == "publicip" and _ADDRESS.fullmatch(text)}
    keys = frozenset(text for name, text in texts if name == "key") if call in _TAGGING else None
    return Trigger(f"{call} by {who}", at, ids=frozenset(ids), edit=True, tag_keys=keys)


def _texts(value: object) -> Iterator[tuple[str, str]]:
    """List every text of a JSON value with the name of the field it stands in, in small letters, at any depth."""
    rest = [("", value)]
    while rest:
        name, inner = rest.pop()
        if isinstance(inner, str):
            yield name, inner
        elif isinstance(inner, dict):
            rest += [(key.lower(), field) for key, field in cast("dict[str, object]", inner).items()]
        elif isinstance(inner, list):
            rest += [(name, item) for item in cast("list[object]", inner)]


def _noticed(
    instance_id: str,
    reason: str,
    at: datetime,
    hook: Hook | None = None,
    *,
    kind: NoticeKind = "interruption",
) -> Trigger:
    notice = Notice(instance_id, reason, at, hook, kind)
    return Trigger(f"{instance_id} {reason}", at, ids=frozenset({instance_id}), notice=notice)


class _Fields:
    """A JSON object from outside: gives its fields by name and type, or says which is not as AWS sends it."""

    def __init__(self, value: object, what: str) -> None:
        self._what = what
        if not isinstance(value, dict):
            raise Ignored(f"malformed: {what} is no object")
        self._fields = cast("dict[str, object]", value)

    def has(self, key: str) -> bool:
        return key in self._fields

    def get(self, key: str) -> object:
        return self._fields.get(key)

    def text(self, key: str) -> str:
        value = self._fields.get(key)
        if not isinstance(value, str) or not 1 <= len(value) <= 1024:
            raise self._malformed(key)
        return value

    def match(self, key: str, pattern: re.Pattern[str]) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise self._malformed(key)
        return value

    def one_of(self, key: str, words: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in words:
            raise self._malformed(key)
        return value

    def time(self, key: str) -> datetime:
        try:
            return moment(self.text(key)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise self._malformed(key) from None

    def _malformed(self, key: str) -> Ignored:
        return Ignored(f"malformed: {self._what} has no proper {key}")


def _shown(value: str) -> str:
    """Quote words, an account or a region; anything else might be what a log must not hold."""
    return value if _WORDS.fullmatch(value) else "(not shown)"
