"""Decides what an event asks for: who should look, never what to do; an event is only a wake-up."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from chalicelib.core.document import DOCUMENTS
from chalicelib.core.machine import Order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.core.topology import Topology

TOO_OLD = timedelta(minutes=15)
"""EventBridge may deliver an event up to 24 hours late; after this long some tick has looked already."""

PARAMETERS = "/mooring/topologies/"

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""What a topology may be called, as `declaration` has it."""

INSTANCE = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")

_ID = re.compile(r"\b(?:i|eni|eipalloc|rtb|sg|subnet|vpc|dopt|igw)-(?:[0-9a-f]{8}|[0-9a-f]{17})\b")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DIGEST = re.compile(r"[0-9a-f]{32}")
_WORDS = re.compile(
    r"(?:EC2 )?[A-Za-z][A-Za-z ./-]{0,63}|aws\.[a-z0-9]{2,20}|\d{12}|[a-z]{2}(?:-[a-z]+)+-\d", re.ASCII
)
_LINE = re.compile(r".{1,1024}")
_WHO = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::\d{12}:[\w+=,.@/-]{1,200}", re.ASCII)
_STATES = ("pending", "running", "stopping", "stopped", "shutting-down", "terminated")
_ENDED = ("Success", "Failed", "TimedOut", "Cancelled", "Undeliverable", "Terminated")
_IN_SERVICE = (None, "AutoScalingGroup")
"""Where a launch may end for the instance to serve; one that ends in a warm pool does not."""

_CERTIFICATE = re.compile(r"/mooring/([^/]+)/certificate")
_WRITTEN = {"Create": "was declared", "Update": "was declared anew"}


class Ignored(Exception):  # noqa: N818 - it is no error that an event concerns nobody
    """An event that wakes nobody. The message says why, and quotes nothing that could be a secret."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A lifecycle hook that keeps a terminating instance until somebody completes it, or its timeout does."""

    group: str
    name: str
    token: str


NoticeKind: TypeAlias = Literal["interruption", "rebalance", "termination", "in-service"]


@dataclass(frozen=True, slots=True)
class Notice:
    """AWS's word on what becomes of an instance, and the hook that waits for us, if one does.

    Attributes:
        instance_id: the instance.
        reason: the word itself, to be read after the instance's id.
        at: when AWS says it was given, UTC.
        hook: the lifecycle hook that keeps the instance for us.
        kind: `interruption`: Spot takes it in two minutes. `rebalance`: Spot may take it, some day or never.
            `termination`: its Auto Scaling group is ending it. `in-service`: its group has it in service, whatever
            was said before.
    """

    instance_id: str
    reason: str
    at: datetime
    hook: Hook | None = None
    kind: NoticeKind = "interruption"


@dataclass(frozen=True, slots=True)
class Sign:
    """What an event is about. Nothing in it is acted on but a notice; who is concerned is decided by looking.

    Attributes:
        what: the event in a few words, for the report and the journal.
        at: when AWS says it happened, UTC.
        topology: the one topology it names, if it names one.
        ids: the AWS ids it mentions; none and no topology means that everybody is concerned.
        notice: AWS's word on what becomes of an instance.
    """

    what: str
    at: datetime
    topology: str | None = None
    ids: frozenset[str] = frozenset()
    notice: Notice | None = None


def interpret(event: object, now: datetime, account: str, region: str) -> Sign:
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
    return _sign(source, kind, detail, at)


