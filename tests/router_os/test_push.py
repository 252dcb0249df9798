"""Pushes that are as they should be: the first, the same again, another, one to be confirmed."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.router_os import testbed
from tests.router_os.router import PATH, bundle, topology

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.router_os.router import Router

WIDER = bundle(topology("10.100.100.0/24", "10.100.200.0/24", "10.100.30.0/24", "10.100.40.0/24"))
UNITS = ("mooring-firewall", "mooring-role", "openvpn-client@mooring")


def started(router: Router) -> str:
    """Return what changes when a unit of ours is started or reloaded, and the processes' ids."""
    properties = "InvocationID,ExecMainPID,StateChangeTimestampMonotonic,ExecMainStartTimestampMonotonic"
    return "".join(router.machine.run("systemctl", "show", "-p", properties, unit).stdout for unit in UNITS)


@contextlib.contextmanager
def losses(router: Router) -> Iterator[list[int]]:
    """Ping from the office into the VPC every 10 ms, and give the longest run of pings without an answer."""
    found: list[int] = []
    log = f"fping-{time.monotonic_ns()}"
    words = ("fping", "-l", "-D", "-p", "10", "-t", "400", testbed.PRIVATE_HOST)
    pinging = router.testbed.start(*words, netns="lan", log=log)
    time.sleep(0.5)
    yield found
    time.sleep(1)
    router.testbed.run("pkill", "-INT", "fping", check=False)
    pinging.wait(10)
    said = (router.testbed.scratch / log).read_text()
    answered = [int(number) for number in re.findall(r"\[(\d+)\], \d+ bytes", said)]
    found.append(max((b - a - 1 for a, b in itertools.pairwise(answered)), default=len(said)))


def test_first_push_on_a_bare_box_lets_office_and_laptop_reach_the_vpc(bare: Router) -> None:
    """A box with nothing but software becomes the router by one command, and the report says what it did."""
    assert not bare.reaches(0)

    pushed = bare.push(bundle())

    assert (pushed.result, pushed.ended.code) == ("applied", 0)
    assert pushed.report["digest"] == pushed.report["wanted"] == bundle().digest
    assert pushed.report["tunnel"]["state"] == "CONNECTED"
    assert (pushed.report["holds_address"], pushed.report["forwarding"]) == (True, True)
    assert bare.reaches()
    assert bare.testbed.answers("private", testbed.LAN_HOST)
    bare.testbed.connect_laptop()
    assert bare.testbed.answers("laptop", testbed.PRIVATE_HOST)


def test_second_push_of_the_same_digest_changes_and_restarts_nothing(router: Router) -> None:
    """What is in force already is left alone, to the process."""
    before, running = router.in_force(), started(router)

    pushed = router.push(bundle())

    assert (pushed.result, pushed.report["changed"], pushed.ended.code) == ("unchanged", [], 0)
    assert (router.in_force(), started(router)) == (before, running)
    assert "mooring-undo" not in router.machine.shell("systemctl list-timers --all; ls /etc/systemd/system")


def test_changed_office_networks_arrive_with_less_than_half_a_second_lost(router: Router) -> None:
    """Another list of office networks costs at most one reconnection of the tunnel."""
    assert router.reaches()
    with losses(router) as lost:
        pushed = router.push(WIDER)

    assert (pushed.result, pushed.report["digest"]) == ("applied", WIDER.digest)
    assert "10.100.40.0/24" in router.machine.shell("iptables-save; ip route show type unreachable")
    assert lost[0] < 50, f"{lost[0]} pings of 10 ms in a row were lost"
    assert router.push(bundle()).result == "applied"


def test_reboot_needs_neither_controller_nor_aws(router: Router) -> None:
    """What was pushed comes back from the disk alone."""
    before = router.in_force()
    with without_names(router):
        router.machine.reboot()

        assert router.reaches(20)
    assert router.in_force() == before


