"""What any network port must see, tried on the fake and on EC2's: so that a test on the fake says something of AWS."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from chalicelib.core.errors import ObservationError
from tests.aws.office import ESSENTIAL, OTHERS
from tests.builders import an_id
from tests.core.model import Model

if TYPE_CHECKING:
    from chalicelib.core.network.observation import Instance, Observation
    from chalicelib.core.network.topology import Table
    from tests.aws.stages import Stage
    from tests.oracle import Facts


def _observe(stage: Stage) -> Observation:
    return stage.ports.network.observe(stage.topology)


def _shown(stage: Stage) -> Facts:
    """Return the network as the port shows it, in the oracle's words."""
    return Model.of(_observe(stage)).facts()


def _table(stage: Stage, place: int = 0) -> tuple[Table, str]:
    """Return a declared private table and its id."""
    declared = [t for t in stage.topology.tables if t.kind == "private"][place]
    return declared, str(declared.selector)


def _instance(stage: Stage, interface_id: str) -> str:
    return str(stage.facts().interfaces[interface_id].instance_id)


def test_network_nobody_touches_is_seen_the_same_again(stage: Stage) -> None:
    """Two looks at one state differ in nothing but their time: else a converged network would not be quiet."""
    first, second = _observe(stage), _observe(stage)
    assert _sorted(replace(second, taken_at=first.taken_at)) == _sorted(first)
    assert first.taken_at.utcoffset() is not None


def test_look_shows_tables_addresses_and_instances_as_they_are(stage: Stage) -> None:
    """What the port shows is what is so, also of things that are not declared, and after a router's end."""
    for ended in (False, True):
        if ended:
            stage.terminate(_instance(stage, stage.router))
        shown, facts = _shown(stage), stage.facts()
        assert shown.tables == facts.tables
        assert shown.addresses == facts.addresses
        assert shown.interfaces == {k: v for k, v in facts.interfaces.items() if v.instance_id}
        assert shown.dhcp_options == facts.dhcp_options


def test_terminated_router_leaves_blackholes_and_an_elastic_ip_nowhere(stage: Stage) -> None:
    """Its routes stay and say blackhole, its interface has no owner, and the Elastic IP is on nothing."""
    router, instance_id = stage.router, _instance(stage, stage.router)
    stage.terminate(instance_id)
    seen = _observe(stage)
    for declared in stage.topology.tables:
        (table,) = seen.select(declared.selector)
        for destination in stage.topology.router_destinations(declared):
            route = table.static(str(destination))
            assert route
            assert (route.target, route.state) == (router, "blackhole")
    assert seen.owner_of(router) is None
    assert instance_id not in {i.id for i in seen.instances}
    elastic_ip = seen.elastic_ip(stage.topology.elastic_ip)
    assert elastic_ip
    assert (elastic_ip.interface_id, elastic_ip.private_address) == (None, None)


def test_look_shows_the_subnets_of_the_vpc(stage: Stage) -> None:
    """Every one, with its CIDR, be it declared or not."""
    assert {s.id: s.cidr for s in _observe(stage).subnets or ()} == stage.subnets()
    declared = {subnet_id for table in stage.topology.tables for subnet_id in table.subnets}
    assert declared <= set(stage.subnets())


@pytest.mark.parametrize("operation", OTHERS)
def test_reading_that_no_pin_needs_leaves_only_what_it_shows_unknown(stage: Stage, operation: str) -> None:
    """It is named with AWS's code, and nothing that it shows is taken for absent: the rest is seen as it is."""
    stage.open_ssh()
    whole = _observe(stage)
    assert whole.unread == {}
    unknown: dict[str, dict[str, object]] = {
        "DescribeInstanceStatus": {
            "instances": tuple(
                replace(i, checks="unknown", listed=None, impaired_since=None, events=())
                for i in whole.instances
            )
        },
        "DescribeSubnets": {"subnets": None},
        "DescribeSecurityGroupRules": {"ingress": ()},
        "DescribeVpcs": {"dhcp_options": None},
    }
    stage.deny(operation)
    seen = _observe(stage)
    assert set(seen.unread) == {f"ec2:{operation}"}
    assert seen.unread[f"ec2:{operation}"].startswith("UnauthorizedOperation: ")
    as_far = cast("dict[str, Any]", unknown[operation])
    assert _sorted(seen) == _sorted(replace(whole, taken_at=seen.taken_at, unread=seen.unread, **as_far))
    assert seen != replace(whole, taken_at=seen.taken_at, unread=seen.unread)


