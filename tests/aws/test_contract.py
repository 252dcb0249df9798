"""What any network port must do, tried on the fake and on EC2's: so that a test on the fake says something of AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.controller.reconcile import reconcile
from chalicelib.core.network.change import (
    AssociateAddress,
    AssociateDhcpOptions,
    AssociateRouteTable,
    CreateRoute,
    DisableSourceDestCheck,
    NetworkChange,
    ReplaceRoute,
    RevokeIngress,
)
from chalicelib.core.request import Request
from tests.aws.office import WHY
from tests.aws.stages import DEFAULT, Stage
from tests.builders import an_id
from tests.core.inspection import holds
from tests.core.model import Model
from tests.oracle import Facts, judge, untouched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.core.network.observation import Observation
    from chalicelib.core.network.report import Failure
    from chalicelib.core.network.topology import Table

NOBODY = an_id("eni", 0xDEAD)
SECONDS = 30.0


def _observe(stage: Stage) -> Observation:
    return stage.ports.network.observe(stage.topology)


def _shown(stage: Stage) -> Facts:
    """Return the network as the port shows it, in the oracle's words."""
    return Model.of(_observe(stage)).facts()


def _apply(stage: Stage, *changes: NetworkChange, seconds: float = SECONDS) -> Sequence[Failure | None]:
    return stage.ports.network.apply(changes, seconds)


def _codes(failures: Sequence[Failure | None]) -> list[str | None]:
    return [failure.code if failure else None for failure in failures]


def _table(stage: Stage, place: int = 0) -> tuple[Table, str]:
    """Return a declared private table and its id."""
    declared = [t for t in stage.topology.tables if t.kind == "private"][place]
    return declared, str(declared.selector)


def _instance(stage: Stage, interface_id: str) -> str:
    return str(stage.facts().interfaces[interface_id].instance_id)


# -- what can break: each breaks one thing and returns the change that mends it -----------------------------


def deleted_route(stage: Stage) -> NetworkChange:
    """Delete a private default route."""
    _, table_id = _table(stage)
    change = CreateRoute(table_id, DEFAULT, stage.router, WHY)
    stage.delete_route(table_id, DEFAULT)
    return change


def diverted_route(stage: Stage) -> NetworkChange:
    """Point a public table's office route at the standby."""
    declared = next(t for t in stage.topology.tables if t.kind == "public")
    office, table_id = str(stage.topology.office_networks[0]), str(declared.selector)
    change = ReplaceRoute(table_id, office, stage.router, stage.standby, WHY)
    stage.point(table_id, office, stage.standby)
    return change


def check_on(stage: Stage) -> NetworkChange:
    """Switch the router's check on."""
    change = DisableSourceDestCheck(stage.router, WHY)
    stage.switch_check_on(change.interface_id)
    return change


def lost_address(stage: Stage) -> NetworkChange:
    """Disassociate the Elastic IP."""
    address = stage.facts().interfaces[stage.router].addresses[0]
    stage.disassociate()
    return AssociateAddress(stage.topology.elastic_ip, stage.router, address, None, WHY)


def moved_association(stage: Stage) -> NetworkChange:
    """Move a subnet to another declared table."""
    (declared, table_id), (_, other) = _table(stage), _table(stage, 1)
    subnet_id = next(iter(declared.subnets))
    stage.associate(subnet_id, other)
    current = _observe(stage).table_of(subnet_id)
    assert current
    return AssociateRouteTable(subnet_id, table_id, current.associations[subnet_id], current.id, WHY)


def removed_association(stage: Stage) -> NetworkChange:
    """Leave a subnet to the main table."""
    declared, table_id = _table(stage)
    subnet_id = next(iter(declared.subnets))
    stage.associate(subnet_id, None)
    return AssociateRouteTable(subnet_id, table_id, None, None, WHY)


def other_options(stage: Stage) -> NetworkChange:
    """Return the VPC other DHCP options."""
    stage.use_other_options()
    return AssociateDhcpOptions(stage.topology.vpc_id, str(stage.topology.dhcp_options), None, WHY)


