"""What any journal must do, tried on the simulator's and on DynamoDB's: who was first, and what is read back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.declaration import Kept
from chalicelib.core.errors import ObservationError
from chalicelib.core.network.history import History, Pause
from chalicelib.core.network.report import Report
from tests.builders import NOON, ROUTER, STANDBY
from tests.network import deploy_journal
from tests.simulator.stage import SimulatedStage

if TYPE_CHECKING:
    from chalicelib.aws.journal import DynamoJournal
    from tests.simulator.journal import SimulatedJournal

    Journal = DynamoJournal | SimulatedJournal

FIRST = History(revision=1, router=ROUTER, since=NOON, decided_at=NOON)
DECISION = Report("office", "drifting", "a test", NOON, NOON)


@pytest.fixture(params=["simulated", "dynamodb"])
def journal(request: pytest.FixtureRequest) -> Journal:
    """An empty journal, in the simulator and on the embedded AWS in turn."""
    if request.param == "simulated":
        return SimulatedStage().journal
    deploy_journal(request.getfixturevalue("world"))
    found: Journal = request.getfixturevalue("edge").journal
    return found


def test_decision_is_read_back(journal: Journal) -> None:
    """What was decided is what the next run knows; of a topology never seen, nothing."""
    assert journal.read("office") == History()
    journal.decide("office", History(), FIRST, DECISION)
    assert journal.read("office") == FIRST
    assert journal.read("other") == History()


def test_decision_on_what_is_not_the_latest_is_refused(journal: Journal) -> None:
    """The second of two runs that read the same history has not decided."""
    journal.decide("office", History(), FIRST, DECISION)
    with pytest.raises(ObservationError):
        journal.decide("office", History(), replace(FIRST, router=STANDBY), DECISION)
    assert journal.read("office").router == ROUTER


def test_amendment_makes_earlier_readings_old(journal: Journal) -> None:
    """Whoever read before a pause was ordered decides nothing any more."""
    journal.decide("office", History(), FIRST, DECISION)
    paused = journal.amend("office", lambda history: replace(history, pause=Pause("maintenance")))
    assert (paused.revision, paused.router) == (2, ROUTER)
    assert journal.read("office") == paused
    with pytest.raises(ObservationError):
        journal.decide("office", FIRST, replace(FIRST, revision=2, router=STANDBY), DECISION)


def test_amendment_that_changes_nothing_writes_nothing(journal: Journal) -> None:
    """What is the same once more is no news."""
    journal.decide("office", History(), FIRST, DECISION)
    assert journal.amend("office", lambda history: history) == FIRST
    assert journal.read("office").revision == 1


def test_declaration_that_was_kept_is_read_back(journal: Journal) -> None:
    """The last one that was valid, and when it was read."""
    assert journal.kept("office") is None
    journal.keep("office", Kept(b"one", NOON))
    journal.keep("office", Kept(b"two", NOON + timedelta(minutes=1)))
    assert journal.kept("office") == Kept(b"two", NOON + timedelta(minutes=1))