@pytest.mark.parametrize("operation", ESSENTIAL)
def test_reading_that_every_pin_needs_is_an_error_when_it_fails(stage: Stage, operation: str) -> None:
    """A failed reading never looks like an emptier network."""
    stage.deny(operation)
    with pytest.raises(ObservationError, match="UnauthorizedOperation"):
        _observe(stage)


def test_stopped_instance_is_not_listed_as_running_and_its_start_is_a_launch(stage: Stage) -> None:
    """Its interfaces stay, its checks are unknown; started again it runs since then."""
    instance_id = _instance(stage, stage.standby)

    def seen() -> Instance:
        return next(i for i in _observe(stage).instances if i.id == instance_id)

    before = seen()
    assert (before.state, before.listed, before.checks) == ("running", True, "ok")
    stage.stop(instance_id)
    stopped = seen()
    assert (stopped.state, stopped.listed, stopped.checks) == ("stopped", False, "unknown")
    assert stopped.interfaces == before.interfaces
    assert stopped.launched_at == before.launched_at
    stage.start(instance_id)
    again = seen()
    assert (again.state, again.listed, again.checks) == ("running", True, "ok")
    assert again.launched_at > before.launched_at


@pytest.mark.parametrize("state", ["failed", "disassociating", "associating"])
def test_association_that_is_not_in_force_does_not_count(stage: Stage, state: str) -> None:
    """The subnet is named with AWS's word, beside those whose association is in force."""
    declared, table_id = _table(stage)
    subnet_id = next(iter(declared.subnets))
    (before,) = _observe(stage).select(table_id)
    stage.unsettle(subnet_id, state)
    (table,) = _observe(stage).select(table_id)
    assert table.unsettled == {subnet_id: state}
    assert table.associations == {s: a for s, a in before.associations.items() if s != subnet_id}
    assert replace(table, unsettled={}, associations=before.associations) == before


def test_instance_is_found_by_its_id_wherever_it_is(stage: Stage) -> None:
    """As a look shows it, but for the status checks, which are not read; stopped, too, and once it has ended."""
    instance_id = _instance(stage, stage.standby)
    seen = next(i for i in _observe(stage).instances if i.id == instance_id)
    unchecked = replace(seen, checks="unknown", listed=None)
    network = stage.ports.network
    assert network.instance(instance_id) == unchecked
    stage.stop(instance_id)
    found = network.instance(instance_id)
    assert found
    assert replace(found, public_address=None) == replace(unchecked, state="stopped", public_address=None)
    assert network.instance(an_id("i", 0xDEAD)) is None
    stage.terminate(instance_id)
    ended = network.instance(instance_id)
    assert ended
    assert (ended.state, ended.interfaces) == ("terminated", ())


def test_instance_that_could_not_be_looked_for_is_an_error(stage: Stage) -> None:
    """Not to know is not to be gone."""
    instance_id = _instance(stage, stage.standby)
    stage.deny("DescribeInstances")
    with pytest.raises(ObservationError, match="UnauthorizedOperation"):
        stage.ports.network.instance(instance_id)


def _sorted(observation: Observation) -> Observation:
    """Return it with its tables and instances by id: AWS promises no order."""
    tables = tuple(sorted(observation.tables, key=lambda table: table.id))
    return replace(
        observation, tables=tables, instances=tuple(sorted(observation.instances, key=lambda one: one.id))
    )
