"""The table of a push's life: total, without a row in vain, and true to its invariants through random lives."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.machines.answer import PATIENCE, Result, read_answer
from chalicelib.core.machines.lifecycle import TRANSITIONS, Heard, Transition, hear
from chalicelib.core.machines.machine import Command, Invocation, Kind, Machine
from tests.builders import NOON, ROUTER

if TYPE_CHECKING:
    from datetime import datetime

DIGESTS = ("0" * 64, "1" * 64, "2" * 64)
RESULTS: dict[Kind, tuple[Result, ...]] = {
    "push": (Result.TAKEN, Result.WAITS, Result.REFUSED, Result.ROLLED_BACK, Result.NONE),
    "confirm": (Result.TAKEN, Result.WAITS, Result.REFUSED, Result.ROLLED_BACK, Result.NONE),
    "inspect": (Result.LOOKED, Result.NONE),
}


@dataclass(frozen=True)
class Step:
    """One command and its answer: what was known before, and what was made of it."""

    before: Machine
    command: Command
    invocation: Invocation | None
    after: Machine
    row: Transition


def live(seed: int, steps: int = 12) -> list[Step]:
    """Live a machine's life: whatever is sent to it, and whatever it says of it, true or not."""
    random = Random(seed)  # noqa: S311 - no secret
    machine, now, life = Machine(ROUTER), NOON, []
    for _ in range(steps):
        now += timedelta(minutes=random.choice((1, 5, 90)))
        command = _command(random, now)
        now += PATIENCE + timedelta(seconds=1)
        invocation = random.choice((None, Invocation("Undeliverable"), _said(random), _said(random)))
        sent = machine.asked(command)
        answer = read_answer(command, invocation, machine.inspection, now)
        assert answer
        row = next(row for row in TRANSITIONS if row.fits(Heard(sent, command, answer)))
        life.append(Step(sent, command, invocation, hear(sent, invocation, now), row))
        machine = life[-1].after
    return life


def _command(random: Random, now: datetime) -> Command:
    kind = random.choice(get_args(Kind))
    digest = None if kind == "inspect" else random.choice(DIGESTS)
    within = random.choice((None, 300)) if kind == "push" else None
    return Command(
        "c", kind, now, digest, within, random.choice((None, "a", "b")) if kind == "push" else None
    )


def _said(random: Random) -> Invocation:
    digest = random.choice((*DIGESTS, None))
    word = {
        "mooring": 1,
        "digest": digest,
        "pending": random.choice((digest, digest, *DIGESTS, None, None)),
        "result": random.choice(("applied", "unchanged", "pending", "refused", "rolled-back", "failed")),
        "drift": random.choice(((), ("a rule was deleted",))),
    }
    return Invocation("Success", json.dumps(word))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_answer_to_a_command_has_a_row(kind: Kind) -> None:
    """The last row of each command and result asks for nothing more."""
    for result in RESULTS[kind]:
        rows = [row for row in TRANSITIONS if (row.command, row.result) == (kind, result)]
        assert rows[-1].when is None, result
        assert all(row.when for row in rows[:-1]), result
    assert {row.result for row in TRANSITIONS if row.command == kind} == set(RESULTS[kind])


def test_every_row_is_met() -> None:
    """None stands there in vain, or behind one that takes all its answers."""
    met = {step.row for seed in range(300) for step in live(seed, 20)}
    assert [row for row in TRANSITIONS if row not in met] == []


@given(seed=st.integers(0, 2**32))
def test_what_waits_for_its_confirmation_ends_in_one_of_three_ways(seed: int) -> None:
    """A push or a confirmation that stays, or the machine's own word; no answer ends nothing, and makes nothing wait."""
    for step in live(seed):
        before, after, said = step.before.provisional, step.after.provisional, _word(step)
        if said is None:
            assert after == before
        elif before and after is None and step.command.kind != "inspect":
            assert said["result"] in ("applied", "unchanged") or said["digest"] != before.digest
        elif before and after is None:
            over = step.command.sent_at >= before.until
            assert said["digest"] != before.digest or (over and said["pending"] != before.digest)
        if after and step.command.kind == "inspect" and said:
            assert after.digest == said["digest"]


@given(seed=st.integers(0, 2**32))
def test_what_is_given_up_is_cleared_by_the_machine_alone(seed: int) -> None:
    """By its word that it has it undrifted, or its answer to another push or a confirmation; never by silence or time."""
    for step in live(seed):
        before, after, said = step.before.failed, step.after.failed, _word(step)
        if before is None or not before.final or after == before:
            continue
        if after is None:
            assert said
            has = said["digest"] == before.digest and not said["drift"]
            assert (
                has
                if step.command.kind == "inspect"
                else said["result"] in ("applied", "unchanged", "pending")
            )
        elif step.command.kind != "push":
            assert after.final


@given(seed=st.integers(0, 2**32))
def test_no_answer_leaves_what_is_known_to_be_in_force(seed: int) -> None:
    """Its command is over all the same, and a push that nobody answered has failed."""
    for step in live(seed):
        assert step.after.command is None
        if _word(step) is None:
            assert (step.after.inspection, step.after.secrets) == (
                step.before.inspection,
                step.before.secrets,
            )
            assert (step.after.failed != step.before.failed) == (step.command.kind == "push")
            assert (step.after.unresponsive is not None) >= (step.command.kind != "push")


def test_secrets_are_those_of_the_last_push_that_the_machine_took() -> None:
    """By its answer to that push, or by its word that the one that was given up is in force and waits; else as before."""
    found = 0
    for seed in range(1000):
        for step in live(seed):
            before, said = step.before, _word(step)
            wanted = before.secrets
            if said and step.command.kind == "push" and said["result"] in ("applied", "unchanged", "pending"):
                wanted = step.command.secrets
            failed = before.failed
            if said and step.command.kind == "inspect" and failed and failed.final and not said["drift"]:
                taken = said["digest"] == said["pending"] == failed.digest
                found += taken and failed.secrets not in (None, before.secrets)
                wanted = (failed.secrets or before.secrets) if taken else before.secrets
            assert step.after.secrets == wanted
    assert found


def test_command_that_may_still_be_answered_changes_nothing() -> None:
    """Until patience ends."""
    sent = Machine(ROUTER).asked(Command("c", "push", NOON, DIGESTS[0]))
    assert hear(sent, None, NOON + PATIENCE) == sent
    assert hear(replace(sent, command=None), None, NOON) == replace(sent, command=None)


def _word(step: Step) -> dict[str, object] | None:
    if step.invocation is None or not step.invocation.output:
        return None
    said: dict[str, object] = json.loads(step.invocation.output)
    return said
