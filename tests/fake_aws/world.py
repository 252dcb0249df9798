"""The embedded AWS as its users hold it: an endpoint, clients, the record of calls, events and faults."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import boto3
from botocore.config import Config
from moto.core.base_backend import BackendDict

from . import truth_routes
from .agent import Agent
from .faults import Bucket, Delay, Fault, Lose, Refuse, Stale, denied, throttled
from .front import Front
from .past import snapshot
from .reality import Check, aws
from .server import Server
from .truth import truth
from .wire import HAND, refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from .events import Event
    from .faults import Refusal, When
    from .nodes import Node
    from .wire import Call

# A boto3 client, or what makes one: they are made at run time, so no type knows them.
Client: TypeAlias = Any

CREDENTIALS: dict[str, Any] = {
    "aws_access_key_id": "testing",
    "aws_secret_access_key": "testing",
    "aws_session_token": "testing",
}


class World:
    """An AWS account in one region, alive between `with` and its end; one per process at a time."""

    _alive: World | None = None

    def __init__(self, region: str = "eu-west-1") -> None:
        self.region = region
        self.account_id = aws.account_id
        self._front = Front()
        self._faults = self._front.faults
        self._clients: dict[tuple[str, str], Client] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if World._alive is not None:
            raise RuntimeError("one world at a time: moto's backends belong to the process")
        World._alive = self
        aws.region = self.region
        aws.transitions.wake = aws.deliveries.wake = self._front.wake
        self._session = boto3.Session(region_name=self.region, **CREDENTIALS)
        self._stack.enter_context(truth.applied())
        self._server = Server(self._front.answer)
        self._server.start()
        self.reset()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._server.stop()
            for client in self._clients.values():
                client.close()
            if error is None:
                self.reset()
        finally:
            self._empty()
            self._stack.close()
            World._alive = None

    # -- reaching it ---------------------------------------------------------------------------------

    @property
    def endpoint_url(self) -> str:
        """Where every service of this AWS listens."""
        return self._server.url

    @property
    def session(self) -> boto3.Session:
        """The fake account's credentials; a product's clients are made from it, with `endpoint_url`."""
        return self._session

    def environment(self) -> dict[str, str]:
        """Variables that lead a subprocess's AWS SDK here, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            **{name.upper(): value for name, value in CREDENTIALS.items()},
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }

    def client(self, service: str, config: Config | None = None, by: str = "hand") -> Client:
        """Return a client of this AWS; `by="product"` for one that is not marked as a hand's."""
        key = (service, by)
        if config is None and key in self._clients:
            return self._clients[key]
        mark = Config(user_agent_extra=HAND) if by == "hand" else Config()
        make: Client = self._session.client
        client = make(service, endpoint_url=self.endpoint_url, config=(config or Config()).merge(mark))
        self._clients[key if config is None else (service, f"{by}-{len(self._clients)}")] = client
        return client

    # -- its life ------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Empty it: resources, faults, calls, events, listeners; every knob as in the beginning.

        Raises the first failure of a listener since the last reset.
        """
        failures = list(self._front.failures)
        self._empty()
        if failures:
            raise failures[0]

    def _empty(self) -> None:
        self.heal()
        with aws.lock:
            aws.reset()
            BackendDict.reset()
        self._front.failures.clear()
        self._front.watchers.clear()
        self.forget_calls()

    @property
    def calls(self) -> list[Call]:
        """Every AWS request served, in the order of their replies."""
        return self._front.calls

    def forget_calls(self) -> None:
        """Start counting anew."""
        self.calls.clear()

    @property
    def events(self) -> list[Event]:
        """Every EventBridge event that AWS would have sent so far."""
        return aws.bus.events

    def on_event(self, callback: Callable[[Event], None]) -> None:
        """Call back with each event, once its state is visible, in the thread of the call that caused it."""
        aws.bus.listeners.append(callback)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after whatever may have changed a network or an instance, before who asked for it has the reply."""
        self._front.watchers.append(callback)

    def settle(self) -> int:
        """End the transitional states now under way and say how many; what that sets off is under way next."""
        return self._front.settle()

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the queues: what is in flight comes again when its visibility timeout is over."""
        with aws.lock:
            aws.passed += seconds

    def expire_hooks(self) -> int:
        """Let the timeout of every lifecycle hook that an instance waits for run out, and say how many."""
        return self._front.expire()

    # -- Systems Manager's agents --------------------------------------------------------------------

    def register(self, instance_id: str, agent_version: str = "3.3.2746.0") -> Node:
        """Register a running instance's SSM agent, which you play: see `fake_aws.nodes`."""
        with aws.lock:
            return aws.fleet.register(instance_id, agent_version)

    def agent(self, instance_id: str, agent_version: str = "3.3.2746.0") -> Agent:
        """Register a running instance with a scripted agent, or give the one it has: see `fake_aws.agent`."""
        node = self.register(instance_id, agent_version)
        return node.agent or Agent(node)

    def agents(self, script: Callable[[Agent], None] = lambda _: None) -> None:
        """Return every instance a scripted agent when it runs, those that run now too; `script` tells each its answers."""
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        pages = self.client("ec2").get_paginator("describe_instances").paginate(Filters=running)
        for instance in (one for page in pages for each in page["Reservations"] for one in each["Instances"]):
            script(self.agent(instance["InstanceId"]))

        def boot(event: Event) -> None:
            if event["detail"].get("state") == "running":
                script(self.agent(event["detail"]["instance-id"]))

        self.on_event(boot)

    def expire_commands(self) -> int:
        """Let the total timeout of every command run out, and say how many had not ended."""
        return self._front.expire_commands()

    def lose_events(self, kind: str) -> None:
        """Lose, from now on, the events whose detail type begins like this: EC2's, Auto Scaling's and SSM's are best effort."""
        aws.bus.lost.append(kind)

    @property
    def command_dwell(self) -> float | None:
        """Seconds a command waits for its scripted agent, and as long for the answer; None: until `settle`."""
        return aws.deliveries.dwell

    @command_dwell.setter
    def command_dwell(self, seconds: float | None) -> None:
        aws.deliveries.dwell = seconds

    @property
    def invocation_lag(self) -> int:
        """How many looks at a new invocation say that it does not exist, unless it ends before."""
        return aws.fleet.invocation_lag

    @invocation_lag.setter
    def invocation_lag(self, looks: int) -> None:
        aws.fleet.invocation_lag = looks

    @property
    def dwell(self) -> float | None:
        """Seconds an instance stays in a transitional state; None: until `settle`."""
        return aws.transitions.dwell

    @dwell.setter
    def dwell(self, seconds: float | None) -> None:
        aws.transitions.dwell = seconds

    @property
    def page_size(self) -> int | None:
        """How many things AWS puts on a page even when not asked to page; None: as many as there are."""
        return aws.page_size

    @page_size.setter
    def page_size(self, size: int | None) -> None:
        aws.page_size = size

    def impair(
        self,
        instance_id: str,
        check: Literal["instance", "system", "ebs"] = "instance",
        status: str = "impaired",
        since: datetime | None = None,
    ) -> None:
        """Make a status check of a running instance fail, since now or since then (or be `initializing`, ...)."""
        failed = (since or datetime.now(UTC)) if status == "impaired" else None
        aws.checks.setdefault(instance_id, {})[check] = Check(status, failed)

    def unimpair(self, instance_id: str) -> None:
        """Make an instance's status checks pass."""
        aws.checks.pop(instance_id, None)

    def schedule(
        self, instance_id: str, code: str, not_before: datetime, description: str = "Degraded hardware"
    ) -> None:
        """Have AWS schedule an event for an instance; one that is over has a description that begins with `[Completed]`."""
        event = {
            "InstanceEventId": f"instance-event-{len(aws.scheduled):017x}",
            "Code": code,
            "Description": description,
            "NotBefore": not_before,
        }
        aws.scheduled.setdefault(instance_id, []).append(event)

    def unsettle(self, association_id: str, state: str) -> None:
        """Put the association of a subnet with its route table into a state, such as `failed`."""
        aws.unsettled[association_id] = state

    def propagate(self, table_id: str, cidr: str, vgw_id: str) -> None:
        """Have a virtual private gateway propagate a route into a table."""
        with aws.lock:
            truth_routes.propagate(table_id, cidr, vgw_id)

    # -- what goes wrong -----------------------------------------------------------------------------

    def deny(
        self, operation: str, when: When | None = None, times: int | None = None, by: str = "product"
    ) -> Fault:
        """Deny the calls as IAM would."""
        return self._refuse(
            lambda request: denied(request, self.region, self.account_id), operation, when, times, by
        )

    def throttle(
        self, operation: str, times: int | None = None, when: When | None = None, by: str = "product"
    ) -> Fault:
        """Throttle the calls."""
        return self._refuse(throttled, operation, when, times, by)

    def fail(
        self,
        operation: str,
        code: str = "InternalError",
        status: int = 500,
        times: int | None = 1,
        when: When | None = None,
        by: str = "product",
    ) -> Fault:
        """Fail the calls with an error of your choice."""
        message = f"{code}: an error the test asked for"
        return self._refuse(
            lambda request: refusal(request, code, status, message), operation, when, times, by
        )

    def lose(
        self, operation: str, times: int | None = 1, when: When | None = None, by: str = "product"
    ) -> Fault:
        """Carry the calls out and close the connection without a reply."""
        return self._faults.add(Lose(operation, when, times, by))

    def delay(self, seconds: float, operation: str = "*", by: str = "product") -> Fault:
        """Make each call take this much longer; calls made at once wait at once."""
        return self._faults.add(Delay(operation, by=by, seconds=seconds))

    def stale(
        self,
        operation: str = "Describe*",
        times: int | None = 1,
        when: When | None = None,
        by: str = "product",
    ) -> Fault:
        """Answer EC2's reads from the world as it is at this moment, whatever is written later."""
        with aws.lock:
            return self._faults.add(Stale(operation, when, times, by, past=snapshot()))

    def buckets(self, capacity: float = 50, refill: float = 5.0, by: str = "product") -> Fault:
        """Put EC2's token buckets in force: so many mutating calls of one kind at once, then so many a second."""
        return self._faults.add(Bucket("*", by=by, reply=throttled, capacity=capacity, refill=refill))

    def heal(self) -> None:
        """Stop every fault."""
        self._faults.heal()

    def _refuse(self, reply: Refusal, operation: str, when: When | None, times: int | None, by: str) -> Fault:
        return self._faults.add(Refuse(operation, when, times, by, reply=reply))
