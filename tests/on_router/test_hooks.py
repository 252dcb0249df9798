"""Other people's rules are judged as packets find them: what stops what the router is for is named, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.on_router.agent import replica
from chalicelib.on_router.agent.shell import Broken
from tests.on_router.box import install, needs, run
from tests.on_router.hooks import ALL, FROM, OUT, RULE_SETS, TO
from tests.on_router.rendered import rendered

pytestmark = needs("iptables-nft-save", "iptables-legacy-save", "nft", "ip", "conntrack", "python3")

LOAD = "/usr/local/lib/mooring/firewall"
PROGRAM = Path(__file__).parents[2] / "chalicelib" / "on_router"

# The box; the VPC's implicit router, which sends what a private host says to the box; the office behind the tunnel.
WIRED = """\
ip link set lo up
join() { # one end's name and namespace, the other's
  ip link add $1 type veth peer name $2 netns $3
  ip link set $1 up; ip -n $3 link set $2 up
}
for name in vpc host internet office; do ip netns add $name; ip -n $name link set lo up; done
join eth0 v-router vpc; join tun-mooring eth0 office
ip addr add 10.0.0.4/24 dev eth0; ip route add default via 10.0.0.1 dev eth0
ip route add 10.100.100.0/24 dev tun-mooring src 10.0.0.4
ip -n office addr add 10.100.100.7/24 dev eth0; ip -n office route add default via 10.0.0.4 dev eth0 onlink
ip netns exec vpc sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
ip -n vpc addr add 10.0.0.1/24 dev v-router
for name in host internet; do
  ip -n vpc link add v-$name type veth peer name eth0 netns $name
  ip -n vpc link set v-$name up; ip -n $name link set eth0 up; ip -n vpc addr add 169.254.1.1/32 dev v-$name
