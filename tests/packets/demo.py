"""`python -m tools.demo --packets`: the story in packets. Hands break things, Mooring runs, and pings tell what it cost.

python -m tests.packets.demo        inside the lab's namespaces (`enter`)
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from chalicelib.cli.terminal import Terminal
from tests.packets import failover
from tests.packets.drift import FLOWS, HARMS, stopped
from tests.packets.lab import Lab

if TYPE_CHECKING:
    from tests.packets.failover import Case


class _Teller:
    """Tells each step, and remembers whether everything came back."""

    def __init__(self, console: Terminal, lab: Lab) -> None:
        self.console, self.lab = console, lab
        self.good = True

    def tell_harm(self, harm: str) -> None:
        """Do something by hand, say which flows stop, let Mooring run, and say when they are back."""
        self.lab.recover()
        self.console.print(f"[bold]{harm[0].upper()}{harm[1:]}[/]")
        should = HARMS[harm](self.lab)
        lost = stopped(self.lab)
        said = ", ".join(f"{a} → {b}" for a, b in sorted(lost))
        self.console.print(f"   stops     {len(lost)} of {len(FLOWS)} flows: {said}")
        began = time.monotonic()
        self.lab.mooring.tick()
        self.console.print(f"   mooring   {self.lab.mooring.said}")
        self.lab.until(lambda: stopped(self.lab) == set(), "everything is back")
        self._judge(
            good=lost == should,
            said=f"everything answers again {time.monotonic() - began:.1f} s after the tick",
        )

    def tell_case(self, case: Case) -> None:
        """Let something happen to the router under pings, and say what was lost."""
        self.console.print(f"[bold]The router: {case.name}[/], noticed by {case.noticed_by}")
        outage = failover.measure(self.lab, case)
        told = ", ".join(f"{phase} {at:.2f}" for phase, at in outage.phases.items())
        self.console.print(f"   mooring   {self.lab.mooring.said}")
        self.console.print(f"   seconds   {told}")
        losses = ", ".join(f"{flow} {loss.lost:.2f} s" for flow, loss in outage.losses.items())
        self._judge(good=outage.healed, said=f"lost: {losses}")

    def _judge(self, *, good: bool, said: str) -> None:
        self.good &= good
        word = "[green]proof[/]    " if good else "[red]proof[/]    "
        self.console.print(f"   {word} {said}\n")


def main() -> int:
    """Tell it all; 0 when every flow came back, and stopped only where it should."""
    console = Terminal()
    began = time.monotonic()
    with Lab() as lab:
        lab.moor()
        console.print(
            f"[bold]Mooring[/]: the network of examples/network.yaml in namespaces, up in {time.monotonic() - began:.1f} s; "
            f"{len(FLOWS) - len(stopped(lab))} of {len(FLOWS)} flows answer\n"
        )
        teller = _Teller(console, lab)
        for harm in HARMS:
            teller.tell_harm(harm)
        for case in failover.CASES:
            teller.tell_case(case)
    console.print("[green]Every flow came back." if teller.good else "[red]Something did not come back.")
    return 0 if teller.good else 1


if __name__ == "__main__":
    sys.exit(main())
