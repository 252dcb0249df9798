"""A scripted SSM agent: it answers each document as a test told it, at the pace of `World.command_dwell`.

::

    agent = world.agent(instance_id)                                # registered and online
    world.agents(lambda agent: agent.answer(...))                   # or one for each instance that ever runs
    agent.answer("Mooring-InspectRouter", Answer(stdout='{"mooring":1}'))
    agent.answer("Mooring-ConfigureRouter", lambda asked: Answer(stdout=asked.parameters["Digest"][0]))
    agent.answer("Mooring-ConfigureRouter", NEVER_TAKEN)            # or FAILS, NEVER_ENDS, TOO_LONG, UNDELIVERABLE
    world.command_dwell = None                                      # nothing moves until world.settle()
    world.expire_commands()                                         # every command's time runs out
    world.lose_events("EC2 Command")                                # what happens next is not told
    agent.node.fall_silent()                                        # ConnectionLost
    agent.asked                                                     # the invocations it took, in order
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from .reality import aws

if TYPE_CHECKING:
    from collections.abc import Callable

    from .commands import Invocation
    from .nodes import Node


@dataclass(frozen=True)
class Answer:
    """How a command ends: `answers` with code and output, or one of the ways that bring no answer."""

    code: int = 0
    stdout: str = ""
    stderr: str = ""
    ending: Literal["answers", "is never taken", "never ends", "takes too long", "is undeliverable"] = (
        "answers"
    )


FAILS = Answer(code=1, stderr="failed")
NEVER_TAKEN = Answer(ending="is never taken")
NEVER_ENDS = Answer(ending="never ends")
TOO_LONG = Answer(ending="takes too long")
UNDELIVERABLE = Answer(ending="is undeliverable")

Script: TypeAlias = "Answer | Callable[[Invocation], Answer]"


class Agent:
    """The agent of one node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.asked: list[Invocation] = []
        self._scripts: dict[str, Script] = {}
        node.agent = self

    def answer(self, document_name: str, script: Script) -> None:
        """Answer a document like this from now on; one that nobody told it of succeeds without a word."""
        self._scripts[document_name] = script

    def expect(self, invocation: Invocation) -> None:
        """Take a command when its time comes."""
        aws.deliveries.begin(invocation.key, functools.partial(self._take, invocation))

    def stop(self, invocation: Invocation) -> None:
        """Stop a command that is to be cancelled."""
        aws.deliveries.begin(invocation.key, functools.partial(invocation.conclude, cancelled=True))

    def _take(self, invocation: Invocation) -> None:
        answer = self._answer(invocation)
        if not (self.node.listed and self.node.online) or answer.ending == "is never taken":
            invocation.enter("Delayed", "Delayed")
        elif answer.ending == "is undeliverable":
            invocation.enter("Failed", "Undeliverable")
        elif invocation.status in {"Pending", "Delayed"}:
            invocation.deliver()
            self.asked.append(invocation)
            if answer.ending != "never ends":
                finish = functools.partial(
                    invocation.conclude,
                    answer.code,
                    answer.stdout,
                    answer.stderr,
                    timed_out=answer.ending == "takes too long",
                )
                aws.deliveries.begin(invocation.key, finish)

    def _answer(self, invocation: Invocation) -> Answer:
        script = self._scripts.get(invocation.command.document_name, Answer())
        return script if isinstance(script, Answer) else script(invocation)
