"""What the outside hears of machines: their tunnels, drift, failed pushes and certificates, each where it is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.aws import telemetry
from chalicelib.core.machines.machine import FRESH, Command, FailedPush, Inspection, Machine
from chalicelib.core.network.election import Election
from chalicelib.core.network.report import Report
from tests.app.emf import directive_of, metrics_in, values_of
from tests.builders import NOON, ROUTER, STANDBY, instance, interface

DIGEST = "1" * 64
BESIDE = Inspection(NOON - timedelta(minutes=1), DIGEST, forwarding=True)
UP = replace(BESIDE, holds_address=True, tunnel="CONNECTED", received=900, grown=400)
"""The word of a standby, and of a router whose tunnel works."""
FAILED = FailedPush(DIGEST, "refused it: no space", NOON - timedelta(minutes=2))
GOOD: dict[str, float] = {
    "ConfigDrift": 0,
    "PushFailed": 0,
    "TunnelUp": 1,
    "TunnelSilent": 0,
    "TunnelBytes": 400,
}
QUIET: dict[str, float] = {"ConfigDrift": 0, "PushFailed": 0}


def _machine(instance_id: str, word: Inspection | None, **more: Any) -> Machine:  # noqa: ANN401 - of Machine's fields
    return Machine(instance_id, inspection=word, **more)


def _ends(word: Inspection, days: float) -> Inspection:
    return replace(word, expires=NOON + timedelta(days=days))


# What machines are known to be, every measure of it, and what alarms watch of it over all topologies.
MACHINES: dict[str, tuple[tuple[Machine, ...], dict[str, float], dict[str, float]]] = {
    "nothing is declared": ((), {}, {}),
    "all is well": ((_machine(ROUTER, UP), _machine(STANDBY, BESIDE)), GOOD, {"TunnelUp": 1}),
    "the tunnel is down": (
        (_machine(ROUTER, replace(UP, tunnel="RECONNECTING", grown=0)),),
        GOOD | {"TunnelUp": 0, "TunnelBytes": 0},
        {"TunnelUp": 0},
    ),
    "OpenVPN does not run": (
        (_machine(ROUTER, replace(UP, tunnel=None, received=0, grown=None)),),
        QUIET | {"TunnelUp": 0, "TunnelSilent": 0},
        {"TunnelUp": 0},
    ),
    "nothing comes through": (
        (_machine(ROUTER, replace(UP, grown=0)),),
        GOOD | {"TunnelSilent": 1, "TunnelBytes": 0},
        {"TunnelUp": 1, "TunnelSilent": 1},
    ),
    "the first word cannot tell what came": (
        (_machine(ROUTER, replace(UP, grown=None)),),
        QUIET | {"TunnelUp": 1, "TunnelSilent": 0},
        {"TunnelUp": 1},
    ),
    "the router has yet to see its address": (
        (_machine(ROUTER, replace(UP, holds_address=False, tunnel=None, grown=None)),),
        QUIET,
        {},
    ),
    "a standby's tunnel is nobody's": ((_machine(STANDBY, UP),), QUIET, {}),
    "both were changed by hand": (
        (
            _machine(ROUTER, replace(UP, drift=("forwarding is off", "a rule is gone"))),
            _machine(STANDBY, replace(BESIDE, drift=("a file differs",))),
        ),
        GOOD | {"ConfigDrift": 3},
        {"TunnelUp": 1, "ConfigDrift": 3},
    ),
    "a push failed": (
        (_machine(ROUTER, UP), _machine(STANDBY, BESIDE, failed=FAILED)),
        GOOD | {"PushFailed": 1},
        {"TunnelUp": 1, "PushFailed": 1},
    ),
    "a push failed on one that never spoke": (
        (_machine(STANDBY, None, failed=FAILED),),
        QUIET | {"PushFailed": 1},
        {"PushFailed": 1},
    ),
    "an answer is awaited": (
        (_machine(ROUTER, None, command=Command("c-1", "inspect", NOON)),),
        QUIET,
        {},
    ),
    "a word is stale": (
        (_machine(ROUTER, replace(_ends(UP, 3), at=NOON - FRESH - timedelta(seconds=1), drift=("old",))),),
        QUIET,
        {},
    ),
    "the soonest certificate counts": (
        (_machine(ROUTER, _ends(UP, 45)), _machine(STANDBY, _ends(BESIDE, 29.5))),
        GOOD | {"CertificateDays": 29.5},
        {"TunnelUp": 1, "CertificateDays": 29.5},
    ),
    "a certificate has ended": (
        (_machine(ROUTER, _ends(UP, -2)),),
        GOOD | {"CertificateDays": -2},
        {"TunnelUp": 1, "CertificateDays": -2},
    ),
    "a certificate ends right now": (
        (_machine(ROUTER, _ends(UP, 0)),),
        GOOD | {"CertificateDays": 0},
        {"TunnelUp": 1, "CertificateDays": 0},
    ),
    "certificates that last cost nothing": ((_machine(ROUTER, _ends(UP, 61)),), GOOD, {"TunnelUp": 1}),
}


def _of_machines(*machines: Machine) -> Report:
    elected = Election(instance(), interface(), "the incumbent is eligible")
    return Report(
        "office", "converged", "tick", NOON, NOON + timedelta(seconds=2), election=elected, machines=machines
    )


@pytest.mark.parametrize("case", MACHINES)
def test_machines_are_measured_by_what_they_said_of_late(case: str) -> None:
    """The router's tunnel, everybody's drift, failed pushes, the soonest end; what nobody knows is not measured."""
    machines, expected, _ = MACHINES[case]
    usual = telemetry.measures(_of_machines(), NOON).keys()
    measured = telemetry.measures(_of_machines(*machines), NOON)
    assert {name: value for name, (value, _) in measured.items() if name not in usual} == expected


@pytest.mark.parametrize("case", MACHINES)
def test_alarms_hear_of_machines_what_is_bad_and_whether_the_tunnel_is_up(
    capsys: pytest.CaptureFixture[str], case: str
) -> None:
    """Over all topologies: what nobody knows must not read as 0, which an alarm on the tunnel would take for down."""
    machines, _, expected = MACHINES[case]
    telemetry.run(_of_machines(*machines), NOON)
    whole, _ = metrics_in(capsys.readouterr().out)
    told = {name: value for name, value in values_of(whole).items() if name not in telemetry.ALARMING}
    assert told == expected


def test_topology_is_told_its_tunnels_bytes_in_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    """Its own graph shows what comes through; no sum over all topologies means anything."""
    telemetry.run(_of_machines(_machine(ROUTER, UP)), NOON)
    whole, own = metrics_in(capsys.readouterr().out)
    assert "TunnelBytes" not in values_of(whole)
    assert values_of(own) == {"Converged": 1, "ReconcileSeconds": 2, "TunnelUp": 1, "TunnelBytes": 400}
    units = {metric["Name"]: metric["Unit"] for metric in directive_of(own)["Metrics"]}
    assert units["TunnelBytes"] == "Bytes"


def test_nobody_elected_has_no_tunnel(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no router, whose tunnel is up is no question; failed pushes still count."""
    report = replace(_of_machines(_machine(ROUTER, UP, failed=FAILED)), election=None)
    telemetry.run(report, NOON)
    whole, _ = metrics_in(capsys.readouterr().out)
    assert values_of(whole).keys() - set(telemetry.ALARMING) == {"PushFailed"}
