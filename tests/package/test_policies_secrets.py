"""Who may read the tunnel's secrets: the routers of their own topology, and no function.

Every action is tried of every service that keeps, shows or decrypts a secret; others cannot name a parameter at all.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from chalicelib.aws.ssm.certificate import record_path
from chalicelib.aws.ssm.secrets import TunnelSecrets, secret_path
from chalicelib.aws.ssm.topologies import Topologies
from chalicelib.core.errors import ApplyError
from chalicelib.core.machines.certificate import PARTS, Part
from tests.core.machines.test_certificate import RECORD
from tests.network import ROOT, deploy
from tests.package.policies import Access, Policy, narrower, parse, read
from tests.package.policies_calls import Facts, accesses
from tests.package.policies_roles import CHALICE, names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fake_aws import World

REGION, ACCOUNT = PLACE = ("eu-west-1", "123456789012")
REFERENCE: dict[str, Any] = json.loads(
    (resources.files("cfnlint") / "data" / "AdditionalSpecs" / "Policies.json").read_text()
)
"""AWS's service authorization reference, as cfn-lint carries it."""

SERVICES = ("ssm", "kms", "secretsmanager")
FUNCTIONS = sorted(CHALICE.glob("policy-*.json"))
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
OTHER_KEY = KEY.replace("1111", "9999", 1)
INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0"
FROM_EC2 = {"ec2:SourceInstanceARN": INSTANCE}
"""What a request carries that is signed with the credentials which EC2 gave an instance."""

AGENT = {
    *(
        f"ssmmessages:{one}"
        for one in ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
    ),
    "ssm:UpdateInstanceInformation",
}
"""What the SSM agent does. Systems Manager user guide, "Add Session Manager permissions to an existing IAM role"."""


def parameter(name: str, region: str = REGION, account: str = ACCOUNT) -> str:
    """Spell a parameter's ARN."""
    return f"arn:aws:ssm:{region}:{account}:parameter/{name.removeprefix('/')}"


SECRETS = [parameter(secret_path("office", part)) for part in PARTS]
ABOVE = [parameter(name) for name in ("mooring/office/tunnel", "mooring/office", "mooring", "")]
"""Paths whose listing would hold the secrets; permission on a path covers all below."""


def actions(*services: str) -> Iterator[str]:
    """Return every action that AWS knows of some services."""
    for service in services or SERVICES:
        yield from (f"{service}:{action}" for action in REFERENCE[service]["Actions"])


def through_ssm(secret: str, region: str = REGION) -> dict[str, str]:
    """Return the context in which Parameter Store decrypts a secret. KMS developer guide, "Parameter Store"."""
    return {
        "kms:ViaService": f"ssm.{region}.amazonaws.com",
        "kms:EncryptionContext:PARAMETER_ARN": secret,
    }


