"""The whole way on a real operating system: the controller pushes, the box proves, packets flow, and drift is put right."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from chalicelib.bootstrap import Edge
from chalicelib.controller.reconcile import reconcile
from chalicelib.core.declaration import parse
from chalicelib.core.machines.rollout import INSPECTED
from chalicelib.core.request import Request
from tests.network import declaration, deploy, deploy_documents, deploy_journal
from tests.router_os import root, testbed
from tests.router_os.router import TUNNEL, Router
from tests.router_os.test_hooks import FIREWALLD, NAMED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.core.machines.machine import Machine
    from chalicelib.core.network.history import History
    from chalicelib.core.network.report import Report
    from chalicelib.core.network.topology import Topology

PATIENCE = 120
"""Seconds until a test gives up waiting for a box; a busy machine takes a while."""


class Keeper:
    """The controller beside one real router that it has never met."""

    def __init__(self, router: Router) -> None:
        self.router = router
        deploy_journal(router.world)
        ec2 = router.world.client("ec2")
        before = str(IPv4Address(testbed.ELASTIC_IP) - 1)
        while ec2.allocate_address(Domain="vpc")["PublicIp"] != before:
            continue  # the next one is the network's, and must be the testbed's
        outputs = deploy(
            router.world, RouterMode="prepared-interface", RouterPrivateAddress=testbed.ROUTER_ADDRESS
        )
        self.document = declaration(outputs, TUNNEL).decode()
        with mock.patch.dict(os.environ, {"MOORING_DOCUMENTS": deploy_documents(router.world)}):
            self.edge = Edge(router.world.session, router.world.endpoint_url)
            self.ports = self.edge
        self.topology = parse(self.document.encode())
        found = ec2.describe_addresses(AllocationIds=[self.topology.elastic_ip])["Addresses"]
        assert found[0]["PublicIp"] == testbed.ELASTIC_IP
        self.instance_id = str(found[0]["InstanceId"])
        self.reports: list[Report] = []

    def run(self, topology: Topology | None = None) -> Report:
        """Run once, as a tick does."""
        self.reports.append(reconcile(topology or self.topology, self.ports, Request("tick")))
        return self.reports[-1]

    def until_converged(self, topology: Topology | None = None) -> list[str]:
        """Run until everything is as declared and no answer is awaited; give every change there was, with its reason."""
        self.reports.clear()
        deadline = time.monotonic() + PATIENCE
        while self.run(topology).verdict != "converged" or self.machine.command:
            assert time.monotonic() < deadline, self.reports[-1]
            time.sleep(0.3)
        return [outcome.change.reason for report in self.reports for outcome in report.outcomes]

    @property
    def machine(self) -> Machine:
        """What the journal knows of the box."""
        return self.edge.journal.read(self.topology.name).machine(self.instance_id)

    def forget_the_time(self) -> None:
        """Let the last inspection be as long ago as makes another one due."""

        def older(history: History) -> History:
            machine = history.machine(self.instance_id)
            assert machine.inspection
            at = machine.inspection.at - INSPECTED
            return history.knows(replace(machine, inspection=replace(machine.inspection, at=at)))

        self.edge.journal.amend(self.topology.name, older)


@pytest.fixture(scope="module")
def keeper() -> Iterator[Keeper]:
    """Return the controller, and a bare box whose agent takes commands."""
    if why := testbed.lacking():
        pytest.skip(why)
    over = threading.Event()
    with Router(root.make()) as router:
        keeper = Keeper(router)
        node = router.world.register(keeper.instance_id)
        thread = threading.Thread(target=router.agent.serve, args=(node, over))
        thread.start()
        try:
            yield keeper
        finally:
            over.set()
            thread.join()


def test_bare_box_is_asked_pushed_to_and_proved_until_the_office_reaches_the_vpc(keeper: Keeper) -> None:
    """From a declared topology to packets, with nothing in between but the controller's own runs."""
    assert not keeper.router.reaches(1)
    reasons = keeper.until_converged()
    assert "it has no configuration yet" in reasons
    assert keeper.router.reaches()
    word = keeper.machine.inspection
    assert word
    assert (word.tunnel, word.forwarding) == ("CONNECTED", True)
    assert word.expires


def test_converged_box_gets_no_command_until_it_is_due(keeper: Keeper) -> None:
    """Same state, however often asked: nothing is sent."""
    keeper.router.world.forget_calls()
    for _ in range(5):
        assert keeper.run().verdict == "converged"
    sent = [call for call in keeper.router.world.calls if call.operation == "SendCommand"]
    assert sent == []


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("sysctl -qw net.ipv4.ip_forward=0", "forward"),
        ("iptables -F MOORING-FORWARD", "MOORING-FORWARD"),
        ("echo '# mine' >> /etc/openvpn/client/mooring.conf", "mooring.conf"),
        ("systemctl disable --now mooring-role.service", "mooring-role"),
    ],
)
def test_box_that_somebody_changed_is_found_told_of_and_put_right(
    keeper: Keeper, harm: str, told: str
) -> None:
    """Drift on the box is drift like any other; the reason says what was changed."""
    keeper.router.machine.shell(harm)
    keeper.forget_the_time()
    reasons = keeper.until_converged()
    assert any(reason.startswith("somebody changed the machine") and told in reason for reason in reasons)
    keeper.forget_the_time()
    assert keeper.until_converged() == []
    assert keeper.router.reaches()


def test_rule_of_somebody_else_is_a_problem_until_it_is_gone_and_no_push_is_sent_for_it(
    keeper: Keeper,
) -> None:
    """Nothing passes though all of Mooring's is whole: an operator is told which rule, and the box is left alone."""
    keeper.until_converged()
    keeper.router.machine.run("nft", "-f", "-", text=FIREWALLD)
    keeper.forget_the_time()
    deadline = time.monotonic() + PATIENCE
    while not (report := keeper.run()).problems:
        assert time.monotonic() < deadline, report
        time.sleep(0.3)
    assert [NAMED in problem for problem in report.problems] == [True]
    assert report.outcomes == ()

    keeper.router.machine.run("nft", "delete", "table", "inet", "firewalld")
    keeper.forget_the_time()
    assert keeper.until_converged() == []
    assert keeper.run().problems == ()


def test_declared_change_reaches_the_box_and_what_the_box_cannot_take_fails(keeper: Keeper) -> None:
    """Another office network is pushed; a server that is nobody's breaks the way home, and the box goes back by itself."""
    more = parse(keeper.document.replace("'10.100.30.0/24'", "'10.100.30.0/24', '10.100.77.0/24'").encode())
    reasons = keeper.until_converged(more)
    assert any("is not the declared one" in reason for reason in reasons)
    assert "10.100.77.0" in keeper.router.machine.shell(
        "ip route show type unreachable; cat /etc/mooring/rules.v4"
    )
    assert more.tunnel
    nowhere = replace(more, tunnel=replace(more.tunnel, server="198.51.100.1"))
    deadline = time.monotonic() + PATIENCE
    while not (report := keeper.run(nowhere)).problems:
        assert time.monotonic() < deadline, report
        time.sleep(0.5)
    assert any("went back to what it had" in problem for problem in report.problems)
    assert keeper.router.reaches()
    failed = keeper.machine.failed
    assert failed
    assert failed.final
    before = len(keeper.router.world.calls)
    assert keeper.run(nowhere).verdict == "drifting"
    assert "SendCommand" not in {call.operation for call in keeper.router.world.calls[before:]}