def _sign(source: str, kind: str, detail: _Fields, at: datetime) -> Sign:
    match source, kind:
        case "aws.events", "Scheduled Event":
            return Sign("tick", at)
        case "aws.ec2", "EC2 Instance State-change Notification":
            instance_id = detail.match("instance-id", INSTANCE)
            return Sign(
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


def _from_auto_scaling(kind: str, detail: _Fields, at: datetime) -> Sign:
    match kind:
        case "EC2 Instance-terminate Lifecycle Action":
            hook = Hook(
                detail.text("AutoScalingGroupName"),
                detail.text("LifecycleHookName"),
                detail.match("LifecycleActionToken", _UUID),
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
            return Sign(f"{instance_id}: {kind}", at, ids=frozenset({instance_id}))
        case _:
            raise Ignored(f"of no kind that concerns Mooring: aws.autoscaling: {_shown(kind)}")


def _from_systems_manager(kind: str, detail: _Fields, at: datetime) -> Sign:
    match kind:
        case "Parameter Store Change":
            return _declared(detail, at)
        case "EC2 Command Invocation Status-change Notification":
            return _answered(detail, at)
        case _:
            raise Ignored(f"of no kind that concerns Mooring: aws.ssm: {_shown(kind)}")


def _declared(detail: _Fields, at: datetime) -> Sign:
    """Read a change of a parameter: what was deleted, or got a label, asks for nothing."""
    name, operation = detail.text("name"), detail.text("operation")
    topology, what = name.removeprefix(PARAMETERS), _WRITTEN
    if renewed := _CERTIFICATE.fullmatch(name):
        topology, what = renewed[1], dict.fromkeys(_WRITTEN, "has other secrets")
    if topology == name or not NAME.fullmatch(topology):
        raise Ignored("a parameter that declares no topology")
    if operation not in _WRITTEN:
        raise Ignored(f"{name}: {_shown(operation)} asks for nothing")
    return Sign(f"{topology} {what[operation]}", at, topology=topology)


def _answered(detail: _Fields, at: datetime) -> Sign:
    """Read that a command of ours has ended on a machine; what it brought is looked up, not taken from here."""
    document = detail.text("document-name").rpartition("/")[2]
    status = detail.text("status")
    if document not in DOCUMENTS or status not in _ENDED:
        raise Ignored(f"a command that is none of ours, or has not ended: {_shown(status)}")
    instance_id = detail.match("instance-id", INSTANCE)
    return Sign(f"{instance_id} has answered {document}", at, ids=frozenset({instance_id}))


def _api_call(detail: _Fields, at: datetime) -> Sign:
    """Read an API call; one that mentions no id that we know how to look for may concern anybody."""
    identity = detail.get("userIdentity")
    arn = cast("dict[str, object]", identity).get("arn") if isinstance(identity, dict) else None
    who = arn if isinstance(arn, str) and _WHO.fullmatch(arn) else "somebody"
    parameters = detail.get("requestParameters")
    if not isinstance(parameters, dict):
        raise Ignored("malformed: an API call without requestParameters")
    call = detail.match("eventName", re.compile(r"[A-Za-z]{1,64}"))
    return Sign(f"{call} by {who}", at, ids=frozenset(_ID.findall(str(cast("object", parameters)))))


def _noticed(
    instance_id: str,
    reason: str,
    at: datetime,
    hook: Hook | None = None,
    *,
    kind: NoticeKind = "interruption",
) -> Sign:
    notice = Notice(instance_id, reason, at, hook, kind)
    return Sign(f"{instance_id} {reason}", at, ids=frozenset({instance_id}), notice=notice)


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
            return _moment(self.text(key)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise self._malformed(key) from None

    def _malformed(self, key: str) -> Ignored:
        return Ignored(f"malformed: {self._what} has no proper {key}")


def _shown(value: str) -> str:
    """Quote words, an account or a region; anything else might be what a log must not hold."""
    return value if _WORDS.fullmatch(value) else "(not shown)"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a mentioned resource lives.

    Attributes:
        vpc_id: its VPC; a terminated instance has none.
        tags: an instance's; None for anything else.
    """

    vpc_id: str | None
    tags: Mapping[str, str] | None = None


def declares(topology: Topology, ids: frozenset[str]) -> bool:
    """Say whether a topology names any of these ids itself."""
    named = {topology.vpc_id, topology.internet_gateway, topology.elastic_ip}
    named |= {topology.security_group or "", topology.dhcp_options or ""}
    named |= {t.selector for t in topology.tables if isinstance(t.selector, str)}
    named |= {subnet for table in topology.tables for subnet in table.subnets}
    return not named.isdisjoint(ids)


def concerns(topology: Topology, found: Whereabouts) -> bool:
    """Say whether a resource concerns a topology: an instance as a candidate, anything else by its VPC."""
    if found.vpc_id not in (None, topology.vpc_id):
        return False
    if found.tags is None:
        return found.vpc_id is not None
    return any(tags.match(dict(found.tags)) for tags in topology.candidates)


@dataclass(frozen=True, slots=True)
class Wake:
    """One message on the queue: who should look, why, and what an operator wishes.

    `at` is when the cause happened, UTC; `request_id` lets the one who asked find the report; `agreed` is the
    `change.digest` of the plan that an operator consented to; `order` is what an operator asks of the machines.
    """

    topology: str
    woken_by: str
    at: datetime
    to: str | None = None
    force: bool = False
    request_id: str | None = None
    notice: Notice | None = None
    agreed: str | None = None
    order: Order | None = None

    def dumps(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self), default=datetime.isoformat)


def loads(body: str) -> Wake:
    """Read a message back; one of another version may have fields more or less.

    Raises:
        ValueError: it is none of ours; says why, and quotes nothing of it.
    """
    try:
        raw = json.loads(body)
        wake = Wake(
            topology=_matched(raw["topology"], NAME),
            woken_by=_matched(raw["woken_by"], _LINE),
            at=_moment(raw["at"]),
            to=raw.get("to") and _matched(raw["to"], INSTANCE),
            force=raw.get("force") is True,
            request_id=raw.get("request_id") and _matched(raw["request_id"], _UUID),
            notice=raw.get("notice") and read_notice(raw["notice"]),
            order=raw.get("order") and _order(raw["order"]),
            agreed=None if raw.get("agreed") is None else _matched(raw["agreed"], _DIGEST),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"no message of Mooring's ({type(error).__name__})") from None
    return wake


def _order(raw: dict[str, Any]) -> Order:
    within = raw.get("confirm_within")
    if raw["kind"] not in ("push", "confirm") or not (within is None or isinstance(within, int)):
        raise ValueError
    return Order(raw["kind"], raw.get("to") and _matched(raw["to"], INSTANCE), within)


def read_notice(raw: dict[str, Any]) -> Notice:
    """Read a notice of its fields, as a message or the journal has it; one that names no kind is an older version's.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    hook = raw.get("hook")
    kind = raw.get("kind", "termination" if hook else "interruption")
    if kind not in get_args(NoticeKind):
        raise ValueError
    return Notice(
        instance_id=_matched(raw["instance_id"], INSTANCE),
        reason=_matched(raw["reason"], _LINE),
        at=_moment(raw["at"]),
        hook=hook
        and Hook(
            _matched(hook["group"], _LINE), _matched(hook["name"], _LINE), _matched(hook["token"], _UUID)
        ),
        kind=kind,
    )


def _moment(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError
    return at


def _matched(value: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(value):
        raise ValueError
    return value
