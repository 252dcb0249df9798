"""What is known of a machine once Systems Manager was asked about its command."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.machines.machine import (
    FRESH,
    ON_ITS_WAY,
    PATIENCE,
    Command,
    Inspection,
    Invocation,
    Kind,
    Machine,
    Setback,
    Silence,
    Trial,
    read,
)
from tests.builders import NOON, ROUTER

OLD, NEW = "0" * 64, "1" * 64
LATER = NOON + timedelta(seconds=30)
MINUTE = timedelta(minutes=1)


def waiting(kind: Kind = "push", confirm_within: int | None = None) -> Machine:
    """Give a machine that was sent a command at noon, and had a configuration before."""
    command = Command("c-1", kind, NOON, None if kind == "inspect" else NEW, confirm_within)
    return Machine(ROUTER, command, Inspection(NOON - timedelta(minutes=1), OLD, received=10))


def said(status: str = "Success", **fields: object) -> Invocation:
    """Give a command that ended with a machine's word."""
    word = {"mooring": 1, "digest": NEW, "forwarding": True, "tunnel": {"state": "CONNECTED", "bytes_in": 25}}
    return Invocation(status, "preparing\n" + json.dumps(word | fields) + "\n")


def test_a_push_that_was_applied_is_the_configuration_in_force() -> None:
    """What `configure` says of the machine counts as an inspection."""
    machine = waiting().heard(said(result="applied"), LATER)
    assert machine.command is None
    assert machine.setback is None
    assert machine.inspection == Inspection(
        NOON, NEW, forwarding=True, tunnel="CONNECTED", received=25, grown=15
    )


