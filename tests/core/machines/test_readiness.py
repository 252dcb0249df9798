"""Who is ready to be the router, by the machines' own word: the configured before the bare, who forwards before who does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.errors import NoEligibleRouter
from chalicelib.core.machines.machine import FRESH, Agent, Inspection, Machine
from chalicelib.core.machines.readiness import forwards, readiness, ready, wanted
from chalicelib.core.network import election as elections
from tests.builders import NOON, ROUTER, STANDBY, THIRD, TUNNEL, instance, seen, standby, topology
from tests.histories import remembered

if TYPE_CHECKING:
    from chalicelib.core.network.election import Election
    from chalicelib.core.network.history import History
    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.topology import Topology

DECLARED = topology(tunnel=TUNNEL)
_third = replace(standby(THIRD, "eni-00000000000000003"), launched_at=NOON - timedelta(hours=9))
BOTH = (
    standby(),
    replace(_third, interfaces=(replace(_third.interfaces[0], addresses=("10.0.10.10",)),)),
)
"""Two standbys; the second one is older, and so comes first where nothing else tells them apart."""
ONLINE = {instance_id: Agent(online=True) for instance_id in (ROUTER, STANDBY, THIRD)}


def _seen(*, router: bool = False) -> Observation:
    """Return the network with both standbys, and the router if it still runs."""
    present = (instance(), *BOTH) if router else BOTH
    return replace(seen(DECLARED, *present), agents=ONLINE)


def _as_declared(instance_id: str, **other: Any) -> Machine:  # noqa: ANN401 - of Inspection's fields
    """Return a machine that has said that it is as declared, but for what a test names."""
    observation = _seen(router=True)
    found = next(i for i in observation.instances if i.id == instance_id)
    bundle = wanted(DECLARED, observation, found)
    assert bundle
    word = Inspection(NOON - timedelta(minutes=1), bundle.digest, forwarding=True)
    return Machine(instance_id, inspection=replace(word, **other))


def _history(*machines: Machine) -> History:
    return remembered(DECLARED, machines=machines)


def elect(declared: Topology, observation: Observation, history: History, to: str | None = None) -> Election:
    """Elect by what machines said."""
    said = readiness(declared, observation, history)
    return elections.elect(declared, observation, history, said, to=to)


def router_id(election: Election) -> str | None:
    """Return who is elected."""
    return election.router.id if election.router else None


UNREADY: dict[str, dict[str, Any]] = {
    "it has no configuration": {"digest": None},
    "it has another one": {"digest": "0" * 64},
    "somebody changed it": {"drift": ("a rule was deleted",)},
    "its word is stale": {"at": NOON - FRESH - timedelta(seconds=1)},
}


def test_older_standby_is_elected_where_both_are_ready() -> None:
    """Readiness tells them apart only when they differ."""
    history = _history(_as_declared(STANDBY), _as_declared(THIRD))
    assert router_id(elect(DECLARED, _seen(), history)) == THIRD


@pytest.mark.parametrize("why", UNREADY)
def test_standby_that_is_not_ready_comes_after_one_that_is(why: str) -> None:
    """A failover to it would carry nothing until it is pushed; the other is prepared."""
    history = _history(_as_declared(STANDBY), _as_declared(THIRD, **UNREADY[why]))
    observation = _seen()
    assert [ready(DECLARED, observation, history, i) for i in observation.instances] == [True, False]
    assert router_id(elect(DECLARED, observation, history)) == STANDBY


def test_standby_whose_agent_is_gone_is_not_ready() -> None:
    """What it said a while ago may still be so, and nobody could mend it if not."""
    history = _history(_as_declared(STANDBY), _as_declared(THIRD))
    lost = replace(_seen(), agents=ONLINE | {THIRD: Agent(online=False)})
    assert router_id(elect(DECLARED, lost, history)) == STANDBY
    unknown = replace(_seen(), agents={STANDBY: Agent(online=True)})
    assert router_id(elect(DECLARED, unknown, history)) == STANDBY


def test_standby_is_elected_though_nobody_is_ready() -> None:
    """Not to be configured is no reason to leave an office without a router: it is pushed at once."""
    assert router_id(elect(DECLARED, _seen(), _history())) == THIRD


def test_incumbent_that_is_not_ready_stays() -> None:
    """It is mended where it is; readiness only orders those who might follow."""
    history = _history(_as_declared(ROUTER, digest="0" * 64), _as_declared(STANDBY))
    assert not elect(DECLARED, _seen(router=True), history).moved


IDLE = {"forwarding": False, "drift": ("forwarding is off",)}


def test_incumbent_that_does_not_forward_gives_way_only_to_one_that_does() -> None:
    """Routes right and no traffic is down; but to move to who forwards no better would be a move for nothing."""
    observation = _seen(router=True)
    ready_standby = _history(_as_declared(ROUTER, **IDLE), _as_declared(STANDBY))
    election = elect(DECLARED, observation, ready_standby)
    assert (router_id(election), election.previous, election.cause) == (STANDBY, ROUTER, "unfit")
    neither = _history(_as_declared(ROUTER, **IDLE), _as_declared(STANDBY, **IDLE))
    assert not elect(DECLARED, observation, neither).moved
    nobody_knows = _history(_as_declared(ROUTER, **IDLE))
    assert not elect(DECLARED, observation, nobody_knows).moved


@pytest.mark.parametrize("word", [{"at": NOON - FRESH - timedelta(seconds=1)}, {"digest": None}])
def test_incumbent_is_not_left_by_an_old_word_or_one_of_before_its_configuration(
    word: dict[str, Any],
) -> None:
    """A bare machine forwards nothing yet, and what was an hour ago is not now."""
    history = _history(_as_declared(ROUTER, forwarding=False, **word), _as_declared(STANDBY))
    observation = _seen(router=True)
    assert forwards(DECLARED, observation, history, instance()) is None
    assert not elect(DECLARED, observation, history).moved


@pytest.mark.parametrize(("minutes", "counts"), [(0, False), (2, True)])
def test_operator_who_insists_has_heard_what_the_router_said_by_then(minutes: int, *, counts: bool) -> None:
    """It said a minute ago that it does not forward: before the operator insisted, or after."""
    insisted = NOON - timedelta(minutes=minutes)
    history = replace(
        _history(_as_declared(ROUTER, **IDLE), _as_declared(STANDBY)), router=ROUTER, insisted_at=insisted
    )
    observation = _seen(router=True)

    assert forwards(DECLARED, observation, history, instance()) is (False if counts else None)
    assert elect(DECLARED, observation, history).moved is counts


def test_word_of_another_launch_says_nothing_of_forwarding() -> None:
    """A machine that was started since may forward, or not."""
    history = _history(_as_declared(STANDBY, **IDLE))
    started = replace(standby(), launched_at=NOON - timedelta(seconds=30))

    assert forwards(DECLARED, _seen(), history, standby()) is False
    assert forwards(DECLARED, _seen(), history, started) is None


def test_operator_cannot_choose_one_that_does_not_forward() -> None:
    """While another does; the error says what it said."""
    history = _history(_as_declared(ROUTER), _as_declared(STANDBY, **IDLE))
    with pytest.raises(NoEligibleRouter, match=f"{STANDBY} says that it does not forward"):
        elect(DECLARED, _seen(router=True), history, to=STANDBY)


def test_machines_are_not_asked_about_where_no_tunnel_is_declared() -> None:
    """They are not Mooring's: whatever was once said of them, they are as good as any."""
    history = _history(_as_declared(ROUTER, **IDLE), _as_declared(STANDBY))
    undeclared = topology()
    assert all(ready(undeclared, _seen(), history, i) for i in BOTH)
    assert not elect(undeclared, seen(undeclared, instance(), *BOTH), history).moved


