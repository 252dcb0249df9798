"""Draws topologies, VPCs that somebody has been at, and schedules of faults."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from chalicelib.core.network.history import History
from chalicelib.core.network.notice import Notice
from chalicelib.core.network.observation import ElasticIp, IngressRule, Route, RouteTable
from chalicelib.core.network.topology import Limits, Tags
from tests.builders import (
    CANDIDATES,
    EIP,
    FOREIGN,
    FOREIGN_EIP,
    FOREIGN_ENI,
    MAIN,
    NOON,
    OFFICE,
    OPTIONS,
    PRIVATE_A,
    PRIVATE_B,
    PRIVATE_SUBNET_A,
    PRIVATE_SUBNET_B,
    PUBLIC,
    PUBLIC_SUBNET,
    ROUTER,
    ROUTER_ENI,
    ROUTER_TAGS,
    SECOND_PUBLIC_SUBNET,
    STANDBY,
    STANDBY_ENI,
    THIRD,
    an_id,
    instance,
    interface,
    local,
    private_table,
    propagated,
    public_table,
    seen,
    standby,
    topology,
)
from tests.core.happenings import DESTINATIONS, KINDS, Happening
from tests.core.model import Model
from tests.fakes import Fault

if TYPE_CHECKING:
    from chalicelib.core.network.topology import Table, TableSelector, Topology
    from tests.fakes import Kind, Step

PREFERRED = Tags((("mooring:preferred", "yes"), ("mooring:router", "office")))
SHARED = Tags((("mooring:role", "private"),))
numbers = st.integers(0, 30)
happenings = st.builds(Happening, st.sampled_from(sorted(KINDS)), numbers, numbers)


def _selector(table_id: str, name: str) -> st.SearchStrategy[TableSelector]:
    return st.sampled_from((table_id, Tags((("Name", name),))))


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Draw a topology: one public table or two, up to two private ones and a tag that selects several."""
    split = draw(st.booleans())
    tables: list[Table] = []
    for number, subnets in enumerate(
        ((PUBLIC_SUBNET,), (SECOND_PUBLIC_SUBNET,)) if split else ((PUBLIC_SUBNET, SECOND_PUBLIC_SUBNET),)
    ):
        table_id = (PUBLIC, an_id("rtb", 20))[number]
        tables.append(public_table(draw(_selector(table_id, f"public-{number}")), subnets))
    privates = ((PRIVATE_A, PRIVATE_SUBNET_A), (PRIVATE_B, PRIVATE_SUBNET_B))
    for table_id, subnet in privates[: draw(st.integers(0, 2))]:
        selector = draw(_selector(table_id, subnet))
        tables.append(private_table(selector, (subnet,), office_routes=draw(st.booleans())))
    if draw(st.booleans()):
        tables.append(private_table(SHARED, (), office_routes=draw(st.booleans())))
    return topology(
        tables=tuple(tables),
        candidates=draw(st.sampled_from(((CANDIDATES,), (PREFERRED, CANDIDATES)))),
        office=OFFICE[: draw(st.integers(1, 2))],
        ssh=draw(st.sampled_from(("closed", "unmanaged"))),
        dhcp_options=draw(st.sampled_from((None, OPTIONS))),
        limits=Limits(moves_per_hour=draw(st.sampled_from((1, 100)))),
    )


@st.composite
def models(draw: st.DrawFn, declared: Topology, *, awkward: bool = False) -> Model:
    """Draw a VPC that was converged once, with things that are none of Mooring's, after somebody was at it.

    `awkward` ones may hold what no plan can put right: a main table or one table twice among the declared ones, and a
    foreign Elastic IP where the declared one belongs.
    """
    stranger = instance(an_id("i", 9), interface(FOREIGN_ENI, "10.0.0.99", check=True), tags={"Name": "web"})
    two_addresses = replace(interface(), addresses=("10.0.0.8", "10.0.0.7"))
    present = [instance(eni=two_addresses), standby(), stranger]
    if draw(st.booleans()):
        subnet, address = draw(
            st.sampled_from(((SECOND_PUBLIC_SUBNET, "10.0.10.10"), (PRIVATE_SUBNET_A, "10.0.1.10")))
        )
        card = interface(an_id("eni", 3), address, subnet, check=draw(st.booleans()))
        present.append(instance(THIRD, card, tags={**ROUTER_TAGS, "mooring:preferred": "yes"}))
    model = Model.of(seen(declared, *present))
    _add_foreign_things(draw, model)
    if awkward:
        _make_awkward(draw, model)
    for happening in draw(st.lists(happenings, min_size=1, max_size=6)):
        happening(model)
    return model


