"""What goes wrong at AWS: calls that are denied, throttled, failed, delayed, lost or answered from the past.

Faults meet the product's calls only (`by="product"`), unless asked otherwise (`by="*"`): whoever holds a
hand client judges the world and must be able to see.
"""

from __future__ import annotations

import fnmatch
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from .wire import Protocol, Reply, Request, refusal

if TYPE_CHECKING:
    from moto.ec2.models import EC2Backend

When: TypeAlias = Callable[[dict[str, Any]], bool]
Refusal: TypeAlias = Callable[[Request], Reply]


@dataclass(eq=False)
class Fault:
    """One thing that goes wrong with the calls it matches, until stopped or used up."""

    operation: str
    when: When | None = None
    times: int | None = None
    by: str = "product"
    hits: int = 0
    stopped: bool = False

    def matches(self, request: Request) -> bool:
        """Return whether this call is hit; a predicate that misses a parameter is not true."""
        if self.stopped or (self.times is not None and self.hits >= self.times):
            return False
        if not fnmatch.fnmatchcase(request.operation, self.operation):
            return False
        if not fnmatch.fnmatchcase(request.by, self.by):
            return False
        try:
            return self.when is None or self.when(request.params)
        except KeyError:
            return False

    def stop(self) -> None:
        """Let the calls through from now on."""
        self.stopped = True


@dataclass(eq=False)
class Refuse(Fault):
    """The call changes nothing and gets an error."""

    reply: Refusal = field(kw_only=True)


@dataclass(eq=False)
class Lose(Fault):
    """The call is carried out and its reply never arrives."""


@dataclass(eq=False)
class Delay(Fault):
    """The call takes longer."""

    seconds: float = field(kw_only=True)


@dataclass(eq=False)
class Stale(Fault):
    """The call is answered from the past: EC2 as it was when the fault began."""

    past: EC2Backend = field(kw_only=True)


@dataclass(eq=False)
class Bucket(Refuse):
    """EC2's token buckets, one for each mutating API (aws.md 2.5): empty means refused."""

    capacity: float = field(kw_only=True)
    refill: float = field(kw_only=True)
    _tokens: dict[str, tuple[float, float]] = field(default_factory=dict, kw_only=True)

    def matches(self, request: Request) -> bool:
        """Take a token for a mutating EC2 call; hit it when there is none."""
        if request.protocol is not Protocol.EC2 or not request.write or not super().matches(request):
            return False
        capacity = (
            self.capacity * 2 if request.operation == "ModifyNetworkInterfaceAttribute" else self.capacity
        )
        now = time.monotonic()
        tokens, then = self._tokens.get(request.operation, (capacity, now))
        tokens = min(capacity, tokens + (now - then) * self.refill)
        empty = tokens < 1
        self._tokens[request.operation] = (tokens if empty else tokens - 1, now)
        return empty


class Faults:
    """The faults in force; the oldest that matches a call is the one that hits it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """Stop them all."""
        with self._lock:
            for fault in self._faults:
                fault.stop()
            self._faults.clear()

    def delay(self, request: Request) -> float:
        """Add up the seconds that this call must wait."""
        with self._lock:
            hits = [fault for fault in self._faults if isinstance(fault, Delay) and fault.matches(request)]
            for fault in hits:
                fault.hits += 1
            return sum(fault.seconds for fault in hits)

    def refusal(self, request: Request) -> Reply | None:
        """Return what error this call gets, if any."""
        fault = self._hit(Refuse, request)
        return fault.reply(request) if isinstance(fault, Refuse) else None

    def past(self, request: Request) -> EC2Backend | None:
        """Return which past answers this call, if any."""
        fault = self._hit(Stale, request)
        return fault.past if isinstance(fault, Stale) else None

    def loses(self, request: Request) -> bool:
        """Return whether the reply to this call is lost."""
        return self._hit(Lose, request) is not None

    def _hit(self, kind: type[Fault], request: Request) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if isinstance(fault, kind) and fault.matches(request):
                    fault.hits += 1
                    return fault
        return None


def denied(request: Request, region: str, account: str) -> Reply:
    """Word a denial as IAM does: UnauthorizedOperation from EC2, AccessDenied(Exception) elsewhere."""
    action = f"{request.service}:{request.operation}"
    said = (
        f"User: arn:aws:sts::{account}:assumed-role/mooring/session is not authorized to perform: {action} "
        f"on resource: arn:aws:{request.service}:{region}:{account}:* "
        f"because no identity-based policy allows the {action} action"
    )
    match request.protocol:
        case Protocol.EC2:
            text = f"You are not authorized to perform this operation. {said}"
            return refusal(request, "UnauthorizedOperation", 403, text)
        case Protocol.JSON | Protocol.CBOR:
            return refusal(request, "AccessDeniedException", 400, said)
        case Protocol.REST_JSON:
            return refusal(request, "AccessDeniedException", 403, said)
        case Protocol.QUERY | Protocol.REST_XML:
            return refusal(request, "AccessDenied", 403, said)


def throttled(request: Request) -> Reply:
    """Word a throttling as each family of services does."""
    match request.protocol:
        case Protocol.EC2:
            return refusal(request, "RequestLimitExceeded", 503, "Request limit exceeded.")
        case Protocol.QUERY:
            return refusal(request, "Throttling", 400, "Rate exceeded")
        case Protocol.REST_XML:
            return refusal(request, "SlowDown", 503, "Please reduce your request rate.")
        case Protocol.JSON | Protocol.REST_JSON | Protocol.CBOR:
            return refusal(request, "ThrottlingException", 400, "Rate exceeded")
