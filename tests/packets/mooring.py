"""Mooring's own functions, kept busy by the world's events: what Lambda and the queue do around them."""

from __future__ import annotations

import importlib
import logging
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

from chalicelib.bootstrap import deployed
from tests.network import deploy_journal, deploy_queue
from tests.stand_ins.functions import Functions, Log, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fake_aws import World
    from tests.fake_aws.events import Event


class Mooring:
    """The deployed functions in this process; one thread delivers events and serves the queue, in their order."""

    def __init__(self, world: World) -> None:
        os.environ.update(world.environment() | {"POWERTOOLS_METRICS_DISABLED": "true"})
        deploy_journal(world)
        url = deploy_queue(world)
        os.environ["MOORING_QUEUE_URL"] = url
        sys.modules.pop("app", None)  # an earlier one speaks to an earlier world
        deployed.cache_clear()
        app = importlib.import_module("app")
        self.log = Log()
        logging.getLogger("mooring").handlers[:] = [self.log]
        self.functions = Functions(app, world, url, self.log)
        self.failures: list[BaseException] = []
        self._todo: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._world = world

    def listen(self) -> None:
        """Hear of the world's events from now on."""
        self._world.on_event(self._hear)

    def _hear(self, event: Event) -> None:
        self._todo.put(lambda: self.functions.event(event))

    def tick(self) -> None:
        """Let the schedule's minute come, and wait until what it asks for is done."""
        self._todo.put(lambda: self.functions.event(sample("scheduled")))
        self.rest()

    def call(self, method: str, path: str, body: Any = None) -> None:  # noqa: ANN401 - JSON
        """Call the API as an operator does; a refusal is an error."""
        reply = self.functions.call(method, path, body)
        if reply.status >= 300:
            raise RuntimeError(f"{method} {path}: {reply.status} {reply.body}")
        self._todo.put(lambda: None)

    def rest(self) -> None:
        """Wait until nothing is left to do."""
        done = threading.Event()
        self._todo.put(done.set)
        if not done.wait(60):
            raise TimeoutError("the functions do not come to rest")
        if self.failures:
            raise self.failures.pop()

    def close(self) -> None:
        """End the thread."""
        self._todo.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (do := self._todo.get()) is not None:
            try:
                do()
                while records := self.functions.waiting():
                    for record in records:
                        if self.functions.reconcile([record]):
                            raise RuntimeError(f"a wake-up was not served: {self.log.text[-3:]}")  # noqa: TRY301
            except BaseException as error:  # noqa: BLE001 - raised again by `rest`
                self.failures.append(error)

    @property
    def said(self) -> str:
        """The last thing that was logged of a run."""
        return str(self.log.lines[-1]["message"]) if self.log.text else "nothing"

    def moments(self, since: float) -> dict[str, float]:
        """Return when what became of a wake-up, since a moment: queued, decided, written (monotonic clock)."""
        mine = [c for c in self._world.calls if c.by == "product" and c.at >= since and not c.error]
        queued = [c.until for c in mine if c.operation.startswith("SendMessage")]
        written = [c for c in mine if c.service == "ec2" and c.write]
        found = {"queued": queued[0]} if queued else {}
        if written:
            decided = [
                c.until for c in mine if c.service == "dynamodb" and c.write and c.until <= written[0].until
            ]
            found |= {"decided": decided[-1]} if decided else {}
            found["written"] = max(c.until for c in written if c.until - written[0].at < 5)
        return found
