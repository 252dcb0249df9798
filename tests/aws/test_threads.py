"""Threads that wait for AWS: what hangs keeps nothing else from starting, nor the process from ending."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref

import pytest

from chalicelib.aws.threads import Threads


def test_task_starts_whatever_else_hangs() -> None:
    """A hundred calls that hang take no thread from the next."""
    threads, over = Threads(), threading.Event()
    hanging = [threads.submit(over.wait, 60) for _ in range(100)]
    assert threads.submit(lambda: "done").result(timeout=30) == "done"
    over.set()
    assert all(one.result(timeout=30) for one in hanging)


def test_idle_thread_is_used_again() -> None:
    """Looks that come one after another start no thread each."""
    threads = Threads()
    used = set()
    for _ in range(50):
        used.add(threads.submit(threading.get_ident).result(timeout=30))
        while not threads._idle:
            pass  # its thread is about to say that it is idle
    assert len(used) == 1


def test_what_a_task_raises_is_its_answer() -> None:
    """Also what nobody expects: the thread lives on."""
    threads = Threads()

    def fail() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        threads.submit(fail).result(timeout=30)
    assert threads.submit(len, "abc").result(timeout=30) == 3


def test_task_that_is_given_up_before_it_starts_is_not_run() -> None:
    """As every executor has it."""
    threads = Threads()
    ran: list[str] = []
    threads._idle = 1  # as if one were idle: nobody takes the task yet
    given_up = threads.submit(ran.append, "first")
    assert given_up.cancel()
    threads.submit(ran.append, "second").result(timeout=30)
    assert ran == ["second"]


def test_idle_thread_keeps_no_answer_alive() -> None:
    """What was read in one run is no burden to the next."""

    class Answer:
        pass

    threads = Threads()
    answer = weakref.ref(threads.submit(Answer).result(timeout=30))
    while not threads._idle:
        pass
    gc.collect()
    assert answer() is None


def test_process_ends_while_a_task_hangs() -> None:
    """An operator's command does not wait for a call that nobody waits for."""
    script = "import time; from chalicelib.aws.threads import Threads; Threads().submit(time.sleep, 600)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)  # noqa: S603 - our own