@pytest.mark.parametrize(
    "invocation", [None, Invocation("Pending"), Invocation("InProgress"), Invocation("Delayed")]
)
def test_a_command_without_an_answer_is_waited_for_until_patience_ends(invocation: Invocation | None) -> None:
    """Just after sending, SSM knows no invocation; one that never answers is given up, and a push is a setback."""
    machine = waiting()
    assert machine.heard(invocation, NOON + PATIENCE) == machine
    after = machine.heard(invocation, NOON + PATIENCE + timedelta(seconds=1))
    assert after.command is None
    assert after.inspection == machine.inspection
    assert after.setback
    assert after.setback.reason == (
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
    after = waiting().heard(Invocation(details, "no JSON here"), LATER)
    assert after.setback
    assert part in after.setback.reason
    assert after.inspection == waiting().inspection


def test_a_push_that_the_machine_refused_is_tried_again_later_each_time_and_one_that_it_undid_never() -> None:
    """A refusal changed nothing on the machine; going back cost traffic, so an operator decides."""
    machine, waits = waiting(), []
    for _ in range(7):
        machine = replace(machine, command=waiting().command).heard(
            said("Failed", result="refused", digest=OLD, reason="bad"), LATER
        )
        assert machine.setback
        assert machine.setback.again_at
        waits.append((machine.setback.again_at - LATER) // timedelta(minutes=1))
    assert waits == [1, 2, 4, 8, 15, 15, 15]
    undone = waiting().heard(said("Failed", result="rolled-back", digest=OLD, reason="office gone"), LATER)
    assert undone.setback
    assert undone.setback.again_at is None
    assert undone.setback.reason == "went back to what it had: office gone"
    assert undone.inspection
    assert undone.inspection.digest == OLD


def test_another_digest_begins_to_count_its_tries_anew() -> None:
    """What failed before says nothing of what is declared since."""
    machine = Machine(ROUTER, setback=Setback(OLD, "bad", NOON, tries=4))
    again, anew = (Command("c-1", "push", NOON, digest) for digest in (OLD, NEW))
    assert machine.refused(again, "bad", NOON).setback == Setback(OLD, "bad", NOON, tries=5)
    assert machine.refused(anew, "bad", NOON).setback == Setback(NEW, "bad", NOON, tries=1)
    renewed = replace(again, secrets="3" * 64)
    assert machine.refused(renewed, "bad", NOON).setback == Setback(
        OLD, "bad", NOON, tries=1, secrets="3" * 64
    )


def test_a_push_on_trial_is_kept_only_when_it_is_confirmed_and_given_up_only_once() -> None:
    """Commit confirmed: what the machine gave up is not pushed again by itself."""
    trial = waiting(confirm_within=300).heard(said(result="pending"), LATER)
    assert trial.trial == Trial(NEW, NOON + ON_ITS_WAY + timedelta(seconds=300))
    confirmed = replace(trial, command=Command("c-2", "confirm", LATER, NEW)).heard(
        said(result="applied"), LATER
    )
    assert confirmed.trial is None
    late = replace(trial, command=Command("c-2", "confirm", LATER, NEW)).heard(
        said("Failed", result="refused", digest=OLD), LATER
    )
    assert (late.trial, late.setback and late.setback.final) == (None, True)
    over = NOON + ON_ITS_WAY + timedelta(seconds=301)
    look = Command("c-3", "inspect", over)
    undone = replace(trial, command=look).heard(said(digest=OLD), over)
    assert undone.trial is None
    assert undone.setback
    assert (undone.setback.digest, undone.setback.final) == (NEW, True)
    kept = replace(trial, command=look).heard(said(), over)
    assert (kept.trial, kept.setback) == (None, None)
    still = replace(trial, command=replace(look, sent_at=LATER)).heard(said(), LATER)
    assert still.trial == trial.trial


def test_an_inspection_that_failed_leaves_the_last_word_which_ages() -> None:
    """A machine is leaned on for as long as its word is fresh, and no longer."""
    machine = waiting("inspect").heard(Invocation("DeliveryTimedOut"), LATER)
    assert machine.setback is None
    assert machine.fresh(NOON) == machine.inspection
    assert machine.inspection
    assert machine.fresh(machine.inspection.at + FRESH) == machine.inspection
    assert machine.fresh(machine.inspection.at + FRESH + timedelta(seconds=1)) is None


def test_bytes_that_fell_say_nothing_of_growth() -> None:
    """A tunnel that was started anew counts from zero."""
    machine = waiting("inspect").heard(said(tunnel={"state": "CONNECTED", "bytes_in": 3}), LATER)
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
    machine = waiting(kind).heard(Invocation("Success", output), LATER)
    assert machine.command is None
    for text in (
        machine.setback.reason if machine.setback else "",
        *(machine.inspection or Inspection(NOON, None)).drift,
        *(machine.inspection or Inspection(NOON, None)).hooks,
    ):
        assert len(text) <= 400


@given(st.text())
def test_output_that_is_none_of_ours_is_no_word(output: str) -> None:
    """Only a JSON object with Mooring's mark is read."""
    assert read(output) is None or '"mooring"' in output


def test_a_setback_ends_when_the_machine_has_what_it_did_not_take() -> None:
    """An answer was lost and the push was not: once the machine says so itself, nothing has failed any more."""
    failed = waiting().heard(Invocation("ExecutionTimedOut"), LATER)
    assert failed.setback
    looked = failed.asked(Command("c-2", "inspect", LATER))
    assert looked.heard(said(), LATER).setback is None
    assert looked.heard(said(digest=OLD), LATER).setback == failed.setback
    assert looked.heard(said(drift=["a rule was deleted"]), LATER).setback == failed.setback


def test_a_push_on_condition_without_an_answer_is_on_trial_once_the_machine_says_so() -> None:
    """Else it would be pushed again without any condition, as soon as the machine has gone back because nobody confirmed."""
    failed = waiting(confirm_within=300).heard(None, NOON + PATIENCE + timedelta(seconds=1))
    assert failed.setback
    assert failed.setback.final
    looked = failed.asked(Command("c-2", "inspect", LATER))
    taken = looked.heard(said(pending=NEW), LATER)
    assert (taken.setback, taken.trial and taken.trial.digest) == (None, NEW)
    gone_back = taken.asked(Command("c-3", "inspect", LATER)).heard(said(digest=OLD, pending=None), LATER)
    assert gone_back.setback
    assert (gone_back.setback.final, gone_back.setback.digest, gone_back.trial) == (True, NEW, None)
    confirmed = looked.heard(said(pending=None), LATER)
    assert (confirmed.setback, confirmed.trial) == (None, None)
    assert looked.heard(said(digest=OLD), LATER).setback == failed.setback


def test_a_push_while_something_waits_for_its_confirmation_ends_no_trial() -> None:
    """The machine goes on waiting, says so of the same configuration and refuses another: it would go back all the same."""
    trial = Trial(NEW, NOON + timedelta(minutes=9))
    again = replace(waiting(), trial=trial).heard(said(result="pending"), LATER)
    assert (again.trial, again.setback) == (trial, None)
    other = replace(waiting(), trial=trial, command=Command("c-1", "push", NOON, "2" * 64))
    refused = other.heard(said("Failed", result="refused", reason="another push waits"), LATER)
    assert refused.trial == trial
    assert refused.setback
    assert refused.setback.digest == "2" * 64


def test_a_push_after_a_trial_that_may_be_over_begins_another() -> None:
    """The machine had gone back, which nobody had seen yet: it waits for as long as the later push allows."""
    trial = Trial(NEW, NOON + MINUTE)
    again = replace(waiting(confirm_within=300), trial=trial).heard(said(result="pending"), LATER)
    assert again.trial == Trial(NEW, NOON + ON_ITS_WAY + timedelta(seconds=300))
    longer = Trial(NEW, NOON + timedelta(minutes=30))
    still = replace(waiting(confirm_within=300), trial=longer).heard(said(result="pending"), LATER)
    assert still.trial == longer


@pytest.mark.parametrize("trial", [None, Trial(NEW, NOON), Trial(OLD, NOON)])
def test_what_a_machine_says_waits_is_on_trial_whatever_was_known(trial: Trial | None) -> None:
    """Else it would be taken for kept, and be pushed again without a condition once the machine has gone back."""
    looked = replace(waiting("inspect"), trial=trial).heard(said(pending=NEW), LATER)
    assert looked.trial
    assert looked.trial.digest == NEW
    assert looked.trial.until > LATER
    gone_back = looked.asked(Command("c-2", "inspect", LATER)).heard(said(digest=OLD, pending=None), LATER)
    assert gone_back.setback
    assert (gone_back.trial, gone_back.setback.digest, gone_back.setback.final) == (None, NEW, True)


def test_a_confirmation_that_comes_too_late_ends_the_trial() -> None:
    """The machine has gone back already: nothing waits any more, and what it gave up is an operator's to push."""
    late = replace(waiting("confirm"), trial=Trial(NEW, NOON))
    heard = late.heard(said("Failed", digest=OLD, result="refused", reason="no push waits"), LATER)
    assert heard.trial is None
    assert heard.setback
    assert heard.setback.final


@pytest.mark.parametrize("kind", ["push", "inspect", "confirm"])
def test_an_answer_without_a_word_on_the_machine_leaves_what_was_known(kind: Kind) -> None:
    """The lock was taken, or a tool is missing: that is not to be bare, and what is on trial stays on trial."""
    trial = Trial(NEW, NOON + timedelta(minutes=9))
    busy = Invocation("Failed", json.dumps({"mooring": 1, "result": "refused", "reason": "busy\x07\n"}))
    before = replace(waiting(kind), trial=trial)
    after = before.heard(busy, LATER)
    assert (after.command, after.inspection, after.trial) == (None, before.inspection, trial)
    why = after.setback.reason if after.setback else after.silence and after.silence.why
    assert why == "refused it: busy  "
    assert (after.setback is not None) == (kind == "push")


def test_how_long_a_machine_has_not_said_how_it_stands_is_counted_from_the_first_time() -> None:
    """Each time it is asked anew; the reason is the latest, and a word ends it."""
    once = waiting("inspect").heard(Invocation("ExecutionTimedOut"), LATER)
    twice = once.asked(Command("c-2", "inspect", LATER)).heard(Invocation("AccessDenied"), LATER + MINUTE)
    assert twice.silence == Silence(LATER, "the machine may not run it: AccessDenied")
    assert twice.asked(Command("c-3", "inspect", LATER)).heard(said(), LATER).silence is None


def test_secrets_that_a_machine_went_back_from_are_not_pushed_for_ever() -> None:
    """The configuration is the one in force either way: what stands for the secrets tells the pushes apart."""
    command = Command("c-1", "push", NOON, OLD, secrets="5" * 64)
    renewed = replace(waiting(), command=command, secrets="4" * 64)
    undone = renewed.heard(said("Failed", result="rolled-back", digest=OLD, reason="no tunnel"), LATER)
    assert undone.setback
    assert (undone.setback.final, undone.setback.secrets, undone.secrets) == (True, "5" * 64, "4" * 64)
    look = undone.asked(Command("c-2", "inspect", LATER))
    assert look.heard(said(digest=OLD, pending=None), LATER).setback == undone.setback
    taken = renewed.heard(said(result="applied", digest=OLD), LATER)
    assert (taken.setback, taken.secrets) == (None, "5" * 64)


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
    after = replace(before, inspection=word).heard(said(result=result), LATER)
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
    after = replace(waiting(kind), inspection=word).heard(said("Success", **fields), LATER)
    assert after.inspection
    assert after.inspection.hooks == hooks


@pytest.mark.parametrize("status", ["Success", "Failed", "ExecutionTimedOut", "TimedOut"])
def test_word_that_was_said_counts_though_somebody_held_the_scripts_output(status: str) -> None:
    """The agent waits for whoever holds it, and calls a script that exited 0 timed out; its last line was printed all the same."""
    machine = waiting().heard(said(status, result="applied"), LATER)
    assert machine.setback is None
    assert machine.inspection
    assert machine.inspection.digest == NEW


@pytest.mark.parametrize("output", ["", "preparing", '{"mooring":1,"digest":'])
def test_command_that_ran_out_of_time_before_its_last_line_brought_nothing(output: str) -> None:
    """Half a line is no word."""
    machine = waiting().heard(Invocation("ExecutionTimedOut", output), LATER)
    assert machine.setback
    assert "ran out of time" in machine.setback.reason


@pytest.mark.parametrize("lines", ["a text", {"a": 1}, 7, [7], ["\x1b[2J"]])
def test_lines_that_are_no_list_of_readable_text_are_no_word(lines: object) -> None:
    """A machine is not trusted, and a terminal obeys what it is shown."""
    for key in ("drift", "hooks"):
        after = waiting("inspect").heard(said("Success", **{key: lines}), LATER)
        assert after.silence


def test_a_push_on_condition_that_was_refused_waits_for_an_operator() -> None:
    """Mooring pushes without the condition, and that is not what was asked for."""
    after = waiting(confirm_within=300).heard(said("Failed", result="refused", digest=OLD), LATER)
    assert after.setback
    assert after.setback.final


def test_bytes_within_a_minute_say_nothing_of_growth() -> None:
    """A push and an inspection may follow each other at once; a good tunnel may be quiet for that long."""
    soon = replace(waiting("inspect"), inspection=Inspection(NOON - timedelta(seconds=59), OLD, received=10))
    after = soon.heard(said(), LATER)
    assert after.inspection
    assert after.inspection.grown is None