done
ip -n host addr add 10.0.1.5/24 dev eth0; ip -n host route add 169.254.1.1 dev eth0
ip -n host route add default via 169.254.1.1 dev eth0
ip -n internet addr add 198.51.100.9/32 dev eth0; ip -n internet route add 169.254.1.1 dev eth0
ip -n internet route add default via 169.254.1.1 dev eth0
ip -n vpc route add 10.0.1.0/24 dev v-host; ip -n vpc route add 198.51.100.9 dev v-internet
ip -n vpc rule add pref 100 iif v-host lookup 100; ip -n vpc route add default via 10.0.0.4 dev v-router table 100
"""
PORTS = "443 22 80 5432 50077"
ANSWERS = """\
import selectors, socket, sys
here = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    here.register(socket.create_server(("", port)), selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for one, _ in here.select():
        one.fileobj.accept()
"""
ASKS = """\
import select, socket, sys, time
asked = []
for port in map(int, sys.argv[2:]):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex((sys.argv[1], port))
    asked.append(one)
until, carried = time.monotonic() + 2, False
while asked and not carried and time.monotonic() < until:
    for one in select.select([], asked, [], 0.1)[1]:
        carried = carried or one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        asked.remove(one)
print("carried" if carried else "stopped")
"""
JUDGE = """\
import json, sys
sys.path.insert(0, sys.argv[1])
from agent import hooks
verdict = hooks.judge()
print(json.dumps({"stops": verdict.stops, "unclear": verdict.unclear, "lines": verdict.lines}))
"""
FLOWS = {OUT: ("host", "198.51.100.9"), TO: ("host", "10.100.100.7"), FROM: ("office", "10.0.1.5")}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the router's files, and the programs of the neighbours beside them."""
    folder = install(rendered(), tmp_path_factory.mktemp("root"))
    for name, text in {"answers": ANSWERS, "asks": ASKS, "judge": JUDGE}.items():
        (folder / "etc/mooring" / name).write_text(text)
    return folder


def judged(root: Path, script: str, after: str = "") -> tuple[dict[str, Any], list[str]]:
    """Return the verdict on a box that loaded our rules and then came to have others, and what a script says after it."""
    said = run(
        root,
        f"{WIRED}{LOAD} >/dev/null\n{script}\necho ---; python3 /etc/mooring/judge {PROGRAM}\n{after}",
    )
    verdict, *more = said.partition("---\n")[2].splitlines()
    return json.loads(verdict), more


def packets() -> str:
    """Write a script that sends real packets each way, and tells of each whether it was carried."""
    servers = "".join(
        f"ip netns exec {name} python3 /etc/mooring/answers {PORTS} >ready-{name} &\n"
        f"for _ in $(seq 100); do grep -qs ready ready-{name} && break; sleep 0.1; done\n"
        for name in ("host", "internet", "office")
    )
    asked = "\n".join(
        f"echo '{name}:' $(ip netns exec {source} python3 /etc/mooring/asks {destination} {PORTS})"
        for name, (source, destination) in FLOWS.items()
    )
    return servers + asked


@pytest.mark.parametrize("name", RULE_SETS)
def test_foreign_rules_are_judged_as_packets_find_them(name: str, root: Path) -> None:
    """What the verdict says is stopped is stopped, what it does not name passes, and who stops it is named."""
    rules = RULE_SETS[name]

    verdict, said = judged(root, rules.script, packets())

    judgement = {flow for flows in verdict["stops"].values() for flow in flows} & set(ALL)
    carried = {flow: "stopped" if flow in rules.stops else "carried" for flow in ALL}
    assert said == [f"{flow}: {how}" for flow, how in carried.items()]
    assert verdict["unclear"] == ""
    assert judgement == set(rules.stops)
    assert list(verdict["stops"]) == ([rules.named] if rules.stops else [])


def test_packets_that_wait_for_somebodys_verdict_are_not_called_stopped(root: Path) -> None:
    """An intrusion prevention system that listens on a queue is none of the rules' doing."""
    verdict, _ = judged(
        root,
        "iptables-nft -I FORWARD 1 -j NFQUEUE --queue-num 3; iptables-legacy -I FORWARD 1 -j NFQUEUE --queue-num 4",
    )

    assert verdict["lines"] == []


def test_table_is_copied_without_what_only_its_owner_or_a_network_card_can_do() -> None:
    """A table with an owner would vanish with the tool that loads it, a queue's listener is not there to answer."""
    table = (
        "table inet t { # progname firewalld\n\tflags owner,dormant,persist\n\tset s {\n\t\tflags interval\n\t}\n"
        "\tflowtable f {\n\t\tflags offload;\n\t}\n\tchain c {\n\t\ttcp dport 25 queue flags bypass to 1-3\n\t}\n}"
    )

    portable = replica._portable("inet t", table)

    assert [line.strip() for line in portable.splitlines()] == [
        *("table inet t { # progname firewalld", "flags dormant", "set s {", "flags interval", "}"),
        *("flowtable f {", "", "}", "chain c {", "tcp dport 25 accept", "}", "}"),
    ]


@pytest.mark.parametrize("rule", ["meta l4proto tcp # xt_tcp drop", 'xt match "time" drop'])
def test_table_that_nft_cannot_write_down_is_not_judged(rule: str) -> None:
    """Read back without its match, a rule would drop everything."""
    with pytest.raises(Broken, match="table ip filter holds rules of xtables"):
        replica._portable("ip filter", f"table ip filter {{\n\tchain c {{\n\t\t{rule}\n\t}}\n}}")


def test_rule_is_named_without_its_comment_and_the_flows_are_counted(root: Path) -> None:
    """A comment may hold anything, and a report is shown to many."""
    verdict, _ = judged(root, "iptables-legacy -A FORWARD -m comment --comment 'pass word' -j DROP")

    assert verdict["lines"] == [
        "iptables-legacy table filter, chain FORWARD, `-A FORWARD -j DROP` stops 10.0.1.0/24 to the internet and 10 more flows"
    ]


def test_two_that_stop_different_traffic_are_both_named(root: Path) -> None:
    """Who allows it in one place must learn of the other."""
    verdict, _ = judged(
        root,
        "nft 'table ip one { chain f { type filter hook forward priority 1; oifname \"tun-mooring\" ct state new drop; }; }'\n"
        "iptables-legacy -A FORWARD -i eth0 -o eth0 -j DROP",
    )

    assert [line.partition(" stops ")[0] for line in verdict["lines"]] == [
        'table ip one, chain f, `oifname "tun-mooring" ct state new drop`',
        "iptables-legacy table filter, chain FORWARD, `-A FORWARD -i eth0 -o eth0 -j DROP`",
    ]


def test_jump_of_ours_that_is_missing_is_drift_and_nobody_elses_doing(root: Path) -> None:
    """Docker's policy stops nothing where our rules are whole; that they are not is told as drift."""
    verdict, _ = judged(root, "iptables-nft -P FORWARD DROP; iptables-nft -D FORWARD -j MOORING-FORWARD")

    assert verdict["lines"] == []


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (
            "mkdir /usr/local/bin; printf '#!/bin/sh\\necho no >&2; exit 3' >/usr/local/bin/nft; chmod 755 /usr/local/bin/nft",
            "nft: no",
        ),
        ("ip addr flush dev eth0", "no interface has the router's address 10.0.0.4"),
        ("echo 'exit 4' >>/usr/local/lib/mooring/firewall", "our own rules do not load"),
    ],
    ids=["tool", "address", "loader"],
)
def test_what_cannot_be_found_out_is_said_and_stops_nothing(harm: str, why: str, root: Path) -> None:
    """A failed reading never looks like a clean one, and is no rule of anybody's either."""
    verdict, _ = judged(root, f"PATH=/usr/local/bin:$PATH; {harm}")

    assert verdict["stops"] == {}
    assert why in verdict["unclear"]
    assert len(verdict["lines"]) == 1


def test_bare_router_has_nothing_to_stop(root: Path) -> None:
    """Where nothing is to be forwarded, other people's rules are their own affair."""
    verdict, _ = judged(root, "iptables-legacy -P FORWARD DROP; rm /usr/local/lib/mooring/firewall")

    assert verdict["lines"] == []


def test_hundred_networks_are_judged_in_time(tmp_path: Path) -> None:
    """Each network at an end of the tunnel is tried, and the one that is stopped is found among them."""
    many = ", ".join(f'"10.200.{at}.0/24"' for at in range(100))
    folder = install(rendered(('"10.100.100.0/24", "10.100.200.0/24", "10.100.30.0/24"', many)), tmp_path)
    (folder / "etc/mooring/judge").write_text(JUDGE)

    verdict, _ = judged(
        folder, "iptables-nft -I FORWARD 1 -s 10.200.99.0/24 -m conntrack --ctstate NEW -j DROP"
    )

    assert verdict["lines"] == [
        "table ip filter, chain FORWARD, `ip saddr 10.200.99.0/24 ct state new drop` stops 10.200.99.0/24 to 10.0.1.0/24"
    ]


def test_judgement_leaves_the_router_as_it_was(root: Path) -> None:
    """It is loaded, traced and counted elsewhere: no rule, counter, interface or flow is another."""
    state = "iptables-save -c | grep -v '^#'; iptables-legacy-save -c | grep -v '^#'; nft list ruleset; ip -o link; conntrack -L"
    _, said = judged(
        root,
        f"iptables-legacy -P FORWARD DROP; ({state}) >before 2>/dev/null",
        f"({state}) 2>/dev/null | cmp - before && echo same",
    )

    assert said == ["same"]
