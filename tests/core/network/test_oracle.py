"""The judge judged: each thing that is wrong makes it complain, and a network that works does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from chalicelib.core.network.observation import ElasticIp, Route, RouteTable
from tests.builders import (
    BOOTSTRAP,
    EIP,
    FOREIGN,
    FOREIGN_EIP,
    FOREIGN_ENI,
    GATEWAY,
    MAIN,
    OPTIONS,
    PRIVATE_A,
    PRIVATE_SUBNET_A,
    PUBLIC,
    ROUTER,
    ROUTER_ENI,
    STANDBY,
    STANDBY_ENI,
    an_id,
    elastic_ip,
    instance,
    interface,
    local,
    propagated,
    seen,
    ssh_rule,
    standby,
    topology,
    with_elastic_ip,
    with_table,
)
from tests.core.model import Model
from tests.oracle import judge, untouched

Edit = Callable[[Model], None]
DECLARED = topology(dhcp_options=OPTIONS)


def network() -> Model:
    """Return a converged VPC with a standby, a stranger and his Elastic IP."""
    stranger = instance(an_id("i", 9), interface(FOREIGN_ENI, "10.0.0.99", check=True), tags={"Name": "web"})
    observation = seen(DECLARED, instance(), standby(), stranger)
    foreign = RouteTable(FOREIGN, routes=(local(), Route("0.0.0.0/0", "nat-1"), propagated("10.9.0.0/16")))
    his = ElasticIp(FOREIGN_EIP, "203.0.113.99", FOREIGN_ENI, "10.0.0.99")
    observation = with_elastic_ip(with_table(observation, foreign), elastic_ip(), his)
    return Model.of(replace(observation, ingress=(ssh_rule(an_id("sgr", 5), "10.100.0.0/16"),)))


def test_network_as_declared_draws_no_complaint() -> None:
    """The judge is content with what works."""
    assert judge(DECLARED, network().facts()) == []


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        pytest.param(
            lambda m: m.unroute(PRIVATE_A, "0.0.0.0/0"), "has no route to 0.0.0.0/0", id="missing route"
        ),
        pytest.param(
            lambda m: m.unroute(PUBLIC, "192.168.0.0/24"), "has no route to 192.168", id="VPN clients"
        ),
        pytest.param(
            lambda m: m.route(PRIVATE_A, "0.0.0.0/0", STANDBY_ENI), "more than one place", id="two routers"
        ),
        pytest.param(
            lambda m: m.route(PUBLIC, "0.0.0.0/0", ROUTER_ENI), "leads to the internet through", id="igw"
        ),
        pytest.param(lambda m: m.put_address(EIP, None), "nowhere does not exist", id="Elastic IP nowhere"),
        pytest.param(
            lambda m: m.put_address(EIP, STANDBY_ENI, "10.0.10.9"),
            "more than one place",
            id="Elastic IP elsewhere",
        ),
        pytest.param(
            lambda m: m.put_address(EIP, ROUTER_ENI, "10.0.0.7"),
            "leads to 10.0.0.7",
            id="Elastic IP's address",
        ),
        pytest.param(lambda m: m.check(ROUTER_ENI, on=True), "source/dest check on", id="check"),
        pytest.param(lambda m: m.become(ROUTER, state="stopped"), "which is stopped", id="stopped router"),
        pytest.param(
            lambda m: m.become(ROUTER, checks="impaired"), "fails its status checks", id="impaired router"
        ),
        pytest.param(lambda m: m.terminate(ROUTER), "which is a blackhole", id="terminated router"),
        pytest.param(
            lambda m: m.instances.update({ROUTER: replace(m.instances[ROUTER], tags={})}),
            "no candidate",
            id="tags",
        ),
        pytest.param(lambda m: m.associate(PRIVATE_SUBNET_A, FOREIGN), "is not associated", id="subnet"),
        pytest.param(lambda m: m.ingress.update({BOOTSTRAP: ssh_rule()}), "still opens ssh", id="ssh"),
        pytest.param(
            lambda m: setattr(m, "dhcp_options", "dopt-other"), "dhcp options dopt-other", id="options"
        ),
        pytest.param(lambda m: m.tables.pop(PRIVATE_A), f"no table is {PRIVATE_A}", id="table"),
    ],
)
def test_anything_wrong_draws_a_complaint(edit: Edit, complaint: str) -> None:
    """The judge asks the network for each thing that is declared."""
    model = network()
    edit(model)

    assert complaint in "; ".join(judge(DECLARED, model.facts()))


def test_router_in_a_private_subnet_draws_a_complaint() -> None:
    """Health is also where a router sits."""
    card = interface(subnet=PRIVATE_SUBNET_A)
    model = Model.of(seen(topology(), instance(eni=card)))

    assert "no declared public subnet" in "; ".join(judge(topology(), model.facts()))


def test_declared_private_address_is_where_the_elastic_ip_belongs() -> None:
    """The judge knows the declared address from the primary one."""
    declared = topology(private_address=IPv4Address("10.0.0.100"))
    model = Model.of(seen(topology()))

    assert judge(declared, model.facts()) == ["the elastic ip leads to 10.0.0.8, not to 10.0.0.100"]


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda m: m.route(FOREIGN, "0.0.0.0/0", ROUTER_ENI), id="route of a foreign table"),
        pytest.param(lambda m: m.route(MAIN, "0.0.0.0/0", GATEWAY), id="route of the main table"),
        pytest.param(lambda m: m.route(PRIVATE_A, "172.16.0.0/12", ROUTER_ENI), id="undeclared destination"),
        pytest.param(lambda m: m.unroute(PRIVATE_A, "0.0.0.0/0"), id="declared route missing"),
        pytest.param(
            lambda m: m.tables.update(
                {FOREIGN: replace(m.tables[FOREIGN], routes=m.tables[FOREIGN].routes[:2])}
            ),
            id="propagated route gone",
        ),
        pytest.param(lambda m: m.tables.pop(FOREIGN), id="table gone"),
        pytest.param(lambda m: m.associate(an_id("subnet", 9), PRIVATE_A), id="foreign subnet"),
        pytest.param(lambda m: m.associate(PRIVATE_SUBNET_A, None), id="declared subnet on no table"),
        pytest.param(
            lambda m: m.associate(PRIVATE_SUBNET_A, FOREIGN), id="declared subnet on a foreign table"
        ),
        pytest.param(lambda m: m.put_address(FOREIGN_EIP, None), id="foreign Elastic IP"),
        pytest.param(lambda m: m.check(FOREIGN_ENI, on=False), id="foreign check"),
        pytest.param(lambda m: m.check(ROUTER_ENI, on=True), id="check switched on"),
        pytest.param(lambda m: m.ingress.clear(), id="somebody's rule"),
        pytest.param(lambda m: setattr(m, "dhcp_options", "dopt-other"), id="undeclared options"),
    ],
)
def test_anything_foreign_that_changed_is_told(edit: Edit) -> None:
    """What is not declared is compared to the byte."""
    model = network()
    before = model.facts()
    edit(model)

    assert len(untouched(DECLARED, before, model.facts())) == 1


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda m: m.route(PRIVATE_A, "0.0.0.0/0", STANDBY_ENI), id="declared route"),
        pytest.param(lambda m: m.put_address(EIP, STANDBY_ENI, "10.0.10.9"), id="declared Elastic IP"),
        pytest.param(lambda m: m.terminate(STANDBY), id="candidate gone"),
    ],
)
def test_what_is_declared_may_change(edit: Edit) -> None:
    """Declared things are Mooring's to change."""
    model = network()
    before = model.facts()
    edit(model)

    assert untouched(DECLARED, before, model.facts()) == []
