"""Bootstrap reads the environment as the AWS CLI does, and gives every client its patience."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.aws.ec2.writes import PARALLEL
from chalicelib.bootstrap import Edge, SystemClock, connect
from chalicelib.core.errors import ControllerError, ObservationError
from tests.builders import topology

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fake_aws import World

ELSEWHERE = "http://127.0.0.1:9"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment that says nothing of AWS, and a home with no AWS files."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MOORING_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def _settings(edge: Edge) -> dict[str, Any]:
    return {
        "ec2, reading": edge.ec2._meta.config,
        "ssm": edge.ssm.meta.config,
        "cloudformation": edge.cloudformation.meta.config,
    }


@pytest.mark.usefixtures("bare")
def test_no_region_is_an_error_that_says_how_to_name_one() -> None:
    """Not botocore's NoRegionError from the depth of the first client."""
    with pytest.raises(ControllerError, match="no AWS region is set") as nowhere:
        connect()
    assert nowhere.value.hint == "name one with --region or AWS_REGION"


@pytest.mark.parametrize("variable", [None, "AWS_PROFILE"])
def test_unknown_profile_is_an_error_that_says_where_profiles_are(
    bare: pytest.MonkeyPatch, variable: str | None
) -> None:
    """Named by --profile or by the environment alike, also when a region is known."""
    if variable:
        bare.setenv(variable, "nobody")
    with pytest.raises(ControllerError, match="nobody") as unknown:
        connect("eu-west-1", profile=None if variable else "nobody")
    assert "list-profiles" in unknown.value.hint


def test_profile_gives_region_and_credentials(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A profile is the AWS CLI's; --region overrules it."""
    config = tmp_path / "config"
    config.write_text(
        "[profile ops]\nregion = eu-north-1\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    bare.setenv("AWS_CONFIG_FILE", str(config))
    assert connect(profile="ops").session.region_name == "eu-north-1"
    assert connect("eu-west-3", profile="ops").session.region_name == "eu-west-3"


@pytest.mark.parametrize("part", ["network", "topologies", "ec2", "cloudformation"])
def test_setting_no_client_can_be_made_with_is_an_error(bare: pytest.MonkeyPatch, part: str) -> None:
    """It comes as one of ours, with the settings to check, not as a traceback of botocore's."""
    bare.setenv("AWS_ACCESS_KEY_ID", "a")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "b")
    edge = connect("no region!")
    with pytest.raises(ControllerError, match=r"no client for .*no region!") as wrong:
        getattr(edge, part)
    assert "--region" in wrong.value.hint


@pytest.mark.parametrize("named", [True, False], ids=["named", "in the environment"])
@pytest.mark.parametrize("url", ["not a url", "127.0.0.1:5000", "http://", "http://host:port", "ftp://host"])
def test_endpoint_that_is_no_url_is_an_error_that_shows_one(
    bare: pytest.MonkeyPatch, url: str, *, named: bool
) -> None:
    """Whoever sets it learns at once, not from the depth of the first call."""
    if not named:
        bare.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(ControllerError, match="is no URL") as wrong:
        connect("eu-west-1", endpoint_url=url if named else None)
    assert "http://127.0.0.1:5000" in wrong.value.hint


@pytest.mark.usefixtures("bare")
def test_nobody_signed_in_is_blind_and_says_to_sign_in() -> None:
    """Without credentials no call is made, and the error says what to do."""
    with pytest.raises(ObservationError, match="NoCredentialsError") as nobody:
        connect("eu-west-1", endpoint_url=ELSEWHERE).network.observe(topology())
    assert nobody.value.hint.startswith("sign in again")


def test_environment_leads_to_the_embedded_aws(world: World, bare: pytest.MonkeyPatch) -> None:
    """AWS_ENDPOINT_URL, AWS_REGION and the credentials are read; an endpoint that is named overrules the variable."""
    for name, value in world.environment().items():
        bare.setenv(name, value)
    assert connect().topologies.names() == []
    bare.setenv("AWS_ENDPOINT_URL", ELSEWHERE)
    assert connect(endpoint_url=world.endpoint_url).topologies.names() == []


def test_every_client_says_its_patience_itself(edge: Edge) -> None:
    """Whatever the machine's AWS settings: four tries; EC2's writes have no client, and are tried once."""
    attempts = {}
    for name, config in _settings(edge).items():
        assert config.retries["mode"] == "standard", name
        assert (config.connect_timeout, config.read_timeout) == (2, 10), name
        assert config.max_pool_connections == PARALLEL, name
        attempts[name] = config.retries["total_max_attempts"]
    assert attempts == {
        "ec2, reading": 4,
        "ssm": 4,
        "cloudformation": 4,
    }


def test_a_systems_manager_that_hangs_is_given_up_soon(edge: Edge) -> None:
    """The network waits for every look: what machines answered is asked for twice, three seconds each, and no more."""
    config: Any = edge.machines._ssm.meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 3)
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}


def test_a_journal_or_declaration_that_hangs_is_given_up_soon(edge: Edge) -> None:
    """A run has one deadline: a table that hangs must not outlast it, nor a parameter that is kept elsewhere, too."""
    journal: Any = edge.journal._dynamodb.meta.config
    declared: Any = edge.topologies._ssm.meta.config
    assert [(c.read_timeout, c.retries["total_max_attempts"]) for c in (journal, declared)] == [
        (2, 2),
        (3, 2),
    ]


@pytest.mark.parametrize("name", [None, "elsewhere"])
def test_journal_is_the_table_the_environment_names(
    embedded: World, bare: pytest.MonkeyPatch, name: str | None
) -> None:
    """MOORING_JOURNAL, or the name that .chalice/resources.yaml gives it."""
    if name:
        bare.setenv("MOORING_JOURNAL", name)
    journal = Edge(embedded.session).journal
    assert journal._table == (name or "mooring-journal")


def test_clock_gives_the_time_in_utc_and_waits() -> None:
    """Times are compared and printed in UTC, wherever Mooring runs."""
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0.01)
    assert (clock.now() - before).total_seconds() >= 0.01
    assert before.tzname() == "UTC"
