"""The time an instance spends between two states, and what happens when it is over."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Transitions:
    """Which instances are on their way to another state, since when and until when.

    `dwell` is how long they stay so, in seconds: 0 ends it right after the reply that began it
    (the reply says `pending`, the next describe says `running`); None ends it by `settle` only.
    """

    dwell: float | None = 0.0
    # Called (by a timer) when a transition with a dwell above 0 falls due.
    wake: Callable[[], None] = field(default=lambda: None)
    _under_way: dict[str, tuple[float, Callable[[], None]]] = field(default_factory=dict)
    _timers: list[threading.Timer] = field(default_factory=list)

    def begin(self, instance_id: str, finish: Callable[[], None]) -> None:
        """Start the way to the next state; a way already under way is given up for it."""
        due = math.inf if self.dwell is None else time.monotonic() + self.dwell
        self._under_way[instance_id] = (due, finish)
        if self.dwell:
            timer = threading.Timer(self.dwell, self.wake)
            timer.daemon = True
            self._timers.append(timer)
            timer.start()

    def end_due(self) -> int:
        """End the transitions whose time has come; say how many."""
        return self._end(time.monotonic())

    def end_all(self) -> int:
        """End every transition now under way; say how many."""
        return self._end(math.inf)

    def _end(self, now: float) -> int:
        over = [key for key, (due, _) in self._under_way.items() if due <= now]
        for key in over:
            _, finish = self._under_way.pop(key)
            finish()
        return len(over)

    def reset(self) -> None:
        """Return up every transition, and settle at once again."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._under_way.clear()
        self.dwell = 0.0
