"""The journal beside its decisions: amended by many at once, read as a timeline, asked for requests."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.aws.journal import AMENDS, ANSWERED, READABLE
from chalicelib.core.declaration import Kept
from chalicelib.core.errors import ApplyError, ObservationError
from chalicelib.core.network.change import CreateRoute
from chalicelib.core.network.history import History, Pause
from chalicelib.core.network.notice import Hook, Notice
from chalicelib.core.network.report import Outcome, Report, as_json
from tests.builders import NOON, PRIVATE_A, ROUTER, ROUTER_ENI, STANDBY, an_id

if TYPE_CHECKING:
    from chalicelib.aws.journal import DynamoJournal
    from tests.stand_ins.functions import Functions

HOOK = Hook("office-routers", "handover", str(uuid.UUID(int=1)))
WORD = Notice(ROUTER, "is being terminated by its Auto Scaling group", NOON, HOOK, "termination")
ADVICE = Notice(STANDBY, "has a Spot rebalance recommendation", NOON, kind="rebalance")
PAUSE = Pause("lunch", NOON + timedelta(hours=1))


@pytest.fixture
def journal(functions: Functions) -> DynamoJournal:
    """An empty journal."""
    journal: DynamoJournal = functions.app.edge.journal
    return journal


def _report(minute: int = 0, changes: int = 0) -> Report:
    at = NOON + timedelta(minutes=minute)
    outcomes = [
        Outcome(
            CreateRoute(PRIVATE_A, f"10.{n >> 8}.{n & 255}.0/24", ROUTER_ENI, "it is missing"), "verified"
        )
        for n in range(changes)
    ]
    return Report("office", "repaired", "tick", at, at, outcomes=tuple(outcomes))


# -- amending ----------------------------------------------------------------------------------------


def test_amended_history_comes_back_whole(journal: DynamoJournal) -> None:
    """Pause, notices and their hooks; the revision grows, so that a run under way does not overwrite it."""
    written = journal.amend("office", lambda h: replace(h, pause=PAUSE, notices=(WORD, ADVICE)))
    assert written == History(revision=1, pause=PAUSE, notices=(WORD, ADVICE))
    assert journal.read("office") == written
    for_ever = journal.amend("office", lambda h: replace(h, pause=Pause("for ever"), notices=()))
    assert journal.read("office") == for_ever == History(revision=2, pause=Pause("for ever"))
    assert journal.read("branch") == History()


def test_amendment_that_changes_nothing_writes_nothing(functions: Functions, journal: DynamoJournal) -> None:
    """The same word twice leaves the revision alone: no run is thrown back for it."""
    journal.amend("office", lambda h: h.noticed(WORD))
    functions.forget()
    assert journal.amend("office", lambda h: h.noticed(WORD)).revision == 1
    assert functions.asked() == ["GetItem"]


def test_decision_after_an_amendment_looks_again(journal: DynamoJournal) -> None:
    """A run that read the history before it was paused must not decide on that."""
    before = journal.read("office")
    journal.amend("office", lambda h: replace(h, pause=PAUSE))
    with pytest.raises(ObservationError, match="another run has decided"):
        journal.decide("office", before, replace(before, revision=1, router=ROUTER), _report())
    assert journal.read("office").pause == PAUSE
    assert journal.timeline("office", 10) == []


def test_racing_amendments_are_all_kept(journal: DynamoJournal) -> None:
    """Operators and the worker amend at once; nobody's word is lost, and who is told it failed knows that it did."""

    def note(number: int) -> str | None:
        try:
            journal.amend("office", lambda h: h.noticed(Notice(an_id("i", number), "is watched", NOON)))
        except ObservationError:
            return None
        return an_id("i", number)

    with ThreadPoolExecutor(max_workers=8) as pool:
        noted = [one for one in pool.map(note, range(40)) if one]
    kept = journal.read("office")
    assert sorted(n.instance_id for n in kept.notices) == sorted(noted)
    assert kept.revision == len(noted)
    assert len(noted) >= 38  # of 40: whoever is always overtaken is told


def test_amendment_that_is_always_overtaken_gives_up(journal: DynamoJournal) -> None:
    """After so many tries it says so, and what others wrote stands."""
    tries = []

    def overtaken(history: History) -> History:
        tries.append(history.revision)
        journal.amend("office", lambda h: replace(h, pause=Pause(str(len(tries)))))
        return replace(history, pause=PAUSE)

    with pytest.raises(ObservationError, match="others keep deciding about office"):
        journal.amend("office", overtaken)
    assert tries == list(range(AMENDS))
    assert journal.read("office").pause == Pause(str(AMENDS))


def test_amendment_whose_reply_is_lost_is_made_once(functions: Functions, journal: DynamoJournal) -> None:
    """The retry finds its own write, and asks for nothing more."""
    lost = functions.world.lose("PutItem")
    written = journal.amend("office", lambda h: replace(h, pause=PAUSE))
    lost.stop()
    assert (written.pause, written.revision) == (PAUSE, 1)
    assert journal.read("office") == written


def test_amendment_that_meets_a_decision_tries_again(functions: Functions, journal: DynamoJournal) -> None:
    """DynamoDB refuses a write while a transaction holds the item: it is as if others were faster."""
    functions.world.fail("PutItem", "TransactionConflictException", status=400)
    assert journal.amend("office", lambda h: replace(h, pause=PAUSE)).pause == PAUSE


