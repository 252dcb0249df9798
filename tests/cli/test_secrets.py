"""`mooring secrets` as a process: what it judges, stores, says and never says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.core.machines.certificate import PARTS, Part, loads
from tests.stand_ins.pki import DAY, Kit, ca, issue, kit, static_key

if TYPE_CHECKING:
    from tests.cli.conftest import Office
    from tests.fake_aws import World
    from tests.stand_ins.command_line import Mooring, Ran

TUNNEL = """[tunnel]
server = "vpn.example.com"
common_name = "aws-router"
server_name = "office-vpn"
address = "192.168.0.254"
"""
FILES: dict[Part, str] = {
    "ca": "ca.crt",
    "cert": "router.crt",
    "key": "router.key",
    "tls-crypt": "tls-crypt.key",
}
OPTIONS = [argument for part, file in FILES.items() for argument in (f"--{part}", file)]


@pytest.fixture
def tunnel(office: Office, world: World) -> Office:
    """The example network with its tunnel declared, and no secret stored."""
    office.declare(after=TUNNEL)
    ssm = world.client("ssm")
    found = ssm.get_parameters_by_path(Path="/mooring/office", Recursive=True)["Parameters"]
    for one in found:
        ssm.delete_parameter(Name=one["Name"])
    world.forget_calls()
    return office


def lay(mooring: Mooring, files: Kit) -> None:
    """Put the four files where the command runs."""
    for part, content in files.files.items():
        (mooring.folder / FILES[part]).write_bytes(content)


def put(mooring: Mooring, files: Kit, *more: str) -> Ran:
    """Store them; nothing of a key or of any file's body may be said, whatever happens."""
    lay(mooring, files)
    ran = mooring("secrets", "put", "office", *OPTIONS, *more)
    silent(ran, files)
    return ran


def silent(ran: Ran, *kits: Kit) -> None:
    """Look for every line of every file in all that was said."""
    bodies = [line for files in kits for text in files.files.values() for line in text.decode().splitlines()]
    assert [one for one in bodies if len(one) > 8 and one in ran.out + ran.err] == []


def stored(world: World) -> dict[str, str]:
    """What a hand reads, decrypted."""
    asked: dict[str, Any] = {"Path": "/mooring/office", "Recursive": True, "WithDecryption": True}
    found = world.client("ssm").get_parameters_by_path(**asked)["Parameters"]
    return {one["Name"].removeprefix("/mooring/office/"): one["Value"] for one in found}


# -- put ---------------------------------------------------------------------------------------------


def test_secrets_are_judged_and_stored_and_only_their_outside_is_shown(
    tunnel: Office, mooring: Mooring, world: World
) -> None:
    """Four SecureStrings and the record; the operator sees name, issuer, expiry, versions and keys."""
    files = kit()
    ran = put(mooring, files)
    assert ran.code == 0
    first, *rest = ran.said
    assert first.startswith("office: aws-router, signed by office-ca, valid until 20")
    assert first.endswith(" (729 days)")
    assert rest == [f"  {part:<10} version 1, key alias/aws/ssm, written" for part in PARTS]
    found = stored(world)
    assert set(found) == {"certificate", *(f"tunnel/{part}" for part in PARTS)}
    assert found["tunnel/key"].encode() == files.key
    assert loads(found["certificate"]).common_name == "aws-router"
    assert tunnel.writes == ["PutParameter"] * 5


def test_secrets_put_again_are_not_written_anew(tunnel: Office, mooring: Mooring, world: World) -> None:
    """Nothing is written for nothing; a renewed certificate with the same key is one write, and the record."""
    router = issue("aws-router", ca())
    files = Kit(ca().pem, router.pem, router.key_pem(), static_key())
    put(mooring, files)
    world.forget_calls()
    again = put(mooring, files)
    assert again.said[1:] == [f"  {part:<10} version 1, key alias/aws/ssm, unchanged" for part in PARTS]
    assert tunnel.writes == []
    renewed = put(mooring, files.but(cert=issue("aws-router", ca(), key=router.key).pem), "--json")
    assert renewed.json["changed"] == ["cert"]
    assert tunnel.writes == ["PutParameter"] * 2
    assert renewed.json["secrets"]["cert"] == {"version": 2, "kms_key": "alias/aws/ssm", "tier": "Standard"}


