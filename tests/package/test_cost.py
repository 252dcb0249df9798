"""The page about costs, held to what is deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.aws import telemetry
from tests.bench.cost import PRICES, metrics, quantities, table, total
from tests.package.template import of_type, translate
from tools.package import ROOT

if TYPE_CHECKING:
    import pytest

    from tools.package import Package

PAGE = ROOT / "docs" / "cost.md"


def test_page_shows_what_is_counted(package: Package) -> None:
    """A metric, an alarm or a price more, and the page must say so; `python -m tests.bench.cost` prints the table."""
    assert "\n".join(table(translate(package))) in PAGE.read_text()


def test_controller_of_one_network_stays_inside_a_dollar(package: Package) -> None:
    """What the page promises, for an account whose free tier nobody else has used up; the routers' alarms are half a dollar more."""
    template = translate(package)
    assert total(template, 1, free=True, tunnels=False) < 1
    assert total(template, 1, free=True) < 1.5


def test_metrics_of_one_network_fit_the_free_tier(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    """They do with room for a repair's; a count that every run told would show, for one network as for a thousand."""
    assert metrics(1) <= PRICES["metrics"].free
    before = metrics(1000)
    monkeypatch.setattr("tests.bench.cost.ALWAYS", (*telemetry.ALWAYS, "Blind"))
    assert metrics(1000) == before + 1000


def test_alarms_are_charged_by_the_metrics_they_look_at(package: Package) -> None:
    """Merging alarms by an expression saves nothing, and must not seem to."""
    template = translate(package)
    before = quantities(template, 1)["alarms"]
    merged = next(iter(of_type(template, "AWS::CloudWatch::Alarm").values()))
    merged["Properties"]["Metrics"] = [{"Id": "a"}, {"Id": "b"}]
    assert quantities(template, 1)["alarms"] == before + 1