def test_push_to_be_confirmed_stays_when_confirmed(router: Router) -> None:
    """A push on condition runs at once, waits, and is kept by its confirmation; a second one finds it done."""
    pushed = router.push(WIDER, confirm_within=600)

    assert (pushed.result, pushed.report["digest"]) == ("pending", WIDER.digest)
    assert router.inspect()["pending"] == WIDER.digest
    again = router.push(WIDER, confirm_within=600)
    assert again.result == "pending"
    other = router.push(bundle())
    assert other.result == "refused"
    assert "another push waits" in other.report["reason"]
    assert router.confirm(bundle().digest).result == "refused"
    assert router.confirm(WIDER.digest).result == "applied"
    assert router.confirm(WIDER.digest).result == "unchanged"
    assert router.inspect()["pending"] is None
    assert router.push(bundle()).result == "applied"


def test_push_that_nobody_confirms_is_undone_by_the_router_itself(router: Router) -> None:
    """Network engineers' commit confirmed: silence brings the old configuration back, byte for byte."""
    before = router.in_force()

    assert router.push(WIDER, confirm_within=2).result == "pending"

    until = time.monotonic() + 40
    while router.inspect()["pending"] and time.monotonic() < until:
        time.sleep(0.3)
    seen = router.inspect()
    assert (seen["digest"], seen["drift"]) == (bundle().digest, [])
    assert seen["last"]["digest"] == WIDER.digest
    assert router.in_force() == before
    assert router.reaches()
    late = router.confirm(WIDER.digest)
    assert late.result == "refused"
    assert "undone" in late.report["reason"]


def test_power_cut_while_a_push_waits_brings_the_old_set_back(router: Router) -> None:
    """A router that starts anew before it was confirmed starts with what it had before."""
    before = router.in_force()
    assert router.push(WIDER, confirm_within=600).result == "pending"

    router.machine.cut_power()

    assert router.reaches(20)
    assert router.in_force() == before
    assert router.inspect()["last"]["reason"] == "the router was started anew"


def test_standby_is_pushed_without_a_tunnel(router: Router) -> None:
    """A box that does not hold the Elastic IP takes the bundle, and runs no tunnel."""
    router.holds_address = False
    try:
        until = time.monotonic() + 20
        while router.inspect()["tunnel"]["state"] != "down" and time.monotonic() < until:
            time.sleep(0.3)
        pushed = router.push(WIDER)
    finally:
        router.holds_address = True

    assert (pushed.result, pushed.report["holds_address"]) == ("applied", False)
    assert pushed.report["tunnel"]["state"] == "down"
    assert router.reaches(20)
    assert router.push(bundle()).result == "applied"


def test_agent_that_knows_no_variables_changes_nothing(router: Router) -> None:
    """An agent before 3.3.2746.0 would paste parameters into the script; the script ends before it does anything."""
    before = router.in_force()
    router.agent.version = "3.3.1957.0"
    try:
        pushed = router.push(WIDER)
    finally:
        router.agent.version = "3.3.2746.0"

    assert (pushed.result, pushed.ended.code) == ("refused", 90)
    assert "3.3.2746.0" in pushed.report["reason"]
    assert router.in_force() == before


@pytest.mark.parametrize(
    "parameters",
    [
        {"Path": "/mooring/office/router/10.0.0.8\n"},
        {"Path": "/mooring/office/tunnel/key"},
        {"Path": "/mooring/$(reboot)/router/10.0.0.8"},
        {"Version": "1; reboot"},
        {"Digest": "A" * 64},
    ],
)
def test_parameters_of_another_pattern_are_refused_on_the_box_too(
    router: Router, parameters: dict[str, str]
) -> None:
    """Whoever gets past the agent's own check meets the script's."""
    given = {"Path": PATH, "Version": "1", "Digest": "0" * 64} | parameters
    document = router.documents["Mooring-ConfigureRouter"]
    unguarded = {name: {**one, "allowedPattern": ""} for name, one in document["parameters"].items()}

    ended = router.agent.perform(
        {**document, "parameters": unguarded}, {name: [value] for name, value in given.items()}
    )

    assert ended.code == 20
    assert next(iter(parameters)) in ended.stdout


@contextlib.contextmanager
def without_names(router: Router) -> Iterator[None]:
    """Take DNS away for everything but the office."""
    hosts = router.machine.shell("cat /etc/hosts")
    router.machine.write(
        "/etc/hosts", "\n".join(line for line in hosts.splitlines() if "aws" not in line) + "\n"
    )
    try:
        yield
    finally:
        router.machine.write("/etc/hosts", hosts)
