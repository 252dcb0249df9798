"""The journal remembers: what was decided before it is done, by one run at a time, and what became of it."""

from __future__ import annotations

import json
import re
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.aws.journal import KEPT, DynamoJournal
from chalicelib.core.errors import ApplyError, ControllerError, ObservationError
from chalicelib.core.machines.machine import Command, FailedPush, Inspection, Machine, Provisional
from chalicelib.core.network.change import ReplaceRoute
from chalicelib.core.network.election import Election
from chalicelib.core.network.history import History, Pause, Sighting
from chalicelib.core.network.notice import Hook, Notice
from chalicelib.core.network.report import Failure, Outcome, Report, as_json
from tests.aws.conftest import ONCE
from tests.builders import NOON, ROUTER, ROUTER_ENI, STANDBY, STANDBY_ENI, an_id, instance, interface, standby
from tests.network import JOURNAL, ROOT, deploy_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from chalicelib.bootstrap import Edge
    from chalicelib.controller.ports import Journal
    from tests.fake_aws import Client, World

    Verb = Callable[[Journal], None]

FIRST = History(revision=1, router=ROUTER, since=NOON)
WHOLE = Machine(
    ROUTER,
    Command("c-1", "push", NOON, "a" * 64, 300),
    Inspection(NOON, None, ("a rule is missing", "☂"), True, True, "CONNECTED", 1 << 40, 7, NOON),  # noqa: FBT003
    FailedPush("b" * 64, "refused it", NOON, 3, final=True),
    Provisional("a" * 64, NOON),
)
MINUTE = timedelta(minutes=1)
HOOK = Hook("office-routers", "handover", "00000000-0000-0000-0000-000000000001")
SERVES = Notice(STANDBY, "is in service in its Auto Scaling group", NOON, kind="in-service")


@pytest.fixture
def journal(world: World, edge: Edge) -> Journal:
    """The journal as bootstrap wires it, on the table of .chalice/resources.yaml."""
    deploy_journal(world)
    world.forget_calls()
    return edge.journal


@pytest.fixture(scope="module")
def once(embedded: World) -> Client:
    """A DynamoDB client that asks once."""
    return embedded.client("dynamodb", ONCE, by="product")


@pytest.fixture
def impatient(world: World, once: Client) -> DynamoJournal:
    """The same journal, held by one that asks once."""
    deploy_journal(world)
    return DynamoJournal(once, JOURNAL)


def _report(at: datetime = NOON, changes: int = 2, failure: Failure | None = None) -> Report:
    """Report a move of the router; failed, if a failure is given."""
    outcomes = tuple(
        Outcome(
            ReplaceRoute(
                an_id("rtb", 0xABC0000 + n * 7919), "0.0.0.0/0", STANDBY_ENI, ROUTER_ENI, "it is dead"
            ),
            "failed" if failure else "planned",
            failure,
        )
        for n in range(changes)
    )
    election = Election(instance(STANDBY), interface(STANDBY_ENI), "it is dead", previous=ROUTER)
    return Report("office", "drifting", "a test", at, at + MINUTE, election, at, outcomes)