def test_dry_run_judges_and_stores_nothing(tunnel: Office, mooring: Mooring, world: World) -> None:
    """The files alone are looked at."""
    ran = put(mooring, kit(), "--dry-run")
    assert (ran.code, ran.said[-1], tunnel.writes) == (0, "dry run: nothing was stored", [])
    assert stored(world) == {}


def test_unfit_secrets_are_refused_each_problem_on_its_line(
    tunnel: Office, mooring: Mooring, world: World
) -> None:
    """For a person and for a program; nothing is stored."""
    unfit = kit("laptop").but(key=kit().key)
    ran = put(mooring, unfit)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        "error: the secrets have 2 problems",
        '  --cert router.crt: common name "laptop", but the topology declares tunnel.common_name = "aws-router"',
        "  --key router.key: does not fit the certificate of --cert router.crt: it is another certificate's key",
    ]
    said = put(mooring, unfit, "--json")
    assert len(said.json["error"]["problems"]) == 2
    assert said.json["error"]["code"] == "UnfitSecrets"
    assert stored(world) == {}
    assert tunnel.writes == []


def test_secret_may_come_by_standard_input_but_one_only(
    tunnel: Office, mooring: Mooring, world: World
) -> None:
    """A key need not touch a disk."""
    files = kit()
    lay(mooring, files)
    (mooring.folder / FILES["key"]).unlink()
    command = ["secrets", "put", "--ca", "ca.crt", "--cert", "router.crt", "--key", "-", "--tls-crypt"]
    ran = mooring(*command, "tls-crypt.key", stdin=files.key)
    assert ran.code == 0, ran
    assert stored(world)["tunnel/key"].encode() == files.key
    twice = mooring(*command, "-", stdin=files.key)
    assert (twice.code, twice.err.splitlines()[0]) == (1, "error: only one file can be standard input")


def test_file_that_is_not_there_is_named(tunnel: Office, mooring: Mooring) -> None:
    """Which, and why."""
    ran = mooring("secrets", "put", "office", *OPTIONS)
    assert (ran.code, ran.err.splitlines()[0]) == (1, "error: cannot read ca.crt: No such file or directory")
    assert tunnel.writes == []


def test_topology_without_a_tunnel_has_no_secrets(office: Office, mooring: Mooring) -> None:
    """Nobody said whose the certificate should be."""
    lay(mooring, kit())
    for command in (["secrets", "put", "office", *OPTIONS], ["secrets", "check", "office"]):
        ran = mooring(*command)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.splitlines() == [
            "error: office declares no tunnel",
            "hint: add [tunnel] as in examples/office.toml, and declare it anew",
        ]
    assert office.writes == []


def test_key_of_one_s_own_is_used(tunnel: Office, mooring: Mooring, world: World) -> None:
    """--kms-key; one that does not exist is said, with what to check, and nothing is stored."""
    wrong = put(mooring, kit(), "--kms-key", "alias/none")
    assert wrong.code == 1
    assert "InvalidKeyId; everything is stored as before" in wrong.err
    assert stored(world) == {}
    key_id = world.client("kms").create_key()["KeyMetadata"]["KeyId"]
    ran = put(mooring, kit(), "--kms-key", key_id, "--json")
    assert {one["kms_key"] for one in ran.json["secrets"].values()} == {key_id}


@pytest.mark.parametrize("operation", ["GetParameters", "PutParameter", "DescribeParameters"])
def test_denied_operator_is_told_what_to_allow(
    tunnel: Office, mooring: Mooring, world: World, operation: str
) -> None:
    """And no secret in what is told."""
    put(mooring, kit())
    world.deny(operation)
    ran = put(mooring, kit(seed=9))
    assert ran.code == 1
    assert "AccessDeniedException" in ran.err
    assert f"ssm:{operation}" in ran.err


# -- check -------------------------------------------------------------------------------------------


