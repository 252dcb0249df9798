"""AWS's front door: each request meets the faults, then moto, and is recorded."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from . import truth_groups, truth_hooks
from .faults import Faults
from .past import answering
from .reality import aws
from .server import ask
from .wire import Call, Reply, Request, error_code, refusal, understand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NETWORKERS = ("ec2", "autoscaling", "cloudformation")
"""Services whose writes change networks and instances."""


class Front:
    """What answers the server's requests, and lets time pass for the instances."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.faults = Faults()
        self.failures: list[Exception] = []
        self.watchers: list[Callable[[], None]] = []
        self._moto = DomainDispatcherApplication(create_backend_app)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """Answer one request; None when its reply is lost."""
        began = time.monotonic()
        request = understand(method, path, headers, body)
        if wait := self.faults.delay(request):
            time.sleep(wait)
        reply = self.faults.refusal(request)
        lost = False
        if reply is None:
            reply = self._carry_out(request, method, path, headers, body)
            lost = self.faults.loses(request)
            self.deliver()
        self.calls.append(
            Call(
                service=request.service,
                operation=request.operation,
                params=request.params,
                write=request.write,
                at=began,
                until=time.monotonic(),
                error="ConnectionClosed" if lost else error_code(reply),
                by=request.by,
            )
        )
        return None if lost else reply

    def _carry_out(
        self, request: Request, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        past = self.faults.past(request)
        with aws.lock, answering(past):
            try:
                reply = ask(self._moto, method, path, headers, body)
            except Exception as gap:  # noqa: BLE001 - whatever moto cannot do must reach the caller as an error
                said = f"the embedded AWS cannot do this: {type(gap).__name__}: {gap}"
                return refusal(request, "EmbeddedAwsGap", 501, said)
            if past is None and request.write:
                truth_groups.look()
                self.end_due()
        if request.write and request.service in _NETWORKERS:
            self._changed()
        return reply

    def settle(self) -> int:
        """End the transitions now under way, and say how many."""
        with aws.lock:
            ended = aws.transitions.end_all() + aws.deliveries.end_all()
            truth_groups.look()
            self.end_due()
        self._changed()
        self.deliver()
        return ended

    def expire(self) -> int:
        """Let the timeout of every lifecycle hook run out, and say how many were waited for."""
        with aws.lock:
            ended = truth_hooks.expire(math.inf)
            truth_groups.look()
            self.end_due()
        self._changed()
        self.deliver()
        return ended

    def expire_commands(self) -> int:
        """Let the time of every command run out, and say how many had not ended."""
        with aws.lock:
            ended = aws.fleet.expire(math.inf)
        self.deliver()
        return ended

    def wake(self) -> None:
        """End the transitions whose time has come: a timer's call."""
        with aws.lock:
            self.end_due()
        self._changed()
        self.deliver()

    def _changed(self) -> None:
        """Tell who watches that the world may be another now; never under its lock, since they will look."""
        for watcher in list(self.watchers):
            watcher()

    def end_due(self) -> None:
        """End the transitions whose time has come, and those that they set off."""
        while aws.transitions.end_due() or aws.deliveries.end_due():
            truth_groups.look()

    def deliver(self) -> None:
        """Deliver the events; a listener's failure is raised to the test, not to the caller of AWS."""
        try:
            aws.bus.deliver()
        except Exception as failure:  # noqa: BLE001 - raised again by World.reset
            self.failures.append(failure)
