"""plan, apply, status and switchover as processes: their exit codes, their words, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from chalicelib.controller.reconcile import preview
from chalicelib.core.declaration import parse
from chalicelib.core.network.report import as_json
from chalicelib.core.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Office
    from tests.stand_ins.command_line import Mooring


def _converged(_: Office) -> None:
    """Leave it converged."""


def _drifting(office: Office) -> None:
    office.delete_default_route()


def _paused(office: Office) -> None:
    office.declare(before="paused = true")
    office.delete_default_route()


def _refused(office: Office) -> None:
    """Have the router fail beside a standby, after others did within minutes: that it is left has to wait."""
    lately = (datetime.now(UTC),) * 4
    office.edge.journal.amend("office", lambda history: replace(history, leaves=lately))
    office.impair_router()


def _no_router(office: Office) -> None:
    """Have the router be one that has ended, and nobody be a candidate."""
    gone = "i-0123456789abcdef0"
    office.edge.journal.amend("office", lambda history: replace(history, router=gone, since=None))
    tags = '"mooring:router" = "office"'
    nobody = office.document.decode().replace(tags, '"mooring:router" = "nobody"')
    office.topologies.declare("office", nobody.encode())


def _blind(office: Office) -> None:
    office.world.deny("DescribeRouteTables")


SITUATIONS: dict[str, tuple[Callable[[Office], None], int]] = {
    "converged": (_converged, 0),
    "drifting": (_drifting, 2),
    "paused": (_paused, 2),
    "refused": (_refused, 2),
    "no-router": (_no_router, 1),
    "blind": (_blind, 1),
}


@pytest.mark.parametrize("verdict", SITUATIONS)
def test_status_in_each_verdict_exits_with_its_code_and_writes_nothing(
    office: Office, mooring: Mooring, verdict: str
) -> None:
    """0 as declared, 2 not as declared, 1 nothing could be said; a look never writes."""
    happen, code = SITUATIONS[verdict]
    happen(office)
    ran = mooring("status", "office", "--json")
    assert (ran.code, ran.json["verdict"]) == (code, verdict)
    assert (office.writes, ran.err) == ([], "")


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("converged", ["office: {router} is the router; everything is as declared"]),
        (
            "drifting",
            [
                "+ route {table} 0.0.0.0/0 -> eni-",
                "   because it is missing",
                "office: {router} is the router; 1 change to make",
            ],
        ),
        (
            "paused",
            ["+ route {table} 0.0.0.0/0 -> eni-", "refused  the topology is declared paused", "way out  "],
        ),
        ("refused", ["4 routers were left as unfit within the hour", "way out  ", "--force"]),
        ("no-router", ["office: no eligible router: ", "hint: "]),
        (
            "blind",
            [
                "ec2:DescribeRouteTables failed: UnauthorizedOperation",
                "hint: allow ec2:DescribeRouteTables",
            ],
        ),
    ],
)
def test_plan_in_each_verdict_says_why_and_writes_nothing(
    office: Office, mooring: Mooring, verdict: str, words: list[str]
) -> None:
    """A line per change with its reason, what refuses it with the way out, and the total."""
    happen, code = SITUATIONS[verdict]
    happen(office)
    ran = mooring("plan")
    assert (ran.code, office.writes, ran.err) == (code, [], "")
    known = {"router": office.router, "table": office.outputs["PrivateRouteTableAId"]}
    assert [word for word in words if word.format(**known) not in ran.out] == []
    assert "\x1b" not in ran.out


@pytest.mark.parametrize("verdict", ["paused", "refused", "no-router", "blind"])
def test_apply_where_mooring_may_not_act_exits_1_and_writes_nothing(
    office: Office, mooring: Mooring, verdict: str
) -> None:
    """--yes consents to the plan; it overrules no guard and gives no sight."""
    happen, _ = SITUATIONS[verdict]
    happen(office)
    ran = mooring("apply", "--yes", "--json")
    assert (ran.code, ran.json["verdict"], office.writes) == (1, verdict, [])


def test_json_equals_the_report_and_its_schema(office: Office, mooring: Mooring) -> None:
    """What --json prints is the report's own JSON, no key more or less."""
    office.delete_default_route()
    report = as_json(preview(parse(office.document), office.edge, Request()))
    said = mooring("plan", "--json").json
    for taken in ("started_at", "seconds"):
        assert type(said.pop(taken)) is type(report.pop(taken))
    assert said == report


def test_apply_without_terminal_or_yes_shows_the_plan_and_changes_nothing(
    office: Office, mooring: Mooring
) -> None:
    """Where nobody can be asked, nothing is done without --yes."""
    table_id = office.delete_default_route()
    ran = mooring("apply")
    assert (ran.code, office.writes) == (1, [])
    assert f"+ route {table_id}" in ran.out
    assert ran.err.startswith("error: there is no terminal to ask on, so nothing was changed\nhint: ")
    assert "--yes" in ran.err


