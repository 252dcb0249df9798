"""An operator's word in an election: it names the router, against a notice only with force, and against what is never."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.core.errors import NoEligibleRouter
from chalicelib.core.machines.readiness import Readiness
from chalicelib.core.network.election import Election, elect
from tests.builders import ROUTER, STANDBY, THIRD, instance, seen, standby, topology
from tests.histories import remembered

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Instance

WARNED = "gets a Spot terminate in two minutes"


def elected(*instances: Instance, to: str, said: Readiness | None = None, force: bool = False) -> Election:
    """Elect whom an operator names, in the network that leads to the router."""
    return elect(topology(), seen(None, *instances), remembered(), said or Readiness(), to=to, force=force)


def who(election: Election) -> tuple[str | None, str | None, str]:
    """Return the router, the one before and the cause."""
    return election.router.id if election.router else None, election.previous, election.cause


def test_switchover_to_an_eligible_candidate_moves() -> None:
    """An operator may leave a healthy incumbent."""
    election = elected(instance(), standby(), to=STANDBY)

    assert who(election) == (STANDBY, ROUTER, "operator")
    assert (election.reason, election.against) == ("an operator chose it", None)


def test_switchover_to_the_incumbent_is_no_move() -> None:
    """Asking for the router that is there changes nothing."""
    assert who(elected(instance(), standby(), to=ROUTER)) == (ROUTER, None, "none")


OVERRULED = {
    "a notice": (replace(standby(), notice=WARNED), Readiness(), f"{STANDBY} {WARNED}"),
    "its own word": (
        standby(),
        Readiness(forwarding=frozenset({ROUTER}), idle=frozenset({STANDBY})),
        f"{STANDBY} says that it does not forward",
    ),
}


@pytest.mark.parametrize("against", OVERRULED)
def test_switchover_against_what_is_said_is_refused_and_the_hint_names_force(against: str) -> None:
    """An operator learns that it is possible, and who could be without it."""
    named, said, why = OVERRULED[against]
    with pytest.raises(NoEligibleRouter) as caught:
        elected(instance(), named, said=said, to=STANDBY)

    assert caught.value.message == f"{STANDBY} cannot be the router: {why}"
    assert caught.value.hint == f"--force insists on it; eligible now: {ROUTER}"


@pytest.mark.parametrize("against", OVERRULED)
def test_switchover_against_what_is_said_can_be_forced_and_says_so(against: str) -> None:
    """The reason goes on record with what was overruled."""
    named, said, why = OVERRULED[against]
    election = elected(instance(), named, said=said, to=STANDBY, force=True)

    assert who(election) == (STANDBY, ROUTER, "operator")
    assert (election.against, election.reason) == (why, f"an operator chose it, though {why}")


@pytest.mark.parametrize(
    ("named", "why"),
    [
        pytest.param(replace(standby(), state="stopped"), f"{STANDBY} is stopped", id="stopped"),
        pytest.param(
            replace(standby(), checks="impaired"), f"{STANDBY} fails its status checks", id="impaired"
        ),
        pytest.param(replace(standby(), interfaces=()), f"{STANDBY} does not hold", id="no interface"),
        pytest.param(replace(standby(), tags={}), f"it is no candidate of {topology().name}", id="stranger"),
        pytest.param(
            replace(standby(), state="stopped", notice=WARNED),
            f"{STANDBY} is stopped",
            id="stopped and noticed",
        ),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_switchover_to_what_cannot_carry_is_refused_also_with_force(
    named: Instance, why: str, *, force: bool
) -> None:
    """What is cannot be overruled, and nobody is told that it could be."""
    with pytest.raises(NoEligibleRouter) as caught:
        elected(instance(), named, to=STANDBY, force=force)

    assert why in caught.value.message
    assert caught.value.hint == f"eligible now: {ROUTER}"


def test_switchover_where_nobody_is_eligible_points_to_the_status() -> None:
    """There is nobody to name instead."""
    with pytest.raises(NoEligibleRouter) as caught:
        elected(instance(state="stopped"), to=THIRD)

    assert caught.value.hint == "no candidate is eligible now; see `mooring status`"
