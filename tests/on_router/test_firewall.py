"""The rules are loaded whole, before forwarding and around what is foreign, by real iptables in a namespace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.on_router.box import install, needs, run
from tests.on_router.rendered import rendered

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs("iptables-restore", "iptables-save", "ip", "conntrack")

LOAD = "/usr/local/lib/mooring/firewall"
FOREIGN = """\
iptables -A INPUT -p tcp --dport 9 -j DROP
iptables -A FORWARD -s 1.2.3.4 -j ACCEPT
iptables -N OTHERS; iptables -A OTHERS -j RETURN; iptables -I FORWARD 1 -j OTHERS
iptables -t nat -A POSTROUTING -s 9.9.9.9 -j MASQUERADE
iptables -t mangle -A PREROUTING -j MARK --set-mark 7
ip link set lo up; ip route add unreachable 172.16.0.0/24 metric 4278198272; ip route add unreachable 172.17.0.0/24
"""
SAVE = "iptables-save | sed '/^#/d;s/ \\[.*\\]//'"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with the router's files."""
    return install(rendered(), tmp_path)


def test_rules_and_forwarding_are_in_force_after_one_load(root: Path) -> None:
    """Every chain hangs where packets pass it, unreachable routes are there, and the kernel forwards."""
    said = run(root, f"{LOAD}; {SAVE}; ip route; cat /proc/sys/net/ipv4/ip_forward")

    for jump in (
        "FORWARD -j MOORING-FORWARD",
        "INPUT -j MOORING-INPUT",
        "POSTROUTING -j MOORING-POSTROUTING",
    ):
        assert f"-A {jump}" in said
    for private in ("10.0.1.0/24", "10.0.2.0/24"):
        assert f"-A MOORING-POSTROUTING -s {private} -j SNAT --to-source 10.0.0.4" in said
    for remote in ("10.100.100.0/24", "10.100.200.0/24", "10.100.30.0/24", "192.168.0.0/24"):
        assert f"-A MOORING-POSTROUTING -s 10.0.0.0/16 -d {remote} -j ACCEPT" in said
        assert f"unreachable {remote} metric 4278198272" in said
    assert said.splitlines()[-1] == "1"


def test_second_load_changes_nothing_and_says_nothing(root: Path) -> None:
    """Rules, their order and flows stay; a jump is not added twice."""
    said = run(
        root,
        f"{LOAD}; {SAVE} >one; ip route >routes; conntrack -I -s 10.0.1.5 -d 198.51.100.9 -p udp --sport 1 --dport 2 -t 99 -u SEEN_REPLY\n"
        f"echo ---; {LOAD}; {SAVE} | cmp - one; ip route | cmp - routes; conntrack -L -s 10.0.1.5 2>/dev/null",
    ).partition("---\n")[2]

    assert said.startswith("udp ")
    assert len(said.splitlines()) == 1


def test_foreign_rules_and_routes_stay_to_the_byte(root: Path) -> None:
    """What is not ours is as it was, in content and order, after one load and after two."""
    ours = "sed '/MOORING-/d'"

    run(
        root,
        f"{FOREIGN}{SAVE} >rules; ip route show type unreachable >routes\n"
        f"for _ in 1 2; do {LOAD}; {SAVE} | {ours} >now; cmp now rules; done\n"
        "ip route show 172.17.0.0/24 | grep -q unreachable",
    )


def test_jump_that_somebody_removed_comes_back_and_the_others_stay_where_they_are(root: Path) -> None:
    """A jump is put first when it is missing, and left where it is otherwise: nobody is fought over a place."""
    said = run(
        root,
        f"{LOAD}; iptables -I INPUT 1 -p tcp --dport 9 -j ACCEPT; iptables -D FORWARD -j MOORING-FORWARD\n"
        f"echo ---; {LOAD}; iptables -S INPUT; iptables -S FORWARD; iptables -t nat -S POSTROUTING",
    ).partition("---\n")[2]

    assert said.splitlines()[1:] == [
        "-P INPUT ACCEPT",
        "-A INPUT -p tcp -m tcp --dport 9 -j ACCEPT",
        "-A INPUT -j MOORING-INPUT",
        "-P FORWARD ACCEPT",
        "-A FORWARD -j MOORING-FORWARD",
        "-P POSTROUTING ACCEPT",
        "-A POSTROUTING -j MOORING-POSTROUTING",
    ]