def test_apply_json_without_yes_asks_for_it_in_json(office: Office, mooring: Mooring) -> None:
    """An error is JSON too, on standard output, with the same exit code."""
    office.delete_default_route()
    ran = mooring("apply", "--json")
    assert (ran.code, ran.err, office.writes) == (1, "", [])
    assert ran.json["error"]["code"] == "ConsentNeeded"
    assert set(ran.json["error"]) == {"code", "message", "hint"}


def test_apply_yes_repairs_and_proves_it(office: Office, mooring: Mooring) -> None:
    """Exit 0 means that a second look saw it."""
    table_id = office.delete_default_route()
    ran = mooring("apply", "--yes")
    assert (ran.code, office.writes) == (0, ["CreateRoute"])
    assert any(one.startswith(f"done and seen           + route {table_id}") for one in ran.said)
    assert ran.said[-1] == f"office: {office.router} is the router; 1 of 1 change verified"
    assert mooring("plan").code == 0


def test_apply_where_no_mooring_is_deployed_makes_the_changes_and_says_so(
    office: Office, mooring: Mooring
) -> None:
    """A network that is being set up has no worker to ask; the journal knows who made the changes."""
    office.delete_default_route()
    ran = mooring("apply", "--yes")
    assert ran.code == 0
    assert "no Mooring is deployed here, so the changes are made from this machine" in ran.said
    (run,) = office.edge.journal.timeline("office", 1)
    assert run["woken_by"] == "arn:aws:sts::123456789012:user/moto"
    office.delete_default_route()
    assert "no Mooring is deployed here" not in mooring("apply", "--yes", "--here").out


def test_plan_of_a_network_without_the_workers_tag_gives_the_command(
    office: Office, mooring: Mooring
) -> None:
    """What the deployed worker may not write is told before it is needed."""
    table = office.outputs["PrivateRouteTableAId"]
    tag = {"Key": "mooring:topology"}
    office.ec2.delete_tags(Resources=[table], Tags=[tag])
    said = mooring("plan").said
    office.ec2.create_tags(Resources=[table], Tags=[tag | {"Value": "office"}])
    command = f"aws ec2 create-tags --resources {table} --tags Key=mooring:topology,Value=office"
    (advice,) = (one for one in said if one.startswith("advice "))
    assert advice.endswith(f"lacks the tag mooring:topology: {command}")
    assert "advice" not in mooring("plan").out


def test_declared_security_group_that_is_not_there_is_a_problem(office: Office, mooring: Mooring) -> None:
    """It does not read as closed: somebody's rule may be open on the real one."""
    group = office.outputs["RouterSecurityGroupId"].encode()
    office.topologies.declare("office", office.document.replace(group, b"sg-12345678"))
    ran = mooring("plan")
    assert (ran.code, ran.said[0].startswith("problem  security group sg-12345678 has no rule")) == (2, True)


def test_apply_with_nothing_to_do_says_so(office: Office, mooring: Mooring) -> None:
    """Nothing to do is a success, and needs no consent."""
    ran = mooring("apply")
    assert (ran.code, ran.said[-1], office.writes) == (0, "nothing to do", [])


def test_apply_denied_in_part_does_the_rest_and_exits_1(office: Office, mooring: Mooring) -> None:
    """One failed change is told with AWS's code, and stops no other."""
    office.delete_default_route()
    public = office.outputs["PublicRouteTableId"]
    office.ec2.delete_route(RouteTableId=public, DestinationCidrBlock="10.100.30.0/24")
    office.world.deny("CreateRoute", when=lambda asked: asked["RouteTableId"] == public)
    ran = mooring("apply", "--yes")
    assert ran.code == 1
    assert any(one.startswith("done and seen ") for one in ran.said)
    (failed,) = (one for one in ran.said if one.startswith("failed "))
    assert public in failed
    assert "UnauthorizedOperation: " in failed


def test_apply_force_does_not_wait_for_a_flapping_router(office: Office, mooring: Mooring) -> None:
    """A refusal's way out works."""
    _refused(office)
    standby = office.standby
    ran = mooring("apply", "--yes", "--force", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "repaired")
    assert office.router == standby


def test_status_of_a_kept_network_says_who_and_since_when(office: Office, mooring: Mooring) -> None:
    """The verdict comes first, then the router and its age, then the drift."""
    verdict, router, drift = mooring("status").said
    assert verdict == "office: converged"
    assert router.startswith(f"router   {office.router} (eni-")
    assert f" since {datetime.now(UTC):%Y-%m-%d} " in router
    assert router.endswith((" ago", " just now"))
    assert drift == "drift    none"