def open_ssh(stage: Stage) -> NetworkChange:
    """Open the bootstrap rule."""
    stage.open_ssh()
    rule = next(r for r in _observe(stage).ingress if (r.from_port, r.source) == (22, DEFAULT))
    return RevokeIngress(str(stage.topology.security_group), rule.id, "", WHY)


BREAKS = (
    deleted_route,
    diverted_route,
    check_on,
    lost_address,
    moved_association,
    removed_association,
    other_options,
    open_ssh,
)
breaks = pytest.mark.parametrize("break_it", BREAKS, ids=lambda b: b.__name__)


# -- changing --------------------------------------------------------------------------------------------


@breaks
def test_change_is_seen_by_the_next_look(stage: Stage, break_it: Callable[[Stage], NetworkChange]) -> None:
    """Each kind of change makes what it says, and nothing else; the next look shows it."""
    change = break_it(stage)
    broken = stage.facts()
    assert not holds(change, broken)
    assert not holds(change, _shown(stage))
    assert _apply(stage, change) == [None]
    assert holds(change, stage.facts())
    assert holds(change, _shown(stage))
    assert untouched(stage.topology, broken, stage.facts()) == []
    assert judge(stage.topology, stage.facts()) == []


def test_all_changes_at_once_leave_what_is_foreign_alone(stage: Stage) -> None:
    """A foreign table, route, Elastic IP, instance or rule is not changed by a byte."""
    before = stage.facts()
    changes = [break_it(stage) for break_it in BREAKS if break_it is not removed_association]
    assert _apply(stage, *changes) == [None] * len(changes)
    assert untouched(stage.topology, before, stage.facts()) == []
    assert judge(stage.topology, stage.facts()) == []


def test_failed_change_does_not_stop_the_others(stage: Stage) -> None:
    """Every change gets its attempt, and each answer is in its change's place."""
    first, second, third = deleted_route(stage), open_ssh(stage), other_options(stage)
    _, table_id = _table(stage, 1)
    dead = ReplaceRoute(table_id, DEFAULT, NOBODY, stage.router, WHY)
    unknown = DisableSourceDestCheck(NOBODY, WHY)
    not_found = "InvalidNetworkInterfaceID.NotFound"
    failures = _apply(stage, dead, first, unknown, second, third)
    assert _codes(failures) == [not_found, None, not_found, None, None]
    assert all(holds(change, stage.facts()) for change in (first, second, third))
    assert judge(stage.topology, stage.facts()) == []


def test_route_to_a_dead_router_is_refused(stage: Stage) -> None:
    """A terminated router's interface is gone: AWS says so, no retry helps, and the route stays as it is."""
    _, table_id = _table(stage)
    stage.terminate(_instance(stage, stage.standby))
    before = stage.facts()
    (failure,) = _apply(stage, ReplaceRoute(table_id, DEFAULT, stage.standby, stage.router, WHY))
    assert failure
    assert (failure.code, failure.retryable) == ("InvalidNetworkInterfaceID.NotFound", False)
    assert stage.standby in failure.message
    assert stage.facts() == before


def _refused(stage: Stage) -> dict[str, tuple[NetworkChange, str]]:
    """Return changes that AWS refuses, and its code."""
    topology, router = stage.topology, stage.router
    declared, table_id = _table(stage)
    subnet_id, no_table = next(iter(declared.subnets)), an_id("rtb", 0xDEAD)
    address, group = stage.facts().interfaces[router].addresses[0], str(topology.security_group)
    no_address, no_association = an_id("eipalloc", 0xDEAD), an_id("rtbassoc", 0xDEAD)
    _, other = _table(stage, 1)
    return {
        "route in no table": (
            CreateRoute(no_table, DEFAULT, router, WHY),
            "InvalidRouteTableID.NotFound",
        ),
        "route to no interface": (
            ReplaceRoute(table_id, DEFAULT, NOBODY, router, WHY),
            "InvalidNetworkInterfaceID.NotFound",
        ),
        "no elastic ip": (
            AssociateAddress(no_address, router, address, None, WHY),
            "InvalidAllocationID.NotFound",
        ),
        "elastic ip on no interface": (
            AssociateAddress(topology.elastic_ip, NOBODY, address, None, WHY),
            "InvalidNetworkInterfaceID.NotFound",
        ),
        "elastic ip on no address of it": (
            AssociateAddress(topology.elastic_ip, router, "10.0.0.250", None, WHY),
            "InvalidParameterValue",
        ),
        "check of no interface": (
            DisableSourceDestCheck(NOBODY, WHY),
            "InvalidNetworkInterfaceID.NotFound",
        ),
        "subnet that has a table": (
            AssociateRouteTable(subnet_id, other, None, None, WHY),
            "Resource.AlreadyAssociated",
        ),
        "association that is gone": (
            AssociateRouteTable(subnet_id, other, no_association, None, WHY),
            "InvalidAssociationID.NotFound",
        ),
        "association with no table": (
            AssociateRouteTable(subnet_id, no_table, None, None, WHY),
            "InvalidRouteTableID.NotFound",
        ),
        "no rule": (
            RevokeIngress(group, an_id("sgr", 0xDEAD), "", WHY),
            "InvalidPermission.NotFound",
        ),
    }