def test_networks_that_change_take_their_rules_and_routes_along(root: Path, tmp_path: Path) -> None:
    """A network that is no longer declared is no longer refused; one that is new, down to a single address, is."""
    changed = install(rendered(("10.100.30.0/24", "10.100.31.7/32")), tmp_path / "changed")

    said = run(
        root,
        f"{LOAD}; cp -a {changed}/etc/. /etc/; cp -a {changed}/usr/local/. /usr/local/; {LOAD}; {LOAD}; {SAVE}; ip route",
    )

    assert "10.100.30.0/24" not in said
    assert "-A MOORING-POSTROUTING -s 10.0.0.0/16 -d 10.100.31.7/32 -j ACCEPT" in said
    assert "unreachable 10.100.31.7 metric 4278198272" in said


def test_rule_that_iptables_does_not_take_leaves_everything_as_it_was(root: Path) -> None:
    """All tables are judged before the first is loaded, and forwarding stays off."""
    said = run(
        root,
        f"{SAVE} >before; sed -i '$i -A MOORING-FORWARD -j NOWHERE --how' /etc/mooring/rules.v4\n"
        f"{LOAD} || echo refused; {SAVE} | cmp - before; cat /proc/sys/net/ipv4/ip_forward",
    )

    assert said.splitlines()[-2:] == ["refused", "0"]


def test_forwarding_comes_on_only_after_the_last_rule(root: Path) -> None:
    """A flow that is forwarded before it is translated would stay untranslated for as long as it lives."""
    said = run(
        root,
        "mkdir bin; real=$(command -v iptables-restore)\n"
        'printf \'#!/bin/bash\necho "loaded while $(cat /proc/sys/net/ipv4/ip_forward)"; exec %s "$@"\' "$real" >bin/iptables-restore\n'
        f"chmod +x bin/iptables-restore; PATH=/run/bin:$PATH {LOAD}; cat /proc/sys/net/ipv4/ip_forward",
    )

    assert said.splitlines() == [
        "loaded while 0",
        "loaded while 0",
        "the rules are loaded, forwarding is on",
        "1",
    ]


def test_flows_of_private_subnets_begin_anew_when_rules_change(root: Path) -> None:
    """What began without translation would go on without it; the box's own flows are nobody's concern."""
    flow = "-d 198.51.100.9 -p udp --sport 1 --dport 2 -t 99 -u SEEN_REPLY"

    said = run(
        root,
        f"conntrack -I -s 10.0.1.5 {flow}; conntrack -I -s 10.0.0.4 {flow}; echo ---; {LOAD}; conntrack -L 2>/dev/null",
    ).partition("---\n")[2]

    assert "src=10.0.1.5" not in said
    assert "src=10.0.0.4" in said


def test_box_without_conntrack_is_told_so_before_anything_is_loaded(root: Path) -> None:
    """A tool that is missing is named, and nothing is half done."""
    said = run(
        root,
        "mkdir bin; for tool in bash sed cat iptables-restore iptables-save iptables ip; do ln -s $(command -v $tool) bin/; done\n"
        f"PATH=/run/bin {LOAD} || echo refused; iptables-save | grep MOORING || echo none",
    )

    assert said.splitlines() == ["conntrack is not installed", "refused", "none"]


def test_many_networks_are_loaded(tmp_path: Path) -> None:
    """A parameter of iptables has at most 1023 characters; more networks than that holds must fit."""
    many = ", ".join(f'"10.200.{at}.0/24"' for at in range(100))
    root = install(rendered(('"10.100.100.0/24", "10.100.200.0/24", "10.100.30.0/24"', many)), tmp_path)

    said = run(root, f"{LOAD}; iptables -t nat -S MOORING-POSTROUTING | grep -c ACCEPT; ip route | wc -l")

    assert said.splitlines()[-2:] == ["102", "101"]


def test_a_box_leaves_the_machine_it_stands_on_as_it_was(root: Path) -> None:
    """Its /etc and /usr/local are its own; all else is the machine's, and root there is root here."""
    places = ("/", "/usr", "/etc", "/usr/local")
    before = [(os.stat(one).st_mode, os.listdir(one)) for one in places]  # noqa: PTH116, PTH208 - words, and no more

    run(root, f"{LOAD}; touch /etc/mooring/mine /usr/local/mine")

    assert [(os.stat(one).st_mode, os.listdir(one)) for one in places] == before  # noqa: PTH116, PTH208 - same