def test_status_of_several_is_one_line_each_and_the_worst_code(office: Office, mooring: Mooring) -> None:
    """Without a name every topology is told, one that nobody can read too."""
    elsewhere = office.document.replace(b'"office"\n', b'"branch"\n', 1)
    office.topologies.declare("branch", elsewhere)
    office.delete_default_route()
    ran = mooring("status")
    assert ran.code == 2
    assert [one.split()[:2] for one in ran.said] == [["drifting", "branch:"], ["drifting", "office:"]]
    office.topologies.declare("broken", b'name = "broken"')
    ran = mooring("status", "--json")
    assert ran.code == 1
    branch, broken, kept = ran.json["topologies"]
    assert (branch["verdict"], kept["verdict"]) == ("drifting", "drifting")
    assert (broken["topology"], broken["error"]["code"]) == ("broken", "TopologyError")


def test_switchover_to_the_standby_moves_and_proves_it(office: Office, mooring: Mooring) -> None:
    """The named instance is the router afterwards, and stays it."""
    old, standby = office.router, office.standby
    ran = mooring("switchover", "office", "--to", standby, "--yes", "--json")
    assert (ran.code, ran.json["verdict"], office.router) == (0, "repaired", standby)
    assert ran.json["router"]["previous"] == old
    ran = mooring("switchover", "office", "--to", standby)
    assert (ran.code, ran.said[-1]) == (0, "nothing to do")


def test_switchover_to_no_candidate_lists_the_eligible(office: Office, mooring: Mooring) -> None:
    """An instance that may not be the router is refused, with those that may."""
    ran = mooring("switchover", "office", "--to", "i-12345678", "--yes")
    assert (ran.code, office.writes) == (1, [])
    assert "i-12345678 cannot be the router" in ran.out
    assert "hint: eligible now: " in ran.out
    assert office.router in ran.out
    assert office.standby in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["plan", "offic"], "UnknownTopology", "did you mean office?"),
        (["apply", "zzz"], "UnknownTopology", "declared here: office"),
        (["status", "../tunnel"], "UnknownTopology", "no topology ../tunnel"),
        (["status", "--region", "eu-west-3"], "UnknownTopology", "mooring init"),
        (["--region", "eu-west-3", "plan", "--region", "eu west"], "Error", "eu west"),
        (["plan", "--profile", "nobody"], "Error", "nobody"),
        (["plan", "--endpoint-url", "127.0.0.1:1"], "Error", "no URL"),
        (["plan", "--endpoint-url", "http://[::1"], "Error", "no URL"),
        (["plan", "--endpoint-url", "http://127.0.0.1:99999"], "Error", "no URL"),
        (["switchover", "office", "--to", "router-2"], "UsageError", "no instance id"),
        (["switchover", "office"], "UsageError", "--to"),
        (["plan", "--faster"], "UsageError", "--faster"),
        (["plam"], "UsageError", "Did you mean 'plan'?"),
        (["plan", "office", "twice"], "UsageError", "twice"),
    ],
)
def test_a_users_mistake_is_one_clear_error_and_exit_1(
    office: Office, mooring: Mooring, arguments: list[str], code: str, words: str
) -> None:
    """What was wrong and what to do; never 2, which means drift."""
    ran = mooring(*arguments, "--json")
    assert (ran.code, ran.json["error"]["code"], office.writes) == (1, code, [])
    assert words in ran.json["error"]["message"] + ran.json["error"]["hint"]


def test_a_name_with_a_slash_leads_to_no_other_parameter(office: Office, mooring: Mooring) -> None:
    """A name is one word; what lies deeper in Parameter Store is none of it."""
    office.topologies.declare("office/deeper", office.document)
    ran = mooring("plan", "office/deeper", "--json")
    office.world.client("ssm").delete_parameter(Name="/mooring/topologies/office/deeper")
    assert (ran.code, ran.json["error"]["code"]) == (1, "UnknownTopology")


def test_without_a_name_several_topologies_are_listed(office: Office, mooring: Mooring) -> None:
    """A name may be left out only when there is no choice."""
    office.topologies.declare("branch", office.document)
    ran = mooring("plan")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: 2 topologies are declared, so name one\nhint: branch, office\n"


def test_a_stored_topology_that_is_invalid_tells_every_flaw(office: Office, mooring: Mooring) -> None:
    """Somebody wrote past `declare`: the flaws are told as `declare` would have."""
    office.topologies.declare("office", office.document.replace(b"10.100.30.0", b"10.100.300.0"))
    ran = mooring("plan")
    assert ran.code == 1
    assert '  office.networks[2] = "10.100.300.0/24": octet 3 is 300' in ran.err
    assert "hint: office is stored like that" in ran.err


def test_no_aws_answers_is_one_clear_error(offline: Mooring) -> None:
    """A closed port is told, not traced."""
    ran = offline("plan", AWS_MAX_ATTEMPTS="1")
    assert ran.code == 1
    assert ran.err.startswith("error: ssm:GetParametersByPath failed: EndpointConnectionError")