def _add_foreign_things(draw: st.DrawFn, model: Model) -> None:
    """Add a table, routes, an address and rules that nobody declared, and a second table with the shared tag."""
    model.elastic_ips[FOREIGN_EIP] = ElasticIp(FOREIGN_EIP, "203.0.113.99", FOREIGN_ENI, "10.0.0.99")
    foreign = Route("0.0.0.0/0", an_id("nat", 1))
    model.tables[FOREIGN] = RouteTable(
        FOREIGN, routes=(local(), foreign), associations={an_id("subnet", 9): an_id("rtbassoc", 9)}
    )
    for table in [t for t in model.tables.values() if SHARED.match(t.tags)]:
        twin = an_id("rtb", 200)
        model.tables[twin] = replace(table, id=twin, associations={})
    for table_id in draw(st.lists(st.sampled_from(sorted(model.tables)), max_size=3, unique=True)):
        table = model.tables[table_id]
        extra = propagated(draw(st.sampled_from(DESTINATIONS)))
        undeclared = Route(draw(st.sampled_from(("10.100.0.0/16", "172.16.0.0/12"))), ROUTER_ENI)
        model.tables[table_id] = replace(table, routes=(*table.routes, extra, undeclared))
    for rule in (
        IngressRule(an_id("sgr", 8), "tcp", 22, 22, "10.100.0.0/16"),
        IngressRule(an_id("sgr", 9), "tcp", 0, 65535, "0.0.0.0/0"),
    ):
        model.ingress[rule.id] = rule


def _make_awkward(draw: st.DrawFn, model: Model) -> None:
    for table_id in draw(st.sets(st.sampled_from((MAIN, PRIVATE_A, FOREIGN)))):
        if table_id in model.tables:
            model.tables[table_id] = replace(model.tables[table_id], tags=dict(SHARED.pairs))
    if draw(st.booleans()):
        eni, address = draw(st.sampled_from(((ROUTER_ENI, "10.0.0.8"), (STANDBY_ENI, "10.0.10.9"))))
        if model.elastic_ips[EIP].interface_id == eni:
            model.put_address(EIP, None)
        model.put_address(FOREIGN_EIP, eni, address)


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    """Draw one fault, early enough in a scene's life that most of them are met."""
    soon: dict[Step, int] = {"observe": 6, "read": 3, "decide": 2, "write": 12, "close": 2}
    steps: tuple[Step, ...] = ("observe", "write", "decide", "read", "close", "observe", "write", "write")
    step = draw(st.sampled_from(steps))
    kinds: list[Kind] = ["refuse", "lose", "cut-after", "cut-before"]
    kinds += ["stale", "stale", "stale", "happen"] if step == "observe" else []
    kinds += ["happen", "refuse", "lose"] if step == "write" else []
    kind = draw(st.sampled_from(kinds))
    return Fault(
        step=step,
        nth=draw(st.integers(0, soon[step])),
        kind=kind,
        times=draw(st.sampled_from((1, 1, 1, 6) if kind in ("refuse", "lose", "stale") else (1,))),
        age=draw(st.integers(1, 20)) if kind == "stale" else 1,
        event=draw(happenings) if kind == "happen" else None,
    )


AGES = (0, 1, 4, 6, 60, 60 * 24)
moments = st.sampled_from(AGES).map(lambda age: NOON - timedelta(minutes=age))


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw what a journal may remember: no router, or one since a moment, launched at another, with what AWS has said."""
    router = draw(st.sampled_from((None, ROUTER, STANDBY)))
    history = History(router=router)
    if router:
        history = replace(
            history,
            since=draw(st.none() | moments),
            decided_at=draw(st.none() | moments),
            launched_at=draw(st.none() | st.just(NOON - timedelta(days=9)) | moments),
            insisted_at=draw(st.none() | moments),
        )
    words = st.builds(
        Notice,
        st.sampled_from((ROUTER, STANDBY)),
        st.just("was spoken of"),
        moments,
        kind=st.sampled_from(("interruption", "rebalance", "termination", "in-service")),
    )
    for word in draw(st.lists(words, max_size=3)):
        history = history.noticed(word)
    return history