def test_change_that_aws_refuses_fails_with_its_code_and_changes_nothing(stage: Stage) -> None:
    """A refusal carries AWS's code and sentence, and says that another attempt is of no use."""
    before, refused = stage.facts(), _refused(stage)
    failures = _apply(stage, *(change for change, _ in refused.values()))
    said = dict(zip(refused, _codes(failures), strict=True))
    assert said == {why: code for why, (_, code) in refused.items()}
    assert all(failure and failure.message and not failure.retryable for failure in failures)
    assert stage.facts() == before


def test_change_of_what_is_so_already_is_harmless(stage: Stage) -> None:
    """A run that repeats what another has done changes nothing: replies get lost, and looks are of the past."""
    before, router = stage.facts(), stage.router
    _, table_id = _table(stage)
    changes = (
        ReplaceRoute(table_id, DEFAULT, router, router, WHY),
        DisableSourceDestCheck(router, WHY),
        AssociateAddress(
            stage.topology.elastic_ip, router, before.interfaces[router].addresses[0], None, WHY
        ),
        AssociateDhcpOptions(stage.topology.vpc_id, str(stage.topology.dhcp_options), None, WHY),
    )
    assert _apply(stage, *changes) == [None] * len(changes)
    assert stage.facts() == before


def test_no_time_attempts_nothing_and_says_so(stage: Stage) -> None:
    """With no seconds left every change fails with OutOfTime, which another run can mend."""
    changes = [break_it(stage) for break_it in (deleted_route, check_on, lost_address)]
    before = stage.facts()
    failures = _apply(stage, *changes, seconds=0)
    assert _codes(failures) == ["OutOfTime"] * 3
    assert all(failure and failure.retryable for failure in failures)
    assert stage.facts() == before


def test_nothing_to_change_is_nothing_done(stage: Stage) -> None:
    """No changes, no failures."""
    assert list(_apply(stage)) == []


# -- the whole path --------------------------------------------------------------------------------------


def _broken_everywhere(stage: Stage) -> None:
    for break_it in BREAKS:
        break_it(stage)


def _without_router(stage: Stage) -> None:
    stage.terminate(_instance(stage, stage.router))


def _without_router_and_broken(stage: Stage) -> None:
    _broken_everywhere(stage)
    _without_router(stage)


@pytest.mark.parametrize(
    "ruin",
    [_broken_everywhere, _without_router, _without_router_and_broken],
    ids=lambda r: r.__name__.strip("_"),
)
def test_broken_network_converges_in_one_run(stage: Stage, ruin: Callable[[Stage], None]) -> None:
    """One run mends everything, judged by the network itself; the next finds nothing to do."""
    reconcile(stage.topology, stage.ports, Request())
    ruin(stage)
    broken = stage.facts()
    assert judge(stage.topology, broken) != []
    report = reconcile(stage.topology, stage.ports, Request())
    assert judge(stage.topology, stage.facts()) == []
    assert untouched(stage.topology, broken, stage.facts()) == []
    assert (report.verdict, {o.result for o in report.outcomes}) == ("repaired", {"verified"})
    again = reconcile(stage.topology, stage.ports, Request())
    assert (again.verdict, again.outcomes) == ("converged", ())
