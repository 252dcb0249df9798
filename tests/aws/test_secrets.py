"""The tunnel's secrets in Parameter Store: whole or not at all, whatever fails at whichever write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from chalicelib.aws.ssm.certificate import record_path
from chalicelib.aws.ssm.secrets import TunnelSecrets, secret_path
from chalicelib.core.errors import ApplyError, ObservationError
from chalicelib.core.machines.certificate import PARTS, CertificateRecord, Part
from tests.core.machines.test_certificate import RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fake_aws import Client, World

CANARY = "c4nary"


def texts(kind: str) -> Mapping[Part, str]:
    """Four secrets, each with the canary in it."""
    return {part: f"{CANARY}-{part}-{kind}" for part in PARTS}


def record(versions: dict[Part, int]) -> CertificateRecord:
    """What may be known of them."""
    return CertificateRecord(RECORD.common_name, RECORD.expires, RECORD.ca_expires, "", versions)


@pytest.fixture
def ssm(world: World) -> Client:
    """The product's client, which asks once."""
    return world.client("ssm", Config(retries={"total_max_attempts": 1}, read_timeout=5), by="product")


@pytest.fixture
def secrets(ssm: Client) -> TunnelSecrets:
    """The secrets, on it."""
    return TunnelSecrets(ssm)


def values(world: World) -> dict[str, str]:
    """What a hand reads, decrypted."""
    found = world.client("ssm").get_parameters_by_path(Path="/mooring/office/tunnel", WithDecryption=True)
    return {one["Name"].rpartition("/")[2]: one["Value"] for one in found["Parameters"]}


def puts(world: World) -> list[str]:
    """The parameters written by the product, in order."""
    return [
        call.params["Name"].removeprefix("/mooring/office/")
        for call in world.calls
        if call.by == "product" and call.operation == "PutParameter" and not call.error
    ]


def test_first_storing_writes_four_secrets_and_then_what_may_be_known(
    world: World, secrets: TunnelSecrets
) -> None:
    """The key comes last of the four, the record after all; a SecureString each, under the account's own key."""
    done = secrets.store("office", texts("a"), record)
    assert puts(world) == ["tunnel/cert", "tunnel/ca", "tunnel/tls-crypt", "tunnel/key", "certificate"]
    assert values(world) == texts("a")
    assert done.record_written
    assert secrets.record("office") == record(dict.fromkeys(PARTS, 1))
    found = {one["Name"]: one for one in world.client("ssm").describe_parameters()["Parameters"]}
    for part in PARTS:
        one = found[secret_path("office", part)]
        assert (one["Type"], one["KeyId"], one["Tier"]) == ("SecureString", "alias/aws/ssm", "Standard")
    assert found[record_path("office")]["Type"] == "String"


def test_what_is_stored_already_is_not_written_anew(world: World, secrets: TunnelSecrets) -> None:
    """The same again writes nothing; one that differs is written alone, and the record with it."""
    secrets.store("office", texts("a"), record)
    world.forget_calls()
    done = secrets.store("office", texts("a"), record)
    assert (done.written, done.record_written, puts(world)) == ((), False, [])
    secrets.store("office", {**texts("a"), "ca": CANARY + "another"}, record)
    assert puts(world) == ["tunnel/ca", "certificate"]
    assert secrets.record("office") == record({**dict.fromkeys(PARTS, 1), "ca": 2})


def test_topologies_do_not_share_secrets(world: World, secrets: TunnelSecrets) -> None:
    """A name that begins like another is another."""
    secrets.store("office", texts("a"), record)
    secrets.store("office-2", texts("b"), record)
    assert values(world) == texts("a")
    assert secrets.record("depot") is None
    assert secrets.read("depot") == {}


def test_key_of_one_s_own_stays_until_another_is_named(world: World, secrets: TunnelSecrets) -> None:
    """An update that names no key would go back to the account's own; a new key is a reason to write."""
    kms = world.client("kms")
    mine, other = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    secrets.store("office", texts("a"), record, mine)
    secrets.store("office", texts("b"), record)
    assert {one.key_id for one in secrets.read("office").values()} == {mine}
    done = secrets.store("office", texts("b"), record, other)
    assert set(done.written) == set(PARTS)
    assert {one.key_id for one in secrets.read("office").values()} == {other}


def test_secret_above_4_kb_takes_the_advanced_tier(secrets: TunnelSecrets) -> None:
    """Only when it must be."""
    done = secrets.store("office", {**texts("a"), "ca": "x" * 4097}, record)
    assert {part: one.tier for part, one in done.stored.items()} == dict.fromkeys(PARTS, "Standard") | {
        "ca": "Advanced"
    }


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("first", [True, False], ids=["first time", "renewal"])
@pytest.mark.parametrize("lost", [False, True], ids=["refused", "reply lost"])
def test_write_that_fails_leaves_everything_as_before(
    world: World, secrets: TunnelSecrets, part: Part, *, first: bool, lost: bool
) -> None:
    """At each of the four, refused or done without an answer: what was written before is put back, or gone."""
    if not first:
        secrets.store("office", texts("a"), record)
    before = values(world)
    path = secret_path("office", part)
    fault = world.lose if lost else world.throttle
    fault("PutParameter", times=1, when=lambda asked: asked["Name"] == path)
    with pytest.raises(
        ApplyError, match=f"PutParameter {path} failed: .*; everything is stored as before"
    ) as failed:
        secrets.store("office", texts("b"), record)
    assert CANARY not in f"{failed.value}{failed.value.hint}"
    assert values(world) == before
    if not first:
        now = {part: one.version for part, one in secrets.read("office").items()}
        assert secrets.record("office") == record(now)
    secrets.store("office", texts("b"), record)
    assert values(world) == texts("b")


