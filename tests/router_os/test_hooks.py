"""Routers on which somebody else's rules drop what they are there for: it is named, and no push makes it so."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.router_os.router import bundle
from tests.router_os.test_push import WIDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.router_os.router import Router

FIREWALLD = """\
table inet firewalld {
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state established,related accept
		reject with icmpx admin-prohibited
	}
}
"""
NAMED = "table inet firewalld, chain filter_FORWARD, `reject with icmpx admin-prohibited` stops "


@contextlib.contextmanager
def firewalld(router: Router) -> Iterator[None]:
    """Have a chain there as firewalld makes it."""
    router.machine.run("nft", "-f", "-", text=FIREWALLD)
    yield
    router.machine.run("nft", "delete", "table", "inet", "firewalld")


def test_first_push_goes_back_where_nothing_would_pass_and_stays_once_it_would(bare: Router) -> None:
    """A router that forwards, with rules that are whole, and carries nothing is no success."""
    before = bare.in_force()
    with firewalld(bare):
        pushed = bare.push(bundle())

        assert (pushed.result, pushed.ended.code) == ("rolled-back", 21), pushed
        assert pushed.report["reason"].startswith(NAMED), pushed
        assert bare.in_force() == before

    bare.machine.shell("iptables-legacy -P FORWARD DROP")
    assert (
        "iptables-legacy table filter, chain FORWARD, `policy DROP`" in bare.push(bundle()).report["reason"]
    )
    bare.machine.shell("iptables-legacy -P FORWARD ACCEPT")

    pushed = bare.push(bundle())
    assert pushed.result == "applied", pushed
    assert pushed.report["hooks"] == []
    assert bare.reaches()


def test_rule_that_comes_later_is_told_by_inspection_and_is_no_drift(router: Router) -> None:
    """A push would mend nothing, so nothing asks for one."""
    assert router.inspect()["hooks"] == []
    with firewalld(router):
        seen = router.inspect()

        assert [line.startswith(NAMED) for line in seen["hooks"]] == [True], seen
        assert (seen["drift"], seen["forwarding"]) == ([], True)
        assert not router.reaches(2)
    assert router.inspect()["hooks"] == []
    assert router.reaches()


def test_push_stays_where_it_was_so_before_and_says_so(router: Router) -> None:
    """To go back would mend nothing; a push that changes nothing tells of it as well."""
    with firewalld(router):
        same, wider = router.push(bundle()), router.push(WIDER)

        assert [one.result for one in (same, wider)] == ["unchanged", "applied"]
        for pushed in (same, wider):
            assert pushed.report["reason"].startswith(NAMED), pushed
            assert pushed.report["hooks"][0].startswith(NAMED)


def test_push_of_what_somebody_stops_goes_back_though_all_else_passes(router: Router) -> None:
    """The network that is declared anew is the one that would not be carried."""
    before = router.in_force()
    rule = "nft 'table ip own { chain mine { type filter hook forward priority 5; ip daddr 10.100.40.0/24 drop; }; }'"
    router.machine.shell(rule)

    pushed = router.push(WIDER)

    assert pushed.result == "rolled-back", pushed
    assert "table ip own, chain mine, `ip daddr 10.100.40.0/24 drop` stops" in pushed.report["reason"]
    assert "10.100.40.0/24" in pushed.report["reason"]
    assert router.in_force() == before
    assert router.reaches()
    router.machine.shell("nft delete table ip own")