@pytest.mark.parametrize(("operation", "error"), [("GetItem", ObservationError), ("PutItem", ApplyError)])
def test_amendment_that_is_denied_says_so(
    functions: Functions, journal: DynamoJournal, operation: str, error: type[Exception]
) -> None:
    """With AWS's own code, and what to do."""
    functions.world.deny(operation)
    with pytest.raises(error, match="AccessDenied"):
        journal.amend("office", lambda h: replace(h, pause=PAUSE))


# -- the timeline ------------------------------------------------------------------------------------


def test_timeline_is_newest_first_and_no_longer_than_asked(journal: DynamoJournal) -> None:
    """Each run as it was reported; another topology's are not among them, nor is the state."""
    for minute in (1, 3, 2):
        journal.close("office", _report(minute))
    journal.close("branch", replace(_report(9), topology="branch"))
    journal.amend("office", lambda h: replace(h, pause=PAUSE))
    assert journal.timeline("office", 2) == [as_json(_report(3)), as_json(_report(2))]
    assert len(journal.timeline("office", 50)) == 3
    assert journal.timeline("nowhere", 50) == []


def test_timeline_goes_on_where_a_page_ends(functions: Functions, journal: DynamoJournal) -> None:
    """DynamoDB gives 1 MB at a time: a history of large runs takes several calls, and is whole."""
    large = 900
    for minute in range(6):
        journal.close("office", _report(minute, large))
    functions.forget()
    runs = journal.timeline("office", 6)
    assert [len(run["changes"]) for run in runs] == [large] * 6
    assert functions.asked().count("Query") > 1


def test_largest_report_is_kept_and_read_back(journal: DynamoJournal) -> None:
    """A report that no item could hold as text is deflated, in the timeline and as an answer."""
    report = _report(0, 3000)
    assert len(str(as_json(report))) > READABLE
    journal.close("office", report)
    assert journal.timeline("office", 1) == [as_json(report)]
    request_id = str(uuid.uuid4())
    journal.answer(request_id, "office", "done", report)
    assert (journal.answered(request_id) or {})["report"] == as_json(report)


def test_timeline_that_is_denied_says_so(functions: Functions, journal: DynamoJournal) -> None:
    """A history that cannot be read is not an empty one."""
    functions.world.deny("Query")
    with pytest.raises(ObservationError, match="dynamodb:Query failed: AccessDenied"):
        journal.timeline("office", 10)


# -- requests ----------------------------------------------------------------------------------------


def test_answer_is_what_was_last_said(journal: DynamoJournal) -> None:
    """Queued, running, done with the report; of another id nothing is known."""
    request_id = str(uuid.uuid4())
    assert journal.answered(request_id) is None
    for state, report in (("queued", None), ("running", None), ("done", _report())):
        journal.answer(request_id, "office", state, report)
        answered = journal.answered(request_id) or {}
        assert datetime.now(UTC) - datetime.fromisoformat(answered.pop("at")) < timedelta(minutes=1)
        assert answered == {
            "request_id": request_id,
            "topology": "office",
            "state": state,
            "report": report and as_json(report),
        }
    assert journal.timeline("office", 10) == []


def test_answer_that_is_denied_says_so(functions: Functions, journal: DynamoJournal) -> None:
    """Nobody is told that they will be answered when they will not be."""
    functions.world.deny("PutItem")
    with pytest.raises(ApplyError, match="could not be written: AccessDenied"):
        journal.answer(str(uuid.uuid4()), "office", "queued")


def test_answers_and_runs_expire_and_the_state_does_not(functions: Functions, journal: DynamoJournal) -> None:
    """DynamoDB removes what its ttl says; a pause or a notice must outlive any quiet."""
    journal.answer(str(uuid.uuid4()), "office", "queued")
    journal.close("office", _report())
    journal.amend("office", lambda h: h.noticed(Notice(STANDBY, "is watched", NOON)))
    items: list[dict[str, Any]] = functions.world.client("dynamodb").scan(TableName="mooring-journal")[
        "Items"
    ]
    expiring = {item["entry"]["S"][:4]: int(item["ttl"]["N"]) for item in items if "ttl" in item}
    (kept,) = [item for item in items if "ttl" not in item]
    assert kept["entry"]["S"] == "state"
    assert expiring.pop("run#") == int((NOON + timedelta(days=90)).timestamp())
    (answer,) = expiring.values()
    assert abs(answer - (datetime.now(UTC) + ANSWERED).timestamp()) < 60


# -- declarations ------------------------------------------------------------------------------------


def test_kept_declaration_comes_back_as_it_was_written(functions: Functions, journal: DynamoJournal) -> None:
    """The last one of each topology, whatever letters it has, for ever, and beside state and timeline."""
    assert journal.kept("office") is None
    for kept in (
        Kept(b"name = 3", NOON),
        Kept('# \u2602\nname = "office"\n'.encode(), NOON + timedelta(days=1)),
    ):
        journal.keep("office", kept)
        assert journal.kept("office") == kept
    assert journal.kept("branch") is None
    assert journal.read("office") == History()
    assert journal.timeline("office", 10) == []
    (item,) = functions.world.client("dynamodb").scan(TableName="mooring-journal")["Items"]
    assert "ttl" not in item


@pytest.mark.parametrize(("operation", "error"), [("GetItem", ObservationError), ("PutItem", ApplyError)])
def test_declaration_that_cannot_be_kept_or_read_says_so(
    functions: Functions, journal: DynamoJournal, operation: str, error: type[Exception]
) -> None:
    """What could not be read is not nothing."""
    functions.world.deny(operation)
    with pytest.raises(error, match="AccessDenied"):
        journal.keep("office", Kept(b"", NOON)) if error is ApplyError else journal.kept("office")