def test_operator_who_interrupts_leaves_everything_as_before(
    world: World, ssm: Client, secrets: TunnelSecrets
) -> None:
    """Control-C between two writes: what was written is put back first."""
    secrets.store("office", texts("a"), record)
    sent: list[str] = []

    def interrupt(**_: object) -> None:
        sent.append("put")
        if len(sent) == 3:
            raise KeyboardInterrupt

    ssm.meta.events.register_first("before-send.ssm.PutParameter", interrupt)
    with pytest.raises(ApplyError, match="Interrupted; everything is stored as before"):
        secrets.store("office", texts("b"), record)
    assert values(world) == texts("a")
    now = {part: one.version for part, one in secrets.read("office").items()}
    assert secrets.record("office") == record(now)


def test_write_that_fails_and_cannot_be_put_back_says_what_is_left(
    world: World, secrets: TunnelSecrets
) -> None:
    """Denied from the third write on: the operator is told which two differ, and that the same command mends it."""
    secrets.store("office", texts("a"), record)
    seen: list[str] = []

    def from_the_third_on(asked: dict[str, Any]) -> bool:
        seen.append(asked["Name"])
        return len(seen) > 2

    world.deny("PutParameter", when=from_the_third_on)
    with pytest.raises(ApplyError, match="ca, cert could not be put back") as failed:
        secrets.store("office", texts("b"), record)
    assert "run this again until it succeeds" in failed.value.hint
    assert failed.value.aws_code == "AccessDeniedException"
    assert values(world) == {**texts("a"), "ca": texts("b")["ca"], "cert": texts("b")["cert"]}
    world.heal()
    secrets.store("office", texts("b"), record)
    assert values(world) == texts("b")


def test_record_that_cannot_be_written_is_said_and_written_the_next_time(
    world: World, secrets: TunnelSecrets
) -> None:
    """The secrets are stored then; the same command writes the rest alone."""
    path = record_path("office")
    world.fail("PutParameter", "InternalServerError", when=lambda asked: asked["Name"] == path)
    with pytest.raises(
        ApplyError, match="certificate failed: InternalServerError; the secrets themselves are stored"
    ):
        secrets.store("office", texts("a"), record)
    world.forget_calls()
    assert secrets.store("office", texts("a"), record).record_written
    assert puts(world) == ["certificate"]


def test_somebody_else_storing_meanwhile_is_noticed(world: World, secrets: TunnelSecrets) -> None:
    """Two sets mixed would be none: the record is not written for them."""
    hand = world.client("ssm")
    other = {
        "Name": secret_path("office", "ca"),
        "Value": "theirs",
        "Type": "SecureString",
        "Overwrite": True,
    }
    world.on_event(lambda event: event["detail"]["name"].endswith("/key") and hand.put_parameter(**other))
    with pytest.raises(ApplyError, match="somebody else stored ca of office meanwhile"):
        secrets.store("office", texts("a"), record)
    assert secrets.record("office") is None


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("GetParameters", "ssm:GetParameters and kms:Decrypt failed: AccessDeniedException"),
        ("DescribeParameters", "ssm:DescribeParameters failed: AccessDeniedException"),
    ],
)
def test_storing_that_cannot_see_what_is_stored_writes_nothing(
    world: World, secrets: TunnelSecrets, operation: str, words: str
) -> None:
    """To know that something is unchanged it must be read."""
    secrets.store("office", texts("a"), record)
    world.forget_calls()
    world.deny(operation)
    with pytest.raises(ObservationError, match=words):
        secrets.store("office", texts("b"), record)
    assert puts(world) == []


def test_key_that_does_not_exist_is_said_with_what_to_check(world: World, secrets: TunnelSecrets) -> None:
    """InvalidKeyId; nothing is stored."""
    with pytest.raises(ApplyError, match="InvalidKeyId; everything is stored as before") as refused:
        secrets.store("office", texts("a"), record, "alias/none")
    assert "--kms-key" in refused.value.hint
    assert values(world) == {}


def test_record_that_somebody_else_wrote_is_an_error(world: World, secrets: TunnelSecrets) -> None:
    """Not taken for none: the expiry would go unnoticed."""
    world.client("ssm").put_parameter(Name=record_path("office"), Value="x", Type="String")
    with pytest.raises(ObservationError, match="/mooring/office/certificate: this is no record") as wrong:
        secrets.record("office")
    assert "secrets put" in wrong.value.hint
    world.deny("GetParameter")
    with pytest.raises(ObservationError, match="ssm:GetParameter failed: AccessDeniedException"):
        secrets.record("office")


def test_no_secret_leaves_by_event_call_or_listing(world: World, secrets: TunnelSecrets) -> None:
    """The canary is in the values asked to be stored, and nowhere else that AWS shows."""
    secrets.store("office", texts("a"), record)
    hand = world.client("ssm")
    shown = [
        world.events,
        hand.describe_parameters(),
        hand.get_parameters_by_path(Path="/mooring", Recursive=True),
        hand.get_parameter(Name=record_path("office")),
    ]
    assert CANARY not in str(shown)
    stored = [call for call in world.calls if CANARY in str(call.params)]
    assert {call.operation for call in stored} == {"PutParameter"}
    assert {call.params["Type"] for call in stored} == {"SecureString"}
