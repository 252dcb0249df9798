"""Pushes that are killed at any moment: wholly new or wholly old, and the router says which."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from tests.router_os.router import bundle
from tests.router_os.test_push import WIDER

if TYPE_CHECKING:
    from tests.router_os.router import Router

MOMENTS = 20


def test_push_killed_at_any_moment_ends_wholly_old_or_wholly_new(router: Router) -> None:
    """After a SIGKILL the next push, or the next boot, finds one whole set, and it is the one that inspection names."""
    old = router.in_force()
    began = time.monotonic()
    assert router.push(WIDER).result == "applied"
    takes = time.monotonic() - began
    new = router.in_force()
    assert router.push(bundle()).result == "applied"
    states = {bundle().digest: old, WIDER.digest: new}
    chance = random.Random(5)  # noqa: S311 - moments, not secrets
    ended, killed = [], 0
    for n in range(MOMENTS):
        # nothing is touched before a third of the time has passed; the rest is what matters
        moment = takes * chance.uniform(0.3, 1.05)
        began = time.monotonic()
        if router.push(WIDER, kill_after=moment).ended.status == "TimedOut":
            killed += 1
        else:  # the machine is less busy than it was: moments are counted from what a push takes now
            takes = time.monotonic() - began
        if n % 2:
            router.machine.cut_power()
        else:
            router.push(bundle())

        seen = router.inspect()

        assert seen["drift"] == [], f"killed after {moment:.2f} s: {seen}"
        assert router.in_force() == states[seen["digest"]], f"killed after {moment:.2f} s"
        assert "mooring-old" not in router.machine.shell("find / -xdev -name '*.mooring-*'")
        assert router.reaches(20), f"killed after {moment:.2f} s"
        ended.append(seen["digest"])
        assert router.push(bundle()).result in ("applied", "unchanged")
    assert killed >= MOMENTS / 3, f"only {killed} pushes were killed before they ended"
    assert bundle().digest in ended


def test_push_killed_amid_the_swap_is_undone_by_its_own_timer(router: Router) -> None:
    """Nobody comes: neither another push nor a boot. The timer that was armed before the swap puts the old set back."""
    old = router.in_force()
    router.machine.shell("mkdir -p /run/held")
    # the swap is cut in two for certain: the journal is there when the script dies
    watch = "until [ -e /var/lib/mooring/push/journal.json ]; do sleep 0.01; done; pkill -KILL -f 'router.pyz configure'"
    watcher = router.testbed.start(*router.machine.inside("bash", "-c", watch)[7:], log="watch.log")

    router.push(WIDER)

    watcher.wait(20)
    assert router.inspect()["pending"] == WIDER.digest
    until = time.monotonic() + 120
    while router.inspect()["pending"] and time.monotonic() < until:
        time.sleep(1)
    seen = router.inspect()
    assert (seen["digest"], seen["drift"]) == (bundle().digest, [])
    assert seen["last"]["reason"].startswith("the push was cut off")
    assert router.in_force() == old
    assert router.reaches()
