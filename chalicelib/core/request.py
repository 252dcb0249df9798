"""What is asked of a run: the one form that the API, the command line, the queue and the controller share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Action: TypeAlias = Literal["reconcile", "switchover", "push", "confirm"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a run, and by whom or what; one that says no more is a plain trigger.

    Attributes:
        woken_by: who or what asks, for the report and the journal.
        action: `switchover` makes `to` the router; `push` sends configurations now, and `confirm` keeps provisional
            ones, on the candidate `to`, or on every one.
        to: the instance that the action is about.
        force: an operator overrules the guards that may be overruled, and what speaks against the instance named.
        agreed: the `change.digest` of the plan that an operator was shown and consented to; any other that would change
            something is refused.
        confirm_within: seconds; a machine that is pushed to goes back by itself without a confirmation by then.
    """

    woken_by: str = "operator"
    action: Action = "reconcile"
    to: str | None = None
    force: bool = False
    agreed: str | None = None
    confirm_within: int | None = None

    @property
    def next_router(self) -> str | None:
        """The instance that an operator names as the router; None where nobody does."""
        return self.to if self.action == "switchover" else None

    @property
    def for_machines(self) -> bool:
        """Whether it is about the machines' configuration."""
        return self.action in ("push", "confirm")

    def covers(self, instance_id: str) -> bool:
        """Whether a machine is one of those that it is about."""
        return self.for_machines and self.to in (None, instance_id)
