"""One run, one value: one sentence for every verdict, one JSON whose schema is kept."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from chalicelib.core.errors import ApplyError, Expired, NoEligibleRouter, ObservationError, UnsafePlan
from chalicelib.core.machines.machine import Command, FailedPush, Inspection, Machine, Provisional
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    Change,
    CreateRoute,
    DisableSourceDestCheck,
    PushConfig,
    ReplaceRoute,
    RevokeIngress,
)
from chalicelib.core.network.election import Election
from chalicelib.core.network.guard import Refusal
from chalicelib.core.network.report import Failure, Outcome, Report, Result, Verdict, as_json
from chalicelib.core.tunnel.render import Bundle
from tests.builders import (
    BOOTSTRAP,
    EIP,
    GROUP,
    NOON,
    OPTIONS,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    PUBLIC,
    ROUTER,
    ROUTER_ENI,
    STANDBY,
    STANDBY_ENI,
    VPC,
    instance,
    interface,
    standby,
)

if TYPE_CHECKING:
    from chalicelib.core.errors import ControllerError

GOLDEN = Path(__file__).parents[2] / "golden" / "report.json"
DEAD = f"{ROUTER} is terminated"
STAYS = Election(instance(), interface(), "the incumbent is eligible")
MOVES = Election(standby(), standby().interfaces[0], DEAD, previous=ROUTER)
REFUSED = Failure("UnauthorizedOperation", "You are not authorized", retryable=False)
THROTTLED = Failure("RequestLimitExceeded", "Request limit exceeded.", retryable=True)
BLAST = Refusal("blast-radius", "9 changes at once", "--force")
HELD_MOVE = Refusal("flapping", "left too often", "wait")
NOBODY = NoEligibleRouter(f"no eligible router: {ROUTER} is stopped")
HELD = Failure("Held", "the source/dest check is still on", retryable=True)


def change(number: int = 0) -> Change:
    """Return some change."""
    return ReplaceRoute(PRIVATE_A, f"10.{number}.0.0/16", STANDBY_ENI, ROUTER_ENI, DEAD)


def outcomes(*results: Result) -> tuple[Outcome, ...]:
    """Return an outcome per result."""
    failures = {"failed": REFUSED, "held": HELD, "unneeded": THROTTLED}
    return tuple(Outcome(change(n), result, failures.get(result)) for n, result in enumerate(results))


def report(
    verdict: Verdict,
    *results: Result,
    election: Election | None = STAYS,
    problems: tuple[str, ...] = (),
    refusal: Refusal | None = None,
    error: ControllerError | None = None,
    waiting: tuple[str, ...] = (),
) -> Report:
    """Return a report of a run that took a second and a half."""
    return Report(
        "office",
        verdict,
        "schedule",
        NOON,
        NOON + timedelta(seconds=1.5),
        election=election,
        outcomes=outcomes(*results),
        problems=problems,
        refusal=refusal,
        error=error,
        waiting=waiting,
    )


SENTENCES = [
    pytest.param(
        report("converged"), f"office: {ROUTER} is the router; everything is as declared", id="converged"
    ),
    pytest.param(
        report("converged", election=MOVES),
        f"office: router moved from {ROUTER} to {STANDBY} because {DEAD}; everything is as declared",
        id="converged on a successor that found all in place",
    ),
    pytest.param(
        report("repaired", "verified", "verified", election=MOVES),
        f"office: router moved from {ROUTER} to {STANDBY} because {DEAD}; 2 of 2 changes verified",
        id="repaired by a move",
    ),
    pytest.param(
        report("repaired", "verified"),
        f"office: {ROUTER} is the router; 1 of 1 change verified",
        id="repaired",
    ),
    pytest.param(
        report("repaired", "verified", "unneeded"),
        f"office: {ROUTER} is the router; 2 of 2 changes verified",
        id="repaired, one by somebody else",
    ),
    pytest.param(
        report("drifting", "verified", "unseen", "failed", "failed", "held"),
        f"office: {ROUTER} is the router; 1 of 5 changes verified; 1 done but not yet seen; 2 failed; 1 held back",
        id="drifting in every way",
    ),
    pytest.param(
        report("drifting", "planned", "planned", election=MOVES),
        f"office: router would move from {ROUTER} to {STANDBY} because {DEAD}; 2 changes to make",
        id="drifting, only looked at",
    ),
    pytest.param(
        report("drifting", problems=("a", "b")),
        f"office: {ROUTER} is the router; 2 problems for an operator",
        id="drifting beyond repair",
    ),
    pytest.param(
        report("drifting", "unseen", error=ObservationError("ec2:DescribeRouteTables failed: Unavailable")),
        f"office: {ROUTER} is the router; 0 of 1 change verified; 1 done but not yet seen; "
        "ec2:DescribeRouteTables failed: Unavailable",
        id="drifting, and blind after writing",
    ),
    pytest.param(
        report("pending", "sent"),
        f"office: {ROUTER} is the router; 1 sent",
        id="pending, sent in this run",
    ),
    pytest.param(
        report("pending", waiting=(f"{STANDBY} has yet to say how it stands",)),
        f"office: {ROUTER} is the router; {STANDBY} has yet to say how it stands",
        id="pending, one machine is waited for",
    ),
    pytest.param(
        report("pending", waiting=("one", "another")),
        f"office: {ROUTER} is the router; 2 machines are waited for",
        id="pending, several machines are waited for",
    ),
    pytest.param(
        report("paused", "planned", refusal=Refusal("paused", "paused: maintenance", "resume it")),
        "office: paused, so nothing was changed: paused: maintenance; 1 change to make",
        id="paused",
    ),
    pytest.param(
        report("refused", "refused", "refused", refusal=BLAST),
        "office: refused, so nothing was changed: 9 changes at once; 2 changes refused",
        id="refused by a guard",
    ),
    pytest.param(
        report("refused", "verified", "refused", "refused", "failed", refusal=BLAST),
        "office: refused in part: 9 changes at once; 1 of 2 changes verified; 1 failed; 2 changes refused",
        id="refused in part, the rest was attempted",
    ),
    pytest.param(
        report("refused", "planned", "refused", refusal=BLAST),
        "office: refused in part: 9 changes at once; 1 change to make; 1 change refused",
        id="refused in part, only looked at",
    ),
    pytest.param(
        report("refused", "planned", "refused", refusal=BLAST, error=ApplyError("the journal is away")),
        "office: refused in part: 9 changes at once; 1 change to make; 1 change refused; the journal is away",
        id="refused in part, and the rest could not be decided",
    ),
    pytest.param(
        report("refused", "verified", refusal=HELD_MOVE),
        "office: refused in part: left too often; 1 of 1 change verified",
        id="the router is held, and repaired in place",
    ),
    pytest.param(
        report("refused", refusal=HELD_MOVE),
        "office: refused, so nothing was changed: left too often",
        id="the router is held, and nothing is to be repaired",
    ),
    pytest.param(
        report("refused", election=None, error=UnsafePlan("the network changed since the plan was shown")),
        "office: refused, so nothing was changed: the network changed since the plan was shown",
        id="refused, not what was agreed to",
    ),
    pytest.param(
        report("no-router", election=None, error=NOBODY),
        f"office: no eligible router: {ROUTER} is stopped; the network is left as it is",
        id="no router",
    ),
    pytest.param(
        report("no-router", "verified", "failed", election=None, error=NOBODY),
        f"office: no eligible router: {ROUTER} is stopped; what needs none is kept; 1 of 2 changes verified; 1 failed",
        id="no router, and what needs none was repaired",
    ),
    pytest.param(
        report("no-router", "planned", election=None, error=NOBODY),
        f"office: no eligible router: {ROUTER} is stopped; what needs none is kept; 1 change to make",
        id="no router, only looked at",
    ),
    pytest.param(
        report("repaired", "verified", "sent"),
        f"office: {ROUTER} is the router; 1 of 1 change verified; 1 sent",
        id="repaired, and a push on its way",
    ),
    pytest.param(
        report("drifting", "verified", "planned", error=ApplyError("the journal is away")),
        f"office: {ROUTER} is the router; 1 of 1 change verified; 1 not attempted; the journal is away",
        id="drifting, with a push that could not be decided",
    ),
    pytest.param(
        report("expired", election=None, error=Expired("it was asked 3 h ago")),
        "office: expired, so nothing was changed: it was asked 3 h ago",
        id="expired",
    ),
    pytest.param(
        report("blind", election=None, error=ObservationError("ec2:DescribeAddresses failed: Unavailable")),
        "office: blind, so nothing was changed: ec2:DescribeAddresses failed: Unavailable",
        id="blind",
    ),
]


@pytest.mark.parametrize(("told", "sentence"), SENTENCES)
def test_every_verdict_is_summed_up_in_one_sentence(told: Report, sentence: str) -> None:
    """The sentence says who is the router and why, what was done, what was proved and what remains."""
    assert told.sentence == sentence


def test_no_verdict_lacks_a_sentence() -> None:
    """Each verdict there is has an example above."""
    assert {param.values[0].verdict for param in SENTENCES} == set(get_args(Verdict))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("told", "retryable"),
    [
        (report("repaired", "verified"), False),
        (report("drifting", "failed"), False),
        (report("drifting", "held"), True),
        (report("repaired", "verified", "unneeded"), False),
        (report("blind", election=None, error=ObservationError("x")), True),
        (report("no-router", election=None, error=NoEligibleRouter("x")), False),
        (report("expired", election=None, error=Expired("x")), False),
        (report("refused", "refused", refusal=BLAST), False),
        (report("drifting", "planned", error=ApplyError("x")), True),
    ],
)
def test_report_says_whether_another_attempt_soon_can_help(told: Report, *, retryable: bool) -> None:
    """One failure that may pass is enough to try again; a denial passes for nobody."""
    assert told.retryable is retryable


def full() -> Report:
    """Return a report in which every key has a value."""
    kinds: tuple[tuple[Change, Result, Failure | None], ...] = (
        (DisableSourceDestCheck(STANDBY_ENI, "the router forwards for others"), "verified", None),
        (ReplaceRoute(PRIVATE_A, "0.0.0.0/0", STANDBY_ENI, ROUTER_ENI, DEAD), "verified", None),
        (AssociateAddress(EIP, STANDBY_ENI, "10.0.10.9", None, DEAD), "unseen", None),
        (CreateRoute(PUBLIC, "10.100.30.0/24", STANDBY_ENI, "it is missing"), "failed", REFUSED),
        (
            AssociateRouteTable(PRIVATE_SUBNET_A, PRIVATE_A, None, None, "x is not its declared table"),
            "held",
            HELD,
        ),
        (AssociateDhcpOptions(VPC, OPTIONS, None, "no set is not the declared set"), "unneeded", THROTTLED),
        (
            RevokeIngress(GROUP, BOOTSTRAP, "tcp/22 from 0.0.0.0/0", 'ssh is declared "closed"'),
            "planned",
            None,
        ),
        (
            ReplaceRoute(PUBLIC, "10.100.100.0/24", STANDBY_ENI, ROUTER_ENI, DEAD),
            "refused",
            Failure("blast-radius", "9 changes at once", retryable=False),
        ),
        (
            PushConfig(STANDBY, "10.0.10.9", Bundle(()), None, "it has no configuration yet", 300),
            "sent",
            None,
        ),
    )
    machine = Machine(
        STANDBY,
        Command("11111111-2222-3333-4444-555555555555", "push", NOON, "a" * 64),
        Inspection(
            NOON,
            "b" * 64,
            ("/etc/mooring/rules.v4 was edited",),
            forwarding=True,
            holds_address=True,
            tunnel="CONNECTED",
            received=1000,
            grown=10,
            expires=NOON,
        ),
        FailedPush("c" * 64, "refused it: bad", NOON, 2),
        Provisional("a" * 64, NOON + timedelta(minutes=5)),
    )
    return Report(
        topology="office",
        verdict="drifting",
        woken_by="ec2:terminated",
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=1.23456),
        election=MOVES,
        since=NOON,
        outcomes=tuple(Outcome(*kind) for kind in kinds),
        problems=("elastic ip x is not in this account and region",),
        advice=("main table x should hold local routes only",),
        refusal=Refusal("blast-radius", "9 changes at once", "apply with --force"),
        error=ObservationError("ec2:DescribeAddresses failed", hint="look again", aws_code="Unavailable"),
        waiting=(f"{STANDBY} has yet to say how it stands",),
        machines=(machine,),
        certificate_ends=NOON,
    )


def test_json_of_a_report_is_the_golden_one() -> None:
    """Others read this JSON: who changes it changes the golden file, and the schema's number if a key changes or goes."""
    assert as_json(full()) == json.loads(GOLDEN.read_text())["full"]


def test_json_of_a_report_with_nothing_in_it_is_the_golden_one() -> None:
    """What is not there is null or an empty list, never a missing key."""
    empty = Report("office", "blind", "schedule", NOON, NOON)

    assert as_json(empty) == json.loads(GOLDEN.read_text())["empty"]
