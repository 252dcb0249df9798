"""What DescribeInstanceStatus says, as AWS says it and moto does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from . import World
    from .conftest import Network

SOON = datetime(2026, 12, 1, 8, tzinfo=UTC)


def _listed(network: Network, **asked: object) -> dict[str, dict[str, Any]]:
    found = network.ec2.describe_instance_status(**asked)["InstanceStatuses"]
    return {one["InstanceId"]: one for one in found}


def test_status_checks_of_a_running_instance_may_be_impaired(world: World, network: Network) -> None:
    """DescribeInstanceStatus: running instances only, `ok` or `impaired`. aws.md 2.6."""
    healthy, _ = network.launch()
    sick, _ = network.launch()
    stopped, _ = network.launch()
    network.ec2.stop_instances(InstanceIds=[stopped])
    world.impair(sick, "system")

    def statuses(**asked: object) -> dict[str, tuple[str, str]]:
        return {
            one["InstanceId"]: (one["InstanceStatus"]["Status"], one["SystemStatus"]["Status"])
            for one in network.ec2.describe_instance_status(**asked)["InstanceStatuses"]
        }

    assert statuses() == {healthy: ("ok", "ok"), sick: ("ok", "impaired")}
    assert statuses(IncludeAllInstances=True)[stopped] == ("not-applicable", "not-applicable")
    assert statuses(Filters=[{"Name": "system-status.status", "Values": ["impaired"]}]).keys() == {sick}
    world.impair(sick, "instance", "initializing")
    assert statuses()[sick] == ("initializing", "impaired")
    world.unimpair(sick)
    assert statuses()[sick] == ("ok", "ok")


def test_only_running_instances_are_listed_unless_all_are_asked_for(world: World, network: Network) -> None:
    """By default, only running ones are described. DescribeInstanceStatus, IncludeAllInstances."""
    world.dwell = None
    instance_id, _ = network.launch()
    seen: list[tuple[str, bool]] = []
    for act in (None, None, "stop_instances", None, "start_instances", None, "terminate_instances", None):
        if act:
            getattr(network.ec2, act)(InstanceIds=[instance_id])
        elif seen:
            world.settle()
        state = network.instance(instance_id)["State"]["Name"]
        seen.append((state, instance_id in _listed(network)))
        everybody = _listed(network, IncludeAllInstances=True)
        assert everybody[instance_id]["InstanceState"]["Name"] == state
    assert seen == [
        ("pending", False), ("running", True), ("stopping", False), ("stopped", False),
        ("pending", False), ("running", True), ("shutting-down", False), ("terminated", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "key"),
    [("instance", "InstanceStatus"), ("system", "SystemStatus"), ("ebs", "AttachedEbsStatus")],
)
def test_failing_check_tells_since_when(
    world: World, network: Network, check: Literal["instance", "system", "ebs"], key: str
) -> None:
    """It is the time when the check failed, and only of one that did. InstanceStatusDetails, ImpairedSince."""
    instance_id, _ = network.launch()
    (detail,) = _listed(network)[instance_id][key]["Details"]
    assert detail == {"Name": "reachability", "Status": "passed"}
    world.impair(instance_id, check)
    (detail,) = _listed(network)[instance_id][key]["Details"]
    assert detail["Status"] == "failed"
    assert timedelta() <= datetime.now(UTC) - detail["ImpairedSince"] < timedelta(minutes=5)
    world.impair(instance_id, check, since=SOON)
    assert _listed(network)[instance_id][key]["Details"][0]["ImpairedSince"] == SOON
    world.impair(instance_id, check, "insufficient-data")
    (detail,) = _listed(network)[instance_id][key]["Details"]
    assert detail == {"Name": "reachability", "Status": "insufficient-data"}


def test_scheduled_events_are_listed_with_their_dates(world: World, network: Network) -> None:
    """Code, description and earliest start; one that is over says so in its description. InstanceStatusEvent."""
    doomed, _ = network.launch()
    spared, _ = network.launch()
    world.schedule(doomed, "instance-retirement", SOON)
    world.schedule(doomed, "system-reboot", SOON, "[Completed] Scheduled reboot")
    listed = _listed(network)
    assert listed[spared].get("Events", []) == []
    told = [(e["Code"], e["NotBefore"], e["Description"]) for e in listed[doomed]["Events"]]
    assert told == [
        ("instance-retirement", SOON, "Degraded hardware"),
        ("system-reboot", SOON, "[Completed] Scheduled reboot"),
    ]
