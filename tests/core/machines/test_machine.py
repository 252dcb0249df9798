"""What is known of a machine once Systems Manager was asked about its command."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.machines.answer import PATIENCE, find
from chalicelib.core.machines.lifecycle import ON_ITS_WAY, hear
from chalicelib.core.machines.machine import (
    FRESH,
    Command,
    FailedPush,
    Inspection,
    Invocation,
    Kind,
    Machine,
    Provisional,
    Unresponsive,
)
from tests.builders import NOON, ROUTER

OLD, NEW = "0" * 64, "1" * 64
LATER = NOON + timedelta(seconds=30)
MINUTE = timedelta(minutes=1)


def waiting(kind: Kind = "push", confirm_within: int | None = None) -> Machine:
    """Return a machine that was sent a command at noon, and had a configuration before."""
    command = Command("c-1", kind, NOON, None if kind == "inspect" else NEW, confirm_within)
    return Machine(ROUTER, command, Inspection(NOON - timedelta(minutes=1), OLD, received=10))


def said(status: str = "Success", **fields: object) -> Invocation:
    """Return a command that ended with a machine's word."""
    word = {"mooring": 1, "digest": NEW, "forwarding": True, "tunnel": {"state": "CONNECTED", "bytes_in": 25}}
    return Invocation(status, "preparing\n" + json.dumps(word | fields) + "\n")


def test_a_push_that_was_applied_is_the_configuration_in_force() -> None:
    """What `configure` says of the machine counts as an inspection."""
    machine = hear(waiting(), said(result="applied"), LATER)
    assert machine.command is None
    assert machine.failed is None
    assert machine.inspection == Inspection(
        NOON, NEW, forwarding=True, tunnel="CONNECTED", received=25, grown=15
    )


@pytest.mark.parametrize(
    "invocation", [None, Invocation("Pending"), Invocation("InProgress"), Invocation("Delayed")]
)
def test_a_command_without_an_answer_is_waited_for_until_patience_ends(invocation: Invocation | None) -> None:
    """Just after sending, SSM knows no invocation; one that never answers is given up, and a push has failed."""
    machine = waiting()
    assert hear(machine, invocation, NOON + PATIENCE) == machine
    after = hear(machine, invocation, NOON + PATIENCE + timedelta(seconds=1))
    assert after.command is None
    assert after.inspection == machine.inspection
    assert after.failed
    assert after.failed.reason == (
        "it reached no machine" if invocation is None else "the machine never answered"
    )


@pytest.mark.parametrize(
    ("details", "part"),
    [
        ("DeliveryTimedOut", "not delivered in time"),
        ("ExecutionTimedOut", "ran out of time on the machine"),
        ("Undeliverable", "no agent took it"),
        ("Cancelled", "was cancelled"),
        ("Terminated", "SSM ended it"),
        ("AccessDenied", "AccessDenied"),
        ("InvalidPlatform", "platform"),
        ("Success", "nothing that Mooring understands"),
        ("Failed", "ended as Failed"),
        ("SomethingNew", "ended as SomethingNew"),
    ],
)
def test_every_end_without_a_word_is_told_apart(details: str, part: str) -> None:
    """An operator reads what to look at, not just that it failed."""
    after = hear(waiting(), Invocation(details, "no JSON here"), LATER)
    assert after.failed
    assert part in after.failed.reason
    assert after.inspection == waiting().inspection