def _items(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.client("dynamodb").scan(TableName=JOURNAL)["Items"]
    return sorted(found, key=lambda item: str(item["entry"]["S"]))


def _entries(world: World) -> list[dict[str, Any]]:
    """List the timeline."""
    return [item for item in _items(world) if item["entry"]["S"] != "state"]


# -- what is remembered ----------------------------------------------------------------------------------


def test_topology_never_seen_has_an_empty_history(journal: Journal) -> None:
    """Nobody needs to prepare the journal for a new topology."""
    assert journal.read("office") == History()


@pytest.mark.parametrize(
    "after",
    [
        FIRST,
        replace(FIRST, moves=(NOON - MINUTE, NOON)),
        replace(FIRST, pause=Pause("a flood")),
        replace(FIRST, pause=Pause('until "it" ends: ☂', until=NOON + 90 * MINUTE)),
        replace(FIRST, machines=(WHOLE, Machine(STANDBY), replace(WHOLE, command=None, provisional=None))),
        History(revision=1),
        replace(FIRST, leaves=(NOON - MINUTE, NOON), moves=(NOON,)),
        replace(FIRST, launched_at=NOON - MINUTE, insisted_at=NOON, decided_at=NOON + MINUTE, kept="0f" * 16),
        replace(FIRST, sighting=Sighting(STANDBY, NOON + MINUTE)),
        replace(FIRST, notices=(SERVES, replace(SERVES, hook=HOOK, kind="termination"))),
    ],
    ids=[
        "router", "moves", "pause", "pause with an end", "machines", "nobody",
        "leaves", "what was decided", "sighting", "notices",
    ],
)  # fmt: skip
def test_decided_history_is_read_back_whole(journal: Journal, after: History) -> None:
    """Router, since when, moves, pause and machines come back as they went in, to the microsecond and in UTC."""
    journal.decide("office", History(), after, _report())
    assert journal.read("office") == after


def test_state_that_an_earlier_version_wrote_is_read_without_what_it_did_not_know(
    journal: Journal, world: World
) -> None:
    """A new version is deployed over a journal that is in use: who the router is must not be lost."""
    state = {
        "topology": {"S": "office"},
        "entry": {"S": "state"},
        "revision": {"N": "3"},
        "router": {"S": ROUTER},
        "since": {"S": NOON.isoformat()},
        "moves": {"L": [{"S": NOON.isoformat()}]},
    }
    world.client("dynamodb").put_item(TableName=JOURNAL, Item=state)
    assert journal.read("office") == History(revision=3, router=ROUTER, since=NOON, moves=(NOON,))


def test_what_a_later_version_wrote_of_a_machine_is_read_as_far_as_it_is_known(
    journal: Journal, world: World
) -> None:
    """Deploying an older version again must not blind it."""
    journal.decide("office", History(), replace(FIRST, machines=(WHOLE,)), _report())
    table = world.client("dynamodb")
    key = {"topology": {"S": "office"}, "entry": {"S": "state"}}
    kept = table.get_item(TableName=JOURNAL, Key=key)["Item"]
    machines = json.loads(kept["machines"]["S"])
    machines[0]["inspection"]["mood"] = "good"
    machines[0]["weather"] = "fine"
    table.put_item(TableName=JOURNAL, Item=kept | {"machines": {"S": json.dumps(machines)}})
    assert journal.read("office").machines == (WHOLE,)


def test_histories_of_topologies_do_not_mix(journal: Journal) -> None:
    """One table, many topologies."""
    journal.decide("office", History(), FIRST, _report())
    assert journal.read("office-2") == History()
    journal.decide("office-2", History(), replace(FIRST, router=STANDBY), _report())
    assert journal.read("office") == FIRST


def test_history_is_read_strongly_consistent(world: World, journal: Journal) -> None:
    """A look must know the decision that was made a moment ago."""
    journal.read("office")
    (call,) = world.calls
    assert (call.operation, call.params["ConsistentRead"]) == ("GetItem", True)


# -- one run at a time -----------------------------------------------------------------------------------


def test_second_decision_on_one_history_is_refused_and_leaves_no_trace(world: World, edge: Edge) -> None:
    """Two runs looked, one has decided: the other must look again, and neither its state nor its entry is written."""
    deploy_journal(world)
    faster, slower = edge.journal, DynamoJournal(world.client("dynamodb"), JOURNAL)
    before = slower.read("office")
    assert faster.read("office") == before
    faster.decide("office", before, FIRST, _report())
    written = _items(world)
    with pytest.raises(ObservationError, match="another run has decided about office") as outrun:
        slower.decide("office", before, replace(FIRST, router=STANDBY), _report(NOON + MINUTE))
    assert (outrun.value.hint, outrun.value.aws_code) == ("look again", "TransactionCanceledException")
    assert _items(world) == written


def test_decision_on_an_old_history_is_refused(journal: Journal) -> None:
    """An older plan never overwrites a newer one, however much older it is."""
    second = FIRST.decided(standby(), NOON + MINUTE, "unwanted", insisted=False)
    journal.decide("office", History(), FIRST, _report())
    journal.decide("office", FIRST, second, _report(NOON + MINUTE))
    for old in (History(), FIRST):
        with pytest.raises(ObservationError):
            journal.decide("office", old, FIRST, _report(NOON + 2 * MINUTE))
    assert journal.read("office") == second


def test_one_of_many_decisions_at_once_is_made(world: World, journal: Journal) -> None:
    """The table is the referee: of runs that decide at the same moment one wins, and the others know."""
    runs = 8
    start = threading.Barrier(runs)

    def decide(number: int) -> bool:
        after = replace(FIRST, router=an_id("i", number))
        start.wait()
        try:
            journal.decide("office", History(), after, _report(NOON + number * MINUTE))
        except ObservationError:
            return False
        return True

    with ThreadPoolExecutor(runs) as pool:
        won = [number for number, good in enumerate(pool.map(decide, range(runs))) if good]
    assert len(won) == 1
    assert journal.read("office").router == an_id("i", won[0])
    (entry,) = _entries(world)
    assert entry["entry"]["S"] == f"run#{(NOON + won[0] * MINUTE).isoformat()}"


# -- the timeline ----------------------------------------------------------------------------------------


def test_decision_is_an_entry_anybody_can_read(world: World, journal: Journal) -> None:
    """The sentence for people, the whole report for programs, under the time of its look."""
    report = _report()
    journal.decide("office", History(), FIRST, report)
    (entry,) = _entries(world)
    assert entry["topology"]["S"] == "office"
    assert entry["entry"]["S"] == "run#2026-11-23T12:00:00+00:00"
    assert entry["sentence"]["S"] == report.sentence
    assert json.loads(entry["report"]["S"]) == as_json(report)


def test_entry_expires_and_the_state_never_does(world: World, journal: Journal) -> None:
    """The timeline forgets after 90 days; what the next decision leans on stays."""
    journal.decide("office", History(), FIRST, _report())
    entry, state = _items(world)
    assert int(entry["ttl"]["N"]) == int((NOON + KEPT).timestamp())
    assert timedelta(days=90) == KEPT
    assert "ttl" not in state
    template = (
        ROOT / ".chalice" / "resources.yaml"
    ).read_text()  # the embedded AWS leaves TTL out of a stack
    assert re.search(r"TimeToLiveSpecification:\s*\{ AttributeName: ttl, Enabled: true \}", template)


def test_closing_replaces_the_decision_by_the_report(world: World, journal: Journal) -> None:
    """One run, one entry: first what was decided, then what became of it; the state stays."""
    report = _report()
    journal.decide("office", History(), FIRST, report)
    done = tuple(replace(outcome, result="verified") for outcome in report.outcomes)
    closed = replace(report, verdict="repaired", outcomes=done, finished_at=NOON + 2 * MINUTE)
    journal.close("office", closed)
    (entry,) = _entries(world)
    assert entry["sentence"]["S"] == closed.sentence != report.sentence
    assert json.loads(entry["report"]["S"]) == as_json(closed)
    assert journal.read("office") == FIRST


def test_runs_are_entries_in_order(world: World, journal: Journal) -> None:
    """The timeline sorts by time."""
    history = History()
    for number in range(3):
        after = history.decided(instance(), NOON, "none", insisted=False)
        journal.decide("office", history, after, _report(NOON + number * MINUTE))
        history = after
    assert [e["entry"]["S"][-14:-9] for e in _entries(world)] == ["12:00", "12:01", "12:02"]


def test_report_too_large_for_an_item_is_kept_deflated(world: World, journal: Journal) -> None:
    """400 KB is the most an item holds: hundreds of denied tables must not cost the network its repair."""
    sentence = "You are not authorized to perform this operation. " * 20
    report = _report(changes=2000, failure=Failure("UnauthorizedOperation", sentence, retryable=False))
    journal.decide("office", History(), FIRST, report)
    journal.close("office", report)
    (entry,) = _entries(world)
    assert json.loads(zlib.decompress(entry["report"]["B"])) == as_json(report)
    assert entry["sentence"]["S"] == report.sentence


# -- what goes wrong -------------------------------------------------------------------------------------


def test_missing_table_is_an_error_that_says_what_to_do(world: World, edge: Edge) -> None:
    """Without a journal there is no decision, and no empty history either."""
    journal = edge.journal
    assert world.client("dynamodb").list_tables()["TableNames"] == []
    with pytest.raises(ObservationError, match=f"there is no journal table {JOURNAL}") as unread:
        journal.read("office")
    assert "make deploy" in unread.value.hint
    assert "MOORING_JOURNAL" in unread.value.hint
    for write in (_decide, _close):
        with pytest.raises(ApplyError, match=f"the journal {JOURNAL} could not be written") as unwritten:
            write(journal)
        assert unwritten.value.aws_code == "ResourceNotFoundException"


def _decide(journal: Journal) -> None:
    journal.decide("office", History(), FIRST, _report())


def _close(journal: Journal) -> None:
    journal.close("office", _report())


def _read(journal: Journal) -> None:
    journal.read("office")


@pytest.mark.parametrize(
    ("verb", "operation", "kind"),
    [
        (_read, "GetItem", ObservationError),
        (_decide, "TransactWriteItems", ApplyError),
        (_close, "PutItem", ApplyError),
    ],
    ids=["read", "decide", "close"],
)
@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_refused_call_is_an_error_with_awss_code(
    world: World, impatient: DynamoJournal, code: str, verb: Verb, operation: str, kind: type[ControllerError]
) -> None:
    """Throttled or denied: a reading is blind, a writing is not done, nothing is written, and another run may try."""
    if code == "ThrottlingException":
        world.throttle(operation)
    else:
        world.deny(operation)
    with pytest.raises(kind, match=code) as refused:
        verb(impatient)
    assert (refused.value.aws_code, refused.value.retryable) == (code, True)
    assert refused.value.hint
    assert _items(world) == []


def test_history_that_is_throttled_once_is_read_again(world: World, journal: Journal) -> None:
    """Bootstrap's client retries by itself."""
    world.throttle("GetItem", times=1)
    assert journal.read("office") == History()
    assert [c.error for c in world.calls] == ["ThrottlingException", None]


def test_decision_whose_reply_was_lost_is_written_once_and_blames_nobody(
    world: World, journal: Journal
) -> None:
    """Botocore repeats the call with its token, and DynamoDB answers as it did: no other run was faster."""
    world.lose("TransactWriteItems")
    journal.decide("office", History(), FIRST, _report())
    assert journal.read("office") == FIRST
    assert [c.operation for c in world.calls].count("TransactWriteItems") == 2
    assert len(_items(world)) == 2


def test_decision_cancelled_by_a_throttled_table_blames_no_other_run(
    world: World, impatient: DynamoJournal
) -> None:
    """DynamoDB cancels transactions for many reasons: only a failed condition or a conflict is another run."""
    world.fail("TransactWriteItems", code="TransactionCanceledException", status=400)
    with pytest.raises(ApplyError) as refused:
        impatient.decide("office", History(), FIRST, _report())
    assert refused.value.aws_code == "TransactionCanceledException"
    world.fail("TransactWriteItems", code="TransactionConflictException", status=400)
    with pytest.raises(ObservationError, match="another run has decided"):
        impatient.decide("office", History(), FIRST, _report())


def test_expired_credentials_are_an_error_that_says_to_sign_in(
    world: World, impatient: DynamoJournal
) -> None:
    """DynamoDB and Parameter Store have a code of their own for what EC2 calls AuthFailure."""
    world.fail("GetItem", code="UnrecognizedClientException", status=400)
    with pytest.raises(ObservationError) as refused:
        impatient.read("office")
    assert refused.value.hint.startswith("sign in again")