@pytest.fixture(scope="module", params=["", KEY], ids=["the account's key", "a key of one's own"])
def role(request: pytest.FixtureRequest, embedded: World) -> Policy:
    """A router's policy, as a stack of examples/network.yaml has it."""
    embedded.reset()
    outputs = deploy(embedded, TunnelKeyArn=request.param)
    assert outputs["TopologyName"] == "office"
    iam = embedded.client("iam")
    (name,) = (one["RoleName"] for one in iam.list_roles()["Roles"] if "RouterRole" in one["RoleName"])
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    (inline,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return parse(iam.get_role_policy(RoleName=name, PolicyName=inline)["PolicyDocument"], {})


# -- the functions -----------------------------------------------------------------------------------


def test_reference_is_whole_enough_to_try_every_action() -> None:
    """The list that the other tests walk holds what reads secrets, under the names that policies use."""
    known = {one.lower() for one in actions()}
    assert len(known) > 200
    for action in ("GetParameter", "GetParameters", "GetParametersByPath", "GetParameterHistory"):
        assert f"ssm:{action}".lower() in known
    assert {"kms:decrypt", "secretsmanager:getsecretvalue"} <= known


OF_NO_PARAMETER = {"ssm:describeinstanceinformation", "ssm:getcommandinvocation"}
"""They know no resources, and tell of nodes and of what commands printed: no parameter's value."""


@pytest.mark.parametrize("file", FUNCTIONS, ids=lambda file: file.stem)
def test_no_action_of_a_function_reaches_a_secret(file: Any) -> None:  # noqa: ANN401 - a path
    """Neither to a secret nor to a path above one, nor to whatever there is: no read, list, write or deletion."""
    shipped = read(file, names(*PLACE))
    granted = {
        (action, resource)
        for action in actions()
        for resource in [*SECRETS, *ABOVE, "*"]
        if action.lower() not in OF_NO_PARAMETER and shipped.grants(Access(action, resource))
    }
    assert granted == set()


@pytest.mark.parametrize("file", FUNCTIONS, ids=lambda file: file.stem)
def test_no_function_may_use_a_key(file: Any) -> None:  # noqa: ANN401 - a path
    """Without kms:Decrypt a SecureString under a key of one's own says nothing, whoever got at it."""
    shipped = read(file, names(*PLACE))
    granted = [
        action
        for action in actions("kms", "secretsmanager")
        for resource in ("*", KEY)
        if shipped.grants(Access(action, resource, through_ssm(SECRETS[0])))
    ]
    assert granted == []


# -- the routers -------------------------------------------------------------------------------------


def test_router_may_read_its_own_bundle_and_secrets_and_do_nothing_else_to_them(role: Policy) -> None:
    """GetParameter and GetParameters, by name: of every action there is, no other."""
    reads = {"ssm:getparameter", "ssm:getparameters"}
    for resource in (*SECRETS, parameter("mooring/office/router/10.0.0.8")):
        granted = {action.lower() for action in actions() if role.grants(Access(action, resource))}
        assert granted == reads, resource


@pytest.mark.parametrize(
    "resource",
    [
        *ABOVE,
        parameter("mooring/office/router"),
        parameter(record_path("office")),
        parameter("mooring/topologies/office"),
        parameter("mooring/office-2/tunnel/key"),
        parameter("mooring/offices/router/10.0.0.8"),
        parameter("other/office/tunnel/key"),
        parameter("mooring/office/tunnel/key", region="us-east-1"),
        parameter("mooring/office/tunnel/key", account="210987654321"),
    ],
)
def test_router_may_not_touch_any_other_parameter(role: Policy, resource: str) -> None:
    """Another topology's, the declarations, a listing, another region or account; every action is tried."""
    assert [action for action in actions() if role.grants(Access(action, resource))] == []


def test_router_may_do_what_its_agent_needs_and_no_more(role: Policy) -> None:
    """Narrower than AmazonSSMManagedInstanceCore, which may read every parameter of the account."""
    of_all = [*actions(*REFERENCE)]
    assert len(of_all) > 10_000
    anything = {action.lower() for action in of_all if role.grants(Access(action, "*"))}
    assert anything == {one.lower() for one in AGENT if one.startswith("ssmmessages")}
    itself = {action.lower() for action in of_all if role.grants(Access(action, INSTANCE, FROM_EC2))}
    assert itself == {one.lower() for one in AGENT}
    elsewhere = {action.lower() for action in of_all if role.grants(Access(action, INSTANCE))}
    assert elsewhere == anything


def test_router_decrypts_its_own_secrets_through_parameter_store_alone(role: Policy) -> None:
    """With a key of one's own: this key, these parameters, this service; without one, nothing of KMS's."""
    own = any("kms:Decrypt" in statement.actions for statement in role.statements)
    decrypt = "kms:Decrypt"
    assert bool(role.grants(Access(decrypt, KEY, through_ssm(SECRETS[0])))) is own
    refused = [
        Access(decrypt, KEY),
        Access(decrypt, OTHER_KEY, through_ssm(SECRETS[0])),
        Access(decrypt, KEY, through_ssm(parameter("mooring/depot/tunnel/key"))),
        Access(decrypt, KEY, through_ssm(SECRETS[0], "us-east-1")),
        Access(decrypt, KEY, {"kms:EncryptionContext:PARAMETER_ARN": SECRETS[0]}),
    ]
    assert [one for one in refused if role.grants(one)] == []
    used = {action for action in actions("kms") if role.grants(Access(action, KEY, through_ssm(SECRETS[0])))}
    assert {action.lower() for action in used} == ({"kms:decrypt"} if own else set())


def test_every_grant_of_a_router_is_needed(role: Policy) -> None:
    """Take any action or resource away, and the agent, the bundle, a secret or its decryption is out of reach."""
    bundle = parameter("mooring/office/router/10.0.0.8")
    needed = [Access(a, INSTANCE, FROM_EC2) if a.startswith("ssm:") else Access(a) for a in AGENT]
    needed += [Access("ssm:GetParameter", bundle), *(Access("ssm:GetParameters", one) for one in SECRETS)]
    if any("kms:Decrypt" in statement.actions for statement in role.statements):
        needed += [Access("kms:Decrypt", KEY, through_ssm(one)) for one in SECRETS]
    assert [one for one in needed if not role.grants(one)] == []
    idle = [lacking for lacking, smaller in narrower(role) if all(smaller.grants(one) for one in needed)]
    assert idle == []


# -- the operators -----------------------------------------------------------------------------------


def test_operator_with_the_rights_of_the_guide_keeps_the_secrets_and_needs_each(world: World) -> None:
    """docs/secrets.md: every call that put and check make is granted, and every grant is used."""
    text = (ROOT / "docs" / "secrets.md").read_text()
    (document,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    operator = parse(json.loads(document.replace("REGION", REGION).replace("ACCOUNT", ACCOUNT)), {})
    once = world.client("ssm", Config(retries={"total_max_attempts": 1}), by="product")
    secrets = TunnelSecrets(once)
    Topologies(once).document("office")
    for kind in ("a", "b"):
        texts: dict[Part, str] = {part: f"{part}-{kind}" for part in PARTS}
        fault = world.fail("PutParameter", when=lambda asked: asked["Name"].endswith("/key"))
        with pytest.raises(ApplyError):  # the first time, this deletes what was written
            secrets.store("office", texts, lambda versions: replace(RECORD, versions=versions))
        fault.stop()
        secrets.store("office", texts, lambda versions: replace(RECORD, versions=versions))
    secrets.read("office")
    secrets.record("office")
    needed = [
        one for call in world.calls for one in accesses(call, Facts.none(world)) if call.by == "product"
    ]
    assert [one for one in needed if not operator.grants(one)] == []
    idle = [lacking for lacking, smaller in narrower(operator) if all(smaller.grants(one) for one in needed)]
    assert idle == []
