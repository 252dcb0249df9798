"""Threads for what waits for AWS: as many as there is to wait for, and nobody waits for them."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Threads(Executor):
    """Starts each task at once, in an idle thread if there is one and else in a new one.

    A pool with a bound would let calls that hang, which nobody waits for any more, keep the next run's from starting; a
    pool of the standard library would keep the process from ending. The clients' own timeouts bound how many there are.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._idle = 0
        self._lock = Lock()

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Start it."""
        future: Future[_T] = Future()
        with self._lock:
            if self._idle:
                self._idle -= 1  # one that waits is this task's
            else:
                Thread(target=self._work, name="mooring", daemon=True).start()
        self._tasks.put((future, partial(fn, *args, **kwargs)))
        return future

    def _work(self) -> None:
        while True:
            future, task = self._tasks.get()
            _run(future, task)
            del future, task  # an idle thread keeps nothing alive
            with self._lock:
                self._idle += 1


def _run(future: Future[_T], task: Callable[[], _T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = task()
    except BaseException as error:  # noqa: BLE001 - a future holds whatever was raised
        future.set_exception(error)
    else:
        future.set_result(result)
