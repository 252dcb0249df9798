"""Routers edited by hand: inspection finds each edit, says it in a line, and the next push puts it right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.router_os.router import bundle

if TYPE_CHECKING:
    from tests.router_os.router import Router

EDITS = {
    "rules": {
        "iptables -t nat -D MOORING-POSTROUTING 1": "rule missing: nat -A MOORING-POSTROUTING",
        "iptables -I MOORING-FORWARD 1 -j ACCEPT": "rule added: filter -A MOORING-FORWARD -j ACCEPT",
        "iptables -t mangle -D FORWARD -j MOORING-FORWARD": "rule missing: mangle -A FORWARD",
        "iptables -A FORWARD -j MOORING-FORWARD": "rule added: filter -A FORWARD -j MOORING-FORWARD",
        "iptables -N MOORING-OTHER": "rule added: filter :MOORING-OTHER",
    },
    "everything flushed": {
        "iptables -F; iptables -t nat -F; iptables -X": "rule missing: ",
        "sysctl -qw net.ipv4.ip_forward=0": "does not forward",
        "ip route del unreachable 10.100.30.0/24 metric 4278198272": "unreachable route is missing",
    },
    "files": {
        "sed -i 's/^verb 3/verb 9/' /etc/openvpn/client/mooring.conf": "mooring.conf was edited, from line",
        "rm /etc/mooring/rules.v4": "/etc/mooring/rules.v4: No such file",
        "chmod 777 /usr/local/lib/mooring/firewall": "has mode 0777, not 0755",
        "chmod 644 /etc/openvpn/client/mooring/router.key": "router.key has mode 0644, not 0600",
        "echo >>/etc/openvpn/client/mooring/ca.crt": "ca.crt is another than was pushed",
    },
    "units": {
        "systemctl disable -q mooring-firewall": "mooring-firewall.service is disabled",
        "systemctl disable -q --now mooring-role": "mooring-role.service is inactive",
    },
}


@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS)
def test_hand_edits_are_found_and_put_right(router: Router, edits: dict[str, str]) -> None:
    """An edit on the box is drift like any other: named by inspection, gone after the next push of the same digest."""
    before = router.in_force()
    assert router.inspect()["drift"] == []
    router.machine.shell("\n".join(edits))

    seen = router.inspect()["drift"]
    pushed = router.push(bundle())

    for line in edits.values():
        assert any(line in one for one in seen), (line, seen)
    assert pushed.result == "applied", pushed
    assert router.inspect()["drift"] == []
    assert router.in_force() == before
    assert router.reaches()


def test_inspection_changes_nothing(router: Router) -> None:
    """Looking is read-only, on the disk and in the kernel."""
    listing = "find / -xdev -newer /run/marker -type f -not -path '/var/lib/amazon/*' -not -path '/var/log/*'"
    before = router.in_force()
    router.machine.shell("touch /run/marker; sleep 0.02")

    router.inspect()

    assert router.in_force() == before
    assert router.machine.shell(listing) == ""


def test_foreign_rules_stay_through_pushes_and_undos(router: Router) -> None:
    """What is not Mooring's is not touched, by neither a push nor its undoing."""
    router.machine.shell(
        "iptables -N OTHERS; iptables -A OTHERS -s 10.99.0.0/16 -j DROP; iptables -A INPUT -j OTHERS"
    )
    foreign = "iptables-save | grep -v MOORING | sed 's/\\[.*//; /^#/d'"
    before = router.machine.shell(foreign)

    router.machine.shell("iptables -t nat -F MOORING-POSTROUTING")
    assert router.push(bundle()).result == "applied"

    assert router.machine.shell(foreign) == before
    router.machine.shell("iptables -D INPUT -j OTHERS; iptables -F OTHERS; iptables -X OTHERS")
