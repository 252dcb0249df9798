"""What a router's end costs: something happens under pings every 10 ms, and the seconds lost are told by phase.

python -m tests.packets failover        the table of docs/how-it-is-tested.md
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib.core.tunnel.render import UNIT
from tests.packets.probe import Loss, Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.packets.lab import Lab

FLOWS = (("lan0", "private"), ("private", "lan0"), ("private", "inet"))
PHASES = ("queued", "decided", "written", "address", "tunnel", "answer")
"""When, after what happened: a wake-up is in the queue; the decision is in the journal; the last write to AWS is done;
the box sees that it holds the
address, and starts OpenVPN; the tunnel is up; every flow has its first answer."""

_STEADY, _AFTER = 0.5, 2.0


@dataclass(frozen=True)
class Case:
    """Something that happens to the router, and who notices."""

    name: str
    noticed_by: str
    happen: Callable[[Lab], None]
    same_router: bool = False


@dataclass(frozen=True)
class Outage:
    """What it cost: seconds after what happened by phase, where there was such a phase, and the losses by flow."""

    case: Case
    phases: dict[str, float]
    losses: dict[str, Loss] = field(repr=False)

    @property
    def lost(self) -> float:
        """Seconds that the flow that lost most lost."""
        return max(loss.lost for loss in self.losses.values())

    @property
    def to_reach(self) -> float:
        """Seconds from the wake-up in the queue to the last flow's first answer."""
        return self.phases["answer"] - self.phases["queued"]

    @property
    def healed(self) -> bool:
        """Whether every flow answered at the end."""
        return all(loss.alive for loss in self.losses.values())


def _terminated(lab: Lab) -> None:
    lab.ec2.terminate_instances(InstanceIds=[lab.router])


def _stopped(lab: Lab) -> None:
    lab.ec2.stop_instances(InstanceIds=[lab.router])


def _hung(lab: Lab) -> None:
    lab.hang(lab.router)
    lab.mooring.tick()


def _killed(lab: Lab) -> None:
    lab.machines[lab.router].run("pkill", "-KILL", "openvpn")


def _flushed(lab: Lab) -> None:
    router = lab.machines[lab.router]
    lab.ruined.add(lab.router)
    for table in ("nat", "filter", "mangle"):
        router.run("iptables", "-t", table, "-F")
    router.run("conntrack", "-F")  # or flows go on as they began
    switch(lab)


def _not_forwarding(lab: Lab) -> None:
    lab.ruined.add(lab.router)
    lab.machines[lab.router].run("sysctl", "-q", "-w", "net.ipv4.ip_forward=0")
    switch(lab)


def switch(lab: Lab) -> None:
    """Ask for the standby, as an operator does."""
    lab.mooring.call("POST", f"/topologies/{lab.topology.name}/switchover", {"to": lab.standby})


TERMINATED = Case("terminated", "EC2's event", _terminated)
STOPPED = Case("stopped", "EC2's event", _stopped)
HUNG = Case("hung: the system is dead, AWS says running", "the tick, by the status check", _hung)
KILLED = Case("OpenVPN killed", "systemd", _killed, same_router=True)
FLUSHED = Case("iptables and its flows flushed", "an operator, who switches over", _flushed)
NOT_FORWARDING = Case("tunnel up, forwarding off", "an operator, who switches over", _not_forwarding)
PLANNED = Case("planned switchover", "an operator", switch)
CASES = (TERMINATED, STOPPED, HUNG, KILLED, FLUSHED, NOT_FORWARDING, PLANNED)


def measure(lab: Lab, case: Case) -> Outage:
    """Let it happen under probes, and account for it once everything answers again."""
    lab.recover()
    before = lab.router
    with contextlib.ExitStack() as stack:
        probes = {
            f"{a} -> {b}": stack.enter_context(Probe(lab.namespace(a), lab.address(b))) for a, b in FLOWS
        }
        time.sleep(_STEADY)
        began = time.monotonic()
        case.happen(lab)
        lab.until(
            lambda: (lab.router == before) == case.same_router and _connected(lab, began),
            f"{case.name}: it is over",
        )
        lab.mooring.rest()
        time.sleep(_AFTER)
        losses = {name: probe.end() for name, probe in probes.items()}
    return Outage(case, dict(_phases(lab, began, losses)), losses)


def _connected(lab: Lab, since: float) -> float | None:
    router = lab.machines.get(lab.router)
    return router.said("Initialization Sequence Completed", since) if router else None


def _phases(lab: Lab, began: float, losses: dict[str, Loss]) -> Iterable[tuple[str, float]]:
    router = lab.machines[lab.router]
    moments: dict[str, float | None] = {**lab.mooring.moments(began)}
    starts = (line for line in router.journal() if line.unit == UNIT and line.text == "started")
    moments["address"] = next((line.at for line in starts if line.at > began), None)
    moments["tunnel"] = _connected(lab, began)
    moments["answer"] = max((loss.back_at for loss in losses.values() if loss.back_at), default=None)
    for phase in PHASES:
        at = moments.get(phase)
        if at is not None:
            yield phase, at - began


def table(outages: Iterable[Outage]) -> str:
    """Write outages as a table in Markdown."""
    head = (
        "the router is",
        "noticed by",
        *PHASES,
        "lost office → VPC",
        "lost VPC → office",
        "lost VPC → internet",
    )
    rows = [head, tuple("---" for _ in head)]
    for outage in outages:
        phases = (f"{outage.phases[p]:.2f}" if p in outage.phases else "" for p in PHASES)
        losses = (f"{loss.lost:.2f}" for loss in outage.losses.values())
        rows.append((outage.case.name, outage.case.noticed_by, *phases, *losses))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