words = st.none() | st.builds(
    Inspection,
    st.integers(0, 30).map(lambda minutes: NOON - timedelta(minutes=minutes)),
    st.sampled_from((None, "0" * 64, "declared")),
    st.sampled_from(((), ("a rule was deleted",))),
    st.booleans(),
)


@given(said=st.tuples(words, words, words), order=st.permutations((0, 1, 2)))
def test_whatever_machines_say_somebody_is_elected_and_a_good_incumbent_stays(
    said: tuple[Inspection | None, ...], order: list[int]
) -> None:
    """No word of a machine leaves an office without a router; the same words in any order elect the same one."""
    observation = _seen(router=True)
    machines = []
    for instance_id, word in zip((ROUTER, STANDBY, THIRD), said, strict=True):
        digest = _as_declared(instance_id).inspection
        assert digest
        declared = word and (replace(word, digest=digest.digest) if word.digest == "declared" else word)
        machines.append(Machine(instance_id, inspection=declared))
    history = _history(*machines)
    election = elect(DECLARED, observation, history)
    shuffled = replace(observation, instances=tuple(observation.instances[n] for n in order))
    assert router_id(elect(DECLARED, shuffled, history)) == router_id(election)
    idle = forwards(DECLARED, observation, history, instance()) is False
    if election.moved:
        assert idle
        assert election.router
        assert forwards(DECLARED, observation, history, election.router) is not False