def test_a_push_that_the_machine_refused_is_tried_again_later_each_time_and_one_that_it_undid_never() -> None:
    """A refusal changed nothing on the machine; going back cost traffic, so an operator decides."""
    machine, waits = waiting(), []
    for _ in range(7):
        machine = hear(
            replace(machine, command=waiting().command),
            said("Failed", result="refused", digest=OLD, reason="bad"),
            LATER,
        )
        assert machine.failed
        assert machine.failed.again_at
        waits.append((machine.failed.again_at - LATER) // timedelta(minutes=1))
    assert waits == [1, 2, 4, 8, 15, 15, 15]
    undone = hear(waiting(), said("Failed", result="rolled-back", digest=OLD, reason="office gone"), LATER)
    assert undone.failed
    assert undone.failed.again_at is None
    assert undone.failed.reason == "went back to what it had: office gone"
    assert undone.inspection
    assert undone.inspection.digest == OLD


def test_another_digest_begins_to_count_its_tries_anew() -> None:
    """What failed before says nothing of what is declared since."""
    machine = Machine(ROUTER, failed=FailedPush(OLD, "bad", NOON, tries=4))
    again, anew = (Command("c-1", "push", NOON, digest) for digest in (OLD, NEW))
    assert machine.refused(again, "bad", NOON).failed == FailedPush(OLD, "bad", NOON, tries=5)
    assert machine.refused(anew, "bad", NOON).failed == FailedPush(NEW, "bad", NOON, tries=1)
    renewed = replace(again, secrets="3" * 64)
    assert machine.refused(renewed, "bad", NOON).failed == FailedPush(
        OLD, "bad", NOON, tries=1, secrets="3" * 64
    )


def test_a_push_on_trial_is_kept_only_when_it_is_confirmed_and_given_up_only_once() -> None:
    """Commit confirmed: what the machine gave up is not pushed again by itself."""
    trial = hear(waiting(confirm_within=300), said(result="pending"), LATER)
    assert trial.provisional == Provisional(NEW, NOON + ON_ITS_WAY + timedelta(seconds=300))
    confirmed = hear(
        replace(trial, command=Command("c-2", "confirm", LATER, NEW)), said(result="applied"), LATER
    )
    assert confirmed.provisional is None
    late = hear(
        replace(trial, command=Command("c-2", "confirm", LATER, NEW)),
        said("Failed", result="refused", digest=OLD),
        LATER,
    )
    assert (late.provisional, late.failed and late.failed.final) == (None, True)
    over = NOON + ON_ITS_WAY + timedelta(seconds=301)
    look = Command("c-3", "inspect", over)
    undone = hear(replace(trial, command=look), said(digest=OLD), over)
    assert undone.provisional is None
    assert undone.failed
    assert (undone.failed.digest, undone.failed.final) == (NEW, True)
    kept = hear(replace(trial, command=look), said(), over)
    assert (kept.provisional, kept.failed) == (None, None)
    still = hear(replace(trial, command=replace(look, sent_at=LATER)), said(), LATER)
    assert still.provisional == trial.provisional


def test_an_inspection_that_failed_leaves_the_last_word_which_ages() -> None:
    """A machine is leaned on for as long as its word is fresh, and no longer."""
    machine = hear(waiting("inspect"), Invocation("DeliveryTimedOut"), LATER)
    assert machine.failed is None
    assert machine.fresh(NOON) == machine.inspection
    assert machine.inspection
    assert machine.fresh(machine.inspection.at + FRESH) == machine.inspection
    assert machine.fresh(machine.inspection.at + FRESH + timedelta(seconds=1)) is None


def test_bytes_that_fell_say_nothing_of_growth() -> None:
    """A tunnel that was started anew counts from zero."""
    machine = hear(waiting("inspect"), said(tunnel={"state": "CONNECTED", "bytes_in": 3}), LATER)
    assert machine.inspection
    assert (machine.inspection.received, machine.inspection.grown) == (3, None)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
_FIELDS = st.sampled_from(
    [
        "digest",
        "drift",
        "forwarding",
        "holds_address",
        "tunnel",
        "certificate_expires",
        "result",
        "reason",
        "hooks",
    ]
)


@given(st.dictionaries(_FIELDS, _JSON), st.sampled_from(["push", "inspect", "confirm"]), st.text(max_size=40))
def test_whatever_a_machine_says_is_heard_without_an_exception(
    fields: dict[str, object], kind: Kind, noise: str
) -> None:
    """A machine is not trusted: what is not as it should be is a command that brought nothing."""
    output = f"{noise}\n" + json.dumps({"mooring": 1, **fields})
    machine = hear(waiting(kind), Invocation("Success", output), LATER)
    assert machine.command is None
    for text in (
        machine.failed.reason if machine.failed else "",
        *(machine.inspection or Inspection(NOON, None)).drift,
        *(machine.inspection or Inspection(NOON, None)).hooks,
    ):
        assert len(text) <= 400


@given(st.text())
def test_output_that_is_none_of_ours_is_no_word(output: str) -> None:
    """Only a JSON object with Mooring's mark is read."""
    assert find(output) is None or '"mooring"' in output


def test_a_failed_push_ends_when_the_machine_has_what_it_did_not_take() -> None:
    """An answer was lost and the push was not: once the machine says so itself, nothing has failed any more."""
    failed = hear(waiting(), Invocation("ExecutionTimedOut"), LATER)
    assert failed.failed
    looked = failed.asked(Command("c-2", "inspect", LATER))
    assert hear(looked, said(), LATER).failed is None
    assert hear(looked, said(digest=OLD), LATER).failed == failed.failed
    assert hear(looked, said(drift=["a rule was deleted"]), LATER).failed == failed.failed


def test_a_push_on_condition_without_an_answer_is_on_trial_once_the_machine_says_so() -> None:
    """Else it would be pushed again without any condition, as soon as the machine has gone back because nobody confirmed."""
    failed = hear(waiting(confirm_within=300), None, NOON + PATIENCE + timedelta(seconds=1))
    assert failed.failed
    assert failed.failed.final
    looked = failed.asked(Command("c-2", "inspect", LATER))
    taken = hear(looked, said(pending=NEW), LATER)
    assert (taken.failed, taken.provisional and taken.provisional.digest) == (None, NEW)
    gone_back = hear(taken.asked(Command("c-3", "inspect", LATER)), said(digest=OLD, pending=None), LATER)
    assert gone_back.failed
    assert (gone_back.failed.final, gone_back.failed.digest, gone_back.provisional) == (True, NEW, None)
    confirmed = hear(looked, said(pending=None), LATER)
    assert (confirmed.failed, confirmed.provisional) == (None, None)
    assert hear(looked, said(digest=OLD), LATER).failed == failed.failed


def test_a_push_while_something_waits_for_its_confirmation_ends_no_trial() -> None:
    """The machine goes on waiting, says so of the same configuration and refuses another: it would go back all the same."""
    trial = Provisional(NEW, NOON + timedelta(minutes=9))
    again = hear(replace(waiting(), provisional=trial), said(result="pending"), LATER)
    assert (again.provisional, again.failed) == (trial, None)
    other = replace(waiting(), provisional=trial, command=Command("c-1", "push", NOON, "2" * 64))
    refused = hear(other, said("Failed", result="refused", reason="another push waits"), LATER)
    assert refused.provisional == trial
    assert refused.failed
    assert refused.failed.digest == "2" * 64


def test_a_push_after_a_trial_that_may_be_over_begins_another() -> None:
    """The machine had gone back, which nobody had seen yet: it waits for as long as the later push allows."""
    trial = Provisional(NEW, NOON + MINUTE)
    again = hear(replace(waiting(confirm_within=300), provisional=trial), said(result="pending"), LATER)
    assert again.provisional == Provisional(NEW, NOON + ON_ITS_WAY + timedelta(seconds=300))
    longer = Provisional(NEW, NOON + timedelta(minutes=30))
    still = hear(replace(waiting(confirm_within=300), provisional=longer), said(result="pending"), LATER)
    assert still.provisional == longer


@pytest.mark.parametrize("trial", [None, Provisional(NEW, NOON), Provisional(OLD, NOON)])
def test_what_a_machine_says_waits_is_on_trial_whatever_was_known(trial: Provisional | None) -> None:
    """Else it would be taken for kept, and be pushed again without a condition once the machine has gone back."""
    looked = hear(replace(waiting("inspect"), provisional=trial), said(pending=NEW), LATER)
    assert looked.provisional
    assert looked.provisional.digest == NEW
    assert looked.provisional.until > LATER
    gone_back = hear(looked.asked(Command("c-2", "inspect", LATER)), said(digest=OLD, pending=None), LATER)
    assert gone_back.failed
    assert (gone_back.provisional, gone_back.failed.digest, gone_back.failed.final) == (None, NEW, True)


def test_a_confirmation_that_comes_too_late_ends_the_trial() -> None:
    """The machine has gone back already: nothing waits any more, and what it gave up is an operator's to push."""
    late = replace(waiting("confirm"), provisional=Provisional(NEW, NOON))
    heard = hear(late, said("Failed", digest=OLD, result="refused", reason="no push waits"), LATER)
    assert heard.provisional is None
    assert heard.failed
    assert heard.failed.final


@pytest.mark.parametrize("kind", ["push", "inspect", "confirm"])
def test_an_answer_without_a_word_on_the_machine_leaves_what_was_known(kind: Kind) -> None:
    """The lock was taken, or a tool is missing: that is not to be bare, and what is on trial stays on trial."""
    trial = Provisional(NEW, NOON + timedelta(minutes=9))
    busy = Invocation("Failed", json.dumps({"mooring": 1, "result": "refused", "reason": "busy\x07\n"}))
    before = replace(waiting(kind), provisional=trial)
    after = hear(before, busy, LATER)
    assert (after.command, after.inspection, after.provisional) == (None, before.inspection, trial)
    why = after.failed.reason if after.failed else after.unresponsive and after.unresponsive.why
    assert why == "refused it: busy  "
    assert (after.failed is not None) == (kind == "push")


def test_how_long_a_machine_has_not_said_how_it_stands_is_counted_from_the_first_time() -> None:
    """Each time it is asked anew; the reason is the latest, and a word ends it."""
    once = hear(waiting("inspect"), Invocation("ExecutionTimedOut"), LATER)
    twice = hear(once.asked(Command("c-2", "inspect", LATER)), Invocation("AccessDenied"), LATER + MINUTE)
    assert twice.unresponsive == Unresponsive(LATER, "the machine may not run it: AccessDenied")
    assert hear(twice.asked(Command("c-3", "inspect", LATER)), said(), LATER).unresponsive is None


def test_secrets_that_a_machine_went_back_from_are_not_pushed_for_ever() -> None:
    """The configuration is the one in force either way: what stands for the secrets tells the pushes apart."""
    command = Command("c-1", "push", NOON, OLD, secrets="5" * 64)
    renewed = replace(waiting(), command=command, secrets="4" * 64)
    undone = hear(renewed, said("Failed", result="rolled-back", digest=OLD, reason="no tunnel"), LATER)
    assert undone.failed
    assert (undone.failed.final, undone.failed.secrets, undone.secrets) == (True, "5" * 64, "4" * 64)
    look = undone.asked(Command("c-2", "inspect", LATER))
    assert hear(look, said(digest=OLD, pending=None), LATER).failed == undone.failed
    taken = hear(renewed, said(result="applied", digest=OLD), LATER)
    assert (taken.failed, taken.secrets) == (None, "5" * 64)


@pytest.mark.parametrize(
    ("kind", "result", "drifted"),
    [
        ("push", "refused", True),
        ("push", "applied", False),
        ("push", "unchanged", False),
        ("confirm", "applied", True),
    ],
)
def test_drift_is_known_until_a_push_mends_it(kind: Kind, result: str, drifted: bool) -> None:  # noqa: FBT001
    """Neither a push that was refused nor a confirmation looked for it."""
    before = waiting(kind)
    word = Inspection(NOON - MINUTE, OLD, drift=("a rule was deleted",))
    after = hear(replace(before, inspection=word), said(result=result), LATER)
    assert after.inspection
    assert after.inspection.drift == (word.drift if drifted else ())


@pytest.mark.parametrize(
    ("kind", "fields", "hooks"),
    [
        ("push", {"result": "applied", "hooks": []}, ()),
        (
            "push",
            {"result": "applied", "hooks": ["table ip x stops it", "and y"]},
            ("table ip x stops it", "and y"),
        ),
        ("push", {"result": "refused"}, ("table ip old stops it",)),
        ("confirm", {"result": "applied"}, ("table ip old stops it",)),
        ("inspect", {}, ()),
        ("inspect", {"hooks": ["table ip x stops it"]}, ("table ip x stops it",)),
    ],
)
def test_what_other_peoples_rules_stop_is_known_until_somebody_looked_again(
    kind: Kind, fields: dict[str, object], hooks: tuple[str, ...]
) -> None:
    """A push that was refused, and a confirmation, do not look for it."""
    word = Inspection(NOON - MINUTE, OLD, hooks=("table ip old stops it",))
    after = hear(replace(waiting(kind), inspection=word), said("Success", **fields), LATER)
    assert after.inspection
    assert after.inspection.hooks == hooks


@pytest.mark.parametrize("status", ["Success", "Failed", "ExecutionTimedOut", "TimedOut"])
def test_word_that_was_said_counts_though_somebody_held_the_scripts_output(status: str) -> None:
    """The agent waits for whoever holds it, and calls a script that exited 0 timed out; its last line was printed all the same."""
    machine = hear(waiting(), said(status, result="applied"), LATER)
    assert machine.failed is None
    assert machine.inspection
    assert machine.inspection.digest == NEW


@pytest.mark.parametrize("output", ["", "preparing", '{"mooring":1,"digest":'])
def test_command_that_ran_out_of_time_before_its_last_line_brought_nothing(output: str) -> None:
    """Half a line is no word."""
    machine = hear(waiting(), Invocation("ExecutionTimedOut", output), LATER)
    assert machine.failed
    assert "ran out of time" in machine.failed.reason


@pytest.mark.parametrize("lines", ["a text", {"a": 1}, 7, [7], ["\x1b[2J"]])
def test_lines_that_are_no_list_of_readable_text_are_no_word(lines: object) -> None:
    """A machine is not trusted, and a terminal obeys what it is shown."""
    for key in ("drift", "hooks"):
        after = hear(waiting("inspect"), said("Success", **{key: lines}), LATER)
        assert after.unresponsive


def test_a_push_on_condition_that_was_refused_waits_for_an_operator() -> None:
    """Mooring pushes without the condition, and that is not what was asked for."""
    after = hear(waiting(confirm_within=300), said("Failed", result="refused", digest=OLD), LATER)
    assert after.failed
    assert after.failed.final


def test_bytes_within_a_minute_say_nothing_of_growth() -> None:
    """A push and an inspection may follow each other at once; a good tunnel may be quiet for that long."""
    soon = replace(waiting("inspect"), inspection=Inspection(NOON - timedelta(seconds=59), OLD, received=10))
    after = hear(soon, said(), LATER)
    assert after.inspection
    assert after.inspection.grown is None