def check(mooring: Mooring, *more: str) -> Ran:
    """Look how they stand."""
    return mooring("secrets", "check", "office", *more)


def test_secrets_that_stand_well_are_told_with_the_days_left(tunnel: Office, mooring: Mooring) -> None:
    """0: a router could connect; nothing is written and nothing secret said."""
    files = kit()
    put(mooring, files)
    tunnel.world.forget_calls()
    ran = check(mooring)
    silent(ran, files)
    assert (ran.code, ran.said[-1]) == (0, "office is ready to connect")
    assert "(729 days)" in ran.said[0]
    told = check(mooring, "--json").json
    assert told["certificate"]["days_left"] == 729
    assert told["problems"] == []
    assert tunnel.writes == []


def test_secrets_not_stored_yet_are_named(tunnel: Office, mooring: Mooring) -> None:
    """2: something is to be done."""
    ran = check(mooring, "--json")
    assert (ran.code, ran.json["problems"]) == (2, [f"{part} is not stored" for part in PARTS])
    assert check(mooring).said[0] == "  ca         not stored"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (lambda: kit(lasts=29 * DAY), "the certificate ends in 28 days, fewer than 30: renew it now"),
        (lambda: kit(by=ca("short-ca", lasts=9 * DAY)), "its CA ends in 8 days, fewer than 30: renew it now"),
    ],
    ids=["certificate", "CA"],
)
def test_certificate_that_ends_soon_wants_renewal(
    tunnel: Office,
    mooring: Mooring,
    files: Any,  # noqa: ANN401 - a lambda
    words: str,
) -> None:
    """2, thirty days before; it is stored all the same."""
    stored_all_the_same = put(mooring, files())
    assert stored_all_the_same.code == 0
    assert " days: renew it now)" in stored_all_the_same.said[0]
    ran = check(mooring, "--json")
    assert (ran.code, ran.json["problems"]) == (2, [words])


def test_secrets_written_past_mooring_are_judged_too(tunnel: Office, mooring: Mooring, world: World) -> None:
    """Another key, by hand: it does not fit, and the record does not know of it."""
    files, foreign = kit(), kit()
    put(mooring, files)
    hand: dict[str, Any] = {"Name": "/mooring/office/tunnel/key", "Type": "SecureString", "Overwrite": True}
    world.client("ssm").put_parameter(**hand, Value=foreign.key.decode())
    ran = check(mooring)
    silent(ran, files, foreign)
    assert ran.code == 2
    assert "key: does not fit the certificate of cert" in ran.out
    world.client("ssm").put_parameter(**hand, Value=files.key.decode())
    assert "the record of the certificate is missing or older" in check(mooring).out
    put(mooring, files)
    assert check(mooring).code == 0


def test_topology_that_declares_another_name_no_longer_fits(tunnel: Office, mooring: Mooring) -> None:
    """The certificate is judged by what is declared now."""
    put(mooring, kit())
    tunnel.declare(after=TUNNEL.replace("aws-router", "aws-router-2"))
    ran = check(mooring)
    assert ran.code == 2
    assert 'common name "aws-router", but the topology declares' in ran.out


def test_secrets_that_cannot_be_read_are_no_missing_ones(
    tunnel: Office, mooring: Mooring, world: World
) -> None:
    """1: who looks may not, and is told what to allow."""
    put(mooring, kit())
    world.deny("GetParameters")
    ran = check(mooring)
    assert (ran.code, ran.out) == (1, "")
    assert "ssm:GetParameters and kms:Decrypt failed: AccessDeniedException" in ran.err


def test_nothing_secret_is_in_events_calls_or_answers(tunnel: Office, mooring: Mooring, world: World) -> None:
    """The whole way of a key: only the SecureStrings' values hold it, and what a decrypting reader gets."""
    files = kit()
    before = len(world.events)
    put(mooring, files)
    check(mooring)
    secret = files.key.decode().splitlines()[1]
    assert secret not in json.dumps(world.events[before:])
    holding = {(c.operation, c.params.get("Type")) for c in world.calls if secret in str(c.params)}
    assert holding == {("PutParameter", "SecureString")}
