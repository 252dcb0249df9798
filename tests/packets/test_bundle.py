"""What holds of the bundle itself on a real kernel: loading, other people's rules, and a reboot."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from tests.packets.probe import Probe, answers

if TYPE_CHECKING:
    from tests.packets.lab import Lab
    from tests.packets.machine import Machine

_FOREIGN = """*filter
:ELSEWHERE - [0:0]
-A INPUT -p tcp -m tcp --dport 9100 -j ACCEPT
-A FORWARD -s 172.16.0.0/12 -j ELSEWHERE
-A ELSEWHERE -j DROP
COMMIT
*nat
:ELSEWHERE - [0:0]
-A PREROUTING -p udp -m udp --dport 5000 -j ELSEWHERE
-A POSTROUTING -s 172.16.0.0/12 -j MASQUERADE
COMMIT
*mangle
-A OUTPUT -p icmp -j MARK --set-xmark 0x7/0xffffffff
COMMIT
"""


def rules(machine: Machine) -> list[str]:
    """List a machine's rules, without counters and comments."""
    lines = machine.run("iptables-save").splitlines()
    return [re.sub(r"\[\d+:\d+\]", "", line) for line in lines if not line.startswith("#")]


def foreign(lines: list[str]) -> list[str]:
    """Leave out what is the bundle's own, jumps included."""
    return [line for line in lines if "MOORING-" not in line]


def load(machine: Machine) -> None:
    """Load the bundle's rules, as its unit does."""
    machine.run("systemctl", "restart", "mooring-firewall.service")


def test_loading_again_changes_nothing(lab: Lab) -> None:
    """Twice, and the rules are those of once; no flow that runs loses a packet's worth of state."""
    router = lab.machines[lab.router]
    before = rules(router)
    assert any("MOORING-POSTROUTING" in line and "SNAT" in line for line in before)
    flows = router.run("conntrack", "-L", "-p", "udp", "--dport", "1194")
    for _ in range(2):
        load(router)
        assert rules(router) == before
    assert flows.split("sport=")[1].split()[0] in router.run(
        "conntrack", "-L", "-p", "udp", "--dport", "1194"
    )


def test_other_peoples_rules_stay_as_they_are(lab: Lab) -> None:
    """Rules and chains of others are the same before and after, whatever is loaded."""
    router = lab.machines[lab.standby]
    router.run("iptables-restore", "--noflush", stdin=_FOREIGN)
    before = foreign(rules(router))
    assert "-A POSTROUTING -s 172.16.0.0/12 -j MASQUERADE" in before
    load(router)
    assert foreign(rules(router)) == before


def test_reboot_needs_neither_mooring_nor_aws(lab: Lab) -> None:
    """Namespace and processes are torn down and booted from the disk alone; no call of Mooring's, and all flows are back.

    The flows went on all the time: one that is forwarded before it is translated would stay dead as long as it lives.
    """
    router = lab.router
    lab.world.forget_calls()
    with (
        Probe(lab.namespace("private"), lab.address("lan0")) as office,
        Probe(lab.namespace("private"), lab.address("inet")) as internet,
    ):
        lab.dead.add(router)
        lab.follow()
        assert not answers(lab.namespace("private"), lab.address("lan0"))
        lab.revive(router)
        lab.until(lambda: lab.tunnels() == [router], "the tunnel is up again")
        for flow in (("private", "lan0"), ("lan0", "private"), ("private", "inet"), ("lan1", "public")):
            assert answers(lab.namespace(flow[0]), lab.address(flow[1])), flow
        time.sleep(1)
        losses = [probe.end() for probe in (office, internet)]
    assert all(loss.alive for loss in losses), losses
    assert any(loss.lost for loss in losses), losses  # a ping that cannot even be sent is none that is lost
    assert [call for call in lab.world.calls if call.by == "product"] == []
